"""What lowering promises: values that several readers want are stored, reads run along memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.node import Node
from grad.graph.primitives import ADD, EXP, MAX, MUL, SUB, SUM, Primitive
from grad.kernel.ir import Kernel, Let, Load, Loop, statements
from grad.kernel.lower import lower_all
from grad.schedule.group import group
from grad.schedule.program import Entry, program_of, walk
from grad.schedule.simplify import simplify
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of


def kernels(*roots: Node) -> list[Kernel]:
    """The kernels that computing `roots` takes."""
    program = simplify(program_of(walk(roots)))
    grouping = group(program)
    return [lowered.kernel for lowered in lower_all(program, grouping)]


def whole_numbers(*shape: int) -> Node:
    return leaf(np.random.default_rng(2).integers(-4, 5, shape).astype(np.float32))


@pytest.mark.parametrize("dtype", [d for d in ALL_DTYPES if d.kind == "u"], ids=lambda d: d.name)
def test_unsigned_indices_have_no_sign(dtype: DType) -> None:
    x = whole_numbers(256)
    rows = np.array([0, 127, 128, 200, 255])
    index = leaf(rows.astype(dtype.numpy))
    taken = graph.take(x, (0,), (index,))
    written = graph.scatter("set", x, leaf(np.full(5, 9, np.float32)), (0,), (index,))
    realize([taken, written])
    expected = values_of(x).copy()
    np.testing.assert_array_equal(values_of(taken), expected[rows])
    expected[rows] = 9
    np.testing.assert_array_equal(values_of(written), expected)


@pytest.mark.parametrize("shape", [(6, 50), (1, 80)])
def test_a_reduction_stores_the_row_values_that_others_read(shape: tuple[int, int]) -> None:
    """The largest distance from the least element, and that element for another reader."""
    x = whole_numbers(*shape)
    top = graph.reduce(MAX, x, (1,))
    total = graph.reshape(graph.reduce(SUM, x, (1,)), (shape[0], 1))
    apart = graph.pointwise(SUB, graph.pointwise(SUB, x, graph.reshape(top, (shape[0], 1))), total)
    largest = graph.reduce(MAX, apart, (1,))
    realize([largest, top])
    array = values_of(x)
    maximum, sums = array.max(1, keepdims=True), array.sum(1, keepdims=True)
    np.testing.assert_array_equal(values_of(top), maximum[:, 0])
    np.testing.assert_array_equal(values_of(largest), (array - maximum - sums).max(1))


def test_chunks_do_not_repeat_the_reductions_of_their_row() -> None:
    x = whole_numbers(16, 100_000)
    top = graph.reshape(graph.reduce(MAX, x, (1,)), (16, 1))
    total = graph.reduce(SUM, graph.pointwise(SUB, x, top), (1,))
    turns = 0
    for kernel in kernels(total):
        for statement, around in statements(kernel):
            if isinstance(statement, Load) and statement.parameter == 0:
                sizes = [loop.variable.size for loop in around if isinstance(loop, Loop)]
                turns += int(np.prod(sizes))
    assert turns <= 3 * 1_600_000


@pytest.mark.parametrize(
    ("shape", "part", "order"),
    [
        ((400, 300), (slice(None), slice(20, 270)), (0, 1)),
        ((30, 3, 60, 60), (slice(None), slice(1, 2), slice(5, 55), slice(5, 56)), (0, 1, 2, 3)),
        ((90, 1200), (slice(0, 90, 2), slice(None)), (0, 1)),
        ((40, 30, 50), (slice(None), slice(None), slice(None)), (1, 2, 0)),
        ((300, 5, 40), (slice(None), slice(1, 4), slice(None)), (2, 1, 0)),
    ],
)
@pytest.mark.parametrize("op", [SUM, MAX], ids=lambda op: op.name)
def test_long_reductions_of_views_read_along_rows(
    shape: tuple[int, ...], part: tuple[slice, ...], order: tuple[int, ...], op: Primitive
) -> None:
    """Without finding the place of each element by divisions."""
    x = whole_numbers(*shape)
    ranges = [(p.start or 0, p.step or 1, len(range(*p.indices(n)))) for p, n in zip(part, shape)]
    view = graph.permute(graph.slice_axes(x, ranges), order)
    total = graph.reduce(op, view, tuple(range(len(shape))))
    for kernel in kernels(total):
        for statement, around in statements(kernel):
            if isinstance(statement, Load):
                innermost = [loop.variable for loop in around if isinstance(loop, Loop)][-1]
                assert statement.index.coefficient(innermost) == 1, str(kernel)
    array = values_of(x)[part]
    realize([total])
    np.testing.assert_array_equal(values_of(total), array.sum() if op is SUM else array.max())


def test_rows_across_memory_lie_side_by_side_in_lanes_where_they_are_added_up() -> None:
    """As in the loss of a picture's pixels: classes are a plane apart, pixels are neighbours."""
    x = whole_numbers(4, 21, 30, 40)
    top = graph.reduce(MAX, x, (1,))
    apart = graph.pointwise(SUB, x, graph.expand(graph.reshape(top, (4, 1, 30, 40)), x.shape))
    total = graph.reduce(
        SUM, graph.reduce(SUM, graph.pointwise(MUL, apart, apart), (1,)), (0, 1, 2)
    )
    first, *_ = kernels(total)
    loops = [loop for _, around in statements(first) for loop in around if isinstance(loop, Loop)]
    assert any(loop.vector for loop in loops)
    assert not any(loop.vector for loop in loops if loop.variable.size == 21), str(first)
    array = values_of(x)
    realize([total])
    expected = ((array - array.max(1, keepdims=True)) ** 2).sum()
    np.testing.assert_array_equal(values_of(total), expected)


