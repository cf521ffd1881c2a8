"""Generators of keys for random numbers, and the default one.

A key is ``threefry(seed, stream number)``: each random tensor takes the next one. `random.py`
turns a key and the positions of the elements into numbers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.engine.recording import recording
from grad.graph import reference

_DEFAULT_SEED = 67280421310721  # PyTorch's: the largest prime factor of 2 ** 64 + 1 that fits
_KEYS_AT_ONCE = 256


class Generator:
    """A source of keys: the same seed gives the same tensors, in the order in which they are
    asked for.

    Example:
        >>> g = Generator().manual_seed(0)
        >>> grad.rand(2, generator=g)
    """

    def __init__(self, device: Any = None) -> None:
        self.device = device
        self._lock = threading.Lock()
        self._restart(_DEFAULT_SEED, 0)

    def _restart(self, seed: int, stream: int) -> None:
        self._seed, self._stream = seed % 2**64, stream
        self._first_key = 0
        self._keys: list[int] = []

    def manual_seed(self, seed: int) -> Generator:
        """Begin again from `seed`, any whole number."""
        with self._lock:
            self._restart(seed.__index__(), 0)
        if recording.recorder is not None:
            recording.recorder.again(lambda: self.manual_seed(seed))
        return self

    def seed(self) -> int:
        """Begin again from a seed that the operating system gives, and return it."""
        _cannot_be_repeated()
        seed = int.from_bytes(os.urandom(8), "little") >> 1
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed it began from."""
        return self._seed

    def get_state(self) -> tuple[int, int]:
        """Seed and number of the next stream, for `set_state`."""
        _cannot_be_repeated()
        return self._seed, self._stream

    def set_state(self, state: Sequence[int]) -> Generator:
        """Go on from where `get_state` was called."""
        _cannot_be_repeated()
        seed, stream = state
        with self._lock:
            self._restart(int(seed), int(stream))
        return self

    def next_key(self) -> int:
        """The key of a new stream, which no other call gets."""
        with self._lock:
            position = self._stream - self._first_key
            if not 0 <= position < len(self._keys):
                # One NumPy call for many keys: a key must cost next to nothing.
                streams = np.arange(self._stream, self._stream + _KEYS_AT_ONCE, dtype=np.uint64)
                self._keys = reference.threefry(np.asarray(self._seed, np.uint64), streams).tolist()
                self._first_key, position = self._stream, 0
            self._stream += 1
            return self._keys[position]

    def take_back(self, key: int) -> None:
        """Give `key` out again next, if it is the last one: nobody else has drawn since."""
        with self._lock:
            last = self._stream - 1
            if last >= 0 and key == self._key_of(last):
                self._stream = last

    def _key_of(self, stream: int) -> int:
        position = stream - self._first_key
        if 0 <= position < len(self._keys):
            return self._keys[position]
        found = reference.threefry(np.asarray(self._seed, np.uint64), np.asarray(stream, np.uint64))
        return int(found)


def _cannot_be_repeated() -> None:
    """A replay would see the state of a generator as it was."""
    if recording.recorder is not None:
        recording.recorder.give_up("it asks for the state of a random generator, or sets it")


default_generator = Generator()


def _after_fork_in_child() -> None:
    """Another thread of the parent may have held the lock."""
    default_generator._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def manual_seed(seed: int) -> Generator:
    """Let the default generator begin again from `seed`."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Let the default generator begin again from an unpredictable seed, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> tuple[int, int]:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Sequence[int]) -> None:
    """Let the default generator go on from `state`."""
    default_generator.set_state(state)
