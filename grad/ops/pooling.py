"""Pooling as users call it: one row for each operation and number of axes.

All of them take an image ``(C, *sizes)`` or a batch ``(N, C, *sizes)`` and pool over the sizes.
How they are computed is in `average_pooling.py` and `max_pooling.py`; `sliding.py` checks the
arguments, `pooling_reference.py` says what is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.autograd.rebuilt import rebuilt
from grad.ops.average_pooling import adaptive_average, average
from grad.ops.max_pooling import adaptive_max_pool, max_pool
from grad.ops.pooling_reference import (
    adaptive_failures,
    adaptive_reference,
    adaptive_samples,
    average_reference,
    average_samples,
    failures,
    max_reference,
    max_samples,
)
from grad.ops.registry import NUMERIC, op


@op(
    function="avg_pool1d",
    reference=average_reference(1),
    samples=average_samples(1),
    errors=failures(1),
    composite=True,
)
class AvgPool1d(Function):
    """The mean of each window of `kernel_size` elements, `stride` apart (as long as the window
    without it).

    `padding` zeros around the image count as elements unless `count_include_pad` is False;
    `ceil_mode` keeps a last window that reaches outside.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Any:
        settings = (kernel_size, stride, padding, ceil_mode, count_include_pad)
        return average("avg_pool1d", 1, x, *settings)


@op(
    function="avg_pool2d",
    reference=average_reference(2),
    samples=average_samples(2),
    errors=failures(2),
    composite=True,
)
class AvgPool2d(Function):
    """The mean of each window of ``(N, C, H, W)``; see `avg_pool1d`.

    `divisor_override` is what sums are divided by in place of the number of elements.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        settings = (kernel_size, stride, padding, ceil_mode, count_include_pad)
        return average("avg_pool2d", 2, x, *settings, divisor_override)


@op(
    function="avg_pool3d",
    reference=average_reference(3),
    samples=average_samples(3),
    errors=failures(3),
    composite=True,
)
class AvgPool3d(Function):
    """The mean of each window of ``(N, C, D, H, W)``; see `avg_pool2d`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:
        settings = (kernel_size, stride, padding, ceil_mode, count_include_pad)
        return average("avg_pool3d", 3, x, *settings, divisor_override)


@op(
    function="max_pool1d",
    reference=max_reference(1),
    samples=max_samples(1),
    errors=failures(1),
    dtypes=NUMERIC,
    composite=True,
)
class MaxPool1d(Function):
    """The largest element of each window of `kernel_size` elements, `stride` apart (as long as the
    window without it).

    Elements of a window are `dilation` apart. What `padding` puts around the image is smaller than
    everything; `ceil_mode` keeps a last window that reaches outside. With `return_indices` a pair:
    also where in the image the elements are (flat, int64); of equals the first.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        settings = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return max_pool("max_pool1d", 1, x, *settings)


@op(
    function="max_pool2d",
    reference=max_reference(2),
    samples=max_samples(2),
    errors=failures(2),
    dtypes=NUMERIC,
    composite=True,
)
class MaxPool2d(Function):
    """The largest element of each window of ``(N, C, H, W)``; see `max_pool1d`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        settings = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return max_pool("max_pool2d", 2, x, *settings)


@op(
    function="max_pool3d",
    reference=max_reference(3),
    samples=max_samples(3),
    errors=failures(3),
    dtypes=NUMERIC,
    composite=True,
)
class MaxPool3d(Function):
    """The largest element of each window of ``(N, C, D, H, W)``; see `max_pool1d`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        settings = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return max_pool("max_pool3d", 3, x, *settings)


@op(
    function="adaptive_avg_pool1d",
    reference=adaptive_reference(1, np.mean),
    samples=adaptive_samples(1),
    errors=adaptive_failures(1),
    composite=True,
)
class AdaptiveAvgPool1d(Function):
    """The mean of each of `output_size` windows that cover the image evenly.

    None keeps a size. Where the sizes don't divide, neighbouring windows overlap.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any) -> Any:
        return adaptive_average("adaptive_avg_pool1d", 1, x, output_size)


@op(
    function="adaptive_avg_pool2d",
    reference=adaptive_reference(2, np.mean),
    samples=adaptive_samples(2),
    errors=adaptive_failures(2),
    composite=True,
)
class AdaptiveAvgPool2d(Function):
    """The mean of each of `output_size` windows of ``(N, C, H, W)``; see
    `adaptive_avg_pool1d`.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any) -> Any:
        return adaptive_average("adaptive_avg_pool2d", 2, x, output_size)


@op(
    function="adaptive_avg_pool3d",
    reference=adaptive_reference(3, np.mean),
    samples=adaptive_samples(3),
    errors=adaptive_failures(3),
    composite=True,
)
class AdaptiveAvgPool3d(Function):
    """The mean of each of `output_size` windows of ``(N, C, D, H, W)``; see
    `adaptive_avg_pool1d`.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any) -> Any:
        return adaptive_average("adaptive_avg_pool3d", 3, x, output_size)


@op(
    function="adaptive_max_pool1d",
    reference=adaptive_reference(1, np.max),
    samples=adaptive_samples(1),
    errors=adaptive_failures(1),
    dtypes=NUMERIC,
    composite=True,
)
class AdaptiveMaxPool1d(Function):
    """The largest element of each of `output_size` windows that cover the image evenly.

    None keeps a size. With `return_indices` a pair: also where in the image they are.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        return adaptive_max_pool("adaptive_max_pool1d", 1, x, output_size, return_indices)


@op(
    function="adaptive_max_pool2d",
    reference=adaptive_reference(2, np.max),
    samples=adaptive_samples(2),
    errors=adaptive_failures(2),
    dtypes=NUMERIC,
    composite=True,
)
class AdaptiveMaxPool2d(Function):
    """The largest element of each of `output_size` windows of ``(N, C, H, W)``; see
    `adaptive_max_pool1d`.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        return adaptive_max_pool("adaptive_max_pool2d", 2, x, output_size, return_indices)


@op(
    function="adaptive_max_pool3d",
    reference=adaptive_reference(3, np.max),
    samples=adaptive_samples(3),
    errors=adaptive_failures(3),
    dtypes=NUMERIC,
    composite=True,
)
class AdaptiveMaxPool3d(Function):
    """The largest element of each of `output_size` windows of ``(N, C, D, H, W)``; see
    `adaptive_max_pool1d`.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, output_size: Any, return_indices: bool = False) -> Any:
        return adaptive_max_pool("adaptive_max_pool3d", 3, x, output_size, return_indices)