def test_transposed_operands_are_read_in_tiles() -> None:
    x, y = whole_numbers(300, 200), whole_numbers(200, 300)
    node = graph.pointwise(ADD, graph.permute(x, (1, 0)), y)
    (kernel,) = kernels(node)
    loops = [s for s, _ in statements(kernel) if isinstance(s, Loop)]
    assert [loop.variable.size for loop in loops] == [20, 64, 64]
    assert [loop.squares for loop in loops] == [False, True, False]
    realize([node])
    np.testing.assert_array_equal(values_of(node), values_of(x).T + values_of(y))


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (2, 0, 1, 3), (3, 2, 1, 0), (0, 3, 1, 2)])
def test_permuted_copies(order: tuple[int, ...]) -> None:
    x = whole_numbers(5, 33, 17, 20)
    node = graph.pointwise(MUL, graph.permute(x, order), graph.constant(2.0, dtypes.float32))
    realize([node])
    np.testing.assert_array_equal(values_of(node), values_of(x).transpose(order) * 2)


def test_reshapes_of_what_is_stored_are_read_flat() -> None:
    x, y = whole_numbers(5, 7, 1, 7), whole_numbers(245)
    (kernel,) = kernels(graph.pointwise(ADD, graph.reshape(x, (245,)), y))
    indices = [s.index for s, _ in statements(kernel) if isinstance(s, Load)]
    assert len(set(indices)) == 1


def test_lowering_goes_over_a_program_once_and_not_once_a_group() -> None:
    class Counted(tuple[Entry, ...]):
        passes = 0

        def __iter__(self) -> Iterator[Entry]:
            Counted.passes += 1
            return super().__iter__()

    program = program_of(walk([graph.reduce(SUM, whole_numbers(n), (0,)) for n in range(2, 40)]))
    grouping = group(program)
    assert len(grouping.groups) == 38
    counted = replace(program, entries=Counted(program.entries))
    assert len(lower_all(counted, grouping)) == 38
    assert Counted.passes == 1


def test_scatter_reads_what_an_earlier_element_wrote() -> None:
    """Even where one expanded index is the same for all elements, and the place never changes."""
    base, ones = leaf(np.zeros(4, np.float32)), leaf(np.ones(5, np.float32))
    index = graph.expand(leaf(np.array([2])), (5,))
    node = graph.scatter("add", base, ones, (0,), (index,))
    realize([node])
    np.testing.assert_array_equal(values_of(node), [0, 0, 5, 0])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("mode", ["add", "set", "amax"])
