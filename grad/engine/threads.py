"""How many threads compute: the setting, and what has to be told when it changes.

Results are the same to the bit for any number; only the time differs.
"""

from __future__ import annotations

from grad.device import open_backend, opened_backends
from grad.engine.realize import cache, nobody_computing
from grad.settings import settings


def set_num_threads(count: int) -> None:
    """Compute on `count` threads from now on, the calling one included (``GRAD_NUM_THREADS``).

    Raises:
        ValueError: for a count below 1. TypeError: for one that is no int.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"set_num_threads: needs an int, got {count!r}.")
    if count < 1:
        raise ValueError(f"set_num_threads: needs at least 1 thread, got {count}.")
    # A plan that another thread is making has scratch for the number there is when it begins.
    with nobody_computing():
        settings.num_threads = count
        for backend in opened_backends():
            backend.set_workers(count)
        cache.clear()  # plans have scratch for as many threads as there were


def get_num_threads() -> int:
    """How many threads compute: what was set, else the cores that this process may use."""
    return open_backend(settings.backend).workers()
