"""Writing to tensors: the one way in which a value changes.

`write` replaces what a tensor shows by a new value: it points the storage at a new node and gives
the tensor (or, for a view, its base) a new history, as PyTorch's copy-on-write graph does. Every
in-place form (``x.add_(y)``, ``x += y``, ``x[i] = v``) computes a value without writing, then calls
`write`; see `inplace_form`. What autograd forbids is refused in `check_writable`, before anything
has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.autograd.function import Context, Function
from grad.autograd.modes import mode
from grad.autograd.remembered import remembered
from grad.autograd.variable import Variable, gradient_edge, path_from, set_history
from grad.engine import bound, realize
from grad.engine.recording import recording
from grad.errors import BroadcastError, DTypeError, InplaceError, ShapeError
from grad.graph.movement import Move
from grad.graph.node import PENDING_LIMIT, Node, cast, constant, expand, update
from grad.graph.primitives import AFFINE
from grad.graph.storage import Storage, write_through
from grad.ops.promotion import element
from grad.ops.registry import ALL, Op, op

Path = tuple[Move, ...]


class Update(Function):
    """`base` with what its view through `path` shows replaced by `value`."""

    @staticmethod
    def forward(ctx: Context, base: Any, value: Any, path: Path) -> Any:
        ctx.path = path
        return base._wrap(update(base.node, value.node, path))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        needs_base, needs_value, _ = ctx.needs_input_grad
        value = grad._through(ctx.path) if needs_value else None
        if not needs_base:
            return None, value, None
        shown = grad._through(ctx.path).shape
        nothing = grad._wrap(expand(constant(0, grad.dtype), shown))
        return Update.apply(grad, nothing, ctx.path), value, None


def check_writable(name: str, target: Any) -> None:
    """Raise InplaceError where a write to `target` is refused."""
    for size, stride in zip(target.memory_layout.shape, target.memory_layout.strides):
        if stride == 0 and size > 1 and 0 not in target._shape:
            raise InplaceError(
                f"{name}: more than one element of the tensor (shape {target._shape}, strides "
                f"{target.memory_layout.strides}) is at one place in memory. Use x.clone() first."
            )
    if not mode.enabled:
        return
    base = target._base
    if base is None:
        if target._requires_grad and target._edge is None:
            raise InplaceError(
                f"{name}: a leaf tensor that requires grad cannot be written to in place. Write "
                f"x = x.{name.rstrip('_')}(...), or write under `with grad.no_grad():`."
            )
    elif base._requires_grad:
        if base._edge is None:
            raise InplaceError(
                f"{name}: a view of a leaf tensor that requires grad cannot be written to in "
                "place. Write under `with grad.no_grad():`, or to a clone of the leaf."
            )
        if target._edge is None and target._edge_version == target._storage.version:
            raise InplaceError(
                f"{name}: this view was made under no_grad and is written to with recording on. Do "
                f"both inside no_grad, or both outside."
            )


def fitting(name: str, target: Any, value: Any) -> Any:
    """`value` cast and broadcast to `target`, which never changes its own shape or type."""
    if value.dtype is not target.dtype:
        if value.dtype.priority > target.dtype.priority:
            raise DTypeError(
                f"{name}: the result is {value.dtype.name} and cannot be stored in a tensor of "
                f"{target.dtype.name}. Use x = x.{name.rstrip('_')}(...), or convert x first."
            )
        value = value.to(target.dtype)
    return fitted_shape(name, target, value)


def fitted_shape(name: str, target: Any, value: Any) -> Any:
    if value._shape == target._shape:
        return value
    new = len(target._shape) - len(value._shape)
    if new < 0 or any(s not in (1, target._shape[new + i]) for i, s in enumerate(value._shape)):
        raise BroadcastError(
            f"{name}: a value of shape {value._shape} does not fit a tensor of shape "
            f"{target._shape}; the value broadcasts to the tensor, never the tensor to the value."
        )
    return value.expand(target._shape)


def write(target: Any, value: Any) -> None:
    """Make `target` show `value`, a tensor of its shape and type that does not depend on the write.

    The caller has called `check_writable`.
    """
    storage, base, path = target._storage, target._base, target._path
    recorded = mode.enabled and (value._needs_grad or target._needs_grad)
    history = None
    if recorded and base is not None:
        # In terms of the base, whose history this is; a view remakes its own when asked.
        history = Update.apply(base, value, path_from(base, target))
    elif recorded:
        history = value
    store(storage, update(storage.node, value.node, path) if path else value.node)
    if history is not None:
        owner = target if base is None else base
        if recording.recorder is not None:
            recording.recorder.history_changed(owner)
        elif recording.changes is not None:
            recording.changes.history_changed(owner)
        edge = gradient_edge(history)
        set_history(owner, edge, edge is not None)


def store(storage: Storage, after: Node) -> None:
    """Have `storage` hold `after`; where somebody outside sees its memory, the values go there."""
    before = storage.node
    if recording.recorder is not None:
        recording.recorder.stored(storage, after)
    if recording.changes is not None:
        recording.changes.written(storage, before)
    storage.write(after)
    if after.depth > PENDING_LIMIT:
        bound(after)
    if storage.shared is not None and not storage.shared.alive:
        storage.shared = None
    if storage.shared is not None:
        if recording.recorder is not None:
            recording.recorder.give_up("it writes to memory that is shared with NumPy or DLPack")
        try:
            realize((after,))
        except MemoryError:
            storage.write(before)  # which is what the memory still holds
            raise
        write_through(storage, before)


def inplace_form(row: Op, name: str, call: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The method `name` that computes `row` (by `call`, if given) and writes the result to its
    first operand.
    """
    call = call or row.call

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(name, self)
        write(self, fitting(name, self, call(self, *args, **kwargs)))
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{row.name}` in place."
    return method


@remembered
class Overwrite(Function):
    """The values of `value` with the history of a write to `target`, which gets no gradient."""

    @staticmethod
    def forward(ctx: Context, target: Any, value: Any) -> Any:
        node = expand(cast(value.node, target.dtype), target._shape)
        return target._wrap(node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        needs_target, needs_value = ctx.needs_input_grad
        nothing = grad._wrap(expand(constant(0, grad.dtype), grad._shape))
        return nothing if needs_target else None, grad if needs_value else None


def overwrite(name: str, target: Any, value: Any) -> None:
    """Write `value` (a tensor of any type, or a number) to all of `target`."""
    check_writable(name, target)
    if not isinstance(value, Variable):
        value = target._wrap(constant(element(name, value, target.dtype), target.dtype))
    fitted_shape(name, target, value)
    write(target, Overwrite.apply(target, value))


@op(method="copy_", function=False, dtypes=ALL, composite=True)
class CopyIn:
    """Write the values of `other`, broadcast and converted; returns `x`."""

    @staticmethod
    def forward(x: Any, other: Any, non_blocking: bool = False) -> Any:
        overwrite("copy_", x, other)
        return x


@op(method="fill_", function=False, dtypes=ALL, composite=True)
class FillIn:
    """Write one number everywhere; returns `x`."""

    @staticmethod
    def forward(x: Any, value: Any) -> Any:
        overwrite("fill_", x, value)
        return x


@op(function="fill", dtypes=ALL, composite=True)
class Fill:
    """A tensor like `x` with one number (or the 0-dimensional tensor `value`) everywhere."""

    @staticmethod
    def forward(x: Any, value: Any) -> Any:
        return FillIn.forward(x.clone(), value)


@op(method="fill_diagonal_", function=False, dtypes=ALL, composite=True)
class FillDiagonalIn:
    """Write one number to the main diagonal; returns `x`.

    With `wrap`, a tall matrix gets another diagonal below, and so on, each after an empty row. A
    tensor of more than 2 dimensions must have equal sizes.
    """

    @staticmethod
    def forward(x: Any, fill_value: Any, wrap: bool = False) -> Any:
        shape = x._shape
        if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
            raise ShapeError(
                f"fill_diagonal_: needs a matrix, or more dimensions of one size, got {shape}."
            )
        check_writable("fill_diagonal_", x)
        if 0 in shape:
            return x
        rows = shape[0] if wrap and len(shape) == 2 else min(shape)
        for start in range(0, rows, shape[-1] + 1):
            part = x.narrow(0, start, min(shape[-1], shape[0] - start))
            count = min(part._shape)
            steps = tuple((0, (1,)) for _ in shape)
            view = part._through((Move(AFFINE, ((count,), steps)),))
            overwrite("fill_diagonal_", view, fill_value)
        return x


@op(method="zero_", function=False, dtypes=ALL, composite=True)
class ZeroIn:
    """Write zeros everywhere; returns `x`."""

    @staticmethod
    def forward(x: Any) -> Any:
        overwrite("zero_", x, 0)
        return x
