"""The built-in Functions by name: ``from grad.autograd.ops import Add, Mul, Exp``.

A façade for users; nothing in the library imports it. Each class is defined in `grad/ops`, where
its docstring, gradient and samples are; ``Add.apply(x, y)`` is what ``x + y`` calls.
"""

from __future__ import annotations

from grad.autograd.function import Function
from grad.ops.registry import registry

FUNCTIONS: dict[str, type] = {
    row.definition.__name__: row.definition
    for row in registry()
    if issubclass(row.definition, Function)
}
globals().update(FUNCTIONS)

__all__ = sorted(FUNCTIONS)
