"""What can be asked about a tensor, memory of given strides, and functions of Python applied to
each element.

`FLAGS` are the attributes that are the same for all tensors here, all being dense and on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.dtype import as_dtype, default_dtype
from grad.errors import GradientError, ShapeError
from grad.graph.arrays import node_of
from grad.graph.movement import contiguous_strides
from grad.ops.convert import array_view
from grad.ops.creation import checked_shape, creator, filled, finished
from grad.ops.inplace import check_writable, fitted_shape, overwrite
from grad.ops.promotion import is_tensor, wrap
from grad.ops.registry import ALL, op
from grad.ops.view import sizes_of

FLAGS = {
    "is_cpu": True,
    "is_cuda": False,
    "is_ipu": False,
    "is_maia": False,
    "is_meta": False,
    "is_mkldnn": False,
    "is_mps": False,
    "is_mtia": False,
    "is_nested": False,
    "is_quantized": False,
    "is_sparse": False,
    "is_sparse_csr": False,
    "is_vulkan": False,
    "is_xla": False,
    "is_xpu": False,
}


# -- questions -------------------------------------------------------------------------------------
@op(method="is_signed", gradient=False, composite=True)
class IsSigned:
    """Whether the type of `x` has negative numbers."""

    @staticmethod
    def forward(x: Any) -> bool:
        return x.dtype.is_signed


@op(method="is_conj", gradient=False, composite=True)
class IsConj:
    """Whether `x` is a conjugate that is still to be made: no, all numbers being real."""

    @staticmethod
    def forward(x: Any) -> bool:
        return False


@op(method="is_neg", gradient=False, composite=True)
class IsNeg:
    """Whether `x` is a negative that is still to be made: no."""

    @staticmethod
    def forward(x: Any) -> bool:
        return False


@op(method="is_inference", gradient=False, composite=True)
class IsInference:
    """Whether `x` can never be recorded: no, tensors made in inference mode are as any others."""

    @staticmethod
    def forward(x: Any) -> bool:
        return False


@op(method="is_distributed", gradient=False, composite=True)
class IsDistributed:
    """Whether `x` is spread over several machines: no."""

    @staticmethod
    def forward(x: Any) -> bool:
        return False


@op(method="get_device", gradient=False, composite=True)
class GetDevice:
    """The number of the CUDA device that `x` is on; -1 for the CPU."""

    @staticmethod
    def forward(x: Any) -> int:
        return -1


@op(method="is_pinned", function=False, gradient=False, composite=True)
class IsPinned:
    """Whether the memory is locked, so that another device can read it: no."""

    @staticmethod
    def forward(x: Any, device: Any = None) -> bool:
        return False


@op(method="pin_memory", function=False, dtypes=ALL, composite=True)
class PinMemory:
    """`x` itself: there is no other device whose copies would gain from locked memory."""

    @staticmethod
    def forward(x: Any, device: Any = None) -> Any:
        return x


@op(method="is_set_to", function=False, gradient=False, composite=True)
class IsSetTo:
    """Whether `x` and `tensor` show the same memory in the same way."""

    @staticmethod
    def forward(x: Any, tensor: Any) -> bool:
        return x._storage is tensor._storage and x.memory_layout == tensor.memory_layout


@op(method="dim_order", function=False, gradient=False, composite=True)
class DimOrder:
    """The axes from the slowest in memory to the fastest."""

    @staticmethod
    def forward(x: Any) -> tuple:
        strides = x.memory_layout.strides
        return tuple(sorted(range(len(strides)), key=lambda axis: -strides[axis]))


@op(function="typename", gradient=False, composite=True)
class TypeName:
    """The name of the type of any object; of tensors with their element type."""

    @staticmethod
    def forward(obj: Any) -> str:
        if is_tensor(obj):
            return obj.type()
        kind = obj if isinstance(obj, type) else type(obj)
        module = kind.__module__
        return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


@op(method="nonzero_static", dtypes=ALL, gradient=False, composite=True)
class NonzeroStatic:
    """As `nonzero`, cut or filled up with `fill_value` to `size` rows.

    Example:
        >>> grad.nonzero_static(grad.tensor([0, 5, 0, 7]), size=3).tolist()
        [[1], [3], [-1]]
    """

    @staticmethod
    def forward(x: Any, *, size: int, fill_value: int = -1) -> Any:
        if size < 0:
            raise ShapeError(f"nonzero_static: size cannot be negative, got {size}.")
        found = x.nonzero()[:size]
        filled = found.new_full((size, found.shape[1]), fill_value)
        filled[: found.shape[0]] = found
        return filled


# -- memory of given strides -----------------------------------------------------------------------
def _empty(name: str, size: Any, strides: Any, dtype: Any) -> Any:
    sizes, steps = sizes_of(name, (size,)), sizes_of(name, (strides,))
    if len(sizes) != len(steps) or min((*sizes, *steps), default=0) < 0:
        raise ShapeError(
            f"{name}: size {sizes} and stride {steps} must be of equal length and not negative."
        )
    reach = 0 if 0 in sizes else 1 + sum((n - 1) * s for n, s in zip(sizes, steps))
    if steps == contiguous_strides(sizes):
        return finished(filled(0, checked_shape(name, sizes, dtype), dtype))
    memory = finished(filled(0, checked_shape(name, (reach,), dtype), dtype))
    return memory.as_strided(sizes, steps)


@creator
def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of `size` whose elements lie `stride` apart, to be written to."""
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    return _leaf(_empty("empty_strided", size, stride, kind), requires_grad)


