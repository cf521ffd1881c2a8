"""Loads in which some neighbouring lanes each read elements in a row: ``x[32 * (i // 8) + i % 8]``.

So read axes that were joined although they are not side by side: the heads of attention put
together again, tiles of an image, pixels shuffled. Where the first lane is at a multiple of such a
run, each run is one wide load, whose address is that of a single element. `find_runs` recognises
such a load, `load_runs` writes it; of lanes that are not alive nothing is read.
"""

from __future__ import annotations

from grad.codegen.llvm.addresses import Addresses, Lanes
from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.lanes import side_by_side
from grad.codegen.llvm.memory import row_load, where_held
from grad.graph.index import ZERO, Index, Variable, run_length, run_start


def find_runs(
    addresses: Addresses, parameter: int, index: Index, storage: str, lanes: Lanes
) -> list[Value] | None:
    """Where each run of the load of ``parameter[index]`` begins, if it has any."""
    if not lanes.aligned:
        return None
    length = run_length(index, lanes.variable, lanes.count)
    if length is None:
        return None
    b = addresses.b
    start = run_start(index, lanes.variable, length, ZERO)
    number = Variable(lanes.variable.name, -(-lanes.variable.size // length))
    first = b.binary("udiv", lanes.first, length)
    pointers = []
    for run in range(lanes.count // length):
        with addresses.inside(number, b.add(first, run)):
            pointers.append(addresses.place(parameter, start, storage, None).pointer)
    return pointers


def load_runs(
    b: Builder, pointers: list[Value], storage: str, size: int, count: int, mask: Value | None
) -> Value:
    """One element for each of `count` lanes, zero where `mask` does not hold."""
    length = count // len(pointers)
    parts = []
    for number, pointer in enumerate(pointers):
        alive = None
        if mask is not None:
            first = number * length
            alive = b.shuffle(mask, None, range(first, first + length))
            some = b.call("i1", f"llvm.vector.reduce.or.v{length}i1", alive)
            pointer = where_held(b, pointer, some, length * size)
        parts.append(row_load(b, pointer, vector_type(storage, length), size, alive, False))
    return side_by_side(b, parts)
