"""Which cache lines a loop over rows asks for early, so that memory works while it computes.

A kernel that walks each row several times waits for memory in the first of these loops, which only
reads, and in the last, which writes, and computes in the one between; far too much lies between the
two for the processor to overlap them by itself. So the dearest loop of a row asks for what the
rows after it will read, and for the lines of this row that will be written. Only so many lines can
be under way: where a second loop costs enough for some to arrive in it, it asks for half of what
will be read. `loops.py` calls this. Prefetching an address that does not exist does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from grad.codegen.llvm.addresses import Addresses
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.conversions import STORAGE
from grad.codegen.llvm.memory import passes_caches
from grad.dtype import DType
from grad.graph.index import Index, Variable, add, substitute, variable
from grad.kernel.cost import phase_cost
from grad.kernel.ir import Load, Loop, Parameter, Store

LINE_BYTES = 64
# What is read is asked for this far ahead at least: many short rows, or the next long one.
AHEAD_BYTES = 4096
# A second loop asks for its half if it costs this much of what the dearest does.
ENOUGH = 1 / 4
# The next row has to wait in the second-level cache.
LONGEST_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class Soon:
    """What will be read or written: ``parameter[index]`` and as far as the vector reaches.

    Of a row that `parts` loops ask for, each asks for one part, which begins at element `first`.
    """

    parameter: int
    index: Index
    dtype: DType
    written: bool
    first: int = 0
    parts: int = 1


def prefetches(
    rows: Loop, parameters: Mapping[int, Parameter], vector_bytes: int = LINE_BYTES
) -> dict[Variable, tuple[Soon, ...]]:
    """What the loops inside `rows` (by their variables) should ask for."""
    inner = [s for s in rows.body if isinstance(s, Loop) and s.vector and s.limit is None]
    size = inner[0].variable.size if inner else 0
    if len(inner) < 2 or any(loop.variable.size != size for loop in inner):
        return {}
    *_, second, dearest = sorted(inner, key=lambda loop: phase_cost((loop,)))
    shared = phase_cost((second,)) >= ENOUGH * phase_cost((dearest,))
    loops = [dearest, second] if shared else [dearest]
    found: dict[Variable, tuple[Soon, ...]] = {}
    for number, asking in enumerate(loops):
        own = variable(asking.variable.name, asking.variable.size)
        first = number * -(-size // len(loops))
        wanted = [
            soon
            for loop in inner
            for soon in _accesses(loop, rows.variable, own, parameters, vector_bytes)
        ]
        reads = [replace(s, first=first, parts=len(loops)) for s in wanted if not s.written]
        writes = [s for s in wanted if s.written and asking is dearest]
        found[asking.variable] = tuple(dict.fromkeys([*reads, *writes]))
    return found


def _accesses(
    loop: Loop,
    row: Variable,
    own: Index,
    parameters: Mapping[int, Parameter],
    vector_bytes: int,
) -> Iterator[Soon]:
    """The accesses of `loop` along rows of `row`, with `own` in the place of its variable."""
    for statement in loop.body:
        if not isinstance(statement, Load | Store) or statement.index.dynamics():
            continue
        parameter = parameters[statement.parameter]
        distance = statement.index.coefficient(row)
        if not distance or statement.index.coefficient(loop.variable) != 1:
            continue
        row_bytes = abs(distance) * parameter.dtype.itemsize
        if parameter.elements or row_bytes > LONGEST_BYTES:
            continue
        here = substitute(statement.index, {loop.variable: own})
        if isinstance(statement, Store):
            itemsize = parameter.dtype.itemsize
            if not passes_caches(statement, loop.variable, itemsize, vector_bytes):
                yield Soon(statement.parameter, here, parameter.dtype, written=True)
        else:
            rows_ahead = max(-(-AHEAD_BYTES // row_bytes), 1)
            there = add(here, distance * rows_ahead)
            yield Soon(statement.parameter, there, parameter.dtype, written=False)


def emit_prefetches(
    b: Builder,
    addresses: Addresses,
    wanted: Iterable[Soon],
    lanes: Variable,
    index: Value,
    width: int,
) -> None:
    """Ask for what a vector of `width` elements from `index` on of the loop over `lanes` will."""
    for soon in wanted:
        place = b.add(b.binary("udiv", index, soon.parts), soon.first) if soon.parts > 1 else index
        with addresses.inside(lanes, place):
            base = addresses.pointer(soon.parameter, soon.index, STORAGE[soon.dtype])
        for line in range(0, width * soon.dtype.itemsize // soon.parts, LINE_BYTES):
            kind = [Value(str(number), "i32") for number in (int(soon.written), 3, 1)]
            b.call("void", "llvm.prefetch.p0", b.gep("i8", base, line), *kind)
