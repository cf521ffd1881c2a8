"""The lanes of one vector among themselves: all combined, each with those before it, backwards.

`loops.py` calls these at the end of a reduction in lanes, for running sums, and for accesses that
go through memory backwards. `lanes_below` is the mask of a vector that is not full.
"""

from __future__ import annotations

from collections.abc import Callable

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
