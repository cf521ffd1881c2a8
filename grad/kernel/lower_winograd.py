"""The phase that transforms the weight of a Winograd convolution, in ordinary statements.

It reads the weight as `lower_convolution.py` has packed it, vectors of filters of one channel and
tap, and stores ``G g G^T`` (`winograd.py`): 36 vectors for 9.
"""

from __future__ import annotations

from grad.dtype import DType
from grad.graph.index import Index, add, const, floordiv, mod, scale, variable
from grad.graph.positions import flatten, unflatten
from grad.graph.primitives import ADD, MUL, SUB
from grad.graph.windows import Geometry
from grad.kernel.ir import Statement
from grad.kernel.ir_convolution import WEIGHT_PANEL_BYTES, WINOGRAD_TAPS, transformed_variables
from grad.kernel.lower_named import next_phase
from grad.kernel.winograd import FAR, NEAR
from grad.kernel.writer import Writer

TAPS = WINOGRAD_TAPS**2


def transformed(
    writer: Writer, g: Geometry, packed: int, dtype: DType
) -> tuple[int, Index, list[Statement]]:
    """The parameter of the transformed weight, its offsets, and the phase that stores it."""
    panel = WEIGHT_PANEL_BYTES // dtype.itemsize
    panels = -(-g.filters // panel)
    lead = (g.groups * panels, g.channels)
    parameter = writer.parameter("temporary", lead[0] * TAPS * g.channels * panel, dtype)
    with writer.loop(lead[0] * g.channels, parallel=True) as row:
        block, c = unflatten(row, lead)
        with writer.loop(panel, vector=True) as lane:
            kernel = [
                writer.load(packed, add(scale(add(scale(row, g.taps), tap), panel), lane), dtype)
                for tap in range(g.taps)
            ]
            rows = [_six(writer, kernel[3 * y : 3 * y + 3], dtype) for y in range(3)]
            for x in range(WINOGRAD_TAPS):
                for y, value in enumerate(_six(writer, [row[x] for row in rows], dtype)):
                    sizes = (lead[0], TAPS, g.channels, panel)
                    tap = const(y * WINOGRAD_TAPS + x)
                    writer.store(parameter, flatten((block, tap, c, lane), sizes), value)
    part, o, c, _, ky, kx = (variable(v.name, v.size) for v in transformed_variables(g))
    where = (add(scale(part, panels), floordiv(o, panel)), ky, kx, c, mod(o, panel))
    sizes = (lead[0], WINOGRAD_TAPS, WINOGRAD_TAPS, g.channels, panel)
    return parameter, flatten(where, sizes), next_phase(writer)


def _six(writer: Writer, kernel: list[int], dtype: DType) -> list[int]:
    """``G`` applied to three values."""
    first, middle, last = kernel

    def times(value: int, factor: float) -> int:
        return writer.let(MUL, (value, writer.number(factor, dtype)), dtype)

    found = [times(first, 1 / (NEAR * FAR) ** 2)]
    for point, other in ((NEAR, FAR), (FAR, NEAR)):
        slope = 1 / (2 * (point**2 - other**2))
        even = writer.let(ADD, (times(first, slope / point**2), times(last, slope)), dtype)
        odd = times(middle, slope / point)
        found += [writer.let(op, (even, odd), dtype) for op in (ADD, SUB)]
    return [*found, last]
