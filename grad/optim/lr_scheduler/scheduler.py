"""`LRScheduler`: what all schedules share: counting epochs, and writing rates into groups.

`get_lr` says what the rates are at the count `last_epoch`, from the rates now: a recurrence, so
that several schedules of one optimiser multiply. Where there is a closed form from the rates at the
start, `step(epoch)` jumps by it (`_get_closed_form_lr`). The files beside this have the schedules;
combined.py makes one of several.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from grad.engine.recording import recording
from grad.nn.state import realize_tensors
from grad.optim.numbers import scalar
from grad.optim.optimizer import Optimizer
from grad.tensor import Tensor

Rates = list[Any]

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible. Please use `scheduler.step()` to step the scheduler. With an epoch, the closed form "
    "is used instead of the chainable form, where there is one."
)
_ORDER_WARNING = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
    "order: `optimizer.step()` before `lr_scheduler.step()`; otherwise the first value of the "
    "learning rate schedule is skipped."
)
_OVERRIDDEN_WARNING = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler "
    "initialization. Make sure to call `optimizer.step()` before `lr_scheduler.step()`."
)


def check_optimizer(optimizer: Any) -> None:
    """Raise TypeError unless `optimizer` is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value`, or the values in it, for each group.

    Raises:
        ValueError: there are more or fewer values than groups.
    """
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has "
            f"{len(values)} values, param_groups has {groups}."
        )
    return [copied(value) for value in values]


def copied(value: Any) -> Any:
    """`value`, a clone if it is a tensor."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def values_of(optimizer: Optimizer, name: str) -> list[Any]:
    """A setting in each group; tensors are copied."""
    return [copied(group[name]) for group in optimizer.param_groups]


def set_value(group: dict[str, Any], name: str, value: Any) -> None:
    """Change a setting of a group; a tensor stays the same object."""
    if isinstance(group[name], Tensor):
        group[name].fill_(scalar(value))
        realize_tensors([group[name]])
    else:
        group[name] = value


class LRScheduler:
    """Base: counts epochs, starting at 0 when it is made, and sets the rates.

    Args:
        optimizer: whose groups it changes.
        last_epoch: the count so far, when a run is resumed; -1 starts anew.

    Attributes:
        base_lrs: the rate that each group started from. last_epoch: the count.

    Raises:
        TypeError: `optimizer` is none. KeyError: resuming, but a group has no ``initial_lr``.

    Example:
        >>> class Inverse(LRScheduler):
        ...     def get_lr(self):
        ...         return [base / (self.last_epoch + 1) for base in self.base_lrs]
    """

    # What `state_dict` leaves out: belongs to others, or cannot be saved.
    _not_saved: ClassVar[tuple[str, ...]] = ("optimizer",)
    # Whether `step` is running, and whether it is that of `__init__`.
    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        optimizer._scheduled_step = optimizer.__dict__.get("step")
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming "
                    "scheduler with last_epoch >= 0; load the optimizer's state first."
                )
        self.base_lrs: Rates = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> Rates:
        """The rates of all groups at `last_epoch`, from those now."""
        raise NotImplementedError

    # The rates at `last_epoch`, from those at the start; None where there is no such form.
    _get_closed_form_lr: Callable[[], Rates] | None = None

    def step(self, epoch: int | None = None) -> None:
        """Count one epoch on, or jump to `epoch`, and set the rates; call it after
        ``optimizer.step()``.
        """
        self._warn(epoch)

        def count_on() -> None:
            self._step_count += 1
            self._update_lr(epoch)

        self._again(count_on)

    def _warn(self, epoch: int | None) -> None:
        optimizer = self.optimizer
        own_step = optimizer.__dict__.get("step")
        if self._step_count == 1 and own_step is not optimizer._scheduled_step:
            warnings.warn(_OVERRIDDEN_WARNING, UserWarning, stacklevel=3)
        elif self._step_count == 1 and own_step is None and not optimizer._opt_called:
            warnings.warn(_ORDER_WARNING, UserWarning, stacklevel=3)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = None if epoch is None else self._get_closed_form_lr
        self._set(self._asked(closed or self.get_lr))

    def _asked(self, function: Callable[[], Rates]) -> Rates:
        """What `function`, `get_lr` or alike, gives within `step`."""
        self._get_lr_called_within_step = True
        try:
            return function()
        finally:
            self._get_lr_called_within_step = False

    def _set(self, rates: Sequence[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_value(group, "lr", rate)
        self._last_lr: Rates = values_of(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use "
                "`get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    # -- in grad.compile ---------------------------------------------------------------------------
    def _again(self, effect: Callable[[], None]) -> None:
        """Do `effect`, now and at each replay of what is being recorded; it is taken back with
        all that a call has changed which runs out of memory.
        """
        recorder = recording.recorder
        groups = self.optimizer.param_groups
        if recorder is not None and any(isinstance(group["lr"], Tensor) for group in groups):
            recorder.give_up("a schedule writes to a tensor")
            recorder = None
        changes = recording.changes
        if recorder is None and changes is None:
            effect()
            return
        changed = [*[part.__dict__ for part in self._parts()], *groups]
        before: list[dict[str, Any]] = []

        def again() -> None:
            before[:] = [dict(entry) for entry in changed]
            effect()

        def undo() -> None:
            for entry, values in zip(changed, before, strict=True):
                entry.update(values)

        # Schedules inside of this one are part of its effect.
        recording.recorder = None
        try:
            again()
        finally:
            recording.recorder = recorder
        if changes is not None:
            changes.done(undo)
        if recorder is not None:
            recorder.again(again, undo)

    def _parts(self) -> list[LRScheduler]:
        """This schedule, and those that it steps."""
        return [self]

    def _compile_guards(self, guards: Any) -> None:
        """Nothing that a recorded function depends on: `step` is done again at each replay."""

    # -- saving ------------------------------------------------------------------------------------
    def get_last_lr(self) -> Rates:
        """The rates that were set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All numbers of the schedule; functions are left out, objects that are called are there
        with what they hold.
        """
        return {name: v for name, v in self.__dict__.items() if name not in self._not_saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.__dict__.update(state_dict)


def held_by(function: Any) -> dict[str, Any] | None:
    """What an object that is called holds; None for a function, which is not saved."""
    plain = function is None or isinstance(function, types.FunctionType)
    return None if plain else dict(function.__dict__)
