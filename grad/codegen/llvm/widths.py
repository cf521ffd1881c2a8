"""How wide a vector loop is written: how many lanes, in how many registers; and what it carries.

`loops.py` asks. A vector holds as many elements as one register has of the widest type in the
loop, and is several registers long where the body is short, so that enough operations are under way
at a time. Kernels that are made by hand ask how many registers there are.
"""

from __future__ import annotations

from grad.kernel.ir import Accumulate, Declare, Let, Load, Loop, Running
from grad.kernel.walk import is_dear, statements_in


def vector_registers(features: frozenset[str]) -> int:
    """How many vector registers a processor with these features has."""
    return 32 if "avx512f" in features or "neon" in features else 16


def lane_count(loop: Loop, vector_bytes: int) -> int:
    """Lanes of one register for the widest type that the loop loads or computes."""
    widest = 2
    for statement in statements_in(loop.body):
        if isinstance(statement, Load | Let | Declare):
            # Floats of 16 bits are computed in float32.
            least = 4 if statement.dtype.kind == "f" else 1
            widest = max(widest, least, statement.dtype.itemsize)
    return max(vector_bytes // widest, 2)


def registers(loop: Loop) -> int:
    """How many registers long a vector is: more where the body is short.

    Running sums wait for the vector before in any case, and cost more in longer ones.
    """
    body = list(statements_in(loop.body))
    if any(isinstance(s, Running) for s in body):
        return 1
    if is_dear(loop):  # which keeps the units busy on one or two registers
        return 2 if len(body) <= 12 else 1
    return 4 if len(body) <= 14 else 2 if len(body) <= 40 else 1


def accumulated(loop: Loop) -> list[int]:
    """The accumulators that the loop changes and does not declare."""
    inside = list(statements_in(loop.body))
    declared = {s.value for s in inside if isinstance(s, Declare)}
    changed = [s.accumulator for s in reversed(inside) if isinstance(s, Accumulate | Running)]
    return [a for a in dict.fromkeys(changed) if a not in declared]
