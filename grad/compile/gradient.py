"""Gradients through a replay: its results get one function of the graph, with a plan of its own.

When the results of a recorded function require a gradient, `record_gradient` goes backward once
through the recorded graph, with stand-ins for the gradients that will arrive, as far as the
tensors that the function got from outside. What that computes becomes a second plan. A replay then
links its results to one `Replayed` context, which keeps the values that the second plan reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grad.autograd.engine import run
from grad.autograd.function import Context, Function, OutputInfo
from grad.autograd.modes import mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.buffer import Buffer
from grad.engine.plan import Plan
from grad.engine.realize import cache, nobody_computing, realize
from grad.errors import GradientError
from grad.graph.node import Node, from_buffer
from grad.schedule.program import walk


class Place(NamedTuple):
    """Where a leaf of the backward plan is: `kind` is "output" (of the forward plan), "leaf" (of
    it) or "gradient", and `number` says which; `offset` in bytes.
    """

    kind: str
    number: int
    offset: int


class Target(NamedTuple):
    """Where a gradient goes: argument number `argument`, or the tensor `tensor` from outside."""

    argument: int
    tensor: Any

    def edge(self, arguments: Sequence[Any]) -> Edge | None:
        return gradient_edge(arguments[self.argument] if self.argument >= 0 else self.tensor)


@dataclass(frozen=True, slots=True)
class GradientPlan:
    """How the gradients of a replay's results are computed.

    Attributes:
        plan: the computation. places: of its leaves. words: its scalars.
        infos: shape and type of each result that has a gradient; results: their numbers.
        targets: where gradients go. outputs: for each target the plan's output with its shape and
            type, or None.
    """

    plan: Plan
    places: tuple[Place, ...]
    words: tuple[int, ...]
    infos: tuple[OutputInfo, ...]
    results: tuple[int, ...]
    targets: tuple[Target, ...]
    outputs: tuple[tuple[int, OutputInfo] | None, ...]

    def link(
        self,
        tensors: Sequence[Any],
        arguments: Sequence[Any],
        buffers: Sequence[Buffer],
        leaves: Sequence[tuple[Any, int]],
    ) -> None:
        """Make `tensors`, the results, have gradients.

        Args:
            buffers: outputs of the forward plan. leaves: (what keeps it alive, address) of each of
                its leaves.
        """
        context = Replayed._context()
        context.edges = tuple([target.edge(arguments) for target in self.targets])
        context.needs_input_grad = tuple([edge is not None for edge in context.edges])
        context.outputs = self.infos
        kept: list[Any] = []
        for kind, number, offset in self.places:
            if kind == "gradient":
                kept.append(number)
            elif kind == "output":
                kept.append((buffers[number], buffers[number].address + offset))
            else:
                owner, address = leaves[number]
                kept.append((owner, address + offset))
        context.save_for_backward(self, *kept)
        for index, number in enumerate(self.results):
            tensor = tensors[number]
            tensor._edge, tensor._requires_grad = (context, index), True
            tensor._edge_version = tensor._storage.version

    def run(self, kept: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients for the targets, of those of the results."""
        nodes = [gradient.node for gradient in gradients]
        whole = [Variable._wrap(node).contiguous().node for node in nodes]
        realize(whole)
        with nobody_computing():
            memory = self.plan.reserve()
            slots = []
            for place, (_, _, offset) in zip(kept, self.places, strict=True):
                if isinstance(place, int):
                    buffer = whole[place].buffer
                    assert buffer is not None
                    slots.append(buffer.address + offset)
                else:
                    slots.append(place[1])
            buffers: Any = self.plan.execute(slots, self.words, memory)
            cache.kernels += self.plan.kernel_count
        made: dict[int, Node] = {}
        results: list[Any] = []
        for output in self.outputs:
            if output is None:
                results.append(None)
                continue
            number, info = output
            if number not in made:
                made[number] = from_buffer(buffers[number], info.shape, info.dtype)
            results.append(Variable._wrap(made[number]))
        return results


class Replayed(Function):
    """All of a replayed function, as one function of the graph."""

    @staticmethod
    def backward(ctx: Context, *gradients: Any) -> Any:
        if mode.enabled:
            raise GradientError(
                "gradients of gradients cannot go through a compiled function: call backward or "
                "grad with create_graph=True inside of it, or use the function uncompiled."
            )
        plan, *kept = ctx.saved_tensors
        return tuple(plan.run(kept, gradients))


