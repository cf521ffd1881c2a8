"""Datasets: samples by number, or a stream of them.

Anything with ``__len__`` and ``__getitem__`` is one; these are the common ones. Some also answer
for many numbers at once: `__getitems__` with a list of samples, as in PyTorch, and `batch` with the
samples stacked, which spares `fetch.py` from taking them one by one.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np

from grad.ops.convert import array_view
from grad.tensor import Tensor
from grad.utils.data.collate import empty_tensor
from grad.utils.data.sampler import permutation

Sample = TypeVar("Sample", covariant=True)


class Numbered(Protocol[Sample]):
    """What may be used for a dataset: a `Dataset`, a list, a range."""

    def __getitem__(self, index: int, /) -> Sample: ...


class Dataset(Generic[Sample]):
    """Base: subclasses define ``__getitem__(number)`` and usually ``__len__``."""

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Base of datasets that are only a stream: subclasses define ``__iter__``.

    With workers, each of them iterates over its own copy: use `get_worker_info` to share the work.
    """

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset[Any]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample number i is ``(a[i], b[i], ...)`` of tensors with first axes of one size.

    Raises:
        AssertionError: the sizes differ. IndexError: no tensor, or one without axes.

    Example:
        >>> data = TensorDataset(Tensor.zeros(100, 784), Tensor.zeros(100))
        >>> len(data), data[0][0].shape
        (100, torch.Size([784]))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors or any(not tensor.shape for tensor in tensors):
            raise IndexError("TensorDataset needs tensors with at least one axis each.")
        sizes = [tensor.shape[0] for tensor in tensors]
        if len(set(sizes)) != 1:
            raise AssertionError(
                f"Size mismatch between tensors: first axes have sizes {sizes}; they must be equal."
            )
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """The samples of those numbers, stacked: copies of the rows, outside any graph."""
        numbers = checked_numbers(indices, len(self))
        return tuple(_rows(tensor, numbers) for tensor in self.tensors)


def checked_numbers(indices: Sequence[int], count: int) -> np.ndarray[Any, Any]:
    """The numbers of samples, each from 0 to ``count - 1``; IndexError if one is outside."""
    numbers = np.asarray(indices, dtype=np.int64)
    lowest, highest = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, -1)
    if lowest < -count or highest >= count:
        wrong = lowest if lowest < -count else highest
        raise IndexError(f"index {wrong} is out of range for {count} samples")
    return numbers % count if lowest < 0 else numbers


def _rows(tensor: Tensor, numbers: np.ndarray[Any, Any]) -> Tensor:
    """Rows of `tensor`, whose numbers are known to exist."""
    result, memory = empty_tensor((len(numbers), *tensor.shape[1:]), tensor)
    if len(numbers):
        # NumPy writes to `memory` directly only in a mode that never raises.
        np.take(array_view(tensor), numbers, axis=0, out=memory, mode="clip")
    return result


class StackDataset(Dataset[Any]):
    """Several datasets side by side: samples are tuples, or dictionaries if they have names.

    Raises:
        ValueError: no dataset, datasets both with and without names, or of different lengths.

    Example:
        >>> StackDataset(number=[1, 2], letter="ab")[1]
        {'number': 2, 'letter': 'b'}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError(
                "At least one dataset should be passed"
                if not args
                else "give all datasets names, for samples that are dictionaries, or none"
            )
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in self._parts()]
        if len(set(lengths)) != 1:
            raise ValueError(f"Size mismatch between datasets: {lengths}")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        named = isinstance(self.datasets, dict)
        return list(self.datasets.values() if named else self.datasets)

    def _sample(self, values: Iterable[Any]) -> Any:
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, values))
        return tuple(values)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        return self._sample([part[index] for part in self._parts()])

    def __getitems__(self, indices: list[int]) -> list[Any]:
        columns = [samples_of(part, indices) for part in self._parts()]
        for column in columns:
            if len(column) != len(indices):
                raise ValueError(
                    "Nested dataset's output size mismatch. "
                    f"Expected {len(indices)}, got {len(column)}"
                )
        return [self._sample(values) for values in zip(*columns)]


def samples_of(dataset: Any, indices: list[int]) -> list[Any]:
    """The samples of those numbers, asked for all at once if `dataset` has ``__getitems__``."""
    together = getattr(dataset, "__getitems__", None)
    return together(indices) if together else [dataset[index] for index in indices]


class Subset(Dataset[Sample]):
    """Some samples of another dataset, by their numbers.

    Raises:
        NotImplementedError: a subclass has its own ``__getitem__`` without ``__getitems__``, which
            a loader asks.
    """

    def __init__(self, dataset: Numbered[Sample], indices: Sequence[int]) -> None:
        self.dataset: Any = dataset
        self.indices = indices
        kind = type(self)
        alone = kind.__getitem__ is not Subset.__getitem__
        if alone and kind.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{kind.__name__} overrides __getitem__ but not __getitems__, which loaders call: "
                "def __getitems__(self, indices): return [self[i] for i in indices]"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Sample:
        if isinstance(index, list):
            return self.dataset[[self.indices[number] for number in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        return samples_of(self.dataset, [self.indices[number] for number in indices])


class ConcatDataset(Dataset[Sample]):
    """Datasets one after the other.

    Raises:
        AssertionError: there is none, or one is a stream.
    """

    def __init__(self, datasets: Iterable[Numbered[Sample]]) -> None:
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Sample:
        if index < -len(self):
            raise ValueError("absolute value of index should not exceed dataset length")
        if index >= len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        index %= len(self)
        number = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][index - before]


class ChainDataset(IterableDataset[Any]):
    """Streams one after the other.

    Raises:
        AssertionError: when iterated: something is no `IterableDataset`.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self._streams())

    def __len__(self) -> int:
        return sum(len(stream) for stream in self._streams())


def random_split(
    dataset: Numbered[Sample], lengths: Sequence[int | float], generator: Any = None
) -> list[Subset[Sample]]:
    """Split at random into parts of the given sizes, or fractions that sum to 1.

    What fractions leave over goes to the first parts, one each, as in PyTorch.

    Raises:
        ValueError: the sizes do not sum to that of the dataset, or a fraction is not in [0, 1].

    Example:
        >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
        [8, 2]
    """
    count = len(cast(Sized, dataset))
    sizes = list(lengths)
    if math.isclose(sum(sizes), 1) and sum(sizes) <= 1:
        for place, fraction in enumerate(sizes):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {place} is not between 0 and 1")
        sizes = [math.floor(count * fraction) for fraction in sizes]
        for number in range(count - sum(sizes)):
            sizes[number % len(sizes)] += 1
        for place, size in enumerate(sizes):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {place} is 0. "
                    "This might result in an empty dataset.",
                    stacklevel=2,
                )
    if sum(sizes) != count:
        raise ValueError(
            f"Sum of input lengths {sum(sizes)} does not equal the length of the input dataset, "
            f"{count}!"
        )
    order = permutation(count, generator).tolist()
    whole = [int(size) for size in sizes]
    ends = itertools.accumulate(whole)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, whole)]
