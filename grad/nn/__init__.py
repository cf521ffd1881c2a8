"""Networks: modules with parameters, layers, losses, and how weights start.

Read in this order: `parameter.py`, `module.py` (with `hooks.py` and `state.py`), `containers.py`,
`linear.py`, then `functional.py`, which the small modules (`activation.py`, `dropout.py`,
`loss.py`, `normalization.py`, `shape.py`) wrap, and `init.py`.
"""

from __future__ import annotations

from grad.nn import functional, init, utils
from grad.nn.activation import (
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from grad.nn.compiled import CompiledModule
from grad.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from grad.nn.dropout import Dropout
from grad.nn.linear import Embedding, Identity, Linear
from grad.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from grad.nn.module import Module
from grad.nn.normalization import LayerNorm, RMSNorm
from grad.nn.parameter import Parameter
from grad.nn.shape import Flatten, Unflatten

__all__ = [
    "CompiledModule",
    # building
    "Module",
    "Parameter",
    "Sequential",
    "ModuleList",
    "ModuleDict",
    "ParameterList",
    # layers
    "Linear",
    "Embedding",
    "Identity",
    "Dropout",
    "Flatten",
    "Unflatten",
    "LayerNorm",
    "RMSNorm",
    # activations
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "ELU",
    "GELU",
    "SELU",
    "GLU",
    "SiLU",
    "Mish",
    "Hardsigmoid",
    "Hardswish",
    "Softsign",
    "Softplus",
    "Sigmoid",
    "LogSigmoid",
    "Tanh",
    "Hardtanh",
    "Softmax",
    "LogSoftmax",
    # losses
    "CrossEntropyLoss",
    "NLLLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "MSELoss",
    "L1Loss",
    "SmoothL1Loss",
    "HuberLoss",
    "KLDivLoss",
    # functions
    "functional",
    "init",
    "utils",
]
