"""Activation functions of neural networks, and softmax.

Those met in every network are Functions with their derivative written out; the rest are composed.
All need floating tensors, but for `relu` and the clipping kind; halves are computed in float32
(halves.py). `nn.functional` takes them from here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.errors import ArgumentError, ShapeError
from grad.graph.node import Node, pointwise
from grad.graph.primitives import (
    ABS,
    ADD,
    DIV,
    ERF,
    EXP,
    EXPM1,
    LE,
    LOG1P,
    LT,
    MAXIMUM,
    MUL,
    NEG,
    SIGMOID,
    TANH,
    WHERE,
)
from grad.ops.axes import normal_axis
from grad.ops.halves import Pointwise, rounded_once
from grad.ops.promotion import number, refuse_bool, require_floating
from grad.ops.registry import FLOATING, NUMERIC, Array, op
from grad.ops.samples import operands, real
from grad.ops.select import Where

_AWAY_FROM_ZERO = real(0.2, 3) + real(-3, -0.2)


def _wide(x: Array) -> Array:
    return x.astype(np.float64)


@op(
    method="relu",
    inplace=True,
    reference=lambda x: np.maximum(x, 0),
    samples=_AWAY_FROM_ZERO,
    dtypes=NUMERIC,
)
@remembered
class Relu(Function):
    """``max(x, 0)``, with derivative 0 at 0."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        refuse_bool("relu", x.dtype, instead="x itself")
        result = x._wrap(pointwise(MAXIMUM, x.node, number(0, x.dtype)))
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (result,) = ctx.saved_tensors
        return grad.masked_fill(result <= 0, 0)


_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715  # Hendrycks and Gimpel, "Gaussian error linear units", 2016


def _gelu_reference(x: Array, approximate: str = "none") -> Array:
    wide = _wide(x)
    if approximate == "tanh":
        return 0.5 * wide * (1 + np.tanh(_SQRT_2_OVER_PI * (wide + _GELU_CUBIC * wide**3)))
    return wide * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(wide * _SQRT_HALF))


