"""The backward pass: from outputs to inputs, each function once, when all its gradients are there.

`backward` adds to the `.grad` of leaves, `gradients` (public as ``autograd.grad``) returns them.
Both call `run`: it counts how many gradients each function waits for (order.py), then works off
what is ready with a list, so the depth of a graph costs memory and no recursion. `conform.py` fits
a gradient to its tensor, `leaves.py` stores it there; `remembered.py` has the gradients of calls
that were seen before.

Gradients are computed by Tensor methods on the tensors given, under the recording mode of
`create_graph`, so that gradients have gradients. Those of calls that were seen before are nodes of
the graph; tensors are made of them where somebody looks. This module knows handles (variable.py)
and contexts (function.py) only.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from grad.autograd.anomaly import anomaly, refuse_nan, watched
from grad.autograd.conform import conform
from grad.autograd.function import Context, OutputInfo
from grad.autograd.leaves import accumulate, finish_leaf, store, tensor_of, through_hooks
from grad.autograd.modes import mode
from grad.autograd.order import count_arrivals, leading_to
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.engine import bound, compute_soon
from grad.engine.recording import recording
from grad.errors import GradientError, a_kind_of
from grad.graph.node import PENDING_LIMIT, Node, constant, expand
from grad.utils.late import late_names

# Of each function and leaf, what has arrived for each output: a tensor, a node, or nothing yet.
Gradients = dict[Any, list[Any]]

# Batches of gradients are mapped over by what is built on this module.
_later = late_names(
    __name__, globals(), {"batched_gradients": "grad.autograd.batched:batched_gradients"}
)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradient of `tensors` to the `.grad` of every leaf they were computed from.

    Args:
        grad_tensors: what to start from, one for each tensor; not needed for those of one element.
        retain_graph: keep saved values, to go backward again (default: as `create_graph`).
        create_graph: record the pass itself, for gradients of gradients.
        grad_variables: an old name of `grad_tensors`.
        inputs: the tensors to fill `.grad` of, in place of all leaves.

    Raises:
        GradientError: a tensor has no graph; a gradient is missing or of the wrong shape; the graph
            has been freed.
    """
    tensors = _sequence(tensors)
    if grad_variables is not None:
        if grad_tensors is not None:
            raise GradientError("backward: grad_variables is grad_tensors; give one of them.")
        grad_tensors = grad_variables
    roots = _roots(tensors, _sequence(grad_tensors), "backward")
    for tensor in tensors:
        compute_soon(tensor.node)
    if inputs is None:
        run(roots, retain_graph, create_graph, {})
        return
    inputs = _sequence(inputs)
    if not inputs:
        raise GradientError("backward: inputs is empty; leave it out to fill all leaves.")
    wanted = {_input_edge(tensor): tensor for tensor in inputs}
    for (function, _), tensor in wanted.items():
        if function is not tensor:
            tensor.retain_grad()  # fills .grad on the way
    for edge, found in run(roots, retain_graph, create_graph, dict.fromkeys(wanted)).items():
        if found is not None and edge[0] is wanted[edge]:
            store(wanted[edge], found, create_graph)


