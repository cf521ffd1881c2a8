"""Decide how a recurrence is computed: which code, how many sequences make a piece of work.

A piece takes its sequences through all steps on its own, with the weight packed in its scratch, so
threads never wait for each other. Everything follows from shapes and the machine, never from the
number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.instructions import element_type
from grad.codegen.llvm.recurrence.structure import ELEMENT_BYTES, Choice, Code
from grad.codegen.llvm.widths import vector_registers
from grad.graph.sizes import hint, is_fixed
from grad.kernel.ir import Recurrence, Rows

ALIGNMENT = 64
PIECES = 16  # enough for 8 threads that do not run evenly
# Fewer sequences than so many would not pay for packing the weight and reading it at each step: of
# a small batch, of a larger one, and where the weight is dear: the second-level cache does not hold
# it, or it is packed for a few steps only.
LEAST_ROWS, LEAST_OF_MANY, LEAST_OF_DEAR = 4, 8, 16
SMALL_BATCH = 16
FEW_STEPS = 4
LONGEST_PIECE = 48  # whose states and gates stay in the nearer caches
# Reading a vector of the weight from the second-level cache takes as long as so many rows of it.
ROWS_OF_READING = 4
# Vectors of a register tile by its rows, for 32 and for 16 registers: sums, the vectors of a row
# of the weight, and one number take up to all of them.
TILES: Mapping[int, Mapping[int, int]] = {
    32: {1: 8, 2: 8, 4: 6, 6: 4, 8: 3},
    16: {1: 6, 2: 4, 4: 2, 6: 2},
}


def choose(s: Recurrence, features: frozenset[str], vector_bytes: int, l2_bytes: int) -> Choice:
    """The code for `s`, and its integers."""
    operands, results = dict(s.operands), dict(s.results)
    element = element_type(s.dtype)
    lanes = vector_bytes // ELEMENT_BYTES[element]
    registers = vector_registers(features)
    batch = s.how.batch
    gates, hidden = operands["weight"].shape
    sequence = operands["slope" if "slope" in operands else "projected"]
    steps = 1 if len(sequence.shape) == 2 else sequence.shape[0]
    if "starts" in operands:
        steps = operands["starts"].shape[0] - 1
    far = gates * hidden * ELEMENT_BYTES[element] > l2_bytes // 2
    piece_rows = _piece_rows(batch, far or steps <= FEW_STEPS)
    tile_rows, tile_vectors = _tile(TILES[registers], piece_rows)
    code = Code(
        element,
        lanes,
        tile_rows,
        tile_vectors,
        s.how.kind,
        s.how.backwards,
        tuple(operands),
        tuple(results),
    )
    sizes = {
        "steps": steps,
        "batch": batch,
        "hidden": hidden,
        "gates": gates,
        "piece_rows": piece_rows,
    }
    sizes |= _scratch(code, sizes)
    for name, rows in (*s.operands, *((f"to_{name}", rows) for name, rows in s.results)):
        sizes[f"{name}_step"], sizes[f"{name}_row"] = _strides(rows)
    return Choice(
        code,
        -(-batch // piece_rows),
        sizes["scratch_bytes"],
        tuple(sizes[name] for name in code.integers),
    )


def _piece_rows(batch: int, dear: bool) -> int:
    """Sequences of a piece; `dear`: the weight costs more than what is done with it.

    Where their number is open, pieces keep the size that is best for the example's.
    """
    typical = hint(batch)
    least = LEAST_ROWS if typical <= SMALL_BATCH else LEAST_OF_MANY
    if dear:
        least = LEAST_OF_DEAR
    wanted = min(_up(max(-(-typical // PIECES), 1), least), LONGEST_PIECE)
    if not is_fixed(batch):
        return wanted
    return -(-batch // -(-batch // wanted))  # evened out


def _tile(table: Mapping[int, int], rows: int) -> tuple[int, int]:
    """Rows and vectors of the tile that takes the least time: rows that are computed, or the weight
    that is read once for each tile.
    """

    def price(tile: tuple[int, int]) -> tuple[int, int, int]:
        tiles = -(-rows // tile[0])
        return tiles * max(tile[0], ROWS_OF_READING), tiles * tile[0], -tile[0]

    return min(table.items(), key=price)


def _strides(rows: Rows) -> tuple[int, int]:
    """From step to step, and from row to row."""
    if len(rows.shape) < 2:
        return 0, 0
    return (0, *rows.strides)[-3], rows.strides[-2]


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _scratch(code: Code, sizes: Mapping[str, int]) -> dict[str, int]:
    """Where everything lies in a worker's scratch."""
    rows = _up(sizes["piece_rows"], code.tile_rows)
    # Rows that are a power of two apart share the few places of a cache set.
    state_stride = _up(sizes["hidden"], code.lanes) + code.lanes
    sums_stride = _up(sizes["gates"], code.lanes) + code.lanes
    depth, columns = sizes["hidden"], sizes["gates"]
    if code.is_gradient:
        depth, columns = columns, depth
    slack = code.lanes * code.panel  # a transpose writes up to so much past the end
    pieces = {
        "weight_at": depth * _up(columns, code.panel) + slack,
        "state_at": rows * state_stride,
        "cell_at": rows * state_stride,
        "sums_at": rows * sums_stride,
        "product_at": rows * state_stride if code.is_gradient else 0,
    }
    found, place = {"state_stride": state_stride, "sums_stride": sums_stride}, 0
    for name, elements in pieces.items():
        found[name] = place
        place += _up(elements * code.size, ALIGNMENT) // code.size
    return found | {"scratch_bytes": place * code.size}
