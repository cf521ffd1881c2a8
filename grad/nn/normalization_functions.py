"""Normalisation over a batch, over images and over groups of channels, as functions.

All of them subtract a mean and divide by a standard deviation, taken over some axes of
``(N, C, *sizes)``, and then scale and shift each channel. In training the work is done by
`ops/batch_norm.py`. Running statistics are written in place: new values that nobody has asked for,
so they are computed along with whatever is computed next, such as an optimiser's step.
"""

from __future__ import annotations

import math

from grad.autograd.modes import mode, no_grad
from grad.autograd.rebuilt import rebuilt
from grad.engine import compute_written_soon
from grad.errors import ArgumentError, ShapeError
from grad.ops.batch_norm import Normalize
from grad.ops.inplace import check_writable, fitting, write
from grad.ops.promotion import require_floating, require_tensors
from grad.tensor import Tensor

Axes = tuple[int, ...]


def _check_channels(name: str, input: Tensor, **tensors: Tensor | None) -> None:
    """The input is floating; every one of `tensors` has one number for each of its channels."""
    given = {what: tensor for what, tensor in tensors.items() if tensor is not None}
    require_tensors(name, input=input, **given)
    require_floating(name, input.dtype)
    if len(input.shape) < 2:
        raise ShapeError(
            f"{name}: got shape {tuple(input.shape)}, needs (N, C, ...); use input.unsqueeze(0)."
        )
    for what, tensor in given.items():
        if tuple(tensor.shape) != (input.shape[1],):
            raise ShapeError(
                f"{name}: {what} should contain {input.shape[1]} elements, one for each channel of "
                f"{tuple(input.shape)}, not {tuple(tensor.shape)}."
            )


def _wide(input: Tensor) -> Tensor:
    return input.float() if input.dtype.itemsize < 4 else input


def _by_channel(values: Tensor, rank: int) -> Tensor:
    """One number for each channel, to broadcast against a tensor of `rank` dimensions."""
    return values.reshape(-1, *[1] * (rank - 2))


def _affine(value: Tensor, weight: Tensor | None, bias: Tensor | None, input: Tensor) -> Tensor:
    """``value * weight + bias`` for each channel, in the type of the input."""
    rank = len(input.shape)
    if weight is not None:
        value = value * _by_channel(weight, rank)
    if bias is not None:
        value = value + _by_channel(bias, rank)
    return value if value.dtype is input.dtype else value.to(input.dtype)


def _update(running: Tensor, new: Tensor, momentum: float | Tensor) -> None:
    """Move `running` towards `new` by the part `momentum` of the way, in place."""
    if mode.recomputing:
        return
    with no_grad():
        check_writable("batch_norm", running)
        storage = running._storage
        before = storage.node
        write(running, fitting("batch_norm", running, _moved(running, new, momentum)))
        compute_written_soon(storage, before)


@rebuilt
def _moved(running: Tensor, new: Tensor, momentum: float | Tensor) -> Tensor:
    return running + (new.to(running.dtype) - running) * momentum


@rebuilt
def _by_batch(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, correction: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`input` normalised by its own statistics; the mean, and the variance times `correction`."""
    found = Normalize.apply(input, weight, bias, eps)
    return found.result, found.mean.detach().reshape(-1), found.variance.reshape(-1) * correction


@rebuilt
def _by_running(
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Tensor:
    """`input` normalised by statistics that are given."""
    rank = len(input.shape)
    scale = (_by_channel(variance, rank) + eps).rsqrt()
    return _affine((_wide(input) - _by_channel(mean, rank)) * scale, weight, bias, input)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of ``(N, C, *sizes)`` to zero mean and unit variance over batch and sizes.

    In training by its own statistics, towards which the running ones move (with the variance of a
    sample, divisor n - 1); otherwise by the running ones. Ioffe, Szegedy, "Batch normalization",
    2015.
    """
    _check_channels(
        "batch_norm",
        input,
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    if eps < 0 or (training and eps == 0):
        raise ValueError(
            f"batch_norm eps must be {'positive during training' if training else 'non-negative'}, "
            f"but got {eps}"
        )
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                "batch_norm: running_mean and running_var must be defined in evaluation mode; give "
                "them, or use training=True."
            )
        return _by_running(input, running_mean, running_var, weight, bias, eps)
    count = math.prod((input.shape[0], *input.shape[2:]))
    if count == 1:
        raise ArgumentError(
            f"batch_norm: expected more than 1 value per channel when training, got input size "
            f"{tuple(input.shape)}; use a larger batch, or eval()."
        )
    # The variance of a sample, where there is one.
    result, mean, variance = _by_batch(input, weight, bias, eps, count / max(count - 1, 1))
    if count and running_mean is not None:
        _update(running_mean, mean, momentum)
    if count and running_var is not None:
        _update(running_var, variance, momentum)
    return result


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each image of ``(N, C, *sizes)`` to zero mean and unit variance.

    Running statistics, where there are any, move towards the means over the batch. Ulyanov,
    Vedaldi, Lempitsky, "Instance normalization", 2016.
    """
    _check_channels(
        "instance_norm",
        input,
        running_mean=running_mean,
        running_var=running_var,
        weight=weight,
        bias=bias,
    )
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    count = math.prod(input.shape[2:])
    if count == 1:
        raise ArgumentError(
            f"instance_norm: expected more than 1 spatial element when training, got input size "
            f"{tuple(input.shape)}."
        )
    # Every channel of every image is a channel of one image.
    correction = count / max(count - 1, 1)
    result, mean, variance = _by_image(input, weight, bias, eps, correction)
    if count and input.shape[0] and running_mean is not None:
        _update(running_mean, mean, momentum)
    if count and input.shape[0] and running_var is not None:
        _update(running_var, variance, momentum)
    return result


@rebuilt
def _by_image(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, correction: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_by_batch`, each image by its own statistics, which are averaged."""
    images, channels = input.shape[:2]
    whole = _wide(input).reshape(1, images * channels, *input.shape[2:])
    found = Normalize.apply(whole, None, None, eps)
    mean = found.mean.detach().reshape(images, channels).mean(0)
    variance = found.variance.reshape(images, channels).mean(0) * correction
    return _affine(found.result.reshape(input.shape), weight, bias, input), mean, variance


@rebuilt
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each of `num_groups` groups of channels of each image to zero mean and unit variance.

    Wu, He, "Group normalization", 2018.
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if num_groups < 1 or input.shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: expected number of channels to be divisible by num_groups={num_groups}, "
            f"but got an input of shape {tuple(input.shape)}."
        )
    groups = input.shape[0] * num_groups
    size = math.prod(input.shape[1:]) // num_groups
    if input.shape[0] * size == 1:
        raise ArgumentError(
            f"group_norm: expected more than 1 value per channel when training, got input size "
            f"{tuple(input.shape)} in {num_groups} groups."
        )
    # Every group of every image is a channel of one image.
    found = Normalize.apply(_wide(input).reshape(1, groups, size), None, None, eps)
    return _affine(found.result.reshape(input.shape), weight, bias, input)
