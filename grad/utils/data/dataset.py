"""Datasets: samples by number.

Anything with ``__len__`` and ``__getitem__`` is one; these are the common ones. `TensorDataset`
also answers for many numbers at once (`batch`), which spares `loader.py` from taking samples one by
one.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from grad.ops.convert import array_view
from grad.tensor import Tensor
from grad.utils.data.sampler import permutation

Sample = TypeVar("Sample", covariant=True)


class Dataset(Generic[Sample]):
    """Base: subclasses define ``__getitem__(number)`` and usually ``__len__``."""

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[Sample]):
    """Base of datasets that are only a stream: subclasses define ``__iter__``."""

    def __iter__(self) -> Iterator[Sample]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample number i is ``(a[i], b[i], ...)`` of tensors with first axes of one size.

    Example:
        >>> data = TensorDataset(Tensor.zeros(100, 784), Tensor.zeros(100))
        >>> len(data), data[0][0].shape
        (100, (784,))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        sizes = [tensor.shape[0] if tensor.shape else None for tensor in tensors]
        if None in sizes or len(set(sizes)) != 1:
            raise ValueError(
                f"Size mismatch between tensors: first axes have sizes {sizes}; they must be equal."
            )
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, ...]:
        """The samples of those numbers, stacked: copies of the rows, outside any graph."""
        rows = np.asarray(indices, dtype=np.int64)
        return tuple(Tensor.from_numpy(array_view(tensor)[rows]) for tensor in self.tensors)


class Subset(Dataset[Any]):
    """Some samples of another dataset, by their numbers."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]


class ConcatDataset(Dataset[Any]):
    """Datasets one after the other."""

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        index %= len(self)
        number = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[number - 1] if number else 0
        return self.datasets[number][index - before]


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Any = None
) -> list[Subset]:
    """Split at random into parts of the given sizes, or fractions that sum to 1.

    What fractions leave over goes to the first parts, one each, as in PyTorch.

    Raises:
        ValueError: the sizes do not sum to that of the dataset.
    """
    sizes = [int(length) for length in lengths]
    if any(isinstance(length, float) for length in lengths) and math.isclose(sum(lengths), 1):
        sizes = [math.floor(len(dataset) * fraction) for fraction in lengths]
        for number in range(len(dataset) - sum(sizes)):
            sizes[number % len(sizes)] += 1
    if sum(sizes) != len(dataset):
        raise ValueError(
            f"Sum of input lengths {sum(sizes)} does not equal the length of the input dataset, "
            f"{len(dataset)}!"
        )
    order = permutation(len(dataset), generator).tolist()
    ends = itertools.accumulate(sizes)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes)]
