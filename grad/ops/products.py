"""Products of tensors with names of their own: inner, tensordot, kron, cross, vecdot, trace.

All are made of matrix products by labelled axes (contraction.py) or of fused elementwise products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.axes import normal_axis
from grad.ops.contraction import contracted, planned
from grad.ops.join import Cat
from grad.ops.matmul import require_matching
from grad.ops.promotion import is_tensor, refuse_bool, unsupported
from grad.ops.registry import ALL, FLOATING, NUMERIC, Failure, Sample, op

_FIRST_LABEL = 0x100


def _labels(count: int, start: int = 0) -> str:
    """Labels of `count` axes."""
    return "".join([chr(_FIRST_LABEL + start + n) for n in range(count)])


def _summed_over(x: Any, y: Any, first: Sequence[int], second: Sequence[int]) -> Any:
    """The product of `x` and `y` summed over the axes `first` of x, which are `second` of y."""
    rank = len(x.shape)
    left = _labels(rank)
    right = list(_labels(len(y.shape), rank))
    for axis, other in zip(first, second):
        right[other] = left[axis]
    kept = [label for axis, label in enumerate(left) if axis not in first]
    kept += [label for axis, label in enumerate(right) if axis not in second]
    plan = planned((left, "".join(right)), "".join(kept), (x.shape, y.shape))
    return contracted(plan._replace(one_type=True), (x, y))


@op(
    method="inner",
    reference=np.inner,
    samples=(
        Sample(((4,), (4,))),
        Sample(((2, 3), (4, 2, 3))),
        Sample(((2, 3), ())),
    ),
    errors=(
        Failure(((2, 3), (4,)), match="last dimension must match"),
        Failure(((2,), (2,)), error=DTypeError, match="bool", dtype=dtypes.bool),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Inner(Function):
    """Sums of products over the last axis of both; with a number, the product.

    Shape:
        ``(*a, k)`` and ``(*b, k)`` give ``(*a, *b)``.

    Raises:
        ShapeError: the last sizes differ. DTypeError: the types differ.

    Example:
        >>> grad.inner(grad.tensor([1, 2, 3]), grad.tensor([0, 2, 1]))
        tensor(7)
    """

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        for tensor in (x, other):
            if not is_tensor(tensor):
                raise unsupported("inner", tensor)
        if not x.shape or not other.shape:
            return x * other
        require_matching("inner", input=x, other=other)
        if x.shape[-1] != other.shape[-1]:
            raise ShapeError(
                f"inner: the last dimension must match on both input tensors but got shapes "
                f"{tuple(x.shape)} and {tuple(other.shape)}."
            )
        return _summed_over(x, other, (len(x.shape) - 1,), (len(other.shape) - 1,))


def _axes_of(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The axes to sum over, of both tensors, from what `tensordot` takes."""
    if is_tensor(dims):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise ArgumentError(f"tensordot: expects dims >= 0, but got dims={dims}.")
        if dims > min(len(a.shape), len(b.shape)):
            raise ArgumentError(
                f"tensordot: expects dims < ndim_a or ndim_b, but got dims={dims} for "
                f"{len(a.shape)} and {len(b.shape)} dimensions."
            )
        return list(range(len(a.shape) - dims, len(a.shape))), list(range(dims))
    if not isinstance(dims, list | tuple) or len(dims) != 2:
        raise ArgumentError(
            f"tensordot: expects dims to be an int or two lists of ints, but got dims={dims!r}."
        )
    pairs = []
    for given, tensor in zip(dims, (a, b)):
        if not isinstance(given, list | tuple):
            raise DTypeError(
                f"tensordot: dims must be two lists of ints, got {dims!r}; use ([..], [..])."
            )
        axes = [normal_axis("tensordot", dim, len(tensor.shape)) for dim in given]
        if len(set(axes)) < len(axes):
            raise ArgumentError(f"tensordot: a dim appears multiple times in the list {given}.")
        pairs.append(axes)
    if len(pairs[0]) != len(pairs[1]):
        raise ArgumentError(f"tensordot: both dimension lists should have same length: {dims}.")
    return pairs[0], pairs[1]


