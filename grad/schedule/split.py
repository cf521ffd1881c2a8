"""Cut long sums of small matrix products in slices, so that threads can share them.

A product of few rows and columns has few pieces of work: a weight gradient of a small layer over a
large batch has one. Where its sums are long, the axis k becomes a batch of slices, whose products
are summed in a fixed order afterwards. How many slices there are follows from the shape, never from
the number of threads, so results stay the same on any number of them. Runs before `simplify.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from grad.graph.movement import Move, Shape, moved_shape
from grad.graph.primitives import ADD, CONTRACT, PERMUTE, RESHAPE, SLICE, SUM, Primitive
from grad.graph.sizes import hint, is_fixed
from grad.schedule.program import Entry, Program

# Work is counted in floating-point operations; a byte of an operand takes as long as several.
SLICE_WORK = 3_000_000
WORK_OF_BYTE = 6
PIECES = 16
ENOUGH_RUNS = 4  # of a vector product: the sums of slices would cost more than they bring
LEAST_DEPTH = 512
DEPTH_STEP = 16
# A block of the result that a thread computes as one piece: rows and columns of a tiled product,
# columns (or rows) of one that has few rows (or columns).
PIECE_ROWS, PIECE_COLUMNS, FEW, PIECE_RUN = 48, 64, 4, 256


def split_deep_products(program: Program) -> Program:
    """`program` with every matrix product cut that is worth cutting."""
    entries: list[Entry] = []
    numbers: list[int] = []
    for entry in program.entries:
        entry = entry._replace(src=tuple(numbers[s] for s in entry.src))
        depth = slice_depth(entries, entry) if entry.op is CONTRACT else 0
        numbers.append(_sliced(entries, entry, depth) if depth else _add(entries, entry))
    if len(entries) == len(numbers):
        return program
    outputs = tuple(numbers[o] for o in program.outputs)
    return replace(program, entries=tuple(entries), outputs=outputs)


def slice_depth(entries: list[Entry], entry: Entry) -> int:
    """Elements of k in a slice, 0 for a product that stays whole."""
    *batch, m, n = map(hint, entry.shape)
    k = entries[entry.src[0]].shape[-1]
    k, whole = hint(k), hint(_sliceable(k))
    if min(m, n) <= FEW:
        blocks = math.ceil(max(m, n) / PIECE_RUN) * math.prod(batch)
        if blocks >= ENOUGH_RUNS:
            return 0
    else:
        blocks = math.ceil(m / PIECE_ROWS) * math.ceil(n / PIECE_COLUMNS) * math.prod(batch)
    nbytes = k * (m + n) * entry.dtype.itemsize
    work = math.prod(batch) * max(2 * m * n * k, nbytes * WORK_OF_BYTE)
    slices = min(PIECES, work // SLICE_WORK) // max(1, blocks)
    slices = min(slices, k // LEAST_DEPTH)
    return whole // slices // DEPTH_STEP * DEPTH_STEP if slices > 1 else 0


def _sliceable(k: int) -> int:
    """Elements of k that may be in slices: all, but where k is open. There is always something left
    over then, so that whether there is does not divide the sizes in two.
    """
    return k if is_fixed(k) else k - 1


def _add(entries: list[Entry], entry: Entry) -> int:
    entries.append(entry)
    return len(entries) - 1


def _move(entries: list[Entry], number: int, op: Primitive, arg: Any) -> int:
    source = entries[number]
    shape = moved_shape(source.shape, Move(op, arg))
    return _add(entries, Entry(op, (number,), arg, shape, source.dtype))


def _sliced(entries: list[Entry], entry: Entry, depth: int) -> int:
    """The product as a sum over slices of `depth`, and of what is left over."""
    rank = len(entry.shape)
    k = entries[entry.src[0]].shape[-1]
    count = _sliceable(k) // depth
    operands = zip(entry.src, (rank - 1, rank - 2), strict=True)
    pairs = [
        (_slices(entries, source, axis, depth), _part(entries, source, axis, count * depth, k))
        for source, axis in operands
    ]
    (a, a_rest), (b, b_rest) = pairs
    shape: Shape = (count, *entry.shape)
    partial = _add(entries, Entry(CONTRACT, (a, b), None, shape, entry.dtype))
    total = _add(entries, Entry(SUM, (partial,), (0,), entry.shape, entry.dtype))
    if count * depth == k:
        return total
    rest = _add(entries, Entry(CONTRACT, (a_rest, b_rest), None, entry.shape, entry.dtype))
    return _add(entries, Entry(ADD, (total, rest), None, entry.shape, entry.dtype))


def _part(entries: list[Entry], number: int, axis: int, start: int, stop: int) -> int:
    """Elements `start` to `stop` of an axis."""
    ranges = [(0, 1, size) for size in entries[number].shape]
    ranges[axis] = (start, 1, stop - start)
    return _move(entries, number, SLICE, tuple(ranges))


def _slices(entries: list[Entry], number: int, axis: int, depth: int) -> int:
    """The slices of `axis` as a new first axis."""
    shape = entries[number].shape
    count = _sliceable(shape[axis]) // depth
    part = _part(entries, number, axis, 0, count * depth)
    cut = _move(entries, part, RESHAPE, (*shape[:axis], count, depth, *shape[axis + 1 :]))
    others = [i for i in range(len(shape) + 1) if i != axis]
    return _move(entries, cut, PERMUTE, (axis, *others))
