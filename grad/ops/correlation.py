"""The three functions behind convolution, each the gradient of the other two.

A convolution is linear in the image and in the weight, and its gradients in the result: of
`Convolve`, `ConvolveImage` and `ConvolveWeight` each makes one of the three of the other two, so
gradients of any order are made of these. `ConvolveImage` is the transposed convolution as well. All
are the primitives of `graph/windows.py`; the way back to the image reads the weight in reverse
through an index map. Integers, which the engine has no kernels for, are multiplied tap by tap.
`convolution.py` has the operations that users call.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.graph.node import (
    Node,
    constant,
    convolve,
    convolve_weight,
    expand,
    permute,
    pointwise,
    reduce,
    reshape,
    slice_axes,
)
from grad.graph.primitives import ADD, MUL, SUM
from grad.graph.windows import Windows
from grad.ops.movement import placed
from grad.ops.padding import padded
from grad.ops.sub_pixel import convolved_far_apart, is_far_apart
from grad.settings import settings

Shape = tuple[int, ...]


# -- in nodes --------------------------------------------------------------------------------------
def _turned(weight: Node, groups: int) -> Node:
    """``(g * o, c, *kernel)`` as ``(g * c, o, *kernel)`` with taps reversed: the way back."""
    filters, channels, *kernel = weight.shape
    rank = len(kernel)
    split = reshape(weight, (groups, filters // groups, channels, *kernel))
    swapped = permute(split, (0, 2, 1, *range(3, 3 + rank)))
    lead = [(0, 1, size) for size in swapped.shape[:3]]
    reverse = slice_axes(swapped, [*lead, *((size - 1, -1, size) for size in kernel)])
    return reshape(reverse, (groups * channels, filters // groups, *kernel))


def _way_back(windows: Windows, sizes: Shape, outputs: Shape, kernel: Shape) -> Windows:
    """The windows that lead from the result of a convolution to an image of `sizes`."""
    padding = []
    for axis, (before, _) in enumerate(windows.padding):
        reach = windows.dilation[axis] * (kernel[axis] - 1)
        extent = (outputs[axis] - 1) * windows.stride[axis] + 1
        wanted = (sizes[axis] - 1) * windows.spread[axis] + 1
        padding.append((reach - before, wanted + before - extent))
    return Windows(windows.spread, tuple(padding), windows.dilation, windows.stride, windows.groups)


def _convolved(image: Node, weight: Node, windows: Windows) -> Node:
    if 0 in image.shape or 0 in weight.shape:
        sizes = windows.shape(image.shape[2:], weight.shape[2:])
        return expand(constant(0, image.dtype), (image.shape[0], weight.shape[0], *sizes))
    if image.dtype is dtypes.float32:
        windows = replace(windows, precision=settings.float32_convolution_precision)
    if image.dtype.is_floating_point:
        if is_far_apart(windows):
            return convolved_far_apart(image, weight, windows, convolve)
        return convolve(image, weight, windows)
    return _convolved_by_taps(image, weight, windows)


def _convolved_by_taps(image: Node, weight: Node, windows: Windows) -> Node:
    """A sum over channels and over taps of products, all of them pointwise."""
    batch, _, *sizes = image.shape
    filters, channels, *kernel = weight.shape
    groups, outputs = windows.groups, windows.shape(sizes, kernel)
    apart = [(n - 1) * spread + 1 for n, spread in zip(sizes, windows.spread)]
    lead = [(0, 1, size) for size in image.shape[:2]]
    ranges = [*lead, *((0, spread, n) for n, spread in zip(sizes, windows.spread))]
    spaced = placed(image, (*image.shape[:2], *apart), ranges)
    around = padded(spaced, [(0, 0), (0, 0), *windows.padding], 0)
    split = reshape(weight, (groups, filters // groups, channels, *kernel))
    total: Node | None = None
    for tap in itertools.product(*map(range, kernel)):
        met = [
            (k * d, s, count)
            for k, d, s, count in zip(tap, windows.dilation, windows.stride, outputs)
        ]
        part = slice_axes(around, [*lead, *met])
        part = reshape(part, (batch, groups, 1, channels, *outputs))
        whole = [(0, 1, size) for size in split.shape[:3]]
        factor = slice_axes(split, [*whole, *((k, 1, 1) for k in tap)])
        term = reduce(SUM, pointwise(MUL, part, factor), (3,))
        total = term if total is None else pointwise(ADD, total, term)
    assert total is not None
    return reshape(total, (batch, filters, *outputs))


# -- the three functions ---------------------------------------------------------------------------
class Convolve(Function):
    """The result, of image ``(n, g * c, *sizes)`` and weight ``(g * o, c, *kernel)``."""

    @staticmethod
    def forward(ctx: Context, image: Any, weight: Any, windows: Windows) -> Any:
        ctx.windows = windows
        ctx.save_for_backward(image, weight)
        return image._wrap(_convolved(image.node, weight.node, windows))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        image, weight = ctx.saved_tensors
        needs_image, needs_weight, _ = ctx.needs_input_grad
        sizes, kernel = image.shape[2:], weight.shape[2:]
        return (
            ConvolveImage.apply(grad, weight, ctx.windows, sizes) if needs_image else None,
            ConvolveWeight.apply(image, grad, ctx.windows, kernel) if needs_weight else None,
            None,
        )


class ConvolveImage(Function):
    """An image of `sizes`, of the result and the weight."""

    @staticmethod
    def forward(ctx: Context, result: Any, weight: Any, windows: Windows, sizes: Shape) -> Any:
        ctx.windows = windows
        ctx.save_for_backward(result, weight)
        back = _way_back(windows, sizes, result.shape[2:], weight.shape[2:])
        turned = _turned(weight.node, windows.groups)
        return result._wrap(_convolved(result.node, turned, back))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        result, weight = ctx.saved_tensors
        needs_result, needs_weight = ctx.needs_input_grad[:2]
        kernel = weight.shape[2:]
        return (
            Convolve.apply(grad, weight, ctx.windows) if needs_result else None,
            ConvolveWeight.apply(grad, result, ctx.windows, kernel) if needs_weight else None,
            None,
            None,
        )


class ConvolveWeight(Function):
    """A weight with taps `kernel`, of the image and the result."""

    @staticmethod
    def forward(ctx: Context, image: Any, result: Any, windows: Windows, kernel: Shape) -> Any:
        ctx.windows = windows
        ctx.save_for_backward(image, result)
        if 0 in image.shape or 0 in result.shape:
            shape = (result.shape[1], image.shape[1] // windows.groups, *kernel)
            return image._wrap(expand(constant(0, image.dtype), shape))
        return image._wrap(convolve_weight(image.node, result.node, windows, kernel))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        image, result = ctx.saved_tensors
        needs_image, needs_result = ctx.needs_input_grad[:2]
        sizes = image.shape[2:]
        return (
            ConvolveImage.apply(result, grad, ctx.windows, sizes) if needs_image else None,
            Convolve.apply(image, grad, ctx.windows) if needs_result else None,
            None,
            None,
        )
