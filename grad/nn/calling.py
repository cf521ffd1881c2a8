"""A module's call when it has hooks: before and after `forward`, and on the way back.

`call` is the whole of it. Hooks of gradients stand at two borders, one around what goes in and one
around what comes out: a `Border` passes tensors on unchanged, and hands their gradients to a
function. `hooks.py` keeps the hooks; `module.py` comes here only where there are any.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from grad.autograd.function import Function
from grad.autograd.modes import mode
from grad.nn.hooks import EVERYWHERE, HookTable
from grad.tensor import Tensor

Gradients = tuple[Any, ...]


def call(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward(*args, **kwargs)`` with all hooks around it."""
    own = module.__dict__
    after = _listed(EVERYWHERE.forward, own["_forward_hooks"])
    done: set[int] = set()
    result = None
    try:
        args, kwargs = _before(module, args, kwargs)
        backward = [*EVERYWHERE.backward.values(), *own["_backward_hooks"].values()]
        before_backward = [*EVERYWHERE.backward_pre.values(), *own["_backward_pre_hooks"].values()]
        borders = Borders(module, backward, before_backward)
        args = borders.around_input(args)
        result = module.forward(*args, **kwargs)
        for number, hook, table in after:
            done.add(number)
            given = (args, kwargs) if number in table.with_kwargs else (args,)
            result = _replaced(result, hook(module, *given, result))
        return borders.around_output(result)
    except Exception:
        for number, hook, table in after:
            if number in table.always_call and number not in done:
                given = (args, kwargs) if number in table.with_kwargs else (args,)
                _after_failure(hook, module, *given, result)
        raise


def _listed(*tables: HookTable) -> list[tuple[int, Callable[..., Any], HookTable]]:
    """Numbers and hooks, with the table that knows how they are called; hooks may change it."""
    return [(number, hook, table) for table in tables for number, hook in table.items()]


def _before(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that `forward` is to get."""
    for number, hook, table in _listed(EVERYWHERE.forward_pre, module._forward_pre_hooks):
        if number in table.with_kwargs:
            replaced = hook(module, args, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                    f"but got {replaced}."
                )
            args, kwargs = replaced
            continue
        replaced = hook(module, args)
        if replaced is not None:
            args = replaced if isinstance(replaced, tuple) else (replaced,)
    return args, kwargs


def _after_failure(hook: Callable[..., Any], *given: Any) -> None:
    """Run a hook that is always called; its own error is no more than a warning then."""
    try:
        hook(*given)
    except Exception as error:
        warnings.warn(
            f"module forward hook with `always_call=True` raised an exception that was silenced "
            f"as another error was raised in forward: {error}",
            stacklevel=3,
        )


def _replaced(value: Any, replacement: Any) -> Any:
    return value if replacement is None else replacement


# -- gradients -------------------------------------------------------------------------------------
class Border(Function):
    """Tensors as they are; their gradients are what ``function(gradients)`` makes of them."""

    @staticmethod
    def forward(ctx: Any, function: Callable[[Gradients], Gradients], *tensors: Tensor) -> Any:
        ctx.set_materialize_grads(False)
        ctx.function_of_gradients = function
        return tuple(tensor.alias() for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, *ctx.function_of_gradients(gradients)


class Borders:
    """The two borders around one call, and the gradients that have crossed them."""

    def __init__(
        self,
        module: Any,
        hooks: Iterable[Callable[..., Any]],
        pre_hooks: Iterable[Callable[..., Any]],
    ) -> None:
        self.module = module
        self.hooks, self.pre_hooks = list(hooks), list(pre_hooks)
        self.gradients_out: Gradients | None = None
        self.inside = False  # whether an input has a border, where the hooks are to run
        self.count_in = 0

    def around_input(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments behind their border: only with hooks that want gradients of inputs."""
        self.count_in = len(args)
        if not self.hooks:
            return args
        passed = _crossed(args, self._went_back)
        self.inside = passed is not None
        return args if passed is None else passed

    def around_output(self, result: Any) -> Any:
        """The result behind its border."""
        if not (self.hooks or self.pre_hooks):
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        passed = _crossed(outputs, self._come_back)
        if passed is None:
            return result
        if not isinstance(result, tuple):
            return passed[0]
        return type(result)(*passed) if hasattr(result, "_fields") else passed

    def _come_back(self, gradients: Gradients) -> Gradients:
        for hook in self.pre_hooks:
            replaced = hook(self.module, gradients)
            if replaced is not None:
                gradients = _as_many(replaced, gradients, "Backward pre hook")
        self.gradients_out = gradients
        if self.hooks and not self.inside:
            self._run((None,) * self.count_in, changeable=False)
        return gradients

    def _went_back(self, gradients: Gradients) -> Gradients:
        if self.gradients_out is None:
            raise RuntimeError(
                "Module backward hook: gradients reached the inputs before those of the outputs; "
                "this happens when an output takes no part in what is differentiated."
            )
        gradients = self._run(gradients, changeable=True)
        self.gradients_out = None
        return gradients

    def _run(self, gradients: Gradients, changeable: bool) -> Gradients:
        for hook in self.hooks:
            replaced = hook(self.module, gradients, self.gradients_out)
            if replaced is None:
                continue
            if not changeable:
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )
            gradients = _as_many(replaced, gradients, "Backward hook")
        return gradients


def _crossed(
    values: tuple[Any, ...], function: Callable[[Gradients], Gradients]
) -> tuple[Any, ...] | None:
    """`values` with their tensors behind a border; None where none of them has a gradient."""
    places = [number for number, value in enumerate(values) if isinstance(value, Tensor)]
    if not mode.enabled or not any(values[place].requires_grad for place in places):
        return None

    def of_tensors(gradients: Gradients) -> Gradients:
        filled: list[Any] = [None] * len(values)
        for place, gradient in zip(places, gradients):
            filled[place] = gradient
        made = function(tuple(filled))
        return tuple(made[place] for place in places)

    result = list(values)
    frozen = [not values[place].requires_grad for place in places]
    passed = Border.apply(of_tensors, *[values[place] for place in places])
    for place, tensor, stays in zip(places, passed, frozen):
        result[place] = values[place] if stays else tensor
    return tuple(result)


def _as_many(replaced: Any, gradients: Gradients, who: str) -> Gradients:
    made = replaced if isinstance(replaced, tuple) else (replaced,)
    if len(made) != len(gradients):
        raise RuntimeError(
            f"{who} returned an invalid number of grad_output, got {len(made)}, but expected "
            f"{len(gradients)}"
        )
    return made
