"""Every pointwise primitive on every element type it has machine code for, against NumPy.

Special values in all pairs. What is exact must be exact; elementary functions (`elementary_test.py`
measures them) only have to be near and to treat infinities and NaN alike.
"""

from __future__ import annotations

import numpy as np
import pytest

from grad.codegen.llvm.elementary import ELEMENTARY
from grad.codegen.llvm.instructions import INSTRUCTIONS
from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.node import Node
from grad.graph.primitives import PRIMITIVES, Kind, Primitive
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of

FLOATS = [
    0.0,
    -0.0,
    0.5,
    1.0,
    -1.0,
    1.5,
    2.5,
    -2.5,
    3.0,
    -7.25,
    1e-3,
    60000.0,
    np.inf,
    -np.inf,
    np.nan,
]
WHOLE = [0, 1, -1, 2, 3, -3, 7, 8, 63, 100, -100, 127, -128, 255]
# NumPy has no such function for bools, or gives another type.
NO_ORACLE = {("b", n) for n in ("neg", "abs", "sub", "floor", "ceil", "round", "trunc")}


def samples(dtype: DType) -> list[float | int | bool]:
    if dtype.kind == "f":
        return list(FLOATS)
    if dtype.kind == "b":
        return [False, True]
    limits = np.iinfo(dtype.numpy)
    fitting = [w for w in WHOLE if limits.min <= w <= limits.max]
    return [*fitting, int(limits.min), int(limits.max)]


def cases() -> list[tuple[Primitive, DType]]:
    found = []
    for dtype in ALL_DTYPES:
        for name in INSTRUCTIONS[dtype.kind]:
            op = PRIMITIVES.get(name)
            if op is None or op.kind is not Kind.POINTWISE or op.arity == 3:
                continue
            if (dtype.kind, name) in NO_ORACLE or (
                name == "threefry" and dtype is not dtypes.uint64
            ):
                continue
            found.append((op, dtype))
    return found


def applied(op: Primitive, dtype: DType) -> Node:
    """`op` on all samples, or all pairs of them."""
    values = np.array(samples(dtype), dtype.numpy)
    if op.arity == 1:
        return graph.pointwise(op, leaf(np.tile(values, 5)))
    if op.name in ("shl", "shr"):  # NumPy leaves shifts by too much undefined
        amounts = np.arange(min(8, 8 * dtype.itemsize)).astype(dtype.numpy)
        return graph.pointwise(op, leaf(values[:, None]), leaf(amounts))
    return graph.pointwise(op, leaf(values[:, None]), leaf(values))


def compare(op: Primitive, dtype: DType, actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(actual, expected)
        return
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    if op.name in ELEMENTARY and op.name not in ("sqrt",):
        # One unit in the last place of the 16-bit types, a few of the others.
        digits = {2: 2e-2 if dtype is dtypes.bfloat16 else 3e-3, 4: 1e-6, 8: 1e-12}[dtype.itemsize]
        np.testing.assert_allclose(a, e, rtol=digits, atol=digits / 4)
        return
    np.testing.assert_array_equal(a, e)
    if op.name not in ("maximum", "minimum"):  # either zero will do there
        kept = ~np.isnan(e)
        np.testing.assert_array_equal(np.signbit(a[kept]), np.signbit(e[kept]))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("op", "dtype"), cases(), ids=[f"{op.name}-{dtype.name}" for op, dtype in cases()]
)
def test_values(op: Primitive, dtype: DType, backend: str) -> None:
    node = applied(op, dtype)
    expected = np.array(evaluate([node])[0])
    with settings.override(backend=backend):
        realize([node])
    compare(op, dtype, values_of(node), expected)


@pytest.mark.parametrize("dtype", [d for d in ALL_DTYPES if d.kind in "iu"], ids=lambda d: d.name)
def test_shifts_by_all_bits_shift_everything_out(dtype: DType) -> None:
    bits = 8 * dtype.itemsize
    limits = np.iinfo(dtype.numpy)
    x = leaf(np.array([1, limits.max, limits.min], dtype.numpy))
    amount = graph.constant(bits if bits <= limits.max else limits.max, dtype)
    left, right = (graph.pointwise(PRIMITIVES[name], x, amount) for name in ("shl", "shr"))
    realize([left, right])
    np.testing.assert_array_equal(values_of(left), 0)
    np.testing.assert_array_equal(values_of(right), [0, 0, -1 if dtype.kind == "i" else 0])


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda d: d.name)
def test_where(dtype: DType) -> None:
    values = np.array(samples(dtype), dtype.numpy)
    mask = leaf(np.arange(len(values)) % 3 == 0)
    node = graph.pointwise(PRIMITIVES["where"], mask, leaf(values), leaf(values[::-1].copy()))
    expected = np.array(evaluate([node])[0])
    realize([node])
    np.testing.assert_array_equal(values_of(node).view(np.uint8), expected.view(np.uint8))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_reductions_keep_special_values(name: str, special: float, axis: int) -> None:
    numbers = np.random.default_rng(3).standard_normal((70, 45)).astype(np.float32)
    numbers[3, 7] = numbers[69, 44] = special
    node = graph.reduce(PRIMITIVES[name], leaf(numbers), (axis,))
    expected = np.array(evaluate([node])[0])
    realize([node])
    kept = np.isfinite(expected)
    np.testing.assert_array_equal(values_of(node)[~kept], expected[~kept])
    np.testing.assert_allclose(values_of(node)[kept], expected[kept], rtol=1e-5, atol=1e-4)
