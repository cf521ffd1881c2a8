"""`MultiheadAttention`: the parameters and settings of `multi_head_attention_forward`."""

from __future__ import annotations

from typing import Any

from grad.dtype import DType
from grad.nn import functional, init
from grad.nn.attention_backends import SDPBackend, sdpa_kernel
from grad.nn.linear import Linear
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor

__all__ = ["MultiheadAttention", "SDPBackend", "sdpa_kernel"]


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` under the name that PyTorch prints for the last projection."""


class MultiheadAttention(Module):
    """Attention with several heads: Vaswani and others, "Attention is all you need", 2017.

    Args:
        embed_dim: features of query and result, divided among `num_heads`.
        dropout: probability of dropping a weight, while training.
        add_bias_kv, add_zero_attn: one more key and value, learned or of zeros.
        kdim, vdim: features of key and value, `embed_dim` if left out.
        batch_first: tensors are ``(N, length, features)`` rather than ``(length, N, features)``.

    Shape:
        query ``(L, N, E)``, key ``(S, N, kdim)``, value ``(S, N, vdim)``; without N also. Gives
        ``(L, N, E)`` and, with `need_weights`, the weights ``(N, L, S)``.

    Example:
        >>> x = Tensor.zeros((5, 2, 16))
        >>> output, weights = MultiheadAttention(16, 4)(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([5, 2, 16]), torch.Size([2, 5, 5]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, "
                f"got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads, self.dropout, self.batch_first = num_heads, dropout, batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def parameter(wanted: bool, *shape: int) -> Parameter | None:
            return Parameter(Tensor.empty(shape, dtype=dtype)) if wanted else None

        same = self._qkv_same_embed_dim
        weights = {
            "q_proj_weight": parameter(not same, embed_dim, embed_dim),
            "k_proj_weight": parameter(not same, embed_dim, self.kdim),
            "v_proj_weight": parameter(not same, embed_dim, self.vdim),
            "in_proj_weight": parameter(same, 3 * embed_dim, embed_dim),
            "in_proj_bias": parameter(bias, 3 * embed_dim),
        }
        for name, value in weights.items():
            self.register_parameter(name, value)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k = parameter(add_bias_kv, 1, 1, embed_dim)
        self.bias_v = parameter(add_bias_kv, 1, 1, embed_dim)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Glorot's distributions for weights, zeros for biases."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = self._parameters[name]
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Output and weights; see `functional.multi_head_attention_forward`."""
        swaps = self.batch_first and len(query.shape) == 3
        if swaps:
            query, key, value = _swapped(query, key, value)
        output, weights = functional.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (output.transpose(0, 1) if swaps else output), weights


def _swapped(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Length before batch; tensors that are one stay one."""
    first = query.transpose(0, 1)
    second = first if key is query else key.transpose(0, 1)
    third = second if value is key else value.transpose(0, 1)
    return first, second, third
