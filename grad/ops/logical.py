"""Bitwise operators on integers and masks, and logical operations on anything.

``& | ^ ~ << >>`` keep the type and refuse floating operands; the `logical_` ones ask of each
element whether it is nonzero and give bool. None has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.node import Node, cast, pointwise
from grad.graph.primitives import AND, EQ, INVERT, OR, SHL, SHR, XOR, Primitive
from grad.ops.promotion import is_tensor, number, pair, unsupported, wrap
from grad.ops.registry import ALL, BITS, INTEGRAL, op
from grad.ops.samples import binary_samples, operands, real

Operand = Any


class Bitwise(Function):
    """``x <primitive> y`` of integers or bool."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        a, b = _whole(cls.primitive, x, y)
        return wrap(pointwise(cls.primitive, a, b))


# What else may have been meant.
_LOGICAL = {
    primitive: f", or x.logical_{primitive.name}(y) to ask whether elements are nonzero"
    for primitive in (AND, OR, XOR)
}


def _whole(primitive: Primitive, x: Operand, y: Operand) -> tuple[Node, Node]:
    a, b = pair(primitive.name, x, y)
    if a.dtype.is_floating_point:
        raise DTypeError(
            f"{primitive.name}: needs integers or bool, the operands combine to {a.dtype.name}; "
            f"use x.int(){_LOGICAL.get(primitive, '')}."
        )
    return a, b


def _bitwise(method: str, operator: str, reference: Callable[..., Any], **options: Any) -> Any:
    """The registration that the operators share."""
    return op(
        method=method,
        operator=f"__{operator}__",
        reflected=f"__r{operator}__",
        inplace=True,
        reference=reference,
        gradient=False,
        **options,
    )


@_bitwise("bitwise_and", "and", np.bitwise_and, samples=binary_samples(), dtypes=BITS)
class BitwiseAnd(Bitwise):
    """``x & y``."""

    primitive = AND


@_bitwise("bitwise_or", "or", np.bitwise_or, samples=binary_samples(), dtypes=BITS)
class BitwiseOr(Bitwise):
    """``x | y``."""

    primitive = OR


@_bitwise("bitwise_xor", "xor", np.bitwise_xor, samples=binary_samples(), dtypes=BITS)
class BitwiseXor(Bitwise):
    """``x ^ y``."""

    primitive = XOR


class _Shift(Bitwise):
    """A shift; counts outside the width of the type shift everything out, as in PyTorch."""

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        a, b = _whole(cls.primitive, x, y)
        if a.dtype is dtypes.bool:
            raise DTypeError(
                f"{cls.primitive.name}: needs integers, both operands are bool; use x.int()."
            )
        return wrap(pointwise(cls.primitive, a, b))


_COUNTS = operands(shapes=((3, 4), (4,)), low=0, high=6)


@_bitwise("bitwise_left_shift", "lshift", np.left_shift, samples=_COUNTS, dtypes=INTEGRAL)
class LeftShift(_Shift):
    """``x << y``; bits shifted out are lost."""

    primitive = SHL


@_bitwise("bitwise_right_shift", "rshift", np.right_shift, samples=_COUNTS, dtypes=INTEGRAL)
class RightShift(_Shift):
    """``x >> y``; signed integers keep their sign."""

    primitive = SHR


@op(
    method="bitwise_not",
    operator="__invert__",
    inplace=True,
    reference=np.invert,
    samples=real(-4, 4),
    dtypes=BITS,
    gradient=False,
)
class BitwiseNot(Function):
    """``~x``; of bool the opposite."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        if x.dtype.is_floating_point:
            raise DTypeError(
                f"invert: needs integers or bool, got {x.dtype.name}; use x.logical_not()."
            )
        return x.apply(INVERT)


def truth(name: str, value: Operand) -> Node:
    """Whether each element of `value` is nonzero, as a bool node."""
    if is_tensor(value):
        return cast(value.node, dtypes.bool)
    if isinstance(value, bool | int | float):
        return number(bool(value), dtypes.bool)
    raise unsupported(name, value)


class Logical(Function):
    """``bool(x) <primitive> bool(y)``."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        name = f"logical_{cls.primitive.name}"
        if not (is_tensor(x) or is_tensor(y)):
            raise unsupported(name, x)
        return wrap(pointwise(cls.primitive, truth(name, x), truth(name, y)))


def _logical(method: str, reference: Callable[..., Any]) -> Any:
    return op(
        method=method,
        inplace=True,
        reference=reference,
        samples=binary_samples(),
        dtypes=ALL,
        gradient=False,
    )


@_logical("logical_and", np.logical_and)
class LogicalAnd(Logical):
    """Whether both elements are nonzero."""

    primitive = AND


@_logical("logical_or", np.logical_or)
class LogicalOr(Logical):
    """Whether either element is nonzero."""

    primitive = OR


@_logical("logical_xor", np.logical_xor)
class LogicalXor(Logical):
    """Whether exactly one element is nonzero."""

    primitive = XOR


@op(
    method="logical_not",
    inplace=True,
    reference=np.logical_not,
    samples=real(-4, 4),
    dtypes=ALL,
    gradient=False,
)
class LogicalNot(Function):
    """Whether each element is zero."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return x._wrap(pointwise(EQ, x.node, number(0, x.dtype)))
