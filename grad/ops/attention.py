"""Scaled dot-product attention: ``softmax(query @ key.mT * scale + mask) @ value``.

`ScaledDotProductAttention` is what users call: it checks the arguments and lines the heads up.
`Attention` makes one node forward and one for each gradient, which a backend computes with a kernel
of its own (graph/attention.py); attention_definition.py says the same in tensor methods.
attention_parts.py is for few heads with many keys.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.modes import mode
from grad.autograd.remembered import remembered
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.attention import (
    GRADIENT_PARTS,
    Attend,
    attention_nodes,
    gradient_nodes,
    weighted,
)
from grad.graph.node import Node, broadcast_shapes, expand
from grad.ops.attention_definition import Definition, causal, repeated_heads
from grad.ops.attention_parts import attend_in_parts, part_count
from grad.ops.keys import plain_key, random_key
from grad.ops.promotion import accumulation_dtype, is_tensor, unsupported, wrap
from grad.ops.random_numbers import uniform_node
from grad.ops.registry import Array, Failure, op
from grad.ops.samples import operands

NAME = "scaled_dot_product_attention"
Shape = tuple[int, ...]


@remembered
class Attention(Function):
    """The fused form: one kernel forward, one backward; operands of one type, no axis empty.

    Gradients of gradients go through the definition.
    """

    @staticmethod
    def forward(
        ctx: Context,
        query: Any,
        key: Any,
        value: Any,
        mask: Any,
        how: Attend,
        random: Node | None,
    ) -> Any:
        """`random` is the key of the random numbers that dropout takes."""
        sources = _sources((query, key, value, mask), how.group, random)
        count = part_count(sources, how)
        if count > 1:
            result, rows = attend_in_parts(sources, how, count)
        else:
            result, rows = map(wrap, attention_nodes(sources, how))
        ctx.how, ctx.random = how, random
        ctx.save_for_backward(query, key, value, mask, result, rows)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        query, key, value, mask, result, rows = ctx.saved_tensors
        how, random = ctx.how, ctx.random
        if mode.enabled or (random is not None and _stands_in()):
            kept = None
            if random is not None:
                shape = (*result.shape[:-1], key.shape[-2])
                kept = _kept(shape, how.dropout, query.dtype, random)
            definition = Definition(
                query, key, value, mask, kept, how.is_causal, how.scale, how.group
            )
            return (*definition.gradients(grad), None, None)
        sources = _sources((query, key, value, mask), how.group, random)
        parts = GRADIENT_PARTS + ("mask",) * ctx.needs_input_grad[3]
        found = gradient_nodes(sources, result.node, rows.node, grad.node, how, parts)
        found = [*map(wrap, found), None][:4]
        if how.is_causal and found[3] is not None:
            found[3] = found[3].masked_fill(~causal(*found[3].shape[-2:]), 0.0)
        return (*found, None, None)


def _attend(operands: tuple[Any, ...], how: Attend, random: Node | None) -> Any:
    """The fused form. Single rows of the heads of a group become rows of one head."""
    query, key, value, mask = operands
    if how.group == 1 or query.shape[-2] > 1 or how.is_causal:
        return Attention.apply(*operands, how, random)
    *lead, heads = _leading(query, key, value, how.group)
    joined = (heads // how.group, how.group)
    if mask is not None:
        columns = key.shape[-2]
        mask = mask.expand(*lead, heads, 1, columns).reshape(*lead, *joined, columns)
    query = query.reshape(*query.shape[:-3], *joined, query.shape[-1])
    result = Attention.apply(query, key, value, mask, how._replace(group=1), random)
    return result.reshape(*lead, heads, 1, value.shape[-1])


def _sources(tensors: tuple[Any, ...], group: int, random: Node | None) -> tuple[Node, ...]:
    """The sources of an attention node: all leading axes expanded to what they broadcast to."""
    query, key, value, mask = tensors
    lead = _leading(query, key, value, group)
    shared = lead if group == 1 else (*lead[:-1], lead[-1] // group)
    found = [expand(query.node, (*lead, *query.shape[-2:]))]
    found.extend(expand(t.node, (*shared, *t.shape[-2:])) for t in (key, value))
    if mask is not None:
        found.append(expand(mask.node, (*lead, query.shape[-2], key.shape[-2])))
    return (*found, random) if random is not None else tuple(found)


def _leading(query: Any, key: Any, value: Any, group: int) -> Shape:
    """The leading axes of the scores."""
    shapes = [tuple(tensor.shape[:-2]) for tensor in (query, key, value)]
    if group != 1:
        shapes[1:] = [(*shape[:-1], shape[-1] * group) for shape in shapes[1:]]
    return broadcast_shapes(NAME, *shapes)


def _check_types(query: Any, key: Any, value: Any, mask: Any) -> None:
    for tensor in (query, key, value):
        if not is_tensor(tensor):
            raise unsupported(NAME, tensor)
    types = [tensor.dtype for tensor in (query, key, value)]
    if len(set(types)) > 1:
        given = ", ".join(dtype.name for dtype in types)
        raise DTypeError(
            f"{NAME}: query, key and value are {given}, needs one dtype; use key.to(query.dtype)."
        )
    if types[0].priority != 2:
        raise DTypeError(f"{NAME}: needs floating tensors, got {types[0].name}; use x.float().")
    if mask is None:
        return
    if not is_tensor(mask):
        raise unsupported(NAME, mask)
    if mask.dtype not in (dtypes.bool, dtypes.float32, types[0]):
        raise DTypeError(
            f"{NAME}: attn_mask is {mask.dtype.name}, needs bool, float32 or the query's "
            f"{types[0].name}; use attn_mask.bool() if it says what may be attended to."
        )


def _check_shapes(query: Any, key: Any, value: Any) -> None:
    shapes = [tuple(tensor.shape) for tensor in (query, key, value)]
    given = f"query {shapes[0]}, key {shapes[1]} and value {shapes[2]}"
    if min(map(len, shapes)) < 2:
        raise ShapeError(
            f"{NAME}: got {given}, needs at least 2 dimensions each: (..., length, size); use "
            "x.unsqueeze(0) for one row."
        )
    if shapes[0][-1] != shapes[1][-1]:
        raise ShapeError(
            f"{NAME}: got {given}; the last sizes of query and key must be equal, they are "
            f"{shapes[0][-1]} and {shapes[1][-1]}."
        )
    if shapes[1][-2] != shapes[2][-2]:
        raise ShapeError(
            f"{NAME}: got {given}; key and value need one length (last axis but one), they have "
            f"{shapes[1][-2]} and {shapes[2][-2]}."
        )


def _stands_in() -> bool:
    """Whether the values may be stand-ins for a batch of them (grad/func)."""
    return recording.recorder is not None and recording.recorder.stands_in


# -- grouped heads ---------------------------------------------------------------------------------
def _group(query: Any, key: Any, value: Any) -> tuple[Any, Any, int]:
    """Key and value with one number of heads, and how many heads of the query share one."""
    for tensor, name in ((key, "key"), (value, "value")):
        if min(len(query.shape), len(tensor.shape)) < 3:
            raise ShapeError(
                f"{NAME}: enable_gqa=True needs an axis of heads, (..., heads, length, size), got "
                f"query {tuple(query.shape)} and {name} {tuple(tensor.shape)}."
            )
        heads, own = query.shape[-3], tensor.shape[-3]
        if own != heads and (not own or heads % own):
            raise ShapeError(
                f"{NAME}: enable_gqa=True needs a number of heads of {name} that divides the "
                f"query's, got {own} and {heads}."
            )
    if not query.shape[-3]:
        return key, value, 1
    shared = math.lcm(key.shape[-3], value.shape[-3])
    key, value = (repeated_heads(t, shared // t.shape[-3]) for t in (key, value))
    return key, value, query.shape[-3] // shared


def _kept(shape: Shape, dropout_p: float, dtype: Any, key: Node) -> Any:
    """Zeros with probability `dropout_p`, and else what keeps the mean."""
    kept = wrap(uniform_node(shape, dtypes.float32, key=key)) >= dropout_p
    return kept.to(dtype) * (1.0 / (1.0 - dropout_p) if dropout_p < 1 else 0.0)


def _reference(query: Array, key: Array, value: Array, *, is_causal: bool = False) -> Array:
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1])
    allowed = None
    if is_causal:
        allowed = np.tri(*scores.shape[-2:], dtype=bool)
        scores = np.where(allowed, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
    return weighted(weights / weights.sum(-1, keepdims=True), allowed, value)


@op(
    function=NAME,
    reference=_reference,
    samples=(
        *operands(((3, 4), (5, 4), (5, 4)), low=-2, high=2),
        *operands(((2, 3, 4), (2, 3, 4), (2, 3, 2)), kwargs={"is_causal": True}, low=-2, high=2),
        *operands(((2, 1, 3, 4), (2, 5, 4), (5, 3)), low=-2, high=2),
    ),
    errors=(
        Failure(((4,), (5, 4), (5, 4)), match="2 dimensions"),
        Failure(((3, 4), (5, 3), (5, 4)), match="last sizes"),
        Failure(((3, 4), (5, 4), (6, 4)), match="one length"),
        Failure(((2, 3, 4), (3, 5, 4), (3, 5, 4)), match="do not broadcast"),
        Failure(
            ((4, 3, 4), (3, 5, 4), (3, 5, 4)), kwargs={"enable_gqa": True}, match="divides the"
        ),
        Failure(((3, 4), (5, 4), (5, 4), (3, 4)), match="do not broadcast"),
    ),
    composite=True,
)
class ScaledDotProductAttention:
    """``softmax(query @ key.mT * scale + mask) @ value`` over the last two axes.

    Vaswani and others, "Attention is all you need", 2017. A row that may attend to nothing gives
    zeros. What a row may not attend to (`is_causal`, False or -inf in the mask) never reaches it,
    nor the gradients, not even as NaN or infinity.

    Args:
        attn_mask: broadcasts to (..., L, S). bool: True may be attended to; floating: added to the
            scores.
        dropout_p: probability with which each weight is dropped, whether training or not.
        is_causal: row i attends to columns 0 to i only (aligned at the top left).
        scale: factor of the scores; ``1 / sqrt(E)`` unless given.
        enable_gqa: a head of key and value serves several heads (axis -3) of the query.

    Shape:
        query ``(..., L, E)``, key ``(..., S, E)``, value ``(..., S, Ev)``, leading axes broadcast;
        gives ``(..., L, Ev)``.
    """

    @staticmethod
    def forward(
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        _check_types(query, key, value, attn_mask)
        _check_shapes(query, key, value)
        if not 0 <= dropout_p <= 1:
            raise ArgumentError(
                f"{NAME}: dropout probability has to be between 0 and 1, but got {dropout_p}"
            )
        group = 1
        if enable_gqa:
            key, value, group = _group(query, key, value)
        lead = _leading(query, key, value, group)
        scores = (*lead, query.shape[-2], key.shape[-2])
        if attn_mask is not None and broadcast_shapes(NAME, scores, attn_mask.shape) != scores:
            raise ShapeError(
                f"{NAME}: attn_mask {tuple(attn_mask.shape)} must broadcast to {scores}."
            )
        if scale is None:
            scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
        wide = accumulation_dtype(query.dtype)
        mask = attn_mask
        if mask is not None and mask.dtype is not dtypes.bool:
            mask = mask.to(wide)
        # Random numbers of the kernel are those of positions, which a batch moves.
        apart = dropout_p > 0 and _stands_in()
        random = (random_key if apart else plain_key)() if dropout_p else None
        operands = (query.to(wide), key.to(wide), value.to(wide), mask)
        if apart or 0 in (*scores, query.shape[-1], value.shape[-1]):
            kept = None if random is None else _kept(scores, dropout_p, wide, random)
            definition = Definition(*operands, kept, is_causal, scale, group)
            return definition.result().to(query.dtype)
        how = Attend(float(scale), is_causal, mask is not None, float(dropout_p), group, "")
        return _attend(operands, how, random).to(query.dtype)
