"""`GradScaler`: scales losses, so that small gradients of float16 do not become 0.

Before a step gradients are divided by it again. A step whose gradients are not finite is left out
and the scale made smaller; after `growth_interval` good steps it grows. In what `grad.compile`
records nobody knows yet whether they are finite: recorded_step.py has what is done there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

from grad.amp.recorded_step import can_be_taken_back, step_unless, tape
from grad.dtype import dtypes
from grad.engine.recording import Recorder
from grad.errors import ArgumentError
from grad.graph.node import argument
from grad.ops.creation import tensor
from grad.tensor import Tensor


class Stage(Enum):
    """How far an optimiser is in this step."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


class GradScaler:
    """Scales losses and unscales gradients, as ``torch.amp.GradScaler``.

    Args:
        device: accepted; tensors are on the CPU.
        init_scale: the first scale. growth_factor, backoff_factor: what it is multiplied by.
        growth_interval: so many good steps in a row make it grow.
        enabled: False makes everything here do nothing but the step.

    Example:
        >>> scaler = GradScaler("cpu")
        >>> with grad.autocast("cpu", dtype=grad.float16):
        ...     loss = model(x).square().mean()
        >>> scaler.scale(loss).backward()
        >>> scaler.step(optimizer)
        >>> scaler.update()
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not growth_factor > 1:
            raise AssertionError(f"The growth factor must be > 1.0, got {growth_factor}.")
        if not backoff_factor < 1:
            raise AssertionError(f"The backoff factor must be < 1.0, got {backoff_factor}.")
        self._device, self._enabled = device, enabled
        self._scale, self._growth_tracker = float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._stages: dict[int, Stage] = {}
        # Whether gradients were not finite; a tensor in what is recorded.
        self._bad: dict[int, Any] = {}
        # Who has recorded an update, which is yet to be made.
        self._updated: Recorder | None = None

    def scale(self, outputs: Any) -> Any:
        """`outputs`, a tensor or lists of them, times the scale; differentiable."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._number(lambda: self._scale)
        if isinstance(outputs, Iterable):
            kind: Any = list if not isinstance(outputs, list | tuple) else type(outputs)
            return kind(self.scale(output) for output in outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimiser's parameters by the scale, in place; to clip them
        before `step`, which does it by itself otherwise.

        Raises:
            RuntimeError: called a second time in a step, or after it.
        """
        if not self._enabled:
            return
        stage = self._stages.get(id(optimizer), Stage.READY)
        if stage is not Stage.READY:
            after = "step()" if stage is Stage.STEPPED else "the last update()"
            raise ArgumentError(f"unscale_() is being called after {after}, or a second time.")
        inverse = self._number(lambda: 1.0 / self._scale)
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        if not gradients:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        sums = []
        for gradient in gradients:
            if gradient.dtype.name == "float16":
                raise ValueError("Attempting to unscale FP16 gradients.")
            unscaled = gradient.detach()
            wide = unscaled if gradient.dtype.itemsize >= 4 else unscaled.float()
            unscaled.copy_(wide * inverse)
            # 0 times a finite number is 0, and NaN otherwise; sums of zeros cannot overflow.
            sums.append((gradient.detach() * 0).sum().float())
        total = sums[0]
        for other in sums[1:]:
            total = total + other
        self._has_unscaled(optimizer, ~total.isfinite())

    def _has_unscaled(self, optimizer: Any, bad: Tensor) -> None:
        recorder = tape()
        self._bad[id(optimizer)] = bad.item() if recorder is None else bad
        self._stages[id(optimizer)] = Stage.UNSCALED
        if recorder is None:
            return

        def end(values: Any) -> None:
            (self._bad[id(optimizer)],) = values
            self._stages[id(optimizer)] = Stage.UNSCALED

        recorder.afterwards(end, [bad.node])

    def _number(self, value: Any) -> Tensor:
        """``value()``, which depends on the scale, as a tensor; each replay computes it anew."""
        recorder = tape()
        if recorder is not None and self._updated is recorder:
            recorder.give_up("it uses the scale of a GradScaler that it has updated")
            recorder = None
        if recorder is None:
            return tensor(value(), dtype=dtypes.float32)
        node = argument(value(), dtypes.float32)
        recorder.argument(node, value)
        return Tensor._wrap(node)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscale, unless that is done, and call ``optimizer.step(*args, **kwargs)`` if all
        gradients are finite; gives what it gives.

        Raises:
            RuntimeError: a second time since the last `update`, or with a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise ArgumentError("Closure use is not currently supported if GradScaler is enabled.")
        stage = self._stages.get(id(optimizer), Stage.READY)
        if stage is Stage.STEPPED:
            raise ArgumentError("step() has already been called since the last update().")
        if stage is Stage.READY:
            self.unscale_(optimizer)
        self._stages[id(optimizer)] = Stage.STEPPED
        recorder = tape()
        bad = self._bad[id(optimizer)]
        if recorder is not None and isinstance(bad, Tensor):
            recorder.afterwards(lambda _: self._stages.update({id(optimizer): Stage.STEPPED}), [])
            if can_be_taken_back(optimizer):
                step_unless(bad, optimizer, recorder)
                return None
            recorder.give_up("the step of an optimiser that a GradScaler may leave out is unknown")
            bad = self._bad[id(optimizer)]
        return None if bad else optimizer.step()

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """End of a step: a smaller scale if gradients were not finite, a larger one after many good
        steps, or `new_scale`.
        """
        if not self._enabled:
            return
        if new_scale is None and not self._bad:
            raise AssertionError("No inf checks were recorded prior to update.")
        recorder = tape()
        if recorder is None:
            self._update(new_scale)
            return
        recorder.afterwards(lambda _: self._update(new_scale), [])
        self._updated = recorder
        self._stages.clear()
        self._bad.clear()

    def _update(self, new_scale: float | Tensor | None) -> None:
        """As `update`, where it is known whether gradients were finite."""
        self._updated = None
        if new_scale is not None:
            self._scale = float(new_scale)
        elif any(self._bad.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._growth_tracker = 0
                if math.isfinite(self._scale * self._growth_factor):
                    self._scale *= self._growth_factor
        self._stages.clear()
        self._bad.clear()

    def _compile_guards(self, guards: Any) -> None:
        """What a recorded function takes for granted of it (compile/guards.py)."""
        guards.item(self.__dict__, "_enabled")
        guards.snapshots.append((self._progress, self._progress()))

    def _progress(self) -> list[Any]:
        """How far each optimiser is in this step."""
        return [dict(self._stages), {key: bool(bad) for key, bad in self._bad.items()}]

    def is_enabled(self) -> bool:
        return self._enabled

    def get_scale(self) -> float:
        """The scale; 1 when it is not enabled."""
        recorder = tape()
        if recorder is not None and self._enabled:
            recorder.give_up("it asks for the scale of a GradScaler")
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """Settings and the scale; empty when it is not enabled. Keys as PyTorch's."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            RuntimeError: it is empty, from a scaler that was not enabled.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise ArgumentError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
