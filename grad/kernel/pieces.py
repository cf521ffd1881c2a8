"""Cut loops where their guards change, so that no piece has to ask.

Padding, and what is joined along an axis, is written with guards: an element comes from here below
some index and from there above it. Where a guard is about nothing but the variable of a loop in
lanes, it changes at one turn. The loop is cut there: in each piece all such guards hold, or fail,
as a whole; choices by them are made here, and what only the other choice needs is left out. A
parallel loop in lanes becomes phases. `lower.py` calls this for each candidate before it is priced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeGuard

from grad.dtype import dtypes
from grad.graph.index import Index, Quotient, Variable, add, substitute, variable
from grad.graph.positions import Guard, needed
from grad.graph.primitives import WHERE
from grad.graph.sizes import hint
from grad.kernel.ir import Count, Let, Load, Loop, Number, Scalar, Statement, Store, Test
from grad.kernel.walk import indices_of, operands_of

# More pieces than this are more code than the guards cost.
MOST_PIECES = 9
# Threads meet between phases, so each has to be worth it.
SHORTEST_PHASE = 1 << 14

Plain = Let | Number | Count | Scalar | Test | Load | Store


def cut_phases(phases: Sequence[Sequence[Statement]]) -> list[list[Statement]]:
    """The phases with their loops cut."""
    result: list[list[Statement]] = []
    for *before, last in phases:
        known = {s.value: bool(s.number) for s in before if _is_truth(s)}
        if not isinstance(last, Loop):
            result.append([*before, last])
        elif last.vector:
            pieces = _pieces(last, SHORTEST_PHASE, known)
            result.extend([*before, piece] for piece in pieces)
        else:
            result.append([*before, _cut_inside(last, known)])
    return result


def _cut_inside(loop: Loop, known: Mapping[int, bool]) -> Loop:
    """The loop with those inside it cut; kernels nest them a few levels deep."""
    if loop.squares:
        return loop
    body: list[Statement] = []
    for statement in loop.body:
        if not isinstance(statement, Loop):
            body.append(statement)
        elif statement.vector:
            body.extend(_pieces(statement, 1, known))
        else:
            body.append(_cut_inside(statement, known))
    return replace(loop, body=tuple(body))


def _pieces(loop: Loop, shortest: int, known: Mapping[int, bool]) -> list[Loop]:
    """What a loop in lanes is cut into: itself, where nothing is gained."""
    size = loop.variable.size
    plain = [s for s in loop.body if isinstance(s, Plain)]
    if loop.limit is not None or len(plain) < len(loop.body):
        return [loop]
    turns = {turn for s in plain for guard in _guards(s) for turn in _changes(guard, loop.variable)}
    cuts = [0, *sorted(turn for turn in turns if 0 < turn < size), size]
    lengths = [stop - start for start, stop in pairwise(cuts)]
    if not 1 < len(lengths) <= MOST_PIECES or min(map(hint, lengths)) < shortest:
        return [loop]
    return [
        _piece(loop, plain, start, length, known)
        for start, length in zip(cuts, lengths, strict=False)
    ]


def _is_truth(statement: Statement) -> TypeGuard[Number]:
    return isinstance(statement, Number) and statement.dtype is dtypes.bool


def _guards(statement: Statement) -> tuple[Guard, ...]:
    return statement.guards if isinstance(statement, Load | Test) else ()


def _changes(guard: Guard, lanes: Variable) -> Iterator[int]:
    """The turns of the loop over `lanes` at which `guard` begins or ends to hold, if it is about
    that alone.
    """
    index = guard.index
    if len(index.terms) != 1:
        return
    ((atom, coefficient),) = index.terms
    divisor, before = 1, 0
    if isinstance(atom, Quotient) and len(atom.index.terms) == 1:
        divisor, before = atom.divisor, atom.index.constant
        ((atom, inner),) = atom.index.terms
        if inner != 1:
            return
    if atom == lanes and coefficient == 1:
        for bound in (guard.low, guard.high):
            yield (bound - index.constant) * divisor - before


def _piece(
    loop: Loop, body: Sequence[Plain], start: int, length: int, known: Mapping[int, bool]
) -> Loop:
    """The turns of `loop` from `start` on; `known` are truth values from outside."""
    own = Variable(loop.variable.name, length)
    moved = {loop.variable: add(variable(own.name, length), start)}
    decided = dict(known)
    alias: dict[int, int] = {}
    named = {v for s in body for index in indices_of(s) for v in index.dynamics()}
    kept: list[Plain] = []
    for statement in body:
        match statement:
            case Test(value, guards):
                held = _still_asked(guards, moved)
                if held:
                    kept.append(replace(statement, guards=held))
                else:
                    decided[value] = held is not None
                    kept.append(Number(value, decided[value], statement.dtype))
            case Load(value, _, index, dtype, guards):
                held = _still_asked(guards, moved)
                if held is None:
                    kept.append(Number(value, 0, dtype))
                else:
                    kept.append(replace(statement, index=substitute(index, moved), guards=held))
            case Let(value, op, operands):
                operands = tuple(alias.get(o, o) for o in operands)
                if op is WHERE and operands[0] in decided and value not in named:
                    chosen = operands[1 if decided[operands[0]] else 2]
                    alias[value] = chosen
                    if chosen in decided:
                        decided[value] = decided[chosen]
                else:
                    kept.append(replace(statement, operands=operands))
            case Count(index=index):
                kept.append(replace(statement, index=substitute(index, moved)))
            case Store(index=index, value=value, guards=guards):
                value = alias.get(value, value)
                held = _still_asked(guards, moved)
                if held is not None:
                    index = substitute(index, moved)
                    kept.append(replace(statement, index=index, value=value, guards=held))
            case _:
                kept.append(statement)
    return replace(loop, variable=own, body=tuple(_read(kept)))


def _still_asked(guards: Iterable[Guard], moved: dict[Variable, Index]) -> tuple[Guard, ...] | None:
    """The guards that may hold or not in a piece; None where one of them never does."""
    found = [guard._replace(index=substitute(guard.index, moved)) for guard in guards]
    if any(g.index.high < g.low or g.index.low >= g.high for g in found):
        return None
    return tuple(guard for guard in found if needed(guard))


def _read(body: Sequence[Plain]) -> Iterator[Plain]:
    """The statements that store something, or that others read."""
    used: set[int] = set()
    kept: list[Plain] = []
    for statement in reversed(body):
        if isinstance(statement, Store) or statement.value in used:
            kept.append(statement)
            used.update(operands_of(statement))
    return reversed(kept)
