"""Decide how a Winograd convolution is cut into pieces, and where its parts lie in scratch.

A line is a row of tiles of one image, or a part of it (a band); a piece of work is some lines, one
below the other and of one image after the other, with all or some of the filters. Its transformed
image, ``[tap][tile][channel]``, and the products for one strip of filters,
``[tap][tile][filter]``, stay in the second-level cache, and the strip's weights pass by once. Work
is cut by shape only, never by the number of threads.
`winograd.py` writes the code; `plan.py` is the neighbour for exact sums.
"""

from __future__ import annotations

from dataclasses import dataclass

from grad.codegen.llvm.convolution.padded_copy import Axis, axis_of, balanced, ceil_div
from grad.codegen.llvm.convolution.plan import PIECES, PIXEL_TILES, vectors_of_filters
from grad.graph.windows import Geometry
from grad.kernel.ir_convolution import WEIGHT_PANEL_BYTES, WINOGRAD_TAPS
from grad.kernel.winograd import OUTPUTS

TAPS = WINOGRAD_TAPS**2
FEWEST_TILES = 16  # of a piece, which the weights pass by for
FEWEST_FILTERS = 64  # of a piece, which transforms its image for them
CACHE_LINE = 16  # elements


@dataclass(frozen=True, slots=True)
class WinogradPlan:
    """What the code of a Winograd convolution depends on.

    Attributes:
        element, size, lanes: element type in LLVM's words, its bytes, elements of a vector.
        vectors: of filters in a strip.
        columns: tiles of a line; lines: of a piece.
        rows: tiles that the innermost products go over at once.
        in_block: strips of filters of a piece.
    """

    sizes: Geometry
    element: str
    size: int
    lanes: int
    axes: tuple[Axis, Axis, Axis]
    vectors: int
    columns: int
    lines: int
    rows: int
    in_block: int

    @property
    def filters(self) -> int:
        """Filters of a strip."""
        return self.vectors * self.lanes

    @property
    def tile_rows(self) -> int:
        return ceil_div(self.sizes.out[1], OUTPUTS)

    @property
    def bands(self) -> int:
        """Lines of a row of tiles."""
        return ceil_div(ceil_div(self.sizes.out[2], OUTPUTS), self.columns)

    @property
    def all_lines(self) -> int:
        return self.sizes.images * self.tile_rows * self.bands

    @property
    def pieces(self) -> int:
        return ceil_div(self.all_lines, self.lines)

    @property
    def strips(self) -> int:
        return ceil_div(self.sizes.filters, self.filters)

    @property
    def blocks(self) -> int:
        return ceil_div(self.strips, self.in_block)

    @property
    def width(self) -> int:
        """Output positions of a line, along a row."""
        return min(self.columns * OUTPUTS, self.sizes.out[2])

    # -- scratch, in elements ----------------------------------------------------------------------
    @property
    def image_row(self) -> int:
        """Vectors of one of the six rows that a line meets."""
        return self.columns * OUTPUTS + WINOGRAD_TAPS - OUTPUTS

    @property
    def output_row(self) -> int:
        """Vectors of one of the four rows of a line's results."""
        return self.columns * OUTPUTS + self.lanes

    @property
    def tiles(self) -> int:
        """Tiles of a piece, and what the last of the innermost products go over beside them."""
        return ceil_div(self.lines * self.columns, self.rows) * self.rows

    @property
    def channel_row(self) -> int:
        """From one tile of the transformed image to the next."""
        return odd_lines(ceil_div(self.sizes.channels, self.lanes) * self.lanes)

    @property
    def image_plane(self) -> int:
        return odd_lines(self.tiles * self.channel_row)

    @property
    def product_plane(self) -> int:
        return odd_lines(self.tiles * self.filters)

    @property
    def stage_row(self) -> int:
        """From one filter of the stage to the next."""
        return odd_lines(OUTPUTS * self.width + self.lanes)

    @property
    def residue(self) -> int:
        """All of the stage, which holds a vector of filters: there is one residue."""
        return self.lanes * self.stage_row

    @property
    def parts(self) -> tuple[int, ...]:
        """Elements of rows of the image, of the transformed image, the products, the results and
        the stage."""
        image_rows = (WINOGRAD_TAPS * self.image_row + self.lanes) * self.lanes
        outputs = OUTPUTS * self.output_row * self.lanes
        planes = (TAPS * self.image_plane, TAPS * self.product_plane)
        return image_rows, *planes, outputs, self.residue

    @property
    def scratch_bytes(self) -> int:
        return sum(odd_lines(part) for part in self.parts) * self.size

    @property
    def items(self) -> int:
        return self.sizes.groups * self.pieces * self.blocks

    # -- the weight --------------------------------------------------------------------------------
    @property
    def panel(self) -> int:
        """Filters in a panel of the stored weight."""
        return WEIGHT_PANEL_BYTES // self.size

    @property
    def panels(self) -> int:
        return ceil_div(self.sizes.filters, self.panel)


def odd_lines(elements: int) -> int:
    """At least so many elements, an odd number of cache lines: what lies so far apart spreads over
    the sets of the caches."""
    return (ceil_div(elements, CACHE_LINE) | 1) * CACHE_LINE


def make_winograd_plan(
    g: Geometry, element: str, size: int, *, lanes: int, registers: int, l2_bytes: int
) -> WinogradPlan:
    vectors = vectors_of_filters(g.filters, registers, lanes, wide=False)
    across = ceil_div(g.out[2], OUTPUTS)
    channels = ceil_div(g.channels, lanes) * lanes
    tile_bytes = TAPS * size * (channels + vectors * lanes)
    most = max(l2_bytes * 3 // 4 // tile_bytes, 2 * FEWEST_TILES)
    columns = balanced(across, most)
    bands = ceil_div(across, columns)
    all_lines = g.images * ceil_div(g.out[1], OUTPUTS) * bands
    wanted = max(all_lines * g.groups * columns // PIECES, FEWEST_TILES)
    lines = balanced(all_lines, max(min(most, wanted) // columns, 1))
    strips = ceil_div(g.filters, vectors * lanes)
    pieces = ceil_div(all_lines, lines) * g.groups
    blocks = max(min(ceil_div(PIECES, pieces), g.filters // FEWEST_FILTERS), 1)
    return WinogradPlan(
        g, element, size, lanes, (axis_of(g, 0), axis_of(g, 1), axis_of(g, 2)), vectors,
        columns, lines, balanced(lines * columns, PIXEL_TILES[registers][vectors]),
        ceil_div(strips, blocks),
    )  # fmt: skip
