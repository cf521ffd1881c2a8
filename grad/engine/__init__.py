"""From pending graph values to numbers: `realize` is the one way there.

Read realize.py (find or make a plan, run it), then plan.py (what a plan is), assembly.py (how one
is put together), placement.py (in which order, and what takes the place of what), memory.py (where
temporaries live) and sizes.py (plans that hold for many sizes).
"""

from grad.engine.realize import bound, cache, compute_soon, kernel_count, realize, settle

__all__ = ["bound", "cache", "compute_soon", "kernel_count", "realize", "settle"]
