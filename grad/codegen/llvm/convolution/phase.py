"""A convolution statement of kernel IR as a phase to compile.

Reads sizes and strides off the statement, makes a plan for the machine and has its code written by
`emit.py` or `weight.py`; the statement's body becomes the epilogue. `cpu.py`
calls the two functions for the phases that end with such a statement.
"""

from __future__ import annotations

from collections.abc import Sequence

from grad.codegen.backend import SCRATCH, CompiledPhase
from grad.codegen.llvm.addresses import Lanes
from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.convolution import emit as convolution
from grad.codegen.llvm.convolution.copy import Source
from grad.codegen.llvm.convolution.padded_copy import axis_of
from grad.codegen.llvm.convolution.plan import make_plan
from grad.codegen.llvm.convolution.requests import requests_of
from grad.codegen.llvm.convolution.weight import Gradient, emit_weight
from grad.codegen.llvm.convolution.weight_plan import make_weight_plan
from grad.codegen.llvm.convolution.winograd import emit_winograd
from grad.codegen.llvm.convolution.winograd_plan import make_winograd_plan
from grad.codegen.llvm.instructions import element_type
from grad.codegen.llvm.loops import Emitter
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.codegen.llvm.widths import vector_registers
from grad.graph.index import Index, Variable
from grad.kernel.ir import (
    Kernel,
    Load,
    Scalar,
    Statement,
    Store,
)
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionForm,
    ConvolutionWeight,
    gradient_variables,
    image_variables,
)
from grad.runtime.cpu.host import Host


def _steps(index: Index, variables: Sequence[Variable]) -> list[int]:
    """Elements that an operand moves with one step of each variable."""
    found = []
    for v in variables:
        step = index.coefficient(v)
        assert step is not None, f"the operand at {index} is not affine in {v.name}"
        found.append(step)
    return found


def convolution_phase(
    machine: Host, symbol: str, kernel: Kernel, phase: Sequence[Statement], nest: Convolution
) -> CompiledPhase:
    """A convolution with its epilogue."""
    element, size = element_type(nest.dtype), nest.dtype.itemsize
    image, part, channel, *strides = _steps(nest.image, image_variables(nest.sizes))
    lanes = machine.vector_bytes // size
    if nest.form is ConvolutionForm.WINOGRAD:
        return _winograd_phase(machine, symbol, kernel, phase, nest)
    plan = make_plan(
        nest.sizes,
        nest.form,
        element,
        lanes=lanes,
        registers=vector_registers(machine.features),
        l1_bytes=machine.l1_bytes,
        l2_bytes=machine.l2_bytes,
        column_step=strides[2],
        channel_step=channel,
    )
    source = Source(element, size, channel, (strides[0], strides[1], strides[2]))
    epilogue = _Epilogue(kernel, phase[:-1], nest)
    requests = requests_of(plan, source, nest, {p.number: p for p in kernel.parameters})
    fixed = _words(kernel, nest)
    open_sizes = OpenSizes(len(fixed))
    text = convolution.emit(
        plan,
        symbol,
        source,
        requests,
        (image, part),
        machine.features,
        machine.vector_bytes,
        epilogue.emit,
        len(kernel.parameters),
        open_sizes,
    )
    words = (*fixed, *open_sizes.words())
    return CompiledPhase(text, words, plan.items, plan.grain, plan.scratch_bytes)


def _words(kernel: Kernel, nest: Convolution) -> tuple[tuple[int, int], ...]:
    """The arguments of a convolution's code."""
    size = nest.dtype.itemsize
    return (
        *((p.number, 0) for p in kernel.parameters),
        (nest.image_parameter, nest.image.constant * size),
        (nest.weight_parameter, nest.weight.constant * size),
        (SCRATCH, 0),
    )


def _winograd_phase(
    machine: Host, symbol: str, kernel: Kernel, phase: Sequence[Statement], nest: Convolution
) -> CompiledPhase:
    element, size = element_type(nest.dtype), nest.dtype.itemsize
    image, part, channel, *strides = _steps(nest.image, image_variables(nest.sizes))
    plan = make_winograd_plan(
        nest.sizes,
        element,
        size,
        lanes=machine.vector_bytes // size,
        registers=vector_registers(machine.features),
        l2_bytes=machine.l2_bytes,
    )
    text = emit_winograd(
        plan,
        symbol,
        Source(element, size, channel, (strides[0], strides[1], strides[2])),
        (image, part),
        machine.features,
        machine.vector_bytes,
        _Epilogue(kernel, phase[:-1], nest).emit,
        len(kernel.parameters),
    )
    return CompiledPhase(text, _words(kernel, nest), plan.items, 1, plan.scratch_bytes)


def convolution_weight_phase(
    machine: Host, symbol: str, kernel: Kernel, nest: ConvolutionWeight
) -> CompiledPhase:
    """Partial sums of a weight's gradient."""
    element, size, g = element_type(nest.dtype), nest.dtype.itemsize, nest.sizes
    image, part, channel, *strides = _steps(nest.image, image_variables(g))
    g_image, g_part, g_filter, *g_strides = _steps(nest.gradient, gradient_variables(g))
    plan = make_weight_plan(
        g,
        (axis_of(g, 0), axis_of(g, 1), axis_of(g, 2)),
        element,
        nest.block.size,
        nest.target_row,
        lanes=machine.vector_bytes // size,
        registers=vector_registers(machine.features),
        l2_bytes=machine.l2_bytes,
        image_steps=(channel, strides[1], strides[2]),
        gradient_step=g_strides[2],
    )
    fixed = [
        *((p.number, 0) for p in kernel.parameters),
        (nest.image_parameter, nest.image.constant * size),
        (nest.gradient_parameter, nest.gradient.constant * size),
        (nest.target_parameter, nest.target.constant * size),
        (SCRATCH, 0),
    ]
    open_sizes = OpenSizes(len(fixed))
    text = emit_weight(
        plan,
        symbol,
        Source(element, size, channel, (strides[0], strides[1], strides[2])),
        Gradient(g_filter, (g_strides[0], g_strides[1], g_strides[2])),
        ((image, part), (g_image, g_part)),
        machine.features,
        machine.vector_bytes,
        len(kernel.parameters),
        open_sizes,
    )
    words = (*fixed, *open_sizes.words())
    return CompiledPhase(text, words, plan.items, plan.grain, plan.scratch_bytes)


class _Epilogue:
    """Writes what becomes of the sums: the statements of the kernel, one vector at a time."""

    def __init__(self, kernel: Kernel, before: Sequence[Statement], nest: Convolution) -> None:
        self.kernel = kernel
        self.before = before
        self.nest = nest
        self.used = {
            s.parameter for s in (*before, *nest.body) if isinstance(s, Load | Store | Scalar)
        }

    def emit(
        self,
        b: Builder,
        image: Value,
        group: Value,
        filter_number: Value,
        position: Value,
        sums: Value,
        mask: Value | None,
    ) -> None:
        nest = self.nest
        emitter = Emitter(b, self.kernel.parameters)
        emitter.load_parameters(self.used)
        for statement in self.before:
            emitter.statement(statement)
        emitter.define(nest.accumulator, sums, nest.dtype)
        where = (image, group, filter_number, position)
        emitter.addresses.variables.update(zip(nest.variables, where, strict=True))
        emitter.lanes = Lanes(nest.variables[-1], position, lanes_of(sums.type), mask)
        for statement in nest.body:
            emitter.statement(statement)
