"""Every registered operation on random shapes and random layouts in memory, against NumPy.

`registry_test.py` runs the samples as they are written. Here hypothesis gives each sample other
sizes (0 and 1 among them), gives pointwise operations any number of axes with broadcasting between
the operands, and lays each operand out with permuted, flipped, skipped, expanded and shifted axes.
A drawing that the reference refuses is passed over. Kernels are interpreted: this test is
about which elements they read, and thousands of them would take minutes to compile.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grad.dtype import DType, as_dtype, dtypes
from grad.errors import ArgumentError, AxisError, IndexOutOfRangeError, ShapeError
from grad.ops.registry import Op, Sample, registry
from grad.settings import settings as library
from tests.ops.cases import (
    TOLERANCE,
    Array,
    expected_of,
    numpy_of,
    tensor,
)

SIZES = (0, 1, 2, 3, 5, 8)
LARGEST = 400  # elements of an operand
# Whose references are NumPy's views of memory, which know no bounds.
UNCHECKED = ("as_strided", "as_strided_scatter")


# -- shapes ----------------------------------------------------------------------------------------
def is_pointwise(op: Op, sample: Sample) -> bool:
    """Whether each element of the result depends on one element of each operand: the result is
    shuffled as its operands are.
    """
    if op.view or sample.make is not None or not sample.shapes or not sample.shapes[0]:
        return False
    arrays = sample.arrays(_dtype(op))
    if len({array.shape for array in arrays}) > 1:
        return False
    order = np.random.default_rng(0).permutation(arrays[0].size)
    with np.errstate(all="ignore"):
        plain = expected_of(op, sample, arrays)
        shuffled = [array.reshape(-1)[order].reshape(array.shape) for array in arrays]
        moved = expected_of(op, sample, shuffled)
    return plain.shape == arrays[0].shape and np.array_equal(
        plain.reshape(-1)[order], moved.reshape(-1), equal_nan=plain.dtype.kind == "f"
    )


def _dtype(op: Op) -> DType:
    return dtypes.float64 if dtypes.float64 in op.dtypes else op.dtypes[0]


@st.composite
def broadcast_shapes(draw: st.DrawFn, count: int) -> tuple[tuple[int, ...], ...]:
    """Shapes of `count` operands of up to four axes that broadcast to one."""
    whole = draw(st.lists(st.sampled_from(SIZES), max_size=4))
    assume(np.prod(whole, dtype=int) <= LARGEST)
    shapes = []
    for _ in range(count):
        kept = whole[draw(st.integers(0, len(whole))) if draw(st.booleans()) else 0 :]
        shapes.append(tuple(1 if draw(st.integers(0, 4)) == 0 else size for size in kept))
    return tuple(shapes)


@st.composite
def resized(draw: st.DrawFn, sample: Sample) -> tuple[tuple[int, ...], ...]:
    """The shapes of a sample with other sizes; sizes that were equal still are, and 1 stays 1."""
    found = sorted({size for shape in sample.shapes for size in shape} - {1})
    sizes = {1: 1} | {size: draw(st.sampled_from((size, *SIZES))) for size in found}
    shapes = tuple(tuple(sizes[size] for size in shape) for shape in sample.shapes)
    assume(all(np.prod(shape, dtype=int) <= LARGEST for shape in shapes))
    return shapes


# -- layouts ---------------------------------------------------------------------------------------
@st.composite
def laid_out(draw: st.DrawFn, array: Array) -> tuple[Array, Any]:
    """A tensor that shows `array` (but for expanded axes) in a random layout, and what it shows."""
    axes = range(array.ndim)
    if array.size and draw(st.booleans()):
        repeated = [axis for axis in axes if draw(st.integers(0, 3)) == 0]
        first = array[tuple(slice(0, 1) if axis in repeated else slice(None) for axis in axes)]
        shown = np.broadcast_to(first, array.shape).copy()
        return shown, _scattered(draw, first).expand(array.shape)
    return array, _scattered(draw, array)


def _scattered(draw: st.DrawFn, array: Array) -> Any:
    """A tensor with the values of `array`: a view of larger memory, permuted and with gaps."""
    order = draw(st.permutations(range(array.ndim)))
    steps = [draw(st.sampled_from((1, 1, 2, 3))) for _ in order]
    starts = [draw(st.integers(0, 2)) for _ in order]
    flipped = [axis for axis in range(array.ndim) if draw(st.integers(0, 3)) == 0]
    stored = np.flip(array, flipped).transpose(order)
    memory = np.zeros(
        [s + size * step for s, size, step in zip(starts, stored.shape, steps)], array.dtype
    )
    window = tuple(slice(s, None, step) for s, step in zip(starts, steps))
    shown = tuple(
        slice(s, s + size * step, step) for s, size, step in zip(starts, stored.shape, steps)
    )
    memory[shown] = stored
    view = tensor(memory)[window] if window else tensor(memory)
    view = view[tuple(slice(0, size) for size in stored.shape)] if window else view
    view = view.permute(*np.argsort(order).tolist()) if array.ndim > 1 else view
    return view.flip(flipped) if flipped else view


# -- the test --------------------------------------------------------------------------------------
def rows() -> list[Any]:
    """Every op that has samples and a reference."""
    return [op for op in registry() if op.reference is not None and op.samples]


@pytest.mark.parametrize("op", rows(), ids=lambda op: op.name)
def test_shapes_and_layouts(op: Op) -> None:
    pointwise = [is_pointwise(op, sample) for sample in op.samples]

    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(op.samples) - 1))
        sample = op.samples[number]
        if pointwise[number]:
            sample = replace(sample, shapes=data.draw(broadcast_shapes(len(sample.shapes))))
        elif sample.make is None and op.name not in UNCHECKED:
            sample = replace(sample, shapes=data.draw(resized(sample)))
        dtype = data.draw(st.sampled_from(op.dtypes))
        operands = [data.draw(laid_out(array)) for array in sample.arrays(dtype)]
        compare(op, sample, dtype, operands, pointwise[number])

    with library.override(backend="reference"):
        check()


def compare(
    op: Op, sample: Sample, dtype: DType, operands: list[tuple[Array, Any]], pointwise: bool
) -> None:
    """The op on tensors against its reference on the arrays that they show."""
    arrays, shown = [array for array, _ in operands], [view for _, view in operands]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # means of nothing
        try:
            expected = expected_of(op, sample, arrays)
        except Exception:
            assume(False)
            raise
    try:
        actual = op(*shown, *sample.args, **sample.kwargs)
    except (ShapeError, AxisError, ArgumentError, IndexOutOfRangeError):
        # What NumPy makes of sizes that the operation refuses is a matter of chance.
        assume(pointwise)
        raise
    if actual.dtype.is_floating_point:
        # NumPy computes functions of small integers in float16.
        kinds = (dtype if dtype.is_floating_point else dtypes.float32, as_dtype(expected.dtype))
        limit = max(sample.tolerance or 0, *(TOLERANCE.get(kind, 0) for kind in kinds))
        # Sums are as exact as the largest of their terms.
        sizes = [np.abs(array.astype(np.float64)).max(initial=1) for array in arrays]
        np.testing.assert_allclose(
            numpy_of(actual).astype(np.float64),
            expected.astype(np.float64),
            rtol=limit,
            atol=limit * (1 if pointwise else max(sizes, default=1)),
            strict=True,
        )
    else:
        wrapped = expected.astype(np.int64).astype(actual.dtype.numpy)
        np.testing.assert_array_equal(numpy_of(actual), wrapped)
