"""`grad.compile`: a function, recorded once and replayed in one native call.

To read: compiled.py (when to record, when to replay), recorder.py and watch.py (what is seen while
a function runs), guards.py (what must not have changed), replay.py (the plan, where its inputs come
from and where its results go); tree.py takes arguments and results apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.compile.compiled import Compiled

__all__ = ["Compiled", "compile"]


def compile(function: Callable[..., Any] | None = None) -> Any:
    """(thin for now)"""
    return Compiled(function) if function is not None else Compiled
