"""What a kernel costs, roughly: the judge between several ways to write the same loops.

The unit is one vector instruction. Loads and stores that run along memory are cheap, those that
jump are not; loops that are shorter than a vector waste lanes. `lower.py` writes each candidate and
keeps the best; the engine takes the cost of an item to decide how many items a thread gets at a
time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

from grad.graph.index import (
    Index,
    Quotient,
    Remainder,
    Variable,
    repetition,
    run_length,
    short_step,
)
from grad.graph.positions import Guard
from grad.graph.sizes import hint
from grad.kernel.ir import (
    Accumulate,
    Attention,
    Count,
    Declare,
    Kernel,
    Let,
    Load,
    Loop,
    Recurrence,
    Running,
    Statement,
    Store,
    Test,
)
from grad.kernel.ir_contraction import Contraction
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionWeight,
    result_variables,
)
from grad.kernel.walk import statements_in

LANES = 16
JUMP = 1.2  # one lane of a gather
NEAR = 0.5  # one whose cache line is still there from the step before
REVERSED = 2.0  # a vector read backwards
RUNNING = 12.0  # the running sums of the lanes of a vector
TRANSPOSED = 6.0  # a vector that comes out of a transposed square
STRIDED = 4.0  # each row of memory of which a vector takes elements a few apart
RUN = 2.0  # each row of elements of a vector that has several of them
REPEATED = 4.0  # a vector in which neighbouring lanes are the same
SCATTER = 1.7  # a scatter next to a gather
NEAR_LINES = 256  # so many lines stay in the first-level cache
GUARD = 2.0  # lanes of 64 bits are compared with both bounds
DIVISION = 8.0  # of such lanes
LOOP = 3.0  # starting a loop


def access_cost(
    index: Index,
    lanes: Variable | None,
    around: Loop | None = None,
    stores: bool = False,
    varying: Set[int] | None = None,
) -> float:
    """One load (or store) of a vector along `lanes`, in the loop `around` the one in lanes.

    `varying` are the computed values that differ from lane to lane (None: all of them).
    """
    divisions = sum(isinstance(atom, Quotient | Remainder) for atom, _ in index.terms)
    if lanes is None:
        return 1.0 + divisions
    coefficient = index.coefficient(lanes)
    computed = index.dynamics()
    if computed and (varying is None or not computed.isdisjoint(varying)):
        return LANES * JUMP + (8.0 * divisions if coefficient is None else 0.0)
    if coefficient in (0, 1, -1):
        return (1.0 if coefficient != -1 else REVERSED) + divisions
    step = None if around is None else index.coefficient(around.variable)
    if step == 1 and around is not None and around.squares:
        return TRANSPOSED
    apart = None if stores else short_step(index, lanes)
    if apart is not None:
        return STRIDED * apart + divisions
    if coefficient is None:
        if repetition(index, lanes) is not None:
            return REPEATED
        run = None if stores else run_length(index, lanes, LANES)
        if run is not None:
            return (RUN + divisions) * LANES / run
        return LANES * JUMP * 2 + 4.0 * divisions
    if step in (1, -1) and hint(lanes.size) <= NEAR_LINES:
        return LANES * NEAR
    return LANES * JUMP


def guards_cost(guards: Sequence[Guard], lanes: Variable | None) -> float:
    """What asking costs that is not the same for all of a vector along `lanes`."""
    total = 0.0
    for guard in guards:
        if lanes in guard.index.variables():
            divisions = sum(isinstance(atom, Quotient | Remainder) for atom, _ in guard.index.terms)
            total += GUARD + DIVISION * divisions
    return total


def statement_cost(
    statement: Statement,
    lanes: Variable | None,
    around: Loop | None,
    varying: Set[int] | None = None,
) -> float:
    if isinstance(statement, Let):
        return statement.op.cost
    if isinstance(statement, Test):
        return 0.5 + guards_cost(statement.guards, lanes)
    if isinstance(statement, Load | Store):
        price = access_cost(statement.index, lanes, around, isinstance(statement, Store), varying)
        price += guards_cost(statement.guards, lanes)
        return price * SCATTER if isinstance(statement, Store) and price >= LANES * NEAR else price
    if isinstance(statement, Count):
        return 2.0
    if isinstance(statement, Running):
        return 1.0 if lanes is None else RUNNING
    return 0.5


def _values_of(loop: Loop) -> frozenset[int]:
    """The values that each turn of a loop computes for itself."""
    kinds = (Let, Test, Load, Count, Running, Declare)
    return frozenset(s.value for s in statements_in(loop.body) if isinstance(s, kinds))


def phase_cost(statements: tuple[Statement, ...]) -> float:
    """The cost of running `statements` once, all loops included."""
    total = 0.0
    stack: list[tuple[tuple[Statement, ...], float, Variable | None, Loop | None, Set[int]]]
    stack = [(statements, 1.0, None, None, frozenset())]
    while stack:
        body, times, lanes, around, varying = stack.pop()
        for statement in body:
            if isinstance(statement, Contraction):
                sizes = (*statement.batch, statement.row, statement.column, statement.k)
                total += times * math.prod(hint(v.size) for v in sizes) / LANES
            elif isinstance(statement, Convolution | ConvolutionWeight):
                total += times * statement.sizes.operations / LANES
            elif isinstance(statement, Loop):
                size = hint(statement.variable.size)
                turns = math.ceil(size / LANES) if statement.vector else size
                total += times * LOOP
                if statement.vector:
                    made = _values_of(statement)
                    stack.append((statement.body, times * turns, statement.variable, around, made))
                else:
                    stack.append((statement.body, times * turns, lanes, statement, varying))
            else:
                total += times * statement_cost(statement, lanes, around, varying)
    return total


def kernel_cost(kernel: Kernel) -> float:
    return sum(phase_cost(phase) for phase in kernel.phases)


def attention_operations(statement: Attention) -> float:
    """Multiplications and additions of the products in an attention; half of them if causal."""
    operands = dict(statement.operands)
    size, value_size = operands["query"].shape[-1], operands["value"].shape[-1]
    scores = hint(math.prod(operands["query"].shape[:-1]) * operands["key"].shape[-2])
    backward = "slope" in operands
    products = 3 * size + 2 * value_size if backward else size + value_size
    return scores * products * 2.0 * (0.5 if statement.how.is_causal else 1.0)


def recurrence_operations(statement: Recurrence) -> float:
    """Multiplications and additions of the products in a recurrence."""
    operands = dict(statement.operands)
    sequence = operands["slope" if "slope" in operands else "projected"]
    rows, hidden = operands["weight"].shape
    return hint(math.prod(sequence.shape[:-1])) * rows * hidden * 2.0


def operations(statements: tuple[Statement, ...]) -> float:
    """Arithmetic operations of running `statements` once, on single elements, for reports."""
    total = 0.0
    stack: list[tuple[tuple[Statement, ...], float]] = [(statements, 1.0)]
    while stack:
        body, times = stack.pop()
        for statement in body:
            if isinstance(statement, Attention):
                total += times * attention_operations(statement)
            elif isinstance(statement, Recurrence):
                total += times * recurrence_operations(statement)
            elif isinstance(statement, Contraction):
                results = math.prod(
                    hint(v.size) for v in (*statement.batch, statement.row, statement.column)
                )
                total += times * results * 2 * hint(statement.k.size)
                stack.append((statement.body, times * results))
            elif isinstance(statement, Convolution | ConvolutionWeight):
                total += times * 2 * hint(statement.sizes.operations)
                results = math.prod(hint(v.size) for v in result_variables(statement.sizes))
                stack.append((statement.body, times * results))
            elif isinstance(statement, Loop):
                stack.append((statement.body, times * hint(statement.variable.size)))
            elif isinstance(statement, Let | Accumulate):
                total += times
    return total
