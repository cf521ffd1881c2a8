"""Python's garbage collector, held back while nothing that is made is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """A block in which the garbage collector does not run by itself.

    It would look through every object there is again and again; a tenth of the time of importing
    many modules is that. What is made in the block counts as old afterwards: the next collection of
    young objects would look through all of it once more.

    Example:
        >>> with uncollected():
        ...     gc.isenabled()
        False
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # somebody's frozen objects would be let go of
            gc.freeze()
            gc.unfreeze()  # to the oldest generation
        if running:
            gc.enable()
