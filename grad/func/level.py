"""A level of differentiation: inputs of its own, whose gradient is nobody else's business.

A transform such as `grad` runs its function on new handles (`Level.enter`): leaves of the gradient
graph, or functions of tensors whose gradient is wanted outside as well. What it gives back
(`Level.leave`) requires a gradient only if it leads to something outside of the level. So
transforms nest, and tensors that a function reads besides its arguments keep their gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from grad.autograd.engine import run
from grad.autograd.function import Context, Function
from grad.autograd.modes import enable_grad, mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.errors import ArgumentError, GradientError, InplaceError
from grad.graph.node import constant, expand


class Entering(Function):
    """The argument of a function that is being differentiated."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return x._wrap(x.node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad


class Mark:
    """What leaves and functions of the gradient graph have that belong to one level alone.

    Attributes:
        running: whether the function of the level is: to levels inside, they are outside.
    """

    __slots__ = ("running",)

    def __init__(self) -> None:
        self.running = False


class Level:
    """Tensors that were entered, and what must not show outside.

    Attributes:
        mark: of what belongs to the level. entered: its inputs.
        recorded: whether what is around the level is.
    """

    def __init__(self) -> None:
        self.mark = Mark()
        self.entered: list[Any] = []
        self.recorded = mode.enabled

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the function of the level runs, and is recorded."""
        self.mark.running = True
        mode.levels += 1
        try:
            with enable_grad():
                yield
        finally:
            mode.levels -= 1
            self.mark.running = False
        if any(x._storage.version for x in self.entered):
            raise InplaceError(
                "a tensor that the function is differentiated by has been written to in place. "
                "Write x = x.clone() in the function first."
            )

    def keep(self, target: Any) -> None:
        """`target`, a leaf or a function, belongs to this level alone."""
        target._level = self.mark

    def enter(self, x: Any) -> Any:
        """A handle on the value of `x` for this level."""
        if not isinstance(x, Variable):
            raise ArgumentError(f"Thing passed to transform API must be Tensor, got {type(x)}")
        if x.dtype.kind != "f":
            raise GradientError(
                f"only Tensors of floating point dtype can require gradients, this one is "
                f"{x.dtype.name}; use x.float() first."
            )
        if self.recorded and x._needs_grad:
            with enable_grad():
                inner = Entering.apply(x)
        else:
            inner = Variable._wrap(x.node)
            inner._requires_grad = True
            self.keep(inner)
        self.entered.append(inner)
        return inner

    def leads_outside(self, tensors: Iterable[Any]) -> bool:
        """Whether one of `tensors` has a gradient for something outside of the level."""
        stack = [edge[0] for edge in map(gradient_edge, tensors) if edge is not None]
        seen: set[Any] = set()
        while stack:
            target = stack.pop()
            mark = getattr(target, "_level", None)
            if target in seen or (mark and (mark is self.mark or not mark.running)):
                continue
            seen.add(target)
            if isinstance(target, Variable) or not target.edges:
                return True
            stack.extend(edge[0] for edge in target.edges if edge is not None)
        return False

    def leave(self, x: Any) -> Any:
        """`x`, a result of the level, as it shows outside."""
        if not isinstance(x, Variable) or not x._needs_grad:
            return x
        return x if mode.enabled and self.leads_outside([x]) else x.detach()

    def gradients(self, roots: Sequence[tuple[Any, Any]], inputs: Sequence[Any]) -> list[Any]:
        """The gradients of `inputs`, those that were entered, as they show outside.

        Args:
            roots: pairs of a tensor and the gradient that arrives there (None: 1).
        """
        starts: list[tuple[Edge, Any]] = []
        for tensor, seed in roots:
            edge = gradient_edge(tensor)
            if edge is not None:
                starts.append((edge, filled(tensor, 1) if seed is None else seed))
        edges = [gradient_edge(x) for x in inputs]
        create_graph = mode.enabled and (
            any(seed is not None and seed._needs_grad for _, seed in roots)
            or self.leads_outside([tensor for tensor, _ in roots])
        )
        found = run(starts, True, create_graph, dict.fromkeys(edges))  # type: ignore[arg-type]
        return [
            filled(x, 0) if found[edge] is None else self.leave(found[edge])  # type: ignore[index]
            for x, edge in zip(inputs, edges)
        ]


def filled(like: Any, value: float) -> Any:
    """A tensor of the shape and type of `like` that holds `value` everywhere."""
    return Variable._wrap(expand(constant(value, like.dtype), tuple(like.shape)))
