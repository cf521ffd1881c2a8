"""Simplification: the same values bit for bit, IEEE's special ones too, in fewer entries."""

from __future__ import annotations

import numpy as np
import pytest

from grad.dtype import DType, dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.node import Node
from grad.graph.primitives import ADD, DIV, MAX, MUL, NEG, POW, SUB, SUM, Primitive
from grad.schedule.program import Program, program_of, walk
from grad.schedule.simplify import simplify
from tests.engine.exact_graphs import leaf, values_of

SPECIAL = [0.0, -0.0, 1.0, -1.5, 3e38, -3e38, 1e-40, np.inf, -np.inf, np.nan]


def simplified(*roots: Node) -> Program:
    return simplify(program_of(walk(roots)))


def names(program: Program) -> list[str]:
    return [entry.op.name for entry in program.entries]


def special(dtype: DType = dtypes.float32) -> Node:
    with np.errstate(all="ignore"):
        return leaf(
            np.array(SPECIAL if dtype.kind == "f" else [0, 1, -3, 127], np.float64).astype(
                dtype.numpy
            )
        )


def same_bits(node: Node) -> None:
    expected = np.array(evaluate([node])[0])
    realize([node])
    actual = values_of(node)
    np.testing.assert_array_equal(actual, expected)
    kept = ~np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(
        np.signbit(actual.astype(np.float64))[kept], np.signbit(expected.astype(np.float64))[kept]
    )


@pytest.mark.parametrize(
    "dtype", [dtypes.float32, dtypes.float64, dtypes.int8], ids=lambda d: d.name
)
@pytest.mark.parametrize("value", [0, 1, 2, -1])
@pytest.mark.parametrize("op", [ADD, SUB, MUL, DIV, POW], ids=lambda op: op.name)
def test_values_with_constants_stay(op: Primitive, value: int, dtype: DType) -> None:
    if op is DIV and dtype.kind != "f":
        pytest.skip("integers are divided as floats")
    for number in (value, -0.0) if dtype.kind == "f" and value == 0 else (value,):
        constant = graph.constant(float(number) if dtype.kind == "f" else number, dtype)
        x = special(dtype)
        if op is not POW:
            same_bits(graph.pointwise(op, x, constant))
            same_bits(graph.pointwise(op, constant, x))
        elif value in (1, 2):
            same_bits(graph.pointwise(op, x, constant))


def test_what_changes_nothing_goes() -> None:
    x = special()
    one, zero = graph.constant(1.0, dtypes.float32), graph.constant(0.0, dtypes.float32)
    for node in (
        graph.pointwise(MUL, x, one),
        graph.pointwise(MUL, one, x),
        graph.pointwise(DIV, x, one),
        graph.pointwise(SUB, x, zero),
        graph.pointwise(NEG, graph.pointwise(NEG, x)),
        graph.permute(graph.permute(graph.reshape(x, (2, 5)), (1, 0)), (1, 0)),
    ):
        assert set(names(simplified(node))) <= {"buffer", "reshape"}


def test_what_changes_the_sign_of_zero_stays() -> None:
    x = special()
    zero = graph.constant(0.0, dtypes.float32)
    assert "add" in names(simplified(graph.pointwise(ADD, x, zero)))
    assert "mul" in names(simplified(graph.pointwise(MUL, x, zero)))
    assert "sub" in names(simplified(graph.pointwise(SUB, zero, x)))
    assert "sub" in names(simplified(graph.pointwise(SUB, x, graph.constant(-0.0, dtypes.float32))))


def test_equal_values_become_one() -> None:
    x = special()
    pair = [graph.pointwise(MUL, x, x) for _ in range(2)]
    program = simplified(graph.pointwise(ADD, *pair))
    assert names(program).count("mul") == 1


def test_constants_differ_by_sign_and_type() -> None:
    x = special()
    roots = [
        graph.pointwise(MUL, x, graph.constant(value, dtypes.float32)) for value in (0.0, -0.0, 2.0)
    ]
    assert names(simplified(*roots)).count("mul") == 3


def test_moves_merge() -> None:
    x = leaf(np.zeros((2, 3, 4), np.float32))
    moved = graph.reshape(graph.reshape(graph.reshape(x, (6, 4)), (24,)), (4, 6))
    assert names(simplified(moved)) == ["buffer", "reshape"]
    thin = leaf(np.zeros((5, 1, 4), np.float32))
    assert names(simplified(graph.permute(thin, (1, 0, 2)))) == ["buffer", "reshape"]


def test_outputs_keep_their_order() -> None:
    x = special()
    one = graph.constant(1.0, dtypes.float32)
    same, other = graph.pointwise(MUL, x, one), graph.pointwise(NEG, x)
    program = simplified(other, same, x)
    assert [program.entries[o].op.name for o in program.outputs] == ["neg", "buffer", "buffer"]


def test_reductions_do_not_permute_what_they_add_up() -> None:
    x = leaf(np.random.default_rng(3).integers(-9, 9, (3, 4, 5)).astype(np.float32))
    turned = graph.permute(x, (2, 0, 1))
    total = graph.reduce(SUM, turned, (0, 1, 2))
    rows = graph.reduce(MAX, turned, (0, 2))  # one axis is left
    crossed = graph.reduce(SUM, turned, (1,))  # of two, in another order
    assert "permute" not in names(simplified(total)) + names(simplified(rows))
    assert "permute" in names(simplified(crossed))
    for node in (total, rows, crossed):
        same_bits(node)
