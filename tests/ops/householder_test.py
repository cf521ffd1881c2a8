"""Householder reflections, condition numbers, and derivatives of samples, against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.errors import ArgumentError, ShapeError

RANDOM = np.random.default_rng(0)
MATRICES = RANDOM.normal(size=(2, 4, 3))
SQUARE = RANDOM.normal(size=(2, 3, 3))


def test_reflections_make_q() -> None:
    matrices = grad.tensor(MATRICES)
    a, tau = matrices.geqrf()
    q = grad.linalg.householder_product(a, tau)
    np.testing.assert_allclose((q @ a[:, :3].triu()).numpy(), MATRICES, atol=1e-12)
    np.testing.assert_allclose((q.mT @ q).numpy(), np.eye(3) + np.zeros((2, 1, 1)), atol=1e-12)


def test_products_with_reflections() -> None:
    a, tau = grad.tensor(MATRICES).geqrf()
    whole = grad.ormqr(a, tau, grad.eye(4, dtype=grad.float64).expand(2, 4, 4))
    other = grad.tensor(RANDOM.normal(size=(2, 4, 4)))
    for left in (True, False):
        for transpose in (True, False):
            q = whole.mT if transpose else whole
            expected = q @ other if left else other @ q
            found = a.ormqr(tau, other, left, transpose)
            np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro", "nuc"])
def test_condition_numbers(p: Any) -> None:
    found = grad.linalg.cond(grad.tensor(SQUARE), p)
    np.testing.assert_allclose(found.numpy(), np.linalg.cond(SQUARE, p))
    assert grad.autograd.gradcheck(
        lambda x: grad.linalg.cond(x, p), (grad.tensor(SQUARE, requires_grad=True),)
    )


def test_condition_numbers_at_the_edges() -> None:
    singular = grad.tensor(np.stack([np.zeros((2, 2)), np.eye(2)]))
    assert grad.linalg.cond(singular, 1).tolist() == [np.inf, 1]
    assert grad.linalg.cond(grad.tensor(MATRICES)).shape == (2,)
    with pytest.raises(ShapeError):
        grad.linalg.cond(grad.tensor(MATRICES), "fro")
    with pytest.raises(ArgumentError):
        grad.linalg.cond(singular, "other")


def test_factors_with_information() -> None:
    x = grad.tensor(SQUARE)
    factors, pivots, info = grad.linalg.lu_factor_ex(x)
    assert factors.shape == (2, 3, 3) and pivots.shape == (2, 3) and info.tolist() == [0, 0]
    result, info = grad.linalg.solve_ex(x, x)
    np.testing.assert_allclose(result.numpy(), np.stack([np.eye(3)] * 2), atol=1e-12)
    assert info.dtype is grad.int32


def test_factors_of_singular_matrices_say_where() -> None:
    x = grad.tensor([[[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, 4.0]]])
    info = grad.linalg.lu_factor_ex(x).info
    assert info.tolist() == [2, 0, 1] and info.dtype is grad.int32
    assert grad.linalg.lu_factor_ex(grad.ones(2, 3)).info.item() == 2
    assert grad.linalg.lu_factor_ex(grad.ones(2, 0, 0)).info.tolist() == [0, 0]
    assert grad.linalg.lu_factor_ex(x[1], check_errors=True).info.item() == 0
    with pytest.raises(grad.linalg.LinAlgError, match="diagonal of U"):
        grad.linalg.lu_factor_ex(x, check_errors=True)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order: int) -> None:
    x = RANDOM.normal(size=(4, 5))
    rows, columns = np.sort(RANDOM.normal(size=4)), np.sort(RANDOM.normal(size=5))
    for ours, theirs in (
        (1, [1]),
        (0.5, [0.5]),
        ([2.0, 3.0], [2.0, 3.0]),
        ((grad.tensor(rows), grad.tensor(columns)), [rows, columns]),
    ):
        found = grad.gradient(grad.tensor(x), spacing=ours, edge_order=edge_order)
        expected = np.gradient(x, *theirs, edge_order=edge_order)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b)
    (along,) = grad.gradient(grad.tensor(x), dim=-1, edge_order=edge_order)
    np.testing.assert_allclose(along.numpy(), np.gradient(x, axis=-1, edge_order=edge_order))


def test_factors_are_taken_apart() -> None:
    factors, pivots = grad.linalg.lu_factor(grad.tensor(MATRICES))
    p, lower, upper = grad.lu_unpack(factors, pivots)
    np.testing.assert_allclose((p @ lower @ upper).numpy(), MATRICES, atol=1e-12)
    assert grad.lu_unpack(factors, pivots, unpack_data=False).L.shape == (0,)
    with pytest.raises(ShapeError):
        grad.lu_unpack(factors, pivots[:1])


@pytest.mark.parametrize("shape", [(9, 6), (6, 9)])
def test_matrices_of_low_rank(shape: tuple[int, int]) -> None:
    x = RANDOM.normal(size=(2, shape[0], 3)) @ RANDOM.normal(size=(2, 3, shape[1]))
    u, s, v = grad.svd_lowrank(grad.tensor(x), q=4)
    np.testing.assert_allclose((u * s.unsqueeze(-2) @ v.mT).numpy(), x, atol=1e-9)
    np.testing.assert_allclose(s.numpy(), np.linalg.svd(x)[1][:, :4], atol=1e-9)
    centred = x - x.mean(-2, keepdims=True)
    _, s, v = grad.pca_lowrank(grad.tensor(x))
    np.testing.assert_allclose(s.numpy()[:, :4], np.linalg.svd(centred)[1][:, :4], atol=1e-9)
    assert v.shape == (2, shape[1], 6)
    with pytest.raises(ArgumentError):
        grad.svd_lowrank(grad.tensor(x), q=7)
