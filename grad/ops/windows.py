"""Sliding windows as axes of their own: `Tensor.unfold`, and `im2col` and `col2im` of images.

A window is an affine movement, element k of window w being at ``w * step + k * spacing``, so that
nothing is copied where the windows are only read. Its gradient adds each element of a window to the
place it came from; `col2im` (``nn.functional.fold``) is that, and each is the other's gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.movement import Move, Shape
from grad.graph.node import Node, constant, expand, iota, pointwise, reshape
from grad.graph.primitives import ADD, AFFINE, MUL
from grad.ops.axes import normal_axis, whole
from grad.ops.index import Put
from grad.ops.movement import Movement, moved
from grad.ops.padding import PadConstant
from grad.ops.promotion import apart, is_tensor, unsupported
from grad.ops.registry import ALL, FLOATING, Failure, Sample, op
from grad.ops.sliding import per_axis, require_at_least


def window_move(shape: Shape, axis: int, size: int, step: int, spacing: int = 1) -> Move:
    """The movement that shows windows along `axis`: their number stays there, their elements are
    a new last axis.
    """
    reach = (size - 1) * spacing + 1 if size else 0
    count = (shape[axis] - reach) // step + 1
    rows = []
    for number in range(len(shape)):
        steps = [int(number == other) for other in range(len(shape))] + [0]
        if number == axis:
            steps[axis], steps[-1] = step, spacing
        rows.append((0, tuple(steps)))
    target = (*shape[:axis], count, *shape[axis + 1 :], size)
    return Move(AFFINE, (target, tuple(rows)))


def _places(count: int, step: int, size: int, spacing: int) -> Node:
    """Where each element of each window is along its axis, windows one after the other."""
    windows = pointwise(MUL, reshape(iota(count), (count, 1)), constant(step, dtypes.int64))
    elements = pointwise(MUL, iota(size), constant(spacing, dtypes.int64))
    return reshape(expand(pointwise(ADD, windows, elements), (count, size)), (count * size,))


def windows_added(x: Any, axis: int, length: int, step: int, spacing: int = 1) -> Any:
    """Zeros of size `length` along `axis`, and the elements of windows (the last axis of `x`) added
    to where they come from.
    """
    count, size = x.shape[axis], x.shape[-1]
    lines = x.movedim(-1, axis + 1)
    lines = lines.reshape(*x.shape[:axis], count * size, *x.shape[axis + 1 : -1])
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 : -1])
    zeros = x._wrap(expand(constant(0, x.dtype), shape))
    return Put.apply(zeros, lines, axis, _places(count, step, size, spacing), "add")


def _windows(x: np.ndarray, dimension: int, size: int, step: int) -> np.ndarray:
    shown = np.lib.stride_tricks.sliding_window_view(x, size, dimension)
    return shown[(slice(None),) * (dimension % x.ndim) + (slice(None, None, step),)]


@op(
    method="unfold",
    function=False,
    view=True,
    dtypes=ALL,
    reference=_windows,
    samples=[Sample(((7,),), (0, 3, 2)), Sample(((2, 5, 3),), (-2, 2, 1))],
    errors=[
        Failure(((4,),), (0, 5, 1), match="maximum size"),
        Failure(((4,),), (0, 2, 0), error=ArgumentError),
    ],
)
class Unfold(Movement):
    """Windows of `size` elements along `dimension`, `step` apart: a view.

    Shape:
        ``(..., n, ...)`` to ``(..., (n - size) // step + 1, ..., size)``.

    Example:
        >>> grad.arange(5).unfold(0, 3, 2).tolist()
        [[0, 1, 2], [2, 3, 4]]
    """

    @staticmethod
    def forward(ctx: Context, x: Any, dimension: int, size: int, step: int) -> Any:
        axis = normal_axis("unfold", dimension, len(x.shape))
        size, step = whole("unfold", "size", size), whole("unfold", "step", step)
        length = x.shape[axis] if x.shape else 1
        if not 0 <= size <= length:
            raise ShapeError(
                f"unfold: maximum size for tensor at dimension {axis} is {length}, but size is "
                f"{size}."
            )
        if step < 1:
            raise ArgumentError(f"unfold: step is {step}, it must be 1 or more.")
        if not x.shape:
            ctx.number = True
            return moved(ctx, x, (Move(AFFINE, ((size,), ())),))
        ctx.number, ctx.axis, ctx.step = False, axis, step
        return moved(ctx, x, (window_move(x.shape, axis, size, step),))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        if ctx.number:
            return grad.sum(), None, None, None
        added = windows_added(grad, ctx.axis, ctx.shape[ctx.axis], ctx.step)
        return added, None, None, None


# -- images ----------------------------------------------------------------------------------------
def _geometry(name: str, kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[Shape]:
    """The four pairs of numbers, checked."""
    words = ("kernel_size", "dilation", "padding", "stride")
    given = zip(words, (kernel, dilation, padding, stride))
    pairs = [per_axis(name, what, numbers, 2) for what, numbers in given]
    for what, pair in zip(words, pairs):
        require_at_least(name, what, pair, 0 if what == "padding" else 1)
    return pairs


def _counts(name: str, sizes: Shape, pairs: list[Shape]) -> Shape:
    """How many windows fit along each axis of an image."""
    counts = tuple(
        (size + 2 * around - (kernel - 1) * spacing - 1) // step + 1
        for size, kernel, spacing, around, step in zip(sizes, *pairs)
    )
    if min(counts) < 1:
        raise ShapeError(
            f"{name}: windows of {pairs[0]}, dilation {pairs[1]}, do not fit an image of "
            f"{tuple(sizes)} with padding {pairs[2]}."
        )
    return counts


class WindowsOf(Movement):
    """``(n, c, h, w)`` to ``(n, c, rows, columns, kernel rows, kernel columns)``."""

    @staticmethod
    def forward(ctx: Context, x: Any, kernel: Shape, dilation: Shape, stride: Shape) -> Any:
        ctx.dilation, ctx.stride = dilation, stride
        first = window_move(x.shape, 2, kernel[0], stride[0], dilation[0])
        second = window_move(first.arg[0], 3, kernel[1], stride[1], dilation[1])
        return moved(ctx, x, (first, second))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        grad = windows_added(grad, 3, ctx.shape[3], ctx.stride[1], ctx.dilation[1])
        grad = windows_added(grad, 2, ctx.shape[2], ctx.stride[0], ctx.dilation[0])
        return grad, None, None, None


def _columns(
    x: np.ndarray, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> np.ndarray:
    if 0 in x.shape[-3:]:
        raise ValueError("no image")
    pairs = _geometry("im2col", kernel_size, dilation, padding, stride)
    kernel, spacing, around, step = pairs
    rows, columns = _counts("im2col", x.shape[-2:], pairs)
    rest = [(0, 0)] * (x.ndim - 2)
    x = np.pad(x, [*rest, *[(amount, amount) for amount in around]])
    taps = [
        x[..., a * spacing[0] :: step[0], b * spacing[1] :: step[1]][..., :rows, :columns]
        for a in range(kernel[0])
        for b in range(kernel[1])
    ]
    stacked = np.stack(taps, axis=x.ndim - 2)
    return stacked.reshape(*x.shape[:-3], x.shape[-3] * len(taps), rows * columns)


@op(
    function="im2col",
    composite=True,
    dtypes=FLOATING,
    reference=_columns,
    samples=[
        Sample(((2, 2, 4, 5),), (2,)),
        Sample(((1, 5, 4),), ((2, 3), (2, 1), (1, 0), (1, 2))),
    ],
    errors=[
        Failure(((2, 3),), (2,), match="image"),
        Failure(((1, 3, 3),), (4,), match="fit"),
        Failure(((1, 3, 3),), (0,), error=ArgumentError),
    ],
)
class ImageToColumns:
    """The windows of images as columns: ``nn.functional.unfold``.

    Shape:
        ``(n, c, h, w)`` or ``(c, h, w)`` to ``(n, c * kernel elements, windows)`` or without n.
        `kernel_size`, `dilation`, `padding` and `stride` are one number, or one for each axis.

    Example:
        >>> grad.im2col(grad.zeros(1, 3, 8, 8), 2, stride=2).shape
        torch.Size([1, 12, 16])
    """

    @staticmethod
    def forward(
        x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> Any:
        pairs = _geometry("im2col", kernel_size, dilation, padding, stride)
        if not is_tensor(x):
            raise unsupported("im2col", x)
        if len(x.shape) not in (3, 4) or 0 in x.shape[-3:]:
            raise ShapeError(
                f"im2col: needs an image (c, h, w) or a batch of them, got shape {tuple(x.shape)}."
            )
        if len(x.shape) == 3:
            whole = ImageToColumns.forward(x.unsqueeze(0), kernel_size, dilation, padding, stride)
            return whole.squeeze(0)
        kernel, spacing, around, step = pairs
        counts = _counts("im2col", x.shape[2:], pairs)
        if any(around):
            amounts = ((0, 0), (0, 0), *[(amount, amount) for amount in around])
            x = PadConstant.apply(x, amounts, 0.0)
        shown = WindowsOf.apply(x, kernel, spacing, step).permute(0, 1, 4, 5, 2, 3)
        channels = x.shape[1] * math.prod(kernel)
        return apart(shown.reshape(x.shape[0], channels, math.prod(counts)), x)


@op(function="col2im", composite=True, dtypes=FLOATING)
class ColumnsToImage:
    """Windows added up to images, each element where it belongs: ``nn.functional.fold``.

    Shape:
        ``(n, c * kernel elements, windows)`` to ``(n, c, *output_size)``, both maybe without n.
    """

    @staticmethod
    def forward(
        x: Any,
        output_size: Any,
        kernel_size: Any,
        dilation: Any = 1,
        padding: Any = 0,
        stride: Any = 1,
    ) -> Any:
        pairs = _geometry("col2im", kernel_size, dilation, padding, stride)
        sizes = per_axis("col2im", "output_size", output_size, 2)
        require_at_least("col2im", "output_size", sizes, 1)
        if not is_tensor(x):
            raise unsupported("col2im", x)
        if x.dtype.kind != "f":
            raise DTypeError(f"col2im: not defined for {x.dtype.name}; use x.float() first.")
        if len(x.shape) == 2:
            whole = ColumnsToImage.forward(
                x.unsqueeze(0), output_size, kernel_size, dilation, padding, stride
            )
            return whole.squeeze(0)
        kernel, spacing, around, step = pairs
        counts = _counts("col2im", sizes, pairs)
        fits = len(x.shape) == 3 and x.shape[1] and x.shape[1] % math.prod(kernel) == 0
        if not fits or x.shape[2] != math.prod(counts):
            raise ShapeError(
                f"col2im: got shape {tuple(x.shape)}; needs (n, c * {math.prod(kernel)}, "
                f"{math.prod(counts)}) for windows of {kernel} in images of {sizes}."
            )
        n, channels = x.shape[0], x.shape[1] // math.prod(kernel)
        shown = x.reshape(n, channels, *kernel, *counts).permute(0, 1, 4, 5, 2, 3)
        large = [size + 2 * amount for size, amount in zip(sizes, around)]
        shown = windows_added(shown, 3, large[1], step[1], spacing[1])
        shown = windows_added(shown, 2, large[0], step[0], spacing[0])
        (top, left), (height, width) = around, sizes
        return shown[:, :, top : top + height, left : left + width]
