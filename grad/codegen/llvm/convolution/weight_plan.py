"""Decide how the gradient of a convolution's weight is computed.

`weight.py` writes the code of a plan; `padded_copy.py` has the axes and the copy that both
directions share.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.codegen.llvm.convolution.padded_copy import Axis, PaddedCopy, balanced
from grad.codegen.llvm.convolution.plan import (
    GRAIN_OPERATIONS,
    PIXEL_TILES,
    meets_its_own,
    vectors_of_filters,
)
from grad.graph.sizes import hint, is_fixed
from grad.graph.windows import Geometry

PIECES = 16  # of a weight's gradient, where its sizes allow
CHANNELS_IN_PIECE = 16  # at least, as each piece packs the output's gradient again
ALIASING_BYTES = 4096
BAND_BYTES = 1 << 19  # at most, of the image and the gradient: the partial sums pass by them


@dataclass(frozen=True, slots=True)
class WeightPlan:
    """What the code of a weight's gradient depends on.

    Attributes:
        blocks, images: blocks of images, and images of one; 0 if the number of all is open: they
            are dealt out then, and a block may have none.
        pieces, channels: pieces that the channels are cut in, and channels of one.
        tile_channels: channels of a tile; rows: (channel, offset in the copy, tap number) of each
            of its rows, from where the tile begins.
        starts: (offset in the copy, tap number) at which a tile is run, for each channel.
        target_row: elements from row to row of the partial sums.
        in_place: the image is read where it is, without a copy; channel, row: elements from
            channel to channel and from row to row of what is read.
        dot: lanes run along a row of positions, and `vectors` filters are taken at a time; else
            lanes are filters.
    """

    sizes: Geometry
    element: str
    lanes: int
    vectors: int
    copy: PaddedCopy
    blocks: int
    images: int
    pieces: int
    channels: int
    tile_channels: int
    rows: tuple[tuple[int, int, int], ...]
    starts: tuple[tuple[int, int], ...]
    target_row: int
    dot: bool
    in_place: bool
    channel: int
    row: int

    @property
    def size(self) -> int:
        return 4 if self.element == "float" else 8

    @property
    def panel(self) -> int:
        return self.vectors if self.dot else self.vectors * self.lanes

    @property
    def panels(self) -> int:
        return -(-self.sizes.filters // self.panel)

    @property
    def has_narrow_panel(self) -> bool:
        """Whether the last panel does with half the vectors."""
        left = self.sizes.filters % self.panel
        return not self.dot and self.vectors == 2 and 0 < left <= self.lanes

    @property
    def band_positions(self) -> int:
        return self.copy.rows * self.copy.columns

    @property
    def copy_elements(self) -> int:
        if self.in_place:
            return 0
        # Channels behind the last one are read by the last tile, and never stored.
        room = self.copy.channel * (self.channels + self.tile_channels)
        return -(-(room + self.lanes) // 16) * 16

    @property
    def scratch_bytes(self) -> int:
        packed = 0 if self.dot else self.panels * self.panel * self.band_positions
        elements = self.copy_elements + packed
        return -(-elements * self.size // 64) * 64

    @property
    def items(self) -> int:
        return self.blocks * self.sizes.groups * self.pieces

    @property
    def grain(self) -> int:
        each = max(hint(self.sizes.operations) // max(self.items, 1), 1)
        return max(min(GRAIN_OPERATIONS // each, self.items), 1)


def make_weight_plan(
    g: Geometry,
    axes: tuple[Axis, Axis, Axis],
    element: str,
    blocks: int,
    target_row: int,
    *,
    lanes: int,
    registers: int,
    l2_bytes: int,
    image_steps: tuple[int, int, int],
    gradient_step: int,
) -> WeightPlan:
    """Plan the weight's gradient; `blocks` and `target_row` are as the kernel has laid them out.

    Args:
        image_steps: elements from channel to channel, row to row and column to column of the image.
        gradient_step: elements from column to column of the output's gradient.
    """
    size = 4 if element == "float" else 8
    columns = axes[2].turns
    # Vector operations of either form for a row of positions; loads cost a dot twice as much.
    dot = gradient_step == 1 and (
        2 * g.filters * -(-columns // lanes) < -(-g.filters // lanes) * columns
    )
    if dot:
        vectors = 1 if g.filters % 2 else 2
    else:
        vectors = vectors_of_filters(g.filters, registers, lanes, wide=True)
    wanted = max(PIECES // max(blocks * g.groups, 1), 1)
    channels = max(-(-g.channels // wanted), min(CHANNELS_IN_PIECE, g.channels))
    pieces = -(-g.channels // channels)
    rows_of_copy = axes[1].turns

    def copy_of(rows: int) -> PaddedCopy:
        return PaddedCopy(axes, channels, rows, columns)

    def nbytes(rows: int) -> int:
        return (copy_of(rows).size + rows * columns * g.filters) * size

    while nbytes(rows_of_copy) > min(l2_bytes // 2, BAND_BYTES) and rows_of_copy > 4:
        rows_of_copy = -(-rows_of_copy // 2)
    copy = copy_of(rows_of_copy)
    channel_step, row_step, column_step = image_steps
    in_place = meets_its_own(g) and not dot and column_step == 1
    # Channels that all share few sets of the cache are copied apart.
    in_place = in_place and channel_step * size % ALIASING_BYTES != 0
    together, rows, starts = _tile(g, copy, PIXEL_TILES[registers][vectors])
    images = -(-g.images // blocks) if is_fixed(g.images) else 0
    return WeightPlan(
        g, element, lanes, vectors, copy, blocks, images, pieces, channels,
        together, rows, starts, target_row, dot,
        in_place, channel_step if in_place else copy.channel, row_step if in_place else copy.row,
    )  # fmt: skip


def _tile(
    g: Geometry, copy: PaddedCopy, most: int
) -> tuple[int, tuple[tuple[int, int, int], ...], tuple[tuple[int, int], ...]]:
    """Channels and rows of a tile, of which there are `most`, and where tiles start."""
    axes, channels = copy.axes, copy.channels
    along = [copy.offset(2, tap) for tap in axes[2].classes[0]]
    starts = [
        (copy.offset(0, z) + copy.offset(1, y), (z.number * g.kernel[1] + y.number) * g.kernel[2])
        for z in axes[0].classes[0]
        for y in axes[1].classes[0]
    ]
    if g.taps <= most:
        together = balanced(channels, max(most // g.taps, 1))
        taps = [(s + a, n + x) for s, n in starts for x, a in enumerate(along)]
        rows = [(c, offset, number) for c in range(together) for offset, number in taps]
        starts = [(0, 0)]
    elif len(along) <= most and (channels < 4 or len(along) >= most // 2):
        together = balanced(channels, most // len(along))
        rows = [(c, offset, x) for c in range(together) for x, offset in enumerate(along)]
    else:
        together = balanced(channels, most)
        rows = [(c, 0, 0) for c in range(together)]
        starts = [(s + a, n + x) for s, n in starts for x, a in enumerate(along)]
    return together, tuple(rows), tuple(starts)
