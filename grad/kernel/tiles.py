"""Loops in tiles, for kernels that read along two axes at once, such as ``x.T + y``.

Whichever axis of a transposing kernel is innermost, some access jumps from one cache line to the
next. In a tile all lines that are touched are used up while they are in the first-level cache; and
the loop over its rows is one of squares (`ir.py`), in which what runs along the rows is read in
vectors and transposed in registers (`codegen/llvm/transposes.py`). Axes that all accesses walk as
if they were one are made one before. `lower.py` tries this form beside the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from grad.graph.index import Index, Variable, add, const, scale
from grad.graph.movement import Shape
from grad.graph.positions import Position, unflatten
from grad.graph.sizes import hint, is_fixed, is_multiple
from grad.kernel.ir import Load
from grad.kernel.streams import LEAST_BYTES, LINE_BYTES
from grad.kernel.walk import indices_of, statements_in
from grad.kernel.writer import Writer
from grad.schedule.program import Entry

# Bytes of a row and of a column of a tile. Where rows begin inside a line, or inside the pair of
# lines that is fetched together, short ones fetch twice as much as they use.
SIDE_BYTES = 256
LONGEST_SIDE = 64
# Smaller results are in the first-level cache anyway.
SMALLEST = 256
# With fewer runs of tiles than this, threads share the tiles one by one.
FEW_BLOCKS = 64

Body = Callable[[Writer, Position], None]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a result is cut into tiles.

    Attributes:
        groups: sizes of the axes that are walked as one, for each such group.
        axis: the group that numbers the rows of a tile; the last group numbers its columns.
        strides: for each axis of the result, how far apart in memory is what is read across; none
            if something else is read in the order of the result.
    """

    groups: tuple[Shape, ...]
    axis: int
    strides: tuple[int, ...]

    @property
    def sizes(self) -> Shape:
        return tuple(math.prod(group) for group in self.groups)

    def position(self, indices: Position) -> Position:
        """Where the element at `indices`, one for each group, is in the result."""
        pairs = zip(indices, self.groups, strict=True)
        return tuple(part for index, group in pairs for part in unflatten(index, group))

    def distance(self, number: int, step: int) -> int:
        """How far the memory that is read lies from where it lies `step` back along a group."""
        first = sum(len(group) for group in self.groups[:number])
        group = self.groups[number]
        parts = unflatten(const(step), group)
        strides = self.strides[first : first + len(group)]
        moved = (part.constant * stride for part, stride in zip(parts, strides, strict=True))
        return abs(sum(moved))


def tiled(make: Callable[[], Writer], entry: Entry, body: Body) -> Iterator[Writer]:
    """`body` written for all positions of `entry` in tiles, in the ways that may pay.

    Args:
        make: gives fresh writers.
    """
    tiling = find_tiling(make(), entry.shape, body)
    if tiling is None:
        return
    for each in dict.fromkeys((_widened(tiling), tiling)):
        writer = make()
        tiled_loops(writer, each, body, entry.dtype.itemsize)
        yield writer


def find_tiling(writer: Writer, shape: Shape, body: Body) -> Tiling | None:
    """Tiles for a body in which an access runs along one axis and jumps along the last; else None.

    Args:
        writer: a fresh one; what it writes is only looked at.
    """
    if len(shape) < 2 or hint(math.prod(shape)) < SMALLEST:
        return None
    variables: list[Variable] = []
    with ExitStack() as loops:
        position: list[Index] = []
        for size in shape:
            position.append(loops.enter_context(writer.loop(size)))
            variables.append(next(reversed(writer.variable_levels)))
        body(writer, tuple(position))
    inside = list(statements_in(writer.bodies[0]))
    groups = _walked_as_one(variables, [i for s in inside for i in indices_of(s)])
    steps = [_step(group) for group in groups]
    found = [
        (axis, s.index)
        for axis in range(len(groups) - 1)
        for s in inside
        if isinstance(s, Load) and _runs_across(s.index, steps[axis], steps[-1])
    ]
    if not found:
        return None
    sizes = tuple(tuple(v.size for v in group) for group in groups)
    axis, index = max(found, key=lambda pair: (hint(math.prod(sizes[pair[0]])), pair[0]))
    strides = tuple(index.coefficient(v) or 0 for v in variables)
    loads = [s.index for s in inside if isinstance(s, Load)]
    in_order = any(_runs_across(i, steps[-1], steps[axis]) for i in loads)
    return Tiling(sizes, axis, () if in_order else strides)


