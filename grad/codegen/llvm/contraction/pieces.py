"""Cut a tiled matrix product into pieces of work, by its shape alone.

A piece is a block of row tiles times a block of column panels. It packs its own part of B (and of
A, if that is packed), so pieces must be large enough to pay for that, and there should be as many
as keep two, four or eight threads equally busy. `plan.py` decides on tiles, panels and packing
before, and takes `even_blocks` for vector products too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grad.codegen.llvm.contraction.problem import Problem, ceil_div

PIECES = 16  # enough for 8 threads that do not run evenly
PIECE_OPERATIONS = 600_000  # of the smallest piece: 4 us, of which handing it over takes 1
PACKING_PIECE_OPERATIONS = 8_000_000  # the same where each piece packs an operand
ROWS_IN_PIECE = 1024  # at most, so that partial sums of several blocks of k stay near
THREADS = (2, 4, 8)  # that should be equally busy
ROWS_FOR_PACKING_B = 240  # pay for packing a part of B once more
ROWS_IN_PLACE = 24


@dataclass(frozen=True, slots=True)
class Tiling:
    """Row tiles and column panels of a product: sizes, how many, how many of the larger size."""

    heights: tuple[int, ...]
    tiles: int
    large_tiles: int
    widths: tuple[int, ...]
    panels: int
    wide_panels: int


def pieces_of(
    problem: Problem, tiling: Tiling, depth: int, pieces: int, pack_a: bool, pack_b: bool
) -> tuple[int, int]:
    """Row tiles and column panels of one piece of work.

    The block of B fills half the second-level cache at most. Columns are cut first, since a part of
    B belongs to one block of columns, then rows, until there are about `pieces` or packing would no
    longer be paid back by its uses; there may be more where that divides evenly.
    """
    tiles, panels = tiling.tiles, tiling.panels
    panel_columns = tiling.widths[0] * problem.lanes
    cached = problem.l2_bytes // 2 // max(1, depth * panel_columns * problem.size)
    column_blocks = ceil_div(panels, max(1, cached)) if pack_b else 1
    row_blocks = ceil_div(problem.m, ROWS_IN_PIECE)
    least = PACKING_PIECE_OPERATIONS if pack_a or pack_b else PIECE_OPERATIONS
    wanted = ceil_div(min(pieces, problem.operations // least), max(1, problem.batch))
    least_panels = ceil_div(_least_columns(tiles, panel_columns, pack_a, pack_b), panel_columns)
    least_rows = ROWS_FOR_PACKING_B if pack_b else ROWS_IN_PLACE
    most_columns, most_rows = panels // least_panels, problem.m // least_rows
    column_blocks = max(column_blocks, min(ceil_div(wanted, max(1, row_blocks)), most_columns), 1)
    row_blocks = max(row_blocks, min(ceil_div(wanted, column_blocks), most_rows), 1)
    others = max(1, problem.batch)
    threads = [count for count in THREADS if count <= max(wanted * others, THREADS[0])]
    row_blocks = even_blocks(tiles, row_blocks, most_rows, column_blocks * others, threads)
    column_blocks = even_blocks(panels, column_blocks, most_columns, row_blocks * others, threads)
    return ceil_div(tiles, min(row_blocks, tiles)), ceil_div(panels, min(column_blocks, panels))


def even_blocks(total: int, blocks: int, most: int, others: int, threads: Sequence[int]) -> int:
    """About `blocks` blocks of `total`, so many that `threads` are equally busy."""
    candidates = range(blocks, max(blocks, min(2 * blocks - 1, most)) + 1)
    if blocks > 2:  # one less may divide better, and is hardly larger
        candidates = range(blocks - 1, candidates.stop)
    return min(candidates, key=lambda count: _idleness(total, count, others, threads))


def _idleness(total: int, blocks: int, others: int, threads: Sequence[int]) -> float:
    """How long `threads` take for `blocks` blocks of `total`, each `others` times, next to threads
    that never wait; to a tenth, since more blocks cost more."""
    in_block = ceil_div(total, min(blocks, total))
    pieces = ceil_div(total, in_block) * others
    times = [ceil_div(pieces, count) * count * in_block / (total * others) for count in threads]
    return round(sum(times) / len(times), 1)


def _least_columns(tiles: int, panel_columns: int, pack_a: bool, pack_b: bool) -> int:
    """Columns that pay for packing A again and for reading it again."""
    if pack_a:
        return 512 if tiles > 20 else 256
    return 128 if tiles > 8 else panel_columns
