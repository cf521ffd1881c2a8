"""Cut a matrix product into pieces of work, by its shape and for the cores of the machine.

A piece of a tiled product is a block of row tiles times a block of columns, which is cut in panels
of its own. Blocks differ by one vector, or by one panel where more narrow panels would cost more
than the threads wait for each other. A piece packs its own part of B (and of A, if that is packed)
or brings it near, so pieces must be large enough to pay for that, and there should be as many as
keep two, four or eight threads equally busy. `cut` weighs one against the other by an estimate of
cycles. `plan.py` decides on tiles and packing before, and takes `even_blocks` for vector products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product

from grad.codegen.llvm.contraction.places import ROWS_IN_PIECE, Places
from grad.codegen.llvm.contraction.problem import Problem, ceil_div
from grad.graph.sizes import hint

PIECES = 32  # enough for 8 threads that do not run evenly; half as many where each packs
PIECE_OPERATIONS = 600_000  # of the smallest piece: 4 us, of which handing it over takes 1
THREADS = (1, 2, 4, 8)  # that should be equally busy, where there are as many cores
UNEVEN = 0.35  # of a piece that a thread waits for others, which run slower, at the end

# Cycles of one vector: of a multiply-add, of packing, and of bringing near what is read in place.
MULTIPLY_ADD = 0.5
PACKING_A, PACKING_B = 14, 14
PACKING_IN_TILES = 5
READING_A, READING_B = 5, 4
PIECE_CYCLES = 500
# Vectors of a panel, at most, of a B that lies near, packed or small: what to choose from, by the
# number of vector registers.
NEAR_WIDTHS: Mapping[int, tuple[int, ...]] = {32: (3, 4), 16: (2,)}
# Vectors that are loaded or broadcast in a cycle, by the number of vector registers, and cycles
# that a step of k takes besides, and for each vector of a row of B that comes from the second-level
# cache. An Ice Lake processor loads one register of 512 bits a cycle: steps of 14 x 1 took 15.3
# cycles, 9 x 2 11.8, 14 x 2 17.1, 6 x 4 12.7, 9 x 3 14.3; of packed panels 0.3 to 0.7 more.
LOADS: Mapping[int, float] = {32: 1, 16: 2}
STEP_CYCLES, CYCLES_OF_B = 0.75, 0.15


@dataclass(frozen=True, slots=True)
class RowTiles:
    """Row tiles of a product: sizes, the larger first, how many, how many of the larger size."""

    heights: tuple[int, ...]
    tiles: int
    large_tiles: int


@dataclass(frozen=True, slots=True)
class ColumnBlocks:
    """Blocks of the columns of a product.

    Attributes:
        count: how many. unit: vectors that stay in one block, 1 or those of a panel.
        widths: sizes of panels in vectors, the larger first.
        panels: of a block, at most. all_panels: of all blocks.
    """

    count: int
    unit: int
    widths: tuple[int, ...]
    panels: int
    all_panels: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Row tiles, in how many blocks, `tiles` in a block at most; and the blocks of columns."""

    rows: RowTiles
    row_blocks: int
    tiles: int
    columns: ColumnBlocks


def busy_threads(problem: Problem) -> list[int]:
    """Numbers of threads that should be equally busy."""
    return [count for count in THREADS if count <= max(problem.cores, 2)]


