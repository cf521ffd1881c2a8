"""Adafactor: an average of squares kept as a row and a column, and steps relative to the parameter.

Shazeer, Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import ml_dtypes

from grad.optim.numbers import Numbers, is_on, scalar
from grad.optim.rule import RuleOptimizer
from grad.optim.saving import Group, State
from grad.tensor import Tensor


class Adafactor(RuleOptimizer):
    """``p -= rate * u / max(1, rms(u) / d)`` with ``u = gradient / sqrt(v)`` and
    ``rate = max(eps[1], rms(p)) * min(lr, 1 / sqrt(step))``; v is the outer
    product of its means over rows and columns.

    Args:
        params: parameters or groups of them.
        lr: the largest relative rate.
        beta2_decay: power of the step by which the averages take in new squares.
        eps: the smallest root of a square (None: that of the parameter's type), and the smallest
            size of a parameter.
        d: the largest root mean square of a step.
        weight_decay: how fast parameters shrink.
        foreach, master_weights: see `RuleOptimizer`.
        maximize: go up instead of down.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> optimizer = Adafactor([Tensor.ones(2, 3, requires_grad=True)])
    """

    _arguments = frozenset(("lr", "beta2_decay", "d"))

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        master_weights: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        checked = (
            ("Learning rate", ">= 0", lr, scalar(lr) >= 0.0),
            ("beta2_decay", "<= 0", beta2_decay, beta2_decay <= 0.0),
            ("epsilon1", ">= 0", eps[0], eps[0] is None or eps[0] >= 0.0),
            ("epsilon2", ">= 0", eps[1], eps[1] >= 0.0),
            ("Clipping threshold d", ">= 1", d, d >= 1.0),
            ("weight_decay", ">= 0", weight_decay, weight_decay >= 0.0),
        )
        for name, bound, value, holds in checked:
            if not holds:
                raise ValueError(f"{name} should be {bound} but is: {value}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults, master_weights)

    def _new_state(self, parameter: Tensor, group: Group) -> State:
        if parameter.ndim < 2:
            return {"step": 0, "variance": Tensor.zeros_like(parameter)}
        zeros = Tensor.zeros_like(parameter)
        return {"step": 0, "row_var": zeros[..., :1].clone(), "col_var": zeros[..., :1, :].clone()}

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        lr = scalar(group["lr"])
        return {
            "add": step ** group["beta2_decay"],
            "keep": 1 - step ** group["beta2_decay"],
            "rate": min(lr, 1 / math.sqrt(step)),
            "shrinking": 1 - lr * group["weight_decay"],
            "d": group["d"],
        }

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        smallest, smallest_size = group["eps"]
        if smallest is None:
            smallest = float(ml_dtypes.finfo(parameter.dtype.numpy).eps)
        rate = _root_mean_square(parameter).clamp(min=smallest_size) * number["rate"]
        value = parameter * number["shrinking"] if is_on(group["weight_decay"]) else parameter
        square = gradient * gradient

        def averaged(name: str, new: Tensor) -> Tensor:
            mean = state[name] * number["keep"] + new * number["add"]
            state[name].copy_(mean)
            return mean

        if gradient.ndim > 1:
            rows = averaged("row_var", square.mean(-1, keepdim=True))
            columns = averaged("col_var", square.mean(-2, keepdim=True))
            variance = rows * columns / rows.mean(-2, keepdim=True).clamp(min=smallest)
        else:
            variance = averaged("variance", square)
        change = gradient * variance.clamp(min=smallest * smallest).rsqrt()
        above = (_root_mean_square(change) / number["d"]).clamp(min=1.0)
        return value - change * (rate / above)


def _root_mean_square(x: Tensor) -> Tensor:
    return (x * x).mean().sqrt()
