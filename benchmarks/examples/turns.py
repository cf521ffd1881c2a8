"""A script's loop, told when to go on: after each round it may wait for the next request.

The script itself is not changed. Its loop is one that `progress` watches, or that a row drives; at
the end of each iteration it calls `Turns.step`, which notes the time and, when the turn is over,
answers and waits. So several processes, each in the middle of its training, take turns.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO


class Finished(BaseException):
    """Nobody asks any more: the script ends here. No script catches it."""


class Turns:
    """Requests come from `requests`, one JSON object a line, and are answered to `answers`.

    A request has "seconds", how long the turn is, and "least", the fewest iterations in it; the
    answer has "samples", the seconds of each iteration. `settle` is called after an iteration that
    ended a turn, before its answer.
    """

    def __init__(self, requests: TextIO, answers: TextIO, settle: Callable[[], None]) -> None:
        self._requests, self._answers, self._settle = requests, answers, settle
        self._samples: list[float] = []

    def wait(self) -> None:
        """Wait for a request; what follows is its turn.

        Raises:
            Finished: there will be none.
        """
        line = self._requests.readline()
        if not line:
            raise Finished
        request = json.loads(line)
        self._seconds, self._least = request["seconds"], request["least"]
        self._samples = []
        self._turn_began = self._began = time.perf_counter()

    def step(self) -> None:
        """An iteration is done."""
        now = time.perf_counter()
        self._samples.append(now - self._began)
        self._began = now
        if len(self._samples) >= self._least and now - self._turn_began >= self._seconds:
            self._settle()
            print(json.dumps({"samples": self._samples}), file=self._answers, flush=True)
            self.wait()

    def progress(self, items: Iterable[Any] = (), *_: Any, **__: Any) -> Watched:
        """In the place of `grad.utils.progress.progress`."""
        return Watched(items, self)


class Watched:
    """A loop of which each iteration, or each `update`, is a step. It shows nothing."""

    def __init__(self, items: Iterable[Any], turns: Turns) -> None:
        self._items, self._turns = items, turns

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self._turns.step()

    def update(self) -> None:
        self._turns.step()

    def set_postfix(self, **_: Any) -> None:
        """Values are not read, as without a terminal."""

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        pass
