"""`Undo`: what a step has changed, to be taken back if its plan cannot be computed.

A step writes all its new values, and then has them computed together with the gradients (rule.py).
That may need more memory than there is. The values before are referred to weakly: whoever holds
them keeps the plan from storing the new ones in their memory (docs/design/033). What is pending is
made of them, so they are there as long as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any
from weakref import ref

from grad.graph.node import Node
from grad.optim.saving import State
from grad.tensor import Tensor


class Undo:
    """What one step has changed so far.

    Attributes:
        targets: tensors whose storages are written. nodes: what these held, until `let_go`.
    """

    __slots__ = ("_actions", "_values", "nodes", "targets")

    def __init__(self) -> None:
        self._actions: list[Callable[[], Any]] = []
        self._values: list[ref[Node]] = []
        self.targets: list[Tensor] = []
        self.nodes: list[Node] = []

    def done(self, action: Callable[[], Any]) -> None:
        """Something was done that `action` takes back."""
        self._actions.append(action)

    def let_go(self) -> None:
        """All has been written, and is about to be computed."""
        self._values += map(ref, self.nodes)
        self.nodes.clear()

    def state(self, states: MutableMapping[Tensor, State], parameter: Tensor) -> None:
        """Pieces of the state of `parameter` are about to be made."""
        self.done(partial(_set_state, states, parameter, states.get(parameter)))

    def contents(self, state: State) -> None:
        """Other tensors may become the pieces of `state`."""
        self.done(partial(_set_contents, state, dict(state)))

    def take_back(self) -> None:
        """All is as it was before the step."""
        self.let_go()
        for target, value in zip(self.targets, self._values, strict=True):
            node, storage = value(), target._storage
            if node is not None and node is not storage.node:
                storage.write(node)
        self.take_back_numbers()

    def take_back_numbers(self) -> None:
        """All but values is as it was."""
        for action in reversed(self._actions):
            action()


def _set_state(
    states: MutableMapping[Tensor, State], parameter: Tensor, state: State | None
) -> None:
    if state is None:
        states.pop(parameter, None)
    else:
        states[parameter] = state


def _set_contents(state: State, before: State) -> None:
    state.clear()
    state.update(before)
