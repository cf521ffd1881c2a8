"""What a tile asks for while it computes: the image that follows, and the lines its results go to.

Copying an image and storing results wait for memory and compute nothing, tiles do the opposite, and
too much lies between them for the processor to overlap them by itself. So a tile asks, a few lines
with each channel, for its share of the image that the next piece of work will copy (where an image
is read in place: for its own elements some channels ahead), and at its beginning for the lines that
its sums will be written to or meet. `emit.py` has the addresses,
`tiles.py` writes the requests. Asking for memory that does not exist does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.operands import NEAREST, SECOND, prefetch
from grad.codegen.llvm.convolution.copy import Source
from grad.codegen.llvm.convolution.plan import Plan
from grad.kernel.ir import Load, Parameter, Store
from grad.kernel.ir_convolution import Convolution

LINE_BYTES = 64
MOST_LINES = 512  # that are asked for with each channel
CHANNELS_AHEAD = 16  # of an image that is read in place: longer than the second-level cache takes


@dataclass(frozen=True, slots=True)
class Result:
    """Memory that the epilogue reads or writes at the place of each sum.

    Attributes:
        slot: of the address in the arguments; offset: bytes to the first element.
        steps: bytes from image to image, from group to group and from filter to filter.
        size: bytes from position to position.
    """

    slot: int
    offset: int
    steps: tuple[int, int, int]
    size: int
    written: bool

    def pointer(self, b: Builder, numbers: Sequence[Value]) -> Value:
        """Where position 0 is, of image, group and filter `numbers`."""
        base = b.load("ptr", b.gep("i64", Value("%args", "ptr"), self.slot), 8)
        place = b.const("i64", self.offset)
        for number, step in zip(numbers, self.steps, strict=True):
            place = b.add(place, b.mul(number, step))
        return b.gep("i8", base, place)


@dataclass(frozen=True, slots=True)
class Requests:
    """What the tiles of a convolution ask for.

    Attributes:
        image: distances, for each tile and channel, of the image's lines that are asked for.
        channel_bytes: from channel to channel of the image.
        results: memory of the results.
    """

    image: tuple[int, ...]
    channel_bytes: int
    results: tuple[Result, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the results' pointers among the parameters of a tile."""
        return tuple(f"result{number}" for number in range(len(self.results)))

    @property
    def parameters(self) -> Mapping[str, str]:
        """Parameters of a tile's function: where its share of the next image is, and its results'
        first positions."""
        return {"ahead": "ptr", **dict.fromkeys(self.names, "ptr")}


def moved(plan: Plan) -> int:
    """Elements of the image's channel that a turn moves on."""
    return plan.axes[1].stride * plan.axes[2].stride


def requests_of(
    plan: Plan, source: Source, nest: Convolution, parameters: Mapping[int, Parameter]
) -> Requests:
    """The requests of `nest`, whose image is at `source`."""
    # Rows that lie side by side are asked for as one run.
    one_row = plan.axes[1].size == 1 or source.strides[1] == plan.axes[2].size
    in_order = source.strides[2] == 1 and one_row
    flat = plan.axes[0].size == 1 and in_order
    # With wide strides a turn moves past the channel's end, and its lines are more than a program
    # should list: LLVM takes minutes for tens of thousands.
    channel = math.prod(axis.size for axis in plan.axes)
    span = min(plan.tile * moved(plan), channel) * source.size
    span = min(span, MOST_LINES * LINE_BYTES)
    # Tiles of a few positions would ask for each line several times, and wait no less.
    narrow = plan.pixels and plan.tile * source.size < LINE_BYTES // 2
    lines: list[int] = []
    if plan.copy is None:
        lines = [*range(0, span, LINE_BYTES), span - source.size]
    elif flat and not narrow:
        lines = [*range(0, span, LINE_BYTES)]
    found = (_result(nest, s, parameters) for s in nest.body if isinstance(s, Load | Store))
    return Requests(
        tuple(dict.fromkeys(lines)),
        source.channel * source.size,
        tuple(dict.fromkeys(result for result in found if result is not None)),
    )


def _result(
    nest: Convolution, access: Load | Store, parameters: Mapping[int, Parameter]
) -> Result | None:
    """The memory of an access that goes along positions, if its places are plain sums."""
    image, group, filter_number, position = (access.index.coefficient(v) for v in nest.variables)
    parameter = parameters[access.parameter]
    size = parameter.dtype.itemsize
    if image is None or group is None or filter_number is None or position != 1:
        return None
    if access.index.dynamics() or parameter.elements:
        return None
    return Result(
        access.parameter,
        access.index.constant * size,
        (image * size, group * size, filter_number * size),
        size,
        isinstance(access, Store),
    )


class Requester:
    """Writes the requests of one tile's function."""

    def __init__(
        self, b: Builder, plan: Plan, requests: Requests, filters: int, p: Mapping[str, Value]
    ) -> None:
        self.b, self.plan, self.requests, self.filters, self.p = b, plan, requests, filters, p

    def channel(self, channel: Value) -> None:
        """What is asked for with one channel."""
        b = self.b
        nearness = NEAREST if self.plan.copy is None else SECOND
        start = b.gep("i8", self.p["ahead"], b.mul(channel, self.requests.channel_bytes))
        for distance in self.requests.image:
            prefetch(b, b.gep("i8", start, distance), nearness=nearness)

    def results(self) -> None:
        """The lines that the tile's sums go to, at its beginning. A tile that is shorter than a
        line asks where one begins in it.
        """
        b = self.b
        positions = self.plan.tile * self.plan.axes[2].spread
        for name, result in zip(self.requests.names, self.requests.results, strict=True):
            start, span = self.p[name], positions * result.size
            if span >= LINE_BYTES:
                self.lines(result, start, range(0, span, LINE_BYTES))
                continue
            address = b.convert("ptrtoint", start, "i64")
            before = b.binary("and", b.add(address, -1), LINE_BYTES - 1)
            begins = b.icmp("uge", b.add(before, span), LINE_BYTES)
            last = span - result.size
            b.branch(begins, lambda r=result, s=start, at=last: self.lines(r, s, [at]))

    def lines(self, result: Result, start: Value, places: Iterable[int]) -> None:
        """The lines at `places` from `start` on, of all filters."""
        for number in range(self.filters):
            for place in places:
                line = self.b.gep("i8", start, number * result.steps[2] + place)
                prefetch(self.b, line, for_writing=result.written)
