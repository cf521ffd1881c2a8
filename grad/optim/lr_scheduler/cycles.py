"""Schedules that go up and down: cosines with restarts, triangles, and one cycle.

The last two move the momentum (or ``betas[0]``) against the rate. An optimiser takes both as
numbers, so that nothing is compiled anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from grad.optim.lr_scheduler.scheduler import (
    LRScheduler,
    Rates,
    check_optimizer,
    held_by,
    per_group,
    set_value,
)
from grad.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """From ``base`` down to `eta_min` along half a cosine, and again, each time `T_mult` as long.

    Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017. Within an
    epoch ``step(epoch)`` may be called with a fraction.

    Args:
        optimizer: whose groups it changes.
        T_0: epochs until the first restart. T_mult: factor from one length to the next.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: lengths that are not positive integers, or a negative epoch.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, float | int):
            raise ValueError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Count one epoch on, or go to `epoch`, which may be a fraction."""
        if epoch is not None and epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        self._again(lambda: self._go_to(epoch))

    def _go_to(self, epoch: float | None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            grown = self.T_mult**restarts
            self.T_cur = epoch - self.T_0 * (grown - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * grown
        self.last_epoch = math.floor(epoch)
        self._set(self._asked(self.get_lr))


class _WithMomentum(LRScheduler):
    """Sets the momentum of each group as well."""

    cycle_momentum: bool
    use_beta1: bool

    def _start_momentum(
        self, optimizer: Optimizer, base: Any, most: Any, last_epoch: int
    ) -> tuple[list[Any], list[Any]]:
        """The lowest and the highest momentum of each group; notes them in the groups."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        lowest = per_group("base_momentum", optimizer, base)
        highest = per_group("max_momentum", optimizer, most)
        if last_epoch == -1:
            for high, low, group in zip(highest, lowest, optimizer.param_groups, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"] = high
                group["base_momentum"] = low
        return lowest, highest

    def _set_momentum(self, group: dict[str, Any], momentum: Any) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


def _constant(scheduler: CyclicLR, x: float) -> float:
    return 1.0


def _halving(scheduler: CyclicLR, x: float) -> float:
    return 1 / (2.0 ** (x - 1))


def _exponential(scheduler: CyclicLR, x: float) -> float:
    return scheduler.gamma**x


# For each mode the height of a triangle, and whether it is asked about the cycle or the iteration.
_MODES: dict[str, tuple[Callable[[CyclicLR, float], float], str]] = {
    "triangular": (_constant, "cycle"),
    "triangular2": (_halving, "cycle"),
    "exp_range": (_exponential, "iterations"),
}


class CyclicLR(_WithMomentum):
    """Up and down between `base_lr` and `max_lr` in straight lines, over and over; step it after
    each batch. Smith, "Cyclical learning rates for training neural networks", 2017.

    Args:
        optimizer: whose groups it changes.
        base_lr, max_lr: the lowest and the highest rate, for each group or for all.
        step_size_up, step_size_down: how many steps up and down (None: as many).
        mode: ``"triangular"``, ``"triangular2"`` (half as high each cycle) or ``"exp_range"``
            (``gamma ** iteration`` as high).
        gamma: see `mode`.
        scale_fn: the height of the triangle instead of `mode`, asked about the number of the
            ``"cycle"`` or of the iteration (``"iterations"``), as `scale_mode` says.
        cycle_momentum: move the momentum from `max_momentum` to `base_momentum` and back.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: an unknown mode, or an optimiser without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                set_value(group, "lr", rate)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if scale_fn is None and mode not in _MODES:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode: str = scale_mode if scale_fn is not None else _MODES[mode][1]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._start_momentum(
                optimizer, base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the triangle in cycle or iteration `x`."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _MODES[self.mode][0](self, x)

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        position = self.last_epoch / self.total_size
        cycle = math.floor(1 + position)
        x = 1.0 + position - cycle
        up = x <= self.step_ratio
        height = x / self.step_ratio if up else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                self._set_momentum(group, high - (high - low) * height * scale)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height * scale for low, high in pairs]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_scale_fn_custom": held_by(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        given = dict(state_dict)
        held = given.pop("_scale_fn_custom")
        if held is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(held)
        super().load_state_dict(given)


def _cosine(start: Any, end: Any, done: float) -> Any:
    return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def _linear(start: Any, end: Any, done: float) -> Any:
    return (end - start) * done + start


_ANNEALINGS: dict[str, Callable[[Any, Any, float], Any]] = {"cos": _cosine, "linear": _linear}


def _phase(end_step: float, rates: tuple[str, str], momenta: tuple[str, str]) -> dict[str, Any]:
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return {"end_step": end_step, **dict(zip(names, (*rates, *momenta), strict=True))}


class OneCycleLR(_WithMomentum):
    """Up to `max_lr`, then down to almost nothing, over a whole training; step it after each batch.

    Smith, Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2018.

    Args:
        optimizer: whose groups it changes.
        max_lr: the highest rate, for each group or for all.
        total_steps: length of the cycle; or `epochs` times `steps_per_epoch`.
        pct_start: which part of the cycle goes up.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: move the momentum from `max_momentum` to `base_momentum` and back.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last is the first divided by this.
        three_phase: go down to the first rate as steeply as up, then to the last.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: a setting out of range, an optimiser without momentum, or more steps than there
            are.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.total_steps = _length(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if not isinstance(pct_start, float) or not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in _ANNEALINGS:
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_func_type = anneal_strategy
        highest = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(
                f"Tried to step {step} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        done = (step - start) / (phase["end_step"] - start)
        annealed = _ANNEALINGS[self._anneal_func_type]

        def between(group: dict[str, Any], what: str) -> Any:
            return annealed(group[phase[f"start_{what}"]], group[phase[f"end_{what}"]], done)

        groups = self.optimizer.param_groups
        for group in groups if self.cycle_momentum else ():
            self._set_momentum(group, between(group, "momentum"))
        return [between(group, "lr") for group in groups]


def _length(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    if total_steps is not None:
        given = {"total_steps": total_steps}
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(value for value in given.values() if value is not None)


def _phases(steps: int, rising: float, three: bool) -> list[dict[str, Any]]:
    up = (("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))
    first = _phase(float(rising * steps) - 1, *up)
    if not three:
        down = (("max_lr", "min_lr"), ("base_momentum", "max_momentum"))
        return [first, _phase(steps - 1, *down)]
    down = (("max_lr", "initial_lr"), ("base_momentum", "max_momentum"))
    last = (("initial_lr", "min_lr"), ("max_momentum", "max_momentum"))
    return [first, _phase(float(2 * rising * steps) - 2, *down), _phase(steps - 1, *last)]
