"""Forms in place that change what a tensor is, not what its memory holds: `squeeze_`, `resize_` ...

`viewing_form` is ``x.squeeze_()`` of ``x.squeeze()`` for each view of the registry with
``inplace=True``: the handle becomes the view, with its history. `resize_` and `set_` may give it
other memory. Other views of the old memory stay as they are. What autograd forbids is refused
first, as for writes (inplace.py).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from grad.autograd.modes import enable_grad, mode
from grad.autograd.variable import Variable
from grad.engine.recording import recording
from grad.errors import DTypeError, GradientError, InplaceError, ShapeError, a_kind_of
from grad.graph.movement import contiguous_strides
from grad.graph.node import constant, expand, pad, reshape
from grad.graph.storage import Storage
from grad.ops.inplace import check_writable
from grad.ops.registry import ALL, Failure, Op, op
from grad.ops.view import sizes_of

# References to a storage that one tensor alone holds: the slot, the local name, getrefcount's
# argument.
_ALONE = 3


def viewing_form(row: Op, name: str) -> Callable[..., Any]:
    """The method `name` that makes its first operand what the view `row` of it is."""
    call = row.call

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _check(name, self)
        with enable_grad():  # no view of a recorded tensor is without history
            view = call(self, *args, **kwargs)
        if view._storage is not self._storage:
            raise InplaceError(f"{name}: the memory has no such view; use x = x.{row.name}(...).")
        _become(self, view)
        is_leaf = self._base is None and self._edge is None
        if view._edge is not None and not is_leaf:
            self._edge, self._requires_grad = view._edge, True
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = (
        f"`{row.name}` in place: the tensor itself gets another shape, its memory stays."
    )
    return method


def _check(name: str, x: Any) -> None:
    """Raise where `x` must not become another tensor; tell a recorder of it."""
    leaf = x if x._base is None else x._base
    if mode.enabled and leaf._requires_grad and leaf._edge is None:
        check_writable(name, x)
    if x._requires_grad and x._edge is None and x._base is not None:
        raise InplaceError(f"{name}: a leaf tensor that requires grad cannot change in place.")
    if recording.recorder is not None:
        recording.recorder.shape_changed(x)


def _become(x: Any, other: Any) -> None:
    """Make the handle `x` show what `other` shows; its history is the caller's business."""
    x._storage, x._path, x._layout = other._storage, other._path, other._layout
    x._shape, x._node, x._node_version = other._shape, None, -1
    x._edge_version = other._storage.version


def _require_plain(name: str, x: Any) -> None:
    if x._needs_grad:
        raise GradientError(
            f"{name}: cannot resize variables that require grad; use x.reshape(...) or x[...]."
        )


@op(
    method="resize_",
    function=False,
    dtypes=ALL,
    gradient=False,
    composite=True,
    errors=[Failure(((4,),), (-1,), match="negative")],
)
class ResizeIn:
    """Give the tensor another shape, whatever the number of elements; returns `x`.

    Elements are those of the memory from where the tensor starts, in its order; new ones are 0.

    Raises:
        GradientError: the tensor requires grad. InplaceError: other tensors show memory that would
            have to grow.

    Example:
        >>> grad.arange(3).resize_(2, 2).tolist()
        [[0, 1], [2, 0]]
    """

    @staticmethod
    def forward(x: Any, *sizes: Any, memory_format: Any = None) -> Any:
        shape = sizes_of("resize_", sizes)
        _require_plain("resize_", x)
        if min(shape, default=0) < 0:
            raise ShapeError(f"resize_: sizes cannot be negative, got {shape}.")
        _check("resize_", x)
        if shape == x.shape:
            return x
        start = x.memory_layout.offset
        needed = start + math.prod(shape)
        storage = x._storage
        if math.prod(shape) and needed > storage.node.size:
            if sys.getrefcount(storage) > _ALONE or storage.shared is not None:
                raise InplaceError(
                    "resize_: the memory has to grow, and other tensors show it; use x.clone() "
                    "first."
                )
            node = storage.node
            flat = pad(reshape(node, (node.size,)), [(0, needed - node.size)])
            x._storage = Storage(flat)
            x._path, x._layout, x._shape = (), None, (needed,)
            x._node, x._node_version, x._base = None, -1, None
        _become(x, x.detach().as_strided(shape, contiguous_strides(shape), start))
        return x


@op(method="resize_as_", function=False, dtypes=ALL, gradient=False, composite=True)
class ResizeAsIn:
    """`resize_` to the shape of `other`; returns `x`."""

    @staticmethod
    def forward(x: Any, other: Any, *, memory_format: Any = None) -> Any:
        return ResizeIn.forward(x, other.shape)


@op(method="set_", function=False, dtypes=ALL, gradient=False, composite=True)
class SetIn:
    """Make the tensor show the memory of `source`; without a source none. Returns `x`.

    Args:
        source: a tensor of the same dtype; both then see each other's writes.
        storage_offset, size, stride: which view of its memory; that of `source` unless given.

    Example:
        >>> grad.zeros(2).set_(grad.arange(6.0), 1, (2, 2), (2, 1)).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """

    @staticmethod
    def forward(
        x: Any, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
    ) -> Any:
        if source is None:
            source = x._wrap(expand(constant(0, x.dtype), (0,)))
        if not isinstance(source, Variable):
            raise DTypeError(f"set_: needs a tensor, got {a_kind_of(source)}.")
        if source.dtype is not x.dtype:
            raise DTypeError(f"set_: a tensor of {x.dtype.name} cannot show {source.dtype.name}.")
        _require_plain("set_", x)
        _require_plain("set_", source)
        _check("set_", x)
        if size is not None:
            steps = contiguous_strides(tuple(size)) if stride is None else stride
            source = source.detach().as_strided(size, steps, storage_offset)
        x._base = None
        _become(x, source)
        return x
