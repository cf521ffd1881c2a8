"""The statements of convolutions in kernel IR, and the variables that they are written in.

`ir.py` has the others; `lower_convolution.py` makes these, `codegen/llvm/convolution/phase.py`
makes code of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from grad.dtype import DType
from grad.graph.index import Index, Variable, show
from grad.graph.windows import Geometry

if TYPE_CHECKING:
    from grad.kernel.ir import Statement


class ConvolutionForm(Enum):
    """What lies side by side in a convolution's registers, and so how its weight is stored.

    PIXELS: rows of a tile are output positions, its vectors filters; the weight is stored as
        ``[group][panel][channel, taps][filters of a panel]``, with `WEIGHT_PANEL_BYTES` to a
        panel's row: rows of whole cache lines, one behind the other, so that the panel in use
        spreads over all sets of the first-level cache.
    FILTERS: rows of a tile are filters, its vectors output positions; the weight is stored as
        ``[group][filter][channel, taps]``.
    WINOGRAD: sums of tiles by way of `winograd.py`; the weight is stored transformed, as
        ``[group][panel][tap][channel][filters of a panel]`` with 6 x 6 taps.
    """

    PIXELS = "pixels"
    FILTERS = "filters"
    WINOGRAD = "winograd"


WEIGHT_PANEL_BYTES = 64
WINOGRAD_TAPS = 6  # of a transformed weight, along each axis
PANEL_BYTES = 128  # of the packed gradient that a weight's gradient is made of


@dataclass(frozen=True, slots=True)
class Convolution:
    """For all images, groups, filters and positions: ``accumulator = sum over channels and taps of
    image[...] * weight[...]``, then `body` once each.

    `variables` are those that `body` may use (image, group, filter in the group, flat output
    position). `image` and `weight` are element offsets in terms of `image_variables(sizes)` and
    `weight_variables`. The weight lies in memory in the order that `form` says.
    """

    accumulator: int
    dtype: DType
    sizes: Geometry
    form: ConvolutionForm
    image_parameter: int
    image: Index
    weight_parameter: int
    weight: Index
    body: tuple[Statement, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return result_variables(self.sizes)

    @property
    def weight_variables(self) -> tuple[Variable, ...]:
        if self.form is ConvolutionForm.WINOGRAD:
            return transformed_variables(self.sizes)
        return weight_variables(self.sizes)


@dataclass(frozen=True, slots=True)
class ConvolutionWeight:
    """For all blocks of images, groups, channels, taps and filters: ``target[...] = sum over the
    block's images and positions of image[...] * gradient[...]``.

    `image` and `gradient` are element offsets in terms of `image_variables(sizes)` and
    `gradient_variables(sizes)`, `target` in terms of `block` and `weight_variables(sizes)`. Images
    are dealt out to the blocks in runs of ``ceil(images / blocks)``.
    """

    dtype: DType
    sizes: Geometry
    block: Variable
    image_parameter: int
    image: Index
    gradient_parameter: int
    gradient: Index
    target_parameter: int
    target: Index

    @property
    def body(self) -> tuple[Statement, ...]:
        return ()

    @property
    def target_row(self) -> int:
        """Elements of the target from one tap to the next: room for the filters, in panels."""
        panel = PANEL_BYTES // self.dtype.itemsize
        return -(-self.sizes.filters // panel) * panel

    @property
    def images_in_block(self) -> int:
        return -(-self.sizes.images // self.block.size)


def image_variables(sizes: Geometry) -> tuple[Variable, ...]:
    """Image, group, channel in the group, and the three spatial axes."""
    counts = (sizes.images, sizes.groups, sizes.channels, *sizes.image)
    return tuple(
        Variable(*pair) for pair in zip(("n", "g", "c", "z", "y", "x"), counts, strict=True)
    )


def weight_variables(sizes: Geometry) -> tuple[Variable, ...]:
    """Group, filter in the group, channel in the group, and the three axes of taps."""
    counts = (sizes.groups, sizes.filters, sizes.channels, *sizes.kernel)
    names = ("g", "o", "c", "kz", "ky", "kx")
    return tuple(Variable(*pair) for pair in zip(names, counts, strict=True))


def transformed_variables(sizes: Geometry) -> tuple[Variable, ...]:
    """Those of a weight that is stored transformed."""
    return weight_variables(replace(sizes, kernel=(1, WINOGRAD_TAPS, WINOGRAD_TAPS)))


def gradient_variables(sizes: Geometry) -> tuple[Variable, ...]:
    """Image, group, filter in the group, and the three axes of the output."""
    counts = (sizes.images, sizes.groups, sizes.filters, *sizes.out)
    names = ("n", "g", "o", "oz", "oy", "ox")
    return tuple(Variable(*pair) for pair in zip(names, counts, strict=True))


def result_variables(sizes: Geometry) -> tuple[Variable, ...]:
    """Image, group, filter in the group, flat output position."""
    counts = (sizes.images, sizes.groups, sizes.filters, sizes.positions)
    return tuple(Variable(*pair) for pair in zip(("n", "g", "o", "p"), counts, strict=True))


def print_convolution(s: Convolution | ConvolutionWeight, names: dict[int, str]) -> str:
    g = s.sizes
    if isinstance(s, Convolution):
        head = ", ".join(v.name for v in s.variables)
        sizes = ", ".join(str(v.size) for v in s.variables)
        what = f"v{s.accumulator}"
        factors = ((s.image_parameter, s.image), (s.weight_parameter, s.weight))
    else:
        outer = (s.block, *weight_variables(g))
        head = ", ".join(v.name for v in outer)
        sizes = ", ".join(str(v.size) for v in outer)
        what = f"{names[s.target_parameter]}[{show(s.target)}]"
        factors = ((s.image_parameter, s.image), (s.gradient_parameter, s.gradient))
    product = " * ".join(f"{names[p]}[{show(index)}]" for p, index in factors)
    return (
        f"for {head} in ndrange({sizes}):  # convolution, {what} = sum of {product}, stride "
        f"{g.stride}, before {g.before}, dilation {g.dilation}, spread {g.spread}"
    )
