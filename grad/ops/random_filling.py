"""Random numbers written to tensors that are there: `uniform_`, `normal_`, `exponential_` ...

Each fills its tensor with numbers of one law (random_numbers.py), whatever was in it, so that the
gradient of what was there is zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError
from grad.graph.node import Node, argument, cast, constant, pointwise
from grad.graph.primitives import EXP, MINIMUM
from grad.ops.generator import Generator
from grad.ops.inplace import check_writable, overwrite
from grad.ops.promotion import is_tensor, refuse_bool, require_floating
from grad.ops.random_numbers import (
    PRECISION,
    cauchy_node,
    exponential_node,
    geometric_node,
    integer_node,
    scaled,
    uniform_node,
    whole_bound,
    whole_limits,
    wide_normal_node,
)
from grad.ops.random_sampling import bernoulli_by, bernoulli_of
from grad.ops.registry import ALL, NUMERIC, op


def _filled(name: str, x: Any, numbers: Callable[[], Node]) -> Any:
    """`x` with `numbers()`; nothing is drawn where it may not be written to."""
    check_writable(name, x)
    overwrite(name, x, x._wrap(cast(numbers(), x.dtype)))
    return x


@op(method="uniform_", function=False, composite=True, gradient=False)
class UniformFill:
    """Fill x with numbers uniform in ``[low, high)``, and return it.

    Raises:
        TypeError: x is not floating.
        ValueError, RuntimeError: `low` is above `high`, or not both are numbers of the type of x.

    Example:
        >>> x = grad.empty(100).uniform_(-1, 1)
        >>> bool(((-1 <= x) & (x < 1)).all())
        True
    """

    @staticmethod
    def forward(
        x: Any, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        dtype = x.dtype
        require_floating("uniform_", dtype)
        limits = ml_dtypes.finfo(dtype.numpy)
        for which, bound in (("low", low), ("high", high)):
            if not abs(bound) <= float(limits.max):
                raise ArgumentError(f"uniform_: {which}={bound} is out of bounds for {dtype.name}.")
        if not 0 <= high - low <= float(limits.max):
            raise ArgumentError(
                f"uniform_: numbers come from [low, high), but low={low} is above high={high}, or "
                f"the two are further apart than any number of {dtype.name}."
            )

        def numbers() -> Node:
            node = uniform_node(x.shape, dtype, generator)
            if (low, high) == (0, 1):
                return node
            # What is just below `high` may round to it.
            below = np.nextafter(dtype.numpy.type(high), dtype.numpy.type(-math.inf))
            highest = argument(float(max(below, dtype.numpy.type(low))), dtype)
            return pointwise(MINIMUM, scaled(node, high - low, low), highest)

        return _filled("uniform_", x, numbers)


@op(method="normal_", function=False, composite=True, gradient=False)
class NormalFill:
    """Fill x with normally distributed numbers, and return it.

    Raises:
        TypeError: x is not floating. ValueError, RuntimeError: `std` is negative.

    Example:
        >>> grad.empty(2, 3).normal_(5, 0.1).shape
        torch.Size([2, 3])
    """

    @staticmethod
    def forward(
        x: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        require_floating("normal_", x.dtype)
        if not std >= 0:
            raise ArgumentError(
                f"normal_: std={std} is negative; a standard deviation is 0 or more."
            )
        return _filled(
            "normal_", x, lambda: scaled(wide_normal_node(x.shape, x.dtype, generator), std, mean)
        )


@op(method="log_normal_", function=False, composite=True, gradient=False)
class LogNormalFill:
    """Fill x with numbers whose logarithm has the normal law of `mean` and `std`, and return it.

    Raises:
        TypeError: x is not floating. ValueError, RuntimeError: `std` is not positive.

    Example:
        >>> bool((grad.empty(100).log_normal_() > 0).all())
        True
    """

    @staticmethod
    def forward(
        x: Any, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
    ) -> Any:
        require_floating("log_normal_", x.dtype)
        if not std > 0:
            raise ArgumentError(f"log_normal_ expects std > 0.0, but found std={std}.")

        def numbers() -> Node:
            unit = wide_normal_node(x.shape, x.dtype, generator)
            return pointwise(EXP, scaled(unit, std, mean))

        return _filled("log_normal_", x, numbers)


@op(method="exponential_", function=False, composite=True, gradient=False)
class ExponentialFill:
    """Fill x with numbers of the exponential law of rate `lambd`, and return it.

    Its density is ``lambd * exp(-lambd * x)`` for positive x.

    Raises:
        TypeError: x is not floating. ValueError, RuntimeError: `lambd` is not positive.

    Example:
        >>> bool((grad.empty(100).exponential_() > 0).all())
        True
    """

    @staticmethod
    def forward(x: Any, lambd: float = 1.0, *, generator: Generator | None = None) -> Any:
        require_floating("exponential_", x.dtype)
        if not lambd > 0:
            raise ArgumentError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}.")
        return _filled(
            "exponential_", x, lambda: scaled(exponential_node(x.shape, generator), 1 / lambd, 0.0)
        )


@op(method="cauchy_", function=False, composite=True, gradient=False)
class CauchyFill:
    """Fill x with numbers of the Cauchy law around `median`, of scale `sigma`, and return it.

    Its density is ``sigma / (pi * ((x - median) ** 2 + sigma ** 2))``.

    Raises:
        TypeError: x is not floating. ValueError, RuntimeError: `sigma` is not positive.

    Example:
        >>> grad.empty(2, 3).cauchy_().shape
        torch.Size([2, 3])
    """

    @staticmethod
    def forward(
        x: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        require_floating("cauchy_", x.dtype)
        if not sigma > 0:
            raise ArgumentError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}.")
        return _filled("cauchy_", x, lambda: scaled(cauchy_node(x.shape, generator), sigma, median))


@op(method="geometric_", function=False, dtypes=NUMERIC, composite=True, gradient=False)
class GeometricFill:
    """Fill x with how many trials it takes until one succeeds, each with probability `p`; returns
    x.

    The probability of k (1, 2 ...) is ``p * (1 - p) ** (k - 1)``. Numbers that an integer type does
    not hold become its largest one.

    Raises:
        TypeError: x is bool. ValueError, RuntimeError: `p` is not between 0 and 1.

    Example:
        >>> bool((grad.empty(100).geometric_(0.5) >= 1).all())
        True
    """

    @staticmethod
    def forward(x: Any, p: float, *, generator: Generator | None = None) -> Any:
        refuse_bool("geometric_", x.dtype, instead="x.int()")
        p = float(p)
        if not 0 < p < 1:
            raise ArgumentError(f"geometric_ expects p to be in (0, 1), but got p={p}.")

        def numbers() -> Node:
            node = geometric_node(p, x.shape, generator)
            if x.dtype.is_floating_point:
                return node
            most = constant(float(min(whole_limits(x.dtype)[1], 1 << 62)), dtypes.float64)
            return pointwise(MINIMUM, node, most)

        return _filled("geometric_", x, numbers)


@op(method="bernoulli_", function=False, dtypes=ALL, composite=True, gradient=False)
class BernoulliFill:
    """Fill x with 1 with probability `p` (a number or a tensor that broadcasts to x), else 0, and
    return it.

    Raises:
        ValueError, RuntimeError: `p`, or an element of it, is no probability.
        TypeError: the tensor `p` is not floating.

    Example:
        >>> grad.empty(3).bernoulli_(1.0)
        tensor([1., 1., 1.])
    """

    @staticmethod
    def forward(x: Any, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
        if is_tensor(p):
            chance = p.detach().expand(x.shape)
            return _filled("bernoulli_", x, lambda: bernoulli_of("bernoulli_", chance, generator))
        return _filled("bernoulli_", x, lambda: bernoulli_by("bernoulli_", p, x.shape, generator))


@op(method="random_", function=False, dtypes=ALL, composite=True, gradient=False)
class RandomFill:
    """Fill x with whole numbers, and return it.

    ``random_()`` draws from all that are not negative (of floating types as far as all whole
    numbers are exact), ``random_(end)`` from ``[0, end)``, ``random_(low, high)`` from
    ``[low, high)``; with ``high=None`` from `low` on.

    Raises:
        TypeError: a bound is no whole number.
        ValueError, RuntimeError: no number is in the range, or the type of x does not hold all.

    Example:
        >>> bool((grad.empty(100).random_(2, 5) >= 2).all())
        True
    """

    @staticmethod
    def forward(
        x: Any, low: Any = None, high: Any = ..., *, generator: Generator | None = None
    ) -> Any:
        if high is ...:  # no second bound: the first is the end
            low, high = None, low
        first = 0 if low is None else whole_bound("random_", low)
        if high is not None:
            end = whole_bound("random_", high)
        elif x.dtype.is_floating_point:
            end = 1 + (1 << PRECISION[x.dtype])
        else:
            end = 1 + whole_limits(x.dtype)[1]
        return _filled(
            "random_", x, lambda: integer_node("random_", first, end, x.shape, x.dtype, generator)
        )
