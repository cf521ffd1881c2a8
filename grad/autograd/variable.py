"""Variable: the bare tensor handle, below all operations.

A `Variable` is a view of a `Storage` (graph/storage.py) plus what autograd knows about it: the edge
to the function that made it. It has no operations; `grad/tensor.py` adds them, so that ops and
autograd need not import it. `gradient_edge` answers "where does the gradient of this tensor go",
also for a view whose base was written to; `function.py` makes the edges and `engine.py` follows
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from grad.autograd.modes import enable_grad
from grad.dtype import DType
from grad.engine import bound
from grad.errors import InplaceError
from grad.graph.movement import (
    Layout,
    Move,
    contiguous_layout,
    moved_shape,
    moved_strides,
    path_layout,
)
from grad.graph.node import PENDING_LIMIT, Node, constant, follow, pointwise
from grad.graph.primitives import AS_STRIDED, RESHAPE, Primitive
from grad.graph.storage import Storage
from grad.utils.size import Size

# Pending work on one value is bounded by computing it when its graph is this deep.
# Longer view paths are written as one strided movement, so that views of views stay cheap.
PATH_LIMIT = 16

Path = tuple[Move, ...]
# A gradient goes to an output of a function, or to a leaf (index 0).
Edge = tuple[Any, int]


class Variable:
    """A view of a storage, and where its gradient goes.

    Attributes:
        dtype: element type. _shape: sizes, a plain tuple; `shape` is that for users.
        _storage, _path: the memory and the movements that lead from it to this tensor.
        _base: the tensor whose differentiable view this is.
        _edge: the function (and number of the output) that made it; None for a leaf.
        _edge_version: version of the storage when `_edge` was made.
    """

    __slots__ = (
        "_storage",
        "_path",
        "_node",
        "_node_version",
        "_layout",
        "dtype",
        "_shape",
        "_requires_grad",
        "_edge",
        "_edge_version",
        "_base",
        "_grad",
        "_hooks",
        "__weakref__",
        "__dict__",
    )

    if TYPE_CHECKING:
        # Operations are methods of the subclass, which ops and autograd call without importing it.
        def __getattr__(self, name: str) -> Any: ...

    # The class that operations return; grad/tensor.py sets it.
    _plain: ClassVar[Any]

    _storage: Storage
    _path: Path
    _node: Node | None
    _node_version: int
    _layout: Layout | None
    dtype: DType
    _shape: tuple[int, ...]
    _requires_grad: bool
    _edge: Edge | None
    _edge_version: int
    _base: Variable | None
    _grad: Any
    _hooks: dict[str, dict[int, Callable[..., Any]]] | None

    # -- making ------------------------------------------------------------------------------------
    @classmethod
    def _wrap(cls, node: Node) -> Any:
        """A new tensor of its own storage that holds `node`, outside any graph."""
        if node.depth > PENDING_LIMIT:
            bound(node)
        self = _new(Variable._plain)
        self._storage = Storage(node)
        self._path = ()
        self._layout = None
        self.dtype = node.dtype
        self._shape = node.shape
        self._requires_grad = False
        self._edge = self._base = self._grad = self._hooks = None
        self._edge_version = 0
        return self

    def _alias(self, path: Path, shape: tuple[int, ...], layout: Layout | None) -> Any:
        """A tensor on the same storage, outside any graph; the caller has checked the path."""
        view = _new(Variable._plain)
        view._storage = self._storage
        view._path = path
        view._node = None
        view._node_version = -1
        view._layout = layout
        view.dtype = self.dtype
        view._shape = shape
        view._requires_grad = False
        view._edge = view._base = view._grad = view._hooks = None
        view._edge_version = self._storage.version
        return view

    def _adopt(self, source: Variable, requires_grad: bool) -> None:
        """Make this new object a leaf on the storage of `source` (how subclasses are built)."""
        self._storage = source._storage
        self._path = source._path
        self._node = None
        self._node_version = -1
        self._layout = source._layout
        self.dtype = source.dtype
        self._shape = source._shape
        self._requires_grad = requires_grad
        self._edge = self._base = self._grad = self._hooks = None
        self._edge_version = source._storage.version

    def _view(self, moves: Path, sure: bool = False) -> Any:
        """The view of this tensor through `moves`, or None when strides cannot express it.

        Only reshapes can fail; with `sure` the caller knows that they only add or drop axes of size
        1. The result is on the same storage and knows its base; its edge is the caller's business.
        """
        shape = self._shape
        layout = None
        for step in moves:
            if step[0] is RESHAPE and not sure:
                layout = self._layout_through(moves)
                if layout is None:
                    return None
                break
        for step in moves:
            shape = moved_shape(shape, step)
        base = self if self._base is None else self._base
        path = self._path + moves
        if len(path) > PATH_LIMIT and not base._path:
            size = self._storage.node.size
            layout = self._layout_through(moves)
            assert layout is not None
            path = (Move(RESHAPE, (size,)), Move(AS_STRIDED, tuple(layout)))
        view = self._alias(path, shape, layout)
        view._base = base
        return view

    def _layout_through(self, moves: Path) -> Layout | None:
        layout: Layout | None = self.memory_layout
        for step in moves:
            if layout is not None:
                layout = moved_strides(layout, step)
        return layout

    # -- values ------------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The size of each axis."""
        return _new_size(Size, self._shape)

    @property
    def node(self) -> Node:
        """The graph node of the current value."""
        if not self._path:
            return self._storage.node
        storage = self._storage
        value = storage.node  # first: a recorder that sees it for the first time sets the stamp
        if self._node_version != storage.stamp or self._node is None:
            self._node = follow(value, self._path)
            self._node_version = storage.stamp
        return self._node

    @property
    def memory_layout(self) -> Layout:
        """Where the elements are in the storage's memory."""
        layout = self._layout
        if layout is None:
            storage_shape = self._storage.node.shape
            layout = (
                path_layout(storage_shape, self._path)
                if self._path
                else contiguous_layout(storage_shape)
            )
            assert layout is not None, "a view path must be expressible by strides"
            self._layout = layout
        return layout

    def apply(self, primitive: Primitive, *others: Any, dtype: DType | None = None) -> Any:
        """`primitive` of this and `others` (tensors, or numbers of type `dtype`), not recorded."""
        if not others:
            return self._wrap(pointwise(primitive, self.node, dtype=dtype))
        if dtype is None:
            dtype = next(
                (other.dtype for other in others if isinstance(other, Variable)), self.dtype
            )
        nodes = [
            other.node if isinstance(other, Variable) else constant(other, dtype)
            for other in others
        ]
        return self._wrap(pointwise(primitive, self.node, *nodes))

    # -- what autograd asks ------------------------------------------------------------------------
    @property
    def _needs_grad(self) -> bool:
        """Whether operations on this tensor are recorded (a view follows its base)."""
        return self._requires_grad or (self._base is not None and self._base._requires_grad)


