"""Random programs, compiled and uncompiled: the same results, the same memory afterwards.

A program is a list of steps on a pool of tensors: operations, views, writes in place to views and
to tensors from outside. It is run on new values several times, so that recordings are made and
replayed, and everything that can be seen afterwards is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad

Step = Callable[[list[Any]], None]

UNARY = [
    lambda x: x.tanh(),
    lambda x: x * 0.5 + 1,
    lambda x: x.T.contiguous().T,
    lambda x: x.flip(0),
    lambda x: x.softmax(1),
    lambda x: x - x.mean(0),
    lambda x: x.cumsum(1) * 0.1,
    lambda x: x.reshape(-1).reshape(x.shape),
    lambda x: x[x.argmax(0) % 4][:4],
    lambda x: x.clone(),
    lambda x: x.where(x > 0, -1.0),
]
BINARY = [
    lambda x, y: x + y,
    lambda x, y: x * y,
    lambda x, y: (x @ y.T @ y) * 0.1,
    lambda x, y: grad.cat([x[:2], y[2:]]),
    lambda x, y: x.maximum(y),
]
VIEWS = [
    lambda x: x[1:3],
    lambda x: x[:, ::2],
    lambda x: x.T,
    lambda x: x[0:3, 1:4].T,
    lambda x: x[2],
]


def program(rng: np.random.Generator, count: int, outer: list[Any]) -> Callable[..., Any]:
    """A function of two 4 x 5 tensors that also reads and writes those in `outer`."""
    steps: list[Step] = []
    for _ in range(count):
        kind = rng.integers(0, 7)
        first, second, third = rng.random(3)
        if kind <= 1:
            operation = UNARY[rng.integers(len(UNARY))]
            steps.append(lambda pool, f=operation, a=first: pool.append(f(_pick(pool, a))))
        elif kind <= 3:
            both = BINARY[rng.integers(len(BINARY))]
            steps.append(
                lambda pool, f=both, a=first, b=second: pool.append(
                    f(_pick(pool, a), _pick(pool, b))
                )
            )
        elif kind == 4:
            view = VIEWS[rng.integers(len(VIEWS))]
            steps.append(lambda pool, v=view, a=first, c=third: _scale(v(_pick(pool, a)), c))
        elif kind == 5:
            steps.append(lambda pool, a=first, b=second: _write(_pick(pool, a), _pick(pool, b)))
        else:
            target = outer[rng.integers(len(outer))]
            steps.append(lambda pool, t=target, a=first: _keep(pool, t, _pick(pool, a)))
    chosen = rng.random(3)

    def run(x: Any, y: Any) -> Any:
        pool = [x, y, *outer]
        for step in steps:
            step(pool)
        return [_pick(pool, place) for place in chosen], pool[-1].sum()

    return run


def _pick(pool: list[Any], place: float) -> Any:
    return pool[int(place * len(pool))]


def _scale(view: Any, factor: float) -> None:
    view.mul_(factor).add_(0.25)


def _write(target: Any, value: Any) -> None:
    target.copy_(value.tanh())


def _keep(pool: list[Any], target: Any, value: Any) -> None:
    target.mul_(0.5).add_(value.tanh())
    pool.append(target * 1.5)


@pytest.mark.parametrize("seed", range(60))
def test_random_program(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = [rng.standard_normal((4, 5)).astype(np.float32) for _ in range(2)]
    outers = [[grad.tensor(value) for value in values] for _ in range(2)]
    count = int(rng.integers(2, 14))
    functions = []
    for outer in outers:
        functions.append(program(np.random.default_rng(seed + 1000), count, outer))
    functions[1] = grad.compile(functions[1])
    for _ in range(5):
        given = [rng.standard_normal((4, 5)).astype(np.float32) for _ in range(2)]
        seen = []
        for function, outer in zip(functions, outers, strict=True):
            arguments = [grad.tensor(value) for value in given]
            picked, total = function(*arguments)
            picked[0].add_(1)  # shows up wherever it is the same memory
            seen.append([t.numpy().copy() for t in (*picked, total, *arguments, *outer)])
        for a, b in zip(*seen, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


# -- several storages, written in place ------------------------------------------------------------
ROWS = grad.tensor([0, 3])
ARRANGED = [
    lambda x: x,
    lambda x: x.T,
    lambda x: x.flip(0),
    lambda x: x[1:].mean(0, keepdim=True),
    lambda x: grad.cat([x[2:], x[:2]]),
    lambda x: x.clone(),
    lambda x: x.softmax(1),
    lambda x: x.cumsum(0) * 0.2,
    lambda x: x @ x.T * 0.1,
    lambda x: x.index_add(0, ROWS, x[1:3]),
    lambda x: x.sum(0),
]
TARGETS = [
    lambda x: x,
    lambda x: x.T,
    lambda x: x[1:3],
    lambda x: x[:, ::2],
    lambda x: x.reshape(-1),
    lambda x: x[2],
]


def updates(rng: np.random.Generator, count: int, state: list[Any]) -> Callable[..., Any]:
    """A function of a 6 x 6 tensor that updates those in `state` from each other."""
    steps = []
    for _ in range(count):
        sources = [int(n) for n in rng.integers(0, len(state) + 1, 2)]
        arranged = [ARRANGED[n] for n in rng.integers(0, len(ARRANGED), 2)]
        steps.append(
            (
                int(rng.integers(len(state))),
                sources,
                arranged,
                TARGETS[int(rng.integers(3)) and int(rng.integers(len(TARGETS)))],
                int(rng.integers(5)),
            )
        )
    returned = int(rng.integers(len(state)))

    def run(x: Any) -> Any:
        memory = [*state, x]
        for number, sources, arranged, view, kind in steps:
            first, second = (f(memory[n]) for f, n in zip(arranged, sources, strict=True))
            new = (first + second * 0.5).tanh().expand(6, 6)
            target = view(state[number])
            if kind == 0:
                target.mul_(0.5)
            elif kind == 1:
                target.add_(view(new) * 0.3)
            else:
                target.copy_(view(new))
        return state[returned].clone(), state[0].sum() + x.sum(), x @ state[-1]

    return run


@pytest.mark.parametrize("seed", range(60))
def test_random_updates(seed: int) -> None:
    """Values held from before, and results of earlier calls, stay what they were."""
    rng = np.random.default_rng(seed)
    values = [rng.standard_normal((6, 6)).astype(np.float32) for _ in range(3)]
    given = [rng.standard_normal((6, 6)).astype(np.float32) for _ in range(7)]
    holding = rng.integers(0, 5, 7)
    count = int(rng.integers(1, 7))
    seen = []
    for way in (lambda function: function, grad.compile):
        state = [grad.tensor(value) for value in values]
        function = way(updates(np.random.default_rng(seed + 1000), count, state))
        kept: list[Any] = []
        now: list[Any] = []
        for x, hold in zip(given, holding, strict=True):
            if hold == 0:
                kept += [tensor.clone() for tensor in state]
            elif hold == 1:
                kept += [state[0][1:] * 2, state[1].T.clone().realize(), state[2].sum(1)]
            results = function(grad.tensor(x))
            if hold == 2:
                kept += results
            elif hold == 3:
                results[0].zero_()
                now += [state[1].numpy()[2].copy(), results[2].tolist()]
        seen.append([*now, *[t.numpy().copy() for t in (*kept, *state, *results)]])
    for number, (eager, compiled) in enumerate(zip(*seen, strict=True)):
        np.testing.assert_allclose(compiled, eager, rtol=2e-4, atol=2e-5, err_msg=str(number))
