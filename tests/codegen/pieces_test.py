"""How columns of a matrix product are cut: blocks cover them, and panels of two widths each block.

The loops in contraction/tile_loops.py compute the same from the numbers that are checked here.
"""

from __future__ import annotations

import pytest

from grad.codegen.llvm.contraction.pieces import column_blocks
from grad.codegen.llvm.contraction.problem import ceil_div


@pytest.mark.parametrize("widest", [1, 2, 3, 4])
def test_blocks_of_columns_are_whole_panels(widest: int) -> None:
    for vectors in range(1, 120):
        for count in range(1, ceil_div(vectors, widest) + 1):
            for unit in {1, widest}:
                check_blocks(vectors, count, unit, widest)


def check_blocks(vectors: int, count: int, unit: int, widest: int) -> None:
    found = column_blocks(vectors, count, unit, widest)
    if found is None:
        assert unit > 1, f"{vectors} vectors cannot be cut in {count} blocks"
        return
    units = ceil_div(vectors, unit)
    panels = start = 0
    for number in range(count):
        end = min((number + 1) * units // count * unit, vectors)
        in_block = ceil_div(end - start, found.widths[0])
        wide = end - start - in_block * found.widths[-1]
        assert 0 <= wide <= in_block <= found.panels
        assert len(found.widths) == 2 or wide == 0
        panels, start = panels + in_block, end
    assert (start, panels) == (vectors, found.all_panels)
    assert found.widths[0] <= widest
    assert 0 < found.widths[-1] >= found.widths[0] - 1