_new = object.__new__
# A size without the check that its constructor makes.
_new_size = tuple.__new__


def path_from(base: Any, view: Any) -> Path:
    """The movements that lead from `base` to its `view`, both of them on one storage."""
    start = base._path
    if view._path[: len(start)] != start:
        raise InplaceError(
            "a view was made before its base changed its shape in place, and the base has been "
            "written to since; make the view of the base anew."
        )
    return view._path[len(start) :]


def gradient_edge(tensor: Any) -> Edge | None:
    """Where the gradient of `tensor` goes: the function that made it, the leaf itself, or nowhere.

    A view whose storage has been written to since is a view of the base's new value, so its
    function is made again (PyTorch does the same).
    """
    base = tensor._base
    if base is not None:
        version = tensor._storage.version
        if tensor._edge_version != version:
            tensor._edge_version = version
            if base._requires_grad:
                with enable_grad():
                    edge = base._through(path_from(base, tensor))._edge
                set_history(tensor, edge, True)
    if tensor._edge is not None:
        return tensor._edge
    return (tensor, 0) if tensor._requires_grad else None


def set_history(tensor: Any, edge: Edge | None, requires_grad: bool) -> None:
    """Have `edge` be what made `tensor`; if it keeps its gradient, that is asked for there."""
    before = tensor._edge
    tensor._edge, tensor._requires_grad = edge, requires_grad
    if before is None or edge is None or before is edge:
        return
    retained = before[0]._retained
    if retained and before[1] in retained and retained[before[1]]() is tensor:
        function = edge[0]
        function._retained = function._retained or {}
        function._retained[edge[1]] = retained.pop(before[1])
