"""Comparisons, which give bool, and the choice of the larger or smaller operand.

NaN compares as IEEE 754 says (only `ne` is true of it) and comes through `maximum` and `minimum`,
as in PyTorch. Results of comparisons are constants to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError
from grad.graph.node import cast, pointwise
from grad.graph.primitives import EQ, LE, LT, MAXIMUM, MINIMUM, NE, WHERE, Primitive
from grad.ops.promotion import binary, is_tensor, number, pair, wrap
from grad.ops.registry import ALL, FLOATING, Failure, op
from grad.ops.samples import binary_samples

Operand = Any


class Comparison(Function):
    """``x <primitive> y``, in the common type; with `swapped`, ``y <primitive> x``."""

    primitive: ClassVar[Primitive]
    swapped: ClassVar[bool] = False

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        a, b = pair(cls.__name__.lower(), x, y)
        return wrap(pointwise(cls.primitive, *((b, a) if cls.swapped else (a, b))))


def _comparison(
    name: str, reference: Callable[..., Any], aliases: tuple[str, ...]
) -> Callable[[type[Comparison]], type[Comparison]]:
    """The registration that all six share."""
    return op(
        method=name,
        operator=f"__{name}__",
        aliases=aliases,
        inplace=True,
        reference=reference,
        samples=binary_samples(),
        dtypes=ALL,
        gradient=False,
    )


@_comparison("eq", np.equal, ())
class Eq(Comparison):
    """Whether ``x == y``, for each element."""

    primitive = EQ


@_comparison("ne", np.not_equal, ("not_equal",))
class Ne(Comparison):
    """Whether ``x != y``, for each element; true of NaN."""

    primitive = NE


@_comparison("lt", np.less, ("less",))
class Lt(Comparison):
    """Whether ``x < y``, for each element."""

    primitive = LT


@_comparison("le", np.less_equal, ("less_equal",))
class Le(Comparison):
    """Whether ``x <= y``, for each element."""

    primitive = LE


@_comparison("gt", np.greater, ("greater",))
class Gt(Comparison):
    """Whether ``x > y``, for each element."""

    primitive = LT
    swapped = True


@_comparison("ge", np.greater_equal, ("greater_equal",))
class Ge(Comparison):
    """Whether ``x >= y``, for each element."""

    primitive = LE
    swapped = True


class _Extremum(Function):
    """The larger or the smaller of two operands."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        ctx.save_for_backward(x, y)
        return binary(cls.primitive.name, cls.primitive, x, y)

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        # Of equal operands each gets half, so that the gradient of max(x, x) is that of x.
        shared = grad.masked_fill(x != y, 0) * 0.5 + grad.masked_fill(x == y, 0)
        lost = x < y if cls.primitive is MAXIMUM else y < x
        won = y < x if cls.primitive is MAXIMUM else x < y
        return (
            shared.masked_fill(lost, 0) if needs_x else None,
            shared.masked_fill(won, 0) if needs_y else None,
        )


@op(method="maximum", reference=np.maximum, samples=binary_samples(), dtypes=ALL)
class Maximum(_Extremum):
    """The larger of two elements; NaN if either is. Equal elements share the gradient."""

    primitive = MAXIMUM


@op(method="minimum", reference=np.minimum, samples=binary_samples(), dtypes=ALL)
class Minimum(_Extremum):
    """The smaller of two elements; NaN if either is. Equal elements share the gradient."""

    primitive = MINIMUM


