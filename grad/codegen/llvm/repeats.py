"""Loads in which neighbouring lanes read the same element: ``x[(i + c) // 2]`` along lanes i.

So gradients of pooling and enlarged images read. Instead of gathering, the few elements are loaded
side by side and a shuffle repeats them. `find_repeat` recognises such a load, for which the first
lane must be at a multiple of the divisor; `load_repeat` writes it. An element is read only if one
of its lanes is alive, so nothing outside a buffer is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.codegen.llvm.addresses import Addresses, Lanes
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.lanes import moved_mask
from grad.graph.index import Index, repetition


@dataclass(frozen=True, slots=True)
class Repeat:
    """A pointer to the element of lane 0, and which element after it each lane reads."""

    pointer: Value
    elements: tuple[int, ...]

    @property
    def width(self) -> int:
        """How many elements are loaded: a power of two, and a vector of one is none to builders."""
        return max(1 << self.elements[-1].bit_length(), 2)


def find_repeat(
    addresses: Addresses, parameter: int, index: Index, storage: str, lanes: Lanes
) -> Repeat | None:
    """The load of ``parameter[index]`` as a repetition, if it is one."""
    found = repetition(index, lanes.variable) if lanes.aligned else None
    if found is None or lanes.count % found.divisor:
        return None
    rest = Index(tuple(term for term in index.terms if term[0] != found), index.constant)
    b, divisor, shift = addresses.b, found.divisor, found.index.constant
    first = shift // divisor
    place = addresses.place(parameter, rest, storage, lanes)
    if place.varies:
        return None
    steps = b.add(b.binary("udiv", lanes.first, divisor), first)
    elements = tuple((lane + shift) // divisor - first for lane in range(lanes.count))
    return Repeat(b.gep(storage, place.pointer, steps), elements)


def load_repeat(
    b: Builder, repeat: Repeat, pointer: Value, storage: str, size: int, mask: Value | None
) -> Value:
    """One element a lane from `pointer` on, zero where `mask` does not hold."""
    elements, count, width = repeat.elements, repeat.elements[-1] + 1, repeat.width
    loaded, result = f"<{width} x {storage}>", f"<{len(elements)} x {storage}>"
    if mask is None and width == count:
        return b.shuffle(b.load(loaded, pointer, size), None, elements)
    wanted = b.vector("i1", [number < count for number in range(width)])
    if mask is not None:
        wanted = _alive(b, mask, elements, width)
    zero = Value("zeroinitializer", loaded)
    few = b.masked_load(loaded, pointer, size, wanted, zero)
    every = b.shuffle(few, None, elements)
    return every if mask is None else b.select(mask, every, Value("zeroinitializer", result))


def _alive(b: Builder, mask: Value, elements: tuple[int, ...], width: int) -> Value:
    """For each element whether one of its lanes is alive."""
    lanes = len(elements)
    readers = [[n for n in range(lanes) if elements[n] == number] for number in range(width)]
    result: Value | None = None
    for turn in range(max(map(len, readers))):
        chosen = [own[turn] if turn < len(own) else None for own in readers]
        part = moved_mask(b, mask, chosen)
        result = part if result is None else b.binary("or", result, part)
    assert result is not None
    return result
