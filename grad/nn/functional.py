"""Layers and losses as plain functions: what ``torch.nn.functional`` has.

Most of them are tensor methods under the names that network code uses; the rest is composed here
from such methods, so that gradients of any order and fusion come with them. Families of them have
files of their own, named `*_functions.py`, and `classification.py`; the modules (`linear.py`,
`activation.py`, `loss_modules.py` ...) only add parameters and settings.
"""

from __future__ import annotations

from grad.dtype import DType
from grad.nn.activation_functions import (
    celu,
    celu_,
    default_axis,
    elu_,
    gumbel_softmax,
    hardshrink,
    hardtanh_,
    leaky_relu_,
    prelu,
    relu_,
    rrelu,
    rrelu_,
    selu_,
    softmin,
    softshrink,
    tanhshrink,
    threshold,
    threshold_,
)
from grad.nn.classification import cross_entropy, nll_loss
from grad.nn.dropout_functions import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from grad.nn.embeddings import embedding, embedding_bag
from grad.nn.grid import affine_grid, grid_sample
from grad.nn.interpolation import (
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from grad.nn.linear_losses import linear_cross_entropy
from grad.nn.loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from grad.nn.margin_loss_functions import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from grad.nn.multi_head_attention import multi_head_attention_forward
from grad.nn.normalization_functions import batch_norm, group_norm, instance_norm
from grad.nn.row_normalization_functions import layer_norm, local_response_norm, normalize, rms_norm
from grad.nn.sequence_losses import ctc_loss
from grad.nn.spatial import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    native_channel_shuffle,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    unfold,
)
from grad.nn.unpooling_functions import (
    fractional_max_pool2d,
    fractional_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

__all__ = [
    "linear",
    "bilinear",
    "cosine_similarity",
    "pairwise_distance",
    "pdist",
    "embedding",
    "embedding_bag",
    "scaled_dot_product_attention",
    "multi_head_attention_forward",
    "one_hot",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "batch_norm",
    "group_norm",
    "local_response_norm",
    "instance_norm",
    "layer_norm",
    "rms_norm",
    "normalize",
    # activations
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "gelu",
    "selu",
    "glu",
    "silu",
    "mish",
    "hardsigmoid",
    "hardswish",
    "softsign",
    "softplus",
    "sigmoid",
    "logsigmoid",
    "tanh",
    "hardtanh",
    "softmax",
    "log_softmax",
    "celu",
    "celu_",
    "elu_",
    "gumbel_softmax",
    "hardshrink",
    "hardtanh_",
    "leaky_relu_",
    "prelu",
    "relu_",
    "rrelu",
    "rrelu_",
    "selu_",
    "softmin",
    "softshrink",
    "tanhshrink",
    "threshold",
    "threshold_",
    # images
    "pad",
    "unfold",
    "fold",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "native_channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "interpolate",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
    "affine_grid",
    "grid_sample",
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    # losses
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "ctc_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "linear_cross_entropy",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
    "cosine_embedding_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "poisson_nll_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _result(input: Tensor, value: Tensor, inplace: bool) -> Tensor:
    """`value`, written over `input` when that is wanted."""
    return input.copy_(value) if inplace else value


# -- activations -----------------------------------------------------------------------------------
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``."""
    return _result(input, Tensor.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return _result(input, Tensor.relu6(input), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``."""
    return _result(input, Tensor.leaky_relu(input, negative_slope), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    return _result(input, Tensor.elu(input, alpha), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x * P(N(0, 1) <= x)``; ``approximate="tanh"`` for the formula with tanh."""
    return Tensor.gelu(input, approximate=approximate)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    return _result(input, Tensor.silu(input), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` with the scale at which activations keep mean 0 and variance 1 (Klambauer, 2017)."""
    return _result(input, Tensor.selu(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``."""
    return _result(input, Tensor.mish(input), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``."""
    return _result(input, Tensor.hardsigmoid(input), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6``."""
    return _result(input, Tensor.hardswish(input), inplace)


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    return Tensor.softsign(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second half."""
    return Tensor.glu(input, dim)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x`` exceeds `threshold`."""
    return Tensor.softplus(input, beta, threshold)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return Tensor.sigmoid(input)


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``, without overflow."""
    return Tensor.logsigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return Tensor.tanh(input)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`input` limited to ``[min_val, max_val]``."""
    return _result(input, Tensor.hardtanh(input, min_val, max_val), inplace)


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """``exp(x) / exp(x).sum(dim)``; with `dtype`, of the input converted to that first."""
    axis = default_axis("softmax", input, _stacklevel) if dim is None else dim
    return Tensor.softmax(input if dtype is None else input.to(dtype), axis)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """``log(softmax(x))``, without overflow; with `dtype`, of the input converted to that first."""
    axis = default_axis("log_softmax", input, _stacklevel) if dim is None else dim
    return Tensor.log_softmax(input if dtype is None else input.to(dtype), axis)


# -- layers ----------------------------------------------------------------------------------------
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: input ``(..., in)``, weight ``(out, in)``, bias ``(out,)``."""
    return REGISTRY["linear"](input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input1 @ weight[o] @ input2 + bias[o]`` for each o: weight ``(out, in1, in2)``."""
    return REGISTRY["bilinear"](input1, input2, weight, bias)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``sum(x1 * x2) / (|x1| * |x2|)`` along `dim`, of lengths that count as `eps` at least."""
    return REGISTRY["cosine_similarity"](x1, x2, dim, eps)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last axis."""
    return REGISTRY["pairwise_distance"](x1, x2, p, eps, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows."""
    return REGISTRY["pdist"](input, p)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.mT * scale + attn_mask) @ value`` over the last two axes.

    The reference of `grad.scaled_dot_product_attention` has the details.
    """
    attend = REGISTRY["scaled_dot_product_attention"]
    return attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """Integers ``(...)`` to rows ``(..., num_classes)`` that are 1 there and 0 elsewhere."""
    return REGISTRY["one_hot"](input, num_classes)
