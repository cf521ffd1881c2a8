"""Differences of neighbours and sums of areas between them: `diff`, `trapezoid` and relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.axes import normal_axis
from grad.ops.join import Cat
from grad.ops.promotion import is_tensor, refuse_bool
from grad.ops.registry import ALL, NUMERIC, Failure, Sample, op


@op(
    method="diff",
    dtypes=ALL,
    composite=True,
    reference=lambda x, n=1, dim=-1: np.diff(x, n, dim),
    samples=[Sample(((3, 5),)), Sample(((4, 2),), (2, 0)), Sample(((2, 2),), (3,), gradient=False)],
    errors=[Failure(((),), match="1 dimension"), Failure(((3,),), (-1,), error=ArgumentError)],
)
class Difference:
    """Each element less the one before it along `dim`, `n` times over; bool: whether they differ.

    Args:
        prepend, append: tensors put before and behind x along `dim` first.

    Shape:
        the size of `dim` becomes n less (of both tensors added), 0 at least.

    Example:
        >>> grad.tensor([1, 4, 9]).diff().tolist()
        [3, 5]
    """

    @staticmethod
    def forward(x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
        if not x.shape:
            raise ShapeError("diff: needs 1 dimension or more, got a number.")
        axis = normal_axis("diff", dim, len(x.shape))
        if n < 0:
            raise ArgumentError(f"diff: n is {n}, it cannot be negative.")
        parts = [part for part in (prepend, x, append) if part is not None]
        for part in parts:
            if len(part.shape) != len(x.shape):
                raise ShapeError(
                    f"diff: prepend and append need {len(x.shape)} dimensions, as the tensor has; "
                    f"got shape {tuple(part.shape)}."
                )
        if n == 0:
            return x.clone()  # without what is put around it, as in PyTorch
        if len(parts) > 1:
            x = Cat.forward(parts, axis)
        if n >= x.shape[axis]:
            return x.narrow(axis, 0, 0).clone()
        for _ in range(n):
            size = x.shape[axis]
            after, before = x.narrow(axis, 1, size - 1), x.narrow(axis, 0, size - 1)
            x = after ^ before if x.dtype is dtypes.bool else after - before
        return x


def _gaps(name: str, y: Any, x: Any, axis: int) -> Any:
    """The distances of the places `x`, to be multiplied with values between neighbours of `y`."""
    refuse_bool(name, y.dtype, x.dtype, instead="x.float()")
    if len(x.shape) == 1:
        if x.shape[0] != y.shape[axis]:
            raise ShapeError(
                f"{name}: there must be one x for each sample; got {x.shape[0]} for "
                f"{y.shape[axis]}."
            )
        x = x.reshape([-1 if a == axis else 1 for a in range(len(y.shape))])
    elif len(x.shape) < len(y.shape):
        x = x.reshape((*[1] * (len(y.shape) - len(x.shape)), *x.shape))
    x, size = _wide(x), x.shape[axis]
    return x.narrow(axis, 1, size - 1) - x.narrow(axis, 0, size - 1)


def _wide(x: Any) -> Any:
    """`x`, of which sums and differences fit."""
    return x if x.dtype.is_floating_point else x.to(dtypes.int64)


def _sums(y: Any, axis: int) -> Any:
    y, size = _wide(y), y.shape[axis]
    return y.narrow(axis, 0, size - 1) + y.narrow(axis, 1, size - 1)


def _areas(name: str, y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """Twice the areas between neighbours, and the axis along which they lie."""
    if x is not None and not is_tensor(x):
        raise ArgumentError(f"{name}: x must be a tensor; use dx={x!r} for a distance.")
    if not y.shape:
        raise ShapeError(f"{name}: needs 1 dimension or more, got a number.")
    axis = normal_axis(name, dim, len(y.shape))
    refuse_bool(name, y.dtype, instead="y.float()")
    if not y.shape[axis]:
        return y.narrow(axis, 0, 0), axis
    if x is not None:
        return _sums(y, axis) * _gaps(name, y, x, axis), axis
    return _sums(y, axis) * dx, axis


def _trapezoid(y: Any, x: Any = None, dx: float = 1, dim: int = -1) -> Any:
    return np.trapezoid(y, x, dx, dim)


@op(
    function="trapezoid",
    aliases=("trapz",),
    dtypes=NUMERIC,
    composite=True,
    reference=_trapezoid,
    samples=[
        Sample(((3, 4),)),
        Sample(((3, 4), (3,)), kwargs={"dim": 0}),
        Sample(((3, 4),), kwargs={"dx": 0.5}),
    ],
    errors=[Failure(((3, 4), (3,)), match="one x")],
)
class Trapezoid:
    """The integral along `dim` by the trapezoidal rule, of samples at `x`, or `dx` apart.

    Shape:
        `dim` disappears; x is a vector along it, or broadcasts to y.

    Example:
        >>> grad.trapezoid(grad.tensor([1.0, 2.0, 3.0])).item()
        4.0
    """

    @staticmethod
    def forward(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
        areas, axis = _areas("trapezoid", y, x, dx, dim)
        return areas.sum(axis) / 2.0


@op(
    function="cumulative_trapezoid",
    dtypes=NUMERIC,
    composite=True,
    reference=lambda y: np.cumsum(y[..., 1:] / 2 + y[..., :-1] / 2, axis=-1),
    samples=[Sample(((3, 4),), low=0)],
)
class CumulativeTrapezoid:
    """The integrals up to each sample but the first; see `trapezoid`."""

    @staticmethod
    def forward(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
        areas, axis = _areas("cumulative_trapezoid", y, x, dx, dim)
        return areas.cumsum(axis) / 2.0
