"""Products of Householder reflections, which is how LAPACK keeps the Q of a QR factorization.

Reflection i is ``1 - tau[i] * v @ v.T`` with v column i of the matrix, 1 on the diagonal and 0
above. All of them together are ``1 - V @ T @ V.T`` with an upper triangular T (Schreiber and Van
Loan, "A Storage-Efficient WY Representation for Products of Householder Transformations", 1989).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grad.errors import ShapeError
from grad.graph.host import hosted
from grad.ops.blas_threads import on_few_threads
from grad.ops.creation import eye
from grad.ops.lapack import TYPES, lapack, pack, require_matrices, unpacked
from grad.ops.promotion import wrap
from grad.ops.registry import Array, Failure, Sample, op
from grad.ops.systems import solve_triangular


class GeqrfResult(NamedTuple):
    """What `geqrf` gives."""

    a: Any
    tau: Any


@hosted
@on_few_threads
def reflections(result: Array, matrices: Array) -> None:
    """R on and above the diagonal, the reflections below; and tau."""
    turned, tau = np.linalg.qr(matrices, "raw")
    pack(result, np.swapaxes(turned, -1, -2), tau)


@op(method="geqrf", dtypes=TYPES, gradient=False, composite=True)
class Geqrf:
    """R of ``x = Q @ R`` on and above the diagonal of `a`, and the reflections that make Q below
    it and in `tau`; see `orgqr`. It has no gradient: use `linalg.qr`.
    """

    @staticmethod
    def forward(x: Any) -> GeqrfResult:
        require_matrices("geqrf", x)
        m, n = x.shape[-2:]
        k = min(m, n)
        node = lapack(reflections, [x.detach()], (m * n + k,))
        return GeqrfResult(*(wrap(part) for part in unpacked(node, (m, n), (k,))))


def _factors(name: str, x: Any, tau: Any) -> tuple[Any, Any]:
    """V and T; see the top."""
    require_matrices(name, x)
    (m, n), k = x.shape[-2:], tau.shape[-1] if tau.shape else 0
    if min(m, n) < k or tau.shape[:-1] != x.shape[:-2]:
        raise ShapeError(
            f"linalg.{name}: input.shape[-2] and input.shape[-1] must be greater than or equal to "
            f"tau.shape[-1], with equal axes before; got {tuple(x.shape)} and {tuple(tau.shape)}."
        )
    v = x.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=x.dtype)
    column = tau.unsqueeze(-1)
    inner = column * (v.mT @ v).triu(1) + eye(k, dtype=x.dtype)
    one = eye(k, dtype=x.dtype).expand((*x.shape[:-2], k, k))
    return v, solve_triangular(inner, one * column, upper=True)


def _product(x: Array, tau: Array) -> Array:
    result = np.eye(x.shape[0])
    for i in range(len(tau)):
        v = np.tril(x, -1)[:, i] + np.eye(x.shape[0])[:, i]
        result = result @ (np.eye(x.shape[0]) - tau[i] * np.outer(v, v))
    return result


@op(
    method="orgqr",
    dtypes=TYPES,
    composite=True,
    reference=lambda x, tau: _product(x, tau)[:, : x.shape[1]],
    samples=[Sample(((4, 3), (3,)), low=-1, high=1), Sample(((4, 3), (2,)), low=-1, high=1)],
    errors=[Failure(((2, 3), (2,)), match="greater"), Failure(((4, 3), (4,)), match="greater")],
)
class Orgqr:
    """The first columns of the product of reflections, as many as `x` has: Q of `geqrf`.

    Shape:
        x ``(..., m, n)``, tau ``(..., k)`` with m >= n >= k; the result is as x.

    Example:
        >>> a, tau = grad.geqrf(grad.eye(3))
        >>> grad.orgqr(a, tau).abs().tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    @staticmethod
    def forward(x: Any, tau: Any) -> Any:
        v, t = _factors("householder_product", x, tau)
        m, n = x.shape[-2:]
        if m < n:
            raise ShapeError(
                f"linalg.householder_product: input.shape[-2] must be greater than or equal to "
                f"input.shape[-1], got {tuple(x.shape)}."
            )
        return eye(m, n, dtype=x.dtype) - v @ (t @ v.narrow(-2, 0, n).mT)


@op(
    method="ormqr",
    dtypes=TYPES,
    composite=True,
    reference=lambda x, tau, other: _product(x, tau) @ other,
    samples=[
        Sample(((4, 2), (2,), (4, 3)), low=-1, high=1),
        Sample(((2, 4), (2,), (2, 3)), low=-1, high=1),
    ],
    errors=[Failure(((4, 3), (3,), (3, 3)), match="other")],
)
class Ormqr:
    """The product of all reflections times `other`, or of `other` times it unless `left`; of its
    transpose with `transpose`.
    """

    @staticmethod
    def forward(x: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Any:
        v, t = _factors("ormqr", x, tau)
        if len(other.shape) < 2 or other.shape[-2 if left else -1] != x.shape[-2]:
            raise ShapeError(
                f"ormqr: other.shape[{-2 if left else -1}] must be equal to input.shape[-2], got "
                f"{tuple(other.shape)} and {tuple(x.shape)}."
            )
        middle = t.mT if transpose else t
        if left:
            return other - v @ (middle @ (v.mT @ other))
        return other - ((other @ v) @ middle) @ v.mT
