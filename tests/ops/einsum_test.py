"""`einsum`: values against NumPy's, gradients by linearity, orders of contraction, and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.contraction_order import cost, order_of
from grad.ops.pair_product import arranged
from tests.ops.cases import numpy_of, tensor

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

EQUATIONS: list[tuple[str, list[Shape]]] = [
    ("i->i", [(3,)]),
    ("->", [()]),
    ("ij->ji", [(2, 3)]),
    ("ba", [(2, 3)]),
    ("bA", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ijk->k", [(2, 3, 4)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->ji", [(3, 3, 2)]),
    ("ijiji->ij", [(2, 3, 2, 3, 2)]),
    ("...ii->...i", [(2, 3, 3)]),
    ("...->...", [(2, 3)]),
    ("i,i->", [(5,), (5,)]),
    ("i,j", [(3,), (4,)]),
    ("i,i->i", [(3,), (3,)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij,jk->ki", [(2, 3), (3, 4)]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("ij,ij->", [(2, 3), (2, 3)]),
    ("ij,ij->i", [(2, 3), (2, 3)]),
    ("ij,j->i", [(2, 3), (3,)]),
    ("ij,k->ijk", [(2, 3), (4,)]),
    ("ij,kl->", [(2, 3), (3, 2)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("bij,jk->bik", [(2, 3, 4), (4, 5)]),
    ("ij,bjk->bik", [(17, 4), (2, 4, 18)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("bqhd,bkhd->bhqk", [(2, 3, 2, 4), (2, 5, 2, 4)]),
    ("bhqk,bkhd->bqhd", [(2, 2, 3, 5), (2, 5, 2, 4)]),
    ("ijk,lkj->il", [(2, 3, 4), (5, 4, 3)]),
    ("iij,jk->ik", [(3, 3, 2), (2, 4)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...i,...i->...", [(2, 3), (1, 3)]),
    ("i...,i...", [(2, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
    ("ij,ij->ij", [(1, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 0), (0, 4)]),
    ("ij,jk->ik", [(0, 3), (3, 4)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    ("ij,jk,ki->", [(2, 3), (3, 4), (4, 2)]),
    ("a,ab,bc,cd,de,e->", [(2,), (2, 3), (3, 4), (4, 3), (3, 2), (2,)]),
    (",ij,->ij", [(), (2, 3), ()]),
]


def operands_of(shapes: list[Shape], seed: int = 0) -> list[Array]:
    random = np.random.default_rng(seed)
    return [np.asarray(random.uniform(-1, 1, shape)) for shape in shapes]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_values_and_gradients(equation: str, shapes: list[Shape]) -> None:
    arrays, directions = operands_of(shapes), operands_of(shapes, 1)
    leaves = [tensor(array, requires_grad=True) for array in arrays]
    found = grad.einsum(equation, *leaves)
    expected = np.asarray(np.einsum(equation, *arrays))
    assert found.shape == expected.shape
    np.testing.assert_allclose(numpy_of(found), expected, rtol=1e-12, atol=1e-12)
    weights = operands_of([expected.shape], 2)[0]
    gradients = grad.autograd.grad((found * tensor(weights)).sum(), leaves)
    for number, gradient in enumerate(gradients):
        # Linear in each operand: a derivative along a direction is the value there.
        moved = [*arrays[:number], directions[number], *arrays[number + 1 :]]
        slope = (np.einsum(equation, *moved) * weights).sum()
        assert gradient.shape == shapes[number]
        assert (numpy_of(gradient) * directions[number]).sum() == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize("equation", ["bij,bkj->bik", "ij,jk,kl->li", "ij,ij->i", "iij,jk->k"])
def test_second_gradients(equation: str) -> None:
    shapes = [(2,) * len(term) for term in equation.split("->")[0].split(",")]
    leaves = tuple(tensor(array, requires_grad=True) for array in operands_of(shapes))
    assert grad.gradgradcheck(lambda *xs: grad.einsum(equation, *xs), leaves)


def test_lists_of_subscripts() -> None:
    x, y = map(tensor, operands_of([(2, 3), (3, 4)]))
    expected = numpy_of(x) @ numpy_of(y)
    for found in (
        grad.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        grad.einsum(x, [0, 1], y, [1, 2]),
        grad.einsum(x, [..., 51], y, [51, 0], [..., 0]),
        grad.einsum("ij,jk", [x, y]),
    ):
        np.testing.assert_allclose(numpy_of(found), expected, rtol=1e-12)


def test_an_ellipsis_that_the_result_lacks_is_summed_over() -> None:
    x = tensor(operands_of([(2, 3, 4)])[0])
    np.testing.assert_allclose(
        numpy_of(grad.einsum("...j->j", x)), numpy_of(x).sum((0, 1)), rtol=1e-12
    )


def test_one_operand_is_shown_by_a_view() -> None:
    x = grad.zeros(3, 3)
    grad.einsum("ij->ji", x)[0, 1] = 1
    grad.einsum("ii->i", x).fill_(2)
    assert x.tolist() == [[2, 0, 0], [1, 2, 0], [0, 0, 2]]


@pytest.mark.parametrize("dtype", [dtypes.int8, dtypes.uint8, dtypes.int64, dtypes.float16])
def test_types(dtype: Any) -> None:
    a, b = (np.random.default_rng(n).integers(0, 9, (4, 4)) for n in (0, 1))
    x, y = grad.tensor(a).to(dtype), grad.tensor(b).to(dtype)
    for equation in ("ij,jk->ik", "ij,ij->i", "ij,jk->i"):
        found = grad.einsum(equation, x, y)
        assert found.dtype is dtype
        expected = np.einsum(equation, a, b).astype(dtype.numpy)
        np.testing.assert_array_equal(found.numpy(), expected)
    for sums in ("ij->i", "ij,kl->i"):  # of one operand, as x.sum(1)
        found = grad.einsum(sums, *[x, y][: sums.count(",") + 1])
        assert found.dtype is (dtype if dtype.kind == "f" else dtypes.int64)
    assert grad.einsum("i,j->ij", x[0], y.double()[0]).dtype is dtypes.float64


def test_half_gradients_of_products_of_two_types() -> None:
    x = grad.ones(2, dtype=dtypes.float16, requires_grad=True)
    y = grad.ones(3, requires_grad=True)
    grad.einsum("i,j->ij", x, y).sum().backward()
    assert x.grad.dtype is dtypes.float16 and x.grad.tolist() == [3, 3]
    assert y.grad.dtype is dtypes.float32 and y.grad.tolist() == [2, 2, 2]


def test_the_cheapest_order_is_taken() -> None:
    sizes = {"a": 100, "b": 2, "c": 100, "d": 3}
    terms = [frozenset("ab"), frozenset("bc"), frozenset("cd")]
    assert order_of(terms, frozenset("ad"), sizes) == [(1, 2), (0, 3)]
    assert cost(frozenset("bcd"), sizes) == 600


def test_many_operands() -> None:
    arrays = operands_of([(2, 2)] * 9)
    letters = "abcdefghij"
    equation = ",".join(letters[n : n + 2] for n in range(9)) + "->aj"
    expected = np.linalg.multi_dot(arrays)
    np.testing.assert_allclose(
        numpy_of(grad.einsum(equation, *map(tensor, arrays))), expected, rtol=1e-12
    )


def test_a_product_is_one_contraction_of_operands_as_they_lie() -> None:
    how = arranged("bhqd,bhkd->bhqk", (2, 3, 8, 4), (2, 3, 8, 4))
    assert how.kind == "contract" and how.labels == "bhqk" and how.shape is None
    assert how.first.order is None and how.second.order == (0, 1, 3, 2)
    folded = arranged("bij,jk->bik", (2, 3, 4), (4, 5))
    assert folded.first.shape == (6, 4) and folded.second.shape is None


def test_a_compiled_function() -> None:
    @grad.compile
    def attend(q: Any, k: Any, v: Any) -> Any:
        return grad.einsum("bhqk,bkhd->bqhd", grad.einsum("bqhd,bkhd->bhqk", q, k), v)

    for seed in range(3):
        q, k, v = operands_of([(2, 4, 3, 5)] * 3, seed)
        scores = np.einsum("bqhd,bkhd->bhqk", q, k)
        expected = np.einsum("bhqk,bkhd->bqhd", scores, v)
        np.testing.assert_allclose(
            numpy_of(attend(tensor(q), tensor(k), tensor(v))), expected, rtol=1e-12, atol=1e-12
        )


X, V = grad.ones(2, 3), grad.ones(3)
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: grad.einsum("ij"), ArgumentError, "at least one operand"),
    (lambda: grad.einsum("ij,j", X), ArgumentError, "fewer operands"),
    (lambda: grad.einsum("ij", X, X), ArgumentError, "more operands"),
    (lambda: grad.einsum("i", X), ShapeError, "number of subscripts"),
    (lambda: grad.einsum("ijk...", X), ShapeError, "number of subscripts"),
    (lambda: grad.einsum("i1", X), ArgumentError, "invalid subscript"),
    (lambda: grad.einsum("ij->i->j", X), ArgumentError, "invalid subscript"),
    (lambda: grad.einsum("ij - > i", X), ArgumentError, "invalid subscript"),
    (lambda: grad.einsum("i.j", X), ArgumentError, "not part of any ellipsis"),
    (lambda: grad.einsum(". . .", X), ArgumentError, "not part of any ellipsis"),
    (lambda: grad.einsum("......", X), ArgumentError, "already found"),
    (lambda: grad.einsum("ij->ii", X), ArgumentError, "more than once"),
    (lambda: grad.einsum("ij->k", X), ArgumentError, "does not appear"),
    (lambda: grad.einsum("ii", X), ShapeError, "repeated for operand 0"),
    (lambda: grad.einsum("ij,i->", X, V), ShapeError, "subscript i has size 3"),
    (lambda: grad.einsum("...,...", X, grad.ones(2)), ShapeError, "ellipsis has size 2"),
    (lambda: grad.einsum(X, [0, 52]), ArgumentError, "valid range"),
    (lambda: grad.einsum(X, [0, "j"]), DTypeError, "int or Ellipsis"),
    (lambda: grad.einsum(X, X), DTypeError, "list of subscripts"),
    (lambda: grad.einsum("i", [1.0]), DTypeError, "Tensor"),
    (lambda: grad.einsum("ij,j->i", X, V.double()), DTypeError, "one dtype"),
    (lambda: grad.einsum("ij,j->i", X > 0, V > 0), DTypeError, "bool"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_of_orders_that_cost_the_same_sums_come_last() -> None:
    terms = [frozenset(term) for term in ("bn", "anm", "bm")]
    sizes = dict.fromkeys("abmn", 8)
    assert order_of(terms, frozenset("ba"), sizes)[0] == (0, 2)  # nothing is summed yet
