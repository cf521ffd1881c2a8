"""How often a plan of open sizes is used before its sizes get a plan of their own.

Code that holds for all sizes (sizes.py) is nearly as fast as code that was made for some, but for
matrix products: these choose tiles and where operands are packed by the sizes, and may take 5 to 30
per cent longer where they are open. So a plan with products counts its uses; when it has computed
for so long that making another one is little beside that, the next use makes one, for these sizes
alone. The number is estimated from the sizes, no time is measured: a program that runs twice
changes plans at the same places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grad.engine.plan import Work

# So many times the work of making a plan is done with the old one first.
RATIO = 10
FEWEST_USES = 4
# Estimates, in seconds: of making a kernel, of starting one, of a byte moved and of an operation.
# They only need to be of the right order.
MAKING, STARTING, BYTE, OPERATION = 0.05, 2e-6, 1e-10, 1e-11


class Uses:
    """How many more times something is to be used."""

    __slots__ = ("left",)

    def __init__(self, left: float) -> None:
        self.left = left

    def again(self) -> bool:
        """Whether it is to be used once more, which is counted."""
        self.left -= 1
        return self.left >= 0

    @property
    def over(self) -> bool:
        """Whether it has been used often enough."""
        return self.left <= 0

    def go_on(self) -> None:
        """It is to be used for ever."""
        self.left = math.inf


def uses_for(steps: Iterable[Iterable[Work]], kernels: int) -> Uses:
    """The uses of a plan with these steps, which start so many kernels."""
    seconds = max(kernels, 1) * STARTING + sum(
        max(work.nbytes * BYTE, work.operations * OPERATION) for works in steps for work in works
    )
    return Uses(max(FEWEST_USES, math.ceil(RATIO * MAKING * kernels / seconds)))
