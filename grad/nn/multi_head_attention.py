"""Attention with several heads as a function: projections, masks, heads, and out again.

What PyTorch's `multi_head_attention_forward` does, in three parts: `_project` makes query, key and
value, `_allowed` makes one mask of the two that users give, and the heads attend, by the fused
kernel unless their weights are wanted. `attention.py` has the module.
"""

from __future__ import annotations

import math
from typing import Any

from grad.dtype import dtypes
from grad.nn.dropout_functions import dropout
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

Projected = tuple[Tensor, Tensor, Tensor]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Project query, key and value, attend with `num_heads` heads, and project the result.

    Args:
        query, key, value: ``(L, N, E)``, ``(S, N, Ek)``, ``(S, N, Ev)``; all without N if there is
            no batch.
        in_proj_weight: ``(3 * E, E)``; with `use_separate_proj_weight` the three of them instead.
        bias_k, bias_v: one more key and value for all; `add_zero_attn`: one more of zeros.
        key_padding_mask: ``(N, S)``, bool (True: no key for anybody) or added to the scores.
        attn_mask: ``(L, S)`` or ``(N * heads, L, S)``, bool (True: not attended to) or added.
        static_k, static_v: ``(N * heads, S, E / heads)``, used in place of projections.
        is_causal: says that `attn_mask` is causal, so that it need not be read.
        need_weights: also give the weights, ``(N, L, S)``, or ``(N, heads, L, S)`` unless
            `average_attn_weights`.

    Returns:
        ``(L, N, E)`` and the weights or None.

    Raises:
        AssertionError, RuntimeError: shapes or types that do not fit, as in PyTorch.
    """
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (tensor.unsqueeze(1) for tensor in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    whole = not (need_weights or is_causal is False or key_padding_mask is not None)
    extended = bias_k is not None or add_zero_attn
    causal = whole and not extended and static_k is None and static_v is None
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    separate = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    projected = _project(query, key, value, in_proj_weight, in_proj_bias, separate)
    heads = _heads(projected, num_heads, (bias_k, bias_v), (static_k, static_v), add_zero_attn)
    masks = (key_padding_mask, None if causal else attn_mask)
    mask = _allowed(heads, masks, int(bias_k is not None) + int(add_zero_attn))
    drop = dropout_p if training else 0.0
    if need_weights:
        attended, weights = _with_weights(heads, mask, drop)
    else:
        attend = REGISTRY["scaled_dot_product_attention"]
        attended, weights = attend(*heads, mask, drop, causal), None
    batch, _, length, size = attended.shape
    rows = attended.permute(2, 0, 1, 3).reshape(length, batch, num_heads * size)
    output = REGISTRY["linear"](rows, out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if batched:
        return output, weights
    return output.squeeze(1), None if weights is None else weights.squeeze(0)


# -- checks ----------------------------------------------------------------------------------------
def _check_ranks(
    query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any, heads: int
) -> bool:
    """Whether there is a batch."""
    rank = len(query.shape)
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    form = "batched (3-D)" if rank == 3 else "unbatched (2-D)"
    if len(key.shape) != rank or len(value.shape) != rank:
        raise AssertionError(
            f"For {form} `query`, expected `key` and `value` to be {rank}-D but found "
            f"{len(key.shape)}-D and {len(value.shape)}-D tensors respectively"
        )
    if padding is not None and len(padding.shape) != rank - 1:
        raise AssertionError(
            f"For {form} `query`, expected `key_padding_mask` to be `None` or {rank - 1}-D but "
            f"found {len(padding.shape)}-D tensor instead"
        )
    if mask is not None:
        if len(mask.shape) not in (2, 3):
            raise AssertionError(
                f"For {form} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{len(mask.shape)}-D tensor instead"
            )
        expected = (heads, query.shape[0], key.shape[0])
        if rank == 2 and len(mask.shape) == 3 and tuple(mask.shape) != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {tuple(mask.shape)}"
            )
    for name, given in (("key_padding_mask", padding), ("attn_mask", mask)):
        if given is not None and given.dtype is not dtypes.bool and given.dtype.kind != "f":
            raise AssertionError(f"only bool and floating types of {name} are supported")
    return rank == 3


def _check_sizes(
    query: Tensor, key: Tensor, value: Tensor, size: int, heads: int, separate: bool
) -> None:
    if query.shape[-1] != size:
        raise AssertionError(
            f"was expecting embedding dimension of {size}, but got {query.shape[-1]}"
        )
    if size % heads:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {tuple(key.shape[:2])} do not match value's "
            f"{tuple(value.shape[:2])}"
        )
    if not separate and key.shape != value.shape:
        raise AssertionError(
            f"key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}"
        )


# -- parts -----------------------------------------------------------------------------------------
def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    separate: tuple[Tensor | None, ...] | None,
) -> Projected:
    """Query, key and value after the projections: one product for those that are one tensor."""
    linear = REGISTRY["linear"]
    if separate is not None:
        biases = (None, None, None) if bias is None else bias.chunk(3)
        if None in separate:
            raise AssertionError("use_separate_proj_weight is True but a weight is None")
        given = zip((query, key, value), separate, biases, strict=True)
        return tuple(linear(*one) for one in given)  # type: ignore[return-value]
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    if query is key and key is value:
        return tuple(linear(query, weight, bias).chunk(3, -1))  # type: ignore[return-value]
    size = query.shape[-1]
    first, others = weight[:size], weight[size:]
    of_first, of_others = (None, None) if bias is None else (bias[:size], bias[size:])
    projected = linear(query, first, of_first)
    if key is value:
        both = linear(key, others, of_others).chunk(2, -1)
        return projected, both[0], both[1]
    weights = others.chunk(2)
    biases = (None, None) if of_others is None else of_others.chunk(2)
    return projected, linear(key, weights[0], biases[0]), linear(value, weights[1], biases[1])


def _heads(
    projected: Projected,
    heads: int,
    biases: tuple[Tensor | None, Tensor | None],
    static: tuple[Tensor | None, Tensor | None],
    add_zero: bool,
) -> Projected:
    """``(N, heads, length, size)`` each, with the keys and values that are added."""
    cat = REGISTRY["cat"]
    query, *others = projected
    batch, size = query.shape[1], query.shape[2] // heads
    found = [_split(query, heads, size)]
    if (biases[0] is None) is not (biases[1] is None):
        raise AssertionError("bias_k and bias_v go together")
    for tensor, bias, fixed in zip(others, biases, static, strict=True):
        if bias is not None:
            if fixed is not None:
                raise AssertionError("bias cannot be added to static key or value")
            tensor = cat((tensor, bias.expand(1, batch, bias.shape[-1])), 0)
        if fixed is None:
            tensor = _split(tensor, heads, size)
        else:
            tensor = fixed.reshape(batch, heads, *fixed.shape[1:])
        if add_zero:
            tensor = cat((tensor, tensor.new_zeros((batch, heads, 1, size))), 2)
        found.append(tensor)
    return found[0], found[1], found[2]


def _split(tensor: Tensor, heads: int, size: int) -> Tensor:
    length, batch, _ = tensor.shape
    return tensor.reshape(length, batch, heads, size).permute(1, 2, 0, 3)


def _allowed(
    heads: Projected, masks: tuple[Tensor | None, Tensor | None], added: int
) -> Tensor | None:
    """One mask for `scaled_dot_product_attention`: (N or 1, heads or 1, L or 1, S).

    Args:
        masks: for the keys, and for rows and keys.
        added: keys at the end that everybody may attend to.
    """
    query, key, _ = heads
    (batch, count, length, _), columns = query.shape, key.shape[2]
    padding, mask = masks
    shaped = []
    if padding is not None:
        if padding.shape[0] != batch:
            raise AssertionError(
                f"Expected key_padded_mask.shape[0] to be {batch}, but got {padding.shape[0]}"
            )
        if padding.shape[1] != columns - added:
            raise AssertionError(
                f"Expected key_padded_mask.shape[1] to be {columns - added}, but got "
                f"{padding.shape[1]}"
            )
        shaped.append(padding.reshape(batch, 1, 1, columns - added))
    if mask is not None:
        wanted = (length, columns - added)
        if len(mask.shape) == 3:
            wanted = (batch * count, *wanted)
        if tuple(mask.shape) != wanted:
            raise RuntimeError(
                f"The shape of the {len(wanted)}D attn_mask is {tuple(mask.shape)}, but should be "
                f"{wanted}."
            )
        lead = (1, 1) if len(wanted) == 2 else (batch, count)
        shaped.append(mask.reshape(*lead, *wanted[-2:]))
    if not shaped:
        return None
    if added:
        pad = REGISTRY["pad"]
        shaped = [pad(one, (0, added), "constant", 0) for one in shaped]
    if all(one.dtype is dtypes.bool for one in shaped):
        hidden = shaped[0] if len(shaped) == 1 else shaped[0] | shaped[1]
        return ~hidden
    scores = [_added(one, query) for one in shaped]
    return scores[0] if len(scores) == 1 else scores[0] + scores[1]


def _added(mask: Tensor, query: Tensor) -> Tensor:
    """A mask as numbers to add to scores."""
    if mask.dtype is not dtypes.bool:
        return mask.to(query.dtype)
    return query.new_zeros(()).masked_fill(mask, -math.inf)


def _with_weights(heads: Projected, mask: Tensor | None, drop: float) -> tuple[Tensor, Tensor]:
    """What the heads attend to, and with which weights, after dropout."""
    query, key, value = heads
    scores = (query * (1 / math.sqrt(query.shape[-1]))) @ key.mT
    if mask is not None:
        scores = (
            scores.masked_fill(~mask, -math.inf) if mask.dtype is dtypes.bool else scores + mask
        )
    weights = scores.softmax(-1)
    if drop > 0:
        weights = dropout(weights, drop)
    return weights @ value, weights
