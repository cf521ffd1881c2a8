"""The innermost part of a matrix product: a tile of rows x vectors kept in registers over a block
of k.

Each step of k loads the vectors of one row of B, broadcasts one element of every row of A and adds
their products to the accumulators. B is read from a packed panel or in place, A from its own rows
or a packed tile (`packing.py`). Afterwards the accumulators go to the caller's epilogue, or, while
blocks of k remain, to scratch. `emit.py` writes the loops around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.contraction.operands import SECOND, multiply_add, plus, prefetch
from grad.codegen.llvm.contraction.structure import Contraction, Layout
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.lanes import lanes_below
from grad.codegen.llvm.memory import opaque

# epilogue(builder, batch indices, row, column of lane 0, accumulator, mask of live lanes or None):
# stores the result.
Epilogue: TypeAlias = Callable[[Builder, list[Value], Value, Value, Value, Value | None], None]

# ask(builder, batch indices, row, column, width): asks for the memory that the epilogue of `width`
# columns from `column` on reads and writes.
Ask: TypeAlias = Callable[[Builder, list[Value], Value, Value, int], None]

# Steps of k taken together in tiles of less than so many vectors. Larger ones have enough to do in
# one step to hide the loop around it; more steps would only make more code.
SMALL_TILE, UNROLL = 16, 2
# Rows of B from a farther cache are asked for so many steps ahead: where they are read in place,
# and where they are packed. Rows that are 2 or 4 KiB apart share few places of the first-level
# cache: of more, some would be thrown out before they are read.
ROWS_AHEAD, PACKED_ROWS_AHEAD = 8, 12
LINE_BYTES = 64
# Columns of A come from the second-level cache. Elements that are not there yet are loaded twice,
# which costs time where the vectors of a tile need all loads (docs/design/038).
COLUMNS_AHEAD = 8
# Rows of A that one pointer and a few multiples of the distance between rows reach on x86, whose
# addresses may add a register times 1, 2, 4 or 8. LLVM alone computes a pointer for each row in
# each step of k, a sixth of all instructions: where two threads share a core, these cost time.
REACHED_ROWS = 9


def micro_kernel_parameters(structure: Contraction, packing: bool = False) -> dict[str, str]:
    """Parameters of the function, by name, with their LLVM types.

    ``row`` and ``column`` number the tile's first output element, ``live`` counts the columns that
    exist from there on, ``partial`` is the tile's place for partial sums. Of the next block of B a
    tile asks for a line of memory of every ``ahead_step``-th row from ``ahead_first`` on: `ahead`
    is the one of row 0, ``ahead_stride`` are the elements from row to row. A tile that `asks` also
    asks for the rows of A from ``next_a`` on. A tile that is `packing` reads B in place and leaves
    it packed in ``target``.
    """
    parameters = {
        "args": "ptr",
        "a": "ptr noalias",
        "b": "ptr noalias",
        "a_row_stride": "i64",
        "depth": "i64",
        "row": "i64",
        "column": "i64",
    }
    if by_columns(structure):
        parameters["a_k_stride"] = "i64"
    if packing or not structure.pack_b:
        parameters["b_k_stride"] = "i64"
    if packing:
        parameters["target"] = "ptr noalias"
    if structure.prefetch_blocks:
        parameters |= {"ahead": "ptr", "ahead_stride": "i64"}
        parameters |= {"ahead_first": "i64", "ahead_step": "i64"}
    if structure.prefetch_rows:
        parameters |= {"next_a": "ptr", "asks": "i1"}
    if structure.masked:
        parameters["live"] = "i64"
    if structure.split_depth:
        parameters |= {"partial": "ptr noalias", "first": "i1", "last": "i1"}
    return parameters | {f"batch{axis}": "i64" for axis in range(structure.batch_rank)}


def by_columns(structure: Contraction) -> bool:
    """Whether the elements of A that a step of k takes are neighbours, read where they are."""
    return structure.a_layout is Layout.ROW_CONTIGUOUS and not structure.pack_a


def micro_kernel(
    structure: Contraction,
    name: str,
    rows: int,
    vectors: int,
    b: Builder,
    epilogue: Epilogue,
    packing: bool = False,
    ask: Ask | None = None,
) -> str:
    """The text of the function for tiles of `rows` rows by `vectors` vectors."""
    tile = _Tile(structure, rows, vectors, b, packing, ask)
    tile.finish(tile.accumulate(), epilogue)
    return b.function(name, signature(micro_kernel_parameters(structure, packing)), "internal")


class _Tile:
    """One micro-kernel under construction."""

    def __init__(
        self,
        structure: Contraction,
        rows: int,
        vectors: int,
        b: Builder,
        packing: bool,
        ask: Ask | None,
    ) -> None:
        self.structure, self.rows, self.vectors, self.b = structure, rows, vectors, b
        self.packing, self.packed = packing, structure.pack_b and not packing
        self.element, self.lanes, self.size = structure.element, structure.lanes, structure.size
        self.vector = vector_type(self.element, self.lanes)
        self.parameters = parameter_values(micro_kernel_parameters(structure, packing))
        self.mask = None
        if structure.masked:
            live = b.sub(self.parameters["live"], (vectors - 1) * self.lanes)
            self.mask = lanes_below(b, live, self.lanes)
        self.line = LINE_BYTES // self.size
        self.in_shares = structure.prefetch_rows or structure.prefetch_blocks or ask is not None
        small = rows * vectors < SMALL_TILE and not packing and not structure.prefetch_blocks
        self.unroll = UNROLL if small else 1
        self.ask = ask
        self.reach = REACHED_ROWS if "sse2" in b.features else 1
        self.a_starts = [] if by_columns(structure) else self._a_starts()
        self.distances = self._distances() if self.a_starts else {}
        ahead = PACKED_ROWS_AHEAD if packing else ROWS_AHEAD if structure.prefetch else 0
        self.ahead = b.mul(self.parameters["b_k_stride"], ahead) if ahead else None

    def _a_starts(self) -> list[Value]:
        """Where every row of A begins that has a pointer of its own."""
        b, p = self.b, self.parameters
        return [
            b.gep(self.element, p["a"], b.mul(p["a_row_stride"], row))
            for row in range(0, self.rows, self.reach)
        ]

    def _distances(self) -> dict[int, Value]:
        """Bytes from a pointer to its first row, third, fifth and seventh, as far as needed."""
        b = self.b
        each = b.mul(self.parameters["a_row_stride"], self.size)
        return {odd: b.mul(each, odd) for odd in range(1, min(self.reach, self.rows), 2)}

    def _partial(self, number: int) -> Value:
        return self.b.gep(self.element, self.parameters["partial"], number * self.lanes)

    def accumulate(self) -> list[Value]:
        """The sums over this block of k: `unroll` steps at a time, then one at a time."""
        count = self.rows * self.vectors
        if self.structure.split_depth:
            for number in range(count):
                prefetch(self.b, self._partial(number), for_writing=True)
        sums = [self.b.const(self.vector, 0)] * count
        depth = self.parameters["depth"]
        state = [self.parameters["b"], *self.a_starts, *sums]
        if self.unroll == 1 and self.in_shares:
            return self._shares(depth, state)[-count:]
        whole = self.b.binary("and", depth, -self.unroll)
        steps = self.unroll
        state = self.b.loop(0, whole, steps, lambda k, s: self._steps(k, s, steps), state)
        if steps > 1:
            state = self.b.loop(whole, depth, 1, lambda k, s: self._steps(k, s, 1), state)
        return state[-count:]

    def _shares(self, depth: Value, state: list[Value]) -> list[Value]:
        """All steps, in shares: those that use one line of memory of each row of A, or fewer, so
        that there is one for each row of the tile. Before a share, the lines that it uses are asked
        for in the rows of the tile below, and a few of the next block of B; before each of the last
        ones, what the epilogue of a row reads and writes: so late that it is still near then.
        """
        b = self.b
        rows, line, one = (b.const("i64", number) for number in (self.rows, self.line, 1))
        share = b.intrinsic("smin", b.binary("udiv", depth, rows), line)
        share = b.intrinsic("smax", share, one)
        shares = b.binary("udiv", b.add(depth, b.sub(share, one)), share)

        def one_share(k: Value, state: list[Value]) -> list[Value]:
            row, *state = state
            if self.ask is not None:
                due = b.icmp("sge", row, 0)
                if self.structure.split_depth:
                    due = b.binary("and", due, self.parameters["last"])
                b.branch(due, lambda: self._ask_for_row(row))
            if self.structure.prefetch_rows:
                b.branch(self.parameters["asks"], lambda: self._ask_for_a(k))
            end = b.intrinsic("smin", b.add(k, share), depth)
            if self.structure.prefetch_blocks:
                self._ask_for_b(k, end)
            after = b.loop(k, end, 1, lambda k, s: self._steps(k, s, 1), state, at_least_once=True)
            return [b.add(row, one), *after]

        return b.loop(0, depth, share, one_share, [b.sub(rows, shares), *state])[1:]

    def _ask_for_row(self, number: Value) -> None:
        """Ask for what the epilogue of row `number` of the tile reads and writes."""
        assert self.ask is not None
        row = self.b.add(self.parameters["row"], number)
        self.ask(self.b, self._batch(), row, self.parameters["column"], self.vectors * self.lanes)

    def _ask_for_a(self, k: Value) -> None:
        """Ask for element `k` of the rows of the tile below."""
        b, p = self.b, self.parameters
        place = b.gep(self.element, p["next_a"], k)
        for _ in range(self.rows):
            prefetch(b, place, nearness=SECOND)
            place = b.gep(self.element, place, p["a_row_stride"])

    def _ask_for_b(self, start: Value, end: Value) -> None:
        """Ask for this tile's part of rows `start` to `end` of the next block of B."""
        b, p = self.b, self.parameters

        def one_row(row: Value, _: list[Value]) -> None:
            distance = b.mul(row, p["ahead_stride"])
            line = b.gep(self.structure.b_storage, p["ahead"], distance)
            prefetch(b, line, nearness=SECOND)

        b.loop(b.add(start, p["ahead_first"]), end, p["ahead_step"], one_row)

    def _batch(self) -> list[Value]:
        return [self.parameters[f"batch{axis}"] for axis in range(self.structure.batch_rank)]

    def _steps(self, k: Value, state: list[Value], count: int) -> list[Value]:
        b = self.b
        width = self.vectors * self.lanes
        sums = state[-self.rows * self.vectors :]
        b_row, *a_rows = state[: -len(sums)]
        if self.reach > 1:
            # So LLVM does not put other pointers in the place of these.
            a_rows = [opaque(b, row) for row in a_rows]
        a_places = self._a_places(k, a_rows, count)
        for step in range(count):
            if self.ahead is not None:
                line = b.gep(self.element, b_row, self.ahead)
                width = self.vectors * self.lanes
                # Rows that are not whole vectors long begin inside lines: one more belongs to them.
                for place in (*range(0, width, self.lanes), *[width - 1] * self.structure.masked):
                    prefetch(b, b.gep(self.element, line, place))
            vectors = [self._load_b(b_row, j) for j in range(self.vectors)]
            if self.packing:
                self._pack(b.add(k, step), vectors)
            for i, place in enumerate(a_places[step]):
                scalar = b.load(self.element, place, self.size)
                broadcast = b.splat(scalar, self.lanes)
                for j, vector in enumerate(vectors):
                    at = i * self.vectors + j
                    sums[at] = multiply_add(b, broadcast, vector, sums[at])
            b_row = b.gep(
                self.element,
                b_row,
                width if self.packed else self.parameters["b_k_stride"],
            )
        return [b_row, *(b.gep(self.element, row, count) for row in a_rows), *sums]

    def _a_places(self, k: Value, starts: list[Value], count: int) -> list[list[Value]]:
        """Addresses of A's elements of each row, for each of the steps from `k` on, where `starts`
        point to.
        """
        b, rows = self.b, range(self.rows)
        if not by_columns(self.structure):
            places = [self._a_place(starts[row // self.reach], row % self.reach) for row in rows]
            return [[b.gep(self.element, p, step) for p in places] for step in range(count)]
        stride = self.parameters["a_k_stride"]
        columns = [b.mul(b.add(k, step), stride) for step in range(count)]
        starts = [b.gep(self.element, self.parameters["a"], column) for column in columns]
        if self.lanes == self.line:
            for start in starts:
                self._ask_for_column(start)
        return [[b.gep(self.element, start, row) for row in rows] for start in starts]

    def _ask_for_column(self, start: Value) -> None:
        """Ask for a column of A that is used some steps after the one at `start`."""
        b = self.b
        column = b.gep(self.element, start, b.mul(self.parameters["a_k_stride"], COLUMNS_AHEAD))
        for place in dict.fromkeys([*range(0, self.rows, self.line), self.rows - 1]):
            prefetch(b, b.gep(self.element, column, place))

    def _a_place(self, start: Value, row: int) -> Value:
        """The address `row` rows below `start`: one of the distances, times a power of two."""
        if not row:
            return start
        doubled = (row & -row).bit_length() - 1
        return self.b.gep(
            "i8", start, self.b.binary("shl", self.distances[row >> doubled], doubled)
        )

    def _load_b(self, row: Value, number: int) -> Value:
        address = self.b.gep(self.element, row, number * self.lanes)
        if self.mask is None or self.packed or number < self.vectors - 1:
            return self.b.load(self.vector, address, self.size)
        return self.b.masked_load(
            self.vector, address, self.size, self.mask, self.b.const(self.vector, 0)
        )

    def _pack(self, k: Value, vectors: list[Value]) -> None:
        """Leave a row of B in the packed panel."""
        b = self.b
        row = b.gep(self.element, self.parameters["target"], b.mul(k, self.vectors * self.lanes))
        for j, vector in enumerate(vectors):
            b.store(vector, b.gep(self.element, row, j * self.lanes), self.size)

    def finish(self, sums: list[Value], epilogue: Epilogue) -> None:
        """Add what earlier blocks of k left, and hand the sums to the epilogue, or keep them when
        there are more blocks.
        """
        if not self.structure.split_depth:
            self._epilogue(sums, epilogue)
            return
        b, last = self.b, self.parameters["last"]
        totals = b.either(
            self.parameters["first"],
            lambda: sums,
            lambda: [
                plus(b, value, b.load(self.vector, self._partial(number), self.size))
                for number, value in enumerate(sums)
            ],
        )
        b.branch(last, lambda: self._epilogue(totals, epilogue))
        b.branch(b.binary("xor", last, 1), lambda: self._keep(totals))

    def _keep(self, sums: list[Value]) -> None:
        for number, value in enumerate(sums):
            self.b.store(value, self._partial(number), self.size)

    def _epilogue(self, sums: list[Value], epilogue: Epilogue) -> None:
        """Row by row. A long epilogue is written once, in a loop over rows that reads the sums from
        the stack: there it has all registers to itself.
        """
        b, vectors = self.b, self.vectors
        batch = self._batch()
        columns = [b.add(self.parameters["column"], j * self.lanes) for j in range(vectors)]

        def one_row(number: Value | int, values: list[Value]) -> None:
            row = b.add(self.parameters["row"], number)
            for j, (column, value) in enumerate(zip(columns, values, strict=True)):
                epilogue(b, batch, row, column, value, self.mask if j == vectors - 1 else None)

        if not self.structure.long_epilogue:
            for i in range(self.rows):
                one_row(i, sums[i * vectors : (i + 1) * vectors])
            return
        width = vectors * self.lanes
        kept = b.alloca(self.element, self.rows * width)
        for number, value in enumerate(sums):
            b.store(value, b.gep(self.element, kept, number * self.lanes), self.size)

        def from_stack(number: Value, _: list[Value]) -> None:
            start = b.gep(self.element, kept, b.mul(number, width))
            places = [b.gep(self.element, start, j * self.lanes) for j in range(vectors)]
            one_row(number, [b.load(self.vector, place, self.size) for place in places])

        b.loop(0, self.rows, 1, from_stack, at_least_once=True)
