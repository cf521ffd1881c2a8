"""Adamax: Adam with the largest gradient so far, fading, in place of the root mean square.

Kingma, Ba, "Adam: a method for stochastic optimization", 2015, section 7.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.optim.numbers import Numbers, check_betas, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class Adamax(RuleOptimizer):
    """``p -= lr * m / u`` with ``u = max(beta2 * u, |gradient| + eps)``, and m corrected for
    having started at zero.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: how much of the average of the gradient, and of the maximum, is kept at each step.
        eps: keeps the quotient finite.
        weight_decay: multiple of the parameter added to its gradient.
        maximize: go up instead of down.
        foreach, differentiable, capturable, master_weights: see `RuleOptimizer`.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = Adamax([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "betas", "eps"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr, epsilon=eps, weight_decay=weight_decay)
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "exp_avg": Tensor.zeros_like(parameter),
            "exp_inf": Tensor.zeros_like(parameter),
        }

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        beta1, beta2 = group["betas"]
        return {
            "rate": scalar(group["lr"]) / (1 - beta1**step),
            "beta1": beta1,
            "1 - beta1": 1 - beta1,
            "beta2": beta2,
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        mean = state["exp_avg"] * number["beta1"] + gradient * number["1 - beta1"]
        state["exp_avg"].copy_(mean)
        largest = (state["exp_inf"] * number["beta2"]).maximum(gradient.abs() + number["eps"])
        state["exp_inf"].copy_(largest)
        return parameter - mean * number["rate"] / largest
