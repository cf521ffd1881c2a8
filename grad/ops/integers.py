"""Greatest common divisors and least common multiples, which NumPy computes element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.host import host, hosted
from grad.graph.node import Node, broadcast_shapes, expand, reshape
from grad.ops.promotion import pair, wrap
from grad.ops.registry import INTEGRAL, Array, Failure, op
from grad.ops.samples import operands


@hosted
def greatest_divisors(result: Array, x: Array, y: Array) -> None:
    """The greatest common divisor of each pair."""
    np.gcd(x, y, out=result)


@hosted
def least_multiples(result: Array, x: Array, y: Array) -> None:
    """The least common multiple of each pair. Where it is out of range, its bits are PyTorch's,
    which makes the wrapped product of long integers positive.
    """
    np.lcm(x, y, out=result)
    if result.dtype.itemsize >= 4:
        np.abs(result, out=result)


def _of_pairs(name: str, function: Any, x: Any, y: Any) -> Any:
    a, b = pair(name, x, y)
    if a.dtype.is_floating_point or a.dtype is dtypes.bool:
        raise DTypeError(f"{name}: needs integers, the operands combine to {a.dtype.name}.")
    shape = broadcast_shapes(name, a.shape, b.shape)

    def flat(node: Node) -> Node:
        return reshape(expand(node, shape), (math.prod(shape),))

    found = host(function, [flat(a), flat(b)], (math.prod(shape),), a.dtype)
    return wrap(reshape(found, shape))


_FLOATS = (Failure(((2,), (2,)), error=DTypeError, match="integers"),)


@op(
    method="gcd", inplace=True, reference=np.gcd, samples=operands(low=-40, high=40),
    errors=_FLOATS, dtypes=INTEGRAL, gradient=False,
)  # fmt: skip
class Gcd(Function):
    """The greatest common divisor of two integers, from 0 on; of 0 and y it is ``|y|``.

    Raises:
        DTypeError: an operand is floating, or both are bool.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        return _of_pairs("gcd", greatest_divisors, x, y)


@op(
    method="lcm", inplace=True, reference=np.lcm, samples=operands(low=-11, high=11),
    errors=_FLOATS, dtypes=INTEGRAL, gradient=False,
)  # fmt: skip
class Lcm(Function):
    """The least common multiple of two integers, from 0 on; of 0 and y it is 0.

    Raises:
        DTypeError: an operand is floating, or both are bool.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        return _of_pairs("lcm", least_multiples, x, y)
