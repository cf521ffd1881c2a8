"""`spectral_norm`: a weight divided by its largest singular value, computed before each call.

Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks",
2018: the singular vectors are followed by one step of power iteration for each call in training.
This is the form with hooks, whose names are ``weight_orig``, ``weight_u`` and ``weight_v``;
`parametrizations.spectral_norm` is the newer one.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.modes import no_grad
from grad.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from grad.nn.functional import normalize
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor

TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


def output_axis(module: Any, dim: int | None) -> int:
    """`dim`, or the axis of a layer's outputs in its weight."""
    return dim if dim is not None else int(isinstance(module, TRANSPOSED))


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """`weight` with axis `dim` first, the others made one."""
    if dim != 0:
        order = [dim, *(axis for axis in range(len(weight.shape)) if axis != dim)]
        weight = weight.permute(*order)
    return weight.reshape(weight.shape[0], -1)


def power_iteration(matrix: Tensor, u: Tensor, v: Tensor, steps: int, eps: float) -> None:
    """Bring `u` and `v` nearer to the first singular vectors, in place."""
    with no_grad():
        for _ in range(steps):
            u.copy_(normalize(matrix.mv(v), dim=0, eps=eps))
            v.copy_(normalize(matrix.T.mv(u), dim=0, eps=eps))


def random_direction(like: Tensor, size: int, eps: float) -> Tensor:
    """A vector of length 1, in the type of `like`."""
    return normalize(like.new_empty(size).normal_(0, 1), dim=0, eps=eps)


def divided(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """`weight` by its largest singular value; the vectors get no gradient."""
    # Copies: the next call moves the vectors while a gradient may still need these.
    u, v = u.clone(), v.clone()
    return weight / (u * matrix.mv(v)).sum()


class SpectralNorm:
    """The hook: computes the attribute `name`."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name, self.dim, self.eps = name, dim, eps
        self.n_power_iterations = n_power_iterations

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            # The right vector first, unlike the parametrization, as PyTorch has it.
            power_iteration(matrix.detach().T, v, u, self.n_power_iterations, self.eps)
        return divided(weight, matrix, u, v)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def _hook_of(module: Module, name: str) -> tuple[int, SpectralNorm] | None:
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            return number, hook
    return None


def spectral_norm(
    module: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """Divide the parameter `name` by its largest singular value in each call.

    Args:
        n_power_iterations: steps for each call in training. eps: keeps lengths above 0.
        dim: the axis of outputs; 1 for transposed convolutions, otherwise 0.

    Raises:
        RuntimeError: it has been done to `name` already.

    Example:
        >>> layer = spectral_norm(grad.nn.Linear(20, 40))
        >>> layer.weight_u.shape
        torch.Size([40])
    """
    if _hook_of(module, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook = SpectralNorm(name, n_power_iterations, output_axis(module, dim), eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    with no_grad():
        matrix = as_matrix(weight, hook.dim)
        height, width = matrix.shape
        u, v = (random_direction(matrix, size, eps) for size in (height, width))
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Make `name` a parameter again, of its present value.

    Raises:
        ValueError: there is no spectral norm.
    """
    found = _hook_of(module, name)
    if found is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    number, hook = found
    with no_grad():
        weight = hook.compute_weight(module, do_power_iteration=False)
    for attribute in (name, f"{name}_orig", f"{name}_u", f"{name}_v"):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(weight.detach()))
    del module._forward_pre_hooks[number]
    return module
