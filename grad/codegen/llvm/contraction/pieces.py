"""Cut a matrix product into pieces of work, by its shape and for the cores of the machine.

A piece of a tiled product is a block of row tiles times a block of column panels. It packs its own
part of B (and of A, if that is packed) or brings it near, so pieces must be large enough to pay for
that, and there should be as many as keep two, four or eight threads equally busy. `cut`
weighs one against the other by an estimate of cycles. `plan.py` decides on tiles, panels and
packing before, and takes `even_blocks` for vector products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grad.codegen.llvm.contraction.places import Places
from grad.codegen.llvm.contraction.problem import Problem, ceil_div
from grad.graph.sizes import hint

PIECES = 32  # enough for 8 threads that do not run evenly; half as many where each packs
PIECE_OPERATIONS = 600_000  # of the smallest piece: 4 us, of which handing it over takes 1
ROWS_IN_PIECE = 1024  # at most, so that partial sums of several blocks of k stay near
THREADS = (1, 2, 4, 8)  # that should be equally busy, where there are as many cores
UNEVEN = 0.35  # of a piece that a thread waits for others, which run slower, at the end

# Cycles of one vector: of a multiply-add, of packing, and of bringing near what is read in place.
MULTIPLY_ADD = 0.5
PACKING_A, PACKING_B = 14, 12
PACKING_IN_TILES = 5
READING_A, READING_B = 5, 4
PIECE_CYCLES = 500


@dataclass(frozen=True, slots=True)
class Tiling:
    """Row tiles and column panels of a product: sizes, how many, how many of the larger size."""

    heights: tuple[int, ...]
    tiles: int
    large_tiles: int
    widths: tuple[int, ...]
    panels: int
    wide_panels: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Row tiles and column panels with the numbers of blocks that they are cut in, and how many
    `tiles` and `panels` a block has at most.
    """

    tiling: Tiling
    row_blocks: int
    column_blocks: int
    tiles: int
    panels: int


def busy_threads(problem: Problem) -> list[int]:
    """Numbers of threads that should be equally busy."""
    return [count for count in THREADS if count <= max(problem.cores, 2)]


def cut(
    problem: Problem,
    tilings: Sequence[Tiling],
    places: Places,
    pieces: int,
) -> Cut:
    """The best cut of one of `tilings`. Blocks differ by one tile or one panel at most.

    The block of B fills half the second-level cache at most. There are at most `pieces` pieces,
    half as many with packing, unless a batch has more. Where tiles can pack B, those of one block
    of all rows do it on their way.
    """
    batch = max(1, problem.batch)
    threads = busy_threads(problem)
    pieces = pieces // 2 if places.pack_a or places.pack_b else pieces
    most = max(ceil_div(min(pieces, problem.operations // PIECE_OPERATIONS), batch), 1)

    def cost(found: Cut) -> float:
        count = found.row_blocks * found.column_blocks * batch
        largest, average = _cycles(problem, found, places)
        middle = (largest + average) / 2
        total = 0.0
        for busy in threads:
            each = largest if count % busy else middle
            total += busy * (ceil_div(count, busy) * each + (largest * UNEVEN if busy > 1 else 0))
        return total

    candidates = (found for tiling in tilings for found in _cuts(problem, tiling, places, most))
    return min(candidates, key=cost)


def _cuts(problem: Problem, tiling: Tiling, places: Places, most: int) -> Iterator[Cut]:
    """All cuts in `most` blocks, or as few more as the caches allow."""
    panel_bytes = max(1, hint(places.depth) * tiling.widths[0] * problem.lanes * problem.size)
    cached = max(1, problem.l2_bytes // 2 // panel_bytes)
    least_columns = ceil_div(tiling.panels, cached) if places.pack_b else 1
    least_rows = max(1, min(ceil_div(problem.m, ROWS_IN_PIECE), tiling.tiles))
    for rows in range(least_rows, min(max(most // least_columns, least_rows), tiling.tiles) + 1):
        most_columns = min(max(most // rows, least_columns), tiling.panels)
        for columns in range(least_columns, most_columns + 1):
            in_block = ceil_div(tiling.tiles, rows), ceil_div(tiling.panels, columns)
            yield Cut(tiling, rows, columns, *in_block)


def _cycles(problem: Problem, found: Cut, places: Places) -> tuple[float, float]:
    """About how many cycles the largest piece takes, and a piece on the average."""
    tiling, tiles, panels = found.tiling, found.tiles, found.panels
    packing = PACKING_IN_TILES if places.in_tiles and found.row_blocks == 1 else PACKING_B
    for_a = (PACKING_A if places.pack_a else READING_A) / problem.lanes
    for_b = packing if places.pack_b else READING_B

    def cycles(rows: float, vectors: float) -> float:
        each = rows * vectors * MULTIPLY_ADD + rows * for_a + vectors * for_b
        return problem.k * each + PIECE_CYCLES

    largest = cycles(
        tiles * tiling.heights[-1] + min(tiles, tiling.large_tiles),
        panels * tiling.widths[-1] + min(panels, tiling.wide_panels),
    )
    vectors = tiling.panels * tiling.widths[-1] + tiling.wide_panels
    return largest, cycles(problem.m / found.row_blocks, vectors / found.column_blocks)


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
