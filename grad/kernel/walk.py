"""What statements of kernel IR contain: the statements inside loops, indices, values that are read.

Passes over kernels (`tiles.py`, `keep.py`, `join.py`) and code generation ask these of any
statement of `ir.py`; what only one of them asks is in its own file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grad.graph.index import Index
from grad.kernel.ir import Accumulate, Count, Let, Load, Loop, Running, Statement, Store, Test

# An operation that costs as much as so many additions is dear.
DEAR = 14


def statements_in(statements: Iterable[Statement]) -> Iterator[Statement]:
    """All of `statements` and those of the loops among them, from the last one to the first."""
    pending = list(statements)
    while pending:
        statement = pending.pop()
        if isinstance(statement, Loop):
            pending.extend(statement.body)
        yield statement


def is_dear(loop: Loop) -> bool:
    """Whether a loop computes for so long that memory has time meanwhile."""
    return any(isinstance(s, Let) and s.op.cost >= DEAR for s in statements_in(loop.body))


def indices_of(statement: Statement) -> list[Index]:
    """All index expressions of a statement."""
    match statement:
        case Load() | Store():
            return [statement.index, *(guard.index for guard in statement.guards)]
        case Test():
            return [guard.index for guard in statement.guards]
        case Count():
            return [statement.index]
    return []


def operands_of(statement: Statement) -> tuple[int, ...]:
    """The values that a statement reads, those in its indices and guards included."""
    places = tuple(value for index in indices_of(statement) for value in index.dynamics())
    match statement:
        case Let():
            return statement.operands
        case Store() | Accumulate():
            return (statement.value, *places)
        case Running():
            return (statement.operand,)
    return places
