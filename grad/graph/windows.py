"""The windows of a convolution: where the taps of a kernel meet the image.

`Windows` says it for each spatial axis, `Geometry` puts it together with the sizes of one
convolution, always over three axes, which is what the compiler works with. `correlate` and
`correlate_weight` are what the two primitives mean, in NumPy: `evaluate.py` and
`kernel/interpret.py` are made of them. `node.py` has the functions that make nodes.

Output position y of an axis and tap k of the kernel meet at ``y * stride + k * dilation - before``
in the image after `spread` - 1 zeros were put between its elements. What lies outside the image is
zero and multiplied like any other element; where a tap meets one of the zeros in between, there is
nothing to multiply.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grad.errors import ShapeError
from grad.graph.movement import Shape, bounded

Array = np.ndarray[Any, Any]
Precision = Literal["highest", "high"]
AXES = 3  # spatial axes of a Geometry
WIDEST_SPREAD = 4  # that kernels take as it is, along an axis; ops/sub_pixel.py has the others


@dataclass(frozen=True, slots=True)
class Windows:
    """How a kernel moves over an image; one entry for each spatial axis.

    Attributes:
        stride: steps of the kernel, in elements.
        padding: (before, after) zeros around the image; negative amounts cut it off.
        dilation: distance between neighbouring taps.
        spread: distance between neighbouring elements of the image (1: they are side by side); the
            places between are zeros. For gradients of strided convolutions.
        groups: the channels fall into so many groups that have nothing to do with each other.
        precision: "high" allows float32 sums to be computed in fewer multiplications, with larger
            rounding errors.
    """

    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    spread: Shape
    groups: int = 1
    precision: Precision = "highest"

    def shape(self, image_sizes: Sequence[int], kernel_sizes: Sequence[int]) -> Shape:
        """Sizes of the output; ShapeError where the kernel does not fit into the padded image."""
        sizes = []
        for axis, (size, taps) in enumerate(zip(image_sizes, kernel_sizes, strict=True)):
            (before, after), spread = self.padding[axis], self.spread[axis]
            extent = (size - 1) * spread + 1 if size else 0
            padded, reach = extent + before + after, self.dilation[axis] * (taps - 1) + 1
            bounded("convolve", (max(padded, 0),))
            if taps < 1 or padded < reach:
                raise ShapeError(
                    f"convolution: along spatial axis {axis} the kernel has {taps} taps and "
                    f"reaches over {reach} elements, the padded image has {padded}; a kernel needs "
                    f"one tap at least, and must fit. Use a smaller kernel or dilation, or more "
                    f"padding."
                )
            sizes.append((padded - reach) // self.stride[axis] + 1)
        return tuple(sizes)


@dataclass(frozen=True, slots=True)
class Geometry:
    """All sizes of one convolution, over three spatial axes.

    The image is ``(images, groups * channels, *image)``, the weight
    ``(groups * filters, channels, *kernel)``, the output ``(images, groups * filters, *out)``.
    """

    images: int
    groups: int
    channels: int
    filters: int
    image: Shape
    kernel: Shape
    out: Shape
    stride: Shape
    before: Shape
    dilation: Shape
    spread: Shape

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    @property
    def positions(self) -> int:
        """Output positions of one image."""
        return math.prod(self.out)

    @property
    def operations(self) -> int:
        """Multiplications of the whole convolution."""
        results = self.images * self.groups * self.filters * self.positions
        return results * self.channels * self.taps


def convolved_shape(image: Shape, weight: Shape, windows: Windows) -> Shape:
    """The shape of ``convolve(image, weight, windows)``; ShapeError where they do not fit."""
    _check_ranks("convolve", image, weight, windows)
    groups = windows.groups
    if image[1] != groups * weight[1] or weight[0] % groups:
        raise ShapeError(
            f"convolve: image {image} and weight {weight} in {groups} groups do not fit; needs "
            f"(n, g * c, ...) and (g * o, c, ...)."
        )
    return bounded("convolve", (image[0], weight[0], *windows.shape(image[2:], weight[2:])))


def weight_shape(image: Shape, gradient: Shape, windows: Windows, kernel: Shape) -> Shape:
    """The shape of ``convolve_weight(image, gradient, windows, kernel)``; ShapeError likewise."""
    _check_ranks("convolve_weight", image, gradient, windows)
    groups = windows.groups
    out = windows.shape(image[2:], kernel)
    fits = image[0] == gradient[0] and gradient[2:] == out
    if not fits or image[1] % groups or gradient[1] % groups:
        raise ShapeError(
            f"convolve_weight: image {image} and gradient {gradient} do not fit; a kernel of "
            f"{kernel} in {groups} groups needs a gradient (n, g * o, *{out})."
        )
    return (gradient[1], image[1] // groups, *kernel)


def _check_ranks(name: str, image: Shape, other: Shape, windows: Windows) -> None:
    axes = len(image) - 2
    if not 1 <= axes <= AXES or len(other) != axes + 2 or len(windows.stride) != axes:
        raise ShapeError(
            f"{name}: operands are {image} and {other}, windows have {len(windows.stride)} "
            f"spatial axes; needs the same one, two or three in all."
        )


def geometry(
    image_shape: Shape, filters: int, kernel_sizes: Shape, out: Shape, windows: Windows
) -> Geometry:
    """The geometry of an image of `image_shape` with `filters` output channels altogether."""
    missing = AXES - len(kernel_sizes)
    groups = windows.groups

    def full(values: Sequence[int], filler: int) -> Shape:
        return (filler,) * missing + tuple(values)

    return Geometry(
        image_shape[0],
        groups,
        image_shape[1] // groups,
        filters // groups,
        full(image_shape[2:], 1),
        full(kernel_sizes, 1),
        full(out, 1),
        full(windows.stride, 1),
        full([before for before, _ in windows.padding], 0),
        full(windows.dilation, 1),
        full(windows.spread, 1),
    )


def tap_slices(g: Geometry) -> Iterator[tuple[Shape, tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap: its place in the kernel, the outputs it takes part in, and what it meets.

    The last is a slice of the image padded as `_padded` does it.
    """
    for tap in np.ndindex(*g.kernel):
        outputs, met = [], []
        for axis, k in enumerate(tap):
            spread, stride = g.spread[axis], g.stride[axis]
            shift = k * g.dilation[axis] - g.before[axis]
            lattice = [y for y in range(g.out[axis]) if (y * stride + shift) % spread == 0]
            if not lattice:
                outputs.append(slice(0, 0))
                met.append(slice(0, 0))
                continue
            step = lattice[1] - lattice[0] if len(lattice) > 1 else 1
            first = (lattice[0] * stride + shift) // spread + _margin(g, axis)
            hop = step * stride // spread if len(lattice) > 1 else 1
            outputs.append(slice(lattice[0], lattice[-1] + 1, step))
            met.append(slice(first, first + hop * (len(lattice) - 1) + 1, hop))
        yield tap, tuple(outputs), tuple(met)


