"""`Undo`: what a step has changed, to be taken back if its plan cannot be computed.

A step writes all its new values, and then has them computed together with the gradients (rule.py).
That may need more memory than there is. The values before are referred to weakly: whoever holds
them keeps the plan from storing the new ones in their memory (docs/design/033). What is pending is
made of them, so they are there as long as they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import Any
from weakref import ref

from grad.graph.node import Node
from grad.optim.saving import State
from grad.tensor import Tensor


class Undo:
    """What one step has changed so far."""

    __slots__ = ("_actions", "_targets", "_values")

    def __init__(self) -> None:
        self._actions: list[Callable[[], Any]] = []
        self._targets: list[Tensor] = []
        self._values: list[ref[Node]] = []

    def done(self, action: Callable[[], Any]) -> None:
        """Something was done that `action` takes back."""
        self._actions.append(action)

    def values(self, targets: Sequence[Tensor], nodes: Sequence[Node]) -> None:
        """The storages of `targets`, which hold `nodes`, are about to be written."""
        self._targets += targets
        self._values += map(ref, nodes)

    def state(self, states: MutableMapping[Tensor, State], parameter: Tensor) -> None:
        """Pieces of the state of `parameter` are about to be made."""
        self.done(partial(_set_state, states, parameter, states.get(parameter)))

    def contents(self, state: State) -> None:
        """Other tensors may become the pieces of `state`."""
        self.done(partial(_set_contents, state, dict(state)))

    def take_back(self) -> None:
        """All is as it was before the step."""
        for target, value in zip(self._targets, self._values, strict=True):
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
