"""Map a function over a batch: run it once on stand-ins, then rebuild its graph for all items.

A `Mapping` is one mapped call: its inputs with their stand-ins, and how it draws random numbers.
`batched` turns tensors of a trace into tensors with a new first axis: their nodes by
graph/batching.py, their gradients by `Mapped`, one function of the gradient graph for the whole
call. Its backward goes through the gradient graph of the trace, on stand-ins again, and maps that:
so gradients of any order are mapped like everything else. Gradients of what the function reads
besides its arguments are summed over the batch. vmap.py is for users; docs/design/027 has the
reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from grad.autograd.engine import run
from grad.autograd.function import Context, Function, OutputInfo
from grad.autograd.graph import Saved
from grad.autograd.modes import mode
from grad.autograd.variable import Edge, Variable, gradient_edge
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.func.standing import StandIns, standing_for
from grad.graph.batching import batch, stand_in
from grad.graph.node import Node, constant, expand, iota, pointwise
from grad.graph.primitives import ADD
from grad.ops.bounds import within
from grad.ops.keys import Lane, drawing_by, lanes


class Pair(NamedTuple):
    """A stand-in and what it stands for.

    Attributes:
        stand_in: the tensor that the function is given. leaf: its node, edge: where gradients of it
            arrive, before anybody writes to it.
        tensor: with the batch as its first axis.
    """

    stand_in: Any
    leaf: Node
    edge: Edge | None
    tensor: Any


def pair_of(tensor: Any, requires_grad: bool) -> Pair:
    """A stand-in for the items of `tensor`."""
    stands = standing_for(tuple(tensor.shape[1:]), tensor.dtype, requires_grad)
    return Pair(stands, stands.node, stands._edge, tensor)


class Mapping(NamedTuple):
    """One mapped call, or a chunk of its batch.

    Attributes:
        size: of the batch. pairs: its inputs. number: stands for the number of the item.
        lanes: how random numbers are drawn inside. start: number of the first item.
    """

    size: int
    pairs: tuple[Pair, ...]
    number: Node
    lanes: tuple[Lane, ...]
    start: int = 0

    def chunks(self, size: int) -> Iterator[Mapping]:
        """The call for at most `size` items at a time."""
        for start in range(0, max(self.size, 1), size):
            count = min(size, self.size - start)
            pairs = [p._replace(tensor=p.tensor.narrow(0, start, count)) for p in self.pairs]
            yield self._replace(size=count, pairs=tuple(pairs), start=start)

    @contextmanager
    def tracing(self, recorder: StandIns) -> Iterator[None]:
        """Inside, the function (or its gradient) runs on stand-ins."""
        recorder.nodes.add(self.number)
        with drawing_by(self.lanes), recorder.active():
            yield

    def batched(
        self,
        tensors: Sequence[Any],
        pairs: Sequence[Pair],
        recorder: StandIns,
        held: dict[Node, Node],
    ) -> list[Any]:
        """`tensors` of a trace, with the batch as first axis.

        Args:
            pairs: all stand-ins. recorder: that of the trace. held: nodes of former traces of this
                call that are there with the batch.
        """
        values = {**held, self.number: self._numbers()}
        values.update((pair.leaf, pair.tensor.node) for pair in pairs)
        nodes = [tensor.node for tensor in tensors]

        def checked(node: Node, source: Node) -> Node | None:
            check = recorder.checks.get(node)
            return None if check is None else within(Variable._wrap(source), *check)

        found = batch([*nodes, *recorder.checks], values, self.size, checked)
        whole = [
            expand(node, (self.size, *node.shape)) if new is None else new
            for node, new in zip(nodes, found)
        ]
        link = _link(self, tensors, pairs, recorder, values) if mode.enabled else None
        del values, found  # who is held may be stored, when the results are long enough to compute
        results = [Variable._wrap(node) for node in whole]
        if link is not None:
            link.attach(results)
        return results

    def _numbers(self) -> Node:
        first = constant(self.start, dtypes.uint64)
        numbers = iota(self.size, dtypes.uint64)
        return pointwise(ADD, numbers, first) if self.start else numbers


def mapping_over(size: int, tensors: Sequence[Any], randomness: str) -> Mapping:
    """A call over a batch of `size`, which is the first axis of `tensors`."""
    pairs = tuple([pair_of(tensor, tensor._needs_grad) for tensor in tensors])
    number = stand_in((), dtypes.uint64)
    return Mapping(size, pairs, number, (*lanes(), Lane(randomness, number)))


class Link(NamedTuple):
    """What the gradient of a mapped call needs.

    Attributes:
        roots: where the gradients of the results start in the trace's graph; None: they have none.
        inputs: the pairs whose gradient is wanted. outside: edges from the trace's graph to the
            graph around it.
        recorder: that of the trace. held: nodes that it saved, with the batch.
    """

    mapping: Mapping
    pairs: tuple[Pair, ...]
    roots: tuple[Edge | None, ...]
    inputs: tuple[Pair, ...]
    outside: tuple[Edge, ...]
    recorder: StandIns
    held: dict[Node, Node]

    def attach(self, results: Sequence[Any]) -> None:
        """Make `results` outputs of one function of the gradient graph."""
        context = Mapped._context()
        if recording.recorder is not None:
            recording.recorder.linked(context)
        context.set_materialize_grads(False)
        context.edges = (*[gradient_edge(pair.tensor) for pair in self.inputs], *self.outside)
        context.needs_input_grad = tuple([edge is not None for edge in context.edges])
        context.outputs = tuple([OutputInfo(x._shape, x.dtype) for x in results])
        context.save_for_backward(self)
        for number, (root, result) in enumerate(zip(self.roots, results)):
            if root is not None:
                result._edge, result._requires_grad = (context, number), True
                result._edge_version = result._storage.version

    def gradients(self, slopes: Sequence[Any]) -> tuple[Any, ...]:
        """For the inputs, with the batch, and for the edges outside, summed over it."""
        starts = [(root, s) for root, s in zip(self.roots, slopes) if root and s is not None]
        create_graph = mode.enabled
        seeds = [pair_of(slope, create_graph and slope._needs_grad) for _, slope in starts]
        pairs = (*self.pairs, *seeds)
        recorder = self.recorder.continued([pair.stand_in for pair in pairs])
        wanted: list[Any] = [*[pair.edge for pair in self.inputs], *self.outside]
        roots = [(root, seed.stand_in) for (root, _), seed in zip(starts, seeds)]
        with self.mapping.tracing(recorder):
            found = run(
                roots, True, create_graph, dict.fromkeys(wanted), {edge[0] for edge in wanted}
            )
        given = [edge for edge in wanted if found[edge] is not None]
        tensors = self.mapping.batched([found[e] for e in given], pairs, recorder, self.held)
        results = dict(zip(given, tensors))
        for edge in self.outside:
            if edge in results:
                results[edge] = results[edge].sum(0)
        return tuple([results.get(edge) for edge in wanted])


class Mapped(Function):
    """A mapped call in the gradient graph; `Link.attach` makes its contexts."""

    @staticmethod
    def backward(ctx: Context, *slopes: Any) -> Any:
        (link,) = ctx.saved_tensors
        return link.gradients(slopes)


def _link(
    mapping: Mapping,
    tensors: Sequence[Any],
    pairs: Sequence[Pair],
    recorder: StandIns,
    values: dict[Node, Node],
) -> Link | None:
    """The link of a trace whose results are `tensors`; None if nothing needs a gradient."""
    roots = [gradient_edge(tensor) if tensor.dtype.kind == "f" else None for tensor in tensors]
    inner, reached = _reached([edge for edge in roots if edge is not None], recorder)
    edges = {pair.edge: pair for pair in pairs if pair.edge is not None}
    inputs = [edges[edge] for edge in reached if edge in edges]
    outside = [edge for edge in reached if edge not in edges]
    if not reached:
        return None
    recorder.contexts.intersection_update(inner)
    saved = [entry.node for context in inner for entry in context._saved or () if _is_saved(entry)]
    held = {node: values[node] for node in saved if node in values}
    return Link(mapping, tuple(pairs), tuple(roots), tuple(inputs), tuple(outside), recorder, held)


def _is_saved(entry: Any) -> bool:
    return entry.__class__ is Saved


def _reached(roots: Iterable[Edge], recorder: StandIns) -> tuple[set[Context], list[Edge]]:
    """The functions of the trace that gradients from `roots` go through, and the edges to where
    they come out of it.
    """
    inner: set[Context] = set()
    reached: dict[Edge, None] = {}
    stack = list(roots)
    while stack:
        edge = stack.pop()
        target = edge[0]
        if isinstance(target, Variable):
            if not recorder.born_here(target):
                reached[edge] = None
        elif target not in recorder.contexts:
            reached[edge] = None
        elif target not in inner:
            inner.add(target)
            stack.extend(further for further in target.edges if further is not None)
    return inner, list(reached)