def _margin(g: Geometry, axis: int) -> int:
    """Zeros that `_padded` puts on both sides of the image: enough for every tap."""
    reach = g.out[axis] * g.stride[axis] + g.kernel[axis] * g.dilation[axis]
    return abs(g.before[axis]) + reach


def _padded(g: Geometry, image: Array) -> Array:
    """``(images, groups, channels, *image)`` in float64 (or as integers) with its margins."""
    margins = [(_margin(g, axis), _margin(g, axis)) for axis in range(AXES)]
    return np.pad(_wide(image), [(0, 0)] * (image.ndim - AXES) + margins)


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def correlate(g: Geometry, image: Array, weight: Array) -> Array:
    """The convolution of ``(N, G, C, *image)`` and ``(G, O, C, *kernel)``: ``(N, G, O, *out)``."""
    padded, wide = _padded(g, image), _wide(weight)
    result = np.zeros((g.images, g.groups, g.filters, *g.out), padded.dtype)
    for tap, outputs, met in tap_slices(g):
        part = np.einsum("ngczyx,goc->ngozyx", padded[(..., *met)], wide[(..., *tap)])
        result[(..., *outputs)] += part
    return result.astype(image.dtype)


def correlate_weight(g: Geometry, image: Array, gradient: Array) -> Array:
    """The weight's gradient ``(G, O, C, *kernel)`` of the image and that of the output."""
    padded, wide = _padded(g, image), _wide(gradient)
    result = np.zeros((g.groups, g.filters, g.channels, *g.kernel), padded.dtype)
    for tap, outputs, met in tap_slices(g):
        found = np.einsum("ngczyx,ngozyx->goc", padded[(..., *met)], wide[(..., *outputs)])
        result[(..., *tap)] = found
    return result.astype(image.dtype)
