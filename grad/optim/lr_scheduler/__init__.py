"""Learning rates as functions of time: `scheduler.py` is what they share, each file one kind.

`decays.py` multiplies by factors, `functions.py` asks the user, `cycles.py` goes up and down,
`plateau.py` looks at the loss, `combined.py` makes one schedule of several.
"""

from __future__ import annotations

from grad.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from grad.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from grad.optim.lr_scheduler.decays import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from grad.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from grad.optim.lr_scheduler.plateau import ReduceLROnPlateau
from grad.optim.lr_scheduler.scheduler import LRScheduler

_LRScheduler = LRScheduler  # the older name

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
