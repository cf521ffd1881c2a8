"""Kernel IR: its printed form, its checker, its interpreter and its price."""

from __future__ import annotations

import ast
import math
from dataclasses import replace

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.errors import VerifyError
from grad.graph.index import Dynamic, Index, Variable, add, const, scale, variable
from grad.graph.positions import Guard
from grad.graph.primitives import ADD, CAST, MUL, SUM, WHERE
from grad.kernel.cost import access_cost, kernel_cost, phase_cost
from grad.kernel.interpret import interpret
from grad.kernel.ir import (
    Accumulate,
    Count,
    Declare,
    Kernel,
    Let,
    Load,
    Loop,
    Number,
    Parameter,
    Scalar,
    Statement,
    Store,
)
from grad.kernel.ir import Test as Condition  # pytest would collect the name
from grad.kernel.verify import verify

F32, I64 = dtypes.float32, dtypes.int64
X = Variable("x", 8)
x = variable("x", 8)
PARAMETERS = (
    Parameter(0, F32),
    Parameter(1, F32, written=True),
    Parameter(2, F32, scalar=True),
    Parameter(3, I64),
)
LOAD = Load(1, 0, x, F32)
STORE = Store(1, x, 1)


def kernel(
    *body: Statement, before: tuple[Statement, ...] = (), loop: Loop | None = None
) -> Kernel:
    outer = loop or Loop(X, tuple(body), parallel=True, vector=True)
    return Kernel("tried", PARAMETERS, ((*before, outer),))


def row_sums() -> Kernel:
    """The sums of 3 rows of 8."""
    row, column = variable("r", 3), variable("x", 8)
    inner = Loop(X, (Load(2, 0, add(scale(row, 8), column), F32), Accumulate(1, 2)), vector=True)
    outer = Loop(Variable("r", 3), (Declare(1, SUM, F32), inner, Store(1, row, 1)), parallel=True)
    return Kernel("row_sums", PARAMETERS, ((outer,),))


def test_kernels_read_like_python() -> None:
    text = str(row_sums())
    assert text.splitlines() == [
        "def row_sums(in0: float32, out1: float32, s2: float32, in3: int64):",
        "    for r in range(3):  # parallel",
        "        v1 = identity(sum, float32)",
        "        for x in range(8):  # vector",
        "            v2 = in0[r * 8 + x]",
        "            v1 = sum(v1, v2)",
        "        out1[r] = v1",
    ]


def test_every_statement_prints_as_python() -> None:
    guard = Guard(add(x, -2), 0, 4)
    text = str(
        kernel(
            Load(1, 0, add(x, -2), F32, (guard,)),
            Condition(2, (guard,), dtypes.bool),
            Let(5, WHERE, (2, 1, 3), F32),
            Count(6, x, I64),
            Let(7, CAST, (6,), F32),
            Let(8, ADD, (5, 7), F32),
            Store(1, x, 8),
            before=(Number(3, 0.5, F32), Scalar(4, 2, F32)),
        )
    )
    ast.parse(text)
    assert "v1 = in0[x + -2] if 0 <= x + -2 < 4 else 0" in text
    assert "v4 = s2" in text


def test_right_kernels_pass() -> None:
    verify(row_sums())
    verify(kernel(LOAD, STORE))


BROKEN = {
    "used where it is not defined": kernel(LOAD, Store(1, x, 9)),
    "defined twice": kernel(LOAD, LOAD, STORE),
    "outside their loops": kernel(Load(1, 0, variable("y", 8), F32), STORE),
    "reads another type": kernel(Load(1, 3, x, F32), STORE),
    "before the buffer": kernel(Load(1, 0, add(x, -1), F32), STORE),
    "read-only": kernel(LOAD, Store(0, x, 1)),
    "of another type": kernel(Load(1, 3, x, I64), STORE),
    "takes 2 operands": kernel(LOAD, Let(2, ADD, (1,), F32), STORE),
    "differ in type": kernel(LOAD, Load(2, 3, x, I64), Let(3, ADD, (1, 2), F32), STORE),
    "gives the type of its operands": kernel(LOAD, Let(2, ADD, (1, 1), I64), STORE),
    "no accumulator": kernel(LOAD, Accumulate(1, 1), STORE),
    "into another type": kernel(Declare(1, SUM, F32), Load(2, 3, x, I64), Accumulate(1, 2), STORE),
    "no reduction": kernel(Declare(1, MUL, F32), STORE),
    "as a scalar": kernel(Scalar(1, 0, F32), STORE),
    "is parallel, and no other": kernel(loop=Loop(X, (LOAD, STORE), vector=True)),
    "does not end with its loop": Kernel("tried", PARAMETERS, ((Number(1, 1.0, F32),),)),
}


