"""What the code of a matrix product depends on, and what it reads at run time.

A `Contraction` is the structure: equal structures have equal text, and share one object file. A
`Choice` adds the run-time integers of one shape, by the names below. `plan.py` makes
them, `emit.py` emits the code, `tile_loops.py`, `microkernel.py`, `packing.py` and
`vector_product.py` are its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from grad.codegen.llvm.conversions import STORAGE
from grad.dtype import DType, dtypes


class Kind(Enum):
    """The three loops that a matrix product may become."""

    TILED = "tiled"
    STREAM = "stream"
    DOT = "dot"


class Layout(Enum):
    """Which axis of a matrix operand has stride one."""

    K_CONTIGUOUS = "k"
    ROW_CONTIGUOUS = "row"
    COLUMN_CONTIGUOUS = "column"
    STRIDED = "strided"


@dataclass(frozen=True, slots=True)
class Contraction:
    """The structure of a matrix product: equal structures have equal code.

    Attributes:
        element: what sums are kept in, a key of `ELEMENT_TYPES`.
        lanes: elements in a vector register.
        batch_rank: number of batch axes.
        kind: the loop that computes it.
        rows: TILED: sizes of the row tiles, the larger first (one or two). Otherwise ``(few,)``:
            the number of rows of the narrow operand.
        vectors: TILED: widths of the column panels in vectors, the larger first (one or two).
            Otherwise ``(turns,)``: k-steps (STREAM) or matrix rows (DOT) taken at a time.
        a_layout, b_layout: how packing reads. In place, A is K_CONTIGUOUS or ROW_CONTIGUOUS, B is
            COLUMN_CONTIGUOUS.
        pack_a, pack_b: whether the operand is copied to scratch before use.
        masked: the number of columns is not a multiple of `lanes`.
        split_depth: k is cut in several blocks, whose partial sums stay in scratch.
        swapped: the narrow operand is B (few columns), so that results are stored one at a time.
        a_memory, b_memory: types of the operands in memory; converted to `element` as they are
            read, which happens while packing in TILED products.
        long_epilogue: the epilogue computes much, so tiles leave their registers before it.
        prefetch: B, read in place, is larger than the nearer caches: its rows are asked for ahead.
        a_computed, b_computed: elements of the operand are computed of those in memory, which
            happens while packing in TILED products.
        packing_rows: numbers of rows that the first row tile of a piece may have where it reads B
            in place and packs it for the others; none where B is packed before, or never.
        prefetch_rows: while a tile is computed, the rows of A of the next one are asked for.
        prefetch_blocks: while a packed block of B is used, the next one is asked for.
    """

    element: str
    lanes: int
    batch_rank: int
    kind: Kind
    rows: tuple[int, ...]
    vectors: tuple[int, ...]
    a_layout: Layout = Layout.K_CONTIGUOUS
    b_layout: Layout = Layout.COLUMN_CONTIGUOUS
    pack_a: bool = False
    pack_b: bool = False
    masked: bool = False
    split_depth: bool = False
    swapped: bool = False
    prefetch: bool = False
    packing_rows: tuple[int, ...] = ()
    prefetch_rows: bool = False
    prefetch_blocks: bool = False
    long_epilogue: bool = False
    a_memory: DType = dtypes.float32
    b_memory: DType = dtypes.float32
    a_computed: bool = False
    b_computed: bool = False

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return ELEMENT_BYTES[self.element]

    @property
    def a_storage(self) -> str:
        """LLVM's type of A's elements in memory."""
        return STORAGE[self.a_memory]

    @property
    def b_storage(self) -> str:
        """LLVM's type of B's elements in memory."""
        return STORAGE[self.b_memory]

    @property
    def argument_names(self) -> tuple[str, ...]:
        """Names of the run-time integers, in the order of their slots."""
        batch = [f"{name}{axis}" for axis in range(self.batch_rank) for name in BATCH_ARGUMENTS]
        own = TILED_ARGUMENTS if self.kind is Kind.TILED else VECTOR_ARGUMENTS
        return (*COMMON_ARGUMENTS, *own, *batch)


@dataclass(frozen=True, slots=True)
class Choice:
    """A structure with the integers of one shape.

    Attributes:
        structure: what to emit.
        items: number of pieces of work; the function takes a range of them.
        grain: pieces that are worth handing to a thread together.
        scratch_bytes: 64-byte aligned scratch that every worker needs (a multiple of 64).
        arguments: integers for the slots after the pointers, ordered as `structure.argument_names`.
    """

    structure: Contraction
    items: int
    grain: int
    scratch_bytes: int
    arguments: tuple[int, ...]


ELEMENT_TYPES = {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "i32": dtypes.int32,
    "i64": dtypes.int64,
}
ELEMENT_BYTES = {element: dtype.itemsize for element, dtype in ELEMENT_TYPES.items()}

# In STREAM and DOT, `a` is the narrow operand, `b` the matrix, `n` the extent of the matrix that is
# cut in blocks.
COMMON_ARGUMENTS = (
    "n",
    "k",
    "a_row_stride",
    "a_k_stride",
    "b_k_stride",
    "b_column_stride",
    "column_blocks",
    "scratch_bytes",
    "a_offset",  # of packed A in scratch, in bytes
)
VECTOR_ARGUMENTS = ("columns_per_block",)
TILED_ARGUMENTS = (
    "tiles",
    "large_tiles",  # tiles with rows[0] rows, the others have one row less
    "row_blocks",
    "tiles_per_block",
    "vectors",  # of all columns
    "unit",  # vectors that are not cut apart
    "units",
    "panels_at_once",  # of a piece of work, in a block of B
    "depth_block",
    "packed_row_stride",  # of packed A
    "partial_offset",  # of partial sums in scratch, in bytes
)
BATCH_ARGUMENTS = ("batch_size", "a_batch_stride", "b_batch_stride")

TILES_PACKED_TOGETHER = 8  # row tiles of A packed at a time, to use whole cache lines
