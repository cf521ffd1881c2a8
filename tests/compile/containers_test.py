"""Containers that a compiled function is given and gives back: which are new, and what is in them.

Each function is called compiled and as it is; both must give the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import grad
from grad import nn

FACTOR = 2.0


def vector(first: float = 1.0) -> Any:
    return grad.tensor([first, 2.0])


# -- which are new ---------------------------------------------------------------------------------
OUTER_LIST = [vector(3.0)]
OUTER = {"list": OUTER_LIST, "value": vector(4.0)}
KEPT: dict[str, Any] = {}


class Configured(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = {"width": 2}

    def forward(self, x: Any) -> dict[str, Any]:
        return {"y": x * 2, "config": self.config}


CONFIGURED = Configured()


def _twice(x: Any) -> Any:
    made = [x * 2]
    return made, made


def _keeping(x: Any) -> Any:
    KEPT["result"] = made = [x * 2]
    return made


def _filled(x: Any) -> Any:
    OUTER["value"] = x * 3
    return OUTER


def _overwritten(x: Any) -> Any:
    OUTER["value"].copy_(x * 3)
    return OUTER


# Functions of a tensor and a list of one; and what must be so of the result and the arguments.
SAME: dict[str, tuple[Callable[..., Any], Callable[..., bool]]] = {
    "outer": (lambda x, given: OUTER_LIST, lambda r, x, given: r is OUTER_LIST),
    "outer, inside": (lambda x, given: [x * 2, OUTER], lambda r, x, given: r[1] is OUTER),
    "of a module": (
        lambda x, given: CONFIGURED(x),
        lambda r, x, given: r["config"] is CONFIGURED.config,
    ),
    "given": (lambda x, given: given, lambda r, x, given: r is given),
    "given, inside": (lambda x, given: (x * 2, given), lambda r, x, given: r[1] is given),
    "twice": (lambda x, given: _twice(x), lambda r, x, given: r[0] is r[1]),
    "new": (lambda x, given: [x * 2], lambda r, x, given: r is not given and len(r) == 1),
    "kept": (lambda x, given: _keeping(x), lambda r, x, given: r is KEPT["result"]),
    "filled": (
        lambda x, given: _filled(x),
        lambda r, x, given: r is OUTER and OUTER["value"].tolist() == (x * 3).tolist(),
    ),
    "overwritten": (
        lambda x, given: _overwritten(x),
        lambda r, x, given: r is OUTER and OUTER["value"].tolist() == (x * 3).tolist(),
    ),
    "a key": (lambda x, given: {x: x * 2}, lambda r, x, given: next(iter(r)) is x),
    "a view, twice": (lambda x, given: (x[:1],) * 2, lambda r, x, given: r[0] is r[1]),
}


@pytest.mark.parametrize("case", SAME)
def test_a_container_that_was_there_is_given_back(case: str) -> None:
    function, holds = SAME[case]
    compiled = grad.compile(function)
    for number in range(6):
        x, given = vector(number), [vector(number)]
        assert holds(compiled(x, given), x, given)


def test_lists_that_are_given_back_do_not_keep_a_function_from_being_replayed() -> None:
    compiled = grad.compile(lambda x, given: {"y": [x * 2], "given": given, "outer": OUTER_LIST})
    for number in range(5):
        x, given = vector(number), {"a": [vector()]}
        result = compiled(x, given)
        assert result["y"][0].tolist() == (x * 2).tolist()
        assert result["given"] is given and result["outer"] is OUTER_LIST
    assert compiled.recordings == 1


def test_a_list_that_is_outer_and_given() -> None:
    compiled = grad.compile(lambda given: OUTER_LIST)
    for _ in range(3):
        assert compiled(OUTER_LIST) is OUTER_LIST
    assert compiled([vector()]) is OUTER_LIST


# -- what is in them -------------------------------------------------------------------------------
@dataclasses.dataclass
class Pair:
    value: Any

    def scaled(self) -> Any:
        return self.value * FACTOR


class Named(NamedTuple):
    value: Any

    def scaled(self) -> Any:
        return self.value * FACTOR


class Listed(list[Any]):
    factor: Any = 1.0


@dataclasses.dataclass
class Doubled:
    value: Any
    more: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.value = self.value * 2
        self.more = self.value + 1
        self.besides = self.value + 2


@pytest.mark.parametrize("kind", [Pair, Named])
def test_a_method_of_an_argument(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = grad.compile(lambda pair: pair.scaled())
    for number in range(6):
        monkeypatch.setitem(globals(), "FACTOR", 2.0 if number < 3 else 5.0)
        assert compiled(kind(vector(number))).tolist() == kind(vector(number)).scaled().tolist()


@pytest.mark.parametrize("make", [Pair, lambda x: Listed([x])])
def test_an_attribute_that_an_argument_has_besides(make: Any) -> None:
    def function(argument: Any) -> Any:
        return (argument.value if hasattr(argument, "value") else argument[0]) * argument.factor

    compiled = grad.compile(function)
    for factor in (2.0, 2.0, 2.0, 3.0, vector(5.0), vector(6.0), vector(7.0)):
        argument = make(vector())
        argument.factor = factor
        assert compiled(argument).tolist() == function(argument).tolist()


def test_a_dataclass_whose_constructor_computes() -> None:
    compiled = grad.compile(lambda x: Doubled(x))
    for number in range(5):
        result = compiled(vector(number))
        assert result.value.tolist() == [2.0 * number, 4.0]
        assert result.more.tolist() == [2.0 * number + 1, 5.0]
        assert result.besides.tolist() == [2.0 * number + 2, 6.0]
    assert compiled.recordings == 1


def test_a_list_of_one_tensor_and_a_tensor_are_other_calls() -> None:
    compiled = grad.compile(lambda x: x[0] * 2)
    for _ in range(4):
        assert compiled([vector()]).tolist() == [2.0, 4.0]
    assert compiled(vector()).tolist() == 2.0