@op(
    method="gelu",
    reference=_gelu_reference,
    samples=(*real(-3, 3), *operands(((3, 4),), kwargs={"approximate": "tanh"}, low=-3, high=3)),
    dtypes=FLOATING,
)
@plainly_rebuilt
@remembered
class Gelu(Pointwise):
    """``x * Phi(x)``, Phi being the normal distribution; ``approximate="tanh"`` is the formula
    with tanh.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, *, approximate: str = "none") -> Any:
        require_floating("gelu", x.dtype)
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f"gelu: approximate={approximate!r}; use 'none' or 'tanh'.")
        ctx.save_for_backward(x)
        ctx.approximate = approximate
        node = x.node
        if approximate == "tanh":
            cubic = pointwise(MUL, pointwise(MUL, node, node), number(_GELU_CUBIC, node.dtype))
            factor = pointwise(ADD, cubic, number(1, node.dtype))
            inner = pointwise(
                MUL, pointwise(MUL, node, factor), number(_SQRT_2_OVER_PI, node.dtype)
            )
            bell = pointwise(TANH, inner)
        else:
            bell = pointwise(ERF, pointwise(MUL, node, number(_SQRT_HALF, node.dtype)))
        half = pointwise(MUL, node, number(0.5, node.dtype))
        result = pointwise(MUL, half, pointwise(ADD, bell, number(1, node.dtype)))
        return x._wrap(result)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        squared = x * x
        if ctx.approximate == "tanh":
            bell = (x * (squared * _GELU_CUBIC + 1) * _SQRT_2_OVER_PI).tanh()
            slope = (squared * (3 * _GELU_CUBIC) + 1) * _SQRT_2_OVER_PI
            return grad * 0.5 * (bell + 1 + x * (1 - bell * bell) * slope)
        density = (squared * -0.5).exp() * (1 / math.sqrt(2 * math.pi))
        return grad * (((x * _SQRT_HALF).erf() + 1) * 0.5 + x * density)


@op(
    method="silu",
    aliases=("swish",),
    reference=lambda x: _wide(x) / (1 + np.exp(-_wide(x))),
    samples=real(-4, 4),
    dtypes=FLOATING,
)
@remembered
class Silu(Pointwise):
    """``x * sigmoid(x)``."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        require_floating("silu", x.dtype)
        ctx.save_for_backward(x)
        node = x.node
        return x._wrap(pointwise(MUL, node, pointwise(SIGMOID, node)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return grad * (s * (1 + x * (1 - s)))


@op(
    method="softplus",
    reference=lambda x, beta=1.0, threshold=20.0: np.log1p(np.exp(_wide(x) * beta)) / beta,
    samples=(*real(-4, 4), *operands(((3, 4),), arguments=(2.0,))),
    dtypes=FLOATING,
)
@remembered
class Softplus(Pointwise):
    """``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x > threshold``."""

    @staticmethod
    def forward(ctx: Context, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
        require_floating("softplus", x.dtype)
        ctx.save_for_backward(x)
        ctx.beta, ctx.threshold = beta, threshold
        node = x.node
        scaled = node if beta == 1 else pointwise(MUL, node, number(beta, node.dtype))
        # max(x, 0) + log1p(exp(-|x|)) cannot overflow.
        tail = pointwise(LOG1P, pointwise(EXP, pointwise(NEG, pointwise(ABS, scaled))))
        soft = pointwise(ADD, pointwise(MAXIMUM, scaled, number(0, node.dtype)), tail)
        soft = soft if beta == 1 else pointwise(DIV, soft, number(beta, node.dtype))
        straight = pointwise(LT, number(threshold, node.dtype), scaled)
        return x._wrap(pointwise(WHERE, straight, node, soft))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        scaled = x * ctx.beta
        return Where.apply(scaled > ctx.threshold, grad, grad * scaled.sigmoid())


@op(
    method="leaky_relu",
    inplace=True,
    reference=lambda x, negative_slope=0.01: np.where(
        x > 0, x, x * np.asarray(negative_slope, x.dtype)
    ),
    samples=(*_AWAY_FROM_ZERO, *operands(((3, 4),), arguments=(0.2,))),
    dtypes=FLOATING,
)
@remembered
class LeakyRelu(Pointwise):
    """x where it is positive, ``negative_slope * x`` elsewhere."""

    @staticmethod
    def forward(ctx: Context, x: Any, negative_slope: float = 0.01) -> Any:
        require_floating("leaky_relu", x.dtype)
        ctx.save_for_backward(x)
        ctx.slope = negative_slope
        node = x.node
        positive = pointwise(LT, number(0, x.dtype), node)
        return x._wrap(
            pointwise(WHERE, positive, node, pointwise(MUL, node, number(negative_slope, x.dtype)))
        )

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return Where.apply(x > 0, grad, grad * ctx.slope)


def _where_not_positive(node: Node, below: Node) -> Node:
    """`node`, with `below` in the place of what is zero or negative; NaN stays."""
    return pointwise(WHERE, pointwise(LE, node, number(0, node.dtype)), below, node)


@op(
    method="elu",
    inplace=True,
    reference=lambda x, alpha=1.0: np.where(
        x > 0, _wide(x), alpha * np.expm1(np.minimum(_wide(x), 0))
    ),
    samples=(*_AWAY_FROM_ZERO, *operands(((3, 4),), arguments=(0.5,))),
    dtypes=FLOATING,
)
@remembered
class Elu(Pointwise):
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    @staticmethod
    def forward(ctx: Context, x: Any, alpha: float = 1.0) -> Any:
        require_floating("elu", x.dtype)
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        node = x.node
        negative = pointwise(MUL, pointwise(EXPM1, node), number(alpha, node.dtype))
        return x._wrap(_where_not_positive(node, negative))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        # Where x is positive, exp(x) may be infinite: it is not even computed of it.
        falling = x.clamp(max=0).exp() * ctx.alpha
        return Where.apply(x > 0, grad, grad * falling)


@op(
    method="celu",
    inplace=True,
    reference=lambda x, alpha=1.0: np.where(
        x > 0, _wide(x), alpha * np.expm1(np.minimum(_wide(x), 0) / alpha)
    ),
    samples=(
        *operands(((3, 4),), arguments=(2.0,)),
        *operands(((3, 4),), arguments=(-1.5,), low=0.2, name="negative alpha"),
        *operands(((3, 4),), arguments=(-1.5,), high=-0.2, name="negative alpha and x"),
    ),
    dtypes=FLOATING,
)
@remembered
class Celu(Pointwise):
    """x where it is positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere."""

    @staticmethod
    def forward(ctx: Context, x: Any, alpha: float = 1.0) -> Any:
        require_floating("celu", x.dtype)
        if not alpha:
            raise ArgumentError("celu: alpha must not be 0; x is divided by it.")
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        node = x.node
        factor = number(alpha, node.dtype)
        negative = pointwise(MUL, pointwise(EXPM1, pointwise(DIV, node, factor)), factor)
        return x._wrap(_where_not_positive(node, negative))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        falling = (x.clamp(max=0) / ctx.alpha).exp()
        return Where.apply(x > 0, grad, grad * falling)


# -- composed --------------------------------------------------------------------------------------
@op(
    method="logsigmoid",
    reference=lambda x: -np.log1p(np.exp(-_wide(x))),
    samples=real(-4, 4),
    composite=True,
)
class LogSigmoid(Function):
    """``log(sigmoid(x))``, without underflow."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        return -Softplus.apply(-x, 1.0, math.inf)


@op(
    method="softsign",
    reference=lambda x: x / (1 + np.abs(x)),
    samples=_AWAY_FROM_ZERO,
    composite=True,
)
class Softsign(Function):
    """``x / (1 + |x|)``."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        return x / (x.abs() + 1)


@op(
    method="mish",
    reference=lambda x: _wide(x) * np.tanh(np.log1p(np.exp(_wide(x)))),
    samples=real(-4, 4),
    composite=True,
)
class Mish(Function):
    """``x * tanh(softplus(x))``."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        return x * x.softplus().tanh()


# Klambauer et al., "Self-normalizing neural networks", 2017.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@op(
    method="selu",
    inplace=True,
    reference=lambda x: (
        _SELU_SCALE * np.where(x > 0, _wide(x), _SELU_ALPHA * np.expm1(np.minimum(_wide(x), 0)))
    ),
    samples=_AWAY_FROM_ZERO,
    composite=True,
)
class Selu(Function):
    """`elu` with the scale and alpha that keep mean 0 and variance 1."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        return Elu.apply(x, _SELU_ALPHA) * _SELU_SCALE


@op(
    method="glu",
    reference=lambda x, dim=-1: np.split(x, 2, dim)[0] / (1 + np.exp(-np.split(x, 2, dim)[1])),
    samples=operands(((3, 4),)),
    composite=True,
)
class Glu(Function):
    """The first half of x along `dim` times the sigmoid of the second."""

    @staticmethod
    @rounded_once
    def forward(x: Any, dim: int = -1) -> Any:
        if not x.shape:
            raise ShapeError("glu: got a number, needs a dimension to split in halves.")
        if x.shape[normal_axis("glu", dim, len(x.shape))] % 2:
            raise ShapeError(
                f"glu: the size of dim {dim} of {tuple(x.shape)} is odd; it is split in halves."
            )
        first, second = x.chunk(2, dim)
        return first * second.sigmoid()
