"""Muon: steps along the nearest orthogonal matrix to the momentum.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; rates that match
AdamW's: Liu et al., "Muon is scalable for LLM training", 2025. The matrix is found by a few
Newton-Schulz steps in bfloat16, which are products of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from grad.dtype import dtypes
from grad.optim.numbers import Numbers, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor

_MOST_STEPS = 100

# Multiples of the learning rate, by the rows and columns of the parameter.
_ADJUSTMENTS: dict[str | None, Callable[[int, int], float]] = {
    None: lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


class Muon(RuleOptimizer):
    """``p = p * (1 - lr * weight_decay) - lr * ratio * orthogonal(momentum)``, for matrices.

    Args:
        params: parameters of two dimensions, or groups of them; embeddings, biases and the last
            layer are for AdamW.
        lr: learning rate.
        weight_decay: how fast parameters shrink.
        momentum: how much of the average of the gradient is kept at each step.
        nesterov: look ahead along it.
        ns_coefficients: the polynomial of a Newton-Schulz step.
        eps: the smallest norm that is divided by.
        ns_steps: how many Newton-Schulz steps, fewer than 100.
        adjust_lr_fn: ``"original"`` (also None) or ``"match_rms_adamw"``: how the rate depends on
            the parameter's shape.
        master_weights: see `RuleOptimizer`.

    Raises:
        ValueError: a setting out of range, or a parameter that is no matrix.

    Example:
        >>> optimizer = Muon([Tensor.ones(2, 3, requires_grad=True)], lr=0.02)
    """

    _arguments = frozenset(("lr", "weight_decay", "momentum", "ns_coefficients", "eps"))
    _switches = ()
    _counts = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        master_weights: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        checked = {
            "Learning rate": lr,
            "momentum": momentum,
            "weight decay": weight_decay,
        }
        for name, value in checked.items():
            if not scalar(value) >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in _ADJUSTMENTS:
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults, master_weights)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{tuple(parameter.shape)}"
                    )

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        if group["ns_steps"] >= _MOST_STEPS:
            raise ValueError(
                f"Number of steps must be less than {_MOST_STEPS} for computational efficiency"
            )
        return {"momentum_buffer": Tensor.zeros_like(parameter)}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        lr, momentum = scalar(group["lr"]), group["momentum"]
        return {
            "lr": lr,
            "shrinking": 1 - lr * group["weight_decay"],
            "momentum": momentum,
            "1 - momentum": 1 - momentum,
            "eps": group["eps"],
            **dict(zip("abc", group["ns_coefficients"], strict=True)),
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        keep, add = number["momentum"], number["1 - momentum"]
        mean = state["momentum_buffer"] * keep + gradient * add
        state["momentum_buffer"].copy_(mean)
        direction = gradient * add + mean * keep if group["nesterov"] else mean
        direction = _orthogonal(direction, group["ns_steps"], number).to(parameter.dtype)
        ratio = _ADJUSTMENTS[group["adjust_lr_fn"]](*parameter.shape)
        return parameter * number["shrinking"] - direction * ratio * number["lr"]


def _orthogonal(matrix: Tensor, steps: int, number: Numbers) -> Tensor:
    """The matrix with all singular values near 1, of values that bfloat16 has."""
    a, b, c = [number[name].to(dtypes.float32) for name in "abc"]
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(dtypes.bfloat16)
    x = x.T if tall else x  # the product with itself is the smaller one
    x = _short(x / x.norm().maximum(number["eps"].to(dtypes.bfloat16)))
    for _ in range(steps):
        gram = _short(x @ x.T)
        x = _short(x * a + _short(gram * b + (gram @ gram) * c) @ x)
    return x.T if tall else x


def _short(x: Tensor) -> Tensor:
    """Values of bfloat16 to compute with: a product is rounded once, with what is added to it."""
    return x.to(dtypes.bfloat16).to(dtypes.float32)
