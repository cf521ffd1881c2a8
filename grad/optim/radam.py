"""RAdam: Adam that trusts its average of squares only once it has seen enough of them.

Liu et al., "On the variance of the adaptive learning rate and beyond", 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.optim.moments import averaged, decayed
from grad.optim.numbers import Numbers, check_betas, check_not_negative, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor

# Lengths of the average of squares up to this have no bounded variance.
_SHORT = 5.0


class RAdam(RuleOptimizer):
    """``p -= lr * r * m / (sqrt(v) + eps)`` with a rectification r, and ``p -= lr * m`` in the
    first steps.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: how much of the averages of gradient and square is kept at each step.
        eps: keeps the quotient finite.
        weight_decay: multiple of the parameter added to its gradient.
        decoupled_weight_decay: shrink the parameter by ``lr * weight_decay`` instead.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = RAdam([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "betas", "eps"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr, epsilon=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "exp_avg": Tensor.zeros_like(parameter),
            "exp_avg_sq": Tensor.zeros_like(parameter),
        }

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        lr, decay = scalar(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        rate = lr / (1 - beta1**step)
        correction2 = 1 - beta2**step
        # The paper's names: how many squares the average is worth now, and in the end.
        rho_end = 2 / (1 - beta2) - 1
        rho = rho_end - 2 * step * beta2**step / correction2
        trusted = rho > _SHORT
        rectification = 0.0
        if trusted:
            above = (rho - 4) * (rho - 2) * rho_end
            rectification = math.sqrt(above / ((rho_end - 4) * (rho_end - 2) * rho))
        return {
            "shrinking": 1 - lr * decay,
            "weight_decay": decay,
            "beta1": beta1,
            "1 - beta1": 1 - beta1,
            "beta2": beta2,
            "1 - beta2": 1 - beta2,
            "trusted": float(trusted),
            "rate": rate,
            "adaptive rate": rate * rectification * math.sqrt(correction2),
            "eps": group["eps"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        value, gradient = decayed(parameter, gradient, group, number)
        mean, square = averaged(gradient, state, number)
        # One graph for all steps: which form counts is a number, too.
        adaptive = mean * number["adaptive rate"] / (square.sqrt() + number["eps"])
        return value - adaptive.where(number["trusted"] > 0, mean * number["rate"])
