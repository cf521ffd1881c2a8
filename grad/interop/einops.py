"""einops on tensors: importing this module makes einops know them.

``import grad.interop.einops`` is all: after it, `rearrange`, `reduce`, `repeat`, `einsum`, `pack`
and `unpack` of einops take tensors, with gradients. The layers are here, since those of einops are
in a module for each framework. einops finds its backends among the subclasses of its own class;
ours is the one for PyTorch, with this library in PyTorch's place.

Example:
    >>> import einops
    >>> import grad.interop.einops
    >>> einops.rearrange(grad.ones(2, 3, 4), "b h w -> (b h) w").shape
    torch.Size([6, 4])
"""

from __future__ import annotations

from typing import Any

import grad
from grad import nn
from grad.utils.optional import optional

__all__ = ["EinMix", "Rearrange", "Reduce", "TensorBackend"]

_PURPOSE = "grad.interop.einops"
_backends = optional("einops._backends", "einops", _PURPOSE)
_layers = optional("einops.layers", "einops", _PURPOSE)
_einmix = optional("einops.layers._einmix", "einops", _PURPOSE)


class TensorBackend(_backends.TorchBackend):
    """What einops asks of tensors."""

    framework_name = "grad"

    def __init__(self) -> None:
        self.torch = grad


class Rearrange(_layers.RearrangeMixin, nn.Module):
    """``einops.rearrange`` as a module.

    Example:
        >>> Rearrange("b c h w -> b (c h w)")(grad.ones(2, 3, 4, 5)).shape
        torch.Size([2, 60])
    """

    def forward(self, input: Any) -> Any:
        return self._apply_recipe(input)


class Reduce(_layers.ReduceMixin, nn.Module):
    """``einops.reduce`` as a module.

    Example:
        >>> Reduce("b c (h 2) (w 2) -> b c h w", "max")(grad.ones(2, 3, 4, 6)).shape
        torch.Size([2, 3, 2, 3])
    """

    def forward(self, input: Any) -> Any:
        return self._apply_recipe(input)


class EinMix(_einmix._EinmixMixin, nn.Module):
    """A linear layer over the axes that a pattern names, as ``einops.layers.torch.EinMix``.

    Attributes:
        weight, bias: drawn uniformly from bounds that keep the variance; bias is None without
            `bias_shape`.

    Example:
        >>> EinMix("b c -> b d", weight_shape="c d", c=4, d=3)(grad.ones(2, 4)).shape
        torch.Size([2, 3])
    """

    def _create_parameters(
        self, weight_shape: Any, weight_bound: float, bias_shape: Any, bias_bound: float
    ) -> None:
        self.weight = nn.Parameter(grad.zeros(weight_shape).uniform_(-weight_bound, weight_bound))
        self.bias = None
        if bias_shape is not None:
            self.bias = nn.Parameter(grad.zeros(bias_shape).uniform_(-bias_bound, bias_bound))

    def _create_rearrange_layers(
        self,
        pre_reshape_pattern: str | None,
        pre_reshape_lengths: dict[str, int] | None,
        post_reshape_pattern: str | None,
        post_reshape_lengths: dict[str, int] | None,
    ) -> None:
        self.before = _rearranging(pre_reshape_pattern, pre_reshape_lengths)
        self.after = _rearranging(post_reshape_pattern, post_reshape_lengths)

    def forward(self, input: Any) -> Any:
        result = grad.einsum(self.einsum_pattern, self.before(input), self.weight)
        return self.after(result if self.bias is None else result + self.bias)


def _rearranging(pattern: str | None, lengths: dict[str, int] | None) -> nn.Module:
    if pattern is None:
        return nn.Identity()
    return Rearrange(pattern, **(lengths or {}))  # type: ignore[call-arg]  einops takes them
