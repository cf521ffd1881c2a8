"""What a plan is made of, and how that is said in words (``GRAD_DEBUG=3``, `grad.explain`)."""

from __future__ import annotations

from dataclasses import dataclass

from grad.kernel.lower import Lowered
from grad.schedule.demand import Grouping
from grad.schedule.explain import explain, explain_group
from grad.schedule.program import Program


@dataclass(frozen=True, slots=True)
class Draft:
    """The program after all passes, its groups, a kernel for each group."""

    program: Program
    grouping: Grouping
    lowered: tuple[Lowered, ...]

    def group(self, number: int) -> str:
        """What a group computes and stores, and the reason of its border."""
        return "\n".join(explain_group(self.program, self.grouping, number))

    def layout(self) -> str:
        """The program and all groups."""
        return "\n".join([str(self.program), *explain(self.program, self.grouping)])
