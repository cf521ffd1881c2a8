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
from grad.graph.primitives import ADD
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of

SIDES = (1, 2, 3, 8, 15, 16, 17, 33, 64, 65, 97, 130)


class Shuffled(Builder):
    """Does shuffles instead of writing them: a value's text is a list of what its lanes hold."""

    def shuffle(self, a: Value, b: Value | None, lanes: object) -> Value:
        both = [*a.text, *(b.text if b is not None else [])]
        return Value([both[lane] for lane in lanes], a.type)  # type: ignore[arg-type, attr-defined]


@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32])
def test_squares_are_transposed_by_shuffles(lanes: int, itemsize: int) -> None:
    rows = [Value([(r, c) for c in range(lanes)], "") for r in range(lanes)]  # type: ignore[arg-type]
    columns = transpose(Shuffled(), rows, itemsize)
    assert [v.text for v in columns] == [[(r, c) for r in range(lanes)] for c in range(lanes)]


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
