"""Decide how a matrix product is computed: which kernel, which tiles, which pieces of work.

`choose` looks at sizes and strides and returns a `Choice` (`structure.py`), from which
`emit.py` emits the code. Three kinds of kernel:

* TILED: a register tile of rows x vectors, blocks of B packed for the second-level cache. Rows are
  cut in tiles whose sizes differ by at most one, columns in blocks and these in panels whose widths
  differ by at most one vector.
* STREAM: few rows times a matrix whose columns are contiguous; reads the matrix once, row by row.
* DOT: few rows times a matrix that is contiguous along k; lanes run along k.

Work is cut (`pieces.py`) by shape and for the cores of the machine, never for the number of
threads, and every output element is computed inside one piece, by the same sum whatever the cut:
results are the same to the bit on any number of threads. `places.py` decides what is packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from grad.codegen.llvm.contraction.pieces import (
    NEAR_WIDTHS,
    PIECES,
    ColumnBlocks,
    Cut,
    RowTiles,
    busy_threads,
    cut,
    even_blocks,
)
from grad.codegen.llvm.contraction.places import DEPTH_LIMIT, ROWS_IN_PLACE, is_far, place
from grad.codegen.llvm.contraction.problem import Problem, ceil_div, round_up
from grad.codegen.llvm.contraction.structure import (
    TILES_PACKED_TOGETHER,
    Choice,
    Contraction,
    Kind,
    Layout,
)
from grad.graph.sizes import hint, is_fixed, least_value

# Rows of the register tile for a panel of so many vectors, by the number of vector registers.
# Accumulators, the vectors of B and one broadcast must fit: a 7 x 4 tile (33 registers) halves the
# speed.
TILE_ROWS: Mapping[int, Mapping[int, int]] = {
    32: {4: 6, 3: 9, 2: 14, 1: 9},
    16: {2: 6, 1: 8},
}
# Where B comes from farther away, tiles of products with up to so many rows are those that read it
# the fewest times: in general, and where rows of B are so many bytes apart, or a multiple, and
# all share one place of the first-level cache.
FEWEST_PASSES_ROWS: Mapping[int, tuple[int, int]] = {32: (23, ROWS_IN_PLACE), 16: (16, 16)}
SHARED_PLACES_BYTES = 4096
MORE_TILES = 4  # than necessary may divide better among threads
TILE_ROWS_WITHOUT_FMA: Mapping[int, int] = {2: 4, 1: 6}  # the product needs registers too

FEW_ROWS = 4  # at most so many rows make a vector product
# Of the second-level cache, for a packed block of B beside the next one: many rows of A, which come
# from farther away for each block, and few.
BLOCK_SHARES = (2, 4)
MANY_ROWS = 256
PIECE_BYTES = 1 << 18  # smallest piece of a vector product, of matrix read
# Columns (of a matrix that lies along k: its rows) in a block of a vector product, unless a piece
# needs more: at least, for runs of a kilobyte, and of a large matrix, for runs of a page.
COLUMNS_OF_BLOCK: Mapping[Kind, tuple[int, int]] = {Kind.STREAM: (240, 1024), Kind.DOT: (32, 128)}
FEWEST_BLOCKS = 4  # of a product that is large enough
LEAST_OPEN = 4  # row tiles, and column panels, of a piece where there may be more than now
READERS = (2, 4)  # threads that should be equally busy; more seldom read faster
GRAIN_OPERATIONS = 500_000


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a search (`search.py`) may decide otherwise in tiled products.

    Attributes:
        depth_limit: elements of k in a block, at most.
        pack_b: whether B is packed where it may be read in place; None lets the rules decide.
        narrow: tiles of one vector less, and of more rows.
        pieces: the number of pieces to aim at.
    """

    depth_limit: int = DEPTH_LIMIT
    pack_b: bool | None = None
    narrow: bool = False
    pieces: int = PIECES


def choose(problem: Problem, tuning: Tuning | None = None) -> Choice:
    """Plan ``out[batch..., m, n] = sum_k A[batch..., m, k] * B[batch..., k, n]``."""
    few_rows = _vector_product_kind(problem)
    flipped = problem.transposed()
    few_columns = _vector_product_kind(flipped)
    if few_rows and (problem.n >= problem.m or not few_columns):
        return _vector_product(problem, few_rows, swapped=False)
    if few_columns:
        return _vector_product(flipped, few_columns, swapped=True)
    return _tiled(problem, tuning or Tuning())


