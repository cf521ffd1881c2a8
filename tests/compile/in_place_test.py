"""Memory that replays write again: whoever else has it sees what they would see uncompiled.

Each scenario is one function that gets a way to compile: it runs uncompiled and compiled, and all
that it saw on the way must be the same. `seen_alike` also sees to it that a plan was replayed that
writes new values where the old ones were, so that no scenario passes by not being compiled.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import buffer, nn, optim
from grad.compile import Compiled
from grad.errors import OutOfMemoryError

Compile = Callable[[Callable[..., Any]], Any]
Scenario = Callable[[Compile], list[Any]]
CALLS = 6


def numbers(*shape: int, seed: int = 0) -> grad.Tensor:
    return grad.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def values(seen: Any) -> np.ndarray:
    """What is seen now, in memory of its own."""
    if isinstance(seen, grad.Tensor):
        return seen.detach().clone().numpy().copy()
    return np.array(seen)


def plans_of(compiled: Compiled) -> list[Any]:
    return [r.runner.replay for entry in compiled._entries.values() for r in entry.records]


def seen_alike(scenario: Scenario, in_place: bool = True, replayed: bool = True) -> None:
    """The scenario sees the same compiled and not."""
    made: list[Compiled] = []

    def compile_it(function: Callable[..., Any]) -> Any:
        made.append(grad.compile(function))
        return made[-1]

    found = []
    for way in (lambda function: function, compile_it):
        grad.manual_seed(0)
        found.append([values(seen) for seen in scenario(way)])
    assert len(found[0]) == len(found[1])
    for number, (eager, compiled) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(compiled, eager, rtol=2e-5, atol=2e-6, err_msg=f"seen {number}")
    replays = [replay for compiled in made for replay in plans_of(compiled)]
    assert replays or not replayed, "nothing was replayed"
    if in_place and replayed:
        assert any(write.in_place for replay in replays for write in replay.writes)


class Step:
    """A training step of a small model."""

    def __init__(self, compile_it: Compile, make: Any = None, size: int = 5) -> None:
        self.weight = numbers(size, 3, seed=1).requires_grad_()
        self.bias = numbers(3, seed=2).requires_grad_()
        self.parameters = [self.weight, self.bias]
        self.optimizer = (make or SGD)(self.parameters)
        self.size = size
        self.call = compile_it(self.step)

    def loss(self, x: grad.Tensor) -> grad.Tensor:
        return ((x @ self.weight + self.bias).tanh() ** 2).mean()

    def step(self, x: grad.Tensor) -> grad.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(x)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, count: int = CALLS, first: int = 0) -> list[Any]:
        return [self.call(numbers(4, self.size, seed=first + n)) for n in range(count)]

    @property
    def state(self) -> list[Any]:
        state = [p.detach() for p in self.parameters]
        for values_of in self.optimizer.state.values():
            state += list(values_of.values())
        return [values(value) for value in state]

    @property
    def gradients(self) -> list[np.ndarray]:
        return [values(p.grad) for p in self.parameters]


def SGD(parameters: Any) -> Any:
    return optim.SGD(parameters, lr=0.1)


OPTIMIZERS = {
    "sgd": SGD,
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}


# -- who holds the old value -----------------------------------------------------------------------
HOLDS: dict[str, Callable[[grad.Tensor], Any]] = {
    "a pending copy": lambda p: p.detach().clone(),
    "a computed copy": lambda p: p.detach().clone().realize(),
    "pending sums": lambda p: p.detach() + 0.0,
    "a sum of rows": lambda p: p.detach().sum(0),
    "a pending product": lambda p: p.detach().T @ p.detach(),
    "an output of a function": lambda p: (p * 2).relu(),
    "a copy of a view": lambda p: p.detach()[1:3].clone(),
    "a contiguous transpose": lambda p: p.detach().T.contiguous(),
    "contiguous": lambda p: p.detach().reshape(-1) * 1,
}


@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_held_values_are_those_of_then(hold: str, optimizer: str) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS[optimizer])
        kept: list[Any] = []
        seen: list[Any] = []
        for number in range(CALLS):
            if number % 2:
                kept.append(HOLDS[hold](step.weight))
            seen += step.run(1, number)
        return [*seen, *kept, *step.state]

    seen_alike(scenario)


VIEWS: dict[str, Callable[[grad.Tensor], Any]] = {
    "rows": lambda p: p[1:4],
    "a row": lambda p: p[2],
    "columns": lambda p: p[:, ::2],
    "transposed": lambda p: p.T,
    "flat": lambda p: p.reshape(-1),
    "detached": lambda p: p.detach(),
    "flipped": lambda p: p.detach().T[::2],
}


@pytest.mark.parametrize("realized", [False, True])
@pytest.mark.parametrize("view", VIEWS)
def test_views_see_the_new_values(view: str, realized: bool) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        with grad.no_grad():
            part = VIEWS[view](step.weight)
        seen: list[Any] = []
        for number in range(CALLS):
            if realized:
                part.realize()
            twice = part * 2  # of the value now
            if number % 2:
                twice.realize()
            step.run(1, number)
            seen += [part.tolist(), twice]
        return seen

    seen_alike(scenario)


@pytest.mark.parametrize("when", ["each", "last"])
def test_going_backward_from_an_earlier_loss(when: str) -> None:
    """Saved values are those of the forward pass, whatever a step has done to the parameters."""

    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        x = numbers(4, 5, seed=9)
        seen: list[Any] = []
        losses = []
        for number in range(CALLS):
            losses.append((step.loss(x), (step.weight * step.weight).sum()))
            step.run(1, number)
            if when == "each":
                seen += grad.autograd.grad(sum(losses[-1]), step.parameters)
        if when == "last":
            for pair in losses:
                seen += grad.autograd.grad(sum(pair), step.parameters)
        return seen

    seen_alike(scenario)


# -- memory shared with others ---------------------------------------------------------------------
def test_arrays_see_the_new_values_while_they_live() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS["adam"])
        seen: list[Any] = []
        array = part = None
        for number in range(12):
            if number == 3:
                array = step.weight.detach().numpy()
            if number == 5:
                assert array is not None
                part = array[1:3]
                array = None
            if number == 9:
                part = None
                gc.collect()
            step.run(1, number)
            if number % 3 == 1 and part is not None:
                part[0] += 1.0  # the other way round
            seen += [step.weight if array is None else array, 0 if part is None else part.copy()]
            seen[-2] = values(seen[-2])
        return [*seen, *step.state]

    seen_alike(scenario)


def test_dlpack_exports_see_the_new_values() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        seen: list[Any] = []
        array = None
        for number in range(9):
            if number == 3:
                array = np.from_dlpack(step.weight.detach())
            if number == 6:
                array = None
            step.run(1, number)
            seen += [values(step.weight), 0 if array is None else array.copy()]
        return seen

    seen_alike(scenario)


def test_parameters_in_the_memory_of_an_array() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        array = np.arange(15, dtype=np.float32).reshape(5, 3) / 10
        step.weight.data = grad.from_numpy(array)
        seen: list[Any] = []
        for number in range(CALLS):
            step.run(1, number)
            seen += [array.copy(), values(step.weight)]
            if number % 2:
                array *= 0.5
        return [*seen, array]

    seen_alike(scenario, replayed=False)


PARTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "all of it": lambda array: array,
    "some rows": lambda array: array[1:4],
    "each other row": lambda array: array[::2],
    "turned": lambda array: array.T,
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_in_parts_of_arrays(name: str, part: str) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        whole = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
        array = PARTS[part](whole)
        weight = grad.from_numpy(array).requires_grad_()
        optimizer = OPTIMIZERS[name]([weight])

        def function(x: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad()
            loss = ((x @ weight.T).tanh() ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        call = compile_it(function)
        seen: list[Any] = []
        for number in range(9):
            seen.append(call(numbers(5, array.shape[1], seed=number)).item())
            seen += [whole.copy(), values(weight)]
            np.testing.assert_array_equal(array, values(weight))
            if number in (1, 5):
                array[0] = 0.5
        return seen

    # What writes to lent memory of others is not recorded.
    seen_alike(scenario, replayed=False)


def test_an_array_is_lent_of_a_value_that_a_copy_shares() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        first, second = numbers(3), grad.zeros(3)
        second.copy_(first)
        second.realize()
        total = grad.zeros(3)

        def function(x: grad.Tensor) -> grad.Tensor:
            total.add_(second)
            return x + second

        call = compile_it(function)
        seen: list[Any] = []
        for number in range(8):
            if number == 4:
                array = first.numpy()
            if number >= 5:
                first.add_(1)
                array += 1
            seen += [call(grad.zeros(3)), second, values(first)]
        return [*seen, total]

    seen_alike(scenario)


def test_gradients_and_results_as_arrays() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        arrays = []
        for number in range(CALLS):
            loss = step.run(1, number)[0]
            if number % 2:
                gradient = step.weight.grad
                assert gradient is not None
                arrays += [loss.detach().numpy(), gradient.numpy()[1:], np.from_dlpack(gradient)]
        return arrays

    seen_alike(scenario)


# -- parameters ------------------------------------------------------------------------------------
def test_data_that_is_replaced() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        other = numbers(5, 3, seed=5)
        seen = step.run(4)
        step.weight.data = other
        seen += step.run(4)
        seen += [other, step.weight]  # one memory
        step.weight.data = other * 2
        seen += step.run(4)
        return [*seen, other, *step.state]

    seen_alike(scenario)


def test_tied_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.out = nn.Linear(4, 7, bias=False)
            self.out.weight = self.embed.weight

        def forward(self, x: grad.Tensor) -> grad.Tensor:
            return self.out(self.embed(x))

    def scenario(compile_it: Compile) -> list[Any]:
        model = Tied()
        optimizer = optim.Adam(model.parameters(), lr=0.05)

        def step(x: grad.Tensor, y: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        call = compile_it(step)
        rng = np.random.default_rng(0)
        pairs = [[grad.tensor(rng.integers(0, 7, 6)) for _ in range(2)] for _ in range(CALLS)]
        return [*(call(*pair) for pair in pairs), model.embed.weight, model.out.weight]

    seen_alike(scenario)


def test_two_parameters_on_one_memory() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        first = numbers(4, 3).requires_grad_()
        second = numbers(4, 3, seed=1).requires_grad_()
        second.data = first.data
        optimizer = optim.SGD([first, second], lr=0.1, momentum=0.5)

        def step(x: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad()
            loss = ((x * first).exp() + second * second).sum()
            loss.backward()
            optimizer.step()
            return loss

        call = compile_it(step)
        return [*(call(numbers(4, 3, seed=n)) for n in range(CALLS)), first, second]

    seen_alike(scenario, in_place=False)


def test_states_that_are_loaded_between_steps() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS["adam"])
        seen = step.run(4)
        saved = {n: v.clone() for n, v in enumerate(step.parameters)}
        state = step.optimizer.state_dict()
        seen += step.run(3, 10)
        with grad.no_grad():
            for n, parameter in enumerate(step.parameters):
                parameter.copy_(saved[n])
        step.optimizer.load_state_dict(state)
        seen += step.run(3, 20)
        return [*seen, *step.state, *saved.values()]

    seen_alike(scenario)


def test_a_model_that_is_loaded_and_moved_to_another_type() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        call = compile_it(step)
        seen = [call(numbers(5, 4, seed=n)) for n in range(4)]
        state = {name: value.clone() for name, value in model.state_dict().items()}
        seen += [call(numbers(5, 4, seed=n)) for n in range(4)]
        model.load_state_dict(state)
        seen += [call(numbers(5, 4, seed=n)) for n in range(4)]
        model.double()
        seen += [call(numbers(5, 4, seed=n).double()) for n in range(4)]
        return [*seen, *model.state_dict().values(), *state.values()]

    seen_alike(scenario)


def test_running_statistics_and_evaluation_between() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())
        optimizer = optim.AdamW(model.parameters(), lr=0.01)

        def step(x: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        train, evaluate = compile_it(step), compile_it(lambda x: model(x))
        seen: list[Any] = []
        for number in range(CALLS):
            model.train()
            seen.append(train(numbers(4, 2, 6, 6, seed=number)))
            model.eval()
            with grad.no_grad():
                seen.append(evaluate(numbers(2, 2, 6, 6, seed=number + 50)))
        return [*seen, *model.state_dict().values()]

    seen_alike(scenario)


def test_steps_with_and_without_compilation_in_turn() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS["adam"])
        seen: list[Any] = []
        for number in range(14):
            x = numbers(4, 5, seed=number)
            seen.append(step.step(x) if number % 3 == 2 else step.call(x))
        return [*seen, *step.state, *step.gradients]

    seen_alike(scenario)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_over_many_steps(name: str) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS[name], size=37)
        return [*step.run(20), *step.state, *step.gradients]

    seen_alike(scenario)


def test_the_same_bits_from_run_to_run() -> None:
    runs = []
    for _ in range(2):
        step = Step(grad.compile, OPTIMIZERS["adamw"], size=67)
        runs.append([*map(values, step.run(20)), *step.state])
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first, second)


# -- gradients -------------------------------------------------------------------------------------
def test_gradients_of_earlier_steps_stay() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it)
        kept: list[Any] = []
        for number in range(12):
            step.run(1, number)
            gradient = step.weight.grad
            assert gradient is not None
            if number % 4 == 1:
                kept.append(gradient)
            if number % 4 == 2:
                kept += [gradient[1:], gradient.T]
            if number % 4 == 3:
                kept += [gradient * 2, gradient.detach()]
            del gradient
        return [*kept, *step.gradients]

    seen_alike(scenario)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "scaled in place": lambda p: p.grad.mul_(0.5),
    "one element": lambda p: p.grad.__setitem__((0, 0), 7.0),
    "set to None": lambda p: setattr(p, "grad", None),
    "another tensor": lambda p: setattr(p, "grad", grad.ones(5, 3)),
    "a view of another": lambda p: setattr(p, "grad", grad.ones(3, 5).T),
    "data": lambda p: setattr(p.grad, "data", grad.ones(5, 3)),
    "zeroed": lambda p: p.grad.zero_(),
    "requires a gradient": lambda p: p.grad.requires_grad_(),
    "by array": lambda p: p.grad.numpy().fill(3.0),
    "backward": lambda p: (p * p).sum().backward(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("to_none", [True, False])
def test_gradients_that_are_changed_between_steps(change: str, to_none: bool) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        weight = numbers(5, 3).requires_grad_()
        optimizer = optim.SGD([weight], lr=0.1, momentum=0.9)

        def step(x: grad.Tensor) -> grad.Tensor:
            optimizer.zero_grad(set_to_none=to_none)
            loss = (x * weight).exp().mean()
            loss.backward()
            optimizer.step()
            return loss

        call = compile_it(step)
        seen: list[Any] = []
        for number in range(12):
            seen.append(call(numbers(5, 3, seed=number)))
            assert weight.grad is not None
            if number in (4, 7, 8):
                CHANGES[change](weight)
                seen.append(0 if weight.grad is None else values(weight.grad))
        return [*seen, weight, weight.grad]

    seen_alike(scenario, in_place=to_none)


def test_gradients_that_are_added_up_and_applied_at_times() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS["adam"])

        def backward(x: grad.Tensor) -> grad.Tensor:
            loss = step.loss(x)
            loss.backward()
            return loss

        def apply() -> None:
            step.optimizer.step()
            step.optimizer.zero_grad()

        add, update = compile_it(backward), compile_it(apply)
        seen: list[Any] = []
        for number in range(16):
            seen.append(add(numbers(4, 5, seed=number)))
            seen += step.gradients
            if number % 4 == 3:
                update()
        return [*seen, *step.state]

    seen_alike(scenario, in_place=False)


def test_a_gradient_that_is_only_dropped() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        weight = numbers(3).requires_grad_()
        weight.grad = grad.ones(3)

        def function(x: grad.Tensor) -> None:
            weight.grad = None
            with grad.no_grad():
                weight.add_(x)

        call = compile_it(function)
        for number in range(CALLS):
            call(numbers(3, seed=number))
            assert weight.grad is None
            weight.grad = grad.ones(3)
        return [weight]

    seen_alike(scenario)


def test_two_kinds_of_batches_in_turn() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        step = Step(compile_it, OPTIMIZERS["adam"])
        seen: list[Any] = []
        for number in range(16):
            seen.append(step.call(numbers(4 if number % 3 else 2, 5, seed=number)))
            seen += step.gradients
        return [*seen, *step.state]

    seen_alike(scenario)


# -- results ---------------------------------------------------------------------------------------
def test_results_that_are_kept() -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        total = numbers(4)

        def function(x: grad.Tensor) -> Any:
            total.mul_(0.5).add_(x)
            return total.sum(), total * 2, [x - total, total[1:] + 1]

        call = compile_it(function)
        kept: list[Any] = []
        for number in range(14):
            first, second, (third, fourth) = call(numbers(4, seed=number))
            kept += [(first,), (second, third), (fourth[1:],), ()][number % 4]
            if number % 5 == 1:
                kept.append(second.detach())
            if number % 5 == 2:
                kept.append(third + 1)
            if number % 5 == 3:
                second.mul_(3)
        return kept

    seen_alike(scenario)


RETURNED: dict[str, Callable[[grad.Tensor, grad.Tensor], Any]] = {
    "itself": lambda p, old: p,
    "a copy": lambda p, old: p.clone(),
    "detached": lambda p, old: p.detach(),
    "what it was": lambda p, old: old,
    "both": lambda p, old: (p.clone(), old, p[1:]),
    "a view": lambda p, old: p[1:3],
    "transposed": lambda p, old: p.T,
    "a copy of a view": lambda p, old: p.T.contiguous(),
    "flat": lambda p, old: (p.reshape(-1), old.reshape(-1)),
    "the difference": lambda p, old: p - old,
}


@pytest.mark.parametrize("returned", RETURNED)
def test_the_updated_memory_is_returned(returned: str) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        total = numbers(4, 3)

        def function(x: grad.Tensor) -> Any:
            old = total.clone()
            total.mul_(0.5).add_(x)
            return RETURNED[returned](total, old)

        call = compile_it(function)
        seen: list[Any] = []
        kept: list[Any] = []
        for number in range(CALLS):
            found = call(numbers(4, 3, seed=number))
            found = found if isinstance(found, tuple) else (found,)
            seen += map(values, found)
            kept += found
            if number == 3:
                found[0].add_(1)
        return [*seen, *kept, total]

    seen_alike(scenario, in_place=False)


# -- what a function does to its memory ------------------------------------------------------------
def _shift(a: Any, b: Any, x: Any) -> None:
    a[1:] = a[:-1].clone()
    a[0] = x[0]


def _shift_plainly(a: Any, b: Any, x: Any) -> None:
    a[1:] = a[:-1]
    b[:-1] = b[1:] * 0.5


def _swap(a: Any, b: Any, x: Any) -> None:
    old = a.clone()
    a.copy_(b)
    b.copy_(old)


def _swap_scaled(a: Any, b: Any, x: Any) -> None:
    old = a * 0.5
    a.copy_(b * 2 + x)
    b.copy_(old)


def _swap_transposed(a: Any, b: Any, x: Any) -> None:
    old = a.T * 0.5
    a.copy_(b.T + x)
    b.copy_(old)


def _decay(a: Any, b: Any, x: Any) -> None:
    a -= a.T * 0.1
    b.mul_(0.9)
    b += b.flip(0) * x


def _square(a: Any, b: Any, x: Any) -> None:
    a.copy_(a @ a * 0.2)
    b.copy_(a @ b * 0.1 + b)


def _epilogue(a: Any, b: Any, x: Any) -> None:
    a -= (x @ b) * 0.1
    b += x.T @ x * 0.01


def _softmax(a: Any, b: Any, x: Any) -> None:
    a.copy_(a.softmax(1) + x)
    b.copy_(b - b.mean(0))


def _running_sums(a: Any, b: Any, x: Any) -> None:
    a.copy_(a.cumsum(0) * 0.2)
    b.copy_((a + b).cumsum(1) * 0.2)


def _chain(a: Any, b: Any, x: Any) -> None:
    a.mul_(0.9).add_(b)
    b.mul_(0.5).add_(a)
    a.add_(b.sum(0))


def _rows_and_columns(a: Any, b: Any, x: Any) -> None:
    a[::2] += a[1::2]
    b[:, 0] = b[:, 1] * 2
    b[1] = b[2]


def _gathered(a: Any, b: Any, x: Any) -> None:
    index = grad.arange(6).flip(0)
    a.copy_(a[index])
    b.index_add_(0, index[:3], b[:3] * 0.1)


def _intermediate_in_place(a: Any, b: Any, x: Any) -> None:
    """An update of the old value that is not the new one."""
    index = grad.arange(3)
    a.copy_((a.index_add(0, index, x[:3]) * 0.5).flip(0))
    b.copy_(b.index_add(0, index, x[:3]) * 0.5)


def _where(a: Any, b: Any, x: Any) -> None:
    a.copy_(a.where(x > 0, b))
    b.copy_(b.where(a > 0, a))


def _rolled(a: Any, b: Any, x: Any) -> None:
    a.copy_(grad.cat([a[1:], a[:1]]) * 0.9)
    b.copy_(grad.cat([x[:, :2], b[:, 2:]], 1))


def _through(a: Any, b: Any, x: Any) -> None:
    """One goes into the other's memory, and the other way round, by way of sums."""
    a_sum, b_sum = a.sum(1, keepdim=True), b.sum(0, keepdim=True)
    a.copy_(b - a_sum * 0.1)
    b.copy_(x - b_sum * 0.1)


