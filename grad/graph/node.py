"""Graph values and the functions that make them.

A `Node` is one value: an operation of `primitives.py`, its sources, its shape and element type.
Nodes change in one step only: when a value has been computed, its buffer is set and its sources are
dropped (`realized`). Shapes and types are checked here; values come later, from `grad/engine`.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from grad.dtype import DType, dtypes
from grad.errors import BroadcastError, DTypeError, ShapeError
from grad.graph.movement import Move, Shape, bounded, moved_shape, path_layout
from grad.graph.primitives import (
    ARGUMENT,
    AS_STRIDED,
    BARRIER,
    BITCAST,
    BUFFER,
    CAST,
    CONST,
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    EXPAND,
    IOTA,
    PAD,
    PERMUTE,
    RESHAPE,
    SCAN,
    SCATTER,
    SLICE,
    TAKE,
    UPDATE,
    Primitive,
    Rule,
)
from grad.graph.windows import Windows, convolved_shape, weight_shape

if TYPE_CHECKING:
    from grad.buffer import Buffer
    from grad.graph.template import Template

# A value further than this from computed ones is computed when a tensor is made of it.
PENDING_LIMIT = 4000


class Node:
    """One value of the graph.

    Attributes:
        op: the primitive. src: source nodes. arg: what the primitive needs besides (see its row).
        shape: sizes. dtype: element type.
        buffer: the computed values in row-major order, once there are any.
        depth: longest way to a computed value. Memory that others may write to is as deep as
            `PENDING_LIMIT`: what is computed of it is computed at once.
        origin: the template of everything below, and its sources, if they are in memory.
    """

    __slots__ = ("__weakref__", "arg", "buffer", "depth", "dtype", "op", "origin", "shape", "src")

    op: Primitive
    src: tuple[Node, ...]
    arg: Any
    shape: Shape
    dtype: DType
    buffer: Buffer | None
    depth: int
    origin: tuple[Template, tuple[Node, ...]] | None

    def __init__(
        self, op: Primitive, src: tuple[Node, ...], arg: Any, shape: Shape, dtype: DType
    ) -> None:
        self.op = op
        self.src = src
        self.arg = arg
        self.shape = shape
        self.dtype = dtype
        self.buffer = self.origin = None
        depth = 0
        for node in src:
            if node.depth > depth:
                depth = node.depth
        self.depth = depth + 1

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_realized(self) -> bool:
        return self.buffer is not None

    def realized(self, buffer: Buffer) -> None:
        """The one step a node takes: its values are in `buffer`, its history is dropped."""
        self.buffer = buffer
        self.op = BUFFER
        self.arg = None
        self.src = ()
        self.origin = None
        self.depth = 0

    def __repr__(self) -> str:
        return f"Node({self.op.name}, {self.shape}, {self.dtype.name}, arg={self.arg!r})"


def postorder(roots: Iterable[Node], ends: Container[Node] = ()) -> Iterator[Node]:
    """Yield each node once, after its sources; nothing below `ends`. Depth is bounded by memory."""
    seen: set[Node] = set()
    stack = [(node, False) for node in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node not in ends:
                stack.extend((source, False) for source in reversed(node.src) if source not in seen)


# -- leaves ----------------------------------------------------------------------------------------
def from_buffer(buffer: Buffer, shape: Shape, dtype: DType) -> Node:
    """A value that is there already, in row-major order."""
    node = Node(BUFFER, (), None, tuple(shape), dtype)
    node.buffer = buffer
    node.depth = 0
    return node


def constant(value: float | int | bool, dtype: DType) -> Node:
    """A number that is part of the code; shape (), broadcasts to anything."""
    return Node(CONST, (), value, (), dtype)


def argument(value: float | int | bool, dtype: DType) -> Node:
    """A number handed over at each run, such as a learning rate: changing it compiles nothing."""
    return Node(ARGUMENT, (), value, (), dtype)


def iota(size: int, dtype: DType = dtypes.int64) -> Node:
    """0, 1, ... size - 1."""
    return Node(IOTA, (), None, bounded("iota", (size,)), dtype)


# -- pointwise -------------------------------------------------------------------------------------
def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The shape that all `shapes` broadcast to; raises BroadcastError naming the axis that does not
    fit.
    """
    first = shapes[0]
    for shape in shapes[1:]:
        if shape != first:
            break
    else:
        return first
    rank = max(len(shape) for shape in shapes)
    result = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size != 1:
                if result[axis] not in (1, size):
                    given = " and ".join(str(s) for s in shapes)
                    raise BroadcastError(
                        f"{name}: shapes {given} do not broadcast: sizes {result[axis]} and {size} "
                        f"meet at axis {axis - rank} (counted from the end). "
                        f"Use x.unsqueeze(...) or x.reshape(...) to line them up."
                    )
                result[axis] = size
    return bounded(name, tuple(result))


