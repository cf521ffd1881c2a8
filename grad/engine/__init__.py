"""From pending graph values to numbers: `realize` is the one way there.

Read realize.py (find or make a plan, run it), then plan.py (what a plan is), assembly.py (how one
is put together), placement.py (in which order, and what takes the place of what), memory.py (where
temporaries live) and sizes.py (plans that hold for many sizes). awaited.py has what is computed
along with whatever is next.
"""

from grad.engine.awaited import compute_soon, compute_written_soon
from grad.engine.realize import bound, cache, kernel_count, realize, settle

__all__ = [
    "bound",
    "cache",
    "compute_soon",
    "compute_written_soon",
    "kernel_count",
    "realize",
    "settle",
]
