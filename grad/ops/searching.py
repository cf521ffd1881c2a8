"""Where values belong in a sorted sequence, and whether they occur: `searchsorted`, `bucketize`,
`isin`.

A binary search is made for all values at once: as many comparisons as the length of the sequence
has bits, in one kernel, each with a gather.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.choose import chosen
from grad.ops.promotion import is_tensor, result_type
from grad.ops.registry import ALL, NUMERIC, Sample, op

# Up to so many elements it is quicker to compare with each than to sort them.
FEW = 16


def ranks_in(sequence: Any, values: Any, right: bool, kind: Any) -> Any:
    """For each of `values` how many elements of `sequence` come before it, with those equal to it
    if `right`; all for NaN. Both have the same leading axes; the sequence is in order along its
    last one.
    """
    axis, size = len(sequence.shape) - 1, sequence.shape[-1]
    behind_all = values != values
    found = values.new_zeros(values.shape, dtype=dtypes.int64)
    step = 1 << (size.bit_length() - 1) if size else 0
    while step:
        reached = found + step
        last = chosen(sequence, axis, reached.clamp(max=size) - 1)
        before = (last <= values if right else last < values) | behind_all
        found = reached.where((reached <= size) & before, found)
        step >>= 1
    return found.to(kind)


def _searched(name: str, sequence: Any, values: Any, right: bool, out_int32: bool) -> Any:
    kind = dtypes.int32 if out_int32 else dtypes.int64
    lines = len(sequence.shape)
    if lines == 1:
        found = ranks_in(sequence.detach(), values.detach().reshape(-1), right, kind)
        return found.reshape(values.shape)
    if not lines or sequence.shape[:-1] != values.shape[:-1]:
        raise ShapeError(
            f"{name}: the sequence should have 1 dimension, or the first dimensions of the values; "
            f"got {tuple(sequence.shape)} and {tuple(values.shape)}."
        )
    return ranks_in(sequence.detach(), values.detach(), right, kind)


def _operand(name: str, values: Any, sequence: Any) -> Any:
    if is_tensor(values):
        if values.dtype is not sequence.dtype:
            raise DTypeError(
                f"{name}: the sequence is {sequence.dtype.name} and the values "
                f"{values.dtype.name}; use values.to(sequence.dtype)."
            )
        return values
    return sequence.new_full((), values, dtype=result_type(sequence, values))


def _ordered(random: np.random.Generator, dtype: Any) -> list[Any]:
    sequence = np.sort(random.integers(0, 6, 9))
    return [sequence.astype(dtype.numpy), random.permutation(8).astype(dtype.numpy)]


@op(
    method=None,
    function="searchsorted",
    composite=True,
    gradient=False,
    dtypes=NUMERIC,
    reference=np.searchsorted,
    samples=[
        Sample(((9,), (6,)), make=_ordered, gradient=False, name="left"),
        Sample(((9,), (6,)), kwargs={"side": "right"}, make=_ordered, gradient=False, name="right"),
    ],
)
class SearchSorted:
    """For each value the position in `sorted_sequence` before which it belongs.

    Args:
        sorted_sequence: in order along its last axis; one line, or one for each line of `input`.
        input: a tensor of the same type, or a number.
        right: behind elements that are equal to the value; ``side="right"`` says the same.
        sorter: positions that put `sorted_sequence` in order, if it is not.

    Returns:
        int64, or int32 if `out_int32`, of the shape of `input`.

    Example:
        >>> grad.searchsorted(grad.tensor([1, 3, 5]), grad.tensor([3, 4])).tolist()
        [1, 2]
    """

    @staticmethod
    def forward(
        sorted_sequence: Any,
        input: Any,
        *,
        out_int32: bool = False,
        right: bool = False,
        side: str | None = None,
        sorter: Any = None,
    ) -> Any:
        if side not in (None, "left", "right") or (side == "left" and right):
            raise ArgumentError(
                f"searchsorted: side={side!r} and right={right}; side is 'left' or 'right', and "
                f"they must not differ."
            )
        values = _operand("searchsorted", input, sorted_sequence)
        if sorter is not None:
            if sorter.shape != sorted_sequence.shape:
                raise ShapeError(
                    f"searchsorted: the sorter has shape {tuple(sorter.shape)} and the sequence "
                    f"{tuple(sorted_sequence.shape)}; they must be equal."
                )
            sorted_sequence = sorted_sequence.gather(-1, sorter)
        behind = right or side == "right"
        return _searched("searchsorted", sorted_sequence, values, behind, out_int32)


@op(function="bucketize", composite=True, gradient=False, dtypes=NUMERIC)
class Bucketize:
    """For each element of `input` the number of the bucket it is in, of those between
    `boundaries`.

    Bucket i reaches from ``boundaries[i - 1]``, exclusive, to ``boundaries[i]``, inclusive; with
    `right` the other way round.

    Returns:
        int64, or int32 if `out_int32`, of the shape of `input`.
    """

    @staticmethod
    def forward(
        input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False
    ) -> Any:
        if len(boundaries.shape) != 1:
            raise ShapeError(
                f"bucketize: boundaries must be a vector, got shape {tuple(boundaries.shape)}."
            )
        common = result_type(input, boundaries)
        values = input if is_tensor(input) else boundaries.new_full((), input, dtype=common)
        found = _searched("bucketize", boundaries.to(common), values.to(common), right, out_int32)
        return found.reshape(values.shape)


@op(
    function="isin",
    composite=True,
    gradient=False,
    dtypes=ALL,
    reference=np.isin,
    samples=[
        Sample(((3, 4), (5,)), gradient=False),
        Sample(((3, 4), (2, 20)), gradient=False, name="many"),
    ],
)
class IsIn:
    """Whether each element is among `test_elements`, or is not if `invert`. NaN never is.

    One of both may be a number. `assume_unique` changes nothing.
    """

    @staticmethod
    def forward(
        elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
    ) -> Any:
        common = result_type(elements, test_elements)
        given = [value for value in (elements, test_elements) if is_tensor(value)]
        elements, tests = (
            value.detach().to(common)
            if is_tensor(value)
            else given[0].new_full((), value, dtype=common)
            for value in (elements, test_elements)
        )
        tests = tests.reshape(-1)
        if common is dtypes.bool:
            elements, tests = elements.to(dtypes.uint8), tests.to(dtypes.uint8)
        size = tests.shape[0]
        if size <= FEW:
            found = (elements.unsqueeze(-1) == tests).any(-1)
        else:
            inside = tests.sort().values
            flat = elements.reshape(-1)
            place = ranks_in(inside, flat, False, dtypes.int64).clamp(max=size - 1)
            found = (chosen(inside, 0, place) == flat).reshape(elements.shape)
        return ~found if invert else found
