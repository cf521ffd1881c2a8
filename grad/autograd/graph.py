"""What a recorded call keeps for its backward, and hooks that keep something else instead.

What is saved are graph nodes, which never change. `function.py` packs the tensors that a `forward`
saved with `packed` and gives them to the `backward` with `unpacked`. Under `saved_tensors_hooks`
the first hook is given each tensor and what it returns is kept; the second makes the tensor of that
when it is needed: on disk, say, or computed again (`grad/utils/checkpoint.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from grad.autograd.modes import mode
from grad.autograd.variable import Edge, Variable
from grad.errors import GradientError, a_kind_of
from grad.graph.node import Node


class Saved(NamedTuple):
    """One saved tensor: its value then, and where its gradient goes.

    Attributes:
        tensor: the object itself, given back while it has not been written to; None for an output
            of the function, which would otherwise keep itself alive.
        node: the value. version: of the storage; for an output, its number.
        edge: the edge of `tensor`. requires_grad: whether it required a gradient.
    """

    tensor: Any
    node: Node
    version: int
    edge: Edge | None
    requires_grad: bool


class Hooked(NamedTuple):
    """One saved tensor that a hook packed.

    Attributes:
        value: what the hook returned. unpack: the hook that makes the tensor of it.
        output: number of the output of the function that it is, or -1.
        edge, requires_grad: as in `Saved`.
    """

    value: Any
    unpack: Callable[[Any], Any]
    output: int
    edge: Edge | None
    requires_grad: bool


# A named tuple without the detour by its Python constructor.
_new_tuple = tuple.__new__


def packed(value: Any, outputs: tuple[Any, ...]) -> Any:
    """What is kept of `value`; `outputs` are those of the function that saves it."""
    if not isinstance(value, Variable):
        return value
    storage = value._storage
    node = value.node if value._path else storage.node
    for index, output in enumerate(outputs):
        if value is output:
            return _new_tuple(Saved, (None, node, index, None, value._requires_grad))
    needs_grad = value._requires_grad or value._needs_grad
    return _new_tuple(Saved, (value, node, storage.version, value._edge, needs_grad))


def packed_by_hook(value: Any, outputs: tuple[Any, ...]) -> Any:
    """As `packed`, with the hooks of the innermost `saved_tensors_hooks`."""
    saved = packed(value, outputs)
    if saved.__class__ is not Saved:
        return saved
    hooks = mode.saved_hooks
    assert hooks is not None
    tensor, node, version, edge, requires_grad = saved
    if edge is None and requires_grad and tensor is not None:
        edge = (tensor, 0)
    output = version if tensor is None else -1
    pack, unpack = hooks
    given = Variable._wrap(node) if tensor is None else tensor
    return Hooked(pack(given), unpack, output, edge, requires_grad)


def unpacked(entry: Any, context: Any) -> Any:
    """The tensor (or what else it was) that `packed` or `packed_by_hook` made `entry` of."""
    kind = entry.__class__
    if kind is Saved:
        tensor, node, version, edge, requires_grad = entry
        if tensor is None:
            edge = (context, version)
        elif tensor._storage.version == version and tensor._edge is edge:
            return tensor
        elif edge is None and requires_grad:
            edge = (tensor, 0)
    elif kind is Hooked:
        value, unpack, output, edge, requires_grad = entry
        found = unpack(value)
        if not isinstance(found, Variable):
            raise GradientError(
                f"saved_tensors_hooks: unpack_hook returned {a_kind_of(found)}; it must "
                f"return the tensor that pack_hook was given, or one equal to it."
            )
        node = found.node
        if output >= 0:
            edge = (context, output)
    else:
        return entry
    restored = Variable._wrap(node)
    if requires_grad:
        restored._edge, restored._requires_grad = edge, True
    return restored


class saved_tensors_hooks:
    """Inside, tensors that are saved for backward are kept by hooks, as in PyTorch.

    Args:
        pack_hook: called with each tensor that is saved; what it returns is kept.
        unpack_hook: called with that when a backward needs the tensor, and returns it (or an equal
            one). Once each time it is needed.

    Of nested ones the innermost counts.

    Example:
        >>> with saved_tensors_hooks(lambda x: x.numpy(), grad.from_numpy):
        ...     y = x * x
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.hooks = (pack_hook, unpack_hook)
        self._before: list[Any] = []

    def __enter__(self) -> None:
        self._before.append(mode.saved_hooks)
        mode.saved_hooks = self.hooks

    def __exit__(self, *exception: Any) -> None:
        mode.saved_hooks = self._before.pop()
