"""`assert_close`: tensors, arrays, numbers and containers of them, compared with tolerances.

A pair of values (pairs.py) is compared by the first row of `_KINDS` that knows both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.modes import no_grad
from grad.dtype import DType, dtypes, promote_types
from grad.errors import ArgumentError
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.testing.pairs import Pair, located, pairs
from grad.testing.report import scalar_report, tensor_report

# Relative and absolute tolerance of each type; the others must be equal.
TOLERANCES: dict[Any, tuple[float, float]] = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
    float: (1e-7, 1e-7),
    complex: (1e-7, 1e-7),
}
_NUMBERS = (int, float, complex, np.number)
_BOOLS = (bool, np.bool_)


@dataclass(frozen=True, slots=True)
class Options:
    """What `assert_close` was asked for."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_dtype: bool
    check_stride: bool

    def tolerances(self, *kinds: Any) -> tuple[float, float]:
        """The tolerances that were given, or the larger ones of those of both types."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(rtol for rtol, _ in found), max(atol for _, atol in found)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert ``|actual - expected| <= atol + rtol * |expected|``, and equal shapes and types.

    Both are tensors, what tensors are made of, numbers, or sequences and mappings of these.

    Args:
        allow_subclasses: whether a tensor may be compared with one of a class derived from it.
        rtol, atol: tolerances; by default those of the type (the larger ones of two): 1e-3 and 1e-5
            for float16, 1.6e-2 and 1e-5 for bfloat16, 1.3e-6 and 1e-5 for float32, 1e-7 and 1e-7
            for float64, 0 and 0 for all others.
        equal_nan: whether NaN is close to NaN.
        check_device, check_layout: there is one of each.
        check_dtype: whether types must be equal; else both are promoted.
        check_stride: whether strides must be equal.
        msg: the message, or a function that makes it of the one there would be.

    Raises:
        AssertionError: they are not close.
        ValueError: one of `rtol` and `atol` was given alone.
        TypeError: there are values that are compared in no way, such as strings.

    Example:
        >>> grad.testing.assert_close(grad.tensor([1.0, 2.0]), grad.tensor([1.0, 2.1]))
        Traceback (most recent call last):
        ...
        AssertionError: Tensor-likes are not close!
        ...
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    if any(tolerance is not None and tolerance < 0 for tolerance in (rtol, atol)):
        raise ArgumentError(f"assert_close: tolerances are not negative, got {rtol=} and {atol=}.")
    options = Options(allow_subclasses, rtol, atol, equal_nan, check_dtype, check_stride)
    comparisons = [_comparison(pair, options) for pair in pairs(actual, expected)]
    for compare, pair in comparisons:
        found = compare(pair.actual, pair.expected, options)
        if found is not None:
            message = located(found, pair.where)
            if msg is not None:
                message = msg(message) if callable(msg) else msg
            raise AssertionError(message)


Comparison = Callable[[Any, Any, Options], str | None]


class Kind(NamedTuple):
    """Values that are compared in one way.

    Attributes:
        prepared: both values as `compare` takes them; None where they are of another kind.
        compare: a message if they differ.
    """

    prepared: Callable[[Any, Any, Options], tuple[Any, Any] | None]
    compare: Comparison


def _comparison(pair: Pair, options: Options) -> tuple[Comparison, Pair]:
    """How a pair is compared, and the pair prepared for it."""
    for kind in _KINDS:
        found = kind.prepared(pair.actual, pair.expected, options)
        if found is not None:
            return kind.compare, Pair(*found, pair.where)
    message = (
        f"No comparison pair was able to handle inputs of type {type(pair.actual)} and "
        f"{type(pair.expected)}."
    )
    raise TypeError(located(message, pair.where))


# -- None and numbers ------------------------------------------------------------------------------
def _nones(actual: Any, expected: Any, options: Options) -> tuple[Any, Any] | None:
    return (actual, expected) if actual is None or expected is None else None


def _same_none(actual: Any, expected: Any, options: Options) -> str | None:
    return None if actual is expected else f"None mismatch: {actual} is not {expected}"


def _bools(actual: Any, expected: Any, options: Options) -> tuple[Any, Any] | None:
    if isinstance(actual, _BOOLS) and isinstance(expected, _BOOLS):
        return bool(actual), bool(expected)
    return None


def _same_bool(actual: bool, expected: bool, options: Options) -> str | None:
    return None if actual is expected else f"Booleans mismatch: {actual} is not {expected}"


def _numbers(actual: Any, expected: Any, options: Options) -> tuple[Any, Any] | None:
    if not isinstance(actual, _NUMBERS) or not isinstance(expected, _NUMBERS):
        return None
    plain = [x.item() if isinstance(x, np.number) else x for x in (actual, expected)]
    return plain[0], plain[1]


def _close_numbers(actual: Any, expected: Any, options: Options) -> str | None:
    if options.check_dtype and type(actual) is not type(expected):
        return f"The (d)types do not match: {type(actual)} != {type(expected)}."
    rtol, atol = options.tolerances(type(actual), type(expected))
    if actual == expected or (options.equal_nan and actual != actual and expected != expected):
        return None
    difference = abs(actual - expected)
    if difference < float("inf") and difference <= atol + rtol * abs(expected):
        return None
    return scalar_report(actual, expected, rtol, atol)


# -- tensors ---------------------------------------------------------------------------------------
def _tensors(actual: Any, expected: Any, options: Options) -> tuple[Tensor, Tensor] | None:
    kinds = type(actual), type(expected)
    if kinds[0] is not kinds[1]:
        related = isinstance(actual, kinds[1]) or isinstance(expected, kinds[0])
        if not related or not options.allow_subclasses:
            return None
    try:
        made = [
            x if isinstance(x, Tensor) else CREATORS["as_tensor"](x) for x in (actual, expected)
        ]
    except (TypeError, ValueError):
        return None
    return made[0].detach(), made[1].detach()


def _close_tensors(actual: Tensor, expected: Tensor, options: Options) -> str | None:
    for name, first, second in (
        ("shape", actual.shape, expected.shape),
        *([("dtype", actual.dtype, expected.dtype)] if options.check_dtype else []),
        *([("stride()", actual.stride(), expected.stride())] if options.check_stride else []),
    ):
        if first != second:
            return f"The values for attribute '{name}' do not match: {first} != {second}."
    rtol, atol = options.tolerances(actual.dtype, expected.dtype)
    common: DType = promote_types(actual.dtype, expected.dtype)
    actual, expected = actual.to(common), expected.to(common)
    with no_grad():
        matches = actual.isclose(expected, rtol=rtol, atol=atol, equal_nan=options.equal_nan)
    if bool(matches.all()):
        return None
    return tensor_report(actual, expected, matches, rtol, atol)


_KINDS = (
    Kind(_nones, _same_none),
    Kind(_bools, _same_bool),
    Kind(_numbers, _close_numbers),
    Kind(_tensors, _close_tensors),
)