def pointwise(op: Primitive, *src: Node, dtype: DType | None = None) -> Node:
    """`op` applied to each element of the operands, broadcast against each other.

    Operands must already have equal element types (`WHERE`: all but the first); see `cast`.
    """
    first = src[0]
    if len(src) == 1:
        return Node(op, src, None, first.shape, dtype or first.dtype)
    shape = first.shape
    for node in src:
        other = node.shape
        if other != shape and other:  # scalars go with anything, and are common
            shape = broadcast_shapes(op.name, *[n.shape for n in src]) if shape else other
    rule = op.rule
    value = src[-1].dtype
    for node in src[1:-1] if rule is Rule.SELECT else src[:-1]:
        if node.dtype is not value:
            raise DTypeError(
                f"{op.name}: operands are {', '.join(n.dtype.name for n in src)}; cast them to one"
            )
    return Node(op, src, None, shape, dtypes.bool if rule is Rule.BOOL else value)


def cast(node: Node, dtype: DType) -> Node:
    """`node` converted to `dtype` (itself if it has that type). A constant is converted at once."""
    if node.dtype is dtype:
        return node
    if (
        node.op is CONST
        and dtype.kind == "f"
        and float(node.dtype.numpy.type(node.arg)) == node.arg
    ):
        return Node(CONST, (), node.arg, (), dtype)
    return Node(CAST, (node,), None, node.shape, dtype)


def bitcast(node: Node, dtype: DType) -> Node:
    """The same bits read as `dtype`, of equal size."""
    if node.dtype.itemsize != dtype.itemsize:
        raise DTypeError(
            f"bitcast: {node.dtype.name} and {dtype.name} differ in size; use .to({dtype.name})."
        )
    return Node(BITCAST, (node,), None, node.shape, dtype)


# -- reductions and named operations ---------------------------------------------------------------
def reduce(op: Primitive, node: Node, axes: Sequence[int]) -> Node:
    """`op` over the (non-negative, distinct) `axes`, which disappear from the shape."""
    chosen = tuple(sorted(axes))
    if not chosen:
        return node
    shape = tuple(size for axis, size in enumerate(node.shape) if axis not in chosen)
    return Node(op, (node,), chosen, shape, node.dtype)


def contract(a: Node, b: Node) -> Node:
    """Matrix product of ``(..., m, k)`` and ``(..., k, n)`` with equal leading axes and types."""
    if a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"contract: {a.shape} and {b.shape} do not fit; needs (..., m, k) and (..., k, n)."
        )
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"contract: operands are {a.dtype.name} and {b.dtype.name}; cast them to one."
        )
    if a.dtype not in (dtypes.float32, dtypes.float64, dtypes.int32, dtypes.int64):
        raise DTypeError(
            f"contract: operands are {a.dtype.name}; cast them to float32, float64, int32 or int64."
        )
    shape = bounded("contract", (*a.shape[:-1], b.shape[-1]))
    return Node(CONTRACT, (a, b), None, shape, a.dtype)


def convolve(image: Node, weight: Node, windows: Windows) -> Node:
    """Convolution (cross-correlation) of ``(n, g * c, *s)`` with ``(g * o, c, *k)``.

    Gives ``(n, g * o, *out)``, where ``out = windows.shape(s, k)``. One, two or three spatial axes.
    """
    shape = convolved_shape(image.shape, weight.shape, windows)
    return Node(CONVOLVE, (image, weight), windows, shape, _convolved("convolve", image, weight))


def convolve_weight(
    image: Node, gradient: Node, windows: Windows, kernel_sizes: Sequence[int]
) -> Node:
    """The gradient of the weight of ``convolve(image, weight, windows)``, given the output's.

    `gradient` is ``(n, g * o, *out)``; gives ``(g * o, c, *kernel_sizes)``.
    """
    kernel = tuple(kernel_sizes)
    shape = weight_shape(image.shape, gradient.shape, windows, kernel)
    dtype = _convolved("convolve_weight", image, gradient)
    return Node(CONVOLVE_WEIGHT, (image, gradient), (windows, kernel), shape, dtype)


def _convolved(name: str, image: Node, other: Node) -> DType:
    dtype = image.dtype
    if dtype is not other.dtype or dtype not in (dtypes.float32, dtypes.float64):
        raise DTypeError(
            f"{name}: operands are {dtype.name} and {other.dtype.name}; cast both to float32 or "
            f"both to float64."
        )
    return dtype


