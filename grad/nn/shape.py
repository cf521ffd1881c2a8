"""Layers that only change the shape."""

from __future__ import annotations

from collections.abc import Sequence

from grad.nn.module import Module
from grad.tensor import Tensor


class Flatten(Module):
    """Axes `start_dim` to `end_dim` made one.

    Example:
        >>> Flatten()(Tensor.zeros((32, 1, 28, 28))).shape
        torch.Size([32, 784])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Axis `dim` split into axes of the given sizes.

    Example:
        >>> Unflatten(1, (2, 5))(Tensor.zeros((32, 10))).shape
        torch.Size([32, 2, 5])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
