"""A matrix product of kernel IR as a phase to compile.

Reads sizes and strides off the statement, chooses a plan for the machine and has its code written
by `emit.py`. The statement's body becomes the epilogue, what computes an operand its prologue.
`cpu.py` calls `contraction_phase` for the phases that end with such a statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from math import prod

from grad.codegen.backend import CONSTANT, SCRATCH, CompiledPhase
from grad.codegen.llvm.addresses import Lanes
from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.contraction.emit import choose, emit
from grad.codegen.llvm.contraction.microkernel import LINE_BYTES
from grad.codegen.llvm.contraction.operands import Compute, Place, prefetch
from grad.codegen.llvm.contraction.problem import Problem
from grad.codegen.llvm.contraction.search import search
from grad.codegen.llvm.conversions import STORAGE
from grad.codegen.llvm.instructions import element_type
from grad.codegen.llvm.loops import Emitter
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.graph.index import Index, Variable
from grad.graph.sizes import hint
from grad.kernel.ir import Kernel, Let, Load, Scalar, Statement, Store
from grad.kernel.ir_contraction import Contraction, Operand
from grad.runtime.cpu.host import Host, host
from grad.settings import settings

# About how long an operation and an element of an operand take, for the pool.
OPERATION_NANOSECONDS = 0.006
ELEMENT_NANOSECONDS = 0.12
# Epilogues that cost more are written once in a loop rather than for every vector of a tile.
LONG_EPILOGUE = 8
# Shorter sums end before what was asked for has come.
LEAST_DEPTH_TO_ASK = 128


def contraction_phase(
    machine: Host, symbol: str, kernel: Kernel, phase: Sequence[Statement], nest: Contraction
) -> CompiledPhase:
    """A matrix product with its prologues and its epilogue."""
    types = {p.number: p.dtype for p in kernel.parameters}
    (a, a_variables), (b, b_variables) = nest.operands
    problem = Problem.on(
        machine.features,
        machine.vector_bytes,
        machine.l2_bytes,
        element_type(nest.dtype),
        [v.size for v in (*nest.batch, nest.row, nest.column, nest.k)],
        [_stride(a.index, v) for v in a_variables],
        [_stride(b.index, v) for v in b_variables],
        types[a.parameter],
        types[b.parameter],
        bool(a.prologue),
        bool(b.prologue),
        machine.cores,
    )
    tuning = search(problem.typical, machine) if settings.search and machine == host() else None
    choice = choose(problem, tuning)
    before = phase[:-1]
    epilogue = _Epilogue(kernel, before, nest)
    prologues = (
        _Prologue(kernel, before, nest, a, nest.row).open if a.prologue else None,
        _Prologue(kernel, before, nest, b, nest.column).open if b.prologue else None,
    )
    first = len(kernel.parameters)
    sizes = OpenSizes(first + 3 + len(choice.arguments))
    text = emit(
        replace(choice.structure, long_epilogue=epilogue.cost > LONG_EPILOGUE),
        symbol,
        machine.features,
        machine.vector_bytes,
        epilogue.emit,
        first,
        prologues,
        sizes,
        epilogue.ask if epilogue.asked and hint(nest.k.size) >= LEAST_DEPTH_TO_ASK else None,
    )
    words = [(p.number, 0) for p in kernel.parameters]
    words.extend((o.parameter, o.index.constant * types[o.parameter].itemsize) for o in (a, b))
    words.append((SCRATCH, 0))
    words.extend((CONSTANT, number) for number in choice.arguments)
    words.extend(sizes.words())
    return CompiledPhase(
        text,
        tuple(words),
        choice.items,
        choice.grain,
        choice.scratch_bytes,
        contraction_nanoseconds(nest),
    )


def _stride(index: Index, variable: Variable) -> int:
    """Elements that an operand's index moves with one step of `variable`."""
    found = index.coefficient(variable)
    assert found is not None, f"the operand at {index} is not affine in {variable.name}"
    return found


def contraction_nanoseconds(nest: Contraction) -> float:
    """About how long one thread takes for the arithmetic and for reading the operands."""
    batch = prod(hint(v.size) for v in nest.batch)
    m, n, k = (hint(v.size) for v in (nest.row, nest.column, nest.k))
    operations, elements = 2.0 * batch * m * n * k, batch * (m * k + k * n + m * n)
    return operations * OPERATION_NANOSECONDS + elements * ELEMENT_NANOSECONDS


