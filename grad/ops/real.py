"""What PyTorch has for complex numbers, of real ones: parts, conjugates and angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.node import constant, expand, pointwise
from grad.graph.primitives import LT, NE, WHERE
from grad.ops.promotion import floating, number, zeros_like
from grad.ops.registry import ALL, SIGNED, op
from grad.ops.samples import real as _range


@op(
    method="conj_physical", inplace=True, reference=np.conj, samples=_range(-4, 4), dtypes=ALL,
    composite=True,
)  # fmt: skip
class ConjPhysical(Function):
    """The complex conjugate: x itself, which is real."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.alias()


@op(method="conj", aliases=("resolve_conj", "resolve_neg"), composite=True)
class Conj(Function):
    """The complex conjugate: x itself, which is real."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x


@op(function="real", composite=True)
class Real(Function):
    """The real part: x itself."""

    @staticmethod
    def forward(input: Any) -> Any:
        return input


@op(function="imag", composite=True, gradient=False)
class Imag(Function):
    """The imaginary part, which only complex tensors have: raises DTypeError."""

    @staticmethod
    def forward(input: Any) -> Any:
        raise DTypeError(f"imag: {input.dtype.name} is no complex type; real tensors have none.")


@op(method="isreal", reference=np.isreal, samples=_range(-4, 4), dtypes=ALL, gradient=False)
class IsReal(Function):
    """Whether each element is real: True."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return x._wrap(expand(constant(True, dtypes.bool), x.shape))


@op(
    method="angle", reference=np.angle, samples=_range(0.2, 4) + _range(-4, -0.2), dtypes=SIGNED,
)  # fmt: skip
class Angle(Function):
    """The angle from the real axis: 0, and pi for negative numbers."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        node = floating(x)
        zero = number(0, node.dtype)
        turned = pointwise(WHERE, pointwise(LT, node, zero), number(math.pi, node.dtype), zero)
        return x._wrap(pointwise(WHERE, pointwise(NE, node, node), node, turned))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return zeros_like(grad)
