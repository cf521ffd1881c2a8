"""What attention asks memory for while it computes: rows that come next, and places of results.

Copying and packing rows wait for memory and compute nothing; products do the opposite, and between
the two lies too much for the processor to overlap them by itself. So tiles ask for rows of the next
head, a line with every few steps (`Request`), and groups of rows of scores for the rows that the
next block copies and for the lines that this block's results go to (`RowRequest`). `heads.py` knows
which these are; `tiles.py` and `rows.py` compute. Asking for memory that does not exist does
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from grad.codegen.llvm.attention.structure import Code, Tiled
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.operands import SECOND, prefetch

LINE_BYTES = 64

ASK: Mapping[str, str] = {
    "ask": "ptr",  # the first row that a tile asks for
    "ask_row": "i64",  # bytes from row to row
}


class Request(NamedTuple):
    """As many rows as tiles have, for each tile in turn.

    Attributes:
        place: of the first row; row_bytes: from row to row.
        written: whether the rows will be written.
    """

    place: Value
    row_bytes: Value
    written: bool = False

    def after(self, b: Builder, rows: Value) -> Request:
        """What is asked for `rows` further on."""
        offset = b.mul(rows, self.row_bytes)
        return self._replace(place=b.gep("i8", self.place, offset))

    @property
    def values(self) -> dict[str, Value]:
        """The arguments of a function that asks."""
        return {"ask": self.place, "ask_row": self.row_bytes}


class RowRequest(NamedTuple):
    """Rows of scores ask for rows of the same number.

    Attributes:
        request: for the first row. size: elements of a row.
    """

    request: Request
    size: Value

    def emit(self, code: Code, b: Builder, row: Value) -> None:
        """Ask for a group of rows from `row` on."""
        place, row_bytes, written = self.request.after(b, row)

        def line(at: Value, _: list[Value]) -> None:
            for r in range(code.group):
                offset = b.add(b.mul(row_bytes, r), at)
                prefetch(b, b.gep("i8", place, offset), written, SECOND)

        b.loop(0, b.mul(self.size, code.size), LINE_BYTES, line)


def ask_in_steps(
    code: Tiled, b: Builder, values: Mapping[str, Value], k: Value, steps: int, written: bool
) -> None:
    """Ask for the share of a tile's rows that belongs to `steps` steps of a product from `k` on.

    As many steps as a row has elements ask for all of it: a line of each row, then the next of
    each.
    """
    row_bits = (code.tile_rows - 1).bit_length()
    line_bits = (LINE_BYTES // code.size >> row_bits).bit_length() - 1  # of steps a line
    for step in range(0, steps, 1 << line_bits):
        number = b.binary("lshr", b.add(k, step), b.const("i64", line_bits))
        row = b.binary("and", number, (1 << row_bits) - 1)
        line = b.mul(b.binary("lshr", number, b.const("i64", row_bits)), LINE_BYTES)
        offset = b.add(b.mul(row, values["ask_row"]), line)
        prefetch(b, b.gep("i8", values["ask"], offset), written, SECOND)