def record_gradient(
    contexts: Any,
    arguments: Sequence[Any],
    known: Sequence[Any],
    results: Mapping[int, Any],
    outputs: Mapping[Node, int],
    leaves: Mapping[Node, tuple[int, int]],
) -> GradientPlan | None:
    """The gradient plan of a recorded and computed function; None when there can be none.

    Args:
        contexts: the functions of the graph that were made while recording.
        known: tensors that the function reaches without arguments.
        results: by number, the tensors that require a gradient.
        outputs: of the forward plan, by node. leaves: of the forward plan, by the node they are
            in: number and offset there, in bytes.
    """
    edges = {number: gradient_edge(tensor) for number, tensor in results.items()}
    boundary = _boundary([edge for edge in edges.values() if edge is not None], contexts)
    targets = _targets(boundary, arguments, known)
    if targets is None:
        return None
    seeds = [from_buffer(Buffer(_nbytes(t)), t.shape, t.dtype) for t in results.values()]
    roots = [(edge, Variable._wrap(seed)) for edge, seed in zip(edges.values(), seeds, strict=True)]
    found = run(roots, True, False, dict.fromkeys(boundary))  # type: ignore[arg-type]
    nodes = [None if value is None else value.node for value in found.values()]
    pending = [node for node in dict.fromkeys(nodes) if node is not None and node.buffer is None]
    if any(node is not None and node.buffer is not None for node in nodes):
        return None  # a gradient that is just what arrived, or was there before
    with nobody_computing():
        walked = walk(pending)
        plan, varying = cache.find(walked)
    where = {seed: Place("gradient", number, 0) for number, seed in enumerate(seeds)}
    where |= {node: Place("leaf", number, -start) for node, (number, start) in leaves.items()}
    where |= {node: Place("output", number, 0) for node, number in outputs.items()}
    places = []
    for leaf in walked.leaves:
        place = where.get(leaf.source)
        if place is None:
            return None
        start = leaf.offset * leaf.node.dtype.itemsize
        places.append(place._replace(offset=place.offset + start))
    numbers = {walked.nodes[number]: i for i, number in enumerate(walked.outputs)}
    scalars = [node.arg for node in walked.arguments]
    scalars += [walked.constants[number].arg for number in sorted(varying)]
    return GradientPlan(
        plan,
        tuple(places),
        plan.words(scalars),
        tuple(OutputInfo(t.shape, t.dtype) for t in results.values()),
        tuple(results),
        targets,
        tuple(
            None if node is None else (numbers[node], OutputInfo(node.shape, node.dtype))
            for node in nodes
        ),
    )


def is_spent(tensor: Any, contexts: Any) -> bool:
    """Whether somebody has gone backward from `tensor` already, and what was saved is gone."""
    edge = gradient_edge(tensor)
    stack = [] if edge is None else [edge[0]]
    seen = set()
    while stack:
        target = stack.pop()
        if target in seen or isinstance(target, Variable) or target not in contexts:
            continue
        seen.add(target)
        if target._saved is None:
            return True
        stack.extend(further[0] for further in target.edges if further is not None)
    return False


def link_spent(tensor: Any) -> None:
    """Give `tensor` a history that has been used up: going backward again is an error."""
    context = Replayed._context()
    context._saved = None
    context.outputs = (OutputInfo(tensor.shape, tensor.dtype),)
    tensor._edge, tensor._requires_grad = (context, 0), True
    tensor._edge_version = tensor._storage.version


def _nbytes(tensor: Any) -> int:
    return tensor.numel() * tensor.dtype.itemsize


def _boundary(roots: Sequence[Edge], contexts: Any) -> list[Edge]:
    """The edges that lead out of the recorded part of the graph."""
    found: dict[Edge, None] = {}
    seen = set()
    stack = list(roots)
    while stack:
        edge = stack.pop()
        if edge in seen:
            continue
        seen.add(edge)
        target = edge[0]
        if isinstance(target, Variable) or target not in contexts:
            found[edge] = None
        else:
            stack.extend(further for further in target.edges if further is not None)
    return list(found)


def _targets(
    boundary: Sequence[Edge], arguments: Sequence[Any], known: Sequence[Any]
) -> tuple[Target, ...] | None:
    """What each edge belongs to; None if that cannot be told."""
    owners: dict[Any, Target] = {}
    for tensor in known:
        edge = gradient_edge(tensor)
        if edge is not None:
            owners[edge] = Target(-1, tensor)
    for number, tensor in enumerate(arguments):
        edge = gradient_edge(tensor)
        if edge is not None and edge not in owners:
            owners[edge] = Target(number, None)
    targets = [owners.get(edge) for edge in boundary]
    found = [target for target in targets if target is not None]
    return tuple(found) if len(found) == len(targets) else None
