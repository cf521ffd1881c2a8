"""The lanes of one vector among themselves: all combined, each with those before it, backwards.

`loops.py` calls these at the end of a reduction in lanes, for running sums, and for accesses that
go through memory backwards. `lanes_below` is the mask of a vector that is not full, `moved_mask`
that of a load whose elements are for other lanes, `side_by_side` makes one vector of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grad.codegen.llvm.builder import Builder, Value, element_of, lanes_of

Combine = Callable[[Value, Value], Value]


def across(b: Builder, combine: Combine, value: Value) -> Value:
    """All lanes combined, halving by halving: a scalar."""
    while lanes_of(value.type) > 2:
        half = lanes_of(value.type) // 2
        low, high = (b.shuffle(value, None, range(s, s + half)) for s in (0, half))
        value = combine(low, high)
    return combine(lane(b, value, 0), lane(b, value, 1)) if lanes_of(value.type) == 2 else value


def lane(b: Builder, value: Value, number: int) -> Value:
    """One lane of a vector as a scalar."""
    element = element_of(value.type)
    return b.emit(element, f"extractelement {value.type} {value.text}, i32 {number}")


def running(
    b: Builder, combine: Combine, before: Value, value: Value, neutral: Value
) -> tuple[Value, Value]:
    """Each lane combined with all before it and with `before`, and the last of them in all lanes.

    Runs twice, four times ... as long are combined in turn; `before` comes last, so that the next
    vector waits for one operation only.
    """
    lanes, distance = lanes_of(value.type), 1
    while distance < lanes:
        order = [lane - distance if lane >= distance else lanes for lane in range(lanes)]
        value = combine(b.shuffle(value, neutral, order), value)
        distance *= 2
    last = b.shuffle(value, None, [lanes - 1] * lanes)
    return combine(before, value), combine(before, last)


def reverse(b: Builder, value: Value) -> Value:
    """The lanes in the opposite order."""
    return b.shuffle(value, None, range(lanes_of(value.type) - 1, -1, -1))


def lanes_below(b: Builder, count: Value, lanes: int) -> Value:
    """A mask of the lanes whose number is less than `count` (i64, may be negative)."""
    numbers = b.vector("i64", range(lanes))
    return b.icmp("slt", numbers, b.splat(count, lanes))


def known_mask(mask: Value) -> list[bool] | None:
    """What a mask that is written as a constant holds; None for others."""
    if mask.text[0] != "<":
        return None
    return ["true" in word for word in mask.text.split(",")]


def moved_mask(b: Builder, mask: Value, order: Sequence[int | None]) -> Value:
    """A mask whose lane i is lane ``order[i]`` of `mask`, false for None.

    Lanes of whole numbers are moved: a processor moves single bits of a mask one by one.
    """
    lanes = lanes_of(mask.type)
    wide = b.convert("sext", mask, "i32")
    nowhere = Value("zeroinitializer", wide.type)
    moved = b.shuffle(wide, nowhere, [lanes if lane is None else lane for lane in order])
    return b.icmp("slt", moved, 0)


def side_by_side(b: Builder, parts: Sequence[Value]) -> Value:
    """The lanes of all `parts`, a power of two of vectors of one type, in one vector."""
    while len(parts) > 1:
        width = 2 * lanes_of(parts[0].type)
        parts = [b.shuffle(x, y, range(width)) for x, y in zip(parts[::2], parts[1::2])]
    return parts[0]
