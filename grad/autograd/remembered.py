"""Calls of a Function that were seen before: their nodes are made at once, forward and backward.

A loop calls the same operations on tensors of the same shapes and types again and again. What such
a call does to the graph is then always the same, so from the second time on it is kept as a
template (graph/template.py), found by what the call was given: shapes, types and plain arguments.
The gradient of the call is kept with it, made from the values that were saved and the gradient
that arrives, broadcasting undone.

`remembered` is the decorator that says of a Function that this is right: `forward` and `backward`
depend on nothing else. They draw no random numbers, look at no values and write to nothing. Read
it, then `Call`; `_studied` and `_gradient_of` try the Function on stand-ins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

from grad.autograd.anomaly import anomaly
from grad.autograd.conform import conform
from grad.autograd.function import Context, Function, OutputInfo, record_call
from grad.autograd.graph import Saved
from grad.autograd.modes import mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.dtype import DType
from grad.engine.recording import recording
from grad.graph.node import Node
from grad.graph.primitives import Primitive
from grad.graph.template import NoTemplate, Template, on_trial, placeholder, template_of

Definition = TypeVar("Definition", bound=type[Function])

# How many different calls are kept of each Function.
CALLS_KEPT = 1024
# How many views are kept of each call.
VIEWS_KEPT = 64

# What a call is known by says of each tensor whether its gradient is wanted.
_WANTED, _NOT_WANTED = "wanted", "not wanted"
_PLAIN: Final = frozenset((int, str, type(None), DType, Primitive))
# True is equal to 1, and not the same: numbers can be refused, or make other types.
_BOOLS: Final = {False: (bool, 0), True: (bool, 1)}
# A named tuple without the detour by its Python constructor.
_new_tuple = tuple.__new__


class Unknown(Exception):
    """Something of which it cannot be said whether it is the same again."""


def described(value: Any) -> Any:
    """`value`, no tensor, as part of a key."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if kind is bool:
        return _BOOLS[value]
    if kind is float:
        return value.hex()  # 0.0 is not -0.0, and NaN is itself
    if isinstance(value, tuple | list):
        return (kind, *[described(part) for part in value])
    raise Unknown


class _Source(NamedTuple):
    """Where a saved value comes from: "argument" (its position), "result" (its number among those
    of the template; 0 is the output) or "value" (itself).
    """

    sort: str
    value: Any


class Call:
    """What is known of the calls of one Function that were given the same.

    Attributes:
        arguments: shape and type of each argument that is a tensor, else None.
        context: the class of their contexts, which has all that is always the same.
        template: from the tensors to the output and to what is saved besides; None where the
            output is a view.
        saved: where each saved value comes from.
        views: the views that were made, by where in its memory the first argument was.
    """

    __slots__ = ("_gradient", "arguments", "context", "saved", "template", "views")

    def __init__(
        self,
        arguments: tuple[OutputInfo | None, ...],
        context: type[Context],
        template: Template | None,
        saved: tuple[_Source, ...],
    ) -> None:
        self.arguments = arguments
        self.context = context
        self.template = template
        self.saved = saved
        self.views: dict[Any, tuple[Any, ...]] = {}
        # False until it is asked for.
        self._gradient: Template | bool | None = False

    def run(self, template: Template, args: tuple[Any, ...], edges: tuple[Edge | None, ...]) -> Any:
        """As `record_call` of function.py, with nodes from the template."""
        built = template.build([arg.node for arg in args if isinstance(arg, Variable)])
        context = self.context()
        context.edges = edges
        if self.saved:
            context._saved = tuple(
                [_taken(sort, value, args, edges, built) for sort, value in self.saved]
            )
        result = Variable._wrap(built[0])  # type: ignore[arg-type]  the output is never None
        result._edge = (context, 0)
        result._requires_grad = True
        return result

    def view(self, args: tuple[Any, ...], edges: tuple[Edge | None, ...]) -> Any:
        """As `record_call`, of a view that was made before; None of another."""
        whole = args[0]
        found = self.views.get((whole._path, whole._storage.node.shape))
        if found is None or not _views_memory(whole):
            return None
        context = self.context()
        context.edges = edges
        result = whole._alias(*found)
        result._base = whole if whole._base is None else whole._base
        result._edge = (context, 0)
        result._requires_grad = True
        return result

    def keep_view(self, args: tuple[Any, ...], result: Any) -> None:
        """Have `view` know `result`, if it is a view of the first argument."""
        whole = args[0]
        if (
            isinstance(whole, Variable)
            and len(self.views) < VIEWS_KEPT
            and result._storage is whole._storage
            and result._base is (whole if whole._base is None else whole._base)
            and not result._edge[0]._saved
            and _views_memory(whole)
        ):
            place = whole._path, whole._storage.node.shape
            self.views[place] = (result._path, result._shape, result._layout)

    def gradients(
        self, context: Context, arrived: Sequence[Node | None]
    ) -> list[Node | None] | None:
        """The gradients of the arguments, fitted to them; None where they are not remembered.

        The context has not been released.
        """
        rule = self._gradient
        if rule is False:
            rule = self._gradient = _gradient_of(self, context)
        if not isinstance(rule, Template):
            return None
        sources = [entry.node for entry in context._saved or () if entry.__class__ is Saved]
        (gradient,) = arrived
        return None if gradient is None else rule.build([gradient, *sources])


def _views_memory(tensor: Any) -> bool:
    """Whether the movements of a tensor are those from its memory on."""
    return tensor._base is None or not tensor._base._path


