"""A mode for finding where NaN comes from: a backward that gives it raises, and says whence.

While the mode is on, each recorded call keeps the Python stack it was made from, and which
function's backward it was part of (`Origin`). The pass (engine.py) looks at each gradient: NaN
raises, as does what a function raises by itself, after a warning with those stacks. It computes
gradients one by one, so it is for finding mistakes only. Compiled functions run uncompiled.

The mode belongs to the whole process, as in PyTorch.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from grad.autograd.variable import Variable
from grad.engine.recording import recording
from grad.errors import GradientError
from grad.graph.node import Node

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_LIBRARY = (_PACKAGE, contextlib.__file__)
# What an operation consists of, which says nothing about where it was called.
_INNER = tuple(os.path.join(_PACKAGE, name) for name in ("autograd", "ops", "tensor.py"))


class _Anomaly:
    """Attributes:
    enabled: calls keep where they were made. check_nan: gradients are looked at then.
    """

    __slots__ = ("check_nan", "enabled")

    def __init__(self) -> None:
        self.enabled, self.check_nan = False, True


class _Running(threading.local):
    """The function whose backward this thread is in, while the mode is on."""

    context: Any = None


class Origin(NamedTuple):
    """Where a call was made, and the function whose backward made it, if one did."""

    stack: traceback.StackSummary
    parent: Any


anomaly = _Anomaly()
_running = _Running()


def is_anomaly_enabled() -> bool:
    """Whether backward passes are watched; see `autograd.detect_anomaly`."""
    return anomaly.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether watched passes look for NaN."""
    return anomaly.check_nan


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch the watching of backward passes on or off; see `autograd.detect_anomaly`."""
    if not isinstance(mode, bool) or not isinstance(check_nan, bool):
        raise TypeError(
            f"set_anomaly_enabled: mode and check_nan must be bool, got {mode!r}, {check_nan!r}."
        )
    if recording.recorder is not None and (mode, check_nan) != (
        anomaly.enabled,
        anomaly.check_nan,
    ):
        recording.recorder.give_up("it switches the detection of anomalies")
    anomaly.enabled, anomaly.check_nan = mode, check_nan


class set_detect_anomaly:
    """Switch the watching of backward passes on or off: at once, and back when used in a ``with``
    statement. See `detect_anomaly`.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = anomaly.enabled, anomaly.check_nan
        set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        set_anomaly_enabled(*self._before)


class detect_anomaly:
    """Inside, a backward that computes NaN raises, and shows the call that it belongs to.

    Warns when it is made, since passes take much longer. Calls that were made outside have no
    stack to show. Passes inside `func.vmap` and `func.jvp` are not looked at.

    Args:
        check_nan: look for NaN. Without it, only what functions raise by themselves is shown.

    Raises:
        GradientError: (in backward) a gradient has NaN; names the function and which of its
            arguments the gradient is for.

    Example:
        >>> with detect_anomaly():
        ...     loss = model(x).sum()
        ...     loss.backward()
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._before = anomaly.enabled, anomaly.check_nan
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *exception: Any) -> None:
        set_anomaly_enabled(*self._before)


# -- what function.py and engine.py ask ------------------------------------------------------------
def origin() -> Origin:
    """Where the operation that is being recorded was called."""
    stack = traceback.StackSummary.extract(traceback.walk_stack(None), lookup_lines=False)
    while len(stack) > 1 and stack[0].filename.startswith(_INNER):
        del stack[0]
    stack.reverse()
    return Origin(stack, _running.context)


@contextlib.contextmanager
def watched(context: Any) -> Iterator[None]:
    """Around the backward of one function: an error in it comes with where its call was made."""
    before, _running.context = _running.context, context
    try:
        yield
    except Exception:
        warnings.warn(_told(context), stacklevel=_users_level())
        raise
    finally:
        _running.context = before


def refuse_nan(context: Any, gradients: Sequence[Any], wanted: Sequence[bool]) -> None:
    """Raise GradientError for the first of `gradients`, tensors or nodes, that has NaN.

    What is computed for all items of a batch at once (`vmap`), or for no gradient in particular
    (`jvp`), has no values to look at.
    """
    if recording.recorder is not None and recording.recorder.stands_in:
        return
    for position, (gradient, needed) in enumerate(zip(gradients, wanted)):
        if gradient is None or not needed:
            continue
        tensor = Variable._wrap(gradient) if isinstance(gradient, Node) else gradient
        if tensor.isnan().any().item():
            raise GradientError(
                f"Function '{context.name()}' returned nan values in its {position}th output."
            )


def _users_level() -> int:
    """The level of the user's code in the stack, as a warning of the caller's says it."""
    frames = traceback.walk_stack(sys._getframe(1))
    files = enumerate((frame.f_code.co_filename for frame, _ in frames), start=1)
    outside = (level for level, file in files if not file.startswith(_LIBRARY))
    return next(outside, 1)


def _told(context: Any) -> str:
    """Where the call of `context` was made, and the calls whose backwards led to it."""
    parts = []
    head, what = f"Error detected in {context.name()}.", "forward call that caused the error"
    while context is not None:
        found = context.origin
        if found is None:
            parts.append(
                f"{head} No forward pass information available. Enable detect anomaly during "
                f"forward pass for more information."
            )
            break
        parts.append(f"{head} Traceback of {what}:\n{''.join(found.stack.format())}")
        context = found.parent
        if context is not None:
            head = f"Previous calculation was induced by {context.name()}."
            what = "forward call that induced the previous calculation"
    return "\n\n".join(parts)
