"""Generators of keys for random numbers, and the default one.

A key is ``threefry(seed, stream number)``: each random tensor takes the next one. `random.py`
turns a key and the positions of the elements into numbers.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.device import Device
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph import reference
from grad.graph.arrays import node_of

_DEFAULT_SEED = 67280421310721  # PyTorch's: the largest prime factor of 2 ** 64 + 1 that fits
_KEYS_AT_ONCE = 256


class Generator:
    """A source of keys: the same seed gives the same tensors, in the order in which they are
    asked for.

    Generators can be copied and pickled.

    Attributes:
        device: where tensors are made, the CPU.

    Raises:
        DeviceError: there is no such device.

    Example:
        >>> g = grad.Generator().manual_seed(0)
        >>> first = grad.rand(2, generator=g)
        >>> grad.equal(first, grad.rand(2, generator=g.manual_seed(0)))
        True
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = Device(device)
        self._lock = threading.Lock()
        self._restart(_DEFAULT_SEED, 0)

    def _restart(self, seed: int, stream: int) -> None:
        self._seed, self._stream = seed % 2**64, stream
        self._first_key = 0
        self._keys: list[int] = []

    def manual_seed(self, seed: int) -> Generator:
        """Begin again from `seed`, a whole number of 64 bits with or without a sign.

        Raises:
            TypeError, RuntimeError: it is no int. ValueError, RuntimeError: it is too large.
        """
        if not hasattr(seed, "__index__"):
            raise DTypeError(f"manual_seed expected an int, but got {type(seed).__name__}.")
        number = seed.__index__()
        if not -(1 << 63) <= number < 1 << 64:
            raise ArgumentError(f"manual_seed: {number} does not fit 64 bits.")
        with self._lock:
            self._restart(number, 0)
        if recording.recorder is not None:
            recording.recorder.again(lambda: self.manual_seed(number))
        return self

    def seed(self) -> int:
        """Begin again from a seed that the operating system gives, and return it."""
        _cannot_be_repeated()
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed it began from."""
        return self._seed

    def get_state(self) -> Any:
        """Where it is, for `set_state`: the seed and the number of the next stream, as a uint8
        tensor of 16 elements.
        """
        _cannot_be_repeated()
        with self._lock:
            words = np.array([self._seed, self._stream], "<u8")
        return Variable._wrap(node_of(words.view(np.uint8), dtypes.uint8))

    def set_state(self, new_state: Any) -> Generator:
        """Go on from where `get_state` was called.

        Raises:
            TypeError: `new_state` is no uint8 tensor. RuntimeError: it has not 16 elements.
        """
        _cannot_be_repeated()
        if not isinstance(new_state, Variable):
            raise TypeError(f"expected a uint8 tensor, but got {type(new_state).__name__}")
        if new_state.dtype is not dtypes.uint8:
            raise TypeError(f"RNG state must be a uint8 tensor, but is {new_state.dtype.name}")
        if new_state.shape != (16,):
            raise ShapeError(
                f"RNG state must be a tensor of 16 elements, but has shape {new_state._shape}"
            )
        seed, stream = np.ascontiguousarray(new_state.numpy()).view("<u8").tolist()
        with self._lock:
            self._restart(seed, stream)
        return self

    def clone_state(self) -> Generator:
        """Another generator that goes on from the same place."""
        return Generator(self.device).set_state(self.get_state())

    def __getstate__(self) -> tuple[int, int]:
        _cannot_be_repeated()
        with self._lock:
            return self._seed, self._stream

    def __setstate__(self, state: tuple[int, int]) -> None:
        self.__init__()
        self._restart(*state)

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
    """Let the default generator begin again from `seed`, a number of 64 bits; returns it.

    Example:
        >>> first = grad.manual_seed(7) and grad.rand(3)
        >>> grad.equal(first, grad.manual_seed(7) and grad.rand(3))
        True
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Let the default generator begin again from an unpredictable seed, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator go on from where `get_rng_state` was called."""
    default_generator.set_state(new_state)
