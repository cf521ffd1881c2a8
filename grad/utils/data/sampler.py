"""Samplers: in which order the samples of a dataset come, and in which batches.

A sampler is an iterable of numbers, a batch sampler one of lists of numbers. Any iterable will do;
these are the common ones, and `Sampler` is the base for those that users write.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from grad.engine.recording import recording
from grad.ops.convert import array_view
from grad.ops.generator import default_generator
from grad.tensor import Tensor

Entry = TypeVar("Entry", covariant=True)


def random_numbers(generator: Any) -> np.random.Generator:
    """NumPy's generator, seeded by one key of ours: `manual_seed` decides the order."""
    if recording.recorder is not None:
        recording.recorder.give_up("it draws a random order of samples")
    return np.random.default_rng((generator or default_generator).next_key())


def permutation(count: int, generator: Any = None) -> np.ndarray[Any, Any]:
    """The numbers 0 to ``count - 1`` in random order."""
    return random_numbers(generator).permutation(count)


def _check_count(name: str, count: Any) -> None:
    """Raises ValueError unless `count` is a whole number over 0."""
    if isinstance(count, bool) or not isinstance(count, int) or count <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={count}")


class Sampler(Generic[Entry]):
    """Base: subclasses define ``__iter__``, and ``__len__`` where the length is known.

    Example:
        >>> class Backwards(Sampler[int]):
        ...     def __init__(self, data): self.data = data
        ...     def __iter__(self): return iter(range(len(self.data) - 1, -1, -1))
        ...     def __len__(self): return len(self.data)
        >>> list(Backwards("abc"))
        [2, 1, 0]
    """

    def __iter__(self) -> Iterator[Entry]:
        raise NotImplementedError("subclasses of Sampler define __iter__.")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All numbers, in another random order at each pass; or draws with `replacement`.

    Raises:
        TypeError: `replacement` is no bool.
        ValueError: `num_samples`, or without it the length of the source, is not over 0.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.data_source = data_source
        self.replacement = replacement
        self.generator = generator
        self._num_samples = num_samples
        _check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many numbers a pass gives: as many as there are samples, unless told otherwise."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        count, wanted = len(self.data_source), self.num_samples
        random = random_numbers(self.generator)
        if self.replacement:
            return iter(random.integers(0, count, wanted).tolist())
        order: list[int] = []
        while len(order) < wanted:
            order += random.permutation(count).tolist()
        return iter(order[:wanted])


class SubsetRandomSampler(Sampler[int]):
    """The given numbers, in another random order at each pass."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = permutation(len(self.indices), self.generator).tolist()
        return iter([self.indices[place] for place in order])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` numbers, each drawn with a probability in proportion to its weight.

    Args:
        weights: one for each sample, not negative; they need not sum to 1.
        replacement: a number may be drawn again.

    Raises:
        ValueError: of the arguments, as in PyTorch.
        RuntimeError: when iterated: a negative, infinite or NaN weight, or too few over 0.
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        _check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        values = array_view(weights) if isinstance(weights, Tensor) else weights
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {array.shape}"
            )
        self.weights = Tensor.from_numpy(array)
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        weights = array_view(self.weights)
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        needed = 1 if self.replacement else self.num_samples
        if np.count_nonzero(weights) < needed:
            raise RuntimeError(
                f"invalid multinomial distribution: {np.count_nonzero(weights)} of {len(weights)} "
                f"weights are over 0, and {needed} are needed"
            )
        drawn = random_numbers(self.generator).choice(
            len(weights), self.num_samples, self.replacement, weights / weights.sum()
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` numbers of a sampler; `drop_last` leaves a shorter last one out.

    Example:
        >>> list(BatchSampler(range(5), 2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        numbers = iter(self.sampler)
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
