"""Kernel IR: loops, loads, stores and scalar arithmetic, printed like Python.

A `Kernel` has phases that run one after another; each phase is one loop whose items may run in any
order on any thread. The body is written for one element; a loop marked `vector` says along which
variable the code generator may put elements side by side in lanes. Values are numbered and assigned
once; accumulators are the only thing that changes. `lower.py` makes kernels, `verify.py` checks
them, `interpret.py` runs them with NumPy, `grad/codegen` turns them into machine code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Union

from grad.dtype import DType
from grad.graph.attention import Attend
from grad.graph.host import Host
from grad.graph.index import Index, Variable, show
from grad.graph.positions import Guard
from grad.graph.primitives import Primitive
from grad.graph.recurrence import Recur
from grad.kernel.ir_contraction import Contraction, print_contraction
from grad.kernel.ir_convolution import Convolution, ConvolutionWeight, print_convolution


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a kernel is handed: a buffer of `dtype`, or one number (`scalar`).

    With `elements` it is scratch of so many elements, which every worker has for itself: what an
    item leaves there the next item finds overwritten.
    """

    number: int
    dtype: DType
    scalar: bool = False
    written: bool = False
    elements: int = 0

    @property
    def name(self) -> str:
        kind = "s" if self.scalar else "row" if self.elements else "out" if self.written else "in"
        return f"{kind}{self.number}"


@dataclass(frozen=True, slots=True)
class Let:
    """``value = primitive(operands)``."""

    value: int
    op: Primitive
    operands: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """``value = constant``. Kernels are equal if they compute the same: -0.0 is not 0.0, and NaN
    is NaN.
    """

    value: int
    number: float | int | bool
    dtype: DType

    @property
    def exact(self) -> tuple[int, str, DType]:
        """What it is compared by."""
        return self.value, repr(self.number), self.dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.exact == other.exact

    def __hash__(self) -> int:
        return hash(self.exact)


@dataclass(frozen=True, slots=True)
class Scalar:
    """``value = parameter`` for a scalar parameter."""

    value: int
    parameter: int
    dtype: DType


@dataclass(frozen=True, slots=True)
class Count:
    """``value = index``: an index expression as a number."""

    value: int
    index: Index
    dtype: DType


@dataclass(frozen=True, slots=True)
class Test:
    """``value = all guards hold`` (bool)."""

    value: int
    guards: tuple[Guard, ...]
    dtype: DType


@dataclass(frozen=True, slots=True)
class Load:
    """``value = parameter[index]`` where all `guards` hold, and anything harmless elsewhere."""

    value: int
    parameter: int
    index: Index
    dtype: DType
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Store:
    """``parameter[index] = value`` where `guards` hold; what `streams` may go past the caches."""

    parameter: int
    index: Index
    value: int
    streams: bool = False
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Declare:
    """A new accumulator that starts at the identity of the reduction `op`."""

    value: int
    op: Primitive
    dtype: DType


@dataclass(frozen=True, slots=True)
class Accumulate:
    """``accumulator = op(accumulator, value)`` with the accumulator's own reduction."""

    accumulator: int
    value: int


@dataclass(frozen=True, slots=True)
class Running:
    """``value = accumulator = op(accumulator, operand)``; in lanes, one lane after the other.

    The lanes of a vector are combined in pairs, so the rounding of sums depends on its width.
    """

    value: int
    accumulator: int
    operand: int
    dtype: DType


