"""Decompositions and solvers: what they are multiplied together again, NumPy's values, derivatives
of both orders by finite differences, singular and empty matrices, replays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import linalg
from grad.errors import ArgumentError, DTypeError, GradientError, ShapeError
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]
LEADS = ((), (3,), (2, 1))
RANDOM = np.random.default_rng(0)


def matrices(*shape: int) -> Array:
    return RANDOM.standard_normal(shape)


def definite(*shape: int) -> Array:
    a = matrices(*shape, shape[-1])
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])


def symmetric(x: Tensor) -> Tensor:
    return (x + x.mT) / 2


def close(actual: Any, expected: Any, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, tolerance, tolerance)


@pytest.mark.parametrize("lead", LEADS, ids=str)
@pytest.mark.parametrize(("m", "n"), [(4, 4), (5, 3), (3, 5)])
def test_factors_give_the_matrix_again(lead: tuple[int, ...], m: int, n: int) -> None:
    a = matrices(*lead, m, n)
    x = grad.tensor(a)
    k = min(m, n)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(x, mode)
        assert q.shape == (*lead, m, k if mode == "reduced" else m)
        close(q @ r, a)
        close(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (*lead, q.shape[-1], q.shape[-1])))
        close(r, r.triu().numpy())
    assert linalg.qr(x, "r").Q.shape == (0,)
    for full in (True, False):
        u, s, v = linalg.svd(x, full)
        assert u.shape == (*lead, m, m if full else k) and v.shape == (*lead, n if full else k, n)
        close(u[..., :k] * s.unsqueeze(-2) @ v[..., :k, :], a)
    close(linalg.svdvals(x), np.linalg.svd(a, compute_uv=False))
    p, lower, upper = linalg.lu(x)
    close(p @ lower @ upper, a)
    close(lower, lower.tril().numpy())
    close(upper, upper.triu().numpy())
    assert (lower.numpy()[..., range(k), range(k)] == 1).all()
    close(linalg.pinv(x), np.linalg.pinv(a))


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_square_matrices(lead: tuple[int, ...]) -> None:
    a, b, vectors = matrices(*lead, 4, 4), matrices(*lead, 4, 2), matrices(*lead, 4)
    x, y = grad.tensor(a), grad.tensor(b)
    close(linalg.solve(x, y), np.linalg.solve(a, b))
    close(linalg.solve(x, y.mT, left=False) @ x, np.swapaxes(b, -1, -2))
    close((x @ linalg.solve(x, grad.tensor(vectors)).unsqueeze(-1)).squeeze(-1), vectors)
    close(linalg.inv(x), np.linalg.inv(a))
    close(linalg.det(x), np.linalg.det(a))
    close(linalg.slogdet(x).sign, np.linalg.slogdet(a)[0])
    close(linalg.slogdet(x).logabsdet, np.linalg.slogdet(a)[1])
    factors, pivots = linalg.lu_factor(x)
    assert pivots.dtype is grad.int32 and (pivots.numpy() >= 1).all()
    close(linalg.lu_solve(factors, pivots, y), np.linalg.solve(a, b))
    close(x.mT @ linalg.lu_solve(factors, pivots, y, adjoint=True), b)
    close(linalg.lu_solve(factors, pivots, y.mT, left=False) @ x, np.swapaxes(b, -1, -2))
    s = definite(*lead, 4)
    z = grad.tensor(s)
    for upper in (False, True):
        factor = linalg.cholesky(z, upper=upper)
        close(factor.mT @ factor if upper else factor @ factor.mT, s)
        close(z @ grad.cholesky_solve(y, factor, upper), b)
        close(grad.cholesky_inverse(factor, upper), np.linalg.inv(s))
    for triangle in ("L", "U"):
        values, basis = linalg.eigh(z, triangle)
        close(basis * values.unsqueeze(-2) @ basis.mT, s)
        close(linalg.eigvalsh(z, triangle), np.linalg.eigvalsh(s))
    # The other triangle is not read.
    close(linalg.cholesky(z.tril()), np.linalg.cholesky(s))
    close(linalg.eigvalsh(z.triu(), "U"), np.linalg.eigvalsh(s))


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("upper", [False, True])
def test_triangular_systems(upper: bool, left: bool, unit: bool) -> None:
    a = matrices(2, 4, 4) + 4 * np.eye(4)
    b = matrices(2, 4, 3) if left else matrices(2, 3, 4)
    x = linalg.solve_triangular(
        grad.tensor(a), grad.tensor(b), upper=upper, left=left, unitriangular=unit
    )
    inside = np.triu(a, int(unit)) if upper else np.tril(a, -int(unit))
    inside = inside + np.eye(4) * unit
    close(grad.tensor(inside) @ x if left else x @ grad.tensor(inside), b)


def test_exponentials() -> None:
    a = matrices(3, 4, 4) * np.array([0.01, 1, 6])[:, None, None]
    power, term = np.zeros_like(a), np.broadcast_to(np.eye(4), a.shape)
    for k in range(1, 200):
        power, term = power + term, term @ a / k
    close(linalg.matrix_exp(grad.tensor(a)), power, 1e-8)
    # A rotation, far around.
    turn = grad.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=grad.float64) * 100
    expected = [[np.cos(100), -np.sin(100)], [np.sin(100), np.cos(100)]]
    close(turn.matrix_exp(), expected, 1e-9)
    assert np.isnan(linalg.matrix_exp(grad.full((2, 2), float("nan"))).numpy()).all()


def test_ranks_and_least_squares() -> None:
    a = matrices(3, 5, 2) @ matrices(3, 2, 4)
    x = grad.tensor(a)
    assert linalg.matrix_rank(x).tolist() == [2, 2, 2]
    assert linalg.matrix_rank(x, atol=1e9).tolist() == [0, 0, 0]
    assert linalg.matrix_rank(grad.tensor(definite(3)), hermitian=True).item() == 3
    close(linalg.pinv(x, rtol=1e-9), np.linalg.pinv(a, 1e-9))
    tall, right = matrices(6, 3), matrices(6, 2)
    found = linalg.lstsq(grad.tensor(tall), grad.tensor(right), driver="gelsd")
    solution, residuals, rank, values = np.linalg.lstsq(tall, right)
    close(found.solution, solution)
    close(found.residuals, residuals)
    close(found.singular_values, values)
    assert found.rank.item() == rank
    close(linalg.lstsq(grad.tensor(tall), grad.tensor(right[:, 0])).solution, solution[:, 0])


def test_tensor_forms() -> None:
    a = matrices(4, 6, 8, 3)
    close(linalg.tensorinv(grad.tensor(a)), np.linalg.tensorinv(a))
    a, b = matrices(2, 3, 6), matrices(2, 3)
    close(linalg.tensorsolve(grad.tensor(a), grad.tensor(b)), np.linalg.tensorsolve(a, b))
    a, b = matrices(6, 4, 4, 3, 2), matrices(4, 3, 2)
    found = linalg.tensorsolve(grad.tensor(a), grad.tensor(b), (0, 2))
    close(found, np.linalg.tensorsolve(a, b, (0, 2)))
    u, s, v = grad.svd(grad.tensor(matrices(4, 3)))
    assert u.shape == (4, 3) and v.shape == (3, 3) and s.shape == (3,)
    assert grad.qr(grad.tensor(matrices(4, 3)), some=False).Q.shape == (4, 4)


DIFFERENTIABLE: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "cholesky": (lambda x: linalg.cholesky(symmetric(x)), (definite(2, 3),)),
    "upper cholesky": (lambda x: linalg.cholesky(symmetric(x), upper=True), (definite(3),)),
    "qr": (lambda x: linalg.qr(x)[1] @ linalg.qr(x)[0][:3], (matrices(3, 3),)),
    "tall qr": (lambda x: linalg.qr(x).Q, (matrices(4, 2),)),
    "wide qr": (lambda x: linalg.qr(x).R, (matrices(2, 4),)),
    "eigh": (lambda x: linalg.eigh(symmetric(x)).eigenvectors.abs(), (matrices(3, 3),)),
    "eigvalsh": (lambda x: linalg.eigvalsh(symmetric(x)), (matrices(2, 3, 3),)),
    "svdvals": (linalg.svdvals, (matrices(2, 3, 4),)),
    "svd": (lambda x: linalg.svd(x, False).U.abs(), (matrices(4, 3),)),
    "wide svd": (lambda x: linalg.svd(x, False).Vh.abs(), (matrices(2, 4),)),
    "lu": (lambda x: linalg.lu(x).L @ linalg.lu(x).U, (matrices(3, 3),)),
    "tall lu": (lambda x: linalg.lu(x).L, (matrices(4, 3),)),
    "wide lu": (lambda x: linalg.lu(x).U, (matrices(3, 4),)),
    "solve": (linalg.solve, (matrices(2, 3, 3), matrices(3, 2))),
    "solve from the right": (
        lambda a, b: linalg.solve(a, b, left=False),
        (matrices(3, 3), matrices(2, 3)),
    ),
    "solve_triangular": (
        lambda a, b: linalg.solve_triangular(a, b, upper=True),
        (matrices(3, 3) + 3 * np.eye(3), matrices(3, 2)),
    ),
    "unitriangular, from the right": (
        lambda a, b: linalg.solve_triangular(a, b, upper=False, left=False, unitriangular=True),
        (matrices(3, 3), matrices(2, 3)),
    ),
    "inv": (linalg.inv, (matrices(2, 3, 3) + 3 * np.eye(3),)),
    "det": (linalg.det, (matrices(2, 3, 3),)),
    "slogdet": (lambda x: linalg.slogdet(x).logabsdet, (matrices(3, 3),)),
    "logdet": (grad.logdet, (definite(3),)),
    "pinv": (linalg.pinv, (matrices(4, 3),)),
    "wide pinv": (linalg.pinv, (matrices(2, 4),)),
    "lstsq": (lambda a, b: linalg.lstsq(a, b).solution, (matrices(4, 3), matrices(4, 2))),
    "matrix_exp": (linalg.matrix_exp, (matrices(2, 3, 3),)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives(name: str) -> None:
    function, arrays = DIFFERENTIABLE[name]
    leaves = tuple(grad.tensor(array, requires_grad=True) for array in arrays)
    assert grad.gradcheck(function, leaves)
    assert grad.gradgradcheck(function, leaves)


def test_a_singular_matrix_has_a_derivative_of_its_determinant() -> None:
    a = matrices(4, 4)
    a[3] = a[0]
    x = grad.tensor(a, requires_grad=True)
    assert grad.gradcheck(linalg.det, (x,))
    zeros = grad.zeros(3, 3, requires_grad=True)
    linalg.det(zeros).backward()
    assert zeros.grad.abs().sum().item() == 0


def test_empty_matrices() -> None:
    for shape in ((0, 0), (2, 0, 0), (0, 3, 3)):
        x = grad.zeros(*shape)
        assert linalg.inv(x).shape == shape and linalg.cholesky(x).shape == shape
        assert linalg.det(x).tolist() == np.linalg.det(np.zeros(shape)).tolist()
        assert linalg.svdvals(x).shape == shape[:-1]
        assert (
            linalg.matrix_rank(x).tolist() == [0] * (shape[0] if len(shape) == 3 else 1)
            or 0 in shape
        )
    assert linalg.pinv(grad.zeros(0, 3)).shape == (3, 0)
    assert linalg.solve(grad.zeros(0, 0), grad.zeros(0, 2)).shape == (0, 2)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: linalg.inv(grad.zeros(3, 3)), linalg.LinAlgError, "singular"),
    (lambda: linalg.solve(grad.zeros(2, 2), grad.ones(2, 1)), linalg.LinAlgError, "singular"),
    (lambda: linalg.cholesky(-grad.eye(3)), linalg.LinAlgError, "positive-definite"),
    (lambda: linalg.svd(grad.full((2, 2), float("nan"))), linalg.LinAlgError, "non-finite"),
    (lambda: linalg.det(grad.ones(3, 2)), ShapeError, "square"),
    (lambda: linalg.svd(grad.ones(3)), ShapeError, "2 dimensions"),
    (lambda: linalg.inv(grad.ones(2, 2, dtype=grad.int64)), DTypeError, "float"),
    (lambda: linalg.solve(grad.eye(2), grad.eye(2).double()), DTypeError, "same dtype"),
    (lambda: linalg.solve(grad.eye(2), grad.ones(3, 1)), ShapeError, "Incompatible"),
    (lambda: linalg.qr(grad.eye(2), "fast"), ArgumentError, "mode"),
    (lambda: linalg.eigh(grad.eye(2), "X"), ArgumentError, "UPLO"),
    (lambda: linalg.lu(grad.eye(2), pivot=False), ArgumentError, "pivot"),
    (lambda: linalg.lstsq(grad.eye(2), grad.eye(2), driver="best"), ArgumentError, "driver"),
    (lambda: linalg.tensorinv(grad.ones(2, 3), 1), ShapeError, "prod"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors_are_raised_at_the_call(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call()
    with pytest.raises(RuntimeError):  # as in PyTorch
        call()


def test_what_has_no_gradient_says_so() -> None:
    x = grad.tensor(matrices(4, 3), requires_grad=True)
    for mode in ("complete", "r"):
        with pytest.raises(GradientError, match=mode):
            linalg.qr(x, mode).R.sum().backward()


def test_a_compiled_function_replays_them_and_their_errors() -> None:
    @grad.compile
    def function(a: Tensor, b: Tensor) -> Tensor:
        return linalg.solve(a, b) + linalg.cholesky(a @ a.mT + 3 * grad.eye(4, dtype=a.dtype))

    for _ in range(4):
        a, b = matrices(4, 4), matrices(4, 4)
        expected = np.linalg.solve(a, b) + np.linalg.cholesky(a @ a.T + 3 * np.eye(4))
        close(function(grad.tensor(a), grad.tensor(b)), expected)
    with pytest.raises(linalg.LinAlgError, match="singular"):
        function(grad.zeros(4, 4, dtype=grad.float64), grad.tensor(b)).numpy()
    close(function(grad.tensor(a), grad.tensor(b)), expected)
