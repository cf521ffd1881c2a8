"""Reductions cut into chunks: how long a chunk is, and the phase that combines them.

A first phase leaves the partial results of each chunk in temporary memory, one matrix of chunks by
results for each reduction (`nest.py`, `lower_columns.py`). The cut depends on the shapes alone, so
results are the same on any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grad.dtype import DType
from grad.graph.index import Index, add, scale
from grad.graph.primitives import Primitive
from grad.kernel.ir import Accumulate, Statement
from grad.kernel.writer import Writer

# Side by side in lanes, so many results are enough for all threads; with fewer, chunks of the
# reduced axes have so many elements, and are not shorter than this.
FEW_COLUMNS = 16384
COLUMN_CHUNK = 65536
SHORTEST_COLUMN = 32


def column_chunk(results: int) -> int:
    """How many rows of a sum over rows with so many results make a chunk."""
    return max(COLUMN_CHUNK // results, SHORTEST_COLUMN)


@dataclass(frozen=True, slots=True)
class Parts:
    """The partial results of some reductions.

    Attributes:
        temporary: the parameter they are in. dtype: of all of them.
        reductions: the entry and the operation of each.
        count: of chunks. results: of each reduction.
    """

    temporary: int
    dtype: DType
    reductions: tuple[tuple[int, Primitive], ...]
    count: int
    results: int

    def index(self, place: int, part: Index, result: Index) -> Index:
        """Where chunk `part` has its `result` of the reduction at `place`."""
        here = add(scale(part, self.results), result)
        return add(here, place * self.count * self.results)


def make_parts(
    writer: Writer,
    dtype: DType,
    reductions: Sequence[tuple[int, Primitive]],
    count: int,
    results: int,
) -> Parts:
    """Parts in new temporary memory."""
    elements = count * results * len(reductions)
    temporary = writer.parameter("temporary", elements, dtype)
    return Parts(temporary, dtype, tuple(reductions), count, results)


def combined(writer: Writer, parts: Parts) -> list[Statement]:
    """The phase that combines the chunks and stores the results."""
    writer.bodies[0] = []
    results, count = parts.results, parts.count
    with writer.loop(results, parallel=True, vector=results > 1) as row:
        totals = [writer.accumulator(op, parts.dtype) for _, op in parts.reductions]
        with writer.loop(count, vector=results == 1) as part:
            for place, total in enumerate(totals):
                loaded = writer.load(parts.temporary, parts.index(place, part, row), parts.dtype)
                writer.emit(Accumulate(total, loaded), len(writer.bodies) - 1)
        for (number, _), total in zip(parts.reductions, totals, strict=True):
            memory = writer.parameter("memory", number, parts.dtype, written=True)
            writer.store(memory, row, total)
    return writer.bodies[0]
