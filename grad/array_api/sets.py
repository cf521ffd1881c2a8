"""Distinct elements, in ascending order.

NaN is distinct from itself, zeros of both signs are one element. Shapes depend on values, so all
of these compute their operand. The elements are put in order once; whatever is asked for is read
off the places where the ordered elements change.
"""

from __future__ import annotations

from typing import NamedTuple

from grad.array_api.operands import require_tensor
from grad.dtype import dtypes
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


class UniqueAllResult(NamedTuple):
    """What `unique_all` gives."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` gives."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` gives."""

    values: Tensor
    inverse_indices: Tensor


class _Groups(NamedTuple):
    """Elements in order: themselves, where each was, whether it differs from the one before, and
    the places of those that do.
    """

    values: Tensor
    order: Tensor
    is_first: Tensor
    starts: Tensor


def _groups(name: str, x: Tensor) -> _Groups:
    values, order = require_tensor(name, x).detach().reshape(-1).sort(stable=True)
    first = values.new_full((min(values.shape[0], 1),), True, dtype=dtypes.bool)
    is_first = REGISTRY["cat"].call([first, values[1:] != values[:-1]])
    return _Groups(values, order, is_first, is_first.nonzero().reshape(-1))


def _counts(groups: _Groups) -> Tensor:
    size = groups.values.shape[0]
    ends = groups.starts.new_full((min(size, 1),), size)
    return REGISTRY["cat"].call([groups.starts[1:], ends]) - groups.starts


def _inverse(groups: _Groups, shape: tuple[int, ...]) -> Tensor:
    group = groups.is_first.cumsum(0) - 1
    return group.new_zeros(group.shape).scatter(0, groups.order, group).reshape(shape)


def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements of `x`.

    Example:
        >>> unique_values(asarray([3, 1, 3])).tolist()
        [1, 3]
    """
    groups = _groups("unique_values", x)
    return groups.values[groups.starts]


def unique_counts(x: Tensor, /) -> UniqueCountsResult:
    """The distinct elements of `x`, and how often each occurs."""
    groups = _groups("unique_counts", x)
    return UniqueCountsResult(groups.values[groups.starts], _counts(groups))


def unique_inverse(x: Tensor, /) -> UniqueInverseResult:
    """The distinct elements of `x`, and which of them each element of `x` is."""
    groups = _groups("unique_inverse", x)
    return UniqueInverseResult(groups.values[groups.starts], _inverse(groups, x.shape))


def unique_all(x: Tensor, /) -> UniqueAllResult:
    """The distinct elements of `x`, where each is first in the flattened `x`, which of them each
    element of `x` is, and how often each occurs.
    """
    groups = _groups("unique_all", x)
    return UniqueAllResult(
        groups.values[groups.starts],
        groups.order[groups.starts],
        _inverse(groups, x.shape),
        _counts(groups),
    )