def gradients(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradient of (the sum of) `outputs` for each of `inputs`; `.grad` stays as it is.

    An input that `outputs` do not depend on is an error; with `allow_unused` its gradient is None,
    with `materialize_grads` zeros. With `is_grads_batched` the gradients given, and those returned,
    have a batch as their first axis. `only_inputs` is PyTorch's, without effect.

    Raises:
        ValueError: `materialize_grads` is asked for, and `allow_unused` refused.

    Example:
        >>> (slope,) = grad.autograd.grad(y.sum(), x, create_graph=True)
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    outputs, inputs, grad_outputs = _sequence(outputs), _sequence(inputs), _sequence(grad_outputs)
    if is_grads_batched:
        return _later("batched_gradients")(
            outputs,
            inputs,
            grad_outputs,
            retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=allow_unused,
            materialize_grads=materialize_grads,
        )
    roots = _roots(outputs, grad_outputs, "grad")
    edges = [_input_edge(tensor) for tensor in inputs]
    found = run(roots, retain_graph, create_graph, dict.fromkeys(edges))
    results = []
    for tensor, edge in zip(inputs, edges):
        gradient = found[edge]
        if gradient is None and materialize_grads:
            gradient = _zeros(OutputInfo(tensor._shape, tensor.dtype))
        if gradient is None and not allow_unused:
            raise GradientError(
                "grad: an input was not used to compute the outputs. Pass allow_unused=True to get "
                "None for it, or materialize_grads=True to get zeros."
            )
        results.append(gradient)
    return tuple(results)


def run(
    roots: Sequence[tuple[Edge, Any]],
    retain_graph: bool | None,
    create_graph: bool,
    captured: dict[Edge, Any],
    ends: Container[Any] = (),
) -> dict[Edge, Any]:
    """One backward pass. With `captured`, fill in the gradients at these edges instead; the pass
    goes no further than the functions that are `ends`.
    """
    keep = create_graph if retain_graph is None else retain_graph
    before = mode.enabled, mode.autocast
    mode.enabled, mode.autocast = create_graph, None
    try:
        needed = leading_to(roots, captured, ends) if captured else None
        waiting = count_arrivals(roots, needed, ends)
        pending: Gradients = {}
        for (target, index), gradient in roots:
            _deposit(pending, target, index, gradient)
        _work_off(pending, waiting, needed, captured, keep, create_graph, ends)
    finally:
        mode.enabled, mode.autocast = before
    return captured


def _work_off(
    pending: Gradients,
    waiting: dict[Any, int],
    needed: set[Any] | None,
    captured: dict[Edge, Any],
    keep: bool,
    create_graph: bool,
    ends: Container[Any],
) -> None:
    ready = [target for target in pending if not waiting.get(target)]
    recorder = recording.recorder
    while ready:
        target = ready.pop()
        arrived = pending.pop(target, None)
        if ends and target in ends:
            for index, gradient in enumerate(_tensors(arrived or ())):
                if (target, index) in captured:
                    captured[target, index] = gradient
            continue
        if isinstance(target, Variable):
            if arrived is not None:
                finish_leaf(target, arrived[0], captured, create_graph)
            continue
        results: Sequence[Any] = ()
        if arrived is not None:
            if target._tensor_hooks or target._retained:
                if recorder is not None:
                    recorder.goes_back(target)
                arrived = _hooked(target, _tensors(arrived))
            if captured:
                arrived = _tensors(arrived)
                for index, gradient in enumerate(arrived):
                    if (target, index) in captured:
                        captured[target, index] = gradient
            if needed is None or any(edge and edge[0] in needed for edge in target.edges):
                if recorder is not None:
                    recorder.goes_back(target)
                differentiate = _watched if anomaly.enabled else _differentiate
                results = differentiate(target, arrived, create_graph)
                if not keep:
                    target.release()
        for position, edge in enumerate(target.edges):
            if edge is None or (needed is not None and edge[0] not in needed):
                continue
            source = edge[0]
            gradient = results[position] if position < len(results) else None
            if gradient is not None:
                if not isinstance(gradient, Node):  # nodes fit already (remembered.py)
                    gradient = conform(gradient, _info_of(edge), target)
                _deposit(pending, source, edge[1], gradient)
            left = waiting[source] = waiting[source] - 1
            if not left:
                ready.append(source)


# -- one function ----------------------------------------------------------------------------------
def _deposit(pending: Gradients, target: Any, index: int, gradient: Any) -> None:
    slots = pending.get(target)
    if slots is None:
        count = 1 if isinstance(target, Variable) else len(target.outputs)
        slots = pending[target] = [None] * count
    before = slots[index]
    slots[index] = gradient if before is None else tensor_of(before) + tensor_of(gradient)


def _tensors(arrived: Sequence[Any]) -> list[Any]:
    """All gradients that arrived, as tensors."""
    return [tensor_of(gradient) for gradient in arrived]


def _hooked(context: Context, arrived: list[Any]) -> list[Any]:
    """The gradients after the hooks of the outputs, of which some keep theirs."""
    if context._tensor_hooks:
        for index, hooks in context._tensor_hooks.items():
            arrived[index] = through_hooks(hooks, arrived[index])
    if context._retained:
        for index, holder in context._retained.items():
            tensor = holder()
            if tensor is not None and arrived[index] is not None:
                accumulate(tensor, arrived[index], mode.enabled)
    return arrived


def _differentiate(context: Context, arrived: list[Any], create_graph: bool) -> Sequence[Any]:
    """Call `backward` of one function, with its hooks around it."""
    if not create_graph and context.remembered is not None:
        known = _known_gradients(context, arrived)
        if known is not None:
            return known
    arrived = _tensors(arrived)
    if context._materialize:
        arrived = [
            _zeros(info) if gradient is None and info is not None else gradient
            for gradient, info in zip(arrived, context.outputs)
        ]
    for hook in list((context._pre_hooks or {}).values()):
        replaced = hook(tuple(arrived))
        if replaced is not None:
            arrived = list(replaced)
    results = context.function.backward(context, *arrived)
    if not isinstance(results, tuple | list):
        results = (results,)
    expected = len(context.edges)
    if len(results) != expected and (
        any(context.needs_input_grad[len(results) :])
        or any(result is not None for result in results[expected:])
    ):
        raise GradientError(
            f"{type(context).__name__}: backward returned {len(results)} gradients for {expected} "
            f"arguments of forward; return one for each, None where there is no gradient."
        )
    for hook in list((context._post_hooks or {}).values()):
        replaced = hook(tuple(results), tuple(arrived))
        if replaced is not None:
            results = replaced
    return results


def _watched(context: Context, arrived: list[Any], create_graph: bool) -> Sequence[Any]:
    """As `_differentiate`, while anomalies are looked for (anomaly.py)."""
    with watched(context):
        results = _differentiate(context, arrived, create_graph)
        if anomaly.check_nan:
            refuse_nan(context, results, [edge is not None for edge in context.edges])
        return results


def _known_gradients(context: Context, arrived: Sequence[Any]) -> Sequence[Any] | None:
    """The nodes of the gradients of a remembered call (remembered.py, composed.py), where nobody
    looks on.
    """
    if (
        context._saved is None
        or context._pre_hooks
        or context._post_hooks
        or recording.recorder is not None
    ):
        return None
    nodes: list[Node | None] = []
    for gradient in arrived:
        node = gradient if gradient is None or isinstance(gradient, Node) else gradient.node
        if node is not None and node.depth > PENDING_LIMIT:
            bound(node)
        nodes.append(node)
    return context.remembered.gradients(context, nodes)


def _info_of(edge: Edge) -> OutputInfo:
    target, index = edge
    if isinstance(target, Variable):
        return OutputInfo(target._shape, target.dtype)
    return target.outputs[index]


def _zeros(info: OutputInfo) -> Any:
    return Variable._wrap(expand(constant(0, info.dtype), info.shape))


def _sequence(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (
        tuple(value)
        if isinstance(value, Iterable) and not isinstance(value, Variable)
        else (value,)
    )


def _input_edge(tensor: Any) -> Edge:
    if not isinstance(tensor, Variable):
        raise TypeError(f"inputs must be Tensors, not {a_kind_of(tensor)}.")
    edge = gradient_edge(tensor)
    if edge is None:
        raise GradientError(
            "an input does not require a gradient; call requires_grad_() on it before it is used."
        )
    return edge


def _roots(tensors: Sequence[Any], seeds: Sequence[Any], name: str) -> list[tuple[Edge, Any]]:
    """The edges to start from, and the gradients to start with."""
    if seeds and len(seeds) != len(tensors):
        raise GradientError(
            f"{name}: {len(seeds)} gradients were given for {len(tensors)} outputs."
        )
    roots = []
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, Variable):
            raise TypeError(f"{name}: output {position} must be a Tensor, not {a_kind_of(tensor)}.")
        edge = gradient_edge(tensor)
        if edge is None:
            raise GradientError(
                f"{name}: output {position} does not require grad and has no grad_fn: nothing it "
                "was computed from has requires_grad=True, or it was computed under no_grad()."
            )
        seed = seeds[position] if seeds else None
        roots.append((edge, _seed(tensor, seed, name)))
    return roots


def _seed(tensor: Any, seed: Any, name: str) -> Any:
    if seed is None:
        if tensor._storage is not None and any(size != 1 for size in tensor._shape):
            raise GradientError(
                f"{name}: a gradient can be implicitly created for one element only, this output "
                f"has shape {tensor._shape}. Use x.sum().backward(), or pass the gradient: "
                "x.backward(grad.ones_like(x))."
            )
        return Variable._wrap(expand(constant(1, tensor.dtype), tensor._shape))
    if not isinstance(seed, Variable):
        raise TypeError(
            f"{name}: a gradient must be a Tensor or None, not {a_kind_of(seed)}; use "
            f"grad.full_like(output, value)."
        )
    if seed._shape != tensor._shape:
        raise GradientError(
            f"{name}: the gradient given has shape {seed._shape}, the output {tensor._shape}; they "
            "must be equal."
        )
    return seed if seed.dtype is tensor.dtype else seed.to(tensor.dtype)