def _taken(
    sort: str,
    value: Any,
    args: tuple[Any, ...],
    edges: tuple[Edge | None, ...],
    built: list[Node | None],
) -> Any:
    """A saved value, as `_packed` of function.py makes it."""
    if sort == "argument":
        tensor = args[value]
        version, wanted = tensor._storage.version, edges[value] is not None
        return _new_tuple(Saved, (tensor, tensor.node, version, tensor._edge, wanted))
    if sort == "result":
        return _new_tuple(Saved, (None, built[value], 0, None, value == 0))
    return value


def remembered(function: Definition) -> Definition:
    """Decorator of a Function: calls of it that are recorded are remembered."""
    # True: such a call was seen, and once is not worth a template. None: it cannot be kept.
    calls: dict[Any, Call | bool | None] = {}

    def record(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if recording.recorder is not None or mode.saved_hooks is not None or anomaly.enabled:
            return record_call(cls, args, kwargs)
        parts: list[Any] = []
        edges: list[Edge | None] = []
        try:
            for arg in args:
                edge = None
                if isinstance(arg, Variable):
                    edge = arg._edge
                    if edge is None or arg._base is not None:
                        edge = gradient_edge(arg)
                    parts += (arg._shape, arg.dtype, _NOT_WANTED if edge is None else _WANTED)
                else:
                    parts.append(arg if arg.__class__ in _PLAIN else described(arg))
                edges.append(edge)
            for name, value in kwargs.items():
                parts += (name, described(value))
        except Unknown:
            parts.clear()
        if not parts:  # outside of the handler: an error is not one that came of another
            return record_call(cls, args, kwargs)
        key = tuple(parts)
        found = calls.get(key, False)
        known = isinstance(found, Call)
        if known and found.template is not None:
            return found.run(found.template, args, tuple(edges))
        if known and found.views:
            view = found.view(args, tuple(edges))
            if view is not None:
                return view
        result = record_call(cls, args, kwargs)
        if found is None or result.__class__ is not Variable._plain or result._edge is None:
            return result
        if found is False:
            if len(calls) >= CALLS_KEPT:
                calls.clear()
            calls[key] = True
        elif found is True:
            found = calls[key] = _studied(cls, args, kwargs, edges)
        if isinstance(found, Call):
            result._edge[0].remembered = found
            if found.template is None:
                found.keep_view(args, result)
        return result

    function._call = staticmethod(function._caller(record))
    return function


# -- trying a Function on stand-ins ----------------------------------------------------------------
def _studied(
    function: type[Function],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    edges: Sequence[Edge | None],
) -> Call | None:
    """What calls like this one do; None where that cannot be kept."""
    arguments = tuple([_info(arg) for arg in args])
    stand_ins = [arg if info is None else _stand_in(info) for arg, info in zip(args, arguments)]
    context = function._context()
    context.needs_input_grad = tuple([edge is not None for edge in edges])
    mode.enabled = False
    try:
        with on_trial():
            output = function._forward(context, *stand_ins, **kwargs)
    except NoTemplate:
        return None
    finally:
        mode.enabled = True
    if not isinstance(output, Variable) or context._dirty or context._non_differentiable:
        return None
    try:
        for name, value in context.__dict__.items():
            if name != "_saved":
                described(value)
    except Unknown:
        return None
    context.outputs = (OutputInfo(output._shape, output.dtype),)
    fixed = {name: value for name, value in context.__dict__.items() if name != "_saved"}
    tensors = [value for value in stand_ins if isinstance(value, Variable)]
    found = _forward_of(output, tensors, stand_ins, context._saved or ())
    template, saved = (None, ()) if found is None else found
    kind = type(function._context.__name__, (function._context,), fixed)
    call = Call(arguments, kind, template, saved)
    kind.remembered = call
    return call


def _forward_of(
    output: Any, tensors: Sequence[Any], stand_ins: Sequence[Any], saved: Sequence[Any]
) -> tuple[Template, tuple[_Source, ...]] | None:
    """The template of a call and where its saved values come from; None for views."""
    memory = [tensor._storage for tensor in tensors]
    results = [output]
    sources: list[_Source] = []
    for value in saved:
        position = next((i for i, given in enumerate(stand_ins) if given is value), None)
        if not isinstance(value, Variable):
            sources.append(_Source("value", value))
        elif position is not None:
            sources.append(_Source("argument", position))
        elif value is output:
            sources.append(_Source("result", 0))
        else:
            sources.append(_Source("result", len(results)))
            results.append(value)
    if any(value._path or value._storage in memory for value in results):
        return None
    template = template_of([t.node for t in tensors], [value.node for value in results])
    return None if template is None else (template, tuple(sources))


def _gradient_of(call: Call, context: Context) -> Template | None:
    """The template of the gradients of `call`, of which `context` is one."""
    saved = [
        _stand_in(OutputInfo(entry.node.shape, entry.node.dtype))
        if isinstance(entry, Saved)
        else entry
        for entry in context._saved or ()
    ]
    like = call.context()
    like.edges = context.edges
    like._saved = tuple(saved)
    output = like.outputs[0]
    assert output is not None
    arrived = _stand_in(output)
    try:
        with on_trial():
            results = like.function.backward(like, arrived)
    except NoTemplate:
        return None
    results = tuple(results) if isinstance(results, tuple | list) else (results,)
    left = len(call.arguments) - len(results)
    if left < 0 or (left and any(like.needs_input_grad[-left:])):
        return None
    results += (None,) * left
    gradients = [
        conform(result, info, like).node if result is not None and info and wanted else None
        for result, info, wanted in zip(results, call.arguments, like.needs_input_grad)
    ]
    sources = [value.node for value in (arrived, *saved) if isinstance(value, Variable)]
    return template_of(sources, gradients)


def _info(value: Any) -> OutputInfo | None:
    return OutputInfo(value._shape, value.dtype) if isinstance(value, Variable) else None


def _stand_in(info: OutputInfo) -> Any:
    return Variable._wrap(placeholder(info.shape, info.dtype))
