"""Gradients through a replay: its results get one function of the graph, with a plan of its own.

When the results of a recorded function require a gradient, `record_gradient` goes backward once
through the recorded graph, with stand-ins for the gradients that will arrive, as far as the
tensors that the function got from outside. What that computes becomes a second plan. A replay then
links its results to one `Replayed` context, which keeps the values that the second plan reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grad.autograd.engine import run
from grad.autograd.function import Context, Function, OutputInfo
from grad.autograd.modes import mode
from grad.autograd.variable import Edge, Variable, gradient_edge, set_history
from grad.buffer import Buffer
from grad.compile.fresh import Fresh, Nodes, fresh
from grad.engine.plan import Plan
from grad.engine.realize import cache, nobody_computing, realize
from grad.errors import GradientError
from grad.graph.arrays import is_table
from grad.graph.node import Node, constant, expand, from_buffer
from grad.schedule.program import Walk, walk


class Place(NamedTuple):
    """Where a leaf of the backward plan is, from `offset` on (in bytes): in the value `fresh` that
    the forward plan makes; else in leaf number `leaf` of that plan; else in `table`, which only the
    backward pass reads; else in gradient number `gradient` of those that arrive.
    """

    offset: int
    fresh: Fresh | None = None
    leaf: int = -1
    gradient: int = -1
    table: Node | None = None


def address(node: Node) -> int:
    """Where the values of a computed node begin."""
    return node.buffer.address  # type: ignore[union-attr]


class Target(NamedTuple):
    """Where a gradient goes: argument number `argument`, or the tensor `tensor` from outside."""

    argument: int
    tensor: Any

    def edge(self, arguments: Sequence[Any]) -> Edge | None:
        return gradient_edge(arguments[self.argument] if self.argument >= 0 else self.tensor)


class GradientPlan(NamedTuple):
    """How the gradients of a replay's results are computed.

    Attributes:
        plan: the computation; None where each gradient is one of those that arrive.
        places: of its leaves. words: its scalars, as recorded.
        shared: (number of a scalar, its number in the forward plan), where both plans have it:
            the key of random numbers that are drawn again, say.
        infos: shape and type of each result that has a gradient; results: their numbers.
        targets: where gradients go. outputs: for each target the gradient, or the number of the
            one that arrives which it is, or None.
        depends: for each target the numbers of gradients that may arrive on which it depends.
    """

    plan: Plan | None
    places: tuple[Place, ...]
    words: tuple[int, ...]
    shared: tuple[tuple[int, int], ...]
    infos: tuple[OutputInfo, ...]
    results: tuple[int, ...]
    targets: tuple[Target, ...]
    outputs: tuple[Fresh | int | None, ...]
    depends: tuple[frozenset[int], ...]

    def link(
        self,
        tensors: Sequence[Any],
        arguments: Sequence[Any],
        buffers: Sequence[Buffer],
        nodes: Nodes,
        leaves: Sequence[tuple[Node, int]],
        forward_words: Sequence[int],
    ) -> None:
        """Make `tensors`, the results, have gradients.

        What will be read is kept by node: whoever writes to the memory of a node that somebody
        holds puts a copy in its place first.

        Args:
            buffers, nodes: outputs of the forward plan. leaves: node and offset of each of its
                leaves. forward_words: its scalars in this replay.
        """
        context = Replayed._context()
        context.edges = tuple([target.edge(arguments) for target in self.targets])
        context.needs_input_grad = tuple([edge is not None for edge in context.edges])
        context.outputs = self.infos
        context.set_materialize_grads(False)
        kept: list[Any] = []
        for offset, value, leaf, gradient, table in self.places:
            if value is not None:
                kept.append((value.node(buffers, nodes), offset))
            elif leaf >= 0:
                node, start = leaves[leaf]
                kept.append((node, start + offset))
            elif table is not None:
                kept.append((table, offset))
            else:
                kept.append((gradient, offset))
        words = self.words
        if self.shared:
            drawn = list(words)
            for number, forward in self.shared:
                drawn[number] = forward_words[forward]
            words = tuple(drawn)
        context.save_for_backward(self, words, *kept)
        for index, number in enumerate(self.results):
            tensor = tensors[number]
            set_history(tensor, (context, index), True)
            tensor._edge_version = tensor._storage.version

    def run(self, words: Sequence[int], kept: Sequence[Any], gradients: Sequence[Any]) -> list[Any]:
        """The gradients for the targets, of those of the results (None: nothing has arrived)."""
        arrived = {number for number, gradient in enumerate(gradients) if gradient is not None}
        nodes = [
            expand(constant(0, info.dtype), info.shape) if gradient is None else gradient.node
            for gradient, info in zip(gradients, self.infos, strict=True)
        ]
        whole = [Variable._wrap(node).contiguous().node for node in nodes]
        realize(whole)
        buffers: Any = ()
        if self.plan is not None:
            with nobody_computing():
                if self.plan.uses is not None:
                    self.plan.uses.again()
                memory = self.plan.reserve()
                found = [(whole[n] if isinstance(n, int) else n, offset) for n, offset in kept]
                addresses = [address(n) + offset for n, offset in found]
                buffers = self.plan.execute(addresses, words, memory)
                cache.kernels += self.plan.kernel_count
        made: Nodes = {}
        results: list[Any] = []
        for output, depends in zip(self.outputs, self.depends, strict=True):
            if output is None or depends.isdisjoint(arrived):
                results.append(None)
            elif isinstance(output, int):
                results.append(Variable._wrap(whole[output]))
            else:
                results.append(Variable._wrap(output.node(buffers, made)))
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
        plan, words, *kept = ctx.saved_tensors
        return tuple(plan.run(words, kept, gradients))


def record_gradient(
    contexts: Any,
    arguments: Sequence[Any],
    known: Sequence[Any],
    results: Mapping[int, Any],
    outputs: dict[Node, int],
    leaves: Mapping[Node, tuple[int, int]],
    scalars: Mapping[Node, int],
) -> GradientPlan | None:
    """The gradient plan of a recorded and computed function; None when there can be none.

    Args:
        contexts: the functions of the graph that were made while recording.
        known: tensors that the function reaches without arguments.
        results: by number, the tensors that require a gradient.
        outputs: of the forward plan, by node. leaves: of the forward plan, by the node they are
            in: number and offset there, in bytes. scalars: arguments of the forward plan.
    """
    edges = {number: gradient_edge(tensor) for number, tensor in results.items()}
    reached = [_boundary(edge, contexts)[0] for edge in edges.values()]
    boundary = [*dict.fromkeys(edge for found in reached for edge in found)]
    targets = _targets(boundary, arguments, known)
    if targets is None:
        return None
    seeds = [from_buffer(Buffer(_nbytes(t)), t._shape, t.dtype) for t in results.values()]
    roots = [(edge, Variable._wrap(seed)) for edge, seed in zip(edges.values(), seeds, strict=True)]
    # Hooks at the boundary are called when the replay's gradients arrive there.
    ends = {target for target, _ in boundary}
    found = run(roots, True, False, dict.fromkeys(boundary), ends)  # type: ignore[arg-type]
    nodes = [None if value is None else value.node for value in found.values()]
    pending = [node for node in dict.fromkeys(nodes) if node is not None and node.buffer is None]
    if any(n is not None and n.buffer is not None and n not in seeds for n in nodes):
        return None  # one that was there before
    infos = tuple(OutputInfo(t._shape, t.dtype) for t in results.values())
    depends = tuple(
        frozenset(number for number, found in enumerate(reached) if edge in found)
        for edge in boundary
    )
    if not pending:
        given = tuple(None if node is None else seeds.index(node) for node in nodes)
        return GradientPlan(None, (), (), (), infos, tuple(results), targets, given, depends)
    with nobody_computing():
        walked = walk(pending)
        plan, numbers_now = cache.find(walked)
    where = {seed: Place(0, gradient=number) for number, seed in enumerate(seeds)}
    where |= {node: Place(-start, leaf=number) for node, (number, start) in leaves.items()}
    where |= {node: Place(0, fresh=fresh(outputs, node)) for node in outputs}
    places = _places(walked, where)
    if places is None:
        return None
    numbers = {walked.nodes[number]: i for i, number in enumerate(walked.outputs)}
    return GradientPlan(
        plan,
        places,
        plan.words(numbers_now),
        tuple((i, scalars[node]) for i, node in enumerate(walked.arguments) if node in scalars),
        infos,
        tuple(results),
        targets,
        tuple(
            None if node is None else seeds.index(node) if node in seeds else fresh(numbers, node)
            for node in nodes
        ),
        depends,
    )


def _places(walked: Walk, where: Mapping[Node, Place]) -> tuple[Place, ...] | None:
    """Of the leaves of a backward plan; None if one of them is nobody's."""
    places = []
    for leaf in walked.leaves:
        source = leaf.source
        place = where.get(source)
        if place is None and is_table(source):
            place = Place(0, table=source)
        if place is None:
            return None
        start = leaf.offset * leaf.node.dtype.itemsize
        places.append(place._replace(offset=place.offset + start))
    return tuple(places)


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
    context.outputs = (OutputInfo(tensor._shape, tensor.dtype),)
    tensor._edge, tensor._requires_grad = (context, 0), True
    tensor._edge_version = tensor._storage.version


