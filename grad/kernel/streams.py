"""Mark the stores whose lines need not pass through the caches.

An ordinary store reads the line that it writes a part of, and puts it into the caches, out of
which it drives others. A store of whole lines of a result too large to stay there until somebody
reads it may go past them (`Store.streams`; docs/design/017). `lower.py` calls `stream_stores` on
kernels that write memory of their own, whose first element begins a line; a tensor that is written
in place may begin anywhere. `codegen/llvm/loops.py` streams whole vectors only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grad.graph.index import Index, Variable
from grad.kernel.ir import Contraction, Load, Loop, Parameter, Statement, Store

LINE_BYTES = 64
# A core's share of the last-level cache of a server is a few megabytes.
LEAST_BYTES = 8 << 20


def stream_stores(
    phases: Sequence[Sequence[Statement]], parameters: Sequence[Parameter]
) -> list[list[Statement]]:
    """The phases with their large results streamed."""
    read = {s.parameter for phase in phases for s in _flat(phase) if isinstance(s, Load)}
    itemsizes = {
        p.number: p.dtype.itemsize for p in parameters if p.written and p.number not in read
    }
    if len(phases) > 1 or not itemsizes:
        return [list(phase) for phase in phases]
    return [[_marked(s, None, itemsizes) for s in phase] for phase in phases]


def stores_stream(index: Index, lanes: Variable, itemsize: int) -> bool:
    """Whether a store at `index` along `lanes` writes whole lines of a large result, in order."""
    if (index.high + 1) * itemsize < LEAST_BYTES or index.coefficient(lanes) != 1:
        return False
    if lanes.size * itemsize < LINE_BYTES or index.constant * itemsize % LINE_BYTES:
        return False
    others = (coefficient for atom, coefficient in index.terms if atom != lanes)
    return not index.dynamics() and all(c * itemsize % LINE_BYTES == 0 for c in others)


def _flat(statements: Sequence[Statement]) -> list[Statement]:
    found: list[Statement] = []
    stack = list(statements)
    while stack:
        statement = stack.pop()
        found.append(statement)
        if isinstance(statement, Loop | Contraction):
            stack.extend(statement.body)
    return found


def _marked(statement: Statement, lanes: Variable | None, itemsizes: dict[int, int]) -> Statement:
    """The statement with the stores in it marked; kernels nest loops a few levels deep."""
    if isinstance(statement, Loop):
        lanes = statement.variable if statement.vector else lanes
        body = tuple(_marked(s, lanes, itemsizes) for s in statement.body)
        return replace(statement, body=body)
    if not isinstance(statement, Store) or lanes is None:
        return statement
    itemsize = itemsizes.get(statement.parameter)
    streams = itemsize is not None and stores_stream(statement.index, lanes, itemsize)
    return replace(statement, streams=True) if streams else statement
