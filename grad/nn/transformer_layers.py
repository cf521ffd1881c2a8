"""`TransformerEncoderLayer` and `TransformerDecoderLayer`: attention and a network for each place.

Each part is added to what comes in and normalized: behind the sum, or in front of the part with
`norm_first`. `transformer.py` stacks layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.dtype import DType
from grad.nn import functional
from grad.nn.attention import MultiheadAttention
from grad.nn.dropout import Dropout
from grad.nn.linear import Linear
from grad.nn.module import Module
from grad.nn.normalization import LayerNorm
from grad.tensor import Tensor

Activation = Callable[[Tensor], Tensor]


def _activation(given: str | Activation) -> Activation:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return functional.relu if given == "relu" else functional.gelu


class _Layer(Module):
    """What both layers have: how a part is joined, and the network for each place."""

    norm_first: bool

    def _network(
        self,
        d_model: int,
        dim_feedforward: int,
        dropout: float,
        activation: str | Activation,
        bias: bool,
        device: Any,
        dtype: DType | None,
    ) -> None:
        self.linear1 = Linear(d_model, dim_feedforward, bias, device, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device, dtype)
        self.activation = _activation(activation)

    def _norms(
        self, count: int, d_model: int, eps: float, dropout: float, bias: bool, place: Any
    ) -> None:
        for number in range(1, count + 1):
            norm = LayerNorm(d_model, eps, bias=bias, device=place[0], dtype=place[1])
            setattr(self, f"norm{number}", norm)
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))

    def _joined(self, x: Tensor, number: int, part: Activation) -> Tensor:
        """`x` with ``part(x)`` added, by the norm and dropout of that number."""
        norm, drop = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + drop(part(norm(x)))
        return norm(x + drop(part(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network of two layers: Vaswani and others, 2017.

    Args:
        d_model: features; nhead: heads; dim_feedforward: inside the network.
        activation: "relu", "gelu" or any function.
        norm_first: normalize what goes into a part rather than the sum.
        batch_first: tensors are ``(N, S, E)`` rather than ``(S, N, E)``.

    Shape:
        src ``(S, N, E)`` or ``(S, E)``; masks as in `functional.multi_head_attention_forward`;
        result as src.

    Example:
        >>> TransformerEncoderLayer(16, 4, 32)(Tensor.zeros((5, 2, 16))).shape
        torch.Size([5, 2, 16])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, device=device, dtype=dtype
        )
        self._network(d_model, dim_feedforward, dropout, activation, bias, device, dtype)
        self.norm_first = norm_first
        self._norms(2, d_model, layer_norm_eps, dropout, bias, (device, dtype))

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )[0]

        return self._joined(self._joined(src, 1, attend), 2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's result, then a network of two layers.

    Arguments as `TransformerEncoderLayer`.

    Shape:
        tgt ``(T, N, E)``, memory ``(S, N, E)``; masks as in
        `functional.multi_head_attention_forward`; result as tgt.

    Example:
        >>> layer = TransformerDecoderLayer(16, 4, 32)
        >>> layer(Tensor.zeros((7, 2, 16)), Tensor.zeros((5, 2, 16))).shape
        torch.Size([7, 2, 16])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.self_attn, self.multihead_attn = (
            MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, device=device, dtype=dtype
            )
            for _ in range(2)
        )
        self._network(d_model, dim_feedforward, dropout, activation, bias, device, dtype)
        self.norm_first = norm_first
        self._norms(3, d_model, layer_norm_eps, dropout, bias, (device, dtype))

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor) -> Tensor:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal
            )[0]

        def look(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x,
                memory,
                memory,
                memory_key_padding_mask,
                False,
                memory_mask,
                is_causal=memory_is_causal,
            )[0]

        x = self._joined(self._joined(tgt, 1, attend), 2, look)
        return self._joined(x, 3, self._feed_forward)