@dataclass(frozen=True, slots=True)
class Loop:
    """``for variable in range(min(size, limit))``.

    parallel: iterations are independent and are given to threads (only the outermost loop of a
        phase).
    vector: iterations may run side by side in lanes.
    squares: the body is values of one turn, then one loop in lanes. What is read along this loop's
        variable, and across in lanes, may be read before it in squares and transposed.
    """

    variable: Variable
    body: tuple[Statement, ...]
    parallel: bool = False
    vector: bool = False
    limit: Index | None = None
    squares: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A strided value in a parameter's memory: the element at an index is ``offset + sum(index *
    stride)``.
    """

    parameter: int
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def reach(self) -> int:
        """One more than the last element."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return self.offset + 1 + sum((size - 1) * max(step, 0) for size, step in steps)


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention, or its gradient: all results that are wanted, from all operands.

    Attributes:
        how: which one; its part does not matter (see graph/attention.py).
        operands, results: by their names there. random: the scalar with the key of random numbers.
    """

    op: Primitive
    how: Attend
    dtype: DType
    operands: tuple[tuple[str, Rows], ...]
    results: tuple[tuple[str, Rows], ...]
    random: int | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """All steps of recurrent cells, or their gradient; as `Attention`."""

    op: Primitive
    how: Recur
    dtype: DType
    operands: tuple[tuple[str, Rows], ...]
    results: tuple[tuple[str, Rows], ...]


@dataclass(frozen=True, slots=True)
class HostCall:
    """A function of NumPy (graph/host.py) on operands that lie in order, as does the result."""

    call: Host
    operands: tuple[Rows, ...]
    result: Rows

    @property
    def items(self) -> int:
        """How many independent parts the result has."""
        return self.result.shape[0]


Statement = Union[  # noqa: UP007  (forward references)
    Let, Number, Scalar, Count, Test, Load, Store, Declare, Accumulate, Running, Loop, Contraction,
    Attention, Recurrence, Convolution, ConvolutionWeight, HostCall,
]  # fmt: skip
Nest = Loop | Contraction | Convolution | ConvolutionWeight  # statements with a body


@dataclass(frozen=True, slots=True)
class Kernel:
    """Phases that run one after another over shared parameters.

    Attributes:
        name: says what it does: ``exp_mul_sum_4096x1024``. Kernels may be equal by any name.
        parameters: in the order of the arguments.
        phases: what is the same for all items, then one parallel loop (or contraction) last.
    """

    name: str = field(compare=False)
    parameters: tuple[Parameter, ...]
    phases: tuple[tuple[Statement, ...], ...]

    def __str__(self) -> str:
        return "\n".join(print_kernel(self))


SCRATCH_ALIGNMENT = 64


def scratch_layout(parameters: Sequence[Parameter]) -> tuple[dict[int, int], int]:
    """For each parameter that is scratch its offset in a worker's bytes, and how many these are."""
    offsets: dict[int, int] = {}
    total = 0
    for parameter in parameters:
        if parameter.elements:
            offsets[parameter.number] = total
            size = parameter.elements * parameter.dtype.itemsize
            total += -(-size // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT
    return offsets, total


def used_parameters(phase: Sequence[Statement]) -> set[int]:
    """The parameters that the loops of a phase load, store or read as scalars."""
    used: set[int] = set()
    stack = list(phase)
    while stack:
        statement = stack.pop()
        if isinstance(statement, Load | Store | Scalar):
            used.add(statement.parameter)
        elif isinstance(statement, Loop):
            stack.extend(statement.body)
    return used


def statements_inside(nest: Nest) -> tuple[Statement, ...]:
    """What is computed inside `nest`: its body, after the prologues of a contraction."""
    if isinstance(nest, Contraction):
        return (*nest.a.prologue, *nest.b.prologue, *nest.body)
    return nest.body


def statements(kernel: Kernel) -> Iterator[tuple[Statement, tuple[Nest, ...]]]:
    """All statements in order, each with the loops around it."""
    stack: list[tuple[Statement, tuple[Nest, ...]]] = [
        (s, ()) for phase in reversed(kernel.phases) for s in reversed(phase)
    ]
    while stack:
        statement, around = stack.pop()
        yield statement, around
        if isinstance(statement, Nest):
            inside = (*around, statement)
            stack.extend((inner, inside) for inner in reversed(statements_inside(statement)))


_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>", "eq": "==", "ne": "!=", "lt": "<",
    "le": "<=",
}  # fmt: skip


