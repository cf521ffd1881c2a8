"""The machine's own limits, as JSON: `python -m benchmarks.limits THREADS`.

What is measured, and how, is in grad/runtime/cpu/limits.py.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.frameworks import pin
from grad.runtime.cpu.limits import memory_rates, operations_rate


def limits(threads: int) -> dict[str, Any]:
    return {
        "operations": operations_rate(threads),
        "read": memory_rates(threads, store=False),
        "copy": memory_rates(threads, store=True),
    }


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    print(json.dumps(limits(int(sys.argv[1]))))
