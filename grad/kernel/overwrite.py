"""Whether a kernel may write a result over one of the buffers that it reads.

It may when every element that it reads there is read where the new one is stored, in the same turn
of the same loops, and before: then no turn sees what another has written. `engine/placement.py`
asks for values that replace others, such as the parameters of a training step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grad.graph.index import Index, Variable
from grad.kernel.ir import Attention, HostCall, Kernel, Load, Loop, Recurrence, Statement, Store
from grad.kernel.ir_contraction import Contraction
from grad.kernel.ir_convolution import Convolution, ConvolutionWeight

# Loops and contractions by identity, since two that look alike are not one, and their variables.
Around = tuple[tuple[int, frozenset[Variable]], ...]


def may_overwrite(kernel: Kernel, read: int, written: int) -> bool:
    """Whether the parameters `read` and `written` of `kernel` may be the same memory."""
    stored = False
    for phase in kernel.phases:
        places: set[tuple[Index, Around]] = set()
        loads = stores = False
        for statement, around in _inside(phase):
            if not isinstance(statement, Load | Store):
                if _uses_otherwise(statement, read, written):
                    return False
            elif isinstance(statement, Load):
                if statement.parameter == read:
                    if stored or stores:
                        return False
                    loads = True
                    places.add((statement.index, around))
            elif statement.parameter == written:
                stores = True
                places.add((statement.index, around))
        if loads and stores and not _one(places):
            return False
        stored = stored or stores
    return True


def _inside(phase: Sequence[Statement]) -> Iterator[tuple[Statement, Around]]:
    """All statements in order, each with the loops of more than one turn around it."""
    stack: list[tuple[Statement, Around]] = [(s, ()) for s in reversed(phase)]
    while stack:
        statement, around = stack.pop()
        yield statement, around
        if isinstance(statement, Loop):
            turns = _turns(statement, statement.variable)
            inside = around if statement.variable.size == 1 else (*around, turns)
            stack.extend((inner, inside) for inner in reversed(statement.body))
        elif isinstance(statement, Contraction):
            turns = _turns(statement, *statement.batch, statement.row, statement.column)
            stack.extend((inner, (*around, turns)) for inner in reversed(statement.body))


def _turns(statement: Statement, *variables: Variable) -> tuple[int, frozenset[Variable]]:
    return id(statement), frozenset(v for v in variables if v.size > 1)


def _uses_otherwise(statement: Statement, read: int, written: int) -> bool:
    """Whether the statement uses one of the parameters in an order that its text does not show."""
    match statement:
        case Contraction():
            return any(
                operand.parameter == read
                or any(isinstance(s, Load) and s.parameter == read for s in operand.prologue)
                for operand in (statement.a, statement.b)
            )
        case Attention() | Recurrence():
            used = {rows.parameter for _, rows in (*statement.operands, *statement.results)}
            return not used.isdisjoint((read, written))
        case HostCall():
            used = {rows.parameter for rows in (*statement.operands, statement.result)}
            return not used.isdisjoint((read, written))
        case Convolution():
            used = {s.parameter for s in statement.body if isinstance(s, Load | Store)}
            used |= {statement.image_parameter, statement.weight_parameter}
            return not used.isdisjoint((read, written))
        case ConvolutionWeight():
            used = {statement.image_parameter, statement.gradient_parameter}
            used.add(statement.target_parameter)
            return not used.isdisjoint((read, written))
    return False


def _one(places: set[tuple[Index, Around]]) -> bool:
    """Whether there is one place, another one at each turn of all loops around it; an index that is
    computed from data may come twice.
    """
    if len(places) != 1:
        return False
    ((index, around),) = places
    variables = index.variables()
    return not index.dynamics() and all(turning <= variables for _, turning in around)
