"""What `NAdam` and `RAdam` share: weight decay of both kinds, averages of gradient and square."""

from __future__ import annotations

from grad.optim.numbers import Numbers, is_on
from grad.optim.saving import Group, State
from grad.tensor import Tensor


def decayed(
    parameter: Tensor, gradient: Tensor, group: Group, number: Numbers
) -> tuple[Tensor, Tensor]:
    """The parameter to go on from, and the gradient, one of them with weight decay."""
    if not is_on(group["weight_decay"]):
        return parameter, gradient
    if group["decoupled_weight_decay"]:
        return parameter * number["shrinking"], gradient
    return parameter, gradient + parameter * number["weight_decay"]


def averaged(gradient: Tensor, state: State, number: Numbers) -> tuple[Tensor, Tensor]:
    """The averages of gradient and square with this gradient in them, which `state` keeps."""
    mean = state["exp_avg"] * number["beta1"] + gradient * number["1 - beta1"]
    squares = gradient * gradient * number["1 - beta2"]
    square = state["exp_avg_sq"] * number["beta2"] + squares
    state["exp_avg"].copy_(mean)
    state["exp_avg_sq"].copy_(square)
    return mean, square
