"""One pass over a loader's batches: made here and now, or by workers ahead of time.

Both draw from the random numbers alike as they begin (a seed for workers, then the order), so that
the order does not depend on the number of workers. They hold what they need of the loader but not
the loader itself, which may hold them: an iterator that nobody holds is gone at once, and its
workers with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from grad.engine.recording import recording
from grad.ops.generator import default_generator
from grad.utils.data.fetch import Recipe
from grad.utils.data.position import Position
from grad.utils.data.worker import Ended, Failure, Setup
from grad.utils.data.workers import Workers

_NOTHING: Any = object()


@dataclass(frozen=True)
class Source:
    """What iterators need of their loader.

    Attributes:
        entries: the batch sampler, or the sampler if samples are not batched; None for a stream.
    """

    recipe: Recipe
    entries: Iterable[Any] | None
    position: Position
    generator: Any

    def base_seed(self) -> int:
        """A seed for workers, drawn whether there are any or not."""
        if recording.recorder is not None:
            return 0
        return (self.generator or default_generator).next_key() >> 1

    def begin(self, skipped: int) -> Iterator[Any]:
        """The entries but for the first ones. Samplers draw their order as the first is asked for,
        which is done here.
        """
        if self.entries is None:
            return itertools.repeat(None)
        entries = iter(self.entries)
        for _ in range(skipped):
            next(entries, None)
        first = next(entries, _NOTHING)
        return iter(()) if first is _NOTHING else itertools.chain((first,), entries)


class LoaderIterator:
    """Base: an iterator over batches that knows how many there are."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pass = object()

    def __iter__(self) -> LoaderIterator:
        return self

    def __len__(self) -> int:
        if self._source.entries is None:
            raise TypeError("a pass over an IterableDataset has no length.")
        return len(self._source.entries)  # type: ignore[arg-type]

    def __next__(self) -> Any:
        raise NotImplementedError


class DirectIterator(LoaderIterator):
    """Batches made in the caller's thread when they are asked for."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._entries: Iterator[Any] | None = None
        self._fetcher: Any = None

    def _begin(self, skipped: int) -> None:
        self._source.base_seed()
        self._fetcher = self._source.recipe.fetcher()
        self._entries = self._source.begin(skipped)
        if self._source.recipe.stream:
            for _ in range(skipped):
                self._fetcher.fetch(None)

    def __next__(self) -> Any:
        position = self._source.position
        try:
            if self._entries is None:
                position.begin(self._pass, self._begin)
            batch = self._fetcher.fetch(next(self._entries))  # type: ignore[arg-type]
        except StopIteration:
            position.ended(self._pass)
            raise
        position.handed_out(self._pass)
        return batch


class WorkersIterator(LoaderIterator):
    """Batches made by worker processes ahead of time.

    Batch n is made by worker n modulo their number, as long as none of them has come to the end of
    its stream, so the next batch is the next message of one known worker; or, if they need not
    come `in_order`, of any.
    """

    def __init__(
        self,
        source: Source,
        start: Callable[[int], Workers],
        count: int,
        ahead: int,
        in_order: bool,
        persistent: bool,
    ) -> None:
        super().__init__(source)
        self._start = start
        self._count = count
        self._ahead = max(ahead, 1) * count
        self._in_order = in_order
        self._persistent = persistent
        self._workers: Workers | None = None
        self._pass_number = -1
        self.reset()

    def reset(self) -> None:
        """Begin a new pass, with the same workers."""
        self._pass = object()
        self._pass_number += 1
        self._active = list(range(self._count))
        self._turn = 0
        self._sent = 0
        self._makers: dict[int, int] = {}  # of the batches that are under way
        self._finished = False
        self._source.position.begin(self._pass, self._begin)

    @property
    def closed(self) -> bool:
        """Whether the workers have ended."""
        return self._workers is None or self._workers.closed

    def _begin(self, skipped: int) -> None:
        seed = self._source.base_seed()
        if self._workers is None:
            self._workers = self._start(seed)
        self._workers.begin(self._pass_number)
        self._entries = self._source.begin(skipped)
        for _ in range(self._ahead):
            self._order()
        if self._source.recipe.stream:
            for _ in range(skipped):
                self._receive()

    def _order(self) -> bool:
        """Have the worker whose turn it is make one more batch, if there is one to make."""
        if not self._active:
            return False
        entry = next(self._entries, _NOTHING)
        if entry is _NOTHING:
            return False
        worker = self._active[self._turn % len(self._active)]
        self._turn = (self._turn + 1) % len(self._active)
        self._makers[self._sent] = worker
        assert self._workers is not None
        self._workers.order(worker, self._pass_number, self._sent, entry)
        self._sent += 1
        return True

    def _receive(self) -> Any:
        """The next batch, or the failure in its place; StopIteration if there is none."""
        assert self._workers is not None
        while self._makers or self._order():
            among = [next(iter(self._makers.values()))] if self._in_order else self._active
            incoming, message = self._workers.receive(among)
            pass_number, number = message.tag
            if pass_number != self._pass_number or number not in self._makers:
                incoming.discard(message)
                continue
            answer = incoming.open(message)
            worker = self._makers.pop(number)
            if isinstance(answer, Ended):
                self._retire(worker)
                continue
            self._order()
            return answer
        raise StopIteration

    def _retire(self, worker: int) -> None:
        """The stream of this worker has ended: what was asked of it beyond is asked of others."""
        place = self._active.index(worker)
        self._active.remove(worker)
        self._turn -= place < self._turn
        beyond = [number for number, maker in self._makers.items() if maker == worker]
        for number in beyond:
            del self._makers[number]
        for _ in range(1 + len(beyond)):
            self._order()

    def __next__(self) -> Any:
        if self._finished:
            raise StopIteration
        if self.closed:
            raise RuntimeError("the workers of this DataLoader have ended; begin a new pass.")
        try:
            answer = self._receive()
        except StopIteration:
            self._finished = True
            self._source.position.ended(self._pass)
            if not self._persistent:
                self.close()
            raise
        except Exception:
            raise
        except BaseException:
            # Half of a message may have been read.
            self.close()
            raise
        if isinstance(answer, Failure):
            raise answer.error()
        self._source.position.handed_out(self._pass)
        return answer

    def close(self) -> None:
        """End the workers."""
        if self._workers is not None:
            self._workers.close()


def starter(setup: Setup, context: Any, timeout: float) -> Callable[[int], Workers]:
    """A function that starts workers with a seed."""

    def start(base_seed: int) -> Workers:
        seeded = Setup(setup.id, setup.num_workers, base_seed, setup.recipe, setup.init)
        return Workers(seeded, context, timeout)

    return start
