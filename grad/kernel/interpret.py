"""Run kernel IR with NumPy: the oracle, and the way to try out what a kernel says.

Loops marked `vector` are done for all their elements at once, the others one by one, just as they
are written. Used by ``GRAD_BACKEND=reference`` (`grad/codegen/reference.py`) and the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grad.dtype import DType, dtypes
from grad.errors import VerifyError
from grad.graph import attention, recurrence
from grad.graph.host import call
from grad.graph.index import Atom, Dynamic, Index, Quotient, Variable
from grad.graph.positions import Guard
from grad.graph.primitives import ATTENTION, COMBINE, RECURRENCE, Primitive, identity
from grad.graph.windows import correlate, correlate_weight
from grad.kernel.ir import (
    Accumulate,
    Attention,
    Count,
    Declare,
    HostCall,
    Kernel,
    Let,
    Load,
    Loop,
    Number,
    Recurrence,
    Rows,
    Running,
    Scalar,
    Statement,
    Store,
    Test,
)
from grad.kernel.ir_contraction import Contraction, Operand
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionForm,
    ConvolutionWeight,
    gradient_variables,
    image_variables,
    weight_variables,
)
from grad.kernel.winograd import tile_sums

Array = np.ndarray[Any, Any]


def interpret(kernel: Kernel, arguments: Sequence[Array]) -> None:
    """Run `kernel` on one-dimensional arrays (scalars: arrays of one element), in the order of
    parameters.
    """
    runner = _Runner(kernel, arguments)
    with np.errstate(all="ignore"):
        for phase in kernel.phases:
            runner.values.clear()
            runner.run(phase)


class _Runner:
    def __init__(self, kernel: Kernel, arguments: Sequence[Array]) -> None:
        self.kernel = kernel
        self.memory = dict(zip((p.number for p in kernel.parameters), arguments, strict=True))
        self.dtypes = {p.number: p.dtype for p in kernel.parameters}
        self.values: dict[int, Any] = {}
        self.types: dict[int, DType] = {}
        self.reductions: dict[int, Primitive] = {}
        self.variables: dict[Variable, Any] = {}
        self.lanes: int | None = None

    def run(self, body: Sequence[Statement]) -> None:
        """Statements one after another; loop bodies are nested no deeper than kernels nest
        loops.
        """
        for s in body:
            match s:
                case Loop():
                    self.loop(s)
                case Contraction():
                    self.contraction(s)
                case HostCall():
                    call(s.call, [self.view(rows) for rows in s.operands], self.view(s.result))
                case Attention():
                    self.attention(s)
                case Recurrence():
                    self.recurrence(s)
                case Convolution():
                    self.convolution(s)
                case ConvolutionWeight():
                    self.convolution_weight(s)
                case _:
                    self.statement(s)

    def loop(self, s: Loop) -> None:
        count = s.variable.size
        if s.limit is not None:
            count = min(count, int(self.index(s.limit)))
        if s.vector and self.lanes is None:
            self.vector_loop(s, count)
        else:
            for step in range(count):
                self.variables[s.variable] = step
                self.run(s.body)
        self.variables.pop(s.variable, None)

    def vector_loop(self, s: Loop, count: int) -> None:
        if count <= 0:
            return
        self.lanes = count
        self.variables[s.variable] = np.arange(count)
        self.run(s.body)
        self.lanes = None

    def contraction(self, s: Contraction) -> None:
        """All sums at once; then the body for each row, with columns side by side."""
        axes = (*s.batch, s.row, s.column, s.k)
        for variable, grid in zip(
            axes, np.indices([v.size for v in axes], sparse=True), strict=True
        ):
            self.variables[variable] = grid
        wide = np.float64 if s.dtype.kind == "f" else s.dtype.numpy
        a, b = (self.matrix(o).astype(s.dtype.numpy).astype(wide) for o in (s.a, s.b))
        product = np.broadcast_to(a * b, [v.size for v in axes]).sum(axis=-1).astype(s.dtype.numpy)
        for place in np.ndindex(*product.shape[:-1]):
            for variable, value in zip((*s.batch, s.row), place, strict=True):
                self.variables[variable] = value
            self.lanes = s.column.size
            self.variables[s.column] = np.arange(s.column.size)
            self.types[s.accumulator] = s.dtype
            self.values[s.accumulator] = product[place]
            self.run(s.body)
        self.lanes = None

    def matrix(self, operand: Operand) -> Array:
        """The elements of an operand for all values of the variables, which are set."""
        elements = self.gather(operand.parameter, operand.index)
        if not operand.prologue:
            return elements
        self.define(operand.element, elements, self.dtypes[operand.parameter])
        self.run(operand.prologue)
        return np.asarray(self.values[operand.value])

    def attention(self, s: Attention) -> None:
        """By its definition, on views of the operands."""
        arrays = {name: self.view(rows) for name, rows in s.operands}
        if s.random is not None:
            arrays["random"] = self.memory[s.random][0]
        define = attention.forward if s.op is ATTENTION else attention.gradient
        found = define(s.how, arrays)
        for name, rows in s.results:
            self.view(rows)[...] = found[name]

    def recurrence(self, s: Recurrence) -> None:
        """By its definition, on views of the operands."""
        arrays = {name: self.view(rows) for name, rows in s.operands}
        define = recurrence.forward if s.op is RECURRENCE else recurrence.gradient
        found = define(s.how, arrays)
        for name, rows in s.results:
            self.view(rows)[...] = found[name]

    def view(self, rows: Rows) -> Array:
        memory = self.memory[rows.parameter]
        if rows.reach > memory.size:
            raise VerifyError(f"an access outside parameter {rows.parameter} in\n{self.kernel}")
        strides = tuple(step * memory.itemsize for step in rows.strides)
        start = memory[rows.offset :]
        return np.lib.stride_tricks.as_strided(start, rows.shape, strides)

    def convolution(self, s: Convolution) -> None:
        """All sums at once; then the body for each filter, with positions side by side."""
        image = self.operand(s.image_parameter, s.image, image_variables(s.sizes))
        weight = self.operand(s.weight_parameter, s.weight, s.weight_variables)
        compute = tile_sums if s.form is ConvolutionForm.WINOGRAD else correlate
        *outer, position = s.variables
        sums = compute(s.sizes, image, weight).reshape([v.size for v in s.variables])
        for place in np.ndindex(*sums.shape[:-1]):
            self.variables.update(zip(outer, place, strict=True))
            self.lanes = position.size
            self.variables[position] = np.arange(position.size)
            self.types[s.accumulator] = s.dtype
            self.values[s.accumulator] = sums[place]
            self.run(s.body)
        self.lanes = None

    def convolution_weight(self, s: ConvolutionWeight) -> None:
        image = self.operand(s.image_parameter, s.image, image_variables(s.sizes))
        gradient = self.operand(s.gradient_parameter, s.gradient, gradient_variables(s.sizes))
        for block in range(s.block.size):
            mine = slice(block * s.images_in_block, (block + 1) * s.images_in_block)
            few = replace(s.sizes, images=len(image[mine]))
            found = correlate_weight(few, image[mine], gradient[mine])
            for v, grid in zip(
                weight_variables(s.sizes), np.indices(found.shape, sparse=True), strict=True
            ):
                self.variables[v] = grid
            self.variables[s.block] = block
            where = np.broadcast_to(self.index(s.target), found.shape)
            self.check(s.target_parameter, where)
            self.memory[s.target_parameter][where] = found

    def operand(self, parameter: int, index: Index, variables: tuple[Variable, ...]) -> Array:
        """The elements of an operand for all values of its variables."""
        sizes = [v.size for v in variables]
        for variable, grid in zip(variables, np.indices(sizes, sparse=True), strict=True):
            self.variables[variable] = grid
        return np.broadcast_to(self.gather(parameter, index), sizes)

    def statement(self, s: Statement) -> None:
        match s:
            case Let():
                operands = [self.values[o] for o in s.operands]
                extra = (s.dtype.numpy,) if s.op.name in ("cast", "bitcast") else ()
                assert s.op.numpy is not None
                arrays = [np.asarray(o) for o in operands]
                self.define(
                    s.value, np.asarray(s.op.numpy(*arrays, *extra)).astype(s.dtype.numpy), s.dtype
                )
            case Number():
                self.define(s.value, np.asarray(s.number).astype(s.dtype.numpy), s.dtype)
            case Scalar():
                self.define(s.value, self.memory[s.parameter][0], s.dtype)
            case Count():
                self.define(s.value, np.asarray(self.index(s.index)).astype(s.dtype.numpy), s.dtype)
            case Test():
                self.define(s.value, self.condition(s.guards), dtypes.bool)
            case Load():
                self.define(s.value, self.load(s), s.dtype)
            case Store():
                self.store(s)
            case Declare():
                start = s.dtype.numpy.type(identity(s.op, s.dtype))
                self.define(
                    s.value, start if self.lanes is None else np.full(self.lanes, start), s.dtype
                )
                self.reductions[s.value] = s.op
            case Accumulate():
                self.accumulate(s)
            case Running():
                self.running(s)
            case _:
                raise VerifyError(f"unknown statement {s}")

    def define(self, number: int, value: Any, dtype: DType) -> None:
        self.values[number] = value
        self.types[number] = dtype

    def accumulate(self, s: Accumulate) -> None:
        before, value = self.values[s.accumulator], np.asarray(self.values[s.value])
        op, dtype = self.reductions[s.accumulator], self.types[s.accumulator]
        if self.lanes is not None and np.ndim(before) == 0:
            assert op.numpy is not None
            value = op.numpy(np.broadcast_to(value, (self.lanes,)), axis=(0,))
        combine = COMBINE[op].numpy
        assert combine is not None
        self.values[s.accumulator] = np.asarray(combine(before, value)).astype(dtype.numpy)

    def running(self, s: Running) -> None:
        """Combine lane after lane, or the one value there is."""
        before, value = self.values[s.accumulator], np.asarray(self.values[s.operand])
        combine = COMBINE[self.reductions[s.accumulator]].numpy
        assert combine is not None
        lanes = np.broadcast_to(value, (self.lanes or 1,)).copy()
        for number in range(len(lanes)):
            before = lanes[number] = combine(before, lanes[number])
        self.values[s.accumulator] = np.asarray(before).astype(s.dtype.numpy)
        self.define(s.value, lanes if self.lanes is not None else lanes[0], s.dtype)

    # -- indices and memory ------------------------------------------------------------------------
    def index(self, index: Index) -> Any:
        total: Any = index.constant
        for atom, coefficient in index.terms:
            total = total + self.atom(atom) * coefficient
        return total

    def atom(self, atom: Atom) -> Any:
        if isinstance(atom, Variable):
            return self.variables[atom]
        if isinstance(atom, Dynamic):
            return np.asarray(self.values[atom.value]).astype(np.int64)
        inner = self.index(atom.index)
        return inner // atom.divisor if isinstance(atom, Quotient) else inner % atom.divisor

    def condition(self, guards: Sequence[Guard]) -> Any:
        result: Any = np.asarray(True)
        for guard in guards:
            index = self.index(guard.index)
            result = result & (index >= guard.low) & (index < guard.high)
        return result

    def gather(self, parameter: int, index: Index) -> Array:
        return self.memory[parameter][np.asarray(self.index(index))]

    def load(self, s: Load) -> Any:
        where = np.asarray(self.index(s.index))
        if not s.guards:
            self.check(s.parameter, where)
            return self.memory[s.parameter][where]
        alive = self.condition(s.guards)
        where, alive = np.broadcast_arrays(where, alive)
        result = np.zeros(where.shape, s.dtype.numpy)
        self.check(s.parameter, where[alive])
        result[alive] = self.memory[s.parameter][where[alive]]
        return result if result.ndim else result[()]

    def store(self, s: Store) -> None:
        where = np.asarray(self.index(s.index))
        value = np.asarray(self.values[s.value])
        if s.guards:
            where, alive, value = np.broadcast_arrays(where, self.condition(s.guards), value)
            where, value = where[alive], value[alive]
        self.check(s.parameter, where)
        # A loop of one turn in lanes: one element, wherever it goes.
        self.memory[s.parameter][where] = value[0] if value.ndim > where.ndim else value

    def check(self, parameter: int, where: Array) -> None:
        size = self.memory[parameter].size
        if where.size and (where.min() < 0 or where.max() >= size):
            raise VerifyError(
                f"an access outside parameter {parameter} of {size} elements in\n{self.kernel}"
            )
