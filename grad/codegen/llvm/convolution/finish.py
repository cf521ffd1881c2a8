"""From the stage to memory: finished sums of a convolution go through its epilogue.

`emit.py` calls the function that is written here for each tile of filters and run of positions; the
sums of a filter lie side by side in the stage, where `tiles.py` left them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.padded_copy import Axis
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.lanes import lanes_below

# epilogue(builder, image, group, filter in the group, position of lane 0, sums, mask or None)
Epilogue: TypeAlias = Callable[[Builder, Value, Value, Value, Value, Value, Value | None], None]


class Staged(Protocol):
    """What a plan says about its stage; see `plan.py`."""

    @property
    def element(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def lanes(self) -> int: ...
    @property
    def axes(self) -> tuple[Axis, Axis, Axis]: ...
    @property
    def stage_row(self) -> int: ...
    @property
    def residue(self) -> int: ...


FINISH_PARAMETERS: Mapping[str, str] = {
    "args": "ptr",
    "stage": "ptr noalias",
    "image": "i64",
    "group": "i64",
    "filter": "i64",
    "count": "i64",  # filters
    "position": "i64",
    "live": "i64",  # positions that exist from there on
}


def finish_function(b: Builder, name: str, plan: Staged, epilogue: Epilogue) -> str:
    """Takes runs of positions of some filters through the epilogue."""
    p = parameter_values(FINISH_PARAMETERS)
    vector, lanes, spread = vector_type(plan.element, plan.lanes), plan.lanes, plan.axes[2].spread

    def one_filter(o: Value, _: list[Value]) -> None:
        row = b.gep(plan.element, p["stage"], b.mul(o, plan.stage_row))
        number = b.add(p["filter"], o)

        def run(start: Value, _: list[Value]) -> None:
            here = b.gep(plan.element, row, start)
            parts = [
                b.load(vector, b.gep(plan.element, here, r * plan.residue), plan.size)
                for r in range(spread)
            ]
            for w, value in enumerate(_interleaved(b, parts, lanes)):
                first = b.add(b.mul(start, spread), w * lanes)
                left = b.sub(p["live"], first)
                place = b.add(p["position"], first)

                def store(value: Value = value, place: Value = place, left: Value = left) -> None:
                    mask = lanes_below(b, left, lanes)
                    epilogue(b, p["image"], p["group"], number, place, value, mask)

                # What is the same in all lanes is stored without a mask.
                if w:
                    b.branch(b.icmp("sgt", left, 0), store)
                else:
                    store()

        def whole(start: Value, _: list[Value]) -> None:
            value = b.load(vector, b.gep(plan.element, row, start), plan.size)
            epilogue(b, p["image"], p["group"], number, b.add(p["position"], start), value, None)

        if spread > 1:
            turns = b.binary("udiv", b.add(p["live"], spread - 1), spread)
            b.loop(0, turns, lanes, run)
        elif "avx512f" in b.features:
            b.loop(0, p["live"], lanes, run)
        else:  # where masked stores take as long as tens of others
            vectors = b.binary("and", p["live"], -lanes)
            b.loop(0, vectors, lanes, whole)
            b.loop(vectors, p["live"], lanes, run)

    b.loop(0, p["count"], 1, one_filter)
    return b.function(name, signature(FINISH_PARAMETERS), "internal")


def _interleaved(b: Builder, parts: list[Value], lanes: int) -> list[Value]:
    """Vectors that together hold lane 0 of each part, then lane 1 of each ..."""
    count = len(parts)
    if count == 1:
        return parts
    results = []
    for w in range(count):
        places = [divmod(w * lanes + lane, count) for lane in range(lanes)]
        value = parts[0]
        for r, part in enumerate(parts):
            choice = [
                lanes + index if residue == r else lane
                for lane, (index, residue) in enumerate(places)
            ]
            value = b.shuffle(value, part, choice)
        results.append(value)
    return results
