"""`grad.compile`: a function, recorded once and replayed in one native call.

To read: compiled.py (when to record, when to replay), kinds.py (for which calls), records.py with
forget.py (what is known of each, and until when), recorder.py, watch.py and changes.py (what is
seen while a function runs), reach.py with findings.py and guards.py (what must not have changed),
finish.py with in_place.py and replay.py (the plan, where its inputs come from and where its results
go), run.py with leaves.py and kept.py (running it again and again), gradient.py (gradients through
a replay); tree.py with containers.py takes arguments and results apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from grad.utils.late import late_names

if TYPE_CHECKING:
    from grad.compile.compiled import Compiled

__all__ = ["Compiled", "compile", "wrap_compiled"]

# Opened by the first function that is compiled.
__getattr__ = late_names(__name__, globals(), {"Compiled": "grad.compile.compiled:Compiled"})

Model = TypeVar("Model", bound=Callable[..., Any])


@overload
def compile(
    model: Model,
    *,
    fullgraph: bool = ...,
    dynamic: bool | None = ...,
    backend: Any = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> Model: ...
@overload
def compile(
    model: None = None,
    *,
    fullgraph: bool = ...,
    dynamic: bool | None = ...,
    backend: Any = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> Callable[[Model], Model]: ...
def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Compile a function, a module or a whole training step.

    The result is called like the original. Its first call runs as always, its second is recorded:
    forward, backward, optimiser and all, and from the third on the record is replayed in one native
    call, without running the function's Python. A call with other shapes, types or Python values
    is recorded for itself, at once where nothing but sizes is new; so is one after something
    changed that the function depends on: globals, closures, attributes, train and eval mode,
    parameters. Learning rates, random numbers and the values of tensors may change freely. The 1024
    kinds of calls that came last are known, but for those with objects that nobody else has any
    more. What the function does besides (printing, appending to a list) is not repeated, unless it
    changes what the function depends on. A function that writes to memory lent by `from_numpy` or
    DLPack (steps an optimiser whose parameters lie there, say) runs uncompiled. Copies of the
    result, and pickles, begin without recordings.

    Args:
        model: what to compile; without it, a decorator is returned.
        disable: give `model` back as it is.
        fullgraph, dynamic, backend, mode, options: PyTorch's; accepted and not needed here.

    Raises:
        CaptureError: (a RuntimeError) where a call is recorded, when the function asks for the
            value of a tensor, as ``if x.sum() > 0`` does.

    Example:
        >>> @grad.compile
        ... def step(x, y):
        ...     optimizer.zero_grad()
        ...     loss = loss_function(model(x), y)
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
    """
    if model is None:
        return lambda function: compile(function, disable=disable)
    compiled_type: type[Compiled] = __getattr__("Compiled")
    if disable or isinstance(model, compiled_type):
        return model
    if not callable(model):
        raise TypeError(f"grad.compile: {model!r} is not callable; give a function or a module.")
    compiled = compiled_type(model)
    for kind, wrapper in _WRAPPERS.items():
        if isinstance(model, kind):
            return wrapper(model, compiled)
    return compiled


_WRAPPERS: dict[type, Callable[[Any, Compiled], Any]] = {}


def wrap_compiled(kind: type, wrapper: Callable[[Any, Compiled], Any]) -> None:
    """Have `compile` return ``wrapper(model, compiled)`` for instances of `kind`."""
    _WRAPPERS[kind] = wrapper
