"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`.

Each is a context manager and a decorator. The switch belongs to the thread, as in PyTorch.
`function.py` asks `mode.enabled` at every operation.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from grad.dtype import DType

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Mode(threading.local):
    """The switches of one thread; a new thread starts with these values.

    Attributes:
        enabled: operations are recorded. inference: see `inference_mode`.
        saved_hooks: (pack, unpack) of `graph.saved_tensors_hooks`, or None.
        autocast: the type that products take, or None; see ops/autocast.py.
        recomputing: a function runs again for its saved values alone; what it leaves behind, such
            as running statistics, is there from the first time.
        levels: so many functions of transforms run (func/level.py), whose derivatives may be of any
            order, and mapped over.
    """

    enabled = True
    inference = False
    saved_hooks: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    autocast: DType | None = None
    recomputing = False
    levels = 0


mode = Mode()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded."""
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    return mode.inference


class GradMode:
    """Base of the switches: sets `mode` on entry, puts it back on exit; nests and decorates."""

    enabled = True

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def _again(self) -> GradMode:
        """A fresh switch of the same kind, for each call of a decorated function."""
        return type(self)()

    def _inference(self) -> bool:
        return mode.inference

    def __enter__(self) -> GradMode:
        self._before.append((mode.enabled, mode.inference))
        mode.inference = self._inference()
        mode.enabled = self.enabled
        return self

    def __exit__(self, *exception: Any) -> None:
        mode.enabled, mode.inference = self._before.pop()

    def __call__(self, function: Decorated) -> Decorated:
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return switched  # type: ignore[return-value]

    def _around_generator(self, function: Any) -> Any:
        """The mode holds while the generator runs, and not while its user does."""

        @functools.wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            sent: Any = None
            while True:
                with self._again():
                    try:
                        value = generator.send(sent)
                    except StopIteration as stop:
                        return stop.value
                sent = yield value

        return switched


class no_grad(GradMode):
    """Nothing inside is recorded.

    Example:
        >>> with no_grad():
        ...     weight -= 0.1 * weight.grad
    """

    enabled = False

    @overload
    def __new__(cls, function: None = None) -> Self: ...
    @overload
    def __new__(cls, function: Decorated) -> Decorated: ...
    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)


class enable_grad(GradMode):
    """Operations inside are recorded, also within `no_grad`."""

    @overload
    def __new__(cls, function: None = None) -> Self: ...
    @overload
    def __new__(cls, function: Decorated) -> Decorated: ...
    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)


class set_grad_enabled(GradMode):
    """Switch recording on or off: at once, and back again when used in a ``with`` statement."""

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self.enabled = bool(enabled)
        self._at_creation = (mode.enabled, mode.inference)
        mode.enabled = self.enabled

    def _again(self) -> GradMode:
        return type(self)(self.enabled)

    def __enter__(self) -> GradMode:
        self._before.append(self._at_creation)
        mode.enabled = self.enabled
        return self

    def __call__(self, function: Decorated) -> Decorated:
        mode.enabled, mode.inference = self._at_creation
        return super().__call__(function)


class inference_mode(GradMode):
    """As `no_grad`; what is made inside stays outside every graph."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = mode
        self.enabled = not mode

    @overload
    def __new__(cls, mode: bool = True) -> Self: ...
    @overload
    def __new__(cls, mode: Decorated) -> Decorated: ...
    def __new__(cls, mode: Any = True) -> Any:
        return cls()(mode) if callable(mode) else object.__new__(cls)

    def _again(self) -> GradMode:
        return type(self)(self._mode)

    def _inference(self) -> bool:
        return self._mode
