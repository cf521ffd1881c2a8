"""Loads in which neighbouring lanes read elements a few apart: ``x[3 * i]`` along lanes i.

So read pooling and convolution with strides, images made smaller and single columns of pairs.
A gather takes an instruction's time for every lane or two. Instead, all elements from the first
to the last lane's are loaded side by side, and shuffles pick those that are wanted. `find_stride`
recognises such a load, `load_stride` writes it. What lies between two elements that are read lies
in the same buffer, so nothing outside is touched; of lanes that are not alive nothing is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.codegen.llvm.addresses import Addresses, Lanes
from grad.codegen.llvm.builder import Builder, Value, element_of, lanes_of, vector_type
from grad.codegen.llvm.lanes import moved_mask, side_by_side
from grad.codegen.llvm.memory import row_load
from grad.graph.index import Index, short_step


@dataclass(frozen=True, slots=True)
class Stride:
    """A pointer to the element of lane 0, and how many elements further each next lane reads."""

    pointer: Value
    step: int
    lanes: int


def find_stride(
    addresses: Addresses, parameter: int, index: Index, storage: str, lanes: Lanes
) -> Stride | None:
    """The load of ``parameter[index]`` as elements a few apart, if it is one."""
    step = short_step(index, lanes.variable)
    if step is None:
        return None
    rest = Index(tuple(term for term in index.terms if term[0] != lanes.variable), index.constant)
    b = addresses.b
    place = addresses.place(parameter, rest, storage, lanes)
    if place.varies:
        return None
    first = b.gep(storage, place.pointer, b.mul(lanes.first, step))
    return Stride(first, step, lanes.count)


def load_stride(
    b: Builder, stride: Stride, pointer: Value, storage: str, size: int, mask: Value | None
) -> Value:
    """One element a lane from `pointer` on, zero where `mask` does not hold; a register at a time,
    since longer shuffles become scalar code.
    """
    width = min(stride.lanes, max(b.vector_bytes // size, 2))
    parts = []
    for first in range(0, stride.lanes, width):
        own = None if mask is None else b.shuffle(mask, None, range(first, first + width))
        begin = b.gep(storage, pointer, first * stride.step)
        is_last = first + width == stride.lanes
        rows = _rows(b, width, stride.step, size, mask is None and is_last)
        parts.append(_load_register(b, begin, stride.step, vector_type(storage, width), rows, own))
    return side_by_side(b, parts)


@dataclass(frozen=True, slots=True)
class _Row:
    """Elements side by side that are loaded together.

    Attributes:
        start: the first one, from that of lane 0 on.
        count: so many may be read.
        size: bytes of each.
    """

    start: int
    count: int
    size: int


def _rows(b: Builder, width: int, step: int, size: int, is_end: bool) -> list[_Row]:
    """The rows in which the lanes of one register lie. At the end of what is read (`is_end`) the
    last row is cut off, or, where a processor cannot do that, begins earlier; elsewhere rows do not
    overlap, so that most of them lie in one line of the cache if the first does.
    """
    behind = step * (width - 1) + 1 if is_end else step * width
    cuts = ("avx512bw" if size < 4 else "avx2") in b.features
    rows = []
    for start in range(0, step * (width - 1) + 1, width):
        count = min(behind - start, width)
        place = start if cuts else min(start, behind - width)
        rows.append(_Row(place, count if cuts else width, size))
    return rows


def _load_register(
    b: Builder, pointer: Value, step: int, type_name: str, rows: list[_Row], mask: Value | None
) -> Value:
    """The lanes of one register out of `rows`."""
    width, storage = lanes_of(type_name), element_of(type_name)
    result, places, known = None, [0] * width, 0  # where the first `known` lanes are in `result`
    for row in rows:
        stop = min((row.start + row.count - 1) // step + 1, width)
        if stop == known:
            continue
        elements = range(row.start, row.start + width)
        wanted = None
        if mask is not None:
            lanes = [e // step if e % step == 0 and e // step < width else None for e in elements]
            wanted = moved_mask(b, mask, lanes)
        elif row.count < width:
            wanted = b.vector("i1", [number < row.count for number in range(width)])
        place = b.gep(storage, pointer, row.start)
        loaded = row_load(b, place, type_name, row.size, wanted, False)
        before = 0 if result is None else width
        places[known:stop] = [before + lane * step - row.start for lane in range(known, stop)]
        if result is None:
            result = loaded
        else:
            result, places = b.shuffle(result, loaded, places), [*range(width)]
        known = stop
    assert result is not None
    return result