UPDATES = [
    _shift, _shift_plainly, _swap, _swap_scaled, _swap_transposed, _decay, _square, _epilogue,
    _softmax, _running_sums, _chain, _rows_and_columns, _gathered, _intermediate_in_place, _where,
    _rolled, _through,
]  # fmt: skip


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.__name__.strip("_"))
def test_updates(update: Callable[..., None], held: bool) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        a, b = numbers(6, 6), numbers(6, 6, seed=1)

        def function(x: grad.Tensor) -> grad.Tensor:
            update(a, b, x)
            return a.sum() + b.sum()

        call = compile_it(function)
        kept: list[Any] = []
        seen: list[Any] = []
        for number in range(CALLS):
            if held:
                kept += [a.clone(), b.clone()]
            seen.append(call(numbers(6, 6, seed=10 + number)))
            if number % 2:
                seen += [values(a), values(b)]
        return [*seen, *kept, a, b]

    seen_alike(scenario, in_place=False)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update.__name__.strip("_"))
def test_updates_of_arguments(update: Callable[..., None], held: bool) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        def function(a: grad.Tensor, b: grad.Tensor, x: grad.Tensor) -> grad.Tensor:
            update(a, b, x)
            return a.sum() + b.sum()

        call = compile_it(function)
        kept: list[Any] = []
        seen: list[Any] = []
        a, b = numbers(6, 6), numbers(6, 6, seed=1)
        for number in range(8):
            if held:
                kept += [a.clone(), b.clone()]
            seen.append(call(a, b, numbers(6, 6, seed=10 + number)))
            if number == 4:
                a, b = b, a
            if number == 5:
                a = numbers(12, 6, seed=3)[3:9]  # in the middle of other memory
        return [*seen, *kept, a, b]

    seen_alike(scenario, in_place=False)


