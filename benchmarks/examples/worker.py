"""A library's process for one script: `python -m benchmarks.examples.worker FRAMEWORK THREADS ROW`.

It says when it is ready, then runs the script from the first request on (turns.py has the rest). A
script that fails, or ends by itself, is an answer as well. ../client.py is the other end.
"""

from __future__ import annotations

import json
import os
import sys
import time

from benchmarks.examples.names import SERVE, compiler
from benchmarks.examples.rows import ROWS
from benchmarks.examples.turns import Finished, Turns
from benchmarks.frameworks import FRAMEWORKS, pin
from benchmarks.worker import settle


def main(name: str, threads: int, row: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the script prints is no answer
    pin(threads)
    framework = FRAMEWORKS[name]
    turns = Turns(sys.stdin, answers, settle)
    started = time.perf_counter()
    try:
        compile = compiler(framework.module, framework.compiled)
        SERVE[framework.module](compile, turns.progress)
        print(json.dumps({"import_seconds": time.perf_counter() - started}), file=answers)
        turns.wait()
        ROWS[row].drive(turns, compile)
        raise RuntimeError("the script came to its end while it was timed")
    except Finished:
        pass
    except (Exception, SystemExit) as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
