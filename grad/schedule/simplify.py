"""Rewrite a Program into a smaller one with the same values, bit for bit: but for the order in
which a reduction takes its elements.

One pass in topological order: each entry is rewritten by the first rule of `RULES` that applies,
equal entries become one, and what nobody needs falls away. Rules keep IEEE's special cases: ``x *
1`` is ``x``, but ``x + 0`` is not (it turns -0.0 into 0.0) and ``x * 0`` is not 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from grad.graph.primitives import (
    ADD,
    CAST,
    CONST,
    DIV,
    EXPAND,
    MAX,
    MIN,
    MUL,
    NEG,
    PERMUTE,
    POW,
    PROD,
    RESHAPE,
    SUB,
    SUM,
)
from grad.schedule.program import Entry, Program


class _Rewriter:
    """The new program so far, and the number that each old entry has in it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.known: dict[Any, int] = {}

    def add(self, entry: Entry) -> int:
        """The number of `entry`: of an equal one if there is one."""
        entry, number = self.simplified(entry)
        if number is not None:
            return number
        key = (entry.op, entry.src, entry.dtype, entry.shape, _exact(entry))
        if key not in self.known:
            self.known[key] = len(self.entries)
            self.entries.append(entry)
        return self.known[key]

    def simplified(self, entry: Entry) -> tuple[Entry, int | None]:
        """The entry after all rules, or the number of the entry that it equals."""
        changed = True
        while changed:
            changed = False
            for rule in RULES.get(entry.op, ()):
                found = rule(self, entry)
                if isinstance(found, int):
                    return entry, found
                if found is not None:
                    entry, changed = found, True
                    break
        return entry, None

    def constant(self, number: int) -> Any:
        """The Python number that entry `number` is everywhere, or None."""
        entry = self.entries[number]
        while entry.op in (EXPAND, RESHAPE, PERMUTE):
            entry = self.entries[entry.src[0]]
        return entry.arg if entry.op is CONST else None


def _exact(entry: Entry) -> Any:
    if entry.op is CONST:
        return (type(entry.arg).__name__, repr(entry.arg))
    return entry.arg


Rule = Callable[[_Rewriter, Entry], "int | Entry | None"]


def _same_shape(r: _Rewriter, entry: Entry, source: int) -> int | None:
    """`source` may stand for `entry` if it has its shape."""
    found = r.entries[source]
    return source if found.shape == entry.shape and found.dtype is entry.dtype else None


def _is(constant: Any, value: float) -> bool:
    """Whether a constant is the number `value`; -0.0 is not 0, and bools are no numbers."""
    if constant is None or isinstance(constant, bool) or constant != value:
        return False
    return math.copysign(1.0, constant) == math.copysign(1.0, value)


def _unit_right(value: float) -> Rule:
    """``x op value`` is ``x``."""

    def rule(r: _Rewriter, entry: Entry) -> int | None:
        if not _is(r.constant(entry.src[1]), value):
            return None
        return _same_shape(r, entry, entry.src[0])

    return rule


def _unit_left(value: float) -> Rule:
    """``value op x`` is ``x``."""

    def rule(r: _Rewriter, entry: Entry) -> int | None:
        if not _is(r.constant(entry.src[0]), value):
            return None
        return _same_shape(r, entry, entry.src[1])

    return rule


def _integer_zero(r: _Rewriter, entry: Entry) -> int | Entry | None:
    """``x + 0`` is ``x`` for integers."""
    if entry.dtype.kind not in "iu":
        return None
    right = _unit_right(0)(r, entry)
    return right if right is not None else _unit_left(0)(r, entry)


def _power(r: _Rewriter, entry: Entry) -> int | Entry | None:
    """Whole exponents that products give exactly as well: 1, 2, and -1 for floats."""
    exponent = r.constant(entry.src[1])
    base = entry.src[0]
    if exponent is None or r.entries[base].shape != entry.shape:
        return None
    if exponent == 1:
        return base
    if exponent == 2:
        return Entry(MUL, (base, base), None, entry.shape, entry.dtype)
    if exponent == -1 and entry.dtype.kind == "f":
        one = r.add(Entry(CONST, (), 1.0, (), entry.dtype))
        return Entry(DIV, (one, base), None, entry.shape, entry.dtype)
    return None


