"""Worker processes as the caller sees them: started, given orders, listened to, and ended.

`Workers` holds the processes and pipes of one loader's pass, or of all its passes if the workers
are persistent. What runs in them is in worker.py. They end when `close` is called, when nobody
holds the `Workers` any more, and when the caller's process ends, however it does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from grad.utils.data.channel import Incoming, Message
from grad.utils.data.worker import Begin, Order, Setup, open_ends, work

# How long a worker may take to end by itself: it is in the middle of a batch, perhaps.
SECONDS_TO_END = 2.0


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    incoming: Incoming


class Workers:
    """The processes of a loader.

    Args:
        setup: what the first worker is started with; the others have the numbers after its `id`.
        context: of `multiprocessing`, which decides how processes are started.
        timeout: seconds to wait for a batch; 0 waits for ever.
    """

    def __init__(self, setup: Setup, context: Any, timeout: float = 0) -> None:
        self._workers: list[_Worker] = []
        self._timeout = timeout
        self._end = weakref.finalize(self, _end, self._workers, os.getpid())
        try:
            for number in range(setup.num_workers):
                self._workers.append(_started(replace(setup, id=number), context))
        except BaseException:
            self.close()
            raise

    @property
    def processes(self) -> list[BaseProcess]:
        """The processes, for those who want to look at them."""
        return [worker.process for worker in self._workers]

    def begin(self, pass_number: int) -> None:
        """A new pass over the data: orders of the one before are not wanted any more."""
        for worker in range(len(self._workers)):
            self._send(worker, Begin(pass_number))

    def order(self, worker: int, pass_number: int, number: int, entry: Any) -> None:
        """Have `worker` make batch `number` of a pass."""
        free = self._workers[worker].incoming.take_read()
        self._send(worker, Order(pass_number, number, entry, free))

    def _send(self, worker: int, order: Begin | Order) -> None:
        # A worker that has died is reported when its turn comes: what it sent before is still good.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._workers[worker].incoming.connection.send(order)

    def receive(self, among: Sequence[int]) -> tuple[Incoming, Message]:
        """The next message of one of these workers.

        Raises:
            RuntimeError: one of them has died, or none has answered in time.
        """
        ends: dict[Any, int] = {
            self._workers[number].incoming.connection: number for number in among
        }
        deaths: dict[Any, int] = {
            self._workers[number].process.sentinel: number for number in among
        }
        ready = wait([*ends, *deaths], self._timeout or None)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        # What a worker sent before it died is still good.
        for end in ready:
            if end in ends:
                incoming = self._workers[ends[end]].incoming
                try:
                    return incoming, incoming.receive()
                except (EOFError, OSError):
                    self._died(ends[end])
        self._died(deaths[ready[0]])

    def _died(self, number: int) -> NoReturn:
        """Raises the error that says how `worker` ended."""
        process = self._workers[number].process
        process.join(SECONDS_TO_END)
        code, pid = process.exitcode, process.pid
        self.close()
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                raise RuntimeError(
                    f"DataLoader worker (pid {pid}) is killed by signal: {name}. "
                    "If it is SIGKILL, the system may have been out of memory; num_workers=0 loads "
                    "in the caller's process."
                ) from None
        raise RuntimeError(
            f"DataLoader worker (pid(s) {pid}) exited unexpectedly, with exit code {code}; "
            "num_workers=0 loads in the caller's process and may show why."
        ) from None

    @property
    def closed(self) -> bool:
        return not self._end.alive

    def close(self) -> None:
        """End the processes. To do so twice is harmless."""
        self._end()


def _started(setup: Setup, context: Any) -> _Worker:
    ours, theirs = context.Pipe(duplex=True)
    open_ends.add(ours)
    try:
        process = context.Process(
            target=work, args=(setup, theirs), daemon=True, name=f"DataLoader worker {setup.id}"
        )
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Worker(process, Incoming(ours))


def _end(workers: list[_Worker], owner: int) -> None:
    """End the processes: by themselves in `SECONDS_TO_END`, or else by signals."""
    for worker in workers:
        worker.incoming.close()  # which tells the worker
    if os.getpid() != owner:
        return  # a copy in a forked process, which has no workers
    deadline = time.monotonic() + SECONDS_TO_END
    for end in (None, BaseProcess.terminate, BaseProcess.kill):
        for worker in workers:
            if end is not None and worker.process.is_alive():
                end(worker.process)
        for worker in workers:
            worker.process.join(max(deadline - time.monotonic(), 0.0))
        deadline = time.monotonic() + SECONDS_TO_END