# -- few rows -------------------------------------------------------------------------------------
def _vector_product_kind(problem: Problem) -> Kind | None:
    """STREAM or DOT when `problem` has few rows and a matrix that can be read along a contiguous
    axis."""
    if not 0 < problem.m <= FEW_ROWS or not problem.n or not problem.k:
        return None
    k_stride, column_stride = problem.b_strides[-2:]
    if column_stride == 1 and problem.n >= problem.lanes:
        return Kind.STREAM
    if k_stride == 1 and problem.k >= problem.lanes:
        return Kind.DOT
    return None


def _turns(problem: Problem, kind: Kind) -> int:
    """k-steps (STREAM) or matrix rows (DOT) to take at a time, within the registers."""
    if kind is Kind.STREAM:
        return 8 if problem.m == 1 else 4
    most = {1: 8, 2: problem.registers // 4, 3: problem.registers // 8, 4: problem.registers // 8}[
        problem.m
    ]
    return ceil_div(problem.n, ceil_div(problem.n, most)) if is_fixed(problem.n) else most


def _vector_product(problem: Problem, kind: Kind, *, swapped: bool) -> Choice:
    problem = replace(problem, m=int(problem.m))
    m, n, k, lanes, size = problem.m, problem.n, problem.k, problem.lanes, problem.size
    in_place = problem.a_layout is Layout.K_CONTIGUOUS and not problem.a_computed
    pack_a = kind is Kind.DOT and not in_place
    structure = Contraction(
        problem.element,
        lanes,
        len(problem.batch_sizes),
        kind,
        (m,),
        (_turns(problem, kind),),
        pack_a=pack_a,
        masked=problem.has_partial_vector,
        swapped=swapped,
        a_memory=problem.a_memory,
        b_memory=problem.b_memory,
        a_computed=problem.a_computed,
        b_computed=problem.b_computed,
    )
    typical = problem.typical
    columns = round_up(ceil_div(typical.n, _column_blocks(typical, kind)), lanes)
    if not is_fixed(n):  # blocks keep their size where there are more of them
        columns = max(columns, round_up(COLUMNS_OF_BLOCK[kind][0], lanes))
    blocks = ceil_div(n, columns)
    a_offset = round_up(m * columns * size, 64)
    scratch = a_offset + (round_up(m * round_up(k, lanes) * size, 64) if pack_a else 0)
    arguments = {
        **problem.arguments(),
        "column_blocks": blocks,
        "columns_per_block": columns,
        "scratch_bytes": scratch,
        "a_offset": a_offset,
    }
    grain = max(1, GRAIN_OPERATIONS // (2 * m * hint(k) * hint(columns)))
    return Choice(structure, blocks * problem.batch, grain, scratch, _ordered(structure, arguments))


def _column_blocks(problem: Problem, kind: Kind) -> int:
    """Blocks that the columns of the matrix are cut in."""
    n, lanes = problem.n, problem.lanes
    least, most = COLUMNS_OF_BLOCK[kind]
    wanted = round_up(ceil_div(PIECE_BYTES // problem.b_memory.itemsize, problem.k), lanes)
    blocks = max(ceil_div(n, max(most, wanted)), min(FEWEST_BLOCKS, n // max(least, wanted)), 1)
    vectors = ceil_div(n, lanes)
    return even_blocks(vectors, blocks, n // least, max(1, problem.batch), READERS)


def _ordered(structure: Contraction, arguments: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(arguments[name] for name in structure.argument_names)


# -- register tiles -------------------------------------------------------------------------------
def _balanced(total: int, pieces: int) -> tuple[tuple[int, ...], int, int]:
    """Cut `total` in pieces that differ by at most one.

    Returns the sizes (the larger first), the number of pieces and how many are larger.
    """
    small, larger = divmod(total, pieces)
    return ((small + 1, small) if larger else (small,)), pieces, larger


def _balanced_open(total: int, largest: int) -> tuple[tuple[int, ...], int, int]:
    """The same of an open number: pieces of two sizes, at most `largest`, that any number from the
    example's on can be cut in (of large numbers, almost any).
    """
    # From (size - 1) * (size - 2) on, all numbers are sums of a size and one less.
    enough = max(hint(total), 2 * least_value(total))
    while largest > 2 and (largest - 1) * (largest - 2) > enough:
        largest -= 1
    while largest > 1:
        pieces = ceil_div(total, largest)
        if total >= (largest - 1) * pieces:
            return (largest, largest - 1), pieces, total - (largest - 1) * pieces
        largest -= 1
    return (1,), total, 0


def _widths(problem: Problem, near: bool, narrow: bool) -> list[int]:
    """Vectors of a panel, at most, for a B that is `near` or not: what to choose from. `narrow`
    ones have one less.
    """
    table = _rows_of_tiles(problem)
    widths = [width for width in NEAR_WIDTHS[problem.registers] if width in table]
    shared = problem.b_strides[-2] * problem.size % SHARED_PLACES_BYTES == 0
    if problem.m <= FEWEST_PASSES_ROWS[problem.registers][shared] and not near:
        # Where B is read the fewest times.
        widths = [min(table, key=lambda width: (_passes(problem, width), -width))]
    return [max(width - narrow, 1) for width in widths]


def _rows_of_tiles(problem: Problem) -> Mapping[int, int]:
    roomy = problem.has_fma or problem.registers == 32
    return TILE_ROWS[problem.registers] if roomy else TILE_ROWS_WITHOUT_FMA


def _passes(problem: Problem, width: int) -> int:
    """How often B is read with panels of `width` vectors at most: by each row tile."""
    balanced = ceil_div(problem.vectors, ceil_div(problem.vectors, width))
    return ceil_div(max(1, problem.m), _rows_of_tiles(problem)[balanced])


def _row_tiles(problem: Problem, width: int) -> list[RowTiles]:
    """Row tiles that may do with panels of `width` vectors: the fewest, or some more."""
    m, most_rows = max(1, problem.m), _rows_of_tiles(problem)[width]
    tiles = ceil_div(m, most_rows)
    more = min(tiles + MORE_TILES, ceil_div(m, most_rows - 1), m)
    return [RowTiles(*_balanced(m, count)) for count in range(tiles, max(tiles, more) + 1)]


def _opened(problem: Problem, found: Cut) -> Cut:
    """`found`, for a typical size, for all sizes that are open: blocks are as large, and there are
    more or less of them.
    """
    if not is_fixed(problem.m):
        rows = RowTiles(*_balanced_open(problem.m or 1, found.rows.heights[0]))
        in_block = max(found.tiles, LEAST_OPEN)
        blocks = _open_blocks(rows.tiles, in_block, found.row_blocks, problem)
        found = replace(found, rows=rows, row_blocks=blocks, tiles=in_block)
    if not is_fixed(problem.n):
        columns, width = found.columns, found.columns.widths[0]
        in_block = max(columns.panels, LEAST_OPEN) * width
        blocks = _open_blocks(problem.vectors, in_block, columns.count, problem)
        found = replace(found, columns=_open_columns(problem.vectors, blocks, width))
    return found


def _open_columns(vectors: int, wanted: int, widest: int) -> ColumnBlocks:
    """Blocks of an open number of vectors, `wanted` if that will do, and panels that any number
    like it can be cut in.
    """
    for width in range(widest, 1, -1):
        for count in (wanted, 1):
            # From so many vectors on, all numbers are sums of `width` and one less.
            if vectors // count >= max((width - 1) * (width - 2), 1):
                panels = ceil_div(ceil_div(vectors, count), width)
                return ColumnBlocks(count, 1, (width, width - 1), panels, panels * count)
    return ColumnBlocks(1, 1, (1,), vectors, vectors)


def _open_blocks(total: int, in_block: int, typical: int, problem: Problem) -> int:
    """Blocks of an open number of tiles or vectors: as many for each thread where a `typical`
    number of blocks is.
    """
    threads = max(count for count in busy_threads(problem) if typical % count == 0)
    return ceil_div(total, in_block * threads) * threads


def _tiled(problem: Problem, tuning: Tuning) -> Choice:
    k, lanes = problem.k, problem.lanes
    typical = problem.typical
    places = place(problem, tuning.depth_limit, tuning.pack_b)
    pack_a, pack_b, in_tiles, far, depth = places
    widths = _widths(typical, not far, tuning.narrow)
    if not is_fixed(problem.n):
        widths = widths[:1]  # numbers that are no sum of 4 and 3 would take code of their own
    typical_cut = cut(typical, widths, partial(_row_tiles, typical), places, tuning.pieces)
    found = _opened(problem, typical_cut)
    rows, tiles, columns = found.rows, found.tiles, found.columns
    structure = Contraction(
        problem.element,
        lanes,
        len(problem.batch_sizes),
        Kind.TILED,
        rows.heights,
        columns.widths,
        problem.a_layout,
        problem.b_layout if pack_b else Layout.COLUMN_CONTIGUOUS,
        pack_a,
        pack_b,
        masked=problem.has_partial_vector,
        split_depth=depth < k,
        prefetch=far,
        packing_rows=_packing_rows(in_tiles, found),
        prefetch_rows=not pack_a
        and problem.a_layout is Layout.K_CONTIGUOUS
        and is_far(typical, typical.m * typical.k),
        prefetch_blocks=pack_b and problem.b_layout is Layout.COLUMN_CONTIGUOUS,
        a_memory=problem.a_memory,
        b_memory=problem.b_memory,
        a_computed=problem.a_computed,
        b_computed=problem.b_computed,
    )
    panels = columns.panels
    at_once = _panels_at_once(problem, structure, found, depth)
    arguments = {
        **problem.arguments(),
        "column_blocks": columns.count,
        "panels_at_once": at_once,
        "tiles": rows.tiles,
        "large_tiles": rows.large_tiles,
        "row_blocks": found.row_blocks,
        "tiles_per_block": tiles,
        "vectors": problem.vectors,
        "unit": columns.unit,
        "units": ceil_div(problem.vectors, columns.unit),
        "depth_block": max(1, depth),
        **_scratch(structure, tiles, at_once, depth),
    }
    blocks = found.row_blocks * columns.count
    items = blocks * problem.batch if problem.m and problem.n else 0
    operations = 2 * hint(tiles * panels * k) * rows.heights[0] * columns.widths[0] * lanes
    grain = max(1, GRAIN_OPERATIONS // max(1, operations))
    return Choice(
        structure, items, grain, arguments["scratch_bytes"], _ordered(structure, arguments)
    )


def _packing_rows(in_tiles: bool, found: Cut) -> tuple[int, ...]:
    """Rows of the tiles that pack B on their way: of one block of rows, which begins with a large
    tile, or of several, which begin with any.
    """
    if not in_tiles:
        return ()
    heights = found.rows.heights
    one_block = is_fixed(found.row_blocks) and found.row_blocks == 1
    return heights[:1] if one_block else heights


def _panels_at_once(problem: Problem, structure: Contraction, found: Cut, depth: int) -> int:
    """Column panels of a block of B: so few that the next block fits beside it, but all of a piece
    where A would be packed again for each block.
    """
    panels = found.columns.panels
    if structure.pack_a or not structure.prefetch_blocks:
        return panels
    rows = hint(found.tiles) * structure.rows[0]
    share = BLOCK_SHARES[rows < MANY_ROWS]
    panel_bytes = max(1, hint(depth) * structure.vectors[0] * structure.lanes * structure.size)
    fitting = max(1, problem.l2_bytes // share // panel_bytes)
    return ceil_div(panels, ceil_div(panels, fitting))


def _scratch(structure: Contraction, tiles: int, panels: int, depth: int) -> dict[str, int]:
    """Where packed B, packed A and partial sums of one piece of work go, and their size."""
    lanes, size = structure.lanes, structure.size
    rows, width = structure.rows[0], structure.vectors[0] * lanes
    # A transpose may write up to `lanes` rows past the end of the last panel.
    b_bytes = round_up((depth * panels + lanes) * width * size, 64) if structure.pack_b else 0
    # The extra vector keeps rows off the same set of the first-level cache.
    packed_row_stride = round_up(depth, lanes) + lanes
    packed_rows = round_up(min(TILES_PACKED_TOGETHER, tiles) * rows, lanes)
    a_bytes = round_up(packed_rows * packed_row_stride * size, 64) if structure.pack_a else 0
    partial_bytes = tiles * rows * panels * width * size if structure.split_depth else 0
    return {
        "a_offset": b_bytes,
        "packed_row_stride": packed_row_stride,
        "partial_offset": b_bytes + a_bytes,
        "scratch_bytes": round_up(b_bytes + a_bytes + partial_bytes, 64),
    }
