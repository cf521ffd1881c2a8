"""Whether this thread's computation is being recorded, and by whom.

`grad.compile` runs a function once under a `Recorder` and replays what it recorded. The few places
whose numbers are not values of the graph ask here: random keys and an optimiser's numbers say how
they are made anew at each replay, index checks leave a check behind, and whoever asks for a value
is told that there is none yet. The recorder itself is in `grad/compile`; below it only this
interface is known. So is that of `Changes`, who takes back what a call has changed that ran out of
memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from grad.graph.node import Node

Number = Callable[[], Any]


class Recorder:
    """What a recorder can be told. The methods of this base stand for "nothing is recorded".

    Attributes:
        stands_in: the values that operations are given may be stand-ins (grad/func/standing.py).
    """

    stands_in: ClassVar[bool] = False

    def value_wanted(self, nodes: Sequence[Node]) -> None:
        """Somebody asks for values, which a recorded function cannot depend on."""

    def again(self, effect: Callable[[], Any], undo: Callable[[], Any] | None = None) -> None:
        """`effect` has just been done, and is to be done at each replay as well. `undo` takes it
        back when an index turns out to be outside.
        """

    def argument(
        self,
        node: Node,
        number: Number,
        *,
        counts: bool = False,
        undo: Callable[[], Any] | None = None,
    ) -> None:
        """`number()` gives the value of the argument `node` at each replay.

        With `counts` it must be called once a replay, whether the value is used or not. `undo`
        takes the last call back when an index that came before it turns out to be outside.
        """

    def afterwards(self, action: Callable[[Sequence[Any]], None], nodes: Sequence[Node]) -> None:
        """`action` is to be called with the numbers `nodes` once they are computed, now and at each
        replay, in the order of these calls.
        """

    def bounded(self, node: Node, low: int, high: int, error: Callable[[int], Exception]) -> Node:
        """The integers of `node`, held to ``low <= i < high``; a replay raises `error` of the
        first found outside.
        """
        return node

    def linked(self, function: Any) -> None:
        """A function of the gradient graph has been made."""

    def goes_back(self, target: Any) -> None:
        """A backward pass is about to go through a function of the gradient graph; or hooks of its
        results, or of a leaf, are called or registered.
        """

    def history_changed(self, tensor: Any) -> None:
        """An operation in place has changed where the gradient of `tensor` goes."""

    def shape_changed(self, tensor: Any) -> None:
        """An operation in place is about to change the shape of `tensor`, not its memory."""

    def placed(self, tensor: Any) -> None:
        """Somebody asks where in its memory `tensor` begins."""

    def described(self, tensor: Any, what: str) -> None:
        """Somebody asks of `tensor` what may be something else at each call: `what`."""

    def stored(self, storage: Any, node: Node) -> None:
        """An operation in place is about to have `storage` hold `node`."""

    def give_up(self, reason: str) -> None:
        """What follows cannot be repeated: finish this call, record nothing."""


class Changes(Protocol):
    """Who remembers how things were before a call (compile/changes.py)."""

    def written(self, storage: Any, before: Node) -> None:
        """`storage`, which holds `before`, is about to hold something else."""

    def gradient_set(self, tensor: Any) -> None:
        """The `.grad` of `tensor` is about to be set."""

    def history_changed(self, tensor: Any) -> None:
        """An operation in place is about to change where the gradient of `tensor` goes."""

    def done(self, undo: Callable[[], Any]) -> None:
        """Something has been done that `undo` takes back."""


class Recording(threading.local):
    """The recorder of each thread, and who remembers what it changes, if it has them."""

    recorder: Recorder | None = None
    changes: Changes | None = None


recording = Recording()


def tell_of_hooks(target: Any) -> None:
    """Hooks of a leaf, or of (the results of) a function of the gradient graph, are registered."""
    if recording.recorder is not None:
        recording.recorder.goes_back(target)


def tell_of_place(tensor: Any) -> None:
    """Where in its memory `tensor` begins is asked for."""
    if recording.recorder is not None:
        recording.recorder.placed(tensor)


def tell_of_description(tensor: Any, what: str) -> None:
    """`what` is asked of `tensor`, and is neither a value nor part of the kind of a call."""
    if recording.recorder is not None:
        recording.recorder.described(tensor, what)
