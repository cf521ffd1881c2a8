"""The default source of random numbers: how it is seeded, kept and put back, as ``torch.random``.

`grad/ops/generator.py` has the generators; random tensors are functions of `grad` and methods of
tensors (`grad/ops/random.py` and its neighbours).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grad.ops.generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]


@contextmanager
def fork_rng(
    devices: Any = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """When the block is over, the default generator goes on as if nothing had been drawn or seeded
    in it.

    Args:
        devices, device_type: further generators to put back; there is none but that of the CPU.
        enabled: without it the block changes nothing.

    Example:
        >>> _ = grad.manual_seed(0)
        >>> with grad.random.fork_rng():
        ...     inside = grad.rand(3)
        >>> grad.equal(inside, grad.rand(3))
        True
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
