"""Normalisation of rows and of neighbouring channels, as functions.

`layer_norm` and `rms_norm` go over the last axes (standardize.py does the work), the others over
one axis. What goes over a batch or over images is in normalization_functions.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from grad.autograd.rebuilt import rebuilt
from grad.errors import ShapeError
from grad.nn.spatial import avg_pool2d, pad
from grad.nn.standardize import Standardize
from grad.ops.out import takes_out
from grad.ops.promotion import require_floating, require_tensors
from grad.tensor import Tensor


def _normalized_axes(
    name: str, input: Tensor, normalized_shape: Sequence[int], *factors: Tensor | None
) -> int:
    """How many last axes `normalized_shape` names; the input and the factors have to have them."""
    require_tensors(name, input=input)
    require_floating(name, input.dtype)
    expected = tuple(normalized_shape)
    if not expected or input._shape[-len(expected) :] != expected:
        raise ShapeError(
            f"{name}: given normalized_shape={list(expected)}, expected input with shape "
            f"[*, {', '.join(map(str, expected))}], but got input of size {list(input.shape)}."
        )
    for factor in factors:
        if factor is None:
            continue
        require_tensors(name, weight_or_bias=factor)
        if factor._shape != expected:
            raise ShapeError(
                f"{name}: weight and bias must have the shape normalized_shape={list(expected)}, "
                f"but one has {list(factor.shape)}; use .reshape({list(expected)})."
            )
    return len(expected)


@rebuilt
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axes.

    Ba, Kiros, Hinton, "Layer normalization", 2016. Half types are computed in float32, as in
    PyTorch.
    """
    count = _normalized_axes("layer_norm", input, normalized_shape, weight, bias)
    return Standardize.apply(input, weight, bias, count, eps, True)


@rebuilt
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """``x / sqrt(mean(x ** 2) + eps) * weight`` over the last axes.

    Zhang, Sennrich, "Root mean square layer normalization", 2019. `eps` None: the dtype's machine
    epsilon.
    """
    count = _normalized_axes("rms_norm", input, normalized_shape, weight)
    if eps is None:
        eps = 2.0**-52 if input.dtype.itemsize == 8 else 2.0**-23
    return Standardize.apply(input, weight, None, count, eps, False)


@rebuilt
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """``x / (k + alpha * m) ** beta``, ``m`` the mean of ``x ** 2`` over `size` channels around.

    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012. Input ``(N, C, ...)`` of at least three axes; channels outside count as 0.

    Raises:
        ValueError: the input has fewer than three axes.
    """
    if len(input.shape) < 3:
        raise ValueError(
            f"local_response_norm: expected at least 3 axes, got shape {tuple(input.shape)}."
        )
    if 0 in input.shape:
        return input
    flat = (input * input).flatten(2).unsqueeze(1)
    around = pad(flat, (0, 0, size // 2, (size - 1) // 2))
    mean = avg_pool2d(around, (size, 1), stride=1).reshape(input.shape)
    return input / (mean * alpha + k) ** beta


@takes_out
@rebuilt
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """`input` divided by its p-norm along `dim` (by `eps` where that is larger)."""
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)