def _emitter(
    b: Builder, kernel: Kernel, before: Sequence[Statement], body: Iterable[Statement]
) -> Emitter:
    """What writes the statements of `body`, with all that they share written already."""
    emitter = Emitter(b, kernel.parameters)
    emitter.load_parameters(
        {s.parameter for s in (*before, *body) if isinstance(s, Load | Store | Scalar)}
    )
    for statement in before:
        emitter.statement(statement)
    return emitter


class _Epilogue:
    """Writes what becomes of a contraction's sums: the statements of the kernel, one vector at a
    time.
    """

    def __init__(self, kernel: Kernel, before: Sequence[Statement], nest: Contraction) -> None:
        self.kernel, self.before, self.nest = kernel, before, nest

    @property
    def cost(self) -> float:
        """What it computes of each element, in the unit of the primitives' cost."""
        return sum(s.op.cost for s in self.nest.body if isinstance(s, Let))

    def emit(
        self,
        b: Builder,
        batch: list[Value],
        row: Value,
        column: Value,
        accumulator: Value,
        mask: Value | None,
    ) -> None:
        nest = self.nest
        emitter = _emitter(b, self.kernel, self.before, nest.body)
        emitter.define(nest.accumulator, accumulator, nest.dtype)
        self._enter(emitter, batch, row, column)
        lanes = lanes_of(accumulator.type)
        if lanes > 1:
            emitter.lanes = Lanes(nest.column, column, lanes, mask)
        for statement in nest.body:
            emitter.statement(statement)

    @cached_property
    def asked(self) -> dict[tuple[int, Index], bool]:
        """What is read or written along whole rows, and whether it is written."""
        row, column = self.nest.row, self.nest.column
        found: dict[tuple[int, Index], bool] = {}
        for s in self.nest.body:
            if not isinstance(s, Load | Store) or s.index.dynamics():
                continue
            if s.index.coefficient(row) and s.index.coefficient(column) == 1:
                key = s.parameter, s.index
                found[key] = isinstance(s, Store) or found.get(key, False)
        return found

    def ask(self, b: Builder, batch: list[Value], row: Value, column: Value, width: int) -> None:
        """Ask for what is in `asked`, the part of one row that begins at `column`."""
        emitter = _emitter(b, self.kernel, self.before, self.nest.body)
        self._enter(emitter, batch, row, column)
        types = {p.number: p.dtype for p in self.kernel.parameters}
        for (parameter, index), written in self.asked.items():
            dtype = types[parameter]
            start = emitter.addresses.pointer(parameter, index, STORAGE[dtype])
            for line in range(0, width * dtype.itemsize, LINE_BYTES):
                prefetch(b, b.gep("i8", start, line), for_writing=written)

    def _enter(self, emitter: Emitter, batch: list[Value], row: Value, column: Value) -> None:
        """Give the variables of the statements their values."""
        variables = emitter.addresses.variables
        variables.update(zip(self.nest.batch, batch, strict=True))
        variables |= {self.nest.row: row, self.nest.column: column}


class _Prologue:
    """Writes what computes the elements of an operand, some of them side by side at a time.

    Args:
        outer: the variable of the operand that is not k.
    """

    def __init__(
        self,
        kernel: Kernel,
        before: Sequence[Statement],
        nest: Contraction,
        operand: Operand,
        outer: Variable,
    ) -> None:
        self.kernel, self.before, self.nest = kernel, before, nest
        self.operand, self.outer = operand, outer
        (self.dtype,) = (p.dtype for p in kernel.parameters if p.number == operand.parameter)

    def open(self, b: Builder) -> Compute:
        """Write what is the same for all elements of a function."""
        nest, operand = self.nest, self.operand
        emitter = _emitter(b, self.kernel, self.before, operand.prologue)

        def compute(place: Place, batch: list[Value], elements: Value, mask: Value | None) -> Value:
            variables = [(self.outer, place.outer), (nest.k, place.k)]
            variables.extend(zip(nest.batch, batch, strict=True))
            lanes = lanes_of(elements.type)
            emitter.lanes = None
            if lanes > 1:
                along = variables[1 if place.along_k else 0]
                emitter.lanes = Lanes(*along, lanes, mask)
            emitter.define(operand.element, elements, self.dtype)
            with ExitStack() as inside:
                for variable, value in variables:
                    inside.enter_context(emitter.addresses.inside(variable, value))
                for statement in operand.prologue:
                    emitter.statement(statement)
            return b.splat(emitter.values[operand.value], lanes)

        return compute