def _nbytes(tensor: Any) -> int:
    return tensor.numel() * tensor.dtype.itemsize


def separate(results: Mapping[int, Any], contexts: Any) -> list[dict[int, Any]]:
    """Results in groups that have no recorded function in common: each may be gone backward from
    without the others.
    """
    groups: list[tuple[dict[int, Any], set[Any]]] = []
    for number, tensor in results.items():
        _, inside = _boundary(gradient_edge(tensor), contexts)
        joined = {number: tensor}
        apart = []
        for members, functions in groups:
            if functions.isdisjoint(inside):
                apart.append((members, functions))
            else:
                joined = members | joined
                inside |= functions
        groups = [*apart, (joined, inside)]
    return [dict(sorted(members.items())) for members, _ in groups]


def _boundary(root: Edge | None, contexts: Any) -> tuple[dict[Edge, None], set[Any]]:
    """The edges that lead out of the recorded part of the graph, and the functions before."""
    found: dict[Edge, None] = {}
    inside: set[Any] = set()
    seen = set()
    stack = [] if root is None else [root]
    while stack:
        edge = stack.pop()
        if edge in seen:
            continue
        seen.add(edge)
        target = edge[0]
        if isinstance(target, Variable) or target not in contexts:
            found[edge] = None
        else:
            inside.add(target)
            stack.extend(further for further in target.edges if further is not None)
    return found, inside


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
