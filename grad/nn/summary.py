"""`summary`: a model's layers with their shapes, parameters, operations and memory, as a table.

The model is run once on an input; nothing is computed, since shapes and operations are in the lazy
graph. What a module computes lies between its inputs and its outputs there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from grad.autograd.modes import no_grad
from grad.graph.node import Node
from grad.graph.primitives import ATTENTION, CONTRACT, CONVOLVE, Kind
from grad.nn.module import Module
from grad.tensor import Tensor
from grad.utils.misc import human_bytes


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of one module.

    Attributes:
        name: path from the model, which is "". kind: name of the class. depth: modules around it.
        shape: of its output, or a tuple of several. parameters, trainable: numbers of elements,
            with those of the modules in it. operations: floating-point operations of the call, a
            multiplication and an addition counted as two. output_bytes: size of the output.
    """

    name: str
    kind: str
    depth: int
    shape: tuple[Any, ...]
    parameters: int
    trainable: int
    operations: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary` gives; printed, it is a table.

    Attributes:
        layers: in the order of their calls, each after the one around it.
        parameters, trainable, parameter_bytes: of the model. operations: of one run.
        output_bytes: of all layers that have none inside, which training keeps for backward.
    """

    layers: tuple[Layer, ...]
    parameters: int
    trainable: int
    parameter_bytes: int
    operations: int
    output_bytes: int

    def __str__(self) -> str:
        rows = [("layer", "output", "parameters", "operations")]
        for layer in self.layers:
            title = "  " * layer.depth + " ".join(filter(None, (_last(layer.name), layer.kind)))
            shape = str(list(layer.shape))
            rows.append((title, shape, f"{layer.parameters:,}", f"{layer.operations:,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
            for a, b, c, d in rows
        ]
        fixed = self.parameters - self.trainable
        return "\n".join(
            [
                *lines,
                "-" * len(lines[0]),
                f"{self.parameters:,} parameters ({fixed:,} fixed), "
                f"{human_bytes(self.parameter_bytes)}; {self.operations:,} operations; outputs "
                f"{human_bytes(self.output_bytes)}",
            ]
        )


def summary(model: Module, *args: Any, **kwargs: Any) -> Summary:
    """Run `model` on the arguments in evaluation mode, and list its layers.

    Raises:
        what the model raises; its modules are as before then.

    Example:
        >>> print(grad.nn.utils.summary(grad.nn.Linear(3, 4), grad.ones(2, 3)))
        layer   output  parameters  operations
        Linear  [2, 4]          16          56
        --------------------------------------
        16 parameters (0 fixed), 64 B; 56 operations; outputs 32 B
    """
    calls: list[Layer | None] = []
    open_calls: list[tuple[int, list[Node]]] = []
    names = {id(module): name for name, module in model.named_modules()}
    modes = [(module, module.training) for module in model.modules()]
    # How parameters came to their values is none of the model's doing.
    own = [tensor.node for tensor in (*model.parameters(), *model.buffers())]

    def before(module: Module, given: Any, named: Any) -> None:
        calls.append(None)
        inputs = [*own, *(tensor.node for tensor in _tensors((given, named)))]
        open_calls.append((len(calls) - 1, inputs))

    def after(module: Module, given: Any, named: Any, output: Any) -> None:
        number, inputs = open_calls.pop()
        calls[number] = _layer(module, names[id(module)], len(open_calls), inputs, output)

    handles = []
    try:
        model.eval()
        for module in model.modules():
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after, with_kwargs=True))
        with no_grad():
            model(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    layers = tuple(layer for layer in calls if layer is not None)
    parameters = list(model.parameters())
    return Summary(
        layers,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.numel() * p.dtype.itemsize for p in parameters),
        layers[0].operations,
        sum(layer.output_bytes for layer in _innermost(layers)),
    )


def _layer(module: Module, name: str, depth: int, inputs: list[Node], output: Any) -> Layer:
    outputs = list(_tensors(output))
    shapes = [tuple(tensor.shape) for tensor in outputs]
    parameters = list(module.parameters())
    return Layer(
        name=name,
        kind=type(module).__name__,
        depth=depth,
        shape=shapes[0] if len(shapes) == 1 else tuple(shapes),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        operations=sum(map(operations, _between(inputs, [t.node for t in outputs]))),
        output_bytes=sum(tensor.numel() * tensor.dtype.itemsize for tensor in outputs),
    )


def _innermost(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """Layers that no other is inside of."""
    for layer, following in zip(layers, (*layers[1:], None)):
        if following is None or following.depth <= layer.depth:
            yield layer


def _between(inputs: Iterable[Node], outputs: Iterable[Node]) -> Iterator[Node]:
    """The nodes that lead from `inputs` (and from leaves) to `outputs`."""
    seen = set(inputs)
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(node.src)
            yield node


def operations(node: Node) -> int:
    """Floating-point operations of one node: one for each element of a pointwise result or of what
    is reduced, two for each product in a sum of products.
    """
    count = math.prod(node.shape)
    if node.op is CONTRACT:
        return 2 * count * node.src[0].shape[-1]
    if node.op is CONVOLVE:
        weight = node.src[1].shape
        return 2 * count * math.prod(weight) // max(weight[0], 1)
    if node.op is ATTENTION:
        if node.arg.part != "values":
            return 0  # comes of the same computation
        query, key = node.src[0].shape, node.src[1].shape
        return 2 * math.prod(query) * key[-2] + 2 * count * key[-2]
    if node.op.kind is Kind.POINTWISE:
        return count if node.dtype.kind == "f" else 0
    return math.prod(node.src[0].shape) if node.op.kind is Kind.REDUCE else 0


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
