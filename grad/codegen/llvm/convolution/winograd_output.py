"""From the products of a Winograd convolution to the stage: a line of tiles, a vector of filters.

Every tile's 36 vectors of sums become 16 vectors of results, kept in scratch row by row; there
filters lie side by side, and squares of them are transposed in registers so that positions do, as
the epilogue (`finish.py`) takes them. `winograd.py` calls the function that is written here.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.winograd_plan import TAPS, WinogradPlan
from grad.codegen.llvm.convolution.winograd_transforms import both_ways, output_four
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.squares import transpose
from grad.kernel.winograd import OUTPUTS

OUTPUT_PARAMETERS: Mapping[str, str] = {
    "products": "ptr noalias",  # of the line's first tile and the first filter
    "rows": "ptr noalias",  # scratch for the four rows of results
    "stage": "ptr noalias",
}


def output_function(b: Builder, name: str, plan: WinogradPlan) -> str:
    p = parameter_values(OUTPUT_PARAMETERS)
    vector, lanes, size = vector_type(plan.element, plan.lanes), plan.lanes, plan.size

    def gep(pointer: Value, offset: Value | int) -> Value:
        return b.gep(plan.element, pointer, offset)

    def tile(t: Value, _: list[Value]) -> None:
        source = gep(p["products"], b.mul(t, plan.filters))
        target = gep(p["rows"], b.mul(t, OUTPUTS * lanes))
        taps = [b.load(vector, gep(source, tap * plan.product_plane), size) for tap in range(TAPS)]
        for number, value in enumerate(both_ways(b, output_four, taps)):
            y, x = divmod(number, OUTPUTS)
            b.store(value, gep(target, (y * plan.output_row + x) * lanes), size)

    def row(y: Value, _: list[Value]) -> None:
        source = gep(p["rows"], b.mul(y, plan.output_row * lanes))
        target = gep(p["stage"], b.mul(y, plan.width))

        # What is stored behind the end of a row is stored over by the next one.
        def positions(x: Value, _: list[Value]) -> None:
            here = gep(source, b.mul(x, lanes))
            square = [b.load(vector, gep(here, i * lanes), size) for i in range(lanes)]
            for lane, value in enumerate(transpose(b, square, size)):
                b.store(value, gep(gep(target, x), lane * plan.stage_row), size)

        b.loop(0, plan.width, lanes, positions)

    b.loop(0, plan.columns, 1, tile)
    b.loop(0, OUTPUTS, 1, row)
    return b.function(name, signature(OUTPUT_PARAMETERS), "internal")
