"""Averages of a model over its training: equal weights (SWA) or fading ones (EMA).

Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018.
`AveragedModel` keeps the average, brought up to date by a function of averages, parameters and how
many models are in it; the getters make such functions. `SWALR` is the schedule that goes with it,
`update_bn` measures the averages of batch normalisation anew.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from grad.autograd.modes import no_grad
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.nn.channel_normalization import _BatchNorm
from grad.nn.module import Module
from grad.nn.state import realize_tensors
from grad.optim.lr_scheduler.scheduler import LRScheduler, Rates, per_group
from grad.optim.optimizer import Optimizer
from grad.tensor import Tensor

# From an average, a parameter and the number of models to the new average; and the same for lists,
# which writes to the averages.
Average = Callable[[Tensor, Tensor, Any], Tensor]
Averages = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * average + (1 - decay) * parameter``.

    Raises:
        ValueError: `decay` is not in [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return ema_param * decay + current_param * (1 - decay)

    return ema_update


def get_swa_avg_fn() -> Average:
    """``average + (parameter - average) / (number + 1)``, the mean of all models."""

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _for_all(average: Average) -> Averages:
    """The function for lists that does `average` to each."""

    @no_grad()
    def update(
        averaged_param_list: Sequence[Tensor],
        current_param_list: Sequence[Tensor],
        num_averaged: Any,
    ) -> None:
        for averaged, current in zip(averaged_param_list, current_param_list, strict=True):
            averaged.copy_(average(averaged, current, num_averaged))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """`get_ema_avg_fn` for lists; writes to the averages."""
    return _for_all(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Averages:
    """`get_swa_avg_fn` for lists; writes to the averages."""
    return _for_all(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are averages; called like the model.

    Args:
        model: what to average; the copy is `module`.
        device: where to keep the copy.
        avg_fn: from an average, a parameter and the number of models to the new average; None:
            `get_swa_avg_fn`.
        multi_avg_fn: the same for lists, which writes to the averages; not both.
        use_buffers: average buffers, too, rather than take them from the model.

    Attributes:
        n_averaged: how many models have been averaged, an integer tensor.

    Raises:
        AssertionError: both functions are given.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        >>> averaged.update_parameters(model)
        >>> averaged.n_averaged.item()
        1
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", Tensor(0, dtype=dtypes.int64))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take in the model as it is now; all in one plan, also in `grad.compile`."""
        averages = [parameter.detach() for parameter in self.module.parameters()]
        current = [parameter.detach() for parameter in model.parameters()]
        buffers = [buffer.detach() for buffer in self.module.buffers()]
        model_buffers = [buffer.detach() for buffer in model.buffers()]
        if self.use_buffers:
            averages, current = averages + buffers, current + model_buffers
        else:
            for buffer, source in zip(buffers, model_buffers, strict=True):
                buffer.copy_(source)
        self._average(averages, current)
        self.n_averaged += 1
        realize_tensors([*averages, *buffers, self.n_averaged])

    def _average(self, averages: list[Tensor], current: list[Tensor]) -> None:
        """The first model is copied, later ones go through the function."""
        update = self.multi_avg_fn or _for_all(self.avg_fn or get_swa_avg_fn())
        if recording.recorder is not None:
            # Which model it is is not known while recording: the value decides at each replay.
            first = self.n_averaged == 0
            updated = [average.clone() for average in averages]
            update(updated, current, self.n_averaged)
            for average, source, new in zip(averages, current, updated, strict=True):
                average.copy_(source.where(first, new))
        elif self.n_averaged.item() == 0:
            for average, source in zip(averages, current, strict=True):
                average.copy_(source)
        else:
            update(averages, current, self.n_averaged)


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Measure the means and variances of batch normalisation anew: over one pass of `loader`, whose
    batches, or their first parts, are given to the model.

    Args:
        loader: batches. model: the model, an `AveragedModel`, say. device: where to move batches.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # all batches count the same
    for batch in loader:
        given = batch[0] if isinstance(batch, list | tuple) else batch
        model(given if device is None else given.to(device))
        realize_tensors(buffer for layer in layers for buffer in layer.buffers())
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


def _straight(done: float) -> float:
    return done


def _cosine(done: float) -> float:
    return (1 - math.cos(math.pi * done)) / 2


_ANNEALINGS: dict[str, Callable[[float], float]] = {"cos": _cosine, "linear": _straight}


class SWALR(LRScheduler):
    """From the rates of other schedules to `swa_lr` in `anneal_epochs`, and there it stays.

    Args:
        optimizer: whose groups it changes.
        swa_lr: the final rate, for each group or for all.
        anneal_epochs: how long it takes. anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: see `LRScheduler`.

    Raises:
        ValueError: another strategy, or a negative length.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = per_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in _ANNEALINGS:
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates: Rates = []
        for group in self.optimizer.param_groups:
            final = group["swa_lr"]
            # What the rate would be without this schedule.
            other = final if before == 1 else (group["lr"] - before * final) / (1 - before)
            rates.append(final * now + other * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        """How much of the rate is the final one after `step` steps."""
        done = max(0, min(1, step / max(1, self.anneal_epochs)))
        return _ANNEALINGS[self._anneal_strategy](done)
