"""Where gradients end up: in the `.grad` of leaves, after their hooks.

engine.py brings them here, as tensors or as nodes of the graph, of which tensors are made where
somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.engine.recording import recording
from grad.graph.node import Node


def tensor_of(gradient: Any) -> Any:
    """A gradient that arrived, as a tensor."""
    return Variable._wrap(gradient) if isinstance(gradient, Node) else gradient


def through_hooks(hooks: dict[int, Callable[..., Any]], gradient: Any) -> Any:
    if gradient is None:
        return None
    for hook in list(hooks.values()):
        replaced = hook(gradient)
        if replaced is not None:
            gradient = replaced
    return gradient


def finish_leaf(leaf: Any, gradient: Any, captured: dict[Edge, Any], create_graph: bool) -> None:
    hooks = leaf._hooks or {}
    if hooks or captured:
        gradient = through_hooks(hooks.get("tensor", {}), tensor_of(gradient))
    if captured:
        if (leaf, 0) in captured:
            captured[leaf, 0] = gradient
        return
    store(leaf, gradient, create_graph)


def store(leaf: Any, gradient: Any, create_graph: bool) -> None:
    """Add `gradient` to the `.grad` of a leaf, and call who wants to know of it."""
    accumulate(leaf, gradient, create_graph)
    for hook in list((leaf._hooks or {}).get("accumulated", {}).values()):
        hook(leaf)


def accumulate(tensor: Any, gradient: Any, create_graph: bool) -> None:
    """Add `gradient`, a tensor or a node, to ``tensor.grad``, in place where there is one already,
    as PyTorch does.
    """
    if recording.changes is not None:
        recording.changes.gradient_set(tensor)
    held = tensor._grad
    if held is None and isinstance(gradient, Node):
        tensor._grad = Variable._wrap(gradient)
        return
    gradient = tensor_of(gradient)
    if held is None:
        # A handle of its own, since functions may hand one gradient to several tensors.
        own = Variable._wrap(gradient.node)
        if create_graph and gradient._needs_grad:
            own._edge, own._requires_grad = gradient_edge(gradient), True
        tensor._grad = own
    elif create_graph:
        tensor._grad = held + gradient
    else:
        held.add_(gradient)
