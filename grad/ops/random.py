"""New tensors of random numbers: `rand`, `randn`, `randint`, `randperm`, `rand_like` and so on.

random_numbers.py has the numbers, random_filling.py writes them to tensors that are there, and
random_sampling.py draws by laws that tensors say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import DType, as_dtype, default_dtype, dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError
from grad.graph import reference
from grad.graph.arrays import node_of
from grad.graph.host import Array, host, hosted
from grad.graph.node import reshape
from grad.ops.creation import checked_shape, creator, finished
from grad.ops.generator import Generator
from grad.ops.keys import plain_key, random_key
from grad.ops.out import put_into
from grad.ops.random_numbers import (
    PRECISION,
    integer_node,
    normal_node,
    uniform_node,
    whole_bound,
    whole_limits,
)
from grad.ops.registry import op


def kind_of(name: str, dtype: Any, out: Any, default: DType | None = None) -> DType:
    """The type that is asked for, by name or by the tensor that takes the result."""
    kind = None if dtype is None else as_dtype(dtype)
    if out is None:
        return kind or default or default_dtype()
    if not isinstance(out, Variable):
        raise TypeError(f"{name}(): argument 'out' must be a Tensor, not {type(out).__name__}.")
    if kind not in (None, out.dtype):
        raise DTypeError(
            f"{name}: dtype {kind.name} does not match dtype of out parameter ({out.dtype.name})."
        )
    return out.dtype


def delivered(name: str, out: Any, result: Any) -> Any:
    """`result`, or `out` with its values."""
    return result if out is None else put_into(name, out, result)


def _one_size(name: str, sizes: tuple[Any, ...], size: Any) -> tuple[Any, ...]:
    """The sizes given one by one, or by name."""
    if size is None:
        return sizes
    if sizes:
        raise TypeError(f"{name}: got the sizes {sizes} and size={size}; give one of them.")
    return (size,)


@creator
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Numbers uniform in [0, 1), of shape `size`: multiples of the type's precision, each equally
    likely.

    Raises:
        TypeError: the type is not floating.

    Example:
        >>> grad.rand(2, 3).shape
        torch.Size([2, 3])
    """
    kind = kind_of("rand", dtype, out)
    shape = checked_shape("rand", _one_size("rand", sizes, size), kind)
    node = uniform_node(shape, kind, generator)
    return delivered("rand", out, finished(node, requires_grad, device))


@creator
def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normally distributed numbers of mean 0 and variance 1, of shape `size`.

    Raises:
        TypeError: the type is not floating.

    Example:
        >>> grad.randn(2, 3).shape
        torch.Size([2, 3])
    """
    kind = kind_of("randn", dtype, out)
    shape = checked_shape("randn", _one_size("randn", sizes, size), kind)
    node = normal_node(shape, kind, generator)
    return delivered("randn", out, finished(node, requires_grad, device))


@creator
def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Whole numbers in ``[low, high)``, int64 unless told; ``randint(high, size)`` begins at 0.

    Raises:
        TypeError: a bound is no whole number, or `size` is missing.
        ValueError, RuntimeError: no number is in the range, or the type does not hold all.

    Example:
        >>> grad.randint(3, 5, (2, 3)).shape
        torch.Size([2, 3])
    """
    if size is None and isinstance(high, list | tuple):
        low, high, size = 0, low, high
    if not isinstance(size, list | tuple) or high is None:
        raise TypeError(
            "randint: needs randint(high, size) or randint(low, high, size), size a tuple."
        )
    low, high = whole_bound("randint", low), whole_bound("randint", high)
    kind = kind_of("randint", dtype, out, dtypes.int64)
    shape = checked_shape("randint", (size,), kind)
    node = integer_node("randint", low, high, shape, kind, generator)
    return delivered("randint", out, finished(node, requires_grad, device))


@creator
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The numbers below `n` in random order; int64 unless told.

    Raises:
        RuntimeError: `n` is negative, or `dtype` does not hold numbers so large.

    Example:
        >>> grad.randperm(4).sort().values.tolist()
        [0, 1, 2, 3]
    """
    kind = kind_of("randperm", dtype, out, dtypes.int64)
    (size,) = checked_shape("randperm", (n,), kind)
    most = 1 << PRECISION[kind] if kind.is_floating_point else whole_limits(kind)[1]
    if kind is dtypes.bool or size - 1 > most:
        raise ArgumentError(f"randperm: {kind.name} does not hold the numbers below n={size}.")
    if recording.recorder is None:
        # In memory at once, so that what uses it may have an open size (docs/design/023).
        order = _permutation(plain_key(generator).arg, size)
        result = finished(node_of(order, kind), requires_grad, device)
    else:
        rows = host(permutations, [reshape(random_key(generator), (1,))], (1, size), kind)
        result = finished(reshape(rows, (size,)), requires_grad, device)
    return delivered("randperm", out, result)


@hosted
def permutations(result: Array, keys: Array) -> None:
    """In each row, the numbers of its elements in the random order that belongs to a key."""
    for row, key in zip(result, keys, strict=True):
        row[:] = _permutation(key, row.size)


def _permutation(key: Any, size: int) -> Array:
    bits = reference.threefry(np.asarray(key, np.uint64), np.arange(size, dtype=np.uint64))
    order = np.argsort(bits)  # several times as fast as the stable one, and the same without ties
    ranked = bits[order]
    return np.argsort(bits, kind="stable") if (ranked[1:] == ranked[:-1]).any() else order


# -- like another tensor ---------------------------------------------------------------------------
@op(method="rand_like", composite=True, gradient=False)
class RandLike:
    """Numbers uniform in [0, 1), of the shape and type of x (or of `dtype`).

    Raises:
        TypeError: the type is not floating.
    """

    @staticmethod
    def forward(
        x: Any,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
        memory_format: Any = None,
    ) -> Any:
        kind = kind_of("rand_like", dtype or x.dtype, None)
        return finished(uniform_node(x.shape, kind, generator), requires_grad, device)


@op(method="randn_like", composite=True, gradient=False)
class RandnLike:
    """Normally distributed numbers of the shape and type of x (or of `dtype`).

    Raises:
        TypeError: the type is not floating.
    """

    @staticmethod
    def forward(
        x: Any,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
        memory_format: Any = None,
    ) -> Any:
        kind = kind_of("randn_like", dtype or x.dtype, None)
        return finished(normal_node(x.shape, kind, generator), requires_grad, device)


@op(method="randint_like", composite=True, gradient=False)
class RandintLike:
    """Whole numbers in ``[low, high)``, or ``[0, low)``, of the shape and type of x (or of
    `dtype`).

    Raises:
        TypeError: a bound is no whole number.
        ValueError, RuntimeError: no number is in the range, or the type does not hold all.
    """

    @staticmethod
    def forward(
        x: Any,
        low: Any = 0,
        high: Any = None,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
        memory_format: Any = None,
    ) -> Any:
        low, high = (0, low) if high is None else (low, high)
        low, high = whole_bound("randint_like", low), whole_bound("randint_like", high)
        kind = kind_of("randint_like", dtype or x.dtype, None)
        node = integer_node("randint_like", low, high, x.shape, kind, generator)
        return finished(node, requires_grad, device)