def test_a_cache_that_is_filled() -> None:
    class Attend:
        def __init__(self) -> None:
            self.keys = grad.zeros(2, 8, 4)

        def run(self, keys: grad.Tensor, index: grad.Tensor, key: grad.Tensor) -> grad.Tensor:
            self.keys[:, index] = key
            keys[:, index] = key * 2
            return (keys + self.keys).softmax(1).sum((0, 2))

    def scenario(compile_it: Compile) -> list[Any]:
        attend, keys = Attend(), grad.zeros(2, 8, 4)
        call = compile_it(attend.run)
        seen: list[Any] = []
        for number in range(8):
            if number == 5:
                seen.append(keys.clone())
            seen.append(call(keys, grad.tensor([number]), numbers(2, 1, 4, seed=number)))
        return [*seen, keys, attend.keys]

    seen_alike(scenario, in_place=False)


@pytest.mark.parametrize("size", [1, 2, 7, 16, 17, 31, 63, 65, 129, 257])
def test_sizes_that_fill_no_register(size: int) -> None:
    """What is computed twice at the end of a row must not be read after it is written."""

    def scenario(compile_it: Compile) -> list[Any]:
        weight, tall, flat = numbers(size, 13), numbers(3, size), numbers(size, seed=2)
        right = numbers(8, 13, seed=3)

        def function(x: grad.Tensor) -> grad.Tensor:
            weight.sub_(x.T @ right * 0.01)
            tall.mul_(0.9).add_(x[:3] + x.sum(0))
            flat.mul_(0.5).add_(x.mean(0))
            return x.sum()

        call = compile_it(function)
        seen = [call(numbers(8, size, seed=number)) for number in range(5)]
        return [*seen, weight, tall, flat]

    seen_alike(scenario, in_place=False)


