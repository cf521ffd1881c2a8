"""Transpose squares in registers: n vectors of n lanes, by shuffles.

Packing of matrix products, convolution tiles and loops that read along rows and columns
(`transposes.py`) use it.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, lanes_of


def transpose(b: Builder, rows: list[Value], element_bytes: int) -> list[Value]:
    """Transpose vectors of n lanes: n of them, or half or a quarter as many, but no fewer than
    there are elements in 16 bytes. Gives n vectors with a lane for each of `rows`.

    Within 16-byte groups it interleaves pairs (single-cycle unpack instructions on x86), between
    groups it swaps blocks.
    """
    count, lanes = len(rows), lanes_of(rows[0].type)
    group = min(lanes, 16 // element_bytes)
    distance = 1
    while distance < group:
        rows = _interleave_stage(b, rows, group, distance)
        distance *= 2
    # The interleaves leave the rows of each group in the order of their number's bits, reversed.
    order = _bits_reversed(group)
    rows = [rows[i - i % group + order[i % group]] for i in range(count)]
    while distance < count:
        rows = _swap_stage(b, rows, distance)
        distance *= 2
    if count == lanes:
        return rows
    # Each holds several of the results, one behind the other.
    parts = [range(start, start + count) for start in range(0, lanes, count)]
    return [b.shuffle(row, None, part) for part in parts for row in rows]


def _bits_reversed(count: int) -> list[int]:
    """The numbers below `count`, a power of two, each with its bits the other way around."""
    order = [0]
    while len(order) < count:
        order = [2 * number for number in order] + [2 * number + 1 for number in order]
    return order


def _interleave_stage(b: Builder, rows: list[Value], group: int, distance: int) -> list[Value]:
    """Interleave, inside each group of lanes, runs of `distance` lanes of rows that far apart."""
    lanes = lanes_of(rows[0].type)
    result = list(rows)
    halves = []
    for half in (0, group // 2):
        order: list[int] = []
        for start in range(half, lanes, group):
            for run in range(start, start + group // 2, distance):
                order += [*range(run, run + distance), *range(lanes + run, lanes + run + distance)]
        halves.append(order)
    for first in range(len(rows)):
        if not first & distance:
            second = first + distance
            result[first] = b.shuffle(rows[first], rows[second], halves[0])
            result[second] = b.shuffle(rows[first], rows[second], halves[1])
    return result


def _swap_stage(b: Builder, rows: list[Value], distance: int) -> list[Value]:
    """Exchange the off-diagonal blocks of `distance` lanes of rows that far apart."""
    lanes = lanes_of(rows[0].type)
    low = [i if not i & distance else lanes + i - distance for i in range(lanes)]
    high = [i + distance if not i & distance else lanes + i for i in range(lanes)]
    result = list(rows)
    for first in range(len(rows)):
        if not first & distance:
            second = first + distance
            result[first] = b.shuffle(rows[first], rows[second], low)
            result[second] = b.shuffle(rows[first], rows[second], high)
    return result
