"""RMSprop: gradients divided by a running root mean square of themselves.

Tieleman, Hinton, "Lecture 6.5 - RMSProp", Coursera, 2012; the centred form is from Graves,
"Generating sequences with recurrent neural networks", 2013.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.optim.numbers import Numbers, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class RMSprop(RuleOptimizer):
    """``p -= lr * gradient / (sqrt(v) + eps)`` with v the running average of the squares.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        alpha: how much of the average is kept at each step.
        eps: keeps the quotient finite (added outside the root, as in PyTorch).
        weight_decay: multiple of the parameter added to its gradient.
        momentum: how much of the last change goes on.
        centered: divide by the running standard deviation instead.
        maximize: go up instead of down.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.

    Raises:
        ValueError: a negative setting.
    """

    _arguments = frozenset(("lr", "alpha", "eps"))
    _switches = ("weight_decay", "momentum")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(
            lr=lr, alpha=alpha, epsilon=eps, weight_decay=weight_decay, momentum=momentum
        )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        names = ["square_avg"]
        names += ["momentum_buffer"] * is_on(group["momentum"]) + ["grad_avg"] * group["centered"]
        return {"step": 0, **{name: Tensor.zeros_like(parameter) for name in names}}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        return {
            "lr": scalar(group["lr"]),
            "alpha": group["alpha"],
            "1 - alpha": 1 - group["alpha"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
            "momentum": group["momentum"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        keep, add = number["alpha"], number["1 - alpha"]
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        square = state["square_avg"] * keep + gradient * gradient * add
        state["square_avg"].copy_(square)
        if group["centered"]:
            mean = state["grad_avg"] * keep + gradient * add
            state["grad_avg"].copy_(mean)
            square = square - mean * mean
        change = gradient / (square.sqrt() + number["eps"])
        if is_on(group["momentum"]):
            change = state["momentum_buffer"] * number["momentum"] + change
            state["momentum_buffer"].copy_(change)
        return parameter - change * number["lr"]
