"""`DataLoader`: batches of a dataset, in an order, stacked into tensors.

The order is a sampler's business (`sampler.py`), the samples a dataset's (`dataset.py`),
`collate.py` stacks them. Here the arguments are checked; a pass over the batches is an iterator of
`iterators.py`, which makes them in the calling thread or has worker processes make them.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.context import BaseContext
from typing import Any, Generic

from grad.errors import a_kind_of
from grad.ops.generator import Generator
from grad.utils.data.collate import default_collate, default_convert
from grad.utils.data.dataset import IterableDataset, Numbered, Sample
from grad.utils.data.fetch import Recipe
from grad.utils.data.iterators import (
    DirectIterator,
    LoaderIterator,
    Source,
    WorkersIterator,
    starter,
)
from grad.utils.data.position import Position
from grad.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from grad.utils.data.worker import Setup

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[Sample]):
    """Iterates over batches of `dataset`; each pass is a new order if `shuffle`.

    Args:
        dataset: with ``__len__`` and ``__getitem__`` (``__getitems__``, if it has that, is asked
            for all samples of a batch), or an `IterableDataset`.
        batch_size: samples in a batch; None gives single samples, not stacked.
        shuffle: random order, decided by `generator` (else by ``manual_seed``).
        sampler, batch_sampler: the order, or the batches, in place of the arguments above.
        num_workers: processes that make batches ahead of time; 0 makes them when they are asked
            for. The order is the same for any number.
        collate_fn: makes a batch of a list of samples (`default_collate`), or converts a sample
            that is not batched (`default_convert`).
        pin_memory, pin_memory_device: PyTorch's; they change nothing.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for workers; 0 waits for ever.
        worker_init_fn: called in each worker with its number.
        multiprocessing_context: how workers are started: "fork", "spawn", "forkserver" or a context
            of `multiprocessing`. Other ways than fork need datasets that can be pickled.
        prefetch_factor: batches that each worker makes ahead of time (2).
        persistent_workers: keep the workers for the next pass.
        in_order: False gives batches as workers finish them.

    Raises:
        ValueError, TypeError: contradictory arguments, as in PyTorch.

    An exception in a worker is raised by the pass, with the type it had and the worker's traceback
    in its message. A worker that is killed ends the pass by a `RuntimeError`.

    Example:
        >>> for images, labels in DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True):
        ...     train(images, labels)
    """

    _ready = False

    def __init__(
        self,
        dataset: Numbered[Sample],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if not isinstance(generator, Generator | None):
            raise TypeError(
                f"DataLoader: generator is {a_kind_of(generator)}; it should be a Generator."
            )
        stream = isinstance(dataset, IterableDataset)
        _check_order(stream, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset: Any = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.persistent_workers = persistent_workers
        if sampler is None and not stream:
            sampler = (
                RandomSampler(self.dataset, generator=generator)
                if shuffle
                else SequentialSampler(self.dataset)
            )
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif batch_size is not None:
            # A stream's samples are batched as they come; the sampler is for its checks only.
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        batched = batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._position = Position(generator or _generator_of(sampler))
        self._iterator: WorkersIterator | None = None
        self._ready = True
        _warn_of_many(num_workers)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in _FIXED:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """The context that starts workers, or None for Python's default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None and not self.num_workers:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading "
                f"(num_workers > 0), but got num_workers={self.num_workers}"
            )
        if isinstance(context, str):
            methods = multiprocessing.get_all_start_methods()
            if context not in methods:
                raise ValueError(
                    "multiprocessing_context option should specify a valid start method in "
                    f"{methods!r}, but got multiprocessing_context={context!r}"
                )
            context = multiprocessing.get_context(context)
        if context is not None and not isinstance(context, BaseContext):
            raise TypeError(
                "multiprocessing_context option should be a valid context object or a string "
                f"specifying the start method, but got multiprocessing_context={context}"
            )
        self._context = context

    def __len__(self) -> int:
        """How many batches a pass has; for an `IterableDataset`, by what its ``len`` says."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        count = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else math.ceil(count / self.batch_size)

    def __iter__(self) -> LoaderIterator:
        if self.num_workers == 0:
            return DirectIterator(self._source())
        iterator = self._iterator
        if iterator is not None and not iterator.closed:
            iterator.reset()
            return iterator
        source = self._source()
        setup = Setup(0, self.num_workers, 0, source.recipe, self.worker_init_fn)
        iterator = WorkersIterator(
            source,
            starter(setup, self._context or multiprocessing.get_context(), self.timeout),
            self.num_workers,
            self.prefetch_factor or 0,
            self.in_order,
            self.persistent_workers,
        )
        if self.persistent_workers:
            self._iterator = iterator
        return iterator

    def _source(self) -> Source:
        stream = isinstance(self.dataset, IterableDataset)
        recipe = Recipe(
            self.dataset,
            stream,
            self.batch_sampler is not None,
            self.batch_size,
            self.drop_last,
            self.collate_fn,
        )
        entries = self.sampler if self.batch_sampler is None else self.batch_sampler
        return Source(recipe, None if stream else entries, self._position, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Where the present pass is, for a checkpoint (see `position.py`)."""
        return self._position.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next pass give the batches that were yet to come when `state_dict` was called."""
        self._position.load_state_dict(state_dict)


def _generator_of(sampler: Any) -> Generator | None:
    """The generator that decides a sampler's order; it may have one of another library."""
    found = getattr(sampler, "generator", None)
    return found if isinstance(found, Generator) else None


def _check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if prefetch_factor is not None and num_workers == 0:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing: let num_workers > "
            "0, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_order(
    stream: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    if stream:
        given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
                    f"{name}={value}"
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
    if batch_sampler is None and batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


def _warn_of_many(num_workers: int) -> None:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    if cores is not None and num_workers > cores:
        warnings.warn(
            f"This DataLoader will create {num_workers} worker processes in total. Our suggested "
            f"max number of worker in current system is {cores}; more of them may make it slower.",
            stacklevel=3,
        )
