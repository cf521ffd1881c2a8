"""Copies that read across, of every size, type and order of axes, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.squares import transpose
from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.index import Index, Variable
from grad.graph.node import Node
from grad.graph.primitives import ADD
from grad.kernel.ir import Load, Loop, statements
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of
from tests.kernel.lower_test import kernels

SIDES = (1, 2, 3, 8, 15, 16, 17, 33, 64, 65, 97, 130)


class Shuffled(Builder):
    """Does shuffles instead of writing them: a value's text is a list of what its lanes hold."""

    def shuffle(self, a: Value, b: Value | None, lanes: object) -> Value:
        both = [*a.text, *(b.text if b is not None else [])]
        return Value([both[lane] for lane in lanes], a.type)  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32])
def test_squares_are_transposed_by_shuffles(lanes: int, itemsize: int) -> None:
    fewest = min(lanes, 16 // itemsize)
    for count in [n for n in (2, 4, 8, 16, 32) if fewest <= n <= lanes]:
        texts = [[(r, c) for c in range(lanes)] for r in range(count)]
        rows = [Value(text, f"<{lanes} x i8>") for text in texts]  # type: ignore[arg-type]
        columns = transpose(Shuffled(), rows, itemsize)
        assert [v.text for v in columns] == [[(r, c) for r in range(count)] for c in range(lanes)]


def numbers(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 50, shape).astype(dtype.numpy)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda d: d.name)
def test_matrices_of_every_type(dtype: DType) -> None:
    for shape in [(40, 70), (17, 129), (130, 9), (200, 3), (64, 64)]:
        x = numbers(shape, dtype)
        node = graph.contiguous(graph.permute(leaf(x), (1, 0)))
        realize([node])
        np.testing.assert_array_equal(values_of(node), x.T)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_matrices_of_every_size(backend: str) -> None:
    nodes, expected = [], []
    for rows, columns in itertools.product(SIDES, SIDES):
        x = numbers((rows, columns), dtypes.float32)
        y = numbers((columns, rows), dtypes.float32)
        nodes.append(graph.pointwise(ADD, graph.permute(leaf(x), (1, 0)), leaf(y)))
        expected.append(x.T + y)
    with settings.override(backend=backend):
        for node, value in zip(nodes, expected, strict=True):
            realize([node])
            np.testing.assert_array_equal(values_of(node), value)


@pytest.mark.parametrize("shape", [(5, 17, 3, 40), (2, 31, 16, 33), (1, 20, 20, 20), (4, 0, 9, 6)])
def test_every_order_of_four_axes(shape: tuple[int, ...]) -> None:
    x = numbers(shape, dtypes.float32)
    for order in itertools.permutations(range(4)):
        node = graph.contiguous(graph.permute(leaf(x), order))
        realize([node])
        np.testing.assert_array_equal(values_of(node), x.transpose(order))


def test_operands_of_different_orders_and_types() -> None:
    x, y = numbers((50, 40), dtypes.float32), numbers((40, 50), dtypes.int8)
    z = numbers((40, 1), dtypes.float64)
    turned = graph.cast(graph.permute(leaf(x), (1, 0)), dtypes.float64)
    node = graph.pointwise(ADD, turned, graph.cast(leaf(y), dtypes.float64))
    node = graph.pointwise(ADD, node, leaf(z))
    realize([node])
    np.testing.assert_array_equal(values_of(node), x.T.astype(np.float64) + y + z)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("last", [1, 2, 3, 7, 16, 24, 31, 40, 63])
def test_rows_of_results_over_several_axes(last: int, backend: str) -> None:
    with settings.override(backend=backend):
        for before, dtype in itertools.product((3, 11), (dtypes.float32, dtypes.int8)):
            x = numbers((2, last, before, 3, 21), dtype)
            node = graph.contiguous(graph.permute(leaf(x), (4, 3, 0, 2, 1)))
            y = numbers((21, 3, 2, before, last), dtype)
            total = graph.pointwise(ADD, node, leaf(y))
            realize([node, total])
            expected = x.transpose(4, 3, 0, 2, 1)
            np.testing.assert_array_equal(values_of(node), expected)
            np.testing.assert_array_equal(values_of(total), expected + y)
            scaled = graph.pointwise(
                ADD, graph.permute(leaf(x), (4, 3, 0, 2, 1)), leaf(y[:1, :, :, :1])
            )
            realize([scaled])
            np.testing.assert_array_equal(values_of(scaled), expected + y[:1, :, :, :1])


LARGE = [
    ((8, 16, 32, 24, 40), (4, 2, 0, 3, 1)),
    ((8, 16, 32, 24, 40), (0, 3, 1, 4, 2)),
    ((8, 16, 32, 24, 40), (2, 4, 3, 1, 0)),
    ((7, 17, 48, 23, 41), (0, 3, 1, 4, 2)),
    ((3, 1, 1001, 2, 480), (4, 3, 1, 0, 2)),
    ((2, 48, 211, 211), (0, 2, 3, 1)),
    ((2100, 1024), (1, 0)),
    ((1024, 2100), (1, 0)),
]


@pytest.mark.parametrize(("shape", "axes"), LARGE)
def test_large_results_in_any_order_of_axes(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(5).standard_normal(shape, np.float32)
    node = graph.contiguous(graph.permute(leaf(x), axes))
    realize([node])
    np.testing.assert_array_equal(values_of(node), x.transpose(axes))


def test_tiles_of_a_large_result_follow_each_other_as_what_is_read() -> None:
    shape, axes = (8, 16, 32, 24, 40), (0, 3, 1, 4, 2)
    x = graph.permute(leaf(np.zeros(shape, np.float32)), axes)
    inner, reads = innermost_tiles(graph.contiguous(x))
    # Rows of 40 elements follow each other in memory; in the result 16 tiles lie between.
    assert reads[0].coefficient(inner) == 40
    y = leaf(np.zeros([shape[axis] for axis in axes], np.float32))
    inner, reads = innermost_tiles(graph.pointwise(ADD, x, y))
    assert 40 not in [index.coefficient(inner) for index in reads]


def innermost_tiles(node: Node) -> tuple[Variable, list[Index]]:
    """The variable that numbers the tiles which one item walks, and what is loaded in them."""
    (kernel,) = kernels(node)
    found = [(s, around) for s, around in statements(kernel) if isinstance(s, Load)]
    loop = found[0][1][1]
    assert isinstance(loop, Loop)
    return loop.variable, [s.index for s, _ in found]
