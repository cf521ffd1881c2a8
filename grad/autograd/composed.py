"""Calls of functions of many operations whose gradient is wanted, and that were seen before.

`rebuilt.py` says which functions always come to the same nodes. Of those a call with a gradient
does too, and so does its gradient: both are kept as templates (graph/template.py), and the call
becomes one function of the graph, in place of one for each operation in it. What it saves are the
values that the gradient refers to. `studied` tries the function, and then the backward pass through
it, on stand-ins; `Composition` makes the calls.

A pass that is recorded itself, or that hooks look at, differentiates the function anew
(`Composition.differentiated`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grad.autograd.engine import gradients
from grad.autograd.function import Context, Function, OutputInfo
from grad.autograd.graph import Saved
from grad.autograd.modes import enable_grad, mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.errors import GradientError
from grad.graph.movement import is_contiguous
from grad.graph.node import Node, constant, expand, postorder
from grad.graph.primitives import CONST
from grad.graph.template import NoTemplate, Template, on_trial, placeholder, template_of

# A named tuple without the detour by its Python constructor.
_new_tuple = tuple.__new__

# Of which outputs a gradient arrived.
Pattern = tuple[bool, ...]


class Composition:
    """What is known of the calls of one function that were given the same.

    Attributes:
        function: the function; args, kwargs: what it was given, tensors replaced by stand-ins.
        inputs, outputs: the stand-ins, and what became of them.
        kind: the sort of tuple that the function gives; None for one tensor.
        autocast: the type that products took.
        wanted: for each tensor, whether its gradient is; linked: for each output, whether it has
            one.
        context: the class of the contexts.
        template: from the tensors to the outputs, and then to what is saved besides tensors.
        kept: which tensors are saved; the first `used` of them are what gradients are made of.
    """

    __slots__ = (
        "_rules", "args", "autocast", "context", "function", "inputs", "kept", "kind", "kwargs",
        "linked", "outputs", "saved", "template", "used", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[Any],
        found: Any,
    ) -> None:
        self.function = function
        self.args, self.kwargs = args, kwargs
        self.inputs = inputs
        self.kind = type(found) if isinstance(found, tuple) else None
        self.outputs: tuple[Any, ...] = (found,) if self.kind is None else tuple(found)
        self.autocast = mode.autocast
        self.wanted = tuple([tensor._requires_grad for tensor in inputs])
        self.linked = tuple([gradient_edge(output) is not None for output in self.outputs])
        self._rules: dict[Pattern, Template | None] = {}

    # -- calls -------------------------------------------------------------------------------------
    def run(self, tensors: Sequence[Any], nodes: Sequence[Node], edges: tuple[Edge | None]) -> Any:
        """The results of the function, linked to its gradient."""
        built = self.template.build(nodes)
        context = self.context()
        context.edges = edges
        wanted, count = self.wanted, len(self.linked)
        saved = [
            _new_tuple(
                Saved,
                (tensors[n], nodes[n], tensors[n]._storage.version, tensors[n]._edge, wanted[n]),
            )
            for n in self.kept
        ]
        saved += [_new_tuple(Saved, (None, node, 0, None, False)) for node in built[count:]]
        context._saved = tuple(saved)
        results = []
        for number, linked in enumerate(self.linked):
            result = Variable._wrap(built[number])  # type: ignore[arg-type]  no result is None
            if linked:
                result._edge = (context, number)
                result._requires_grad = True
            results.append(result)
        if self.kind is None:
            return results[0]
        return tuple(results) if self.kind is tuple else self.kind(*results)

    def gradients(self, context: Context, arrived: Sequence[Node | None]) -> Any:
        """The gradients of all tensors, as nodes; None where they are not known."""
        pattern = tuple([node is not None for node in arrived])
        rule = self._rules.get(pattern, False)
        if rule is False:
            rule = self._rules[pattern] = self._rule_of(pattern)
        if not isinstance(rule, Template):
            return None
        saved = context._saved or ()
        kept = len(self.kept)
        return rule.build([
            *[node for node in arrived if node is not None],
            *[entry.node for entry in saved[: self.used]],
            *[entry.node for entry in saved[kept:]],
        ])  # fmt: skip

    def differentiated(self, context: Context, arrived: Sequence[Any]) -> Sequence[Any]:
        """The gradients of all tensors, as tensors that can be differentiated."""
        saved = dict(zip(self.kept, context.saved_tensors))
        create_graph, autocast = mode.enabled, mode.autocast
        with enable_grad():
            # Gradients depend on no value that was not kept.
            tensors = [
                saved[n] if n in saved else _zeros(tensor) for n, tensor in enumerate(self.inputs)
            ]
            tensors = [
                set_apart(tensor) if wanted else tensor
                for tensor, wanted in zip(tensors, self.wanted)
            ]
            args, kwargs = replaced(self.args, self.kwargs, tensors)
            mode.autocast = self.autocast
            try:
                found = self.function(*args, **kwargs)
            finally:
                mode.autocast = autocast
        outputs = (found,) if self.kind is None else found
        pattern = tuple([gradient is not None for gradient in arrived])
        given = [gradient for gradient in arrived if gradient is not None]
        return self._backward(outputs, tensors, pattern, given, create_graph)

    # -- what is found out once --------------------------------------------------------------------
    def _backward(
        self,
        outputs: Sequence[Any],
        tensors: Sequence[Any],
        pattern: Pattern,
        arrived: Sequence[Any],
        create_graph: bool,
    ) -> list[Any]:
        """One gradient or None for each tensor, from those of the outputs that have one."""
        ends = [output for output, there in zip(outputs, pattern) if there]
        starts = [tensor for tensor, wanted in zip(tensors, self.wanted) if wanted]
        found = iter(gradients(ends, starts, arrived, True, create_graph, allow_unused=True))
        return [next(found) if wanted else None for wanted in self.wanted]

    def _tried(self, pattern: Pattern) -> tuple[list[Node], list[Node | None]]:
        """The gradients of the stand-ins, and the stand-ins of the gradients that arrive."""
        given = [
            Variable._wrap(placeholder(output._shape, output.dtype))
            for output, there in zip(self.outputs, pattern)
            if there
        ]
        with on_trial():
            found = self._backward(self.outputs, self.inputs, pattern, given, False)
        return [g.node for g in given], [None if g is None else g.node for g in found]

    def _rule_of(self, pattern: Pattern) -> Template | None:
        """The template of the gradients, where they are made of what is saved."""
        try:
            given, results = self._tried(pattern)
        except (NoTemplate, GradientError):
            return None
        kept = [self.inputs[n].node for n in self.kept[: self.used]]
        return template_of([*given, *kept, *self.saved], results, with_arrays=True)

    def learn(self) -> bool:
        """Work the templates out. Gives whether there are any."""
        given, results = self._tried(self.linked)
        outputs = [output.node for output in self.outputs]
        inputs = [tensor.node for tensor in self.inputs]
        used, self.saved = _referred(results, outputs, inputs)
        self.kept = (*used, *[n for n in _needed(self.saved, inputs) if n not in used])
        self.used = len(used)
        template = template_of(inputs, [*outputs, *self.saved], with_arrays=True)
        kept = [inputs[n] for n in used]
        rule = template_of([*given, *kept, *self.saved], results, with_arrays=True)
        if template is None or rule is None:
            return False
        fixed = len(inputs) + len(template.constants)
        if any(place is None or place < fixed for place in template.results):
            return False
        self.template = template
        self._rules[self.linked] = rule
        self._make_context()
        return True

    def _make_context(self) -> None:
        # Named after the last operation, as the call is when it is new.
        last = next(
            gradient_edge(output) for output, there in zip(self.outputs, self.linked) if there
        )
        assert last is not None
        infos = tuple([OutputInfo(output._shape, output.dtype) for output in self.outputs])
        fixed = {
            "remembered": self,
            "outputs": infos,
            "needs_input_grad": self.wanted,
            "_materialize": False,
        }
        self.context = type(type(last[0]).__name__, (_Composed._context,), fixed)
        if len(self.outputs) == 1:
            self.outputs = ()  # there is no other pattern


class _Composed(Function):
    """What contexts of compositions belong to."""

    @staticmethod
    def backward(ctx: Context, *arrived: Any) -> Any:
        return ctx.remembered.differentiated(ctx, arrived)


class _Apart(Function):
    """A tensor itself, with an edge of its own."""

    @staticmethod
    def forward(ctx: Context, tensor: Any) -> Any:
        return tensor

    @staticmethod
    def backward(ctx: Context, gradient: Any) -> Any:
        return gradient


def set_apart(tensor: Any) -> Any:
    """`tensor` with an edge of its own, by which the gradient of what is made of it is found."""
    return _Apart.apply(tensor) if tensor._needs_grad else tensor.detach().requires_grad_()


def _zeros(like: Any) -> Any:
    return Variable._wrap(expand(constant(0, like.dtype), like._shape))


def _referred(
    results: Sequence[Node | None], outputs: Sequence[Node], inputs: Sequence[Node]
) -> tuple[list[int], list[Node]]:
    """What gradients refer to of the values that there are after the call: which of the inputs, and
    which others.
    """
    there = set(postorder(outputs))
    places = {node: number for number, node in enumerate(inputs)}
    used: list[int] = []
    others: list[Node] = []
    seen: set[Node] = set()
    stack = [node for node in results if node is not None]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in places:
            used.append(places[node])
        elif node in there and node.src and node.op is not CONST:
            others.append(node)
        else:
            stack.extend(node.src)
    return sorted(used), others


def _needed(values: Sequence[Node], inputs: Sequence[Node]) -> list[int]:
    """The inputs that `values` are computed of."""
    below = set(postorder(values))
    return [number for number, node in enumerate(inputs) if node in below]


def replaced(args: Any, kwargs: dict[str, Any], tensors: Sequence[Any]) -> tuple[Any, Any]:
    """Arguments with `tensors` in the places of the tensors, in their order."""
    remaining = iter(tensors)

    def with_tensors(value: Any) -> Any:
        if isinstance(value, Variable):
            return next(remaining)
        if isinstance(value, list | tuple):
            parts = [with_tensors(part) for part in value]
            return parts if isinstance(value, list) else tuple(parts)
        return value

    given = [with_tensors(value) for value in args]
    return given, {name: with_tensors(value) for name, value in kwargs.items()}


def studied(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: Sequence[Any],
    edges: Sequence[Edge | None],
) -> Composition | None:
    """What calls like this one do; None where that cannot be kept."""
    inputs = []
    for tensor, edge in zip(tensors, edges):
        inputs.append(Variable._wrap(placeholder(tensor._shape, tensor.dtype)))
        inputs[-1]._requires_grad = edge is not None
    given, named = replaced(args, kwargs, inputs)
    try:
        with on_trial():
            found = function(*given, **named)
        memory = [tensor._storage for tensor in inputs]
        for result in found if isinstance(found, tuple) else (found,):
            if (
                not isinstance(result, Variable)
                or result._storage in memory
                or not is_contiguous(result.memory_layout)
            ):
                return None
            memory.append(result._storage)
        call = Composition(function, tuple(given), named, inputs, found)
        return call if any(call.linked) and call.learn() else None
    except NoTemplate:
        return None
