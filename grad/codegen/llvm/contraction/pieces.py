"""Cut a tiled matrix product into pieces of work, by its shape alone.

A piece is a block of row tiles times a block of column panels. It packs its own part of B (and of
A, if that is packed), so pieces must be large enough to pay for that, and there should be as many
as keep two, four or eight threads equally busy. `plan.py` decides on tiles, panels and packing
before.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.codegen.llvm.contraction.problem import Problem, ceil_div

PIECES = 16  # enough for 8 threads that do not run evenly
PIECE_OPERATIONS = 1_500_000  # of the smallest piece of a large product
PACKING_PIECE_OPERATIONS = 8_000_000  # the same where each piece packs an operand
ROWS_IN_PIECE = 1024  # at most, so that partial sums of several blocks of k stay near
THREADS = (2, 4, 8)  # that should be equally busy
ROWS_FOR_PACKING_B = 240  # pay for packing a part of B once more
ROWS_IN_PLACE = 48


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
    longer be paid back by its uses; there may be more blocks of columns where that divides evenly.
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
    fitting = min(ceil_div(wanted, max(1, row_blocks)), panels // least_panels)
    column_blocks = max(column_blocks, fitting, 1)
    row_blocks = max(row_blocks, min(ceil_div(wanted, column_blocks), problem.m // least_rows), 1)
    most = max(column_blocks, min(2 * column_blocks - 1, panels // least_panels))
    others = ceil_div(tiles, ceil_div(tiles, row_blocks)) * max(1, problem.batch)
    column_blocks = min(
        range(column_blocks, most + 1), key=lambda blocks: _idleness(panels, blocks, others)
    )
    return ceil_div(tiles, min(row_blocks, tiles)), ceil_div(panels, min(column_blocks, panels))


def _idleness(panels: int, blocks: int, others: int) -> float:
    """How long 2, 4 and 8 threads take for `blocks` blocks of panels, each `others` times, in all;
    3 if nobody waits for anybody."""
    in_block = ceil_div(panels, min(blocks, panels))
    pieces = ceil_div(panels, in_block) * others
    return sum(
        ceil_div(pieces, threads) * threads * in_block / (panels * others) for threads in THREADS
    )


def _least_columns(tiles: int, panel_columns: int, pack_a: bool, pack_b: bool) -> int:
    """Columns that pay for packing A again and for reading it again."""
    if pack_a:
        return 512 if tiles > 20 else 256
    return 128 if tiles > 8 else panel_columns