@creator
def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of `size` whose axes lie in memory in the order of `physical_layout`."""
    order = sizes_of("empty_permuted", (physical_layout,))
    if sorted(order) != list(range(len(size))):
        raise ShapeError(f"empty_permuted: {order} is no order of {len(size)} axes.")
    strides = [0] * len(order)
    for axis, step in zip(order, contiguous_strides(tuple(size[axis] for axis in order))):
        strides[axis] = step
    return empty_strided(size, strides, dtype=dtype, requires_grad=requires_grad)


def _leaf(view: Any, requires_grad: bool) -> Any:
    leaf = view.detach()
    return leaf.requires_grad_() if requires_grad else leaf


@op(method="new_empty_strided", function=False, dtypes=ALL, gradient=False, composite=True)
class NewEmptyStrided:
    """As `empty_strided`, of the type of `x` unless another is given."""

    @staticmethod
    def forward(
        x: Any,
        size: Sequence[int],
        stride: Sequence[int],
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        return empty_strided(size, stride, dtype=dtype or x.dtype, requires_grad=requires_grad)


# -- functions of Python ---------------------------------------------------------------------------
def _mapped(name: str, x: Any, function: Callable[..., Any], *others: Any) -> Any:
    """Write what `function` makes of each element, and of those of `others` at its place."""
    if any(value._needs_grad for value in (x, *others)):
        raise GradientError(f"{name}: not for tensors that require grad; use x.detach().")
    check_writable(name, x)
    arrays = [array_view(fitted_shape(name, x, value)) for value in (x, *others)]
    results = [function(*elements) for elements in zip(*[a.ravel().tolist() for a in arrays])]
    values = np.array(results, x.dtype.numpy).reshape(x.shape)
    overwrite(name, x, wrap(node_of(values, x.dtype)))
    return x


@op(
    method="apply_",
    function=False,
    dtypes=ALL,
    gradient=False,
    composite=True,
)
class ApplyIn:
    """Replace each element by ``callable(element)``, one after the other; returns `x`.

    Example:
        >>> grad.tensor([1.0, 2.0]).apply_(lambda element: element + 1).tolist()
        [2.0, 3.0]
    """

    @staticmethod
    def forward(x: Any, callable: Callable[[Any], Any]) -> Any:
        return _mapped("apply_", x, callable)


@op(method="map_", function=False, dtypes=ALL, gradient=False, composite=True)
class MapIn:
    """Replace each element by ``callable(element, element of tensor)``; returns `x`."""

    @staticmethod
    def forward(x: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
        return _mapped("map_", x, callable, tensor)


@op(method="map2_", function=False, dtypes=ALL, gradient=False, composite=True)
class MapTwoIn:
    """As `map_`, with the elements of two tensors; returns `self`."""

    @staticmethod
    def forward(x: Any, first: Any, second: Any, callable: Callable[..., Any]) -> Any:
        return _mapped("map2_", x, callable, first, second)
