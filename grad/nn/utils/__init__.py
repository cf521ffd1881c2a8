"""Helpers around modules and training loops.

`clip_grad.py` limits gradients, `convert_parameters.py` makes one vector of parameters.
`parametrize.py` lets a parameter be computed from others, `parametrizations.py` has the usual ways;
`prune.py` has parameters that are partly zero, by a mask. `weight_norm.py` and `spectral_norm.py`
are two parametrizations by hooks, with the names that older checkpoints have. `fusion.py` folds
batch normalisation into the layer before it. `rnn.py` has what belongs to sequences of different
lengths.
"""

from __future__ import annotations

from grad.nn.summary import summary
from grad.nn.utils import parametrizations, parametrize, prune, rnn, stateless
from grad.nn.utils.clip_grad import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from grad.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from grad.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from grad.nn.utils.init import skip_init
from grad.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from grad.nn.utils.weight_norm import remove_weight_norm, weight_norm

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "prune",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "stateless",
    "summary",
    "vector_to_parameters",
    "weight_norm",
]
