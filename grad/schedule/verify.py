"""Check that a Program and its groups obey their rules (``GRAD_VERIFY=1``, and always in the
tests).

Sources come before what uses them, shapes and element types follow from the sources', every value
that a group reads from memory is stored by an earlier group, and every output is in memory at the
end.
"""

from __future__ import annotations

import math

from grad.errors import VerifyError
from grad.graph.movement import Move, moved_shape
from grad.graph.node import broadcast_shapes
from grad.graph.primitives import BUFFER, CONTRACT, Kind, Rule
from grad.schedule.demand import Grouping
from grad.schedule.facts import renumbered
from grad.schedule.program import Entry, Program


def verify_program(program: Program) -> None:
    """Raise VerifyError, with the program's text, for the first entry that breaks a rule."""
    for number, entry in enumerate(program.entries):
        broken = _broken(program, number, entry)
        if broken:
            raise VerifyError(f"%{number}: {broken} in\n{program}")
    if any(not 0 <= output < len(program.entries) for output in program.outputs):
        raise VerifyError(f"an output is no entry in\n{program}")


def _broken(program: Program, number: int, entry: Entry) -> str | None:
    """What is wrong with one entry, or None."""
    if any(not 0 <= source < number for source in entry.src):
        return "a source comes after it"
    sources = [program.entries[source] for source in entry.src]
    kind = entry.op.kind
    if kind is Kind.POINTWISE:
        if len(sources) != entry.op.arity:
            return f"{entry.op.name} takes {entry.op.arity} operands"
        if broadcast_shapes(entry.op.name, *[s.shape for s in sources]) != entry.shape:
            return "its shape is not that of its operands, broadcast"
        if entry.op.rule is Rule.SAME and any(s.dtype is not entry.dtype for s in sources):
            return "its element type is not that of its operands"
    elif kind is Kind.MOVEMENT:
        if moved_shape(sources[0].shape, Move(entry.op, entry.arg)) != entry.shape:
            return "its shape does not follow from its source's"
        if entry.op.name == "reshape" and math.prod(entry.shape) != math.prod(sources[0].shape):
            return "it changes the number of elements"
    elif kind is Kind.REDUCE:
        kept = tuple(s for a, s in enumerate(sources[0].shape) if a not in entry.arg)
        if kept != entry.shape:
            return "its shape is not its source's without the reduced axes"
    elif entry.op is CONTRACT:
        a, b = (s.shape for s in sources)
        if (*a[:-1], b[-1]) != entry.shape or a[:-2] != b[:-2] or a[-1] != b[-2]:
            return "its operands do not fit"
    return None


def verify_grouping(program: Program, grouping: Grouping) -> None:
    """Raise VerifyError when a group reads what no earlier group stored."""
    stored: set[int] = set()
    for group in grouping.groups:
        for number in group.stored:
            if number in stored:
                raise VerifyError(f"%{number} is stored twice in\n{program}")
            if grouping.home.get(number) != group.root:
                raise VerifyError(
                    f"%{number} is stored by a group that is not its home in\n{program}"
                )
            stored.add(number)
    for output in program.outputs:
        number = renumbered(program, output)
        if program.entries[number].op is not BUFFER and number not in stored:
            raise VerifyError(f"output %{output} is stored by no group in\n{program}")
