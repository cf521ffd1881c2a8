"""Gradients that a compiled function takes, or that are taken of it: hooks, and whose they are.

Each test runs a scenario twice, with the function as it is and compiled, and compares all it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import grad

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
Scenario = Callable[[Make], list[Any]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def leaf(*values: float) -> grad.Tensor:
    return grad.tensor(list(values)).requires_grad_()


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


# -- hooks -----------------------------------------------------------------------------------------
@scenario
def hooks_of_a_parameter_that_come_and_go(make: Make) -> list[Any]:
    parameter = leaf(1.0, 2.0)

    def step(x: Any) -> Any:
        parameter.grad = None
        (parameter * x).sum().backward()
        return parameter.grad

    step, found = make(step), []
    found += [step(grad.tensor(3.0)).tolist() for _ in range(4)]
    handle = parameter.register_hook(lambda slope: slope * 10)
    found += [step(grad.tensor(3.0)).tolist() for _ in range(4)]
    handle.remove()
    found += [step(grad.tensor(3.0)).tolist() for _ in range(3)]
    parameter.register_post_accumulate_grad_hook(lambda tensor: tensor.grad.mul_(5))
    return found + [step(grad.tensor(3.0)).tolist() for _ in range(4)]


@scenario
def what_a_hook_reads_changes(make: Make) -> list[Any]:
    parameter, factor, found = leaf(1.0, 2.0), [10.0], []
    parameter.register_hook(lambda slope: slope * factor[0])

    def step(x: Any) -> None:
        parameter.grad = None
        (parameter * x).sum().backward()

    step = make(step)
    for number in range(6):
        factor[0] = 10.0 if number < 4 else 2.0
        step(grad.tensor(3.0))
        found.append(parameter.grad.tolist())
    return found


@scenario
def hooks_are_called_once_when_the_gradient_is_taken_outside(make: Make) -> list[Any]:
    parameter, calls, found = leaf(1.0, 2.0), [], []
    function = make(lambda x: (parameter * x * x).sum())
    parameter.register_hook(lambda slope: calls.append(0))
    for _ in range(5):
        parameter.grad = None
        x = leaf(3.0, 4.0)
        x.register_hook(lambda slope: slope * 10)
        function(x).backward()
        found += parameter.grad.tolist(), x.grad.tolist(), len(calls)  # type: ignore[union-attr]
    return found


@scenario
def hooks_of_what_an_argument_was_computed_from(make: Make) -> list[Any]:
    function, found = make(lambda x: (x**2).sum()), []
    for _ in range(5):
        source = leaf(1.0, 2.0)
        x = source * 3
        x.register_hook(lambda slope: slope * 10)
        x.retain_grad()
        function(x).backward()
        found += source.grad.tolist(), x.grad.tolist()
    return found


@scenario
def hooks_of_an_argument_whose_gradient_is_taken_inside(make: Make) -> list[Any]:
    function, found = make(lambda x: grad.autograd.grad((x**2).sum(), x)[0]), []
    for number in range(6):
        x = leaf(1.0, number)
        if number > 3:
            x.register_hook(lambda slope: slope * 10)
        found.append(function(x).tolist())
    return found


@scenario
def hooks_that_the_function_registers(make: Make) -> list[Any]:
    def hook(x: Any) -> Any:
        x.register_hook(lambda slope: slope * 5)
        return (x * 2).sum()

    def keep(x: Any) -> Any:
        inner = x * 2
        inner.retain_grad()
        return inner, (inner * inner).sum()

    hook, keep, found = make(hook), make(keep), []
    for _ in range(5):
        x = leaf(1.0, 2.0)
        hook(x).backward()
        inner, total = keep(x)
        total.backward()
        found += x.grad.tolist(), inner.grad.tolist()
    return found


# -- whose gradients they are ----------------------------------------------------------------------
@scenario
def gradients_that_are_set_on_an_argument(make: Make) -> list[Any]:
    def step(parameter: Any) -> None:
        parameter.grad = None
        (parameter * parameter).sum().backward()

    step, parameters = make(step), [leaf(1.0, number) for number in range(6)]
    for parameter in parameters:
        step(parameter)
    return [parameter.grad.tolist() for parameter in parameters]


@scenario
def gradients_that_are_added_to_an_argument(make: Make) -> list[Any]:
    def add(parameter: Any) -> None:
        (parameter * parameter).sum().backward()

    add, parameters = make(add), [leaf(1.0, number) for number in range(6)]
    for parameter in parameters:
        add(parameter)
        add(parameter)
    return [parameter.grad.tolist() for parameter in parameters]


@scenario
def gradients_of_what_an_argument_was_computed_from(make: Make) -> list[Any]:
    found = []
    for derive in (lambda x: x + 3, lambda x: x * 3, lambda x: x[1:], lambda x: (x + 1).sum()):
        function = make(lambda x: (x + 1).sum().backward())
        for number in range(5):
            source = leaf(1.0, number, 2.0)
            function(derive(source))
            found.append(source.grad.tolist())
    return found


@scenario
def a_gradient_for_a_tensor_from_outside_through_an_argument(make: Make) -> list[Any]:
    source = leaf(1.0, 2.0)
    function = make(lambda x: grad.autograd.grad((x + 1).sum(), source)[0])
    arguments = [source + 1, source + 2, source + 3, source + source, source + source + source]
    return [function(x).tolist() for x in arguments]


@scenario
def two_tensors_on_one_memory_after_one_tensor_twice(make: Make) -> list[Any]:
    function, found = make(lambda x, y: (x * y).sum()), []
    for number in range(8):
        x = leaf(1.0, 2.0)
        y = x if number < 4 else x.detach().requires_grad_()
        function(x, y).backward()
        found += x.grad.tolist(), y.grad.tolist()
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_compiled_as_uncompiled(name: str) -> None:
    assert SCENARIOS[name](grad.compile) == SCENARIOS[name](as_it_is)
