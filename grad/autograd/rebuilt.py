"""Calls of whole functions that were seen before: their nodes are made at once.

`remembered.py` does this for single Functions whose gradient is wanted. A function of tensors,
however many operations it consists of, comes to the same nodes whenever it is given tensors of the
same shapes and types and the same other arguments. From the second time on they are made from a
template (graph/template.py). Results of values in memory only say so (`Node.origin`), and take the
short way to their plan (engine/single.py). `composed.py` has the calls whose gradient is wanted.

`rebuilt` is the decorator that says of a function that this is right: it gives new tensors and no
views, and depends on nothing but its arguments, the default dtype, `autocast` and the precision of
convolutions. It draws no random numbers, looks at no values and writes to nothing. Arrays that it
makes for itself are kept with the template. `plainly_rebuilt` says so of a `Function`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from grad.autograd.anomaly import anomaly
from grad.autograd.composed import Composition, studied
from grad.autograd.function import Function, Light
from grad.autograd.modes import mode
from grad.autograd.remembered import CALLS_KEPT, Unknown, described
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.dtype import default_dtype
from grad.engine.recording import recording
from grad.graph.movement import is_contiguous
from grad.graph.node import Node
from grad.graph.template import (
    NoTemplate,
    Template,
    on_trial,
    placeholder,
    template_of,
    trial,
)
from grad.settings import settings

Definition = TypeVar("Definition", bound=type[Function])
Made = TypeVar("Made", bound=Callable[..., Any])


class Call:
    """What is known of the calls of one function that were given the same.

    Attributes:
        template: from the tensors to the results.
        kind: the sort of tuple that the function gives; None for one tensor.
    """

    __slots__ = ("kind", "template")

    def __init__(self, template: Template, kind: type | None) -> None:
        self.template = template
        self.kind = kind

    def run(self, nodes: Sequence[Node]) -> Any:
        if self.kind is None:
            for source in nodes:
                # A reference to what is pending would look as if somebody wanted its value.
                if source.buffer is None:
                    break
            else:
                return Variable._wrap(self.template.promise(tuple(nodes)))
        built = self.template.build(nodes)
        values = [Variable._wrap(node) for node in built]  # type: ignore[arg-type]
        if self.kind is None:
            return values[0]
        return tuple(values) if self.kind is tuple else self.kind(*values)


def warn(message: str, stacklevel: int) -> None:
    """As `warnings.warn`, for functions that are marked here. (Filters of warnings are everybody's:
    catching warnings on trial would catch those of other threads.)
    """
    if trial.running:
        raise NoTemplate
    warnings.warn(message, stacklevel=stacklevel + 1)


def rebuilt(function: Made) -> Made:
    """Decorator of a function: calls of it that nobody differentiates are built again."""
    return functools.wraps(function)(_caller(function))  # type: ignore[return-value]


def plainly_rebuilt(function: Definition) -> Definition:
    """Decorator of a Function, above `remembered` if that is there too."""
    forward = function._forward

    def plain(*args: Any, **kwargs: Any) -> Any:
        return forward(Light(), *args, **kwargs)

    recorded, built = function._call, _caller(plain, composed=False)

    def call(*args: Any, **kwargs: Any) -> Any:
        return (recorded if mode.enabled and any(map(_wanted, args)) else built)(*args, **kwargs)

    function._call = staticmethod(call)
    return function


def _caller(function: Callable[..., Any], composed: bool = True) -> Callable[..., Any]:
    # True: such a call was seen, and once is not worth a template. None: it cannot be kept.
    calls: dict[Any, Call | Composition | bool | None] = {}

    def call(*args: Any, **kwargs: Any) -> Any:
        if recording.recorder is not None:
            return function(*args, **kwargs)
        precision = settings.float32_convolution_precision
        parts: list[Any] = [default_dtype(), precision, mode.autocast]
        tensors: list[Any] = []
        edges: list[Edge | None] = []
        try:
            _describe(args, parts, tensors, edges)
            if kwargs:
                parts.extend(kwargs)
                _describe(kwargs.values(), parts, tensors, edges)
        except Unknown:
            parts.clear()
        if not parts:  # outside of the handler: an error is not one that came of another
            return function(*args, **kwargs)
        wanted = any(edges)
        if wanted and not (composed and _unwatched()):
            return function(*args, **kwargs)
        key = tuple(parts)
        found = calls.get(key, False)
        if found.__class__ is Composition:
            nodes = [tensor.node for tensor in tensors]
            return found.run(tensors, nodes, tuple(edges))  # type: ignore[union-attr]
        if found.__class__ is Call:
            return found.run([tensor.node for tensor in tensors])  # type: ignore[union-attr]
        result = function(*args, **kwargs)
        if found is False:
            if len(calls) >= CALLS_KEPT:
                calls.clear()
            calls[key] = True
        elif found is True:
            calls[key] = (
                studied(function, args, kwargs, tensors, edges)
                if wanted
                else _studied(function, args, kwargs)
            )
        return result

    return call


def _unwatched() -> bool:
    """Whether nobody wants to see the operations that a function consists of."""
    return mode.saved_hooks is None and not mode.levels and not anomaly.enabled


def _wanted(value: Any) -> bool:
    return isinstance(value, Variable) and value._needs_grad


def _describe(values: Any, parts: list[Any], tensors: list[Any], edges: list[Edge | None]) -> None:
    """Append what a call is known by, its tensors, and where their gradients go; Unknown where an
    argument is something else.
    """
    for value in values:
        if isinstance(value, Variable):
            edge = None
            if mode.enabled:
                edge = value._edge
                if edge is None or value._base is not None:
                    edge = gradient_edge(value)
            parts += value._shape, value.dtype, edge is not None
            tensors.append(value)
            edges.append(edge)
        elif value is None:
            parts.append(None)
        elif isinstance(value, list | tuple):
            parts += value.__class__, len(value)
            _describe(value, parts, tensors, edges)
        else:
            parts.append(described(value))


def _studied(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """What calls like this one do; None where that cannot be kept."""
    tensors: list[Any] = []
    stand_ins = [_stand_in(arg, tensors) for arg in args]
    named = {name: _stand_in(value, tensors) for name, value in kwargs.items()}
    try:
        with on_trial():
            found = function(*stand_ins, **named)
    except NoTemplate:
        return None
    kind: type[Any] | None = type(found) if isinstance(found, tuple) else None
    results: Any = (found,) if kind is None else found
    memory = [tensor._storage for tensor in tensors]
    for result in results:
        if (
            not isinstance(result, Variable)
            or result._storage in memory
            or not is_contiguous(result.memory_layout)
        ):
            return None
        memory.append(result._storage)
    sources = [tensor.node for tensor in tensors]
    template = template_of(sources, [result.node for result in results], with_arrays=True)
    fixed = 0 if template is None else len(sources) + len(template.constants)
    if template is None or any(place is None or place < fixed for place in template.results):
        return None
    return Call(template, kind)


def _stand_in(value: Any, tensors: list[Any]) -> Any:
    if isinstance(value, Variable):
        tensors.append(Variable._wrap(placeholder(value._shape, value.dtype)))
        return tensors[-1]
    if isinstance(value, list | tuple):
        parts = [_stand_in(part, tensors) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return value
