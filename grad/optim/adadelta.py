"""Adadelta: steps as large as those before, by root mean square, for each unit of gradient.

Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.optim.numbers import Numbers, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class Adadelta(RuleOptimizer):
    """``p -= lr * change`` with ``change = gradient * sqrt(d + eps) / sqrt(v + eps)``, where v and
    d are running averages of the squares of gradients and changes.

    Args:
        params: parameters or groups of them.
        lr: multiple of the step.
        rho: how much of the averages is kept at each step.
        eps: keeps the quotient finite, and the first steps from vanishing.
        weight_decay: multiple of the parameter added to its gradient.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = Adadelta([Tensor([1.0], requires_grad=True)])
    """

    _arguments = frozenset(("lr", "rho", "eps"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(epsilon=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "square_avg": Tensor.zeros_like(parameter),
            "acc_delta": Tensor.zeros_like(parameter),
        }

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        return {
            "lr": scalar(group["lr"]),
            "rho": group["rho"],
            "1 - rho": 1 - group["rho"],
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        keep, add, eps = number["rho"], number["1 - rho"], number["eps"]
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        square = state["square_avg"] * keep + gradient * gradient * add
        # The square of the change is made without its root: what the two results share is then
        # cheap enough to be computed for each, rather than stored and read again.
        before, now = state["acc_delta"] + eps, square + eps
        changes = before * (gradient * gradient * add / now)
        value = parameter - (before / now).sqrt() * gradient * number["lr"]
        state["square_avg"].copy_(square)
        state["acc_delta"].copy_(state["acc_delta"] * keep + changes)
        return value
