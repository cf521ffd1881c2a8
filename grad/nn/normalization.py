"""Layers that scale the last axes to zero mean and unit variance (`LayerNorm`) or unit mean square
(`RMSNorm`), and that divide by the squares of neighbouring channels (the local response norms).

`channel_normalization.py` has those over a batch, an image or groups of channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grad.dtype import DType
from grad.nn import functional, init
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


def begin_as_identity(weight: Parameter | None, bias: Parameter | None) -> None:
    """Set the weight of a normalisation to 1 and its bias to 0, where there are any."""
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)


class _Normalization(Module):
    """What those over the last axes share: their shape, and weights over them."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: Any) -> None:
        super().__init__()
        given = normalized_shape
        self.normalized_shape = (given,) if isinstance(given, int) else tuple(given)
        self.eps = eps

    def _weight(self, wanted: bool, dtype: DType | None) -> Parameter | None:
        return Parameter(Tensor.empty(self.normalized_shape, dtype=dtype)) if wanted else None


class LayerNorm(_Normalization):
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axes.

    Shape:
        input ``(..., *normalized_shape)``, output the same.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(normalized_shape, eps)
        self.elementwise_affine = elementwise_affine
        self.weight = self._weight(elementwise_affine, dtype)
        self.bias = self._weight(elementwise_affine and bias, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        begin_as_identity(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Normalization):
    """``x / sqrt(mean(x ** 2) + eps) * weight`` over the last axes.

    Shape:
        input ``(..., *normalized_shape)``, output the same.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__(normalized_shape, eps)
        self.elementwise_affine = elementwise_affine
        self.weight = self._weight(elementwise_affine, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class CrossMapLRN2d(Module):
    """As `LocalResponseNorm`, over an odd number of channels: one less for an even `size`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        width = 2 * ((self.size - 1) // 2) + 1
        alpha = self.alpha * width / self.size
        return functional.local_response_norm(input, width, alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LocalResponseNorm(Module):
    """Each element over a power of the mean square of `size` channels around it.

    See `functional.local_response_norm`.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return functional.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
