"""Networks: modules with parameters, layers, losses, and how weights start.

Read in this order: `parameter.py`, `module.py` (with `hooks.py` and `state.py`), `containers.py`,
`linear.py`, `convolution.py`, then `functional.py`, which the small modules (`activation.py`,
`dropout.py`, `loss.py`, `normalization.py`, `padding.py`, `pooling.py`, `shape.py`) wrap, and
`init.py`.
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
from grad.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
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
from grad.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from grad.nn.parameter import Parameter
from grad.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
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
    # images
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    # normalization
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
