"""The pools of `unpooling_functions.py` as modules: by p-norms, undone, with windows at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from grad.nn import functional
from grad.nn.module import Module
from grad.ops.sliding import per_axis
from grad.tensor import Tensor


class _LPPool(Module):
    """The settings of pooling by a p-norm."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        settings = (float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
        return type(self).function(input, *settings)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of each window of ``(N, C, L)``, see `functional.lp_pool1d`."""

    function = staticmethod(functional.lp_pool1d)


class LPPool2d(_LPPool):
    """The p-norm of each window of ``(N, C, H, W)``, see `functional.lp_pool2d`."""

    function = staticmethod(functional.lp_pool2d)


class LPPool3d(_LPPool):
    """The p-norm of each window of ``(N, C, D, H, W)``, see `functional.lp_pool3d`."""

    function = staticmethod(functional.lp_pool3d)


class _MaxUnpool(Module):
    """The settings of the max pooling that is undone."""

    rank: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.rank)
        step = kernel_size if stride is None else stride
        self.stride = per_axis(name, "stride", step, self.rank)
        self.padding = per_axis(name, "padding", padding, self.rank)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        settings = (self.kernel_size, self.stride, self.padding)
        return type(self).function(input, indices, *settings, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`MaxPool1d` undone, see `functional.max_unpool1d`."""

    rank = 1
    function = staticmethod(functional.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """`MaxPool2d` undone, see `functional.max_unpool2d`."""

    rank = 2
    function = staticmethod(functional.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """`MaxPool3d` undone, see `functional.max_unpool3d`."""

    rank = 3
    function = staticmethod(functional.max_unpool3d)


class _FractionalMaxPool(Module):
    """The settings of max pooling with windows at random."""

    rank: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: give one of output_size and output_ratio.")
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = (
            None if output_size is None else per_axis(name, "output_size", output_size, self.rank)
        )
        ratios = output_ratio if isinstance(output_ratio, tuple | list) else [output_ratio]
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1; got {output_ratio}.")
        several = None if output_ratio is None else tuple(ratios) * (self.rank // len(ratios))
        self.output_ratio = several

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """Windows at random of ``(N, C, H, W)``, see `functional.fractional_max_pool2d`."""

    rank = 2
    function = staticmethod(functional.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """Windows at random of ``(N, C, D, H, W)``, see `functional.fractional_max_pool3d`."""

    rank = 3
    function = staticmethod(functional.fractional_max_pool3d)
