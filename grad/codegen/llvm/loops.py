"""Kernel IR to LLVM IR: loops, lanes and addresses.

`phase_text` writes one phase of a kernel as a function ``void name(ptr args, i64 begin, i64 end,
i64 worker)`` over the items begin..end of its parallel loop. The IR is written for one element;
here a loop marked `vector` is widened: values that depend on its variable become vectors, all else
stays scalar (or is computed outside, since the IR puts it there). A vector is several registers
long where the body is short, so that enough operations are under way; the rest of a loop runs under
a mask. Read `addresses.py` for how indices become pointers, `instructions.py` for arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from grad.codegen.llvm.addresses import Lanes, is_constant, past_a_multiple
from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.conversions import STORAGE, from_memory, to_memory
from grad.codegen.llvm.functions import attributes
from grad.codegen.llvm.instructions import element_type, emit_primitive
from grad.codegen.llvm.lanes import across, lane, reverse, running
from grad.codegen.llvm.loads import load_value
from grad.codegen.llvm.memory import (
    end_streams,
    passes_caches,
    row_store,
    scatter,
    spare,
    stream_store,
)
from grad.codegen.llvm.named_rows import foresee, look_ahead
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.codegen.llvm.plain_values import PlainValues
from grad.codegen.llvm.prefetch import Soon, emit_prefetches, prefetches
from grad.codegen.llvm.transposes import Staged, columns_of, load_staged, past_a_line, stage
from grad.codegen.llvm.widths import accumulated, lane_count, registers
from grad.dtype import DType
from grad.graph.index import Variable
from grad.graph.primitives import COMBINE, Primitive, identity
from grad.graph.sizes import is_fixed
from grad.kernel.ir import (
    Accumulate,
    Count,
    Declare,
    Kernel,
    Let,
    Load,
    Loop,
    Number,
    Parameter,
    Running,
    Scalar,
    Statement,
    Store,
    Test,
    scratch_layout,
    used_parameters,
)
from grad.kernel.streams import LINE_BYTES, begins_lines, marked_stores
from grad.kernel.walk import statements_in

SIGNATURE = "ptr noalias %args, i64 %begin, i64 %end, i64 %worker"


def phase_text(
    kernel: Kernel,
    phase: Sequence[Statement],
    name: str,
    features: frozenset[str],
    vector_bytes: int,
    open_sizes: OpenSizes | None = None,
) -> str:
    """The module text of one phase without contractions."""
    b = Builder(features, vector_bytes, open_sizes)
    emitter = Emitter(b, kernel.parameters)
    emitter.load_parameters(used_parameters(phase))
    for statement in phase:
        emitter.statement(statement)
    end_streams(b)
    text = b.function(name, SIGNATURE)
    return b.preamble() + text + attributes(vector_bytes)


class Emitter(PlainValues):
    """Writes statements."""

    def __init__(self, b: Builder, parameters: Sequence[Parameter]) -> None:
        super().__init__(b)
        self.parameters = {p.number: p for p in parameters}
        self.reductions: dict[int, Primitive] = {}
        self.staged: dict[int, Staged] = {}
        self.columns: Loop | None = None
        self.soon: dict[Variable, tuple[Soon, ...]] = {}
        self.actions: dict[type, Callable[..., None]] = {
            Let: self.let,
            Number: self.number,
            Scalar: self.scalar,
            Count: self.count,
            Test: self.test,
            Load: self.load,
            Store: self.store,
            Declare: self.declare,
            Accumulate: self.accumulate,
            Running: self.running,
            Loop: self.loop,
        }

    def load_parameters(self, used: set[int]) -> None:
        """Read buffer addresses from the argument slots; scalars are read where they are used."""
        b = self.b
        _, worker_bytes = scratch_layout(tuple(self.parameters.values()))
        for number in sorted(used):
            if not self.parameters[number].scalar:
                base = b.load("ptr", b.gep("i64", Value("%args", "ptr"), number), 8)
                if self.parameters[number].elements:
                    base = b.gep("i8", base, b.mul(Value("%worker", "i64"), worker_bytes))
                self.addresses.bases[number] = base

    def statement(self, statement: Statement) -> None:
        self.actions[type(statement)](statement)

    # -- memory ------------------------------------------------------------------------------------
    def load(self, s: Load) -> None:
        if s.value in self.staged and self.lanes is not None:
            raw = load_staged(self.b, self.staged[s.value], self.addresses, self.lanes)
            self.define(s.value, from_memory(self.b, raw, s.dtype), s.dtype)
            return
        guard = self.condition(s.guards) if s.guards else None
        raw = load_value(self.addresses, s, guard, self.lanes)
        self.define(s.value, from_memory(self.b, raw, s.dtype), s.dtype)

    def store(self, s: Store) -> None:
        dtype, b, lanes = self.types[s.value], self.b, self.lanes
        storage, size = STORAGE[dtype], max(dtype.itemsize, 1)
        raw = to_memory(b, self.values[s.value], dtype)
        guard = self.condition(s.guards) if s.guards else None
        place = self.addresses.place(s.parameter, s.index, storage, lanes)
        if lanes is None or not place.varies:
            if lanes_of(raw.type) > 1:
                raw = b.emit(storage, f"extractelement {raw.type} {raw.text}, i32 0")
            b.store(raw, spare(b, place.pointer, guard, storage), size)
            return
        raw, mask = b.splat(raw, lanes.count), lanes.alive(b, guard)
        if place.jumps is not None:
            scatter(b, raw, place.jumps, size, mask)
        elif mask is not None:
            row_store(b, raw, place.pointer, size, mask, place.backwards)
        else:
            past = passes_caches(s, lanes.variable, size, b.vector_bytes)
            put = stream_store if past else Builder.store
            put(b, reverse(b, raw) if place.backwards else raw, place.pointer, size)

    # -- accumulators ------------------------------------------------------------------------------
    def declare(self, s: Declare) -> None:
        element = element_type(s.dtype)
        start = self.b.const(element, identity(s.op, s.dtype))
        width = self.lanes.count if self.lanes is not None else 1
        self.define(s.value, self.b.splat(start, width), s.dtype)
        self.reductions[s.value] = s.op

    def accumulate(self, s: Accumulate) -> None:
        before = self.values[s.accumulator]
        dtype, op = self.types[s.accumulator], self.reductions[s.accumulator]
        width = lanes_of(before.type)
        value = self.b.splat(self.values[s.value], width)
        if self.lanes is not None and self.lanes.mask is not None and width == self.lanes.count:
            neutral = self.b.const(value.type, identity(op, dtype))
            value = self.b.select(self.lanes.mask, value, neutral)
        self.values[s.accumulator] = self.combine(op, before, value, dtype)

    def combine(self, op: Primitive, first: Value, second: Value, dtype: DType) -> Value:
        return emit_primitive(self.b, COMBINE[op], [first, second], dtype, dtype)

    def running(self, s: Running) -> None:
        dtype, op = self.types[s.accumulator], self.reductions[s.accumulator]
        before, value = self.values[s.accumulator], self.values[s.operand]
        combine = partial(self.combine, op, dtype=dtype)
        if self.lanes is None:
            total = value = combine(before, value)
        else:
            value = self.b.splat(value, self.lanes.count)
            neutral = self.b.const(value.type, identity(op, dtype))
            if self.lanes.mask is not None:
                value = self.b.select(self.lanes.mask, value, neutral)
            value, total = running(self.b, combine, before, value, neutral)
        self.values[s.accumulator] = total
        self.define(s.value, value, s.dtype)

    # -- loops -------------------------------------------------------------------------------------
    def loop(self, loop: Loop) -> None:
        start, stop = self.bounds(loop)
        carried = [a for a in accumulated(loop) if a in self.values]
        if loop.squares:
            self.columns = columns_of(loop)
            _, columns = self.bounds(self.columns)
            self.staged |= stage(self.b, self.addresses, loop, stop, columns)
        if loop.vector and self.lanes is None:
            self.vector_loop(loop, start, stop, carried)
        else:
            self.serial_loop(loop, start, stop, carried)

    def bounds(self, loop: Loop) -> tuple[Value, Value]:
        if loop.parallel:
            return Value("%begin", "i64"), Value("%end", "i64")
        size = self.b.size(loop.variable.size)
        if loop.limit is None:
            return Value("0", "i64"), size
        limit = self.addresses.number(loop.limit, None)
        return Value("0", "i64"), self.b.select(self.b.icmp("slt", limit, size), limit, size)

    def body(self, loop: Loop, index: Value) -> None:
        outside = set(self.values)
        with self.addresses.inside(loop.variable, index):
            for statement in loop.body:
                self.statement(statement)
        # Values of this pass don't exist in the next: no address may be computed of them there.
        for number in self.values.keys() - outside:
            del self.values[number]

    def serial_loop(self, loop: Loop, start: Value, stop: Value, carried: list[int]) -> None:
        self.addresses.prepare(loop, self.lanes)
        if self.lanes is None:
            self.soon.update(prefetches(loop, self.parameters, self.b.vector_bytes))
        foreseen = foresee(loop, self.parameters, self.values)

        def body(index: Value, values: list[Value]) -> list[Value]:
            turn = (loop.variable, index, stop)
            look_ahead(self.b, self.addresses, foreseen, self.statement, turn)
            self.values.update(zip(carried, values, strict=True))
            self.body(loop, index)
            return [self.values[a] for a in carried]

        results = self.b.loop(start, stop, 1, body, [self.values[a] for a in carried])
        self.values.update(zip(carried, results, strict=True))

    def vector_loop(self, loop: Loop, start: Value, stop: Value, carried: list[int]) -> None:
        """Whole vectors first, then the rest under a mask; partial results meet at the end."""
        narrow = lane_count(loop, self.b.vector_bytes)
        wide = narrow * registers(loop)
        size = loop.variable.size
        static = not loop.parallel and loop.limit is None and is_fixed(size)
        while is_fixed(size) and not loop.parallel and wide > narrow and size < wide:
            wide //= 2
        self.addresses.prepare(loop, None)
        totals = {a: self.values[a] for a in carried}
        b = self.b
        rest = start
        aligned = self.aligned(loop, start, narrow)
        streamed = self.streamed(loop, start) if aligned is None else None
        if aligned is not None:
            self.pass_over(loop, aligned, stop, narrow, True, totals, start)
        elif streamed is not None:
            self.pass_streamed(loop, streamed, (start, stop), (narrow, wide), totals)
        elif static:
            rest = Value(str(size - size % wide), "i64")
            self.pass_over(loop, start, rest, wide, False, totals)
        else:
            whole = b.binary("and", b.sub(stop, start), -wide)
            rest = b.add(start, whole)
            self.pass_over(loop, start, rest, wide, False, totals)
        if aligned is None and streamed is None and (not static or size % wide):
            self.pass_over(loop, rest, stop, narrow, True, totals)
        for accumulator in carried:
            self.values[accumulator] = totals[accumulator]

    def aligned(self, loop: Loop, start: Value, lanes: int) -> Value | None:
        """Where vectors of a loop over columns begin so that what they store begins a line."""
        if loop is not self.columns:
            return None
        past = past_a_line(self.b, self.addresses, self.parameters, loop, start, lanes)
        return None if past is None else self.b.sub(start, past)

    def streamed(self, loop: Loop, start: Value) -> tuple[Value, int] | None:
        """Where the first line begins that a loop over a row stores to, and the elements of a line,
        if rows begin anywhere and the stores of whole lines go past the caches; else None.
        """
        store = next(iter(marked_stores(loop)), None)
        if store is None:
            return None
        dtype, lanes = self.parameters[store.parameter].dtype, loop.variable
        if begins_lines(store.index, lanes, dtype.itemsize):
            return None
        if not passes_caches(store, lanes, dtype.itemsize, self.b.vector_bytes):
            return None
        line = LINE_BYTES // dtype.itemsize
        past = past_a_multiple(self.b, self.addresses, (store, dtype), loop.variable, start, line)
        return self.b.sub(start, past), line

    def pass_streamed(
        self,
        loop: Loop,
        lines: tuple[Value, int],
        bounds: tuple[Value, Value],
        widths: tuple[int, int],
        totals: dict[int, Value],
    ) -> None:
        """A loop over a row: what is no whole line at its beginning and its end is under a mask.

        Args:
            lines: as `streamed` says. bounds: where the row begins and ends.
            widths: elements of a register, and of as many as are taken together.
        """
        b = self.b
        (aligned, line), (start, stop), (narrow, wide) = lines, bounds, widths
        first = b.intrinsic("smin", b.add(aligned, line), stop)
        self.pass_over(loop, aligned, first, narrow, True, totals, start)
        for width in dict.fromkeys((max(wide, line), max(narrow, line))):
            rest = b.add(first, b.binary("and", b.sub(stop, first), -width))
            self.pass_over(loop, first, rest, width, False, totals, start)
            first = rest
        self.pass_over(loop, first, stop, narrow, True, totals, start)

    @staticmethod
    def is_one_turn(loop: Loop, start: Value, stop: Value, width: int) -> bool:
        """Whether vectors of `width` are known to pass from `start` to `stop` in one turn.

        Not where stores have guards: with a constant mask, one of these may leave a single lane,
        which `row_store` could not know.
        """
        if any(isinstance(s, Store) and s.guards for s in statements_in(loop.body)):
            return False
        known = is_constant(start) and is_constant(stop)
        return known and int(stop.text) - int(start.text) <= width

    def pass_over(
        self,
        loop: Loop,
        start: Value,
        stop: Value,
        width: int,
        masked: bool,
        totals: dict[int, Value],
        begin: Value | None = None,
    ) -> None:
        """One loop over vectors of `width`; folds its partial accumulators into `totals`.

        A single turn needs no loop: all that follows from its number is constant then.
        """
        if (start.text, start.type) == (stop.text, stop.type):
            return
        b = self.b
        carried = list(totals)
        in_order = {s.accumulator for s in loop.body if isinstance(s, Running)}
        initial = []
        for accumulator in carried:
            dtype, op = self.types[accumulator], self.reductions[accumulator]
            start_value = b.const(element_type(dtype), identity(op, dtype))
            if accumulator in in_order:
                start_value = totals[accumulator]
            initial.append(b.splat(start_value, width))

        def body(index: Value, values: list[Value]) -> list[Value]:
            steady = not loop.parallel and begin is None
            self.lanes = Lanes(loop.variable, index, width, aligned=steady)
            if masked:
                self.lanes.keep(b, begin, stop)
            self.values.update(zip(carried, values, strict=True))
            emit_prefetches(
                b, self.addresses, self.soon.get(loop.variable, ()), loop.variable, index, width
            )
            self.body(loop, index)
            self.lanes = None
            return [self.values[a] for a in carried]

        if self.is_one_turn(loop, start, stop, width):
            results = body(start, initial)
        else:
            results = b.loop(start, stop, width, body, initial)
        for accumulator, result in zip(carried, results, strict=True):
            dtype, op = self.types[accumulator], self.reductions[accumulator]
            if accumulator in in_order:
                totals[accumulator] = lane(b, result, 0)
                continue
            total = across(b, partial(self.combine, op, dtype=dtype), result)
            totals[accumulator] = self.combine(op, totals[accumulator], total, dtype)
