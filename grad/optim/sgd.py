"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.engine.recording import recording
from grad.optim.numbers import Numbers, check_not_negative, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class SGD(RuleOptimizer):
    """``p -= lr * v`` with ``v = momentum * v + (1 - dampening) * gradient``.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        momentum: how much of the last change goes on; 0 remembers nothing.
        dampening: how little of the new gradient goes in (not at the first step).
        weight_decay: multiple of the parameter added to its gradient.
        nesterov: look ahead along the momentum; Sutskever et al., "On the importance of
            initialization and momentum in deep learning", 2013.
        maximize: go up instead of down.
        foreach, differentiable, fused, master_weights: see `RuleOptimizer`.

    Raises:
        ValueError: a negative setting, or `nesterov` without momentum or with dampening.
    """

    _switches = ("momentum", "dampening", "weight_decay")
    _counts = ()
    _always_has_state = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        # From zeros the first step gives the gradient itself, as it should, unless dampened.
        if not is_on(group["momentum"]) or is_on(group["dampening"]):
            return {}
        return {"momentum_buffer": Tensor.zeros_like(parameter)}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        numbers = {"lr": scalar(group["lr"])}
        if is_on(group["weight_decay"]):
            numbers["weight_decay"] = scalar(group["weight_decay"])
        if is_on(group["momentum"]):
            numbers["momentum"] = scalar(group["momentum"])
            numbers["1 - dampening"] = 1 - scalar(group["dampening"])
        return numbers

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        if is_on(group["weight_decay"]):
            gradient = gradient + parameter * number["weight_decay"]
        if is_on(group["momentum"]):
            gradient = self._with_momentum(parameter, gradient, state, group, number)
        return parameter - gradient * number["lr"]

    def _with_momentum(
        self,
        parameter: Tensor,
        gradient: Tensor,
        state: State,
        group: Group,
        number: Numbers,
    ) -> Tensor:
        momentum, velocity = number["momentum"], state.get("momentum_buffer")
        if velocity is None:
            if recording.recorder is not None:
                recording.recorder.give_up("an optimiser meets a parameter for the first time")
            velocity = state["momentum_buffer"] = Tensor.empty_like(parameter)
            new = gradient
        else:
            if is_on(group["dampening"]):
                gradient = gradient * number["1 - dampening"]
            new = velocity * momentum + gradient
        velocity.copy_(new)
        return gradient + new * momentum if group["nesterov"] else new