def print_kernel(kernel: Kernel) -> Iterator[str]:
    """The kernel as lines that read like Python."""
    names = {parameter.number: parameter.name for parameter in kernel.parameters}
    yield f"def {kernel.name}({', '.join(f'{p.name}: {p.dtype.name}' for p in kernel.parameters)}):"
    accumulators: dict[int, Primitive] = {}
    for statement, around in statements(kernel):
        indent = "    " * (len(around) + 1)
        yield indent + _print_statement(statement, names, accumulators)


def _print_statement(
    s: Statement, names: dict[int, str], accumulators: dict[int, Primitive]
) -> str:
    match s:
        case Let():
            words = [f"v{o}" for o in s.operands]
            sign = _SYMBOLS.get(s.op.name)
            text = f" {sign} ".join(words) if sign else f"{s.op.name}({', '.join(words)})"
            return f"v{s.value} = {text}" + (
                f".to({s.dtype.name})" if s.op.name in ("cast", "bitcast") else ""
            )
        case Number():
            return f"v{s.value} = {s.dtype.name}({s.number!r})"
        case Scalar():
            return f"v{s.value} = {names[s.parameter]}"
        case Count():
            return f"v{s.value} = {s.dtype.name}({show(s.index)})"
        case Test():
            return f"v{s.value} = {_print_guards(s.guards)}"
        case Load():
            condition = f" if {_print_guards(s.guards)} else 0" if s.guards else ""
            return f"v{s.value} = {names[s.parameter]}[{show(s.index)}]{condition}"
        case Store():
            past = "  # streams" if s.streams else ""
            condition = f" if {_print_guards(s.guards)}" if s.guards else ""
            return f"{names[s.parameter]}[{show(s.index)}] = v{s.value}{condition}{past}"
        case Declare():
            accumulators[s.value] = s.op
            return f"v{s.value} = identity({s.op.name}, {s.dtype.name})"
        case Accumulate():
            found = accumulators.get(s.accumulator)  # none in a kernel that verify.py refuses
            name = "undeclared" if found is None else found.name
            return f"v{s.accumulator} = {name}(v{s.accumulator}, v{s.value})"
        case Running():
            found = accumulators.get(s.accumulator)
            name = "undeclared" if found is None else found.name
            return f"v{s.value} = v{s.accumulator} = {name}(v{s.accumulator}, v{s.operand})"
        case Loop():
            bound = (
                str(s.variable.size)
                if s.limit is None
                else f"min({s.variable.size}, {show(s.limit)})"
            )
            flags = (("parallel", s.parallel), ("vector", s.vector), ("squares", s.squares))
            roles = " ".join(role for role, on in flags if on)
            return f"for {s.variable.name} in range({bound}):" + (f"  # {roles}" if roles else "")
        case Attention() | Recurrence():
            return _print_parted(s, names)
        case HostCall():
            given = [f"{names[r.parameter]}{list(r.shape)}" for r in s.operands]
            given.extend(map(repr, s.call.settings))
            result = f"{names[s.result.parameter]}{list(s.result.shape)}"
            return f"{result} = {s.call.name}({', '.join(given)})  # NumPy"
        case Convolution() | ConvolutionWeight():
            return print_convolution(s, names)
        case Contraction():
            return print_contraction(s, names)


def _print_parted(s: Attention | Recurrence, names: dict[int, str]) -> str:
    results, operands = (
        ", ".join(f"{name} {names[r.parameter]}{list(r.shape)}" for name, r in side)
        for side in (s.results, s.operands)
    )
    how = ", ".join(f"{k}={v}" for k, v in s.how._asdict().items() if k != "part")
    return f"{results} = {s.op.name}({operands}, {how})"


def _print_guards(guards: tuple[Guard, ...]) -> str:
    return " and ".join(f"{g.low} <= {show(g.index)} < {g.high}" for g in guards)
