"""The operators ``+ - * / // %`` and their relatives of two operands.

Every class is one operation: `forward` builds nodes by `promotion.py`, `backward` is written in
Tensor methods, so that gradients have gradients. Broadcasting and casts are undone by the
autograd engine, so a gradient here has the shape of the result. `unary.py` and `comparison.py`
continue the list.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, GradientError
from grad.graph.node import Node, cast, pointwise
from grad.graph.primitives import (
    ADD,
    AND,
    ATAN2,
    DIV,
    FLOORDIV,
    FMOD,
    MOD,
    MUL,
    OR,
    SUB,
    TRUNC,
    Primitive,
)
from grad.ops.halves import Pointwise
from grad.ops.promotion import (
    accumulation_dtype,
    binary,
    floating_pair,
    is_tensor,
    number,
    pair,
    refuse_bool,
    scaling,
    unrounded,
    wrap,
    zeros_like,
)
from grad.ops.registry import ALL, FLOATING, NUMERIC, op
from grad.ops.samples import binary_samples, nonzero, operands

Operand = Any


def scaled(name: str, node: Node, alpha: float) -> Node:
    """``alpha * node``, for what an operation multiplies by a number on the way."""
    if isinstance(alpha, float) and node.dtype.priority < 2:
        raise DTypeError(
            f"{name}: alpha={alpha} is floating, the operands are {node.dtype.name}; use an int."
        )
    if node.dtype is dtypes.bool:
        return pointwise(AND, node, number(alpha, dtypes.bool))
    return pointwise(MUL, node, number(alpha, node.dtype))


def _with_multiple(name: str, primitive: Primitive, pair: tuple[Node, Node], alpha: float) -> Any:
    """`primitive` of the first node and `alpha` times the second. Of halves alpha is rounded to
    their type, as in PyTorch, and then the result alone.
    """
    a, b = pair
    dtype, wide = a.dtype, accumulation_dtype(a.dtype)
    if wide is dtype:
        return wrap(pointwise(primitive, a, scaled(name, b, alpha)))
    multiple = pointwise(MUL, cast(b, wide), cast(number(alpha, dtype), wide))
    return wrap(cast(pointwise(primitive, cast(a, wide), multiple), dtype))


@op(
    method="add",
    operator="__add__",
    reflected="__radd__",
    inplace=True,
    reference=lambda x, y, alpha=1: x + y if alpha == 1 else x + alpha * y,
    samples=binary_samples(),
    dtypes=ALL,
)
@remembered
class Add(Function):
    """Sum ``x + alpha * y``; of two bool tensors, their logical or."""

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand, *, alpha: float = 1) -> Any:
        if alpha == 1:
            return binary("add", ADD, x, y)
        ctx.alpha = alpha
        nodes = pair("add", x, y)
        return _with_multiple("add", OR if nodes[0].dtype is dtypes.bool else ADD, nodes, alpha)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        alpha = getattr(ctx, "alpha", 1)
        return grad, grad if alpha == 1 else grad * alpha


@op(
    method="sub",
    operator="__sub__",
    reflected="__rsub__",
    aliases=("subtract",),
    inplace=True,
    reference=lambda x, y, alpha=1: x - y if alpha == 1 else x - alpha * y,
    samples=binary_samples(),
    dtypes=NUMERIC,
)
@remembered
class Sub(Function):
    """Difference ``x - alpha * y``. For masks use ``^`` or ``~``: bool tensors are refused, as in
    PyTorch.
    """

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand, *, alpha: float = 1) -> Any:
        for value in (x, y):
            if is_tensor(value):
                refuse_bool("sub", value.dtype, instead="x ^ y or x.logical_xor(y)")
            elif value is True or value is False:
                raise DTypeError(f"sub: not defined for {value}; use {int(value)}.")
        if alpha == 1:
            return binary("sub", SUB, x, y)
        ctx.alpha = alpha
        return _with_multiple("sub", SUB, pair("sub", x, y), alpha)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        if not ctx.needs_input_grad[1]:
            return grad, None
        alpha = getattr(ctx, "alpha", 1)
        return grad, grad * -alpha if alpha != 1 else -grad


@op(
    method="mul",
    operator="__mul__",
    reflected="__rmul__",
    aliases=("multiply",),
    inplace=True,
    reference=np.multiply,
    samples=binary_samples(),
    dtypes=ALL,
)
@remembered
class Mul(Function):
    """Product; of two bool tensors, their logical and."""

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand) -> Any:
        ctx.save_for_backward(x, y)
        return binary("mul", MUL, x, y, True)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        return grad * y if needs_x else None, grad * x if needs_y else None


@op(
    method="rsub",
    function="rsub",
    reference=lambda x, y, alpha=1: y - alpha * x,
    samples=(*operands(), *operands(((3, 4),), arguments=(2,))),
    dtypes=NUMERIC,
    composite=True,
)
class Rsub(Function):
    """Difference ``y - alpha * x``: `sub` with its operands exchanged."""

    @staticmethod
    def forward(x: Any, y: Operand, *, alpha: float = 1) -> Any:
        return Sub.apply(y, x, alpha=alpha)


def _rounded_quotient(x: np.ndarray, y: Any, rounding_mode: str | None = None) -> np.ndarray:
    if rounding_mode is None:
        return np.true_divide(x, y)
    return np.trunc(np.true_divide(x, y)) if rounding_mode == "trunc" else np.floor_divide(x, y)


@op(
    method="div",
    operator="__truediv__",
    reflected="__rtruediv__",
    aliases=("divide", "true_divide"),
    inplace=True,
    reference=_rounded_quotient,
    samples=(
        *operands(second=nonzero),
        *operands(second=nonzero, kwargs={"rounding_mode": "trunc"}, gradient=False),
        *operands(second=nonzero, kwargs={"rounding_mode": "floor"}, gradient=False),
    ),
    dtypes=NUMERIC,
)
@remembered
class Div(Pointwise):
    """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and
    keeps the type.
    """

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand, *, rounding_mode: str | None = None) -> Any:
        ctx.rounded = rounding_mode is not None
        if rounding_mode is None:
            ctx.save_for_backward(x, y)
            return wrap(scaling("div", DIV, floating_pair("div", x, y), x, y))
        if rounding_mode not in ("floor", "trunc"):
            raise ArgumentError(
                f"div: rounding_mode={rounding_mode!r}; use None, 'trunc' or 'floor'."
            )
        a, b = pair("div", x, y)
        refuse_bool("div", a.dtype, instead="x.int() and rounding_mode")
        if rounding_mode == "floor":
            return wrap(scaling("div", FLOORDIV, (a, b), x, y))
        if a.dtype.is_floating_point:
            wide = accumulation_dtype(a.dtype)
            quotient = pointwise(DIV, *(cast(n, wide) for n in unrounded("div", (a, b), x, y)))
            return wrap(cast(pointwise(TRUNC, quotient), a.dtype))
        # What is left after taking fmod away divides exactly.
        return wrap(pointwise(FLOORDIV, pointwise(SUB, a, pointwise(FMOD, a, b)), b))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        if ctx.rounded:
            return zeros_like(grad), zeros_like(grad)
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        return grad / y if needs_x else None, -grad * (x / y / y) if needs_y else None


@op(
    method="floor_divide",
    operator="__floordiv__",
    reflected="__rfloordiv__",
    inplace=True,
    reference=np.floor_divide,
    samples=operands(second=nonzero, gradient=False),
    dtypes=NUMERIC,
    gradient=False,
)
class FloorDivide(Function):
    """Quotient rounded down. An integer divided by zero is 0, as in NumPy. Has no gradient, as in
    PyTorch.
    """

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand) -> Any:
        result = binary("floor_divide", FLOORDIV, x, y, scales=True)
        refuse_bool("floor_divide", result.dtype, instead="x.int() // y")
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        raise GradientError(
            "floor_divide: its derivative is zero or undefined everywhere; use x / y, or (x / "
            "y).floor()."
        )


@op(
    method="remainder",
    operator="__mod__",
    reflected="__rmod__",
    inplace=True,
    reference=np.mod,
    samples=operands(second=nonzero),
    dtypes=NUMERIC,
)
class Remainder(Pointwise):
    """Remainder with the sign of the divisor, Python's ``%``. An integer modulo zero is 0, as in
    NumPy.
    """

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand) -> Any:
        ctx.save_for_backward(x, y)
        result = binary("remainder", MOD, x, y)
        refuse_bool("remainder", result.dtype, instead="x.int() % y")
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return grad, None
        return grad, -grad * FloorDivide.apply(_plain(x), _plain(y))


@op(
    method="fmod",
    inplace=True,
    reference=np.fmod,
    samples=operands(second=nonzero),
    dtypes=NUMERIC,
)
class Fmod(Pointwise):
    """Remainder with the sign of the dividend, C's ``fmod``."""

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Operand, y: Operand) -> Any:
        ctx.save_for_backward(x, y)
        result = binary("fmod", FMOD, x, y)
        refuse_bool("fmod", result.dtype, instead="x.int().fmod(y)")
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return grad, None
        return grad, -grad * Div.apply(_plain(x), _plain(y), rounding_mode="trunc")


def _plain(x: Operand) -> Operand:
    """`x` without its history, where only its value matters."""
    return x.detach() if is_tensor(x) else x


@op(
    method="atan2",
    aliases=("arctan2",),
    inplace=True,
    reference=np.arctan2,
    samples=operands(second=nonzero),
    dtypes=FLOATING,
)
class Atan2(Pointwise):
    """Angle of the point ``(other, x)`` from the first axis, in (-pi, pi]; x is its height."""

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Operand, other: Operand) -> Any:
        ctx.save_for_backward(x, other)
        return wrap(pointwise(ATAN2, *floating_pair("atan2", x, other)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        y, x = ctx.saved_tensors
        square = x * x + y * y
        # At the origin, which has no angle, the gradient is 0, as in PyTorch.
        scaled = (grad / square).masked_fill(square == 0, 0)
        return scaled * x, scaled * -y
