"""Schedules that ask a function of the user's for each epoch: a multiple of the first rate, or of
the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grad.optim.lr_scheduler.scheduler import LRScheduler, Rates, held_by, values_of
from grad.optim.optimizer import Optimizer

Factor = Callable[[int], float]


class _WithFunctions(LRScheduler):
    """One function, or one for each group, in `lr_lambdas`."""

    _not_saved = ("optimizer", "lr_lambdas")

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        groups = len(optimizer.param_groups)
        given = isinstance(lr_lambda, list | tuple)
        self.lr_lambdas: list[Any] = list(lr_lambda) if given else [lr_lambda] * groups  # type: ignore[arg-type]
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        functions = [held_by(function) for function in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": functions}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        given = dict(state_dict)
        for function, held in zip(self.lr_lambdas, given.pop("lr_lambdas"), strict=True):
            if held is not None:
                function.__dict__.update(held)
        super().load_state_dict(given)


class LambdaLR(_WithFunctions):
    """``base * f(epoch)``.

    Args:
        optimizer: whose groups it changes.
        lr_lambda: one function, or one for each group. In a state dict, functions are left out, and
            objects that are called are there with what they hold.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: more or fewer functions than groups.
    """

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        pairs = zip(self.lr_lambdas, self.base_lrs, strict=True)
        return [base * function(self.last_epoch) for function, base in pairs]


class MultiplicativeLR(_WithFunctions):
    """``last rate * f(epoch)``.

    Args:
        optimizer: whose groups it changes.
        lr_lambda: one function, or one for each group; see `LambdaLR`.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: more or fewer functions than groups. TypeError: not a function.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        functions = lr_lambda if isinstance(lr_lambda, list | tuple) else [lr_lambda]
        for function in functions:
            if not callable(function):
                raise TypeError(
                    f"lr_lambda should be a function, but got {type(function).__name__}"
                )
        super().__init__(optimizer, lr_lambda, last_epoch)

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        if self._is_initial:
            return values_of(self.optimizer, "lr")
        pairs = zip(self.lr_lambdas, self.optimizer.param_groups, strict=True)
        return [group["lr"] * function(self.last_epoch) for function, group in pairs]