@op(
    function="tensordot",
    reference=lambda a, b, dims=2: np.tensordot(a, b, dims),
    samples=(
        Sample(((2, 3, 4), (3, 4, 2))),
        Sample(((2, 3), (2, 4)), ([[0], [-2]],)),
        Sample(((2,), (3,)), (0,)),
    ),
    errors=(
        Failure(((2, 3), (2, 3)), (1,), match="need to match"),
        Failure(((2, 3), (3, 2)), (-1,), error=ArgumentError),
        Failure(((2, 3), (3, 2)), (3,), error=ArgumentError),
        Failure(((2, 3), (3, 2)), (([0], [0, 1]),), error=ArgumentError, match="same length"),
        Failure(((2, 3), (3, 2)), ((1, 0),), error=DTypeError),
        Failure(((2, 3), (3, 2)), (1,), error=DTypeError, match="bool", dtype=dtypes.bool),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Tensordot(Function):
    """Sums of products over several axes: the last `dims` of a with the first of b, or two lists.

    Shape:
        the axes of a that are left, then those of b. An axis of size 1 goes with any.

    Raises:
        ShapeError: sizes differ. ArgumentError: `dims` does not fit. DTypeError: the types differ.

    Example:
        >>> grad.tensordot(grad.ones(2, 3, 4), grad.ones(4, 3, 5), ([2, 1], [0, 1])).shape
        torch.Size([2, 5])
    """

    @staticmethod
    def forward(a: Any, b: Any, dims: Any = 2) -> Any:
        require_matching("tensordot", a=a, b=b)
        first, second = _axes_of(a, b, dims)
        for axis, other in zip(first, second):
            sizes = a.shape[axis], b.shape[other]
            if sizes[0] != sizes[1] and 1 not in sizes:
                raise ShapeError(
                    f"tensordot: contracted dimensions need to match, but first has size "
                    f"{sizes[0]} in dim {axis} and second has size {sizes[1]} in dim {other}."
                )
        return _summed_over(a, b, first, second)


@op(
    method="kron",
    reference=np.kron,
    samples=(Sample(((2, 3), (2, 2))), Sample(((2, 1, 3), (4,))), Sample(((), (3,)))),
    composite=True,
    dtypes=ALL,
)
class Kron(Function):
    """The Kronecker product: every element of x times the whole of `other`, side by side.

    Shape:
        the sizes are the products of the operands' sizes, the smaller rank having 1's in front.

    Example:
        >>> grad.kron(grad.tensor([1, 10]), grad.tensor([1, 2, 3])).tolist()
        [1, 2, 3, 10, 20, 30]
    """

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        for tensor in (x, other):
            if not is_tensor(tensor):
                raise unsupported("kron", tensor)
        rank = max(len(x.shape), len(other.shape))
        left, right = ((1,) * (rank - len(t.shape)) + tuple(t.shape) for t in (x, other))
        outer = x.reshape([size for pair in zip(left, (1,) * rank) for size in pair])
        inner = other.reshape([size for pair in zip((1,) * rank, right) for size in pair])
        return (outer * inner).reshape([a * b for a, b in zip(left, right)])


# -- three dimensions ------------------------------------------------------------------------------
def cross_product(name: str, x: Any, other: Any, dim: int) -> Any:
    """The cross product along `dim`; other axes broadcast."""
    require_matching(name, input=x, other=other)
    if len(x.shape) != len(other.shape):
        raise ShapeError(
            f"{name}: inputs must have the same number of dimensions, got {tuple(x.shape)} and "
            f"{tuple(other.shape)}."
        )
    axis = normal_axis(name, dim, len(x.shape))
    if not x.shape or x.shape[axis] != 3 or other.shape[axis] != 3:
        raise ShapeError(
            f"{name}: inputs dimension {dim} must have length 3. Got {tuple(x.shape)} and "
            f"{tuple(other.shape)}."
        )

    def turned(tensor: Any, start: int) -> Any:
        parts = tensor.narrow(axis, start, 3 - start), tensor.narrow(axis, 0, start)
        return Cat.forward(parts, axis)

    return turned(x, 1) * turned(other, 2) - turned(x, 2) * turned(other, 1)


@op(
    method="cross",
    reference=lambda x, y, dim=-1: np.cross(x, y, axis=dim),
    samples=(Sample(((2, 3), (2, 3))), Sample(((3, 1), (3, 2)), (0,))),
    errors=(
        Failure(((2, 4), (2, 4)), match="size 3"),
        Failure(((2, 4), (2, 4)), (0,), match="length 3"),
        Failure(((3,), (2, 3)), (-1,), match="number of dimensions"),
        Failure(((3,), (3,)), error=DTypeError, match="bool", dtype=dtypes.bool),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Cross(Function):
    """The vectors of three numbers that stand upright on those of x and `other`, along `dim`.

    Without `dim` it is the first axis of size 3 (in `linalg.cross` the last axis).

    Example:
        >>> grad.cross(grad.tensor([1, 0, 0]), grad.tensor([0, 1, 0])).tolist()
        [0, 0, 1]
    """

    @staticmethod
    def forward(x: Any, other: Any, dim: int | None = None) -> Any:
        if dim is None:
            dim = next((axis for axis, size in enumerate(x.shape) if size == 3), None)
        if dim is None:
            raise ShapeError(f"cross: no dimension of size 3 in input, which is {tuple(x.shape)}.")
        return cross_product("cross", x, other, dim)


def vector_products(x: Any, y: Any, dim: int = -1) -> Any:
    """Inner products along `dim` of vectors, which broadcast; see `linalg.vecdot`."""
    if x.dtype is not y.dtype:
        raise DTypeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{x.dtype.name} and y of type {y.dtype.name} instead."
        )
    if x.dtype not in FLOATING:
        raise DTypeError(
            f"linalg.vecdot: Expected a floating point tensor as input. Got {x.dtype.name}; use "
            f"x.float()."
        )
    return (x * y).sum(dim)


# -- the diagonal ----------------------------------------------------------------------------------
@op(
    method="trace",
    reference=np.trace,
    samples=(Sample(((3, 3),)), Sample(((2, 4),)), Sample(((0, 3),))),
    errors=(
        Failure(((3,),), match="matrix"),
        Failure(((2, 2),), error=DTypeError, match="bool", dtype=dtypes.bool),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Trace(Function):
    """The sum of the diagonal of a matrix; of integers in int64.

    Example:
        >>> grad.trace(grad.tensor([[1, 2], [3, 4]]))
        tensor(5)
    """

    @staticmethod
    def forward(x: Any) -> Any:
        if len(x.shape) != 2:
            raise ShapeError(
                f"trace: expected a matrix, but got shape {tuple(x.shape)}; use x.diagonal(...)."
            )
        refuse_bool("trace", x.dtype, instead="x.int().trace()")
        return x.diagonal().sum()
