"""Join sums of a row that do not need each other.

`writer.py` answers each reduction with a loop of its own. Two reductions of a row, neither of them
made of the other, may be accumulated in one loop, which loads what both read once. `lower.py` calls
this for each candidate, before `keep.py` looks for what the loops that are left compute twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TypeGuard

from grad.graph.index import Index, Variable, substitute, variable
from grad.graph.positions import Guard
from grad.kernel.ir import (
    Accumulate,
    Count,
    Declare,
    Let,
    Load,
    Loop,
    Number,
    Running,
    Scalar,
    Statement,
    Store,
    Test,
)
from grad.kernel.walk import indices_of, operands_of, statements_in

Computing = Let | Number | Scalar | Count | Test | Load


def join_loops(statements: Sequence[Statement]) -> list[Statement]:
    """`statements` with each loop that only accumulates joined to an earlier one that reads some
    of the same, where there is one.
    """
    body: list[Statement] = []
    for statement in statements:
        # Loops nest no deeper than kernels nest them.
        if isinstance(statement, Loop) and not statement.vector:
            statement = replace(statement, body=tuple(join_loops(statement.body)))
        body.append(statement)
    place = 0
    while place < len(body):
        loop = body[place]
        earlier = _partner(body[:place], loop) if _only_sums(loop) else None
        if earlier is None:
            place += 1
        else:
            body = _moved(body, earlier, place)
    return body


def _only_sums(statement: Statement) -> TypeGuard[Loop]:
    """Whether a statement is a loop without effects but on accumulators from outside."""
    return (
        isinstance(statement, Loop)
        and not statement.parallel
        and statement.limit is None
        and all(isinstance(s, Computing | Accumulate) for s in statement.body)
        and not any(index.dynamics() for s in statement.body for index in indices_of(s))
    )


def _partner(before: Sequence[Statement], loop: Statement) -> int | None:
    """The last statement `before` that is a loop which `loop` may be a part of; None without."""
    assert isinstance(loop, Loop)
    totals = {s.accumulator for s in loop.body if isinstance(s, Accumulate)}
    inside = {s.value for s in loop.body if isinstance(s, Computing)}
    needs = {v for s in loop.body for v in operands_of(s)} - inside - totals
    reads = {s.parameter for s in loop.body if isinstance(s, Load)}
    loads = set(_loads(loop))
    for place in range(len(before) - 1, -1, -1):
        other = before[place]
        if needs & set(_made(other)) or reads & set(_stored(other)):
            return None
        if (
            _only_sums(other)
            and (other.variable.size, other.vector) == (loop.variable.size, loop.vector)
            and loads & set(_loads(other))
        ):
            return place
    return None


def _moved(body: Sequence[Statement], earlier: int, place: int) -> list[Statement]:
    """`body` with the loop at `place` in the one at `earlier`, and its accumulators before that."""
    first, second = body[earlier], body[place]
    assert isinstance(first, Loop) and isinstance(second, Loop)
    totals = {s.accumulator for s in second.body if isinstance(s, Accumulate)}
    between = body[earlier + 1 : place]
    begun = [s for s in between if isinstance(s, Declare) and s.value in totals]
    others = [s for s in between if s not in begun]
    joined = _joined(first, second)
    return [*body[:earlier], *begun, joined, *others, *body[place + 1 :]]


def _joined(first: Loop, second: Loop) -> Loop:
    """One loop that does what both do, and computes what is the same once."""
    body = list(first.body)
    known: dict[Hashable, int] = {
        replace(s, value=0): s.value for s in body if isinstance(s, Let | Load | Count | Test)
    }
    same: dict[int, int] = {}
    for statement in second.body:
        moved = _renamed(statement, second.variable, first.variable, same)
        if isinstance(moved, Let | Load | Count | Test):
            found = known.setdefault(replace(moved, value=0), moved.value)
            if found != moved.value:
                same[moved.value] = found
                continue
        body.append(moved)
    return replace(first, body=tuple(body))


def _renamed(statement: Statement, old: Variable, new: Variable, same: dict[int, int]) -> Statement:
    """The statement in another loop, where some values have the number of the `same` one."""

    def index(given: Index) -> Index:
        return substitute(given, {old: variable(new.name, new.size)})

    def guards(given: Sequence[Guard]) -> tuple[Guard, ...]:
        return tuple(guard._replace(index=index(guard.index)) for guard in given)

    match statement:
        case Let():
            return replace(statement, operands=tuple(same.get(o, o) for o in statement.operands))
        case Load():
            return replace(statement, index=index(statement.index), guards=guards(statement.guards))
        case Count():
            return replace(statement, index=index(statement.index))
        case Test():
            return replace(statement, guards=guards(statement.guards))
        case Accumulate():
            return replace(statement, value=same.get(statement.value, statement.value))
    return statement


def _loads(loop: Loop) -> Iterator[Hashable]:
    """What a loop loads, the same for loops over other variables."""
    row = Variable("row", loop.variable.size)
    for s in loop.body:
        if isinstance(s, Load):
            yield replace(_renamed(s, loop.variable, row, {}), value=0)  # type: ignore[call-arg]


def _made(statement: Statement) -> Iterator[int]:
    """The values that a statement defines or changes."""
    for s in statements_in([statement]):
        if isinstance(s, Computing | Declare | Running):
            yield s.value
        if isinstance(s, Accumulate | Running):
            yield s.accumulator


def _stored(statement: Statement) -> Iterator[int]:
    """The parameters that a statement stores to."""
    return (s.parameter for s in statements_in([statement]) if isinstance(s, Store))