@pytest.mark.parametrize("depth", [3, 600, 5000])
@pytest.mark.parametrize("shape", [(33, 65), (128, 20), (200, 200)])
def test_products_that_end_in_what_they_update(depth: int, shape: tuple[int, int]) -> None:
    def scenario(compile_it: Compile) -> list[Any]:
        weight = numbers(*shape)

        def function(x: grad.Tensor, y: grad.Tensor) -> None:
            weight.mul_(0.9).sub_(x.T @ y * 0.01)

        call = compile_it(function)
        for number in range(4):
            call(numbers(depth, shape[0], seed=number), numbers(depth, shape[1], seed=number))
        return [weight * (100 / depth)]

    seen_alike(scenario, in_place=False)


# -- faults ----------------------------------------------------------------------------------------
class Lookup(Step):
    """A step whose index is checked."""

    def loss(self, x: grad.Tensor) -> grad.Tensor:
        return ((F.embedding(x, self.weight) + self.bias).tanh() ** 2).mean()

    def run(self, count: int = CALLS, first: int = 0) -> list[Any]:
        rng = np.random.default_rng(first)
        return [self.call(grad.tensor(rng.integers(0, 5, 4))) for _ in range(count)]


@pytest.mark.parametrize("wrong", [[0, 1, 2, 5], [-6, 0, 0, 0], [7], [1, 99]])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_failed_check_leaves_everything_as_it_was(name: str, wrong: list[int]) -> None:
    step = Lookup(grad.compile, OPTIMIZERS[name])
    right = grad.tensor([index % 3 for index in range(len(wrong))])
    for _ in range(4):
        step.call(right)
    assert any(write.in_place for replay in plans_of(step.call) for write in replay.writes)
    copies = [p.detach().clone() for p in step.parameters]
    for held in (True, False):
        if not held:
            copies.clear()
        before, gradients = step.state, step.gradients
        for _ in range(2):
            with pytest.raises(IndexError):
                step.call(grad.tensor(wrong))
            for a, b in zip([*before, *gradients], [*step.state, *step.gradients], strict=True):
                np.testing.assert_array_equal(a, b)
        step.call(right)
    twin = Lookup(lambda function: function, OPTIMIZERS[name])
    for _ in range(6):
        twin.call(right)
    for a, b in zip(step.state, twin.state, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_a_failed_check_of_a_cache_that_is_filled() -> None:
    cache, count = grad.zeros(2, 6, 3), grad.zeros(1)

    def function(index: grad.Tensor, key: grad.Tensor) -> grad.Tensor:
        cache[:, index] = key
        count.add_(1)
        return cache.sum()

    call = grad.compile(function)
    for number in range(5):
        call(grad.tensor([number]), numbers(2, 1, 3, seed=number))
    before = values(cache)
    for wrong in (6, -7):
        with pytest.raises(IndexError):
            call(grad.tensor([wrong]), numbers(2, 1, 3))
    np.testing.assert_array_equal(values(cache), before)
    assert count.item() == 5


class ShortPool:
    """A pool of buffers that has no more after so many."""

    def __init__(self, pool: Any, left: int) -> None:
        self.pool = pool
        self.left = left

    def take(self, nbytes: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OutOfMemoryError("by hand")
        return self.pool.take(nbytes)

    def clear(self) -> Any:
        return self.pool.clear()


@pytest.mark.parametrize("held", ["nothing", "copies", "arrays", "gradients"])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_out_of_memory_at_any_point_leaves_everything_as_it_was(
    name: str, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Step(grad.compile, OPTIMIZERS[name])
    twin = Step(lambda function: function, OPTIMIZERS[name])
    x = numbers(4, 5)
    x.realize()
    for each in (step, twin):
        for _ in range(4):
            each.call(x)
    others: list[Any] = {
        "nothing": lambda: [],
        "copies": lambda: [p.detach().clone() for p in step.parameters],
        "arrays": lambda: [p.detach().numpy() for p in step.parameters],
        "gradients": lambda: [p.grad for p in step.parameters],
    }[held]()
    before, gradients = step.state, step.gradients
    kept = [values(other) for other in others]
    failures = 0
    for left in range(40):
        with monkeypatch.context() as patch:
            patch.setattr(buffer, "_pool", ShortPool(buffer._pool, left))
            try:
                step.call(x)
            except OutOfMemoryError:
                failures += 1
            else:
                break
        for a, b in zip([*before, *gradients], [*step.state, *step.gradients], strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(kept, others, strict=True):
            np.testing.assert_array_equal(a, values(b))
    assert failures or held == "nothing"
    twin.call(x)
    for a, b in zip([*twin.state, *twin.gradients], [*step.state, *step.gradients], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_ctrl_c_leaves_no_stale_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt that arrives as soon as a plan has run: whoever looks sees one state."""
    step = Step(grad.compile)
    step.run(4)
    with grad.no_grad():
        view = step.weight[1:].detach()
    view.realize()
    (replay,) = plans_of(step.call)
    plan_class = type(replay.plan)
    honest = plan_class.start

    def interrupted(*arguments: Any) -> Any:
        honest(*arguments)
        raise KeyboardInterrupt

    for held in (False, True):
        copies = [step.weight.detach().clone()] if held else []
        with monkeypatch.context() as patch:
            patch.setattr(plan_class, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                step.run(1, 10)
        np.testing.assert_array_equal(view.tolist(), values(step.weight)[1:])
        del copies
    step.run(2, 20)
    np.testing.assert_array_equal(view.tolist(), values(step.weight)[1:])


def test_threads_that_take_the_same_step() -> None:
    total, other = grad.zeros(64), grad.zeros(64)

    def function(x: grad.Tensor) -> grad.Tensor:
        total.add_(x)
        other.mul_(1.0).add_(x * 2)
        return total + 0.0

    call = grad.compile(function)
    ones = grad.ones(64)
    for _ in range(3):
        call(ones)
    found: list[list[Any]] = [[], []]

    def work(number: int) -> None:
        for _ in range(50):
            found[number].append(call(ones))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.tolist() == [103.0] * 64 and other.tolist() == [206.0] * 64
    rows = np.array([values(result) for results in found for result in results])
    assert (rows == rows[:, :1]).all()
    assert sorted(rows[:, 0]) == list(range(4, 104))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_memory_of_its_own() -> None:
    step, twin = Step(grad.compile), Step(lambda function: function)
    step.run(4)
    twin.run(8)
    child = os.fork()
    if child == 0:
        try:
            step.run(4, 4)
            close = all(
                np.allclose(a, b, rtol=2e-5, atol=2e-6)
                for a, b in zip(step.state, twin.state, strict=True)
            )
            os._exit(0 if close else 1)
        except BaseException:
            os._exit(2)
    before = step.state
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for a, b in zip(before, step.state, strict=True):
        np.testing.assert_array_equal(a, b)
