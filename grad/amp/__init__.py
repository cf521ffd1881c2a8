"""Automatic mixed precision, with the names of ``torch.amp``.

`autocast` has products compute in bfloat16 or float16, by the table in grad/ops/autocast.py;
`GradScaler` keeps gradients of float16 from becoming 0.
"""

from __future__ import annotations

from grad.amp.autocast import (
    autocast,
    custom_bwd,
    custom_fwd,
    get_autocast_dtype,
    is_autocast_available,
    is_autocast_enabled,
)
from grad.amp.grad_scaler import GradScaler

__all__ = [
    "GradScaler",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_dtype",
    "is_autocast_available",
    "is_autocast_enabled",
]
