"""Random graphs: compiled values against the node-by-node oracle, on both backends.

Every graph is grown from a few leaves by random operations (pointwise, movement, reductions,
contractions, takes, scatters, updates, scans, barriers); several of its values are asked for at
once, which is what makes groups store along, share and alias. A failure prints the seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from grad.dtype import DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.movement import Move
from grad.graph.node import Node
from grad.graph.primitives import (
    ABS,
    ADD,
    EXP,
    LE,
    LT,
    MAX,
    MAXIMUM,
    MIN,
    MINIMUM,
    MUL,
    NEG,
    SIN,
    SLICE,
    SQRT,
    SUB,
    SUM,
    TANH,
    WHERE,
)  # fmt: skip
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of

pytestmark = pytest.mark.slow  # kept out of `make check`


class Grower:
    """Grows a graph; keeps every value it made."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.nodes: list[Node] = []
        for _ in range(3):
            self.nodes.append(self.new_leaf(self.shape()))

    def shape(self) -> tuple[int, ...]:
        sizes = (1, 2, 3, 5, 7, 16, 33)
        return tuple(self.random.choice(sizes) for _ in range(self.random.randint(0, 3)))

    def new_leaf(self, shape: tuple[int, ...], dtype: DType = dtypes.float32) -> Node:
        array = self.numbers.standard_normal(shape)
        return leaf(np.asarray(array * (1 if dtype.kind == "f" else 5)).astype(dtype.numpy))

    def pick(self) -> Node:
        return self.random.choice(self.nodes[-8:])

    def grow(self, steps: int) -> None:
        actions: list[Callable[[], Node]] = [
            self.unary, self.binary, self.binary, self.where, self.reduce, self.reduce,
            self.softmax, self.permute, self.reshape, self.expand, self.cut, self.pad,
            self.contract, self.take, self.scatter, self.update, self.scan, self.iota,
            self.contiguous, self.barrier,
        ]  # fmt: skip
        while len(self.nodes) < steps:
            made = self.random.choice(actions)()
            if made.size <= 20000:
                self.nodes.append(made)

    def unary(self) -> Node:
        x = self.pick()
        op = self.random.choice([NEG, ABS, EXP, SIN, TANH, SQRT])
        if op is SQRT:
            x = graph.pointwise(ABS, x)
        if op is EXP or op is SIN:
            x = graph.pointwise(TANH, x)
        return graph.pointwise(op, x)

    def barrier(self) -> Node:
        return graph.barrier(self.pick(), [self.pick() for _ in range(self.random.randint(1, 2))])

    def partner(self, x: Node) -> Node:
        fitting = [n for n in self.nodes if n.shape == x.shape]
        if self.random.random() < 0.3:
            return graph.constant(self.random.choice([0.0, 1.0, -2.5]), dtypes.float32)
        if self.random.random() < 0.3 and x.shape:
            kept = tuple(s if self.random.random() < 0.5 else 1 for s in x.shape)
            return self.new_leaf(kept[self.random.randint(0, len(kept) - 1) :])
        return self.random.choice(fitting)

    def binary(self) -> Node:
        x = self.pick()
        return graph.pointwise(
            self.random.choice([ADD, SUB, MUL, MAXIMUM, MINIMUM]), x, self.partner(x)
        )

    def where(self) -> Node:
        x = self.pick()
        y = self.partner(x)
        return graph.pointwise(WHERE, graph.pointwise(self.random.choice([LT, LE]), x, y), x, y)

    def reduce(self) -> Node:
        x = self.pick()
        axes = [a for a in range(len(x.shape)) if self.random.random() < 0.5]
        reduced = graph.reduce(self.random.choice([SUM, MAX, MIN]), x, axes)
        if self.random.random() < 0.5:
            reduced = graph.reshape(
                reduced, tuple(1 if a in axes else s for a, s in enumerate(x.shape))
            )
            return graph.pointwise(self.random.choice([SUB, MUL]), x, reduced)
        return reduced

    def softmax(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        axis = self.random.randrange(len(x.shape))
        kept = tuple(1 if a == axis else s for a, s in enumerate(x.shape))
        top = graph.reshape(graph.reduce(MAX, x, (axis,)), kept)
        powers = graph.pointwise(EXP, graph.pointwise(SUB, x, top))
        return graph.pointwise(MUL, powers, graph.reshape(graph.reduce(SUM, powers, (axis,)), kept))

    def permute(self) -> Node:
        x = self.pick()
        return graph.permute(x, self.random.sample(range(len(x.shape)), len(x.shape)))

    def reshape(self) -> Node:
        x = self.pick()
        left, sizes = x.size, []
        while left > 1 and self.random.random() < 0.7:
            sizes.append(self.random.choice([d for d in range(1, left + 1) if left % d == 0]))
            left //= sizes[-1]
        return graph.reshape(x, (*sizes, left))

    def expand(self) -> Node:
        x = self.pick()
        shape = tuple(self.random.choice([2, 3]) if s == 1 else s for s in x.shape)
        return graph.expand(x, (2, *shape) if len(shape) < 3 else shape)

    def cut(self) -> Node:
        x = self.pick()
        ranges = []
        for size in x.shape:
            step = self.random.choice([1, 1, 2, -1, -2])
            start = self.random.randrange(size)
            most = (size - 1 - start) // step + 1 if step > 0 else start // -step + 1
            ranges.append((start, step, self.random.randint(1, most)))
        return graph.slice_axes(x, ranges)

    def pad(self) -> Node:
        x = self.pick()
        return graph.pad(
            x, [(self.random.randint(0, 2), self.random.randint(0, 2)) for _ in x.shape]
        )

    def contract(self) -> Node:
        x = self.pick()
        if len(x.shape) < 2:
            return x
        other = self.new_leaf((*x.shape[:-2], x.shape[-1], self.random.choice([1, 4, 17])))
        if self.random.random() < 0.5:
            other = graph.permute(
                self.new_leaf((*other.shape[:-2], other.shape[-1], other.shape[-2])),
                [*range(len(other.shape) - 2), len(other.shape) - 1, len(other.shape) - 2],
            )
        made = graph.contract(x, other)
        if self.random.random() < 0.5:
            bias = graph.pointwise(ADD, made, self.new_leaf(made.shape[-1:]))
            made = graph.pointwise(MAXIMUM, bias, graph.constant(0.0, dtypes.float32))
        return made

    def indices(self, size: int, shape: tuple[int, ...]) -> Node:
        return leaf(self.numbers.integers(0, size, shape))

    def take(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        axis = self.random.randrange(len(x.shape))
        shape = tuple(4 if a == axis else s for a, s in enumerate(x.shape))
        return graph.take(x, (axis,), (self.indices(x.shape[axis], shape),))

    def scatter(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        axis = self.random.randrange(len(x.shape))
        shape = tuple(5 if a == axis else s for a, s in enumerate(x.shape))
        column = tuple(5 if a == axis else 1 for a in range(len(x.shape)))
        index = self.indices(x.shape[axis], shape)
        if self.random.random() < 0.5:
            index = graph.expand(self.indices(x.shape[axis], column), shape)
        mode = self.random.choice(["add", "set", "amax"])
        return graph.scatter(mode, x, self.new_leaf(shape), (axis,), (index,))

    def update(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        ranges = []
        for size in x.shape:
            start = self.random.randrange(size)
            ranges.append((start, 1, self.random.randint(1, size - start)))
        value = self.new_leaf(tuple(size for _, _, size in ranges))
        return graph.update(x, value, (Move(SLICE, tuple(ranges)),))

    def scan(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        return graph.scan(
            self.random.choice([ADD, MAXIMUM]), x, self.random.randrange(len(x.shape))
        )

    def iota(self) -> Node:
        x = self.pick()
        if not x.shape:
            return x
        return graph.pointwise(ADD, x, graph.cast(graph.iota(x.shape[-1]), dtypes.float32))

    def contiguous(self) -> Node:
        return graph.contiguous(self.pick())


def check(seed: int, backend: str, steps: int = 18) -> None:
    grower = Grower(seed)
    grower.grow(steps)
    roots = [grower.nodes[-1], *grower.random.sample(grower.nodes, 3)]
    wide = [node for node in roots if np.all(np.isfinite(evaluate([node])[0]))]
    expected = [np.array(array) for array in evaluate(wide)]
    with settings.override(backend=backend, verify=True):
        realize(wide)
    for node, array in zip(wide, expected, strict=True):
        actual = values_of(node)
        assert actual.shape == array.shape
        scale = max(float(np.max(np.abs(array))), 1.0) if array.size else 1.0
        np.testing.assert_allclose(
            actual, array, rtol=2e-4, atol=2e-5 * scale, err_msg=f"seed {seed}"
        )


@pytest.mark.parametrize("block", range(8))
def test_compiled_values_are_the_oracles(block: int) -> None:
    for seed in range(block * 12, block * 12 + 12):
        check(seed, "cpu")


@pytest.mark.parametrize("block", range(2))
def test_interpreted_values_are_the_oracles(block: int) -> None:
    for seed in range(1000 + block * 12, 1012 + block * 12):
        check(seed, "reference")
