"""Keys of random streams as graph values, and how the same ones are drawn again.

Each random tensor takes the key of a new stream from its generator; it enters the graph as an
argument, so that new numbers compile nothing. A computation that will be repeated, for the same
random numbers, has its keys written down (`keys_noted`) and given out again (`keys_again`):
the nodes themselves, so that what `grad.compile` records draws a key once. Inside `vmap`, the items
of a batch have one key or different ones (`Lane`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import CheckpointError, TransformError
from grad.graph.node import Node, argument, pointwise
from grad.graph.primitives import THREEFRY
from grad.ops.generator import Generator, default_generator


class Drawn(NamedTuple):
    """A key and whose it is."""

    source: Generator
    key: Node


class Note:
    """Draws from what was there before, and writes it down."""

    def __init__(self, before: Note | Again | None) -> None:
        self.before = before
        self.keys: list[Drawn] = []

    def draw(self, source: Generator) -> Node:
        key = _fresh(source) if self.before is None else self.before.draw(source)
        self.keys.append(Drawn(source, key))
        return key


class Again:
    """Gives keys out again, in order."""

    def __init__(self, keys: Sequence[Drawn]) -> None:
        self.keys = iter(keys)

    def draw(self, source: Generator) -> Node:
        found = next(self.keys, None)
        if found is None or found.source is not source:
            raise CheckpointError(
                "checkpoint: the function draws other random tensors the second time; what it does "
                "must depend on its arguments alone."
            )
        return found.key


class Lane(NamedTuple):
    """How a mapped function draws: "error", "same" numbers for each item, or "different" ones,
    by the `number` of the item.
    """

    randomness: str
    number: Node


class Drawing(threading.local):
    """Where each thread's keys come from.

    Attributes:
        source: what gives them out, in place of the generators.
        delay: what a key goes through before it enters the graph.
        lanes: of the mapped functions that are being traced, the outermost first.
    """

    source: Note | Again | None = None
    delay: Callable[[Node], Node] | None = None
    lanes: tuple[Lane, ...] = ()


_drawing = Drawing()


def random_key(generator: Generator | None = None) -> Node:
    """The key of a new stream of random numbers."""
    key = _drawn(generator)
    for lane in _drawing.lanes:
        if lane.randomness == "different":
            key = pointwise(THREEFRY, key, lane.number)
    return key if _drawing.delay is None else _drawing.delay(key)


def plain_key(generator: Generator | None = None) -> Node:
    """As `random_key`, and always an argument: for those who need its value, and for kernels that
    take it as a number.

    Raises TransformError inside a `vmap` whose items are to draw different numbers.
    """
    if any(lane.randomness == "different" for lane in _drawing.lanes):
        raise TransformError(
            "vmap: this random operation draws the same numbers for each item only; use "
            "randomness='same', or call it outside of vmap."
        )
    return _drawn(generator)


def _drawn(generator: Generator | None) -> Node:
    if any(lane.randomness == "error" for lane in _drawing.lanes):
        raise TransformError(
            "vmap: called random operation while in randomness error mode. Please either use the "
            "'same' or 'different' randomness flags on vmap or perform the randomness operation "
            "out of vmap"
        )
    source = generator or default_generator
    drawing = _drawing.source
    return _fresh(source) if drawing is None else drawing.draw(source)


def _fresh(source: Generator) -> Node:
    last = source.next_key()
    key = argument(last, dtypes.uint64)
    if recording.recorder is not None:

        def draw() -> int:
            nonlocal last
            last = source.next_key()
            return last

        recording.recorder.argument(key, draw, counts=True, undo=lambda: source.take_back(last))
    return key


def lanes() -> tuple[Lane, ...]:
    """Those of the mapped functions that are being traced."""
    return _drawing.lanes


@contextmanager
def drawing_by(lanes: tuple[Lane, ...]) -> Iterator[None]:
    """Inside, keys are drawn for these lanes."""
    before, _drawing.lanes = _drawing.lanes, lanes
    try:
        yield
    finally:
        _drawing.lanes = before


@contextmanager
def keys_noted() -> Iterator[list[Drawn]]:
    """A list that the keys which are drawn inside are added to."""
    before = _drawing.source
    note = _drawing.source = Note(before)
    try:
        yield note.keys
    finally:
        _drawing.source = before


@contextmanager
def keys_again(keys: Sequence[Drawn], delay: Callable[[Node], Node]) -> Iterator[None]:
    """Inside, `keys` are drawn, and put in the graph through `delay`.

    Raises CheckpointError when other keys are asked for.
    """
    before = _drawing.source, _drawing.delay
    _drawing.source, _drawing.delay = Again(keys), delay
    try:
        yield
    finally:
        _drawing.source, _drawing.delay = before
