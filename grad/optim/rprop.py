"""Rprop: a step size for each element, that grows while the sign of its gradient stays.

Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
algorithm", 1993. For whole batches: the size of the gradient does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.optim.numbers import Numbers, check_not_negative, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class Rprop(RuleOptimizer):
    """``p -= sign(gradient) * size``, where each size is multiplied by ``etas[1]`` if the sign
    is the last one, and by ``etas[0]`` (and the step left out) if it is the opposite.

    Args:
        params: parameters or groups of them.
        lr: what the sizes start from.
        etas: factors of sizes that shrink and that grow.
        step_sizes: the smallest and the largest size.
        foreach, capturable, differentiable, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = Rprop([Tensor([1.0], requires_grad=True)], lr=0.1)
    """

    _arguments = frozenset(("lr", "etas", "step_sizes"))
    _switches = ()

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        master_weights: bool = False,
    ) -> None:
        check_not_negative(lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        return {
            "step": 0,
            "prev": Tensor.zeros_like(parameter),
            "step_size": Tensor.full_like(parameter, scalar(group["lr"])),
        }

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        shrink, grow = group["etas"]
        smallest, largest = group["step_sizes"]
        return {"shrink": shrink, "grow": grow, "smallest": smallest, "largest": largest}

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        agreement = gradient * state["prev"]
        turned = agreement < 0
        size = state["step_size"]
        grown = (size * number["grow"]).where(agreement > 0, size)
        size = (size * number["shrink"]).where(turned, grown)
        size = size.maximum(number["smallest"]).minimum(number["largest"])
        gradient = gradient.masked_fill(turned, 0)
        state["step_size"].copy_(size)
        state["prev"].copy_(gradient)
        return parameter - gradient.sign() * size
