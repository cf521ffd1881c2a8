"""Samplers: in which order the samples of a dataset come, and in which batches.

A sampler is an iterable of numbers, a batch sampler one of lists of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import numpy as np

from grad.tensor import Tensor


def _random(generator: Any) -> np.random.Generator:
    """NumPy's generator, seeded by one draw from ours: `manual_seed` decides the order."""
    seed = Tensor.randint(0, 2**31 - 1, (2,), generator=generator).tolist()
    return np.random.default_rng(seed)


def permutation(count: int, generator: Any = None) -> np.ndarray[Any, Any]:
    """The numbers 0 to ``count - 1`` in random order."""
    return _random(generator).permutation(count)


class SequentialSampler:
    """0, 1, 2, ..."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler:
    """All numbers, in another random order at each pass; or draws with `replacement`."""

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        if num_samples is not None and num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = num_samples
        self.generator = generator

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples

    def __iter__(self) -> Iterator[int]:
        count = len(self.data_source)
        if self.replacement:
            return iter(_random(self.generator).integers(0, count, len(self)).tolist())
        order: list[int] = []
        while len(order) < len(self):
            order += permutation(count, self.generator).tolist()
        return iter(order[: len(self)])


class BatchSampler:
    """Lists of `batch_size` numbers of a sampler; `drop_last` leaves a shorter last one out."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
