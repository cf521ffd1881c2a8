"""One load, by how its index goes along the lanes.

The same element for all lanes is one scalar, elements in a row are one wide load. Neighbours that
read the same element (`repeats.py`), elements a few apart (`strides.py`) or several rows of
elements (`runs.py`) are wide loads and shuffles. All else has an address for each lane. `loops.py`
calls `load_value`; nothing is read where the guard or the lanes' mask does not hold.
"""

from __future__ import annotations

from grad.codegen.llvm.addresses import Addresses, Lanes
from grad.codegen.llvm.builder import Builder, Value, lanes_of, vector_type
from grad.codegen.llvm.conversions import STORAGE
from grad.codegen.llvm.memory import gather, row_load, scalar_load, where_held
from grad.codegen.llvm.repeats import find_repeat, load_repeat
from grad.codegen.llvm.runs import find_runs, load_runs
from grad.codegen.llvm.strides import find_stride, load_stride
from grad.kernel.ir import Load


def load_value(addresses: Addresses, s: Load, guard: Value | None, lanes: Lanes | None) -> Value:
    """What `s` reads, as it is in memory: a scalar, or one a lane; zero where `guard` (None:
    always) does not hold.
    """
    b, storage, size = addresses.b, STORAGE[s.dtype], max(s.dtype.itemsize, 1)
    if lanes is not None:
        repeat = find_repeat(addresses, s.parameter, s.index, storage, lanes)
        if repeat is not None:
            pointer, guard = _held(b, repeat.pointer, guard, repeat.width * size)
            return load_repeat(b, repeat, pointer, storage, size, lanes.alive(b, guard))
        stride = find_stride(addresses, s.parameter, s.index, storage, lanes)
        if stride is not None:
            pointer, guard = _held(b, stride.pointer, guard, stride.step * lanes.count * size)
            return load_stride(b, stride, pointer, storage, size, lanes.alive(b, guard))
        runs = find_runs(addresses, s.parameter, s.index, storage, lanes)
        if runs is not None:
            return load_runs(b, runs, storage, size, lanes.count, lanes.alive(b, guard))
    place = addresses.place(s.parameter, s.index, storage, lanes)
    if not place.varies and (guard is None or lanes_of(guard.type) == 1):
        return scalar_load(b, place.pointer, storage, size, guard)
    assert lanes is not None
    type_name = vector_type(storage, lanes.count)
    if place.jumps is not None:
        return gather(b, place.jumps, type_name, size, lanes.alive(b, guard))
    if not place.varies:
        assert guard is not None
        any_lane = b.call("i1", f"llvm.vector.reduce.or.v{lanes.count}i1", guard)
        return b.splat(scalar_load(b, place.pointer, storage, size, any_lane), lanes.count)
    pointer, guard = _held(b, place.pointer, guard, lanes.count * size)
    return row_load(b, pointer, type_name, size, lanes.alive(b, guard), place.backwards)


def _held(
    b: Builder, pointer: Value, guard: Value | None, nbytes: int
) -> tuple[Value, Value | None]:
    """A guard that is the same for all lanes chooses between the address and zeros; others stay."""
    if guard is None or lanes_of(guard.type) > 1:
        return pointer, guard
    return where_held(b, pointer, guard, nbytes), None
