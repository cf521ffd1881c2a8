"""One training step in each family of frameworks: loss, gradients, and the optimiser's update.

A model is named arrays and a function; training.py and gpt.py have them. PyTorch and micrograd get
modules with an optimiser of theirs, tinygrad tensors with one of its own; for JAX the same formulas
are written here, over dictionaries, in one jitted function that is given its state's buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.workload import Arrays

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimiser's name in `torch.optim` ("SGD", "Adam" or "AdamW") and its settings."""

    name: str
    learning_rate: float
    weight_decay: float = 0.0

    @property
    def options(self) -> dict[str, float]:
        decay = {"weight_decay": self.weight_decay} if self.name == "AdamW" else {}
        return {"lr": self.learning_rate, **decay}


def torch_step(
    torch: Any, model: Any, loss_of: Callable[[Any], Any], arrays: Arrays, optimizer: Optimizer
) -> Callable[[], Any]:
    """The usual loop body; `arrays` has the initial parameters by the names that `model` gives."""
    load(torch, model, arrays)
    update = getattr(torch.optim, optimizer.name)(model.parameters(), **optimizer.options)

    def step() -> Any:
        update.zero_grad()
        loss = loss_of(model)
        loss.backward()
        update.step()
        return loss.detach()

    return step


def load(torch: Any, model: Any, arrays: Arrays) -> None:
    """Set the parameters of a module."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = torch.tensor(arrays[name])
            if parameter.dtype != value.dtype:  # the reference is in float64
                model.to(value.dtype)
            parameter.copy_(value)


def tinygrad_step(
    tinygrad: Any,
    parameters: Mapping[str, Any],
    loss_of: Callable[[Mapping[str, Any]], Any],
    optimizer: Optimizer,
) -> Callable[[], Any]:
    """As tinygrad's own examples do: the loss and all updates are realised together."""
    update = getattr(tinygrad.nn.optim, optimizer.name)(
        list(parameters.values()), **optimizer.options
    )

    def step() -> Any:
        with tinygrad.helpers.Context(TRAINING=1):
            update.zero_grad()
            loss = loss_of(parameters)
            loss.backward()
            return loss.realize(*update.schedule_step())

    return step


def jax_step(
    jax: Any,
    parameters: Mapping[str, Any],
    loss_of: Callable[[Mapping[str, Any]], Any],
    optimizer: Optimizer,
) -> Callable[[], Any]:
    """Loss, gradients and update in one jitted function, over buffers that it may reuse."""
    zeros = {name: jax.numpy.zeros_like(value) for name, value in parameters.items()}
    moments = (
        {}
        if optimizer.name == "SGD"
        else {"first": zeros, "second": jax.tree.map(jax.numpy.copy, zeros)}
    )
    state: dict[str, Any] = {
        "parameters": dict(parameters),
        "count": jax.numpy.zeros(()),
        **moments,
    }

    def update(state: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        loss, gradients = jax.value_and_grad(loss_of)(state["parameters"])
        return _jax_update(jax, state, gradients, optimizer), loss

    jitted = jax.jit(update, donate_argnums=0)

    def step() -> Any:
        nonlocal state
        state, loss = jitted(state)
        # The next call needs the state too, so it is part of the result.
        jax.block_until_ready(state)
        return loss

    return step


def _jax_update(
    jax: Any, state: dict[str, Any], gradients: Any, optimizer: Optimizer
) -> dict[str, Any]:
    """SGD, Adam or AdamW as PyTorch defines them."""
    rate, count = optimizer.learning_rate, state["count"] + 1
    each = jax.tree.map
    if optimizer.name == "SGD":
        moved = each(lambda p, g: p - rate * g, state["parameters"], gradients)
        return {"parameters": moved, "count": count}
    first = each(lambda m, g: FIRST_DECAY * m + (1 - FIRST_DECAY) * g, state["first"], gradients)
    second = each(
        lambda v, g: SECOND_DECAY * v + (1 - SECOND_DECAY) * g * g, state["second"], gradients
    )
    first_scale, second_scale = 1 - FIRST_DECAY**count, 1 - SECOND_DECAY**count

    def moved(parameter: Any, m: Any, v: Any) -> Any:
        decayed = parameter * (1 - rate * optimizer.weight_decay)
        return decayed - rate * (m / first_scale) / (jax.numpy.sqrt(v / second_scale) + EPSILON)

    parameters = each(moved, state["parameters"], first, second)
    return {"parameters": parameters, "first": first, "second": second, "count": count}


def split(arrays: Arrays, data: tuple[str, ...]) -> tuple[Arrays, Arrays]:
    """Parameters and data."""
    parameters = {name: array for name, array in arrays.items() if name not in data}
    return parameters, {name: arrays[name] for name in data}
