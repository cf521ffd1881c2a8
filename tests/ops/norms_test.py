"""Norms, distances and covariances in the cases that samples of the registry do not say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import linalg
from grad.errors import ArgumentError, DTypeError, IndexOutOfRangeError, ShapeError
from tests.ops.cases import numpy_of, tensor

Array = np.ndarray[Any, Any]
ORDERS = (0, 1, 2, 3, 0.5, -1, -2, math.inf, -math.inf)
MATRIX_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def uniform(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).uniform(-1, 1, shape))


def close(found: Any, expected: Any) -> None:
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(numpy_of(found), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("order", [np.int64(3), np.float16(1.5), np.uint8(1), np.float32(np.inf)])
def test_orders_may_be_numbers_of_numpy(order: Any) -> None:
    for found in (V.norm(order), grad.linalg.vector_norm(V, order), grad.norm(V, order)):
        assert found.item() == V.norm(order.item()).item()


@pytest.mark.parametrize("order", ORDERS)
def test_vector_norms(order: float) -> None:
    x = uniform(3, 4)
    for keep in (False, True):
        expected = np.linalg.norm(x, order, axis=1, keepdims=keep)
        close(linalg.vector_norm(tensor(x), order, 1, keep), expected)
        close(linalg.norm(tensor(x), order, 1, keep), expected)
    close(linalg.vector_norm(tensor(x), order), np.linalg.norm(x.reshape(-1), order))
    leaf = tensor(x, requires_grad=True)
    assert grad.gradcheck(lambda x: linalg.vector_norm(x, order, 0), (leaf,))
    assert grad.gradgradcheck(lambda x: linalg.vector_norm(x, order, 0), (leaf,))


@pytest.mark.parametrize("order", MATRIX_ORDERS)
def test_matrix_norms(order: Any) -> None:
    x = uniform(2, 3, 4)
    for keep in (False, True):
        for dim in ((-2, -1), (2, 0)):
            expected = np.linalg.norm(x, order, axis=dim, keepdims=keep)
            close(linalg.matrix_norm(tensor(x), order, dim, keep), expected)
            close(linalg.norm(tensor(x), order, dim, keep), expected)
    close(linalg.norm(tensor(x[0]), order), np.linalg.norm(x[0], order))
    leaf = tensor(x, requires_grad=True)
    assert grad.gradcheck(lambda x: linalg.matrix_norm(x, order), (leaf,))


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_are_zero_where_a_norm_is(order: float) -> None:
    zeros = grad.zeros(3, requires_grad=True)
    linalg.vector_norm(zeros, order).backward()
    assert zeros.grad.tolist() == [0, 0, 0]


def test_norms_of_nothing() -> None:
    for order in (0, 1, 2, 3):
        assert linalg.vector_norm(grad.ones(0, 3), order, 0).tolist() == [0, 0, 0]
    for order in ("fro", "nuc", 1, 2, math.inf):
        assert linalg.matrix_norm(grad.ones(2, 0, 3), order).tolist() == [0, 0]
    assert linalg.matrix_norm(grad.ones(0, 3), -1).item() == 0


def test_norms_of_halves_are_summed_in_float32() -> None:
    x = grad.full((4096,), 0.5, dtype=grad.float16)
    assert linalg.vector_norm(x, 1.5).item() == pytest.approx(128, rel=1e-3)
    assert linalg.vector_norm(x).item() == 32
    assert linalg.vector_norm(x, dtype=grad.float32).dtype is grad.float32


def test_renorm_leaves_what_is_short_enough() -> None:
    x = grad.tensor([[3.0, 4.0], [0.3, 0.4]])
    found = x.renorm(2, 0, 1.0)
    np.testing.assert_allclose(found.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    assert (x.renorm(math.inf, 0, 4.0) == x).all()


# -- distances -------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", (0.0, 1.0, 1.5, 2.0, 3.0, math.inf))
def test_gradients_of_equal_points_are_zero(p: float) -> None:
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        x = grad.ones(2, 3, requires_grad=True)
        grad.cdist(x, grad.ones(2, 3), p, mode).sum().backward()
        assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_many_points_go_through_a_matrix_product() -> None:
    x, y = uniform(30, 5), uniform(2, 28, 5, seed=1)
    expected = np.linalg.norm(x[:, None] - y[:, None, :, :], axis=-1)
    a, b = tensor(x, requires_grad=True), tensor(y, requires_grad=True)
    close(grad.cdist(a, b), expected)
    weights = tensor(uniform(2, 30, 28, seed=2))
    modes = ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    first, second = (
        grad.autograd.grad((grad.cdist(a, b, 2.0, mode) * weights).sum(), (a, b)) for mode in modes
    )
    for one, other in zip(first, second):
        close(one, numpy_of(other))


# -- products and covariances ----------------------------------------------------------------------
def test_weighted_covariance() -> None:
    x, often = uniform(3, 5), np.array([1, 0, 2, 3, 1])
    weight = np.abs(uniform(5, seed=1))
    weights: list[dict[str, Any]] = [{"fweights": often}, {"aweights": weight}]
    for correction in (0, 1, 2):
        for given in weights:
            found = grad.cov(
                tensor(x), correction=correction, **{k: tensor(v) for k, v in given.items()}
            )
            close(found, np.cov(x, ddof=correction, **given))
    found = grad.cov(tensor(x), fweights=tensor(often), aweights=tensor(weight))
    close(found, np.cov(x, fweights=often, aweights=weight))


def test_chains() -> None:
    arrays = [uniform(5, 40), uniform(40, 2), uniform(2, 30), uniform(30, 3)]
    expected = np.linalg.multi_dot(arrays)
    close(linalg.multi_dot([*map(tensor, arrays)]), expected)
    close(grad.chain_matmul(*map(tensor, arrays)), expected)
    vectors = [arrays[0][0], *arrays[1:3], arrays[3][:, 0]]
    close(linalg.multi_dot([*map(tensor, vectors)]), np.linalg.multi_dot(vectors))
    x = uniform(2, 3, 3) + 2 * np.eye(3)
    close(linalg.matrix_power(tensor(x), -3), np.linalg.matrix_power(x, -3))


def test_linalg_of_vectors() -> None:
    x, y = uniform(2, 3, 4), uniform(3, 4, seed=1)
    close(linalg.vecdot(tensor(x), tensor(y)), (x * y).sum(-1))
    close(linalg.vecdot(tensor(x), tensor(y), dim=1), (x * y).sum(1))
    close(linalg.cross(tensor(x), tensor(x[:1]), dim=1), np.cross(x, x[:1], axis=1))
    close(linalg.vander(tensor(y), N=3), y[..., None] ** np.arange(3))
    assert linalg.vander(grad.tensor([2, 3])).tolist() == [[1, 2], [1, 3]]
    close(linalg.matmul(tensor(x), tensor(y.T)), x @ y.T)


def test_bilinear_and_distance_modules() -> None:
    a, b = uniform(3, 2), uniform(3, 4, seed=1)
    layer = grad.nn.Bilinear(2, 4, 5, dtype=grad.float64)
    weight, bias = numpy_of(layer.weight), numpy_of(layer.bias)
    close(layer(tensor(a), tensor(b)), np.einsum("bi,oij,bj->bo", a, weight, b) + bias)
    assert np.abs(weight).max() <= 1 / math.sqrt(2)
    assert repr(layer) == "Bilinear(in1_features=2, in2_features=4, out_features=5, bias=True)"
    c = uniform(3, 4, seed=2)
    lengths = np.linalg.norm(b, axis=1) * np.linalg.norm(c, axis=1)
    close(grad.nn.CosineSimilarity()(tensor(b), tensor(c)), (b * c).sum(1) / lengths)
    found = grad.nn.PairwiseDistance(keepdim=True)(tensor(b), tensor(c))
    close(found, np.linalg.norm(b - c + 1e-6, axis=1, keepdims=True))


M, V = grad.ones(2, 3), grad.ones(3)
WORD: Any = "fro"
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: linalg.vector_norm(M.int()), DTypeError, "floating"),
    (lambda: linalg.vector_norm(M, WORD), DTypeError, "number"),
    (lambda: linalg.vector_norm(M, dtype=grad.float16), DTypeError, "float16"),
    (lambda: linalg.vector_norm(grad.ones(0), math.inf), ShapeError, "identity"),
    (lambda: linalg.vector_norm(grad.ones(0, 2), -1, 0), ShapeError, "identity"),
    (lambda: linalg.matrix_norm(V), ShapeError, "2 dimensions"),
    (lambda: linalg.matrix_norm(M, 3), ArgumentError, "Order 3"),
    (lambda: linalg.matrix_norm(M, dim=(0,)), ArgumentError, "2-tuple"),
    (lambda: linalg.matrix_norm(M, dim=(0, -2)), ArgumentError, "different"),
    (lambda: linalg.matrix_norm(grad.ones(0, 2), -2), IndexOutOfRangeError, "non-zero"),
    (lambda: linalg.norm(grad.ones(2, 2, 2), 1), ShapeError, "1D or 2D"),
    (lambda: linalg.norm(grad.ones(2, 2, 2), 1, (0, 1, 2)), ArgumentError, "length 1 or 2"),
    (lambda: linalg.norm(V, "fro"), ShapeError, "2 dimensions"),
    (lambda: grad.norm(grad.ones(2, 2, 2), "fro", (0, 1, 2)), ArgumentError, "fro"),
    (lambda: linalg.vecdot(V, V.double()), DTypeError, "same dtype"),
    (lambda: linalg.vecdot(V.int(), V.int()), DTypeError, "floating"),
    (lambda: linalg.vander(V, N=1), ArgumentError, "greater than 1"),
    (lambda: linalg.multi_dot([M]), ArgumentError, "at least 2"),
    (lambda: linalg.multi_dot([M, V, M]), ShapeError, "tensor 1 must be 2D"),
    (lambda: linalg.multi_dot([M, M]), ShapeError, "cannot be multiplied"),
    (lambda: linalg.multi_dot([M, M.mT.double()]), DTypeError, "same dtype"),
    (lambda: grad.chain_matmul(), ArgumentError, "one or more"),
    (lambda: grad.chain_matmul(V, M), ShapeError, "expected 2"),
    (lambda: grad.cov(V, fweights=V), DTypeError, "integral"),
    (lambda: grad.cov(V, aweights=V.int()), DTypeError, "floating"),
    (lambda: grad.cov(V, aweights=-V), ArgumentError, "negative"),
    (lambda: grad.cov(V, fweights=grad.tensor([1, 2])), ShapeError, "same numel"),
    (lambda: grad.nn.functional.cosine_similarity(M.int(), M.int()), DTypeError, "floating"),
    (lambda: grad.nn.Bilinear(0, 1, 1), ValueError, "in1_features"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
