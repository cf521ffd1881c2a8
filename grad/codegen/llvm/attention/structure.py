"""What is decided about an attention before its code is written: the shape of the code, the sizes.

A `Code` says which code to emit; kernels of one `Code` differ in integers alone, which they read
from their arguments. `plan.py` chooses both, `emit.py` and `gradient.py`
emit the code, of the functions in `tiles.py` and `rows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

ELEMENT_BYTES = {"float": 4, "double": 8}


class Mask(Enum):
    """What a mask does to a score."""

    NONE = "nothing"
    BOOL = "leaves it out where false"
    FLOAT = "is added"


class Tiled(Protocol):
    """What the functions of tiles.py need to know of the code they are part of."""

    @property
    def element(self) -> str: ...
    @property
    def lanes(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def tile_rows(self) -> int: ...
    @property
    def tile_vectors(self) -> int: ...
    @property
    def panel(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Code:
    """Everything that the text of a kernel depends on, but for the CPU.

    Attributes:
        element: "float" or "double". lanes: of a vector register.
        tile_rows, tile_vectors: the register tile of all products.
        group: rows of scores that are turned into weights together.
        few_rows: whether keys are read where they are (dots.py): tiles have all rows of a head.
        batch_rank: leading axes.
        packs_rows: whether rows that are read as vectors (of value; in the gradient, of key) are
            copied first, because they are no whole number of vectors long.
        results: names of what is stored.
    """

    element: str
    lanes: int
    tile_rows: int
    tile_vectors: int
    group: int
    few_rows: bool
    batch_rank: int
    is_causal: bool
    mask: Mask
    dropout: bool
    packs_rows: bool
    operands: tuple[str, ...]
    results: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return ELEMENT_BYTES[self.element]

    @property
    def panel(self) -> int:
        """Columns of a panel of packed keys."""
        return self.tile_vectors * self.lanes

    @property
    def excludes(self) -> bool:
        """Whether a row may not attend to all keys."""
        return self.is_causal or self.mask is not Mask.NONE

    @property
    def is_gradient(self) -> bool:
        return "slope" in self.operands

    @property
    def pointers(self) -> tuple[str, ...]:
        """Names of the arguments that are addresses, and of the key of random numbers, in the
        order of their slots."""
        random = ("random",) * self.dropout
        results = (f"to_{name}" for name in self.results)
        return (*self.operands, *random, *results, "scratch")

    @property
    def integers(self) -> tuple[str, ...]:
        """Names of the other arguments, in the order of the slots behind the pointers."""
        strides = (f"{name}_row" for name in self.operands)
        batch = (f"batch_size{axis}" for axis in range(self.batch_rank))
        steps = (f"{name}_batch{a}" for name in self.operands for a in range(self.batch_rank))
        own = GRADIENT_INTEGERS if self.is_gradient else FORWARD_INTEGERS
        dropout = DROPOUT_INTEGERS * self.dropout
        return (*COMMON_INTEGERS, *own, *dropout, *strides, *batch, *steps)


# Sizes are in elements, places ("..._at") in elements from the beginning of a worker's scratch.
COMMON_INTEGERS = (
    "length",  # rows of query
    "keys",  # rows of key and value
    "size",  # of a row of query and key
    "value_size",
    "padded_size",
    "padded_value_size",
    "batch",  # heads of key and value in all
    "group",  # heads of query that share one of key and value
    "factor",  # of the scores, the bits of a float
    "scratch_bytes",
    "chunks",  # pieces that the rows of a head are cut in
    "chunk_rows",
    "member_chunks",  # pieces that a group is cut in
    "members",
    "key_block",
    "scores_row",  # stride of the scratch rows of scores
    "key_at",
    "value_at",
    "query_at",
    "scores_at",
    "output_at",
    "output_step",  # from the scratch of one block of rows to that of the next
)
FORWARD_INTEGERS = (
    "peaks_at",
    "totals_at",
)
DROPOUT_INTEGERS = (
    "threshold",
    "kept_factor",  # the bits of a float
)
GRADIENT_INTEGERS = (
    "scale",  # the bits of a float
    "joint",  # whether a piece is all of a head, which is a piece of keys then
    "key_chunks",  # pieces of keys of a head, in front of those of rows
    "key_chunk",
    "key_rows_at",
    "slope_at",
    "slopes_at",
    "inner_at",
    "key_gradient_at",
    "value_gradient_at",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A code with the integers of one shape.

    Attributes:
        items: pieces of work. grain: pieces that are worth handing to a thread together.
        scratch_bytes: scratch that every worker needs.
        arguments: for the slots behind the pointers, ordered as `code.integers`.
    """

    code: Code
    items: int
    grain: int
    scratch_bytes: int
    arguments: tuple[int, ...]
