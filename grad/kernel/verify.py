"""Check that a kernel obeys the rules of the IR (``GRAD_VERIFY=1``, and always in the tests).

Every value is defined once in its phase, before it is used and in a loop that is still open;
element types agree; indices stay inside what the variables allow; the last loop of a phase is
parallel, and no other.
"""

from __future__ import annotations

from grad.dtype import DType
from grad.errors import VerifyError
from grad.graph.index import Index, Variable
from grad.graph.primitives import COMBINE, Rule
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
    Nest,
    Number,
    Recurrence,
    Running,
    Scalar,
    Statement,
    Store,
    Test,
)
from grad.kernel.ir_contraction import Contraction, Operand
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionWeight,
    gradient_variables,
    image_variables,
    weight_variables,
)
from grad.kernel.walk import indices_of


def verify(kernel: Kernel) -> None:
    """Raise VerifyError, with the kernel's text, for the first rule that is broken."""
    checker = _Checker(kernel)
    for phase in kernel.phases:
        checker.phase(phase)


class _Checker:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.parameters = {p.number: p for p in kernel.parameters}
        self.types: dict[int, object] = {}
        self.variables: set[Variable] = set()
        self.accumulators: set[int] = set()

    def fail(self, message: str) -> None:
        raise VerifyError(f"{message} in kernel\n{self.kernel}")

    def phase(self, phase: tuple[Statement, ...]) -> None:
        # Each phase is a function of its own: it knows nothing that others have computed.
        self.types, self.accumulators = {}, set()
        if not phase or not isinstance(phase[-1], Nest | Attention | Recurrence | HostCall):
            self.fail("a phase does not end with its loop")
        work: list[tuple[str, object]] = [("statement", s) for s in reversed(phase)]
        while work:
            action, thing = work.pop()
            if action == "leave":
                assert isinstance(thing, tuple)
                before, variables = thing
                self.types = {v: t for v, t in self.types.items() if v in before}
                self.variables = variables
                continue
            if isinstance(thing, Nest):
                if isinstance(thing, Loop) and thing.parallel != (thing is phase[-1]):
                    self.fail(
                        f"{thing.variable.name}: the last loop of a phase is parallel, and no other"
                    )
                work.append(("leave", (set(self.types), set(self.variables))))
                work.extend(("statement", s) for s in reversed(thing.body))
                self.enter(thing)
            else:
                self.statement(thing)  # type: ignore[arg-type]

    def enter(self, loop: Nest) -> None:
        if isinstance(loop, Loop):
            if loop.squares and not _holds_squares(loop):
                self.fail(f"{loop.variable.name}: a loop of squares ends with one loop in lanes")
            if loop.limit is not None:
                self.index(loop.limit)
            self.variables.add(loop.variable)
        elif isinstance(loop, Convolution | ConvolutionWeight):
            self.convolution(loop)
        else:
            for operand, variables in loop.operands:
                self.operand(operand, variables, loop.dtype)
            self.variables.update((*loop.batch, loop.row, loop.column))
            self.define(loop.accumulator, loop.dtype)

    def operand(self, operand: Operand, variables: tuple[Variable, ...], dtype: DType) -> None:
        """An operand of a contraction, and its prologue, know its own variables and no others."""
        before = set(self.types), set(self.variables)
        self.variables.update(variables)
        self.index(operand.index)
        if operand.prologue:
            self.define(operand.element, self.parameters[operand.parameter].dtype)
            for statement in operand.prologue:
                if isinstance(statement, Store):
                    self.fail(f"v{statement.value} is stored by the prologue of an operand")
                self.statement(statement)
            if self.use(operand.value) is not dtype:
                self.fail(f"v{operand.value} has another type than the contraction")
        self.types = {v: t for v, t in self.types.items() if v in before[0]}
        self.variables = before[1]

    def convolution(self, nest: Convolution | ConvolutionWeight) -> None:
        """Offsets are in terms of the statement's own variables, and so is the body."""
        g = nest.sizes
        operands: list[tuple[int, Index, tuple[Variable, ...]]]
        if isinstance(nest, Convolution):
            other = (nest.weight_parameter, nest.weight, nest.weight_variables)
            operands = [other]
            self.variables.update(nest.variables)
            self.define(nest.accumulator, nest.dtype)
        else:
            outer = (nest.block, *weight_variables(g))
            operands = [
                (nest.gradient_parameter, nest.gradient, gradient_variables(g)),
                (nest.target_parameter, nest.target, outer),
            ]
        for parameter, index, allowed in [
            (nest.image_parameter, nest.image, image_variables(g)),
            *operands,
        ]:
            if not index.variables() <= set(allowed):
                self.fail(f"index {index} uses variables that its operand does not have")
            if self.parameters[parameter].dtype is not nest.dtype:
                self.fail(f"parameter {parameter} has another type than the convolution")

    def define(self, value: int, dtype: object) -> None:
        if value in self.types:
            self.fail(f"v{value} is defined twice")
        self.types[value] = dtype

    def use(self, value: int) -> object:
        if value not in self.types:
            self.fail(f"v{value} is used where it is not defined")
        return self.types[value]

    def index(self, index: Index) -> None:
        missing = index.variables() - self.variables
        if missing:
            self.fail(f"index {index} uses {sorted(v.name for v in missing)} outside their loops")
        for value in index.dynamics():
            self.use(value)

    def statement(self, s: Statement) -> None:
        match s:
            case Let():
                self.let(s)
            case Number() | Declare():
                self.define(s.value, s.dtype)
                if isinstance(s, Declare):
                    if s.op not in COMBINE:
                        self.fail(f"v{s.value} accumulates with {s.op}, which is no reduction")
                    self.accumulators.add(s.value)
            case Scalar():
                if not self.parameters[s.parameter].scalar:
                    self.fail(f"v{s.value} reads buffer {s.parameter} as a scalar")
                self.define(s.value, s.dtype)
            case Count():
                self.index(s.index)
                self.define(s.value, s.dtype)
            case Test():
                for guard in s.guards:
                    self.index(guard.index)
                self.define(s.value, s.dtype)
            case Load():
                for index in indices_of(s):
                    self.index(index)
                known = not s.guards and not s.index.dynamics()
                if known and s.index.low < 0 and not _is_never(s.index):
                    self.fail(f"v{s.value} reads before the buffer, at {s.index}")
                if self.parameters[s.parameter].dtype is not s.dtype:
                    self.fail(f"v{s.value} reads another type than its buffer has")
                self.define(s.value, s.dtype)
            case Store():
                for index in indices_of(s):
                    self.index(index)
                parameter = self.parameters[s.parameter]
                if not parameter.written or self.use(s.value) is not parameter.dtype:
                    self.fail(
                        f"v{s.value} is stored to {parameter.name}, of another type or read-only"
                    )
            case Running():
                if s.accumulator not in self.accumulators:
                    self.fail(f"v{s.accumulator} is no accumulator")
                if self.use(s.accumulator) is not self.use(s.operand):
                    self.fail(f"v{s.operand} is accumulated into another type")
                self.define(s.value, s.dtype)
            case Accumulate():
                if s.accumulator not in self.accumulators:
                    self.fail(f"v{s.accumulator} is no accumulator")
                if self.use(s.accumulator) is not self.use(s.value):
                    self.fail(f"v{s.value} is accumulated into another type")
            case Attention() | Recurrence():
                self.parted(s)
            case HostCall():
                for rows in (*s.operands, s.result):
                    if self.parameters[rows.parameter].dtype is not rows.dtype:
                        self.fail(f"{s.call.name} has an array of another type than its buffer")
                if not self.parameters[s.result.parameter].written:
                    self.fail(f"the result of {s.call.name} is stored to a read-only buffer")
            case _:
                self.fail(f"unknown statement {s}")

    def parted(self, s: Attention | Recurrence) -> None:
        for name, rows in (*s.operands, *s.results):
            parameter = self.parameters[rows.parameter]
            if parameter.dtype is not rows.dtype:
                self.fail(f"the {name} of an {s.op.name} has another type than its buffer")
        for name, rows in s.results:
            if not self.parameters[rows.parameter].written:
                self.fail(f"the {name} of an {s.op.name} is stored to a read-only buffer")
        if not isinstance(s, Attention) or s.random is None:
            return
        if not self.parameters[s.random].scalar:
            self.fail(f"an attention reads buffer {s.random} as the key of random numbers")

    def let(self, s: Let) -> None:
        types = [self.use(o) for o in s.operands]
        if len(types) != s.op.arity:
            self.fail(f"v{s.value}: {s.op.name} takes {s.op.arity} operands")
        compared = types[1:] if s.op.rule is Rule.SELECT else types
        if any(t is not compared[0] for t in compared):
            self.fail(f"v{s.value}: operands of {s.op.name} differ in type")
        if s.op.rule in (Rule.SAME, Rule.SELECT) and compared[0] is not s.dtype:
            self.fail(f"v{s.value}: {s.op.name} gives the type of its operands")
        self.define(s.value, s.dtype)


def _holds_squares(loop: Loop) -> bool:
    """Whether the loop has one loop inside, at its end, in lanes, and is an ordinary one itself."""
    inner = [s for s in loop.body if isinstance(s, Loop | Contraction)]
    return (
        not (loop.parallel or loop.vector)
        and len(inner) == 1
        and inner[0] is loop.body[-1]
        and isinstance(inner[0], Loop)
        and inner[0].vector
    )


def _is_never(index: Index) -> bool:
    """Whether one of its variables takes no value at all."""
    return any(isinstance(atom, Variable) and atom.size == 0 for atom, _ in index.terms)
