"""Adagrad: gradients divided by the root of the sum of all their squares.

Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic
optimization", 2011.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.nn.state import realize_tensors
from grad.optim.numbers import Numbers, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer, has_master, master_of
from grad.optim.saving import Group, State, tensors_of
from grad.tensor import Tensor


class Adagrad(RuleOptimizer):
    """``p -= rate * gradient / (sqrt(sum) + eps)`` with the sum of all squares and
    ``rate = lr / (1 + (step - 1) * lr_decay)``.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        lr_decay: how fast the rate falls.
        weight_decay: multiple of the parameter added to its gradient.
        initial_accumulator_value: what the sum starts from.
        eps: keeps the quotient finite.
        foreach, differentiable, fused, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a negative setting.

    Example:
        >>> optimizer = Adagrad([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "lr_decay", "eps", "initial_accumulator_value"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            epsilon=eps,
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults, master_weights)
        # PyTorch's state dict has the sums before the first step.
        with no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    wide = master_of(parameter) if has_master(parameter, group) else parameter
                    self.state[parameter] = self._new_state(wide, group)
        realize_tensors(tensors_of(self.state))

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        start = group["initial_accumulator_value"]
        return {"step": 0, "sum": Tensor.full_like(parameter, start)}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        return {
            "rate": scalar(group["lr"]) / (1 + (step - 1) * group["lr_decay"]),
            "eps": group["eps"],
            "weight_decay": group["weight_decay"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        total = state["sum"] + gradient * gradient
        state["sum"].copy_(total)
        return parameter - gradient * number["rate"] / (total.sqrt() + number["eps"])
