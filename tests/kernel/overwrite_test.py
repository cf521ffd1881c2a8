"""When a kernel may write its result over what it reads: kernels by hand, and of operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.dtype import dtypes
from grad.graph.index import Dynamic, Index, Variable, add, const, scale, variable
from grad.graph.primitives import BUFFER, SUM
from grad.kernel.ir import Accumulate, Declare, Kernel, Load, Loop, Parameter, Statement, Store
from grad.kernel.lower import lower_all
from grad.kernel.overwrite import may_overwrite
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from grad.schedule.simplify import simplify

F32, I64 = dtypes.float32, dtypes.int64
PARAMETERS = (Parameter(0, F32), Parameter(1, F32, written=True), Parameter(2, I64))
X, Y = Variable("x", 8), Variable("y", 4)
x, y = variable("x", 8), variable("y", 4)


def loop(*body: Statement, over: Variable = X) -> Loop:
    return Loop(over, tuple(body), parallel=True)


def load(index: Index, value: int = 1) -> Load:
    return Load(value, 0, index, F32)


def store(index: Index) -> Store:
    return Store(1, index, 1)


def by_hand(*phases: tuple[Statement, ...]) -> bool:
    return may_overwrite(Kernel("tried", PARAMETERS, phases), 0, 1)


SQUARE = add(scale(y, 8), x)
HAND_MADE: dict[str, tuple[bool, tuple[tuple[Statement, ...], ...]]] = {
    "same element": (True, ((loop(load(x), store(x)),),)),
    "read twice": (True, ((loop(load(x), load(x, 2), store(x)),),)),
    "read again after the store": (False, ((loop(load(x), store(x), load(x, 2)),),)),
    "shifted": (False, ((loop(load(add(x, const(1))), store(x)),),)),
    "reversed": (False, ((loop(load(add(const(7), scale(x, -1))), store(x)),),)),
    "two elements": (False, ((loop(load(x), load(add(x, const(1)), 2), store(x)),),)),
    "stored twice": (False, ((loop(load(x), store(x), store(add(x, const(1)))),),)),
    "always the first": (False, ((loop(load(const(0)), store(const(0))),),)),
    "inner loop": (True, ((loop(Loop(X, (load(SQUARE), store(SQUARE))), over=Y),),)),
    "once for each turn of an inner loop": (
        False,
        ((loop(Loop(X, (load(y), store(y))), over=Y),),),
    ),
    "summed before": (
        False,
        ((loop(Declare(1, SUM, F32), Loop(Y, (load(x, 2), Accumulate(1, 2))), store(x)),),),
    ),
    "before the loop": (False, ((load(const(0)), loop(store(x))),)),
    "two loops": (False, ((loop(Loop(Y, (load(x),)), Loop(Y, (store(x),))),),)),
    "loops that look alike": (False, ((loop(load(x), store(x)), loop(load(x), store(x))),)),
    "an earlier phase reads": (True, ((loop(load(add(x, const(1)))),), (loop(store(x)),))),
    "a later phase reads": (False, ((loop(store(x)),), (loop(load(x)),))),
    "computed index": (
        False,
        (
            (
                loop(
                    Load(3, 2, x, I64),
                    load(Index(((Dynamic(3, 8), 1),), 0)),
                    store(Index(((Dynamic(3, 8), 1),), 0)),
                ),
            ),
        ),
    ),
    "a loop of one turn": (
        True,
        ((loop(Loop(Variable("o", 1), (load(x),)), store(x)),),),
    ),
    "never read": (True, ((loop(store(x)),),)),
}


@pytest.mark.parametrize("case", HAND_MADE)
def test_kernels_by_hand(case: str) -> None:
    allowed, phases = HAND_MADE[case]
    assert by_hand(*phases) is allowed


def numbers(*shape: int) -> Any:
    return grad.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32)).realize()


def granted(result: Any, source: Any) -> bool:
    """Whether the kernel that makes `result` may write it where `source` is."""
    found = walk([result.node])
    program = simplify(program_of(found))
    (leaf,) = (n for n, leaf in enumerate(found.leaves) if leaf.source is source.node)
    (entry,) = (n for n, e in enumerate(program.entries) if e.op is BUFFER and e.arg == leaf)
    grouping = group(program)
    written = grouping.aliases.get(program.outputs[0], program.outputs[0])
    for low in lower_all(program, grouping):
        bound = [
            (parameter.number, number)
            for parameter, (sort, number) in zip(low.kernel.parameters, low.bindings, strict=True)
            if sort == "memory"
        ]
        writes = [p for p, number in bound if number == written]
        reads = [p for p, number in bound if number == entry]
        if writes and low.kernel.parameters[writes[0]].written:
            assert reads, "another kernel reads it"
            return all(may_overwrite(low.kernel, r, w) for r in reads for w in writes)
    raise AssertionError("nothing writes the result")


OPERATIONS: dict[str, tuple[bool, Callable[[Any, Any], Any]]] = {
    "pointwise": (True, lambda w, g: w - g * 0.1),
    "a row added": (True, lambda w, g: w + g[0]),
    "its transpose": (False, lambda w, g: w.T * 1.0),
    "with its transpose": (False, lambda w, g: w - w.T * 0.1),
    "product, epilogue": (True, lambda w, g: w - (g @ g) * 0.1),
    "product, left": (False, lambda w, g: w @ g),
    "product, right": (False, lambda w, g: g @ w),
    "product, prologue": (False, lambda w, g: w.exp() @ g),
    "product, both": (False, lambda w, g: w - (g @ w) * 0.1),
    "with its sum of rows": (False, lambda w, g: w - w.sum(1, keepdim=True)),
    "softmax": (False, lambda w, g: w.softmax(1)),
    "gathered": (False, lambda w, g: w[grad.arange(len(w)).flip(0)]),
    "padded": (False, lambda w, g: F.pad(w * 2, (1, -1))),
}


@pytest.mark.parametrize("size", [1 << 4, 50, 96])
@pytest.mark.parametrize("case", OPERATIONS)
def test_kernels_of_operations(case: str, size: int) -> None:
    allowed, operation = OPERATIONS[case]
    w, g = numbers(size, size), grad.tensor(numbers(size, size).numpy() * 2).realize()
    try:
        result = granted(operation(w, g), w)
    except AssertionError as reason:
        assert not allowed, reason
        return
    assert result is allowed


def test_attention_and_convolution_write_nowhere_else() -> None:
    q = numbers(2, 8, 64, 32)
    for result in (
        F.scaled_dot_product_attention(q, numbers(2, 8, 64, 32) + 1, numbers(2, 8, 64, 32) + 2),
        F.conv2d(numbers(2, 3, 8, 8), numbers(3, 3, 3, 3), padding=1),
    ):
        found = walk([result.node])
        program = simplify(program_of(found))
        grouping = group(program)
        kernels = [low.kernel for low in lower_all(program, grouping)]
        for kernel in kernels:
            written = [p.number for p in kernel.parameters if p.written]
            read = [p.number for p in kernel.parameters if not p.written and not p.scalar]
            if len(kernels) == 1:
                assert not any(may_overwrite(kernel, r, w) for r in read for w in written)
