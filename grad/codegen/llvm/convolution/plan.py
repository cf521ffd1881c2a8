"""Decide how a convolution is computed: what is copied, which tiles, which pieces of work.

A piece of work is one image (and group), or a band of its rows, with all or some of the filters.
The part of the image that a band needs is first copied to scratch with its zeros around it
(`PaddedCopy`), so that a tap is a fixed distance in memory and nothing has to be tested in the
innermost loops; a stride of s becomes s * s interleaved copies, within which neighbours lie side by
side. Where there is nothing to pad, the image is read in place.

`emit.py` writes the code of a plan. Work is cut by shape only, never by the number of
threads, and each result is summed inside one piece, channel by channel and tap by tap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from grad.codegen.llvm.convolution.padded_copy import (
    Axis,
    PaddedCopy,
    axis_of,
    balanced,
    ceil_div,
)
from grad.graph.sizes import hint
from grad.graph.windows import AXES, Geometry
from grad.kernel.ir_convolution import (
    WEIGHT_PANEL_BYTES,
    ConvolutionForm,
)

PIECES = 16  # of a convolution that is large enough: 8 threads that do not run evenly
PIECE_OPERATIONS = 500_000  # smallest piece worth cutting off
GRAIN_OPERATIONS = 250_000
ROWS_IN_BAND = 4  # at least, as each band copies the rows around it again
COLUMNS_IN_BAND = 64
# The stage holds so many, and they are stored together: many at once would wait for memory.
CHUNK_POSITIONS = 112
# As many while a block of the weight stays in the first-level cache: their sums wait meanwhile.
WAITING_POSITIONS = 192
BAND_BYTES = 1 << 18  # at most: the weight, and what memory sends and takes, pass by the copy
# Positions that are not a fixed distance apart take a register for addresses each.
MOST_ADDRESSES = 8

# With these a row of weights serves so few products that it has to come from the first-level cache.
FEW_REGISTERS = 16

CHANNELS_TOGETHER = 4  # channels of a pointwise convolution in one turn

# Filters of a tile whose rows are filters -> vectors of positions, by the vector registers.
FILTER_TILES: Mapping[int, Mapping[int, int]] = {
    32: {1: 8, 2: 8, 3: 8, 4: 6, 5: 5, 6: 4},
    16: {1: 6, 2: 5, 3: 3, 4: 2},
}
# Positions of a tile whose rows are positions, by the vectors of filters beside each other.
PIXEL_TILES: Mapping[int, Mapping[int, int]] = {
    32: {1: 14, 2: 14, 4: 6},
    16: {1: 6, 2: 6},
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the code of a convolution depends on.

    Attributes:
        element, lanes, registers: element type in LLVM's words, elements and number of vector
            registers.
        copy: the padded copy of a band; None: the image is read in place, all of it one row.
        wide, tall: positions of a tile along a row and down (PIXELS).
        filters: filters of a tile; vectors: vector registers side by side in a tile.
        bands: how often an image is cut: (down, across); blocks: into how many pieces the filters
            are.
        in_block: tiles of filters in a block.
        channel: elements from channel to channel, of the copy or of the image read in place.
        channels: as many of them as go over a chunk of positions before the next ones (PIXELS);
            their weights stay in the first-level cache, and unfinished sums in memory.
        across_rows: tiles go on in the next row where one ends (PIXELS).
    """

    sizes: Geometry
    form: ConvolutionForm
    element: str
    lanes: int
    axes: tuple[Axis, Axis, Axis]
    copy: PaddedCopy | None
    rows: int
    columns: int
    wide: int
    tall: int
    filters: int
    vectors: int
    bands: tuple[int, int]
    blocks: int
    in_block: int
    channel: int
    channels: int
    across_rows: bool

    @property
    def size(self) -> int:
        return 4 if self.element == "float" else 8

    @property
    def depth(self) -> int:
        """Elements of the weight for one filter."""
        return self.sizes.channels * self.sizes.taps

    @property
    def panel(self) -> int:
        """Filters in a panel of the stored weight (PIXELS)."""
        return WEIGHT_PANEL_BYTES // self.size

    @property
    def pixels(self) -> bool:
        return self.form is ConvolutionForm.PIXELS

    @property
    def has_narrow_tile(self) -> bool:
        """Whether the last tile of filters does with half the vectors (PIXELS)."""
        left = self.sizes.filters % self.filters
        return self.pixels and self.vectors == 2 and 0 < left <= self.lanes

    @property
    def tile(self) -> int:
        """Positions of a tile."""
        return self.wide * self.tall if self.pixels else self.vectors * self.lanes

    @property
    def in_runs(self) -> bool:
        """Whether the positions of a band are one run, whose tiles do not stop at rows."""
        return self.copy is None or self.across_rows

    @property
    def joined(self) -> bool:
        """Whether the outputs of a band lie side by side in memory."""
        across, down = self.axes[2], self.axes[1]
        return across.spread == down.spread == 1 and self.columns >= across.turns

    @property
    def chunk(self) -> int:
        """Turns of a chunk, the positions that are summed and then finished together: along the
        run, or rows (PIXELS)."""
        whole = self.channels >= self.sizes.channels
        positions = CHUNK_POSITIONS if whole else WAITING_POSITIONS
        if self.in_runs:
            return max(positions // self.tile, 1) * self.tile
        return max(positions // (self.columns * self.tall), 1) * self.tall

    @property
    def stage_line(self) -> int:
        """Elements of the stage from one row of the band to the next (PIXELS, not in runs)."""
        if self.joined:
            return self.columns
        return ceil_div(self.columns, self.wide) * self.wide + self.lanes

    @property
    def chunk_tiles(self) -> int:
        if self.in_runs:
            return self.chunk // self.tile
        return ceil_div(self.columns, self.wide) * (self.chunk // self.tall)

    @property
    def stage_row(self) -> int:
        """Elements of the stage (where finished sums wait for the epilogue) for one filter: an odd
        number of cache lines. Tiles store whole vectors, and the last one of an image that is read
        in place begins before its chunk."""
        if self.in_runs or self.pixels:
            chunk = self.chunk if self.in_runs else self.chunk * self.stage_line
            return (ceil_div(chunk + 2 * self.tile + self.lanes, 16) | 1) * 16
        assert self.copy is not None
        flat = (self.rows - 1) * self.copy.row + self.columns
        return ceil_div(flat, self.tile) * self.tile

    @property
    def waiting(self) -> int:
        """Elements for the unfinished sums of a chunk."""
        if self.channels >= self.sizes.channels:
            return 0
        return self.chunk_tiles * self.axes[2].spread * self.tile * self.filters

    @property
    def residue(self) -> int:
        """Elements of the stage for one residue of the positions along a row."""
        return self.stage_row * self.filters

    @property
    def copy_elements(self) -> int:
        """The copy, and what tiles at its end read behind it."""
        if self.copy is None:
            return 0
        rows = self.tall + ceil_div(self.tile, self.columns)
        behind = self.copy.row * rows + self.tile + self.copy.axes[2].reach + self.lanes
        return ceil_div(self.copy.size + behind, 16) * 16

    @property
    def scratch_bytes(self) -> int:
        stage = self.residue * self.axes[2].spread
        elements = self.copy_elements + stage + self.waiting + self.lanes
        return ceil_div(elements * self.size, 64) * 64

    @property
    def items(self) -> int:
        g = self.sizes
        if not (g.filters and g.positions):
            return 0
        return g.images * g.groups * self.axes[0].turns * math.prod(self.bands) * self.blocks

    @property
    def grain(self) -> int:
        items = hint(self.items)
        each = max(hint(self.sizes.operations) // max(items, 1), 1)
        return max(min(GRAIN_OPERATIONS // each, items), 1)


def make_plan(
    g: Geometry,
    form: ConvolutionForm,
    element: str,
    *,
    lanes: int,
    registers: int,
    l1_bytes: int,
    l2_bytes: int,
    column_step: int,
    channel_step: int,
) -> Plan:
    """Plan the convolution `g`.

    Args:
        column_step, channel_step: elements from column to column of the image, and from channel to
            channel.
    """
    axes = (axis_of(g, 0), axis_of(g, 1), axis_of(g, 2))
    size = 4 if element == "float" else 8
    in_place = column_step == 1 and is_pointwise(g)
    if form is ConvolutionForm.PIXELS:
        # Images that are read in place, and sums of few taps, want more positions than filters.
        wide = not in_place and g.spread == (1,) * AXES
        vectors = vectors_of_filters(g.filters, registers, lanes, wide)
        filters = vectors * lanes
    else:
        filters = balanced(g.filters, max(FILTER_TILES[registers]))
        vectors = FILTER_TILES[registers][filters]
    pixels = form is ConvolutionForm.PIXELS
    most = PIXEL_TILES[registers][vectors] if pixels else vectors * lanes
    in_place = in_place and axes[2].turns >= most
    rows, columns, blocks = _bands(g, axes, filters, size, l2_bytes, in_place)
    wide, tall = balanced(columns, most), 1
    if wide < most // 2 and columns == axes[2].turns and axes[1].spread == axes[2].spread == 1:
        tall = max(min(most // max(wide, 1), rows), 1)
    joined = columns == axes[2].turns and axes[1].spread == axes[2].spread == 1
    across_rows = form is ConvolutionForm.PIXELS and joined and not in_place
    across_rows = across_rows and most <= MOST_ADDRESSES
    if across_rows:
        wide, tall = balanced(rows * columns, most), 1
    if form is ConvolutionForm.FILTERS:
        wide, tall = vectors * lanes, 1
    if in_place:
        columns = ceil_div(columns, wide) * wide
    tiles = ceil_div(g.filters, filters)
    in_block = ceil_div(tiles, blocks) if tiles else 1
    copy = None if in_place else PaddedCopy(axes, g.channels, rows, columns)
    return Plan(
        g, form, element, lanes, axes, copy, rows, columns, wide, tall, filters, vectors,
        (ceil_div(axes[1].turns, rows), ceil_div(axes[2].turns, columns)),
        ceil_div(tiles, in_block), in_block, channel_step if copy is None else copy.channel,
        _channels_together(g, filters * size, l1_bytes)
        if form is ConvolutionForm.PIXELS and registers == FEW_REGISTERS
        else g.channels,
        across_rows,
    )  # fmt: skip


def vectors_of_filters(filters: int, registers: int, lanes: int, wide: bool) -> int:
    """Vectors of filters in a tile: two, of which the last tile may leave one; in tiles that may be
    `wide`, the most that divide all of them.
    """
    widest = max(PIXEL_TILES[registers])
    if wide and filters % (widest * lanes) == 0:
        return widest
    return min(2, ceil_div(filters, lanes))


def _channels_together(g: Geometry, row_bytes: int, l1_bytes: int) -> int:
    """Channels whose weights, `row_bytes` for each tap, take half of the first-level cache; as
    many at a time as `CHANNELS_TOGETHER` wants."""
    most = max(l1_bytes // 2 // (max(g.taps, 1) * row_bytes), CHANNELS_TOGETHER)
    equal = balanced(g.channels, most)
    return ceil_div(equal, CHANNELS_TOGETHER) * CHANNELS_TOGETHER


def is_pointwise(g: Geometry) -> bool:
    """Whether each position meets its own element only, and all positions are one row."""
    return meets_its_own(g) and g.out[0] == g.out[1] == 1


def meets_its_own(g: Geometry) -> bool:
    """Whether each position meets the image's element at the same position, and no other."""
    return (
        g.taps == 1
        and g.out == g.image
        and g.before == (0,) * AXES
        and g.stride == g.spread == (1,) * AXES
    )


def _bands(
    g: Geometry, axes: tuple[Axis, Axis, Axis], filters: int, size: int, l2_bytes: int, flat: bool
) -> tuple[int, int, int]:
    """Rows and columns of a band, and the number of blocks of filters."""
    rows, columns = max(axes[1].turns, 1), max(axes[2].turns, 1)
    outer = max(hint(g.images) * g.groups * axes[0].turns, 1)
    wanted = max(min(ceil_div(PIECES, outer), hint(g.operations) // (outer * PIECE_OPERATIONS)), 1)
    budget = l2_bytes // 2 if flat else min(l2_bytes // 2, BAND_BYTES)

    def nbytes() -> int:
        if flat:
            return columns * g.channels * size
        return PaddedCopy(axes, g.channels, rows, columns).size * size

    down = min(wanted, max(rows // ROWS_IN_BAND, 1))
    rows = ceil_div(rows, down)
    while nbytes() > budget and rows > ROWS_IN_BAND:
        rows = ceil_div(rows, 2)
    wanted = ceil_div(wanted, ceil_div(axes[1].turns, rows) if rows else 1)
    if rows == 1 or nbytes() > 2 * budget:
        across = min(wanted, max(columns // COLUMNS_IN_BAND, 1))
        columns = ceil_div(columns, across)
        while nbytes() > budget and columns > COLUMNS_IN_BAND:
            columns = ceil_div(columns, 2)
        wanted = ceil_div(wanted, ceil_div(axes[2].turns, columns) if columns else 1)
    tiles = ceil_div(g.filters, filters)
    return rows, columns, max(min(wanted, tiles), 1)
