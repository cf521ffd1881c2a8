"""References and samples of the pooling operations (`pooling.py`): each window looked at by itself.

Plain NumPy, one window after the other, so that they share nothing with the operations but how many
windows there are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError
from grad.graph.arrays import node_of
from grad.ops.promotion import wrap
from grad.ops.registry import Failure, Sample
from grad.ops.samples import distinct, operands
from grad.ops.sliding import Pooling, pooling

Array = np.ndarray[Any, Any]


def _geometry(x: Array, rank: int, *settings: Any) -> Pooling:
    return pooling("reference", wrap(node_of(np.zeros(x.shape), dtypes.float32)), rank, *settings)


def average_reference(rank: int) -> Any:
    def reference(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        g = _geometry(x, rank, kernel_size, stride, padding, 1, ceil_mode)
        result = np.zeros((*x.shape[:-rank], *g.outputs))
        for window in np.ndindex(*g.outputs):
            starts = [o * s - p for o, s, p in zip(window, g.stride, g.padding)]
            stops = [min(a + k, n + p) for a, k, n, p in zip(starts, g.kernel, g.sizes, g.padding)]
            part = x[(..., *(slice(max(a, 0), b) for a, b in zip(starts, stops)))]
            count = math.prod(b - a for a, b in zip(starts, stops))
            count = count if count_include_pad else math.prod(part.shape[-rank:])
            total = part.sum(tuple(range(-rank, 0)))
            result[(..., *window)] = total / (divisor_override or count)
        return result

    return reference


def max_reference(rank: int) -> Any:
    def reference(
        x: Array,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Array:
        g = _geometry(x, rank, kernel_size, stride, padding, dilation, ceil_mode)
        result = np.zeros((*x.shape[:-rank], *g.outputs), x.dtype)
        for window in np.ndindex(*g.outputs):
            places = []
            for o, s, p, d, r, n in zip(window, g.stride, g.padding, g.dilation, g.reach, g.sizes):
                places.append([i for i in range(o * s - p, o * s - p + r, d) if 0 <= i < n])
            part = x[(..., *np.ix_(*places))]
            result[(..., *window)] = part.max(tuple(range(-rank, 0)))
        return result

    return reference


def adaptive_reference(rank: int, f: Any) -> Any:
    def reference(x: Array, output_size: Any, return_indices: bool = False) -> Array:
        if 0 in x.shape[-rank - 1 :]:
            raise ValueError("only the batch may be empty")
        given = output_size if isinstance(output_size, tuple) else (output_size,) * rank
        counts = [n if c is None else c for n, c in zip(x.shape[-rank:], given)]
        result = np.zeros((*x.shape[:-rank], *counts), x.dtype)
        for window in np.ndindex(*counts):
            cut = [
                slice(o * n // c, -(-(o + 1) * n // c))
                for o, n, c in zip(window, x.shape[-rank:], counts)
            ]
            result[(..., *window)] = f(x[(..., *cut)], tuple(range(-rank, 0)))
        return result

    return reference


def _image(rank: int, size: int = 7) -> tuple[int, ...]:
    """Sizes that differ, a batch of 2 with 3 channels."""
    return (2, 3, *(size - axis for axis in range(rank)))


def average_samples(rank: int) -> tuple[Sample, ...]:
    shape = _image(rank, 6)
    return (
        *operands((shape,), (2,)),
        *operands((shape,), (3, 2, 1)),
        *operands((shape[1:],), (3, 2, 1, True, False)),
        *operands((shape,), (3, 1), {"ceil_mode": True}),
    )


def max_samples(rank: int) -> tuple[Sample, ...]:
    shape = _image(rank, 6)
    return (
        *operands((shape,), (2,), first=distinct),
        *operands((shape,), (3, 2, 1), first=distinct),
        *operands((shape[1:],), (2, 1, 1, 2), first=distinct),
        *operands((shape,), (3, 2), {"ceil_mode": True}, first=distinct),
        # Fewer elements than windows reach over, so that some windows hold none of them.
        *operands(((2, 3, *[2] * rank),), (3, 2, 1, 2), {"ceil_mode": True}, first=distinct),
    )


def adaptive_samples(rank: int) -> tuple[Sample, ...]:
    shape = _image(rank, 6)
    return (
        *operands((shape,), (1,), first=distinct),
        *operands((shape[1:],), ((2, None, 3)[:rank],), first=distinct),
        *operands((shape,), (4,), first=distinct),
    )


def failures(rank: int) -> tuple[Failure, ...]:
    shape = _image(rank)
    return (
        Failure((shape,), (9,), match="too small"),
        Failure((shape,), (2, 1, 2), match="at most half"),
        Failure((shape,), (2, 0), error=ArgumentError, match="at least 1"),
        Failure((shape,), (2.0,), error=DTypeError, match="needs an int"),
        Failure((shape,), ((2,) * (rank + 1),), match="numbers"),
        Failure((shape[2:],), (2,), match="expected"),
        Failure(((2, 0, *shape[2:]),), (2,), match="alone may be empty"),
    )


def adaptive_failures(rank: int) -> tuple[Failure, ...]:
    shape = _image(rank)
    return (
        Failure((shape,), ((2,) * (rank + 1),), match="numbers"),
        Failure((shape,), (-1,), error=ArgumentError, match="at least 0"),
        Failure((shape[2:],), (2,), match="expected"),
    )
