"""Layers that put elements around an image: `functional.pad` with its settings.

Each mode has one base, and a class for each number of axes, which PyTorch has too.
"""

from __future__ import annotations

from typing import ClassVar

from grad.nn import functional
from grad.nn.module import Module
from grad.ops.sliding import per_axis
from grad.tensor import Tensor

Amounts = int | tuple[int, ...]


class _Pad(Module):
    """The amounts: one for all sides, or ``(left, right, top, bottom ...)``."""

    rank: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: Amounts) -> None:
        super().__init__()
        self.padding = per_axis(type(self).__name__, "padding", padding, 2 * self.rank)

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """A number around the image."""

    def __init__(self, padding: Amounts, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return functional.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` around the last axis."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last 2 axes."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last 3 axes."""

    rank = 3


class ZeroPad1d(_Pad):
    """Zeros around the last axis."""

    rank = 1


class ZeroPad2d(_Pad):
    """Zeros around the last 2 axes."""

    rank = 2


class ZeroPad3d(_Pad):
    """Zeros around the last 3 axes."""

    rank = 3


class ReflectionPad1d(_Pad):
    """The image's own elements, mirrored at its edge, around the last axis."""

    rank = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """The image's own elements, mirrored at its edge, around the last 2 axes."""

    rank = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """The image's own elements, mirrored at its edge, around the last 3 axes."""

    rank = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Copies of the edge around the last axis."""

    rank = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Copies of the edge around the last 2 axes."""

    rank = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Copies of the edge around the last 3 axes."""

    rank = 3
    mode = "replicate"


class _CircularPad(_Pad):
    """The opposite side around the axes of an image, alone or in a batch."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        alone = self.rank + 1
        if input.ndim not in (alone, alone + 1):
            raise ValueError(f"expected {alone}D or {alone + 1}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """The opposite side of the image around the last axis."""

    rank = 1


class CircularPad2d(_CircularPad):
    """The opposite side of the image around the last 2 axes."""

    rank = 2


class CircularPad3d(_CircularPad):
    """The opposite side of the image around the last 3 axes."""

    rank = 3