def take(source: Node, axes: Sequence[int], indices: Sequence[Node]) -> Node:
    """``out[i] = source[j]``; ``j`` is ``i`` with axis ``axes[n]`` replaced by ``indices[n][i]``.

    All indices have the shape of the result, an integer type, and values inside the axis (the
    caller has seen to it). Axes that are not replaced have the size they have in the source, or the
    source's is 1.
    """
    return Node(TAKE, (source, *indices), tuple(axes), indices[0].shape, source.dtype)


def scatter(
    mode: str, base: Node, values: Node, axes: Sequence[int], indices: Sequence[Node]
) -> Node:
    """`base` with ``values[i]`` written ("set") or added ("add", also "prod", "amax", "amin") at
    ``j``.

    ``j`` is ``i`` with axis ``axes[n]`` replaced by ``indices[n][i]``. Later elements come after
    earlier ones in row-major order, so that results are the same from run to run.
    """
    return Node(SCATTER, (base, values, *indices), (mode, tuple(axes)), base.shape, base.dtype)


def update(base: Node, value: Node, path: Sequence[Move]) -> Node:
    """`base` with what the view `path` shows replaced by `value` (of the view's shape).

    The view must be strided, as views of a storage are. Where it begins is an argument of the code,
    so that writing to one row after another compiles once.
    """
    layout = path_layout(base.shape, tuple(path))
    if layout is None:
        raise ShapeError(
            f"update: the view {tuple(path)} of {base.shape} has no strides; write to its base."
        )
    start = argument(layout.offset, dtypes.int64)
    return Node(
        UPDATE, (base, value, start), (layout.shape, layout.strides), base.shape, base.dtype
    )


def scan(op: Primitive, node: Node, axis: int, backwards: bool = False) -> Node:
    """Running ``op`` (ADD, MUL, MAXIMUM, MINIMUM) along `axis`, from the end if `backwards`."""
    return Node(SCAN, (node,), (op, axis, backwards), node.shape, node.dtype)


def contiguous(node: Node) -> Node:
    """The same values, stored: a border that no kernel reaches across."""
    return Node(CONTIGUOUS, (node,), None, node.shape, node.dtype)


def barrier(node: Node, after: Sequence[Node]) -> Node:
    """`node`, for nobody to read before `after` have been computed; itself if they all have been.

    What is computed of it is never merged with what is computed of `node`: recomputation.
    """
    pending = tuple([other for other in after if other.buffer is None])
    return Node(BARRIER, (node, *pending), None, node.shape, node.dtype) if pending else node


# -- movement --------------------------------------------------------------------------------------
def move(node: Node, step: Move) -> Node:
    """`node` seen through one movement."""
    return Node(step.primitive, (node,), step.arg, moved_shape(node.shape, step), node.dtype)


def follow(node: Node, path: Iterable[Move]) -> Node:
    """`node` seen through a whole path."""
    for step in path:
        node = move(node, step)
    return node


def reshape(node: Node, shape: Shape) -> Node:
    if shape == node.shape:
        return node
    if math.prod(shape) != node.size:
        raise ShapeError(
            f"reshape: {node.shape} has {node.size} elements, {shape} has {math.prod(shape)}; "
            f"the product of the sizes must stay the same (-1 stands for one size to work out)."
        )
    return Node(RESHAPE, (node,), plain := tuple(shape), plain, node.dtype)  # no Size


def permute(node: Node, order: Sequence[int]) -> Node:
    order = tuple(order)
    if order == tuple(range(len(order))):
        return node
    return move(node, Move(PERMUTE, order))


def expand(node: Node, shape: Shape) -> Node:
    """Repeat axes of size 1, and add axes in front."""
    if shape == node.shape:
        return node
    new = len(shape) - len(node.shape)
    if new < 0 or any(s not in (1, shape[new + i]) for i, s in enumerate(node.shape)):
        raise BroadcastError(
            f"expand: {node.shape} does not expand to {shape}; only axes of size 1 repeat, "
            f"and new axes come in front. Use x.unsqueeze(...) or x.repeat(...)."
        )
    return move(node, Move(EXPAND, tuple(shape)))


def slice_axes(node: Node, ranges: Sequence[tuple[int, int, int]]) -> Node:
    """``(start, step, size)`` for each axis; every index in between lies inside the axis."""
    if all(r == (0, 1, size) for r, size in zip(ranges, node.shape, strict=True)):
        return node
    return move(node, Move(SLICE, tuple(ranges)))


def pad(node: Node, amounts: Sequence[tuple[int, int]]) -> Node:
    """Zeros ``(before, after)`` on each axis."""
    if all(amount == (0, 0) for amount in amounts):
        return node
    return move(node, Move(PAD, tuple(amounts)))


def as_strided(node: Node, shape: Shape, strides: tuple[int, ...], offset: int) -> Node:
    """Any strided view of a one-dimensional value (how foreign memory comes in)."""
    return move(node, Move(AS_STRIDED, (shape, strides, offset)))