def _widened(tiling: Tiling) -> Tiling:
    """With rows of results as long as a tile can have, over several of the last axes if need be.

    What is read across is as good as before; other operands may have to jump.
    """
    groups = list(tiling.groups)
    while tiling.axis < len(groups) - 2 and hint(math.prod(groups[-1])) < LONGEST_SIDE:
        groups[-2:] = [groups[-2] + groups[-1]]
    return replace(tiling, groups=tuple(groups))


def _runs_across(index: Index, rows: Variable, columns: Variable) -> bool:
    """Whether an access runs along the rows and jumps along the columns."""
    return (
        rows.size > 1
        and index.coefficient(rows) == 1
        and index.coefficient(columns) not in (0, 1, None)
    )


def _walked_as_one(variables: list[Variable], indices: list[Index]) -> list[list[Variable]]:
    """Runs of axes along which every index grows as along one axis."""
    groups: list[list[Variable]] = []
    for inner in variables:
        outer = _step(groups[-1]) if groups else None
        if outer is not None and _is_one_axis(outer, inner, indices):
            groups[-1].append(inner)
        else:
            groups.append([inner])
    return groups


def _step(group: list[Variable]) -> Variable:
    """The variable that an index over the whole group grows with one by one."""
    return next((v for v in reversed(group) if v.size > 1), group[-1])


def _is_one_axis(outer: Variable, inner: Variable, indices: list[Index]) -> bool:
    if outer.size == 1 or inner.size == 1:
        return True
    for index in indices:
        far, near = index.coefficient(outer), index.coefficient(inner)
        if far is None or near is None or far != near * inner.size:
            return False
    return True


def tiled_loops(writer: Writer, tiling: Tiling, body: Body, itemsize: int) -> None:
    """Write `body` for all positions, tile by tile, for elements of `itemsize` bytes."""
    sizes, axis = tiling.sizes, tiling.axis
    rows, columns = sizes[axis], sizes[-1]
    height, width = _side(rows, itemsize), _side(columns, itemsize, tiling.groups[-1][-1])
    steps = [height if g == axis else 1 for g in range(len(sizes) - 1)] + [width]
    blocks = [-(-size // step) for size, step in zip(sizes, steps, strict=True)]
    order = list(range(len(sizes)))
    large = hint(math.prod(sizes)) * itemsize >= LEAST_BYTES
    streams = large and is_multiple(columns * itemsize, LINE_BYTES)
    if tiling.strides and streams:
        # Whole lines go past the caches in any order. So tiles follow each other as what is read
        # does: a line that two tiles share is still there then, and the next ones are on the way.
        order.sort(key=lambda g: (hint(blocks[g]) > 1, -hint(tiling.distance(g, steps[g]))))
    together = hint(math.prod(blocks[g] for g in order[:-1])) < FEW_BLOCKS
    inside = None if together else order.pop()
    shared = tuple(blocks[g] for g in order)
    outer = [const(0)] * len(sizes)
    with writer.loop(math.prod(shared), parallel=True) as block, ExitStack() as loops:
        for g, part in zip(order, unflatten(block, shared), strict=True):
            outer[g] = part
        if inside is not None:
            outer[inside] = loops.enter_context(writer.loop(blocks[inside]))
        row = loops.enter_context(_part(writer, rows, height, outer[axis], squares=True))
        column = loops.enter_context(_part(writer, columns, width, outer[-1], squares=False))
        outer[axis], outer[-1] = row, column
        body(writer, tiling.position(tuple(outer)))


def _side(size: int, itemsize: int, inner: int = 1) -> int:
    """Elements of a tile along an axis; one that is little longer is not cut.

    It is cut between runs of `inner` elements where the parts are whole lines all the same.
    """
    side = min(SIDE_BYTES // itemsize, LONGEST_SIDE)
    if not (is_fixed(size) and is_fixed(inner)):
        return side
    if size <= side * 3 // 2:
        return size
    runs = side // inner * inner
    return runs if runs and runs * itemsize % LINE_BYTES == 0 else side


@contextmanager
def _part(writer: Writer, size: int, step: int, part: Index, squares: bool) -> Iterator[Index]:
    """A loop over the `part`-th `step` elements of `size`, of squares or in lanes; yields the
    element's number.
    """
    start = scale(part, step)
    limit = None if is_multiple(size, step) else add(scale(start, -1), size)
    with writer.loop(step, vector=not squares, limit=limit, squares=squares) as index:
        yield add(start, index)
