"""Matrix operands that are computed inside the product, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import grad
from grad import Tensor
from grad.engine import kernel_count

# (m, k, n): matrix-vector products of both kinds, tiles, partial tiles and several blocks of k.
SHAPES = [(1, 64, 96), (3, 70, 50), (2, 257, 33), (40, 100, 61), (65, 640, 128), (130, 17, 1)]
Make = Callable[..., "Tensor | np.ndarray"]


def compare(out: Tensor, expected: np.ndarray, kernels: int = 1) -> None:
    assert kernel_count([out.node]) == kernels
    scale = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(out.numpy(), expected, rtol=0, atol=3e-6 * scale)


def matrix(rng: np.random.Generator, rows: int, columns: int, turned: bool, kind: str = "f"):
    """A random matrix as it lies in memory: turned, its columns do; with the view that has rows."""
    sizes = (columns, rows) if turned else (rows, columns)
    if kind == "i":
        array = rng.integers(-128, 128, sizes).astype(np.int8)
    else:
        array = rng.standard_normal(sizes).astype(np.float32)
    tensor = grad.tensor(array)
    return (tensor.T, array.T) if turned else (tensor, array)


@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integers_times_their_scales(shape: tuple[int, int, int], turned: str) -> None:
    m, k, n = shape
    rng = np.random.default_rng(shape)
    x, wide_x = matrix(rng, m, k, "a" in turned)
    q, wide_q = matrix(rng, k, n, "b" in turned, "i")
    for sizes in ((1, n), (k, 1), (1, 1)):
        scale = rng.uniform(0.5, 2, sizes).astype(np.float32)
        out = x @ ((q.float() - 3) * grad.tensor(scale))
        compare(out, wide_x.astype(float) @ ((wide_q.astype(float) - 3) * scale))


@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_times_their_norms(shape: tuple[int, int, int], turned: str) -> None:
    """The scales of rows are stored first: a kernel of its own, as the norms themselves are."""
    m, k, n = shape
    rng = np.random.default_rng(shape)
    (x, wide_x), (w, wide_w) = matrix(rng, m, k, "a" in turned), matrix(rng, k, n, "b" in turned)
    gain = rng.uniform(0.5, 2, k).astype(np.float32)
    norms = (x * x).mean(1, keepdim=True).rsqrt().realize()
    out = (x * norms * grad.tensor(gain)) @ w
    wide = wide_x.astype(float)
    wide = wide / np.sqrt((wide**2).mean(1, keepdims=True)) * gain
    compare(out, wide @ wide_w.astype(float))


@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_matrices_that_lie_alike(shape: tuple[int, int, int], turned: str) -> None:
    """A gradient where an activation was positive, on both sides."""
    m, k, n = shape
    rng = np.random.default_rng(shape)
    (a, wide_a), (c, wide_c) = (matrix(rng, m, k, "a" in turned) for _ in range(2))
    (b, wide_b), (d, wide_d) = (matrix(rng, k, n, "b" in turned) for _ in range(2))
    out = (a * (c > 0)) @ b.where(d > 0.5, 2.0)
    expected = (wide_a * (wide_c > 0)).astype(float) @ np.where(wide_d > 0.5, wide_b, 2.0)
    compare(out, expected)


@pytest.mark.parametrize("m", [1, 4, 50])
def test_scales_of_groups_along_k(m: int) -> None:
    rng = np.random.default_rng(m)
    x = rng.standard_normal((m, 96)).astype(np.float32)
    q = rng.integers(0, 16, (96, 70)).astype(np.uint8)
    scale = rng.uniform(0.5, 2, (6, 1, 70)).astype(np.float32)
    zero = rng.integers(0, 16, (6, 1, 70)).astype(np.float32)
    weight = (grad.tensor(q).float().reshape(6, 16, 70) - grad.tensor(zero)) * grad.tensor(scale)
    wide = (q.reshape(6, 16, 70).astype(float) - zero) * scale
    compare(grad.tensor(x) @ weight.reshape(96, 70), x.astype(float) @ wide.reshape(96, 70))


@pytest.mark.parametrize("shared", [True, False])
def test_batches(shared: bool) -> None:
    """One matrix for the whole batch, whose rows are then one long run, or one for each."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 2, 20, 33)).astype(np.float32)
    q = rng.integers(-9, 9, (33, 18) if shared else (3, 2, 33, 18)).astype(np.int8)
    s = rng.uniform(0.5, 2, (3, 2, 20, 1)).astype(np.float32)
    t = rng.uniform(0.5, 2, (*q.shape[:-2], 1, 18)).astype(np.float32)
    out = (grad.tensor(x) * grad.tensor(s)) @ (grad.tensor(q).float() * grad.tensor(t))
    compare(out, (x * s).astype(float) @ (q * t.astype(float)))