class _NumberFirst(Function):
    """The larger or the smaller of two operands, or the one that is not NaN."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Operand, y: Operand) -> Any:
        ctx.save_for_backward(x, y)
        a, b = pair(f"f{cls.primitive.name[:3]}", x, y)
        if not a.dtype.is_floating_point:
            return binary(cls.primitive.name, cls.primitive, x, y)
        chosen = pointwise(WHERE, pointwise(NE, b, b), a, pointwise(cls.primitive, a, b))
        return wrap(pointwise(WHERE, pointwise(NE, a, a), b, chosen))

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        first = (x >= y) if cls.primitive is MAXIMUM else (x <= y)
        first = first | (y != y)  # equal operands: all of it goes to the first, as in PyTorch
        return grad.masked_fill(~first, 0), grad.masked_fill(first, 0)


@op(method="fmax", reference=np.fmax, samples=binary_samples()[:3], dtypes=ALL)
class Fmax(_NumberFirst):
    """The larger of two elements; of NaN and a number the number."""

    primitive = MAXIMUM


@op(method="fmin", reference=np.fmin, samples=binary_samples()[:3], dtypes=ALL)
class Fmin(_NumberFirst):
    """The smaller of two elements; of NaN and a number the number."""

    primitive = MINIMUM


@op(
    method="heaviside",
    inplace=True,
    reference=np.heaviside,
    samples=binary_samples()[:3],
    errors=(Failure(((2,),), args=(1,), error=DTypeError, match="values"),),
    dtypes=FLOATING,
    gradient=False,
)
class Heaviside(Function):
    """0 where x is negative (or NaN), 1 where it is positive, and `values` where it is 0.

    Raises:
        DTypeError: `values` is no tensor of the type of x.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, values: Any) -> Any:
        if not is_tensor(x) or not is_tensor(values) or values.dtype is not x.dtype:
            raise DTypeError("heaviside: x and values have to be tensors of one type.")
        zero = number(0, x.dtype)
        step = cast(pointwise(LT, zero, x.node), x.dtype)
        return x._wrap(pointwise(WHERE, pointwise(EQ, x.node, zero), values.node, step))


@op(
    method="isclose",
    reference=lambda x, y, **kw: np.isclose(x, y, **kw),
    samples=binary_samples()[:3],
    dtypes=FLOATING,
    composite=True,
    gradient=False,
)
class IsClose(Function):
    """Whether ``|x - y| <= atol + rtol * |y|``; equal infinities are close, NaN only with
    `equal_nan`.
    """

    @staticmethod
    def forward(
        x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> Any:
        _same_dtype("isclose", x, y)
        for name, value in (("rtol", rtol), ("atol", atol)):
            if not value >= 0:
                raise ArgumentError(f"isclose: {name}={value}; it has to be 0 or more.")
        close = x == y
        if equal_nan:
            close = close | ((x != x) & (y != y))
        if x.dtype is dtypes.bool:
            return close
        if not x.dtype.is_floating_point:  # whose differences may not fit
            x, y = x.to(dtypes.float64), y.to(dtypes.float64)
        tolerance = y.abs() * rtol + atol
        difference = (x - y).abs()
        return close | (difference.isfinite() & (difference <= tolerance))


@op(
    method="allclose",
    reference=lambda x, y, **kw: np.allclose(x, y, **kw),
    samples=(),
    composite=True,
    gradient=False,
)
class AllClose(Function):
    """Whether all elements are close (see `isclose`), as a Python bool."""

    @staticmethod
    def forward(
        x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> bool:
        return bool(IsClose.forward(x, y, rtol, atol, equal_nan).all().item())


@op(method="equal", reference=np.array_equal, samples=(), composite=True, gradient=False)
class Equal(Function):
    """Whether two tensors have the same shape and elements, as a Python bool."""

    @staticmethod
    def forward(x: Any, y: Any) -> bool:
        _same_dtype("equal", x, y)
        return x.shape == y.shape and bool((x == y).all().item())


def _same_dtype(name: str, x: Any, y: Any) -> None:
    if not is_tensor(x) or not is_tensor(y) or x.dtype is not y.dtype:
        given = [v.dtype.name if is_tensor(v) else type(v).__name__ for v in (x, y)]
        raise DTypeError(
            f"{name}: got {' and '.join(given)}, needs tensors of one dtype; use y.to(x.dtype)."
        )
