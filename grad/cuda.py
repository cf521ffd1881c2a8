"""CUDA devices: there is no CUDA backend yet, so there are none.

Here so that code that asks first (``device = "cuda" if torch.cuda.is_available() else "cpu"``) gets
its answer.
"""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Whether tensors can be put on a CUDA device: no."""
    return False


def device_count() -> int:
    """How many CUDA devices can be used: 0."""
    return 0


def manual_seed_all(seed: Any) -> None:
    """Seed the generators of all CUDA devices, of which there are none."""
