"""`DataLoader`: batches of a dataset, in an order, stacked into tensors.

The order is a sampler's business (`sampler.py`), the samples a dataset's (`dataset.py`);
`default_collate` stacks them. Batches are made in the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.data.dataset import IterableDataset, TensorDataset
from grad.utils.data.position import Position
from grad.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples made one: tensors, arrays and numbers are stacked, tuples and dictionaries go inside.

    Example:
        >>> default_collate([(1, "a"), (2, "b")])
        [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return REGISTRY["stack"](tuple(batch))
    if isinstance(first, np.ndarray | np.generic):
        return Tensor.from_numpy(np.stack([np.asarray(sample) for sample in batch]))
    if isinstance(first, bool | int):
        return Tensor.from_numpy(np.asarray(batch))
    if isinstance(first, float):
        return Tensor.from_numpy(np.asarray(batch, dtype=np.float64))
    if isinstance(first, str | bytes):
        return tuple(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first)}; give DataLoader a collate_fn."
    )


class DataLoader:
    """Iterates over batches of `dataset`; each pass is a new order if `shuffle`.

    Args:
        dataset: with ``__len__`` and ``__getitem__``, or an `IterableDataset`.
        batch_size: samples in a batch; None gives single samples, not stacked.
        shuffle: random order, decided by `generator` (else by ``manual_seed``).
        sampler, batch_sampler: the order, or the batches, in place of the arguments above.
        num_workers, pin_memory: PyTorch's; batches are made here and now, so they change nothing.
        collate_fn: makes a batch of a list of samples (`default_collate`).
        drop_last: leave out a last batch that is not full.

    Example:
        >>> for images, labels in DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True):
        ...     train(images, labels)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator: Any = None,
    ) -> None:
        stream = isinstance(dataset, IterableDataset)
        if stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "an IterableDataset has its own order: no shuffle, sampler or batch_sampler"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (
            batch_size != 1 or shuffle or sampler is not None or drop_last
        ):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                "and drop_last"
            )
        if batch_size is None and drop_last:
            raise ValueError("batch_size=None is mutually exclusive with drop_last")
        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.sampler = sampler
        if sampler is None and not stream:
            self.sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        self.batch_sampler = batch_sampler
        if batch_sampler is None and batch_size is not None:
            # A stream's samples are batched as numbers are.
            source = dataset if stream else self.sampler
            self.batch_sampler = BatchSampler(source, batch_size, drop_last)  # type: ignore[arg-type]
        self.generator = generator or getattr(self.sampler, "generator", None)
        self._position = Position(self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Where the present pass is, for a checkpoint (see `position.py`)."""
        return self._position.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next pass give the batches that were yet to come when `state_dict` was called."""
        self._position.load_state_dict(state_dict)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        return len(self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        source = self.batch_sampler
        if source is None:
            source = self.dataset if isinstance(self.dataset, IterableDataset) else self.sampler
        return self._position.follow(source, self._batches)  # type: ignore[arg-type]

    def _batches(self, entries: Iterator[Any]) -> Iterator[Any]:
        """The batches of the entries of the batch sampler, or else of the sampler or stream."""
        stream = isinstance(self.dataset, IterableDataset)
        if self.batch_sampler is None:
            samples = entries if stream else (self.dataset[i] for i in entries)
            return samples if self.collate_fn is None else map(self.collate_fn, samples)
        collate = self.collate_fn or default_collate
        if stream:
            return (collate(list(batch)) for batch in entries)
        if type(self.dataset) is TensorDataset and self.collate_fn is None:
            return (list(self.dataset.batch(numbers)) for numbers in entries)
        return (collate([self.dataset[i] for i in numbers]) for numbers in entries)
