"""`weight_norm`: a weight as its direction times its length, computed before each call.

Salimans, Kingma, "Weight normalization", 2016. This is the form with hooks, whose parameters are
``weight_g`` and ``weight_v``; `parametrizations.weight_norm` is the newer one.
"""

from __future__ import annotations

from typing import Any

from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norms over all axes of `v` but `dim`, which stay with size 1; over all for None."""
    if dim is None:
        return (v * v).sum().sqrt()
    axis = dim % len(v.shape)
    others = [number for number in range(len(v.shape)) if number != axis]
    return ((v * v).sum(others, keepdim=True) if others else v * v).sqrt()


def weighted(v: Tensor, g: Tensor, dim: int | None) -> Tensor:
    """The weight of direction `v` and length `g`."""
    return v * (g / norm_except(v, dim))


class WeightNorm:
    """The hook: computes the attribute `name` from its two parameters."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        g, v = (getattr(module, f"{self.name}_{part}") for part in "gv")
        return weighted(v, g, self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def _hook_of(module: Module, name: str) -> tuple[int, WeightNorm] | None:
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            return number, hook
    return None


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Replace the parameter `name` by ``name_g``, lengths along `dim`, and ``name_v``, directions.

    Raises:
        RuntimeError: it has been done to `name` already.

    Example:
        >>> layer = weight_norm(grad.nn.Linear(20, 40))
        >>> layer.weight_g.shape, layer.weight_v.shape
        (torch.Size([40, 1]), torch.Size([40, 20]))
    """
    if _hook_of(module, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, None if dim == -1 else dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Make `name` a parameter again, of its present value.

    Raises:
        ValueError: there is no weight norm.
    """
    found = _hook_of(module, name)
    if found is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    number, hook = found
    weight = hook.compute_weight(module).detach()
    for attribute in (name, f"{name}_g", f"{name}_v"):
        delattr(module, attribute)
    setattr(module, name, Parameter(weight))
    del module._forward_pre_hooks[number]
    return module
