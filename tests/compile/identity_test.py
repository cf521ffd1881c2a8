"""Which object an argument is: a replay gives what the function gives that asks `x is w`.

Each case makes a function and calls of it, which are made one after the other, four times each,
compiled and as they are.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import grad

Case = tuple[Callable[..., Any], list[Callable[[], tuple[Any, ...]]]]
CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def vector(first: float = 1.0) -> Any:
    return grad.tensor([first, 2.0])


def once(value: Any) -> list[Callable[[], tuple[Any, ...]]]:
    """Calls with another tensor, with `value`, with another handle on its memory, and again."""
    other = vector()
    return [lambda: (other,), lambda: (value,), lambda: (value.detach(),), lambda: (value,)]


# -- tensors ---------------------------------------------------------------------------------------
@case
def a_tensor_of_a_closure() -> Case:
    weight = vector()
    return lambda x: x * (2 if x is weight else 3), once(weight)


@case
def the_tensor_first() -> Case:
    weight = vector()
    return lambda x: x * (2 if x is weight else 3), once(weight)[1:]


@case
def an_attribute() -> Case:
    settings = types.SimpleNamespace(weight=vector())
    return lambda x: x * (2 if x is settings.weight else 3), once(settings.weight)


@case
def an_attribute_of_an_argument() -> Case:
    settings = types.SimpleNamespace(weight=vector())
    calls = [lambda: (vector(), settings), lambda: (settings.weight, settings)]
    return lambda x, settings: x * (2 if x is settings.weight else 3), calls  # type: ignore[return-value]


@case
def a_member_of_a_set() -> Case:
    weight = vector()
    members = {weight}
    return lambda x: x * (2 if x in members else 3), once(weight)


@case
def a_member_of_a_frozen_set() -> Case:
    weight = vector()
    members = frozenset((weight,))
    return lambda x: x * (2 if x in members else 3), once(weight)


@case
def a_key_of_a_dictionary() -> Case:
    weight = vector()
    factors = {weight: 5.0}
    return lambda x: x * factors.get(x, 1.0), once(weight)


@case
def a_part_of_a_key() -> Case:
    weight = vector()
    factors = {(weight, 1): 5.0}
    return lambda x: x * factors.get((x, 1), 1.0), once(weight)


@case
def a_gradient() -> Case:
    weight = vector().requires_grad_()
    (weight * weight).sum().backward()
    return lambda x: x * (2 if x is weight.grad else 3), once(weight.grad)


@case
def an_identity() -> Case:
    weight = vector()
    factors = {id(weight): 5.0}
    return lambda x: x * factors.get(id(x), 1.0), once(weight)


@case
def a_hash() -> Case:
    weight = vector()
    factors = {hash(weight): 5.0}
    return lambda x: x * sum(factors.get(h, 1.0) for h in map(hash, [x])), once(weight)


@case
def a_tensor_inside_of_an_argument() -> Case:
    weight, other = vector(), vector()
    calls = [lambda: ({"a": other},), lambda: ({"a": weight},)]
    return lambda values: values["a"] * (2 if values["a"] is weight else 3), calls  # type: ignore[return-value]


# -- containers ------------------------------------------------------------------------------------
@case
def a_list() -> Case:
    known = [1.0]
    calls = [lambda: (vector(), [1.0]), lambda: (vector(), known)]
    return lambda x, values: x * (2 if values is known else 3), calls  # type: ignore[return-value]


@case
def a_default() -> Case:
    none: Any = {}

    def function(x: Any, **options: Any) -> Any:
        return x * (2 if options.get("more", none) is none else 3)

    calls = [lambda: (vector(), {}), lambda: (vector(), none)]
    return lambda x, more: function(x, more=more), calls  # type: ignore[return-value]


@case
def two_lists_or_one() -> Case:
    one = [1.0]
    calls = [lambda: (vector(), [1.0], [1.0]), lambda: (vector(), one, one)]
    return lambda x, a, b: x * (2 if a is b else 3), calls  # type: ignore[return-value]


# -- memory ----------------------------------------------------------------------------------------
@case
def an_argument_is_written_and_its_memory_read() -> Case:
    weight = vector()

    def function(x: Any) -> Any:
        before = weight * 2
        x.add_(1)
        return before + weight

    return function, once(weight)


@case
def a_view_of_what_is_read_is_written() -> Case:
    weight = vector()

    def function(x: Any) -> Any:
        before = weight * 2
        x.mul_(2)
        return before + weight

    return function, [lambda: (vector()[:1],), lambda: (weight[:1],), lambda: (weight[1:],)]


@pytest.mark.parametrize("name", CASES)
def test_as_uncompiled(name: str) -> None:
    found = []
    for wrap in (grad.compile, lambda function: function):
        function, calls = CASES[name]()
        function = wrap(function)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it stays compiled
            found.append([function(*make()).tolist() for make in calls for _ in range(4)])
    assert found[0] == found[1]


def test_each_of_a_few_tensors_has_a_recording() -> None:
    weight = vector()
    compiled = grad.compile(lambda x: x * (2 if x is weight else 3))
    for _ in range(10):
        assert compiled(vector()).tolist() == [3.0, 6.0]
        assert compiled(weight).tolist() == [2.0, 4.0]
    assert compiled.recordings == 2
