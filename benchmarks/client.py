"""The parent's end of a worker: start it, ask it, and see it fail without failing.

A worker may be missing its framework, refuse a request, crash or hang. Each is a `Failure` with a
reason, and the next request starts a new process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.frameworks import Framework, missing_tool
from benchmarks.workload import Workload

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
NOT_THERE = frozenset({"AttributeError", "NotImplementedError", "Unsupported"})


class Failure(Exception):
    """Why there is no figure.

    Attributes:
        kind: "not installed", "missing" (the framework lacks the operation), "error", "timeout",
            "crash" or "wrong": the word in the table.
        reason: the whole story.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.kind = kind
        self.reason = reason


class Client:
    """A worker for `framework`, started when it is first asked for something."""

    def __init__(self, framework: Framework, threads: int, cache: str) -> None:
        self.framework = framework
        self.threads = threads
        self.environment = framework.environment(threads, cache)
        self.command = [sys.executable, "-m", "benchmarks.worker", framework.name, str(threads)]
        self.import_seconds = 0.0
        self._process: subprocess.Popen[str] | None = None
        self._errors = Path(cache) / f"{framework.name}.{threads}.stderr"
        self._unavailable: Failure | None = None

    def start(self) -> None:
        """Start the process if it is not running.

        Raises:
            Failure: when the framework cannot be had.
        """
        if self._unavailable:
            raise self._unavailable
        if self._process:
            return
        reason = missing_tool(self.framework)
        if reason:
            self._unavailable = Failure("not installed", reason)
            raise self._unavailable
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                cwd=REPOSITORY,
                env=os.environ | self.environment,
                start_new_session=True,  # compilers that it starts end with it
            )
        ready = self._read(START_SECONDS)
        if "error" in ready:
            self.stop()
            self._unavailable = Failure("not installed", f"{ready['error']}: {ready['message']}")
            raise self._unavailable
        self.import_seconds = ready["import_seconds"]

    def ask(self, do: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """Have the worker do something, and return its answer.

        Raises:
            Failure: when there is none, or when it says so.
        """
        self.start()
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        except BrokenPipeError:
            raise self._crash() from None
        answer = self._read(timeout)
        if "error" in answer:
            kind = "missing" if answer["error"] in NOT_THERE else "error"
            raise Failure(kind, f"{answer['error']}: {answer['message']}")
        return answer

    def prepare(
        self, workload: Workload, sizes: Mapping[str, int], reference: str
    ) -> dict[str, Any]:
        """Load a workload into the worker, call it, and check its results if there is a reference.

        Raises:
            Failure: as `ask`.
        """
        arguments = {"workload": workload.name, "sizes": dict(sizes), "reference": reference}
        return self.ask("prepare", self.framework.patience, **arguments)

    def stop(self) -> None:
        """End the process, and those that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()

    def _read(self, timeout: float) -> dict[str, Any]:
        assert self._process and self._process.stdout
        stream = self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            if not selector.select(timeout):
                self.stop()
                raise Failure("timeout", f"no answer within {timeout:.0f} seconds")
        line = stream.readline()
        if not line:
            raise self._crash()
        return json.loads(line)

    def _crash(self) -> Failure:
        assert self._process
        process = self._process
        self.stop()
        last_lines = "\n".join(self._errors.read_text().splitlines()[-10:])
        return Failure("crash", f"the process ended with {process.returncode}: {last_lines}")


def measured_limits(threads: int) -> dict[str, Any]:
    """The machine's limits with `threads` threads, measured in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.limits", str(threads)]
    finished = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, check=True
    )
    return json.loads(finished.stdout)
