"""What runs in a worker process: it makes the batches that it is told to and sends them back.

A thread of its own reads the orders (so the caller never waits for a busy worker to take one); the
pipe's end tells that the caller is gone or wants no more. A pass over the data begins with `Begin`;
orders of an earlier pass are left undone.
"""

from __future__ import annotations

import contextlib
import queue
import random
import signal
import threading
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from grad.engine.recording import recording
from grad.engine.threads import set_num_threads
from grad.ops.generator import manual_seed
from grad.utils.data.channel import Outgoing
from grad.utils.data.fetch import MapFetcher, Recipe, StreamFetcher

# The caller's ends of all pipes to workers. Forked workers inherit them, and while one of them has
# an end open, the worker at the other does not notice that the caller is gone.
open_ends: weakref.WeakSet[Connection] = weakref.WeakSet()


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info` says in a worker: its number `id` of `num_workers`, its `seed`, its
    copy of the `dataset`.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True)
class Setup:
    """All that a worker is started with."""

    id: int
    num_workers: int
    base_seed: int
    recipe: Recipe
    init: Callable[[int], Any] | None


@dataclass(frozen=True)
class Begin:
    """A pass begins; orders carry its number."""

    number: int


@dataclass(frozen=True)
class Order:
    """Make batch `number` of a pass. `free` are segments of shared memory that have been read."""

    pass_number: int
    number: int
    entry: Any
    free: tuple[int, ...]


class Ended:
    """Sent in place of a batch: the worker's stream has no more."""


@dataclass(frozen=True)
class Failure:
    """An exception in a worker, sent in place of a batch."""

    kind: type[Exception]
    text: str

    def error(self) -> Exception:
        """The exception anew: of the same type, with the worker's traceback as its message, or as
        a note below that.
        """
        if issubclass(self.kind, KeyError):
            # A KeyError shows the repr of what it is given, in which lines do not break.
            return self.kind(_Text(self.text))
        try:
            made = self.kind(self.text)
            if self.text not in str(made):  # it has a message of its own
                made.add_note(self.text)
        except Exception:
            return RuntimeError(self.text)
        return made


class _Text(str):
    """Shown as it is."""

    def __repr__(self) -> str:
        return str(self)


class _Here:
    """The worker that this process is."""

    info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """About the worker that runs this: `id`, `num_workers`, `seed`, `dataset`. None in the caller.

    Example:
        >>> get_worker_info() is None
        True
    """
    return _Here.info


def work(setup: Setup, connection: Connection) -> None:
    """The life of a worker."""
    _settle_in(connection)
    seed = setup.base_seed + setup.id
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence([setup.base_seed, setup.id]).generate_state(4))
    _Here.info = WorkerInfo(setup.id, setup.num_workers, seed, setup.recipe.dataset)
    failure = None
    if setup.init is not None:
        try:
            setup.init(setup.id)
        except Exception as error:
            failure = _failure(error, setup.id)
    # The caller is gone when writing fails, and reading ends.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _Worker(setup, connection, failure).run()


def _settle_in(connection: Connection) -> None:
    # Ctrl-C reaches all processes of a terminal; the caller decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A handler that was inherited is the caller's.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    recording.recorder = None
    for end in list(open_ends):
        if end is not connection:
            end.close()
    set_num_threads(1)


class _Worker:
    """Orders in, batches out."""

    def __init__(self, setup: Setup, connection: Connection, failure: Failure | None) -> None:
        self._setup = setup
        self._outgoing = Outgoing(connection)
        self._connection = connection
        self._failure = failure  # what every order is answered with
        self._orders: queue.SimpleQueue[Begin | Order | None] = queue.SimpleQueue()
        self._latest = -1
        self._fetcher: MapFetcher | StreamFetcher | None = None

    def run(self) -> None:
        """Until the caller closes the pipe."""
        threading.Thread(target=self._read, name="orders", daemon=True).start()
        while (order := self._orders.get()) is not None:
            if isinstance(order, Begin):
                self._fetcher = None
                continue
            self._outgoing.release(order.free)
            if order.pass_number == self._latest:
                self._send(order, self._answer(order))

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                order = self._connection.recv()
                if isinstance(order, Begin):
                    self._latest = order.number
                self._orders.put(order)
        self._latest = -1  # what is still to be done is not wanted any more
        self._orders.put(None)

    def _answer(self, order: Order) -> Any:
        """The batch, or what there is in its place."""
        if self._failure is not None:
            return self._failure
        try:
            if self._fetcher is None:
                self._fetcher = self._setup.recipe.fetcher()
            return self._fetcher.fetch(order.entry)
        except StopIteration:
            return Ended()
        except Exception as error:
            return _failure(error, self._setup.id)

    def _send(self, order: Order, answer: Any) -> None:
        while True:
            try:
                self._outgoing.send((order.pass_number, order.number), answer)
                return
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                # It cannot be pickled; nor can the type of an error, perhaps.
                if isinstance(answer, Failure):
                    answer = Failure(RuntimeError, answer.text)
                else:
                    answer = _failure(error, self._setup.id)


def _failure(error: Exception, worker: int) -> Failure:
    trace = "".join(traceback.format_exception(error))
    name = type(error).__name__
    text = f"Caught {name} in DataLoader worker process {worker}.\nOriginal {trace}"
    # StopIteration would end the loop over the batches as if there were no more.
    return Failure(RuntimeError if isinstance(error, StopIteration) else type(error), text)
