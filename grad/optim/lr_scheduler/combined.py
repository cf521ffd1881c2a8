"""Schedules made of schedules: one after the other, or several at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from grad.optim.lr_scheduler.plateau import ReduceLROnPlateau
from grad.optim.lr_scheduler.scheduler import LRScheduler, set_value, values_of
from grad.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """Steps the schedules in `_schedulers`, which are saved with it."""

    _not_saved = ("optimizer", "_schedulers")
    _schedulers: Sequence[LRScheduler]

    def _check(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer) -> None:
        name = type(self).__name__
        for number, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(
                    f"{name} at index {number} should have `optimizer` as its attribute."
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires "
                    "additional kwargs to be specified when calling `step`, but got one at index "
                    f"{number} in the given schedulers sequence."
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got "
                    f"scheduler {type(scheduler).__name__} at index {number} has "
                    f"{scheduler.optimizer}, which is different from {type(optimizer).__name__}."
                )

    def _parts(self) -> list[LRScheduler]:
        return [self, *[part for inner in self._schedulers for part in inner._parts()]]

    def state_dict(self) -> dict[str, Any]:
        inner = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": inner}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        given = dict(state_dict)
        inner = given.pop("_schedulers")
        super().load_state_dict(given)
        for scheduler, state in zip(self._schedulers, inner, strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Combined):
    """One schedule after the other, each counting from 0 at its milestone (a warm-up, say).

    Args:
        optimizer: whose groups they change.
        schedulers: the schedules. milestones: at which epoch each but the first begins.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: not one milestone fewer than schedules, or schedules of other optimisers.

    Example:
        >>> optimizer = optim.SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
        >>> warm_up = optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
        >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        >>> SequentialLR(optimizer, [warm_up, decay], [2]).get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler, but got no scheduler."
            )
        self._check(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                "the number of milestone points, but got number of schedulers "
                f"{len(schedulers)} and the number of milestones to be equal to {len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # All have set the rates for their first epoch: only the one that begins should have.
        for group in optimizer.param_groups:
            set_value(group, "lr", group["initial_lr"])
        for part in self._parts()[1:]:
            if not isinstance(part, _Combined):
                part.last_epoch -= 1
        begins = schedulers[bisect_right(milestones, 0)]
        begins._initial_step()
        self._last_lr = begins.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Count one epoch on in the schedule whose turn it is."""
        self._again(self._count_on)

    def _count_on(self) -> None:
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Combined):
    """Several schedules at once: each multiplies what the one before it made of the rates.

    Args:
        schedulers: the schedules. optimizer: whose groups they change; None: that of the first.

    Raises:
        ValueError: no schedules, or schedules of other optimisers.
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        if len(schedulers) < 1:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler to be chained, but got no "
                "scheduler."
            )
        optimizer = optimizer or schedulers[0].optimizer
        self._check(schedulers, optimizer)
        self._schedulers = schedulers
        self.optimizer = optimizer
        self._last_lr = values_of(optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Count one epoch on in all of them."""
        self._again(self._count_on)

    def _count_on(self) -> None:
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = values_of(self.optimizer, "lr")
