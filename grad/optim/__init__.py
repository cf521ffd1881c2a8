"""Optimisers: `optimizer.py` is what they share, the files beside it one family each.

`lr_scheduler.py` has learning rates as functions of time.
"""

from __future__ import annotations

from grad.optim import lr_scheduler
from grad.optim.adam import Adam, AdamW
from grad.optim.optimizer import Optimizer
from grad.optim.rmsprop import RMSprop
from grad.optim.sgd import SGD

__all__ = ["Optimizer", "SGD", "Adam", "AdamW", "RMSprop", "lr_scheduler"]
