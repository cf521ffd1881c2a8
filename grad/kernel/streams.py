"""Mark the stores whose lines need not pass through the caches.

An ordinary store reads the line that it writes a part of, and puts it into the caches, out of
which it drives others. A store of whole lines of a result too large to stay there until somebody
reads it may go past them (`Store.streams`; docs/design/016). `lower.py` calls `stream_stores` on
kernels that write memory of their own, whose first element begins a line; a tensor that is written
in place may begin anywhere. Rows of such a result begin anywhere too where their length is odd:
`codegen/llvm/loops.py` streams whole vectors only, and has those of long rows begin lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace

from grad.graph.index import Index, Variable
from grad.graph.sizes import hint, is_multiple
from grad.kernel.ir import Load, Loop, Parameter, Statement, Store
from grad.kernel.ir_contraction import Contraction
from grad.kernel.walk import is_dear

LINE_BYTES = 64
# In shorter rows that begin anywhere, few lines are whole.
LEAST_ROW_BYTES = 256
# A core's share of the last-level cache of a server is a few megabytes.
LEAST_BYTES = 8 << 20
# All of it is a few times that. What the same plan reads again, and what a kernel stores that has
# much to compute and fetches its lines meanwhile, passes through the caches up to here.
ALL_BYTES = 64 << 20


def stream_stores(
    phases: Sequence[Sequence[Statement]],
    parameters: Sequence[Parameter],
    read_again: Container[int],
) -> list[list[Statement]]:
    """The phases with their large results streamed. `read_again`: parameters that others read."""
    read = {s.parameter for phase in phases for s in _flat(phase) if isinstance(s, Load)}
    computes = any(p.elements for p in parameters)
    results = {
        p.number: (
            p.dtype.itemsize,
            ALL_BYTES if computes or p.number in read_again else LEAST_BYTES,
        )
        for p in parameters
        if p.written and p.number not in read
    }
    # A phase may change what the one before it stored, but not if all are pieces of one loop.
    if not all(isinstance(phase[-1], Loop) and phase[-1].vector for phase in phases):
        writers = Counter(number for phase in phases for number in _stored(phase))
        results = {number: result for number, result in results.items() if writers[number] == 1}
    if not results:
        return [list(phase) for phase in phases]
    return [[_marked(s, None, results) for s in phase] for phase in phases]


def stores_stream(index: Index, lanes: Variable, itemsize: int, least_bytes: int) -> bool:
    """Whether a store at `index` along `lanes` writes whole lines of a large result, in order."""
    if hint(index.high + 1) * itemsize < least_bytes or index.coefficient(lanes) != 1:
        return False
    if index.dynamics():
        return False
    least = LINE_BYTES if begins_lines(index, lanes, itemsize) else LEAST_ROW_BYTES
    return hint(lanes.size) * itemsize >= least


def begins_lines(index: Index, lanes: Variable, itemsize: int) -> bool:
    """Whether rows along `lanes` begin lines, if the first one does."""
    steps = (index.constant, *(step for atom, step in index.terms if atom != lanes))
    return all(is_multiple(step * itemsize, LINE_BYTES) for step in steps)


def _stored(phase: Sequence[Statement]) -> set[int]:
    """The parameters that a phase stores to."""
    return {s.parameter for s in _flat(phase) if isinstance(s, Store)}


def _flat(statements: Sequence[Statement]) -> list[Statement]:
    found: list[Statement] = []
    stack = list(statements)
    while stack:
        statement = stack.pop()
        found.append(statement)
        if isinstance(statement, Loop | Contraction):
            stack.extend(statement.body)
    return found


def _marked(
    statement: Statement, lanes: Variable | None, results: dict[int, tuple[int, int]]
) -> Statement:
    """The statement with the stores in it marked; kernels nest loops a few levels deep."""
    if isinstance(statement, Loop):
        lanes = statement.variable if statement.vector else lanes
        body = tuple(_marked(s, lanes, results) for s in statement.body)
        if lanes is not None:
            body = _kept(replace(statement, body=body), lanes, results)
        return replace(statement, body=body)
    if not isinstance(statement, Store) or lanes is None:
        return statement
    result = results.get(statement.parameter)
    streams = result is not None and stores_stream(statement.index, lanes, *result)
    return replace(statement, streams=True) if streams else statement


def _kept(
    loop: Loop, lanes: Variable, results: dict[int, tuple[int, int]]
) -> tuple[Statement, ...]:
    """The body of a loop with the marks that can stay. Where rows begin anywhere the loop begins
    with a part of a vector: all marked stores must have theirs at the same place, and it must not
    compute for long, since then its lines arrive meanwhile.
    """
    places = {s: (s.index, results[s.parameter][0]) for s in marked_stores(loop)}
    anywhere = {s for s, place in places.items() if not begins_lines(place[0], lanes, place[1])}
    whole = loop.vector and not loop.parallel and loop.limit is None
    if whole and not is_dear(loop) and len(set(places.values())) == 1:
        return loop.body
    return tuple(
        replace(s, streams=False) if isinstance(s, Store) and s in anywhere else s
        for s in loop.body
    )


def marked_stores(loop: Loop) -> list[Store]:
    """The stores of a loop, not of those in it, that are marked."""
    return [s for s in loop.body if isinstance(s, Store) and s.streams]
