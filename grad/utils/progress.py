"""`progress`: how far a loop is, as a bar on a terminal and nothing elsewhere.

tqdm draws it. Where nobody looks (output to a file, a pipe, a test) tqdm is not even opened, and
values given to show are not read, so that a lazy loss stays lazy. A bar is no reason to stop a
training run: on a terminal without tqdm a warning names the extra once and the loop goes on.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Generic, TextIO, TypeVar

from grad.utils.optional import optional

Item = TypeVar("Item")

# Seconds between two readings of the values that are shown: reading a tensor computes it.
READING_INTERVAL = 0.1


class Progress(Generic[Item]):
    """A loop that is watched; what `progress` makes. Iterate over it, or call `update`."""

    def __init__(self, items: Iterable[Item] | None, bar: Any) -> None:
        self._items = items
        self._bar = bar
        self._next_reading = 0.0

    @property
    def visible(self) -> bool:
        """Whether a bar is drawn."""
        return self._bar is not None

    def __iter__(self) -> Iterator[Item]:
        if self._items is None:
            raise TypeError("progress: nothing to iterate over was given; call update() instead.")
        with self:
            for item in self._items:
                yield item
                self.update()

    def __len__(self) -> int:
        if not isinstance(self._items, Sized):
            raise TypeError("progress: what is iterated over has no length.")
        return len(self._items)

    def update(self, steps: int = 1) -> None:
        """Say that so many steps more are done."""
        if self._bar is not None:
            self._bar.update(steps)

    def set_description(self, description: str) -> None:
        """Write this before the bar."""
        if self._bar is not None:
            self._bar.set_description(description)

    def set_postfix(self, **values: Any) -> None:
        """Write these values after the bar: text, numbers, or tensors of one element.

        They are read some times a second at most, and never where there is no bar.
        """
        if self._bar is None or time.monotonic() < self._next_reading:
            return
        shown = {name: _shown(value) for name, value in values.items()}
        self._bar.set_postfix(shown, refresh=False)
        self._next_reading = time.monotonic() + READING_INTERVAL

    def close(self) -> None:
        """Leave the bar as it is; called at the end of a loop and of a ``with``."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def progress(
    items: Iterable[Item] | None = None,
    description: str | None = None,
    *,
    total: int | None = None,
    unit: str = "step",
    file: TextIO | None = None,
    **options: Any,
) -> Progress[Item]:
    """Watch a loop over `items`, or steps that are told by ``update()``.

    Args:
        total: number of steps, by default ``len(items)`` where that is known.
        file: where to draw, by default ``sys.stderr``. Nothing is drawn unless it is a terminal.
        options: passed to ``tqdm.tqdm`` (``leave``, ``ncols``, ``position`` and so on).

    Example:
        >>> from grad.utils.progress import progress
        >>> sum(progress(range(10), "adding"))
        45
    """
    file = sys.stderr if file is None else file
    return Progress(
        items, _bar(items, desc=description, total=total, unit=unit, file=file, **options)
    )


def _bar(items: Iterable[Any] | None, total: int | None, file: TextIO | None, **options: Any):
    if file is None or not file.isatty():  # pythonw has no sys.stderr
        return None
    try:
        tqdm = optional("tqdm", "progress", "a progress bar")
    except ImportError as error:
        warnings.warn(f"{error} The loop goes on without a bar.", stacklevel=3)
        return None
    if total is None and isinstance(items, Sized):
        total = len(items)
    return tqdm.tqdm(total=total, file=file, **options)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.4g}"