def cut(
    problem: Problem,
    widths: Sequence[int],
    row_tiles: Callable[[int], Sequence[RowTiles]],
    places: Places,
    pieces: int,
) -> Cut:
    """The best cut. Blocks of rows differ by one tile at most, of columns by a vector or a panel.

    The block of B fills half the second-level cache at most. There are at most `pieces` pieces,
    half as many with packing, unless a batch has more. Where tiles can pack B, those of one block
    of all rows do it on their way.

    Args:
        widths: vectors of a panel, at most: what to choose from.
        row_tiles: tiles that go with panels of so many vectors.
    """
    batch = max(1, problem.batch)
    threads = busy_threads(problem)
    pieces = pieces // 2 if places.pack_a or places.pack_b else pieces
    most = max(ceil_div(min(pieces, problem.operations // PIECE_OPERATIONS), batch), 1)

    def cost(found: Cut) -> float:
        count = found.row_blocks * found.columns.count * batch
        largest, average = _cycles(problem, found, places)
        middle = (largest + average) / 2
        total = 0.0
        for busy in threads:
            each = largest if count % busy else middle
            total += busy * (ceil_div(count, busy) * each + (largest * UNEVEN if busy > 1 else 0))
        return total

    cuts = (_cuts(problem, widest, row_tiles, places, most) for widest in widths)
    return min(chain.from_iterable(cuts), key=cost)


def _cuts(
    problem: Problem,
    widest: int,
    row_tiles: Callable[[int], Sequence[RowTiles]],
    places: Places,
    most: int,
) -> Iterator[Cut]:
    """All cuts in `most` blocks, or as few more as the caches allow."""
    vectors = problem.vectors
    panels = ceil_div(vectors, widest)
    panel_bytes = max(1, hint(places.depth) * widest * problem.lanes * problem.size)
    cached = max(1, problem.l2_bytes // 2 // panel_bytes)
    least_columns = ceil_div(panels, cached) if places.pack_b else 1
    least_rows = max(1, ceil_div(problem.m, ROWS_IN_PIECE))
    most_columns = min(max(most // least_rows, least_columns), panels)
    for count, unit in product(range(least_columns, most_columns + 1), sorted({1, widest})):
        columns = column_blocks(vectors, count, unit, widest)
        if columns is None:
            continue
        for tiles in row_tiles(columns.widths[0]):
            least = min(least_rows, tiles.tiles)
            for rows in range(least, min(max(most // count, least), tiles.tiles) + 1):
                yield Cut(tiles, rows, ceil_div(tiles.tiles, rows), columns)


def column_blocks(vectors: int, count: int, unit: int, widest: int) -> ColumnBlocks | None:
    """`count` blocks, with as few panels as go into each; None where these would differ by more
    than one vector.
    """
    units = ceil_div(vectors, unit)
    ends = [min((number + 1) * units // count * unit, vectors) for number in range(count)]
    blocks = [end - start for start, end in zip((0, *ends), ends, strict=False)]
    width = ceil_div(max(blocks), ceil_div(max(blocks), widest))
    panels = [ceil_div(block, width) for block in blocks]
    if any(number * (width - 1) > block for number, block in zip(panels, blocks, strict=True)):
        return None
    even = all(block % width == 0 for block in blocks)
    widths = (width,) if even else (width, width - 1)
    return ColumnBlocks(count, unit, widths, max(panels), sum(panels))


def _cycles(problem: Problem, found: Cut, places: Places) -> tuple[float, float]:
    """About how many cycles the largest piece takes, and a piece on the average."""
    columns, tiles, heights = found.columns, found.tiles, found.rows.heights
    packing = PACKING_IN_TILES if places.in_tiles and found.row_blocks == 1 else PACKING_B
    for_a = (PACKING_A if places.pack_a else READING_A) / problem.lanes
    for_b = packing if places.pack_b else READING_B
    wider, narrower = columns.widths[0], columns.widths[-1]

    def cycles(tiles: float, rows: float, vectors: float, panels: float) -> float:
        wide = vectors - panels * narrower
        steps = wide * step_cycles(problem, rows / tiles, wider)
        steps += (panels - wide) * step_cycles(problem, rows / tiles, narrower)
        return problem.k * (tiles * steps + rows * for_a + vectors * for_b) + PIECE_CYCLES

    units = ceil_div(problem.vectors, columns.unit)
    largest = cycles(
        tiles,
        tiles * heights[-1] + min(tiles, found.rows.large_tiles),
        min(ceil_div(units, columns.count) * columns.unit, problem.vectors),
        columns.panels,
    )
    blocks = found.row_blocks
    average = cycles(
        found.rows.tiles / blocks,
        problem.m / blocks,
        problem.vectors / columns.count,
        columns.all_panels / columns.count,
    )
    return largest, average


def step_cycles(problem: Problem, rows: float, width: int) -> float:
    """About how many cycles a tile of `rows` rows by `width` vectors takes for a step of k."""
    multiplying = rows * width * MULTIPLY_ADD
    loading = (rows + width) / LOADS[problem.registers]
    return max(multiplying, loading) + STEP_CYCLES + width * CYCLES_OF_B


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
