"""ASGD: gradient descent that keeps, beside the parameters, the average of where they have been.

Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992. The rate of the
next step and the weight of the average are counted along with the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from grad.optim.numbers import Numbers, check_not_negative, is_on, rounded, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class ASGD(RuleOptimizer):
    """``p = p * (1 - lambd * eta) - eta * gradient`` with ``eta = lr / (1 + lambd * lr * step) **
    alpha``; ``state[p]["ax"]`` is the average from step `t0` on.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        lambd: how fast rate and parameters shrink. alpha: power of the rate's fall.
        t0: the step from which on positions are averaged.
        weight_decay: multiple of the parameter added to its gradient.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a negative setting.

    Example:
        >>> optimizer = ASGD([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "lambd", "alpha", "t0"))
    _counts = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        *,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
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
            "eta": rounded(scalar(group["lr"])),
            "mu": 1.0,
            "ax": Tensor.zeros_like(parameter),
        }

    def _tally(self, group: Group, states: Sequence[State]) -> list[dict[str, float]]:
        lr, lambd = scalar(group["lr"]), group["lambd"]
        made: dict[tuple[float, float], dict[str, float]] = {}
        found: list[dict[str, float]] = []
        for state in states:
            step, eta, mu = state["step"] + 1, state["eta"], state["mu"]
            if (eta, mu) not in made:
                made[eta, mu] = {
                    "shrinking": 1 - lambd * eta,
                    "rate": eta,
                    "1 - mu": 1 - mu,
                    "weight_decay": group["weight_decay"],
                }
            found.append(made[eta, mu])
            state["step"] = step
            state["eta"] = rounded(lr / (1 + lambd * lr * step) ** group["alpha"])
            state["mu"] = rounded(1 / max(1, step - group["t0"]))
        return found

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        value = parameter * number["shrinking"] - gradient * number["rate"]
        # From the new value towards the average: exactly the value while mu is 1.
        state["ax"].copy_(value - (value - state["ax"]) * number["1 - mu"])
        return value
