"""Functions of single elements: one row each, by the operation of the registry that it is.

`unary` and `binary` make a function of the standard of an operation; what PyTorch defines otherwise
is written out below the rows. Types are what the standard says where it says something, and
PyTorch's beyond: `sin` of integers is floating.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from grad.array_api.data_types import iinfo
from grad.array_api.operands import Operand, beside, operands, require_tensor
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

Unary = Callable[[Tensor], Tensor]
Binary = Callable[[Operand, Operand], Tensor]


def unary(name: str, operation: str | None = None) -> Unary:
    """The function `name` of one array; it is `operation` of the registry (default: `name`)."""
    row = REGISTRY[operation or name]
    call = row.positional

    def function(x: Tensor, /) -> Tensor:
        return call(require_tensor(name, x))

    return _described(function, name, row.doc)


def binary(name: str, operation: str | None = None) -> Binary:
    """The function `name` of two arrays, or an array and a Python number."""
    row = REGISTRY[operation or name]
    call = row.positional

    def function(x1: Operand, x2: Operand, /) -> Tensor:
        return call(*operands(name, x1, x2))

    return _described(function, name, row.doc)


def _described(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


abs = unary("abs")
acos = unary("acos")
acosh = unary("acosh")
asin = unary("asin")
asinh = unary("asinh")
atan = unary("atan")
atanh = unary("atanh")
bitwise_invert = unary("bitwise_invert", "bitwise_not")
ceil = unary("ceil")
conj = unary("conj")
cos = unary("cos")
cosh = unary("cosh")
exp = unary("exp")
expm1 = unary("expm1")
floor = unary("floor")
imag = unary("imag")
isfinite = unary("isfinite")
isinf = unary("isinf")
isnan = unary("isnan")
log = unary("log")
log1p = unary("log1p")
log2 = unary("log2")
log10 = unary("log10")
logical_not = unary("logical_not")
negative = unary("negative", "neg")
positive = unary("positive")
real = unary("real")
reciprocal = unary("reciprocal")
round = unary("round")
signbit = unary("signbit")
sin = unary("sin")
sinh = unary("sinh")
sqrt = unary("sqrt")
square = unary("square")
tan = unary("tan")
tanh = unary("tanh")
trunc = unary("trunc")

add = binary("add")
atan2 = binary("atan2")
bitwise_and = binary("bitwise_and")
bitwise_left_shift = binary("bitwise_left_shift")
bitwise_or = binary("bitwise_or")
bitwise_right_shift = binary("bitwise_right_shift")
bitwise_xor = binary("bitwise_xor")
copysign = binary("copysign")
divide = binary("divide", "div")
equal = binary("equal", "eq")
greater = binary("greater", "gt")
greater_equal = binary("greater_equal", "ge")
hypot = binary("hypot")
less = binary("less", "lt")
less_equal = binary("less_equal", "le")
logaddexp = binary("logaddexp")
logical_and = binary("logical_and")
logical_or = binary("logical_or")
logical_xor = binary("logical_xor")
maximum = binary("maximum")
minimum = binary("minimum")
multiply = binary("multiply", "mul")
nextafter = binary("nextafter")
not_equal = binary("not_equal", "ne")
pow = binary("pow")
remainder = binary("remainder")
subtract = binary("subtract", "sub")


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1, and NaN of NaN (where PyTorch has 0)."""
    result = require_tensor("sign", x).sign()
    return x.where(x.isnan(), result) if x.dtype.is_floating_point else result


def floor_divide(x1: Operand, x2: Operand, /) -> Tensor:
    """The quotient rounded down; of infinities the quotient itself (where PyTorch has Python's
    NaN and -1).
    """
    a, b = operands("floor_divide", x1, x2)
    result = a.floor_divide(b)
    return (a / b).where(a.isinf() | b.isinf(), result) if a.dtype.is_floating_point else result


def clip(x: Tensor, /, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """`x` where it is between `min` and `max`, else the bound; NaN if one of the three is.

    Numbers beyond what an integer type holds bound nothing.
    """
    result = require_tensor("clip", x)
    if min is not None:
        result = maximum(result, _bound(x, min))
    if max is not None:
        result = minimum(result, _bound(x, max))
    return result if result is not x else x.clone()


def _bound(x: Tensor, value: Operand) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if x.dtype.kind in "iu" and not isinstance(value, bool):
        if isinstance(value, float) and math.isinf(value):
            value = iinfo(x.dtype).max if value > 0 else iinfo(x.dtype).min
        if isinstance(value, int):
            limits = iinfo(x.dtype)
            value = (
                limits.min if value < limits.min else limits.max if value > limits.max else value
            )
    return beside("clip", value, x.dtype)