def _double_negation(r: _Rewriter, entry: Entry) -> int | None:
    source = r.entries[entry.src[0]]
    return source.src[0] if source.op is NEG else None


def _idle_cast(r: _Rewriter, entry: Entry) -> int | None:
    source = entry.src[0]
    return source if r.entries[source].dtype is entry.dtype else None


def _reshape_of_reshape(r: _Rewriter, entry: Entry) -> int | Entry | None:
    source = r.entries[entry.src[0]]
    if source.shape == entry.arg:
        return entry.src[0]
    if source.op is RESHAPE:
        return Entry(RESHAPE, source.src, entry.arg, entry.shape, entry.dtype)
    return None


def _permute_of_permute(r: _Rewriter, entry: Entry) -> int | Entry | None:
    if entry.arg == tuple(range(len(entry.arg))):
        return entry.src[0]
    source = r.entries[entry.src[0]]
    if source.op is PERMUTE:
        order = tuple(source.arg[axis] for axis in entry.arg)
        return Entry(PERMUTE, source.src, order, entry.shape, entry.dtype)
    return None


def _permute_of_ones(r: _Rewriter, entry: Entry) -> Entry | None:
    """A permutation that only moves axes of size 1 is a reshape."""
    source = r.entries[entry.src[0]]
    kept = [axis for axis in entry.arg if source.shape[axis] != 1]
    if kept == sorted(kept):
        return Entry(RESHAPE, entry.src, entry.shape, entry.shape, entry.dtype)
    return None


def _expand_of_expand(r: _Rewriter, entry: Entry) -> int | Entry | None:
    source = r.entries[entry.src[0]]
    if source.shape == entry.arg:
        return entry.src[0]
    if source.op is EXPAND:
        return Entry(EXPAND, source.src, entry.arg, entry.shape, entry.dtype)
    return None


def _reduction_of_permute(r: _Rewriter, entry: Entry) -> Entry | None:
    """In which order the reduced axes lie does not matter."""
    source = r.entries[entry.src[0]]
    if source.op is not PERMUTE:
        return None
    kept = [axis for place, axis in enumerate(source.arg) if place not in entry.arg]
    if kept != sorted(kept):
        return None
    axes = tuple(sorted(source.arg[place] for place in entry.arg))
    return entry._replace(src=source.src, arg=axes)


# Tried in order, again after each change.
RULES: dict[Any, tuple[Rule, ...]] = {
    ADD: (_integer_zero,),
    SUB: (_unit_right(0),),
    MUL: (_unit_right(1), _unit_left(1)),
    DIV: (_unit_right(1),),
    POW: (_power,),
    NEG: (_double_negation,),
    CAST: (_idle_cast,),
    RESHAPE: (_reshape_of_reshape,),
    PERMUTE: (_permute_of_permute, _permute_of_ones),
    EXPAND: (_expand_of_expand,),
    **dict.fromkeys((SUM, PROD, MAX, MIN), (_reduction_of_permute,)),
}


def simplify(program: Program) -> Program:
    """`program` with fewer entries. Outputs keep their order."""
    rewriter = _Rewriter()
    numbers: list[int] = []
    for entry in program.entries:
        sources = tuple(numbers[s] for s in entry.src)
        numbers.append(rewriter.add(entry._replace(src=sources)))
    outputs = tuple(numbers[o] for o in program.outputs)
    return _needed(replace(program, entries=tuple(rewriter.entries), outputs=outputs))


def _needed(program: Program) -> Program:
    """The program without entries that no output depends on."""
    wanted = set(program.outputs)
    for number in range(len(program.entries) - 1, -1, -1):
        if number in wanted:
            wanted.update(program.entries[number].src)
    numbers: dict[int, int] = {}
    kept: list[Entry] = []
    for number, entry in enumerate(program.entries):
        if number in wanted:
            numbers[number] = len(kept)
            kept.append(entry._replace(src=tuple(numbers[s] for s in entry.src)))
    outputs = tuple(numbers[o] for o in program.outputs)
    return replace(program, entries=tuple(kept), outputs=outputs)
