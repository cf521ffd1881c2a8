"""Small things that any layer may use: bit formats, constants, number formatting.

`checkpoint`, `data` and `tensorboard` are for users, and belong to higher layers (tools/
architecture.py); they are opened when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grad.utils.late import late_names

if TYPE_CHECKING:
    from grad.utils import checkpoint as checkpoint
    from grad.utils import data as data
    from grad.utils import tensorboard as tensorboard

__getattr__ = late_names(
    __name__,
    globals(),
    {name: f"grad.utils.{name}" for name in ("checkpoint", "data", "tensorboard")},
)
