"""Layers that make an image smaller: the pooling functions with their settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from grad.nn import functional
from grad.nn.module import Module
from grad.tensor import Tensor


class _MaxPool(Module):
    """The settings of max pooling; `stride` None is that of the window."""

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        settings = (self.kernel_size, self.stride, self.padding, self.dilation)
        return type(self).function(input, *settings, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window of ``(N, C, L)``, see `functional.max_pool1d`."""

    function = staticmethod(functional.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of each window of ``(N, C, H, W)``, see `functional.max_pool2d`.

    Example:
        >>> MaxPool2d(2)(Tensor.zeros((1, 3, 8, 8))).shape
        torch.Size([1, 3, 4, 4])
    """

    function = staticmethod(functional.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest element of each window of ``(N, C, D, H, W)``, see `functional.max_pool3d`."""

    function = staticmethod(functional.max_pool3d)


class _AvgPool(Module):
    """The settings of average pooling; `stride` None is that of the window."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _settings(self) -> tuple[Any, ...]:
        settings = (self.kernel_size, self.stride, self.padding)
        return (*settings, self.ceil_mode, self.count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, *self._settings())

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _as_tuple(size: Any) -> tuple[int, ...]:
    """One number as a tuple, which is how PyTorch keeps and prints it in `AvgPool1d`."""
    return (size,) if isinstance(size, int) else tuple(size)


class AvgPool1d(_AvgPool):
    """The mean of each window of ``(N, C, L)``, see `functional.avg_pool1d`."""

    function = staticmethod(functional.avg_pool1d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        step = kernel_size if stride is None else stride
        sizes = (_as_tuple(kernel_size), _as_tuple(step), _as_tuple(padding))
        super().__init__(*sizes, ceil_mode, count_include_pad)


class _AvgPoolOver(_AvgPool):
    """Average pooling with a divisor of one's own."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def _settings(self) -> tuple[Any, ...]:
        return (*super()._settings(), self.divisor_override)


class AvgPool2d(_AvgPoolOver):
    """The mean of each window of ``(N, C, H, W)``, see `functional.avg_pool2d`."""

    function = staticmethod(functional.avg_pool2d)


class AvgPool3d(_AvgPoolOver):
    """The mean of each window of ``(N, C, D, H, W)``, see `functional.avg_pool3d`."""

    function = staticmethod(functional.avg_pool3d)


# -- adaptive --------------------------------------------------------------------------------------
class _AdaptiveAvgPool(Module):
    """The output size; None keeps what the image has."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of windows that cover ``(N, C, L)``, see `functional.adaptive_avg_pool1d`."""

    function = staticmethod(functional.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of windows that cover ``(N, C, H, W)``, see `functional.adaptive_avg_pool2d`.

    Example:
        >>> AdaptiveAvgPool2d(1)(Tensor.zeros((2, 64, 7, 7))).shape
        torch.Size([2, 64, 1, 1])
    """

    function = staticmethod(functional.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of windows that cover ``(N, C, D, H, W)``, see `functional.adaptive_avg_pool3d`."""

    function = staticmethod(functional.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    """The output size, and whether positions are wanted too."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self).function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of windows that cover ``(N, C, L)``, see `functional.adaptive_max_pool1d`."""

    function = staticmethod(functional.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of windows that cover ``(N, C, H, W)``, see `functional.adaptive_max_pool2d`."""

    function = staticmethod(functional.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of windows that cover ``(N, C, D, H, W)``, see `functional.adaptive_max_pool3d`."""

    function = staticmethod(functional.adaptive_max_pool3d)
