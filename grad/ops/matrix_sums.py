"""``beta * x + alpha * product`` for each kind of product: `addmm`, `addmv`, `addr` and batches.

The product comes from `matmul.py`; scaling and adding are fused into its kernel. As in PyTorch x
expands to the product (never the other way), all types are equal (`addr` promotes), and with
``beta=0`` x is not looked at, be it NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.errors import BroadcastError, DTypeError, ShapeError
from grad.ops.halves import rounded_once
from grad.ops.matmul import Bmm, MatMul, Outer, require_matching, require_ranks
from grad.ops.promotion import is_tensor, result_type, unsupported
from grad.ops.registry import ALL, NUMERIC, Failure, Sample, op
from grad.ops.samples import operands

_ADDED = {"beta": 3, "alpha": 2}
_FRACTIONS = {"beta": 0.5, "alpha": 2.5}


def _expanded(name: str, x: Any, shape: tuple[int, ...]) -> Any:
    """`x` as the summand of a product of `shape`."""
    if x.shape == shape:
        return x
    new = len(shape) - len(x.shape)
    if new < 0 or any(size not in (1, shape[new + i]) for i, size in enumerate(x.shape)):
        raise BroadcastError(
            f"{name}: an input of shape {tuple(x.shape)} does not expand to the product's shape "
            f"{tuple(shape)}; use x.reshape(...) or x.sum(...)."
        )
    return x.expand(shape)


def _check_factors(name: str, dtype: Any, **factors: Any) -> None:
    if dtype.is_floating_point:
        return
    for key, value in factors.items():
        if isinstance(value, float):
            raise DTypeError(
                f"{name}: For integral input tensors, argument {key} must not be a floating point "
                f"number, got {value}; use x.float()."
            )


def _sum_of(name: str, x: Any, found: Any, beta: float, alpha: float) -> Any:
    """``beta * x + alpha * found``, of one type."""
    if not is_tensor(x):
        raise unsupported(name, x)
    x = _expanded(name, x, found.shape)
    _check_factors(name, found.dtype, beta=beta, alpha=alpha)
    found = found if alpha == 1 else found * alpha
    if beta == 0:
        return found
    return (x if beta == 1 else x * beta) + found


def _reference(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * x + alpha * np.matmul(a, b)


def _samples(x: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> tuple[Sample, ...]:
    """One with factors, one with fractions as such, one with an x that is repeated."""
    return (
        *operands((x, a, b), kwargs=_ADDED),
        Sample((x, a, b), kwargs={"beta": 0}),
        Sample((x[-1:], a, b)),
    )


@op(
    method="addmm",
    inplace=True,
    reference=_reference,
    samples=_samples((3, 2), (3, 4), (4, 2)),
    errors=(
        Failure(((3, 3), (3, 4), (4, 2)), match="does not expand"),
        Failure(((3, 2), (3, 4), (3, 2)), match="do not fit"),
        Failure(((3, 2), (3,), (3, 2)), match="2-D"),
        Failure(((2, 2),) * 3, kwargs=_FRACTIONS, error=DTypeError, dtype=dtypes.int64),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Addmm(Function):
    """``beta * x + alpha * (mat1 @ mat2)`` of matrices; x expands to the product.

    Raises:
        ShapeError: the shapes do not fit. DTypeError: the types differ, or they are integers and a
        factor is a fraction.

    Example:
        >>> grad.addmm(grad.ones(2), grad.ones(2, 3), grad.ones(3, 2), beta=2).tolist()
        [[5.0, 5.0], [5.0, 5.0]]
    """

    @staticmethod
    @rounded_once
    def forward(x: Any, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        require_matching("addmm", input=x, mat1=mat1, mat2=mat2)
        require_ranks("addmm", (2, 2), mat1, mat2)
        return _sum_of("addmm", x, MatMul.apply(mat1, mat2), beta, alpha)


@op(
    method="baddbmm",
    inplace=True,
    reference=_reference,
    samples=_samples((2, 3, 2), (2, 3, 4), (2, 4, 2)),
    errors=(
        Failure(((2, 3, 2), (3, 4), (4, 2)), match="3-D"),
        Failure(((4, 3, 2), (2, 3, 4), (2, 4, 2)), match="does not expand"),
        Failure(((2, 2, 2),) * 3, kwargs=_FRACTIONS, error=DTypeError, dtype=dtypes.int64),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Baddbmm(Function):
    """``beta * x + alpha * (batch1 @ batch2)`` of batches of matrices; x expands to the product.

    Raises as `addmm` does.
    """

    @staticmethod
    @rounded_once
    def forward(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        require_matching("baddbmm", input=x, batch1=batch1, batch2=batch2)
        return _sum_of("baddbmm", x, Bmm.forward(batch1, batch2), beta, alpha)


@op(
    method="addbmm",
    inplace=True,
    reference=lambda x, a, b, beta=1, alpha=1: beta * x + alpha * np.matmul(a, b).sum(0),
    samples=_samples((3, 2), (2, 3, 4), (2, 4, 2)),
    errors=(
        Failure(((3, 2), (3, 4), (4, 2)), match="3-D"),
        Failure(((3, 2), (2, 3, 4), (3, 4, 2)), match="batch"),
        Failure(((2, 3, 2), (2, 3, 4), (2, 4, 2)), match="does not expand"),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Addbmm(Function):
    """``beta * x + alpha * (batch1 @ batch2).sum(0)``; x expands to the sum.

    The batch is summed inside one matrix product. Raises as `addmm` does.
    """

    @staticmethod
    @rounded_once
    def forward(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        require_matching("addbmm", input=x, batch1=batch1, batch2=batch2)
        require_ranks("addbmm", (3, 3), batch1, batch2)
        batch, rows, inner = batch1.shape
        if batch2.shape[:2] != (batch, inner):
            raise ShapeError(
                f"addbmm: batch sizes or inner sizes of {tuple(batch1.shape)} and "
                f"{tuple(batch2.shape)} differ; they have to be (b, n, m) and (b, m, p)."
            )
        left = batch1.permute((1, 0, 2)).reshape((rows, batch * inner))
        right = batch2.reshape((batch * inner, batch2.shape[2]))
        return _sum_of("addbmm", x, MatMul.apply(left, right), beta, alpha)


@op(
    method="addmv",
    inplace=True,
    reference=_reference,
    samples=_samples((3,), (3, 4), (4,)),
    errors=(
        Failure(((3,), (3, 4), (3,)), match="do not fit"),
        Failure(((3,), (3, 4), (4, 1)), match="1-D"),
        Failure(((4,), (3, 4), (4,)), match="does not expand"),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Addmv(Function):
    """``beta * x + alpha * (mat @ vec)``; x expands to the product. Raises as `addmm` does."""

    @staticmethod
    @rounded_once
    def forward(x: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        require_matching("addmv", input=x, mat=mat, vec=vec)
        require_ranks("addmv", (2, 1), mat, vec)
        return _sum_of("addmv", x, MatMul.apply(mat, vec), beta, alpha)


@op(
    method="addr",
    inplace=True,
    reference=lambda x, a, b, beta=1, alpha=1: beta * x + alpha * np.outer(a, b),
    samples=(
        Sample(((3, 4), (3,), (4,))),
        Sample(((3, 4), (3,), (4,)), kwargs={"beta": 0, "alpha": 2}),
        Sample(((4,), (3,), (4,)), kwargs=_ADDED),
    ),
    errors=(
        Failure(((3, 4), (3, 1), (4,)), match="1-D"),
        Failure(((3, 3), (3,), (4,)), match="does not expand"),
        Failure(((2, 2), (2,), (2,)), kwargs=_FRACTIONS, error=DTypeError, dtype=dtypes.int64),
        Failure(((2, 2), (2,), (2,)), kwargs={"beta": True}, error=DTypeError, match="Boolean"),
    ),
    composite=True,
    dtypes=ALL,
)
class Addr(Function):
    """``beta * x + alpha * outer(vec1, vec2)``; x expands to the product, types are promoted.

    For bool tensors sums are logical or, products logical and. Raises as `addmm` does.
    """

    @staticmethod
    @rounded_once
    def forward(x: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        for tensor in (x, vec1, vec2):
            if not is_tensor(tensor):
                raise unsupported("addr", tensor)
        dtype = result_type(x, vec1, vec2)
        for key, value in (("beta", beta), ("alpha", alpha)):
            if isinstance(value, bool) and dtype is not dtypes.bool:
                raise DTypeError(f"addr: Boolean {key} only supported for Boolean results.")
        if dtype is dtypes.bool:
            _check_factors("addr", dtype, beta=beta, alpha=alpha)
            beta, alpha = bool(beta), bool(alpha)
        return _sum_of("addr", x, Outer.forward(vec1, vec2), beta, alpha).to(dtype)