def test_special_values_and_what_comes_after() -> None:
    x = np.ones((9, 40), np.float32)
    x[2, 3], x[4, 39] = np.nan, np.inf
    s = np.full((9, 1), 2, np.float32)
    s[7] = -np.inf
    out = ((grad.tensor(x) * grad.tensor(s)) @ grad.tensor(np.ones((40, 7), np.float32))).relu()
    expected = np.full((9, 7), 80.0)
    expected[2], expected[4], expected[7] = np.nan, np.inf, 0
    np.testing.assert_array_equal(out.numpy(), expected)
    assert kernel_count([((grad.tensor(x) * 2) @ grad.tensor(x).T).relu().node]) == 1


def test_other_types() -> None:
    rng = np.random.default_rng(0)
    q = rng.integers(-100, 100, (30, 20)).astype(np.int32)
    shift = rng.integers(-100, 100, (1, 20)).astype(np.int32)
    out = grad.tensor(q).T @ (grad.tensor(q) + grad.tensor(shift))
    np.testing.assert_array_equal(out.numpy(), q.T @ (q + shift))
    half = grad.tensor(rng.standard_normal((12, 30))).to(grad.bfloat16)
    scale = grad.tensor(rng.uniform(0.5, 2, (30, 20))).to(grad.bfloat16)
    stored = (grad.tensor(q).to(grad.bfloat16) * scale).realize()
    inside = half @ (grad.tensor(q).to(grad.bfloat16) * scale)
    assert kernel_count([inside.node]) == 1
    np.testing.assert_array_equal(inside.float().numpy(), (half @ stored).float().numpy())


def test_what_is_better_stored_is_stored() -> None:
    """Values with another reader, costly ones, shifted ones, ones read in two orders, and those
    that the first operand would be packed for several times.
    """
    x = grad.tensor(np.random.default_rng(0).standard_normal((48, 48)).astype(np.float32))
    doubled = x * 2
    assert kernel_count([(doubled @ x).node, doubled.node]) == 2
    assert kernel_count([(x @ x.tanh().exp().cos()).node]) == 2
    assert kernel_count([(x @ (x + x.T)).node]) == 2
    wide = grad.tensor(np.ones((48, 4096), np.float32))
    assert kernel_count([((x * 2) @ wide).node]) == 2


def test_gradients_go_through() -> None:
    rng = np.random.default_rng(3)
    x = grad.tensor(rng.standard_normal((20, 30)), requires_grad=True)
    s = grad.tensor(rng.uniform(0.5, 2, (20, 1)), requires_grad=True)
    w = grad.tensor(rng.standard_normal((30, 10)), requires_grad=True)
    assert grad.autograd.gradcheck(lambda x, s, w: (x * s) @ (w * 2).relu(), (x, s, w))


def test_two_rows_of_one_product() -> None:
    """An operand that is computed of two places of the same memory is not read as of one."""
    rng = np.random.default_rng(5)
    points, rows, turn = (rng.standard_normal(sizes) for sizes in ((6, 4), (2, 4), (4, 4)))
    product = (grad.tensor(rows) * 1.0) @ (grad.tensor(turn) * 1.0)
    weight = (product[1] - product[0]).reshape(1, 4)
    scores = (grad.tensor(points) @ weight.T).reshape(-1)
    both = grad.stack([1 - scores, scores], 1)
    expected = points @ ((rows[1] - rows[0]) @ turn)
    np.testing.assert_allclose(both.numpy()[:, 1], expected, 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 3, 8, 15, 17, 33])
@pytest.mark.parametrize("columns", [1, 3, 5, 40])
def test_what_lies_behind_the_last_element_does_not_count(
    dtype: type, depth: int, columns: int
) -> None:
    """Zeros are there instead, of which a quotient would be NaN, and a logarithm infinite."""
    rng = np.random.default_rng(depth)
    x, scale = (rng.uniform(0.5, 2, sizes).astype(dtype) for sizes in ((13, depth), depth))
    weight = rng.normal(size=(columns, depth)).astype(dtype)
    given, other = grad.tensor(x), grad.tensor(weight)
    for made, values in (
        (lambda: given / grad.tensor(scale), x / scale),
        (lambda: given.log(), np.log(x)),
        (lambda: 1 / given, 1 / x),
    ):
        np.testing.assert_allclose((made() @ other.T).numpy(), values @ weight.T, 2e-5, 2e-5)
        np.testing.assert_allclose((other @ made().T).numpy(), weight @ values.T, 2e-5, 2e-5)
