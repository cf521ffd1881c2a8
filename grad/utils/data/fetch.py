"""One batch of a dataset at a time: the part of loading that workers and the caller have in common.

`MapFetcher` is asked with numbers of samples; `StreamFetcher` is only told to go on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grad.utils.data.collate import default_collate
from grad.utils.data.dataset import Subset, TensorDataset, samples_of
from grad.utils.data.text import CharacterDataset


@dataclass(frozen=True)
class Recipe:
    """What a batch is made of.

    Attributes:
        stream: the dataset is an `IterableDataset`.
        batch_size: how many samples of a stream; None gives them one by one.
        batched: entries are lists of numbers, not numbers.
    """

    dataset: Any
    stream: bool
    batched: bool
    batch_size: int | None
    drop_last: bool
    collate_fn: Callable[[Any], Any]

    def fetcher(self) -> MapFetcher | StreamFetcher:
        """A new beginning: an iterator of the stream, if the dataset is one."""
        return StreamFetcher(self) if self.stream else MapFetcher(self)


# Ways to take one sample, and the ways to take many of them, stacked, that come to the same. A
# subclass with a way of its own is not found here.
_STACKED: dict[Any, Any] = {
    kind.__getitem__: kind.batch for kind in (TensorDataset, CharacterDataset)
}


def _rows_of(dataset: Any) -> Callable[[Sequence[int]], tuple[Any, ...]] | None:
    """A way to take stacked samples out of tensors at once, if the dataset is nothing but that."""
    kind = type(dataset)
    if kind is Subset:
        inner, indices = _rows_of(dataset.dataset), dataset.indices
        return None if inner is None else lambda numbers: inner([indices[n] for n in numbers])
    batch = _STACKED.get(getattr(kind, "__getitem__", None))
    if batch is None or kind.batch is not batch or hasattr(dataset, "__getitems__"):
        return None
    needs_grad = any(tensor._needs_grad for tensor in getattr(dataset, "tensors", ()))
    return None if needs_grad else dataset.batch


class MapFetcher:
    """Batches by the numbers of their samples."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        usual = recipe.batched and recipe.collate_fn is default_collate
        self._rows = _rows_of(recipe.dataset) if usual else None

    def fetch(self, entry: Any) -> Any:
        """The batch of an entry of the sampler."""
        recipe = self._recipe
        if self._rows is not None and entry:
            return list(self._rows(entry))
        try:
            if recipe.batched:
                return recipe.collate_fn(samples_of(recipe.dataset, entry))
            return recipe.collate_fn(recipe.dataset[entry])
        except StopIteration as error:
            # It would end the loop over the batches as if there were no more.
            raise RuntimeError("the dataset raised StopIteration for a sample.") from error


class StreamFetcher:
    """The next batch of a stream, whatever the entry; StopIteration when there is none."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._samples = iter(recipe.dataset)
        self._ended = False

    def fetch(self, entry: Any) -> Any:
        """The next batch."""
        if self._ended:
            raise StopIteration
        recipe = self._recipe
        if recipe.batch_size is None:
            try:
                sample = next(self._samples)
            except StopIteration:
                self._ended = True
                raise
            return recipe.collate_fn(sample)
        batch = list(itertools.islice(self._samples, recipe.batch_size))
        if len(batch) < recipe.batch_size:
            self._ended = True
            if not batch or recipe.drop_last:
                raise StopIteration
        return recipe.collate_fn(batch)
