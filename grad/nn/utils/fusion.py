"""Batch normalisation folded into the layer before it, for inference.

With its statistics fixed it is an affine map of each channel, and so is what a layer's weight and
bias do to the channel: together they are one.
"""

from __future__ import annotations

import copy
from typing import Any

from grad.autograd.modes import no_grad
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution with the normalisation after it in them.

    Args:
        conv_w, conv_b: the convolution's. bn_rm, bn_rv, bn_eps, bn_w, bn_b: running mean and
            variance, epsilon, weight and bias of the normalisation.
        transpose: the convolution is a transposed one.
    """
    with no_grad():
        bias = Tensor.zeros_like(bn_rm) if conv_b is None else conv_b
        scale = (bn_rv + bn_eps).rsqrt()
        scale = scale if bn_w is None else scale * bn_w
        shift = 0.0 if bn_b is None else bn_b
        axis = 1 if transpose else 0
        shape = [1] * len(conv_w.shape)
        shape[axis] = -1
        weight = conv_w * scale.reshape(shape)
        made = (bias - bn_rm) * scale + shift
        return (
            Parameter(weight.to(conv_w.dtype), conv_w.requires_grad),
            Parameter(made.to(conv_w.dtype), bias.requires_grad),
        )


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A convolution that gives what `conv` and then `bn` give; both must be in evaluation mode.

    Raises:
        RuntimeError: one of them is in training mode, or `bn` keeps no statistics.

    Example:
        >>> conv, norm = grad.nn.Conv2d(3, 8, 3).eval(), grad.nn.BatchNorm2d(8).eval()
        >>> fuse_conv_bn_eval(conv, norm)
        Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """
    _check(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        transpose,
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer with the normalisation after it in them."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A linear layer that gives what `linear` and then `bn` give; both must be in evaluation mode.

    Raises:
        RuntimeError: one of them is in training mode, or `bn` keeps no statistics.
    """
    _check(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        linear.weight, linear.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def _check(layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise RuntimeError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise RuntimeError("Only support fusing BatchNorm with running statistics.")