@pytest.mark.parametrize("message", BROKEN)
def test_each_broken_rule_is_named(message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        verify(BROKEN[message])


@pytest.mark.parametrize("size", [0, 1])
def test_reads_before_the_buffer_are_seen_where_there_are_any(size: int) -> None:
    backwards = add(scale(variable("n", size), -9), -10)
    body = (Load(1, 0, backwards, F32), Store(1, variable("n", size), 1))
    tried = kernel(loop=Loop(Variable("n", size), body, parallel=True, vector=True))
    if size:
        with pytest.raises(VerifyError, match="before the buffer"):
            verify(tried)
    else:
        verify(tried)


def test_inner_parallel_loops_are_refused() -> None:
    inner = Loop(Variable("y", 2), (LOAD, STORE), parallel=True)
    with pytest.raises(VerifyError, match="parallel"):
        verify(kernel(inner))


def test_the_interpreter_runs_what_is_written() -> None:
    rows = np.arange(24, dtype=np.float32)
    out = np.zeros(3, np.float32)
    interpret(row_sums(), [rows, out, np.zeros(1, np.float32), np.zeros(1, np.int64)])
    np.testing.assert_array_equal(out, rows.reshape(3, 8).sum(1))


@pytest.mark.parametrize("shift", [1, 8, -1, -20])
def test_the_interpreter_checks_bounds(shift: int) -> None:
    memory = np.zeros(8, np.float32)
    others = [np.zeros(8, np.float32), np.zeros(1, np.float32), np.zeros(8, np.int64)]
    with pytest.raises(VerifyError, match="outside parameter 0"):
        interpret(kernel(Load(1, 0, add(x, shift), F32), STORE), [memory, *others])
    with pytest.raises(VerifyError, match="outside parameter 1"):
        interpret(kernel(LOAD, Store(1, add(x, shift), 1)), [memory, *others])


def test_guards_keep_loads_inside() -> None:
    guard = Guard(add(x, -3), 0, 5)
    memory, out = np.arange(5, dtype=np.float32), np.zeros(8, np.float32)
    interpret(
        kernel(Load(1, 0, add(x, -3), F32, (guard,)), STORE),
        [memory, out, np.zeros(1, np.float32), np.zeros(1, np.int64)],
    )
    np.testing.assert_array_equal(out, [0, 0, 0, 0, 1, 2, 3, 4])


def test_prices_grow_with_the_work() -> None:
    def priced(size: int, body: tuple[Statement, ...], vector: bool = True) -> float:
        return phase_cost((Loop(Variable("x", size), body, parallel=True, vector=vector),))

    body = (LOAD, STORE)
    assert priced(64, body) < priced(6400, body) < priced(640000, body)
    assert priced(640, body) < priced(640, (LOAD, Let(2, ADD, (1, 1), F32), STORE))
    assert priced(640, body) < priced(640, body, vector=False)
    two = replace(row_sums(), phases=(*row_sums().phases, *row_sums().phases))
    assert kernel_cost(two) == 2 * kernel_cost(row_sums())


def test_jumps_cost_more_than_rows() -> None:
    assert access_cost(x, X) < access_cost(scale(x, 64), X)
    assert access_cost(const(3), X) <= access_cost(x, X)


def test_rows_that_are_looked_up_run_along_memory() -> None:
    """Only what differs from lane to lane makes a jump of each lane."""
    looked_up = add(x, Index(((Dynamic(7, 10), 64),), 0))
    assert access_cost(looked_up, X, varying=frozenset()) == access_cost(x, X)
    assert access_cost(looked_up, X, varying=frozenset({7})) == access_cost(looked_up, X)
    assert access_cost(looked_up, X) > access_cost(x, X)


def test_kernels_with_zeros_of_different_signs_are_different() -> None:
    """Equal kernels share code, and ``x * -0.0`` is not ``x * 0.0``."""
    numbers = [Number(1, number, dtypes.float32) for number in (0.0, -0.0, math.nan, 1.0, True)]
    for number in numbers:
        same = Number(1, number.number, dtypes.float32)
        assert [other == number for other in numbers] == [other is number for other in numbers]
        assert same == number and hash(same) == hash(number)
    x = grad.tensor([1.0, 2.0])
    for zero in (0.0, -0.0, 0.0):
        np.testing.assert_array_equal(np.signbit((x * zero).numpy()), [str(zero)[0] == "-"] * 2)
