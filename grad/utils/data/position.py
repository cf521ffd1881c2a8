"""Where a `DataLoader` is in its pass over the data, so that a stopped run can go on from there.

A pass is known by the state of all random numbers as it begins, and the count of batches that have
been handed out. To take it up again, the order is drawn once more from that state and the batches
that were handed out are passed over: of a dataset with numbers, their samples are not read. Then
the random numbers go on from where they were when the state was saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.engine.recording import recording
from grad.io.random_state import get_random_state, set_random_state


class Position:
    """Counts the batches of one loader. The pass that began last is the one that counts.

    Args:
        generator: what decides the order, if not the default generator.
    """

    def __init__(self, generator: Any = None) -> None:
        self._generator = generator
        self._batches = 0
        self._start: dict[str, Any] | None = None
        self._resumed = False
        self._counted: Any = None

    def begin(self, of: Any, start: Callable[[int], Any]) -> None:
        """Begin the pass `of` somebody by ``start(count)``, which draws the first of its order and
        passes over so many batches: some if a state has been loaded.
        """
        if recording.recorder is not None:
            # A pass inside a recorded function is part of it: replays do not come by here.
            start(0)
            return
        self._counted = of
        resumed, self._resumed = self._resumed, False
        if not resumed or self._start is None:
            self._batches, self._start = 0, get_random_state(self._generator)
            start(0)
            return
        now = get_random_state(self._generator)
        set_random_state(self._start, self._generator)
        start(self._batches)
        set_random_state(now, self._generator)

    def handed_out(self, of: Any) -> None:
        """The pass `of` somebody has given one more batch."""
        if self._counted is of:
            self._batches += 1

    def ended(self, of: Any) -> None:
        """The pass `of` somebody has no more batches."""
        if self._counted is of:
            self._batches, self._start, self._counted = 0, None, None

    def state_dict(self) -> dict[str, Any]:
        """The position as plain data; {"batches": 0, "start": None} between passes."""
        state: dict[str, Any] = {"batches": self._batches, "start": self._start}
        if self._generator is not None:
            state["generator"] = self._generator.get_state()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next pass go on from what `state_dict` gave."""
        if self._generator is not None:
            self._generator.set_state(state_dict["generator"])
        self._batches, self._start = state_dict["batches"], state_dict["start"]
        self._resumed, self._counted = True, None
