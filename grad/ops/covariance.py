"""`cov` and `corrcoef`: how variables, the rows of a matrix, vary together."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.bounds import within
from grad.ops.contraction import Einsum
from grad.ops.promotion import floating, is_tensor, unsupported
from grad.ops.registry import NUMERIC, Failure, Sample, op


def _rows(name: str, x: Any) -> Any:
    """Variables as rows of a floating matrix."""
    if not is_tensor(x):
        raise unsupported(name, x)
    if len(x.shape) > 2:
        raise ShapeError(
            f"{name}: expected input to have two or fewer dimensions but got an input with "
            f"{len(x.shape)} dimensions."
        )
    if x.dtype is dtypes.bool:
        raise DTypeError(f"{name}: bool dtype is not supported for input; use x.int().")
    rows = x if len(x.shape) == 2 else x.reshape((1, -1))
    return rows if x.dtype.is_floating_point else x._wrap(floating(rows))


def _check_weights(name: str, weights: Any, count: int, whole: bool) -> None:
    if len(weights.shape) > 1:
        raise ShapeError(
            f"cov: expected {name} to have one or fewer dimensions, got {tuple(weights.shape)}."
        )
    if (weights.dtype.kind in "iu") != whole or weights.dtype is dtypes.bool:
        raise DTypeError(
            f"cov: expected {name} to have {'integral' if whole else 'floating point'} dtype but "
            f"got {weights.dtype.name}."
        )
    if weights.numel() != count:
        raise ShapeError(
            f"cov: expected {name} to have the same numel as there are observations in the input "
            f"({count}), got {weights.numel()}."
        )
    within(
        (weights.detach() < 0).to(dtypes.int64),
        0,
        1,
        lambda _: ArgumentError(f"cov: {name} cannot be negative."),
    )


def _factors(rows: Any, fweights: Any, aweights: Any) -> Any:
    """The weight of each observation, or None."""
    count = rows.shape[1]
    if fweights is not None:
        _check_weights("fweights", fweights, count, whole=True)
    if aweights is not None:
        _check_weights("aweights", aweights, count, whole=False)
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


def _numpy_cov(x: Any, **options: Any) -> Any:
    return np.cov(x, ddof=options.get("correction", 1))


@op(
    method="cov",
    reference=_numpy_cov,
    samples=(
        Sample(((3, 5),)),
        Sample(((4,),)),
        Sample(((2, 4),), kwargs={"correction": 0}),
    ),
    errors=(
        Failure(((2, 2, 2),), match="two or fewer"),
        Failure(((2, 2),), error=DTypeError, match="bool", dtype=dtypes.bool),
        Failure(((2,),), kwargs={"correction": 1.5}, error=DTypeError, match="int"),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Cov(Function):
    """The covariances of variables, the rows of x, over observations, its columns.

    Args:
        correction: what is taken from the number of observations that sums are divided by.
        fweights: how often each observation counts, integers of 0 or more.
        aweights: how much each observation weighs, floating numbers of 0 or more.

    Shape:
        ``(variables, observations)`` gives ``(variables, variables)``; one variable a number.

    Example:
        >>> grad.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).cov().tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """

    @staticmethod
    def forward(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
        rows = _rows("cov", x)
        if not isinstance(correction, int):
            raise DTypeError(f"cov: correction must be an int, not {type(correction).__name__}.")
        weights = _factors(rows, fweights, aweights)
        if weights is None:
            count: Any = rows.shape[1]
            centred = rows - rows.sum(1, True) / count if count else rows
            scaled, freedom = centred, max(count - correction, 0)
        else:
            weights = weights.reshape((1, -1))
            whole = weights.sum()
            centred = rows - (rows * weights).sum(1, True) / whole
            scaled = centred * weights
            square = whole
            if correction and aweights is not None:
                square = (weights * aweights.reshape((1, -1))).sum() / whole
                freedom = whole - correction * square
            else:
                freedom = whole - correction
            freedom = freedom.clamp(min=0)
        found = centred.to(scaled.dtype) @ scaled.mT
        result = found / freedom if is_tensor(freedom) or freedom else found / found.new_zeros(())
        return result.reshape(()) if rows.shape[0] == 1 else result


@op(
    method="corrcoef",
    reference=np.corrcoef,
    samples=(Sample(((3, 5),)), Sample(((2, 4),))),
    errors=(Failure(((2, 2, 2),), match="two or fewer"),),
    composite=True,
    dtypes=NUMERIC,
)
class Corrcoef(Function):
    """The correlation coefficients of variables, the rows of x: covariances divided by both
    standard deviations, from -1 to 1.

    Shape:
        ``(variables, observations)`` gives ``(variables, variables)``; one variable a number.
    """

    @staticmethod
    def forward(x: Any) -> Any:
        _rows("corrcoef", x)
        found = Cov.forward(x)
        if not found.shape:
            return found / found
        deviation = Einsum.forward("ii->i", found).sqrt()
        scaled = found / deviation.unsqueeze(1) / deviation.unsqueeze(0)
        return scaled.clamp(-1, 1)