def test_scatter_shares_the_axes_that_are_not_indexed(axis: int, expanded: bool, mode: str) -> None:
    numbers = np.random.default_rng(axis)
    sizes = (5, 7, 601)
    shape = tuple(9 if a == axis else size for a, size in enumerate(sizes))
    values = numbers.standard_normal(shape).astype(np.float32)
    base = numbers.standard_normal(sizes).astype(np.float32)
    few = tuple(9 if a == axis else 1 for a in range(3)) if expanded else shape
    index = graph.expand(leaf(numbers.integers(0, sizes[axis], few)), shape)
    node = graph.scatter(mode, leaf(base), leaf(values), (axis,), (index,))
    (expected,) = evaluate([node])
    realize([node])
    np.testing.assert_allclose(values_of(node), expected, rtol=1e-5, atol=1e-5)


def test_padding_around_a_single_row_reads_nothing_outside() -> None:
    """The reduction is the same for all padded elements, and is read at its one place."""
    array = np.random.default_rng(0).standard_normal((1, 131)).astype(np.float32)
    padded = graph.pad(graph.reduce(MAX, leaf(array), (1,)), ((2, 1),))
    node = graph.pointwise(ADD, padded, graph.constant(1.0, dtypes.float32))
    with settings.override(verify=True):
        realize([node])
    np.testing.assert_array_equal(values_of(node), [1, 1, array.max() + 1, 1])


def column_moments(x: Node) -> list[Node]:
    """The sums of the columns and of their squares."""
    return [graph.reduce(SUM, x, (0,)), graph.reduce(SUM, graph.pointwise(MUL, x, x), (0,))]


@pytest.mark.parametrize("shape", [(4000, 129), (3, 5), (1, 70), (40_000, 1), (0, 4), (37, 20_000)])
def test_reductions_of_one_domain_share_their_loops(shape: tuple[int, ...]) -> None:
    x = whole_numbers(*shape)
    if x.shape[0]:
        (kernel,) = kernels(*column_moments(x))
        assert len({s.index for s, _ in statements(kernel) if isinstance(s, Load)}) <= 3
    sums, squares = column_moments(x)
    realize([sums, squares])
    np.testing.assert_array_equal(values_of(sums), values_of(x).sum(0))
    np.testing.assert_array_equal(values_of(squares), (values_of(x) ** 2).sum(0))


def test_reductions_of_different_values_do_not_share_a_kernel() -> None:
    x, y = whole_numbers(4000, 33), whole_numbers(4000, 33)
    assert len(kernels(graph.reduce(SUM, x, (0,)), graph.reduce(SUM, y, (0,)))) == 2


def test_a_reduction_that_needs_another_is_not_accumulated_with_it() -> None:
    """The squares of distances from the mean read the sums, so these come first."""
    x = whole_numbers(64, 33)
    sums = graph.reduce(SUM, x, (0,))
    apart = graph.pointwise(SUB, x, graph.reshape(sums, (1, 33)))
    spread = graph.reduce(SUM, graph.pointwise(MUL, apart, apart), (0,))
    realize([spread, sums])
    array = values_of(x)
    np.testing.assert_array_equal(values_of(spread), ((array - array.sum(0)) ** 2).sum(0))


def test_what_a_row_needs_is_stored_for_kernels_that_walk_columns() -> None:
    x = whole_numbers(50, 300)
    total = graph.reshape(graph.reduce(SUM, x, (1,)), (50, 1))
    scale = graph.pointwise(EXP, graph.pointwise(MUL, total, total))
    scaled = graph.pointwise(MUL, x, scale)
    total = graph.reshape(graph.reduce(SUM, scaled, (1,)), (50, 1))
    scaled = graph.pointwise(ADD, scaled, total)
    columns = graph.reduce(SUM, graph.pointwise(ADD, x, scale), (0,))
    found = kernels(scaled, columns)
    assert len(found) == 2
    exponentials = [
        s for kernel in found for s, _ in statements(kernel) if isinstance(s, Let) and s.op is EXP
    ]
    assert len(exponentials) == 1
