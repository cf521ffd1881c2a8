"""Optimisers: `optimizer.py` is what they share, `rule.py` one step for all parameters.

The files beside them have one method each; `lr_scheduler` has learning rates as functions of time,
`swa_utils` averages of models.
"""

from __future__ import annotations

from grad.optim import lr_scheduler, swa_utils
from grad.optim.adadelta import Adadelta
from grad.optim.adafactor import Adafactor
from grad.optim.adagrad import Adagrad
from grad.optim.adam import Adam, AdamW
from grad.optim.adamax import Adamax
from grad.optim.asgd import ASGD
from grad.optim.lbfgs import LBFGS
from grad.optim.muon import Muon
from grad.optim.nadam import NAdam
from grad.optim.optimizer import Optimizer
from grad.optim.radam import RAdam
from grad.optim.rmsprop import RMSprop
from grad.optim.rprop import Rprop
from grad.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
