"""A sampler for one of several processes that train together: each has its share of the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np

from grad.utils.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Numbers `rank`, ``rank + num_replicas``, ... of an order that all processes share.

    The order depends on `seed` and on the number of the pass that `set_epoch` gives. All shares are
    of one size: some numbers are given twice for it, or left out with `drop_last`.

    Args:
        num_replicas, rank: how many processes there are, and which is this; 1 and 0, which gives
            all numbers, if None.

    Raises:
        ValueError: `rank` is not a number from 0 to ``num_replicas - 1``.

    Example:
        >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
        [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset = dataset
        self.num_replicas = 1 if num_replicas is None else num_replicas
        self.rank = 0 if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"Invalid rank {self.rank}, rank should be in the interval "
                f"[0, {self.num_replicas - 1}]"
            )
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0

    @property
    def num_samples(self) -> int:
        """How many numbers each process gets."""
        count = len(self.dataset)
        return count // self.num_replicas if self.drop_last else -(-count // self.num_replicas)

    @property
    def total_size(self) -> int:
        """How many numbers all processes get together."""
        return self.num_samples * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """The number of the pass that comes, for another order in each."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        order = np.arange(count)
        if self.shuffle:
            # Not the default generator, which differs from process to process.
            order = np.random.default_rng((self.seed, self.epoch)).permutation(count)
        shared = np.resize(order, self.total_size)  # again from its beginning where it is too short
        return iter(shared[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples
