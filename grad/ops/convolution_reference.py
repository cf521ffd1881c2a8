"""References and samples of the convolutions (`convolution.py`): NumPy, one tap after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.errors import ArgumentError, DTypeError
from grad.ops.registry import Failure, Sample
from grad.ops.samples import operands

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def _tuple(value: Any, rank: int) -> Shape:
    return tuple(value) if isinstance(value, tuple) else (value,) * rank


def _grouped(x: Array, groups: int) -> Array:
    """``(n, g * c, ...)`` as ``(n, g, c, ...)``."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _with_bias(result: Array, bias: Any, batched: bool, rank: int) -> Array:
    if bias is not None:
        result = result + bias.reshape(-1, *[1] * rank)
    return result if batched else result[0]


def convolution_reference(rank: int) -> Any:
    """The NumPy form of a convolution over `rank` axes."""

    def reference(
        x: Array,
        weight: Array,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Array:
        batched = x.ndim == rank + 2
        x = x if batched else x[None]
        steps, spacing = _tuple(stride, rank), _tuple(dilation, rank)
        kernel = weight.shape[2:]
        if padding == "same":
            reach = [d * (k - 1) for d, k in zip(spacing, kernel)]
            around = [(r // 2, r - r // 2) for r in reach]
        else:
            around = [(p, p) for p in _tuple(0 if padding == "valid" else padding, rank)]
        whole = _grouped(np.pad(x, [(0, 0), (0, 0), *around]), groups)
        outputs = [
            (n - d * (k - 1) - 1) // s + 1
            for n, d, k, s in zip(whole.shape[3:], spacing, kernel, steps)
        ]
        taps = weight.reshape(groups, -1, *weight.shape[1:])
        result = np.zeros((x.shape[0], groups, taps.shape[1], *outputs), x.dtype)
        for tap in np.ndindex(*kernel):
            met = tuple(
                slice(k * d, k * d + (o - 1) * s + 1, s)
                for k, d, o, s in zip(tap, spacing, outputs, steps)
            )
            part = whole[(..., *met)]
            result += np.einsum("ngc...,goc->ngo...", part, taps[(..., *tap)])
        flat = result.reshape(x.shape[0], weight.shape[0], *outputs)
        return _with_bias(flat, bias, batched, rank)

    return reference


def transposed_reference(rank: int) -> Any:
    """The NumPy form of a transposed convolution over `rank` axes."""

    def reference(
        x: Array,
        weight: Array,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Array:
        batched = x.ndim == rank + 2
        x = x if batched else x[None]
        steps, spacing = _tuple(stride, rank), _tuple(dilation, rank)
        around, extra = _tuple(padding, rank), _tuple(output_padding, rank)
        sizes, kernel = x.shape[2:], weight.shape[2:]
        whole = [
            (n - 1) * s + d * (k - 1) + 1 + e
            for n, s, d, k, e in zip(sizes, steps, spacing, kernel, extra)
        ]
        image, taps = _grouped(x, groups), weight.reshape(groups, -1, *weight.shape[1:])
        result = np.zeros((x.shape[0], groups, weight.shape[1], *whole), x.dtype)
        for tap in np.ndindex(*kernel):
            met = tuple(
                slice(k * d, k * d + (n - 1) * s + 1, s)
                for k, d, n, s in zip(tap, spacing, sizes, steps)
            )
            result[(..., *met)] += np.einsum("ngo...,goc->ngc...", image, taps[(..., *tap)])
        inner = tuple(slice(p, n - p) for p, n in zip(around, whole))
        flat = result[(..., *inner)].reshape(
            x.shape[0], -1, *(n - 2 * p for n, p in zip(whole, around))
        )
        return _with_bias(flat, bias, batched, rank)

    return reference


def _samples(
    shapes: tuple[Shape, ...], arguments: tuple[Any, ...] = (), **kwargs: Any
) -> tuple[Sample, ...]:
    # Small whole numbers: sums of products must fit the smallest integers.
    return operands(shapes, arguments, kwargs, low=-2, high=2)


def convolution_samples(rank: int) -> tuple[Sample, ...]:
    """Strides, paddings, dilations, groups; without a batch; one output element."""
    sizes, kernel = (6, 5, 4)[:rank], (3, 2, 2)[:rank]
    return (
        *_samples(((2, 3, *sizes), (4, 3, *kernel), (4,))),
        *_samples(((2, 4, *sizes), (2, 2, *kernel)), (None, 2, 1, 1, 2)),
        *_samples(((3, *sizes), (2, 3, *kernel), (2,)), (1, "same", 2)),
        *_samples(((1, 2, *sizes), (4, 1, *kernel)), stride=(2, 1, 3)[:rank], padding=2, groups=2),
        *_samples(((2, 2, *kernel), (3, 2, *kernel))),
    )


def transposed_samples(rank: int) -> tuple[Sample, ...]:
    """The same for the transposed form, with padding of the output."""
    sizes, kernel = (4, 3, 2)[:rank], (3, 2, 2)[:rank]
    return (
        *_samples(((2, 3, *sizes), (3, 4, *kernel), (4,))),
        *_samples(((2, 4, *sizes), (4, 1, *kernel)), (None, 2, 1, 1, 2)),
        *_samples(((3, *sizes), (3, 2, *kernel), (2,)), (3, 0, 2)),
        *_samples(((1, 2, *sizes), (2, 2, *kernel)), dilation=2, output_padding=1),
    )


def _common_failures(rank: int) -> tuple[Failure, ...]:
    image, kernel = (2, 3, *[5] * rank), (3, 3, *[2] * rank)
    return (
        Failure((image, kernel[:-1]), match="expected"),
        Failure((image[2:], kernel), match="expected"),
        Failure((image, (3, 4, *kernel[2:]), (1,)), match="channel"),
        Failure((image, kernel, (2,)), match="bias"),
        Failure((image, kernel), (None, 0), error=ArgumentError, match="stride"),
        Failure((image, kernel), (None, (1,) * (rank + 1)), match="numbers"),
        Failure((image, kernel), (None, 1.5), error=DTypeError, match="int"),
        Failure((image, kernel), (None, 1, -1), error=ArgumentError, match="padding"),
        Failure((image, kernel), kwargs={"groups": 2}, match="groups"),
        Failure((image, kernel), kwargs={"groups": 0}, error=ArgumentError, match="groups"),
    )


def convolution_failures(rank: int) -> tuple[Failure, ...]:
    image, kernel = (2, 3, *[5] * rank), (3, 3, *[2] * rank)
    return (
        *_common_failures(rank),
        Failure((image, (3, 3, *[6] * rank)), match="fit"),
        Failure((image, (3, 2, *kernel[2:])), match="needs input with 2 channels"),
        Failure((image, kernel), (None, 2, "same"), error=ArgumentError, match="strided"),
        Failure((image, kernel), (None, 1, "full"), error=ArgumentError, match="'same'"),
    )


def transposed_failures(rank: int) -> tuple[Failure, ...]:
    image, kernel = (2, 3, *[5] * rank), (3, 3, *[2] * rank)
    return (
        *_common_failures(rank),
        Failure((image, (2, 3, *kernel[2:])), match="needs input with 2 channels"),
        Failure((image, kernel), (None, 1, 4), match="too small"),
        Failure((image, kernel), (None, 2, 0, 2), error=ArgumentError, match="output_padding"),
    )
