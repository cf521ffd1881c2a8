"""Adam and AdamW: steps scaled by running averages of the gradient and of its square.

Kingma, Ba, "Adam: a method for stochastic optimization", 2015; decoupled weight decay: Loshchilov,
Hutter, 2019; AMSGrad: Reddi, Kale, Kumar, "On the convergence of Adam and beyond", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.optim.numbers import Numbers, check_betas, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class Adam(RuleOptimizer):
    """``p -= lr * m / (sqrt(v) + eps)``, with m and v corrected for having started at zero.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: how much of the averages of gradient and square is kept at each step.
        eps: keeps the quotient finite.
        weight_decay: multiple of the parameter added to its gradient.
        amsgrad: divide by the largest average of squares so far.
        maximize: go up instead of down.
        decoupled_weight_decay: shrink the parameter by ``lr * weight_decay`` instead (AdamW).
        foreach, capturable, differentiable, fused, master_weights: see `RuleOptimizer`.

    Raises:
        ValueError: a setting out of range.
    """

    _arguments = frozenset(("lr", "betas", "eps"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr, epsilon=eps, weight_decay=weight_decay)
        check_betas(betas)
        tensors = [isinstance(beta, Tensor) for beta in betas]
        if any(tensors) and not all(tensors):
            raise ValueError("betas must be either both floats or both Tensors")
        for name, value in (("lr", lr), ("betas[0]", betas[0])):
            if foreach and not capturable and isinstance(value, Tensor):
                raise ValueError(
                    f"{name} as a Tensor is not supported for capturable=False and foreach=True"
                )
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * bool(group["amsgrad"])
        return {"step": 0, **{name: Tensor.zeros_like(parameter) for name in names}}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        lr, decay = scalar(group["lr"]), scalar(group["weight_decay"])
        beta1, beta2 = group["betas"]
        beta1, beta2 = scalar(beta1), scalar(beta2)
        return {
            "shrinking": 1 - lr * decay,
            "weight_decay": decay,
            "beta1": beta1,
            "1 - beta1": 1 - beta1,
            "beta2": beta2,
            "1 - beta2": 1 - beta2,
            # m / (1 - beta1 ** t) and v / (1 - beta2 ** t), with the divisions done on the two
            # numbers.
            "rate": lr / (1 - beta1**step),
            "correction": 1 / math.sqrt(1 - beta2**step),
            "eps": group["eps"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        value = parameter
        decays = is_on(group["weight_decay"])
        if decays and group["decoupled_weight_decay"]:
            value = parameter * number["shrinking"]
        elif decays:
            gradient = gradient + parameter * number["weight_decay"]

        mean = state["exp_avg"] * number["beta1"] + gradient * number["1 - beta1"]
        squares = gradient * gradient * number["1 - beta2"]
        square = state["exp_avg_sq"] * number["beta2"] + squares
        state["exp_avg"].copy_(mean)
        state["exp_avg_sq"].copy_(square)
        if group["amsgrad"]:
            square = state["max_exp_avg_sq"].maximum(square)
            state["max_exp_avg_sq"].copy_(square)
        root = square.sqrt() * number["correction"] + number["eps"]
        return value - mean * number["rate"] / root


class AdamW(Adam):
    """`Adam` with decoupled weight decay: ``p *= 1 - lr * weight_decay`` before the step."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        master_weights: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
            master_weights=master_weights,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # of an Adam's state dict, too
            group["decoupled_weight_decay"] = True
