"""Automatic differentiation, as in ``torch.autograd``.

Order to read: variable.py (the handle), function.py (one operation), graph.py (what it saves),
engine.py (the backward pass), modes.py (when nothing is recorded), anomaly.py (finding NaN),
gradcheck.py. `grad.autograd.functional` is opened when it is first asked for; `grad.autograd.ops`
names the built-in functions, and only users import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grad.autograd import graph
from grad.autograd.anomaly import detect_anomaly, set_detect_anomaly
from grad.autograd.engine import backward
from grad.autograd.engine import gradients as grad
from grad.autograd.function import Function
from grad.autograd.gradcheck import gradcheck, gradgradcheck
from grad.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from grad.utils.late import late_names

if TYPE_CHECKING:
    from grad.autograd import functional as functional
    from grad.former_names import Variable as Variable

__getattr__ = late_names(
    __name__,
    globals(),
    {"Variable": "grad.former_names:Variable", "functional": "grad.autograd.functional"},
)

__all__ = [
    "Function",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
