"""Layers of filters that move over an image: `Conv1d` ... `ConvTranspose3d`.

One base holds the settings, the weight, its start and what is printed; the classes say over how
many axes, and which function of `functional.py` does the work. Weights are stored as PyTorch stores
them and start from the same distributions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from grad.dtype import DType
from grad.nn import functional, init
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.ops.sliding import per_axis
from grad.tensor import Tensor

Sizes = int | Sequence[int]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Filters(Module):
    """What all of them have; `rank` is the number of axes that the filters move along."""

    rank: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        dtype: DType | None,
    ) -> None:
        super().__init__()
        self._check(in_channels, out_channels, groups, padding_mode)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.stride = self._sizes("stride", stride)
        self.padding = self._padding(padding)
        self.dilation = self._sizes("dilation", dilation)
        self.output_padding = self._sizes("output_padding", output_padding)
        self.padding_mode = padding_mode
        self.weight = Parameter(Tensor.empty(self._weight_shape(), dtype=dtype))
        self.bias = Parameter(Tensor.empty((out_channels,), dtype=dtype)) if bias else None
        self.reset_parameters()

    def _check(self, in_channels: int, out_channels: int, groups: int, padding_mode: str) -> None:
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % groups:
                raise ValueError(f"{name} {count} must be divisible by groups {groups}")
        modes = PADDING_MODES[:1] if self.transposed else PADDING_MODES
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got {padding_mode!r}")

    def _weight_shape(self) -> tuple[int, ...]:
        channels = (self.out_channels, self.in_channels)
        first, second = reversed(channels) if self.transposed else channels
        return (first, second // self.groups, *self.kernel_size)

    def _sizes(self, what: str, given: Sizes) -> tuple[int, ...]:
        return per_axis(type(self).__name__, what, given, self.rank)

    def _padding(self, given: Sizes | str) -> tuple[int, ...] | str:
        if not isinstance(given, str):
            return self._sizes("padding", given)
        if given not in ("same", "valid"):
            raise ValueError(f"padding must be 'same', 'valid' or ints, but got {given!r}")
        if given == "same" and set(self.stride) != {1}:
            raise ValueError("padding='same' is not supported for strided convolutions")
        return given

    def reset_parameters(self) -> None:
        """Draw weight and bias from ``U(-k, k)``, ``k = 1 / sqrt(taps of one filter)``."""
        # kaiming_uniform_ with a = sqrt(5) has this same bound 1 / sqrt(fan_in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        usual = (1,) * self.rank
        none = (0,) * self.rank
        optional = [
            (f"padding={self.padding}", self.padding != none),
            (f"dilation={self.dilation}", self.dilation != usual),
            (f"output_padding={self.output_padding}", self.output_padding != none),
            (f"groups={self.groups}", self.groups != 1),
            ("bias=False", self.bias is None),
            (f"padding_mode={self.padding_mode}", self.padding_mode != "zeros"),
        ]
        return ", ".join(
            [
                f"{self.in_channels}, {self.out_channels}",
                f"kernel_size={self.kernel_size}",
                f"stride={self.stride}",
                *(text for text, wanted in optional if wanted),
            ]
        )


# -- convolution -----------------------------------------------------------------------------------
class _Convolution(_Filters):
    """The constructor and the call of `Conv1d`, `Conv2d` and `Conv3d`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = functional.pad(input, self._around(), mode=self.padding_mode)
            padding = 0
        settings = (self.stride, padding, self.dilation, self.groups)
        return type(self).function(input, self.weight, self.bias, *settings)

    def _around(self) -> list[int]:
        """The padding as `functional.pad` takes it: before and after, the last axis first."""
        if isinstance(self.padding, str):
            reach = [
                d * (k - 1) if self.padding == "same" else 0
                for d, k in zip(self.dilation, self.kernel_size)
            ]
            pairs = [(r // 2, r - r // 2) for r in reach]
        else:
            pairs = [(p, p) for p in self.padding]
        return [amount for pair in reversed(pairs) for amount in pair]


class Conv1d(_Convolution):
    """Filters over sequences.

    Shape:
        input ``(N, in_channels, L)`` or ``(in_channels, L)``; output the same with `out_channels`
        and the length that `functional.conv1d` says.
    """

    rank = 1
    function = staticmethod(functional.conv1d)


class Conv2d(_Convolution):
    """Filters over images.

    Shape:
        input ``(N, in_channels, H, W)`` or ``(in_channels, H, W)``.

    Example:
        >>> Conv2d(3, 8, 3, padding=1)(Tensor.zeros((2, 3, 32, 32))).shape
        torch.Size([2, 8, 32, 32])
    """

    rank = 2
    function = staticmethod(functional.conv2d)


class Conv3d(_Convolution):
    """Filters over volumes.

    Shape:
        input ``(N, in_channels, D, H, W)`` or ``(in_channels, D, H, W)``.
    """

    rank = 3
    function = staticmethod(functional.conv3d)


# -- transposed convolution ------------------------------------------------------------------------
class _Transposed(_Filters):
    """The constructor and the call of `ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        settings = (self.stride, self.padding, extra, self.groups, self.dilation)
        return type(self).function(input, self.weight, self.bias, *settings)

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that leads to `output_size`."""
        wanted = tuple(output_size)[-self.rank :]
        least = [
            (n - 1) * s - 2 * int(p) + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.rank :],
                self.stride,
                self.padding,
                self.dilation,
                self.kernel_size,
            )
        ]
        most = [size + step - 1 for size, step in zip(least, self.stride)]
        if len(wanted) != self.rank or any(
            not low <= size <= high for low, size, high in zip(least, wanted, most)
        ):
            raise ValueError(
                f"requested an output size of {tuple(output_size)}, but valid sizes range from "
                f"{least} to {most} (for an input of {tuple(input.shape[-self.rank :])})"
            )
        return tuple(size - low for size, low in zip(wanted, least))


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d` as a linear map: sequences that grow with the stride."""

    rank = 1
    function = staticmethod(functional.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d` as a linear map: images that grow with the stride.

    Example:
        >>> ConvTranspose2d(8, 3, 2, stride=2)(Tensor.zeros((2, 8, 16, 16))).shape
        torch.Size([2, 3, 32, 32])
    """

    rank = 2
    function = staticmethod(functional.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d` as a linear map: volumes that grow with the stride."""

    rank = 3
    function = staticmethod(functional.conv_transpose3d)
