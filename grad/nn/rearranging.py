"""Layers that move the elements of images: windows as columns, channels as pixels."""

from __future__ import annotations

from typing import ClassVar

from grad.nn import functional
from grad.nn.module import Module
from grad.tensor import Tensor

Pair = int | tuple[int, int]


class PixelShuffle(Module):
    """Channels as pixels: ``(..., c * r * r, h, w)`` to ``(..., c, h * r, w * r)``.

    Example:
        >>> PixelShuffle(2)(Tensor.zeros((1, 8, 3, 3))).shape
        torch.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return functional.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels as channels, `PixelShuffle` reversed.

    Example:
        >>> PixelUnshuffle(2)(Tensor.zeros((1, 2, 6, 6))).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return functional.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels in the order of a card shuffle: one of each of `groups` in turn.

    Example:
        >>> ChannelShuffle(2)(Tensor.arange(4).reshape(1, 4, 1)).flatten().tolist()
        [0, 2, 1, 3]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return functional.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class _Windows(Module):
    """The settings of sliding windows: each one number, or one for each axis."""

    settings: ClassVar[tuple[str, ...]] = ("kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)


class Unfold(_Windows):
    """The windows of images as columns: ``(n, c, h, w)`` to ``(n, c * kernel elements, windows)``.

    Example:
        >>> Unfold(2, stride=2)(Tensor.zeros((1, 3, 8, 8))).shape
        torch.Size([1, 12, 16])
    """

    def forward(self, input: Tensor) -> Tensor:
        settings = (self.kernel_size, self.dilation, self.padding, self.stride)
        return functional.unfold(input, *settings)


class Fold(_Windows):
    """Windows added up to images of `output_size`: the gradient of `Unfold`.

    Example:
        >>> Fold(8, 2, stride=2)(Tensor.zeros((1, 12, 16))).shape
        torch.Size([1, 3, 8, 8])
    """

    settings = ("output_size", *_Windows.settings)

    def __init__(
        self,
        output_size: Pair,
        kernel_size: Pair,
        dilation: Pair = 1,
        padding: Pair = 0,
        stride: Pair = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        settings = (self.kernel_size, self.dilation, self.padding, self.stride)
        return functional.fold(input, self.output_size, *settings)
