"""The innermost part of a Winograd convolution: products of one tap, in register tiles.

Rows are tiles of the image, vectors are filters; a step broadcasts one channel of each tile's
transformed image and multiplies it with the vectors of that channel's weights. Meanwhile it asks
for the weights of the next tap, a line a step. `winograd.py` calls the function that is written
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.contraction.operands import SECOND, prefetch
from grad.codegen.llvm.convolution.winograd_plan import TAPS, WinogradPlan
from grad.codegen.llvm.functions import parameter_values, signature

PRODUCT_PARAMETERS: Mapping[str, str] = {
    "image": "ptr noalias",  # of the first tile
    "weight": "ptr noalias",
    "ahead": "ptr",  # weights that will be needed soon
    "target": "ptr noalias",
}
TOGETHER = 4  # channels in one turn


def product_function(b: Builder, name: str, plan: WinogradPlan) -> str:
    p = parameter_values(PRODUCT_PARAMETERS)
    vector, lanes, size = vector_type(plan.element, plan.lanes), plan.lanes, plan.size
    channels, panel = plan.sizes.channels, plan.panel

    def gep(pointer: Value, offset: Value | int) -> Value:
        return b.gep(plan.element, pointer, offset)

    def step(image: Value, weight: Value, sums: list[Value]) -> list[Value]:
        rows = []
        for j in range(plan.vectors):
            number, lane = divmod(j * lanes, panel)
            place = number * TAPS * channels * panel + lane
            rows.append(b.load(vector, gep(weight, place), size))
        found = []
        for i in range(plan.rows):
            element = b.load(plan.element, gep(image, i * plan.channel_row), size)
            factor = b.splat(element, lanes)
            for j, row in enumerate(rows):
                found.append(b.intrinsic("fmuladd", factor, row, sums[i * plan.vectors + j]))
        return found

    def turn(count: int) -> Callable[[Value, list[Value]], list[Value]]:
        def body(c: Value, sums: list[Value]) -> list[Value]:
            weight = gep(p["weight"], b.mul(c, panel))
            ahead = gep(p["ahead"], b.mul(c, panel))
            image = gep(p["image"], c)
            for i in range(count):
                prefetch(b, gep(ahead, i * panel), nearness=SECOND)
                sums = step(gep(image, i), gep(weight, i * panel), sums)
            return sums

        return body

    sums = [b.const(vector, 0)] * (plan.rows * plan.vectors)
    whole = channels - channels % TOGETHER
    sums = b.loop(0, whole, TOGETHER, turn(TOGETHER), sums)
    sums = b.loop(whole, channels, 1, turn(1), sums)
    for i, value in enumerate(sums):
        b.store(value, gep(p["target"], i * lanes), size)
    return b.function(name, signature(PRODUCT_PARAMETERS), "internal")
