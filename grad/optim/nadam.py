"""NAdam: Adam with Nesterov's look ahead along the average of the gradient.

Dozat, "Incorporating Nesterov momentum into Adam", 2016. The momentum of each step is a number of
its own, so their product is counted along with the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from grad.optim.moments import averaged, decayed
from grad.optim.numbers import Numbers, check_betas, check_not_negative, rounded, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class NAdam(RuleOptimizer):
    """``p -= lr * (a * m + b * gradient) / (sqrt(v) + eps)``, with a and b from the momenta of this
    step and the next.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: how much of the averages of gradient and square is kept at each step.
        eps: keeps the quotient finite.
        weight_decay: multiple of the parameter added to its gradient.
        momentum_decay: how fast the momentum grows to ``betas[0]``.
        decoupled_weight_decay: shrink the parameter by ``lr * weight_decay`` instead.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = NAdam([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "betas", "eps", "momentum_decay"))
    _counts = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(
            lr=lr, epsilon=eps, weight_decay=weight_decay, momentum_decay=momentum_decay
        )
        check_betas(betas)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "mu_product": 1.0,
            "exp_avg": Tensor.zeros_like(parameter),
            "exp_avg_sq": Tensor.zeros_like(parameter),
        }

    def _tally(self, group: Group, states: Sequence[State]) -> list[dict[str, float]]:
        made: dict[tuple[int, float], dict[str, float]] = {}
        found: list[dict[str, float]] = []
        for state in states:
            step = state["step"] = state["step"] + 1
            mu = _momentum(group, step)
            product = state["mu_product"] = rounded(rounded(mu) * state["mu_product"])
            if (step, product) not in made:
                made[step, product] = {
                    **self._numbers(group, step),
                    **_rates(group, step, mu, product),
                }
            found.append(made[step, product])
        return found

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        beta1, beta2 = group["betas"]
        decay = group["weight_decay"]
        return {
            "shrinking": 1 - scalar(group["lr"]) * decay,
            "weight_decay": decay,
            "beta1": beta1,
            "1 - beta1": 1 - beta1,
            "beta2": beta2,
            "1 - beta2": 1 - beta2,
            "correction": 1 / math.sqrt(1 - beta2**step),
            "eps": group["eps"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        value, gradient = decayed(parameter, gradient, group, number)
        mean, square = averaged(gradient, state, number)
        root = square.sqrt() * number["correction"] + number["eps"]
        return value - (gradient * number["rate now"] + mean * number["rate ahead"]) / root


def _momentum(group: Group, step: int) -> float:
    return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))


def _rates(group: Group, step: int, mu: float, product: float) -> dict[str, float]:
    """What gradient and average are multiplied by; `product`: of all momenta so far."""
    lr, ahead = scalar(group["lr"]), _momentum(group, step + 1)
    return {
        "rate now": lr * (1 - mu) / (1 - product),
        "rate ahead": lr * ahead / (1 - product * ahead),
    }
