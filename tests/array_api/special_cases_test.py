"""Every special case of the Array API standard, in float32 and float64 (special_cases.py)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import grad.array_api as xp
from tests.array_api.special_cases import BINARY, CLASSES, CLIP, NUMBERS, REDUCTIONS, UNARY

FLOATS = [xp.float32, xp.float64]
MINUS_NAN = math.copysign(math.nan, -1.0)
SINGLE = {"+0": 0.0, "-0": -0.0, "+inf": math.inf, "-inf": -math.inf, "1": 1.0, "-1": -1.0}


def values(name: str, x1: float = math.nan) -> tuple[float, ...]:
    """The operands that belong to a class."""
    if name in ("=x1", "=-x1"):
        return (x1,) if name == "=x1" else (-x1,)
    return (MINUS_NAN,) if name == "-NaN" else CLASSES[name]


def cases(rows: tuple[tuple[str, ...], ...]) -> Iterator[tuple[tuple[float, ...], str]]:
    """All operands that `rows` are about, and what is expected of each."""
    for *classes, expected in rows:
        for x1 in values(classes[0]):
            for rest in product(*[values(name, x1) for name in classes[1:]]):
                yield (x1, *rest), expected


def is_as_expected(found: Any, expected: str, operands: tuple[float, ...]) -> bool:
    """Whether `found` is what the row says."""
    x1, x2 = operands[0], operands[-1]
    if expected in ("True", "False"):
        return found is (expected == "True")
    negative = math.copysign(1.0, found) < 0
    if expected in ("NaN", "+NaN", "-NaN"):
        return math.isnan(found) and (expected == "NaN" or negative == (expected == "-NaN"))
    if expected.startswith("~"):
        return found == pytest.approx(NUMBERS[expected], rel=1e-6)
    opposite = math.copysign(1.0, x1) != math.copysign(1.0, x2)
    if expected == "sign":
        return negative == opposite
    exact = {
        **SINGLE,
        "0": found if found == 0 else math.nan,
        "x1": x1,
        "x2": x2,
        "-x2": -x2,
        "|x1|": abs(x1),
        "-|x1|": -abs(x1),
        "|x2|": abs(x2),
        "even": x1 - 0.5,
        "signed inf": -math.inf if opposite else math.inf,
        "Python's": x1 % x2 if math.isfinite(x2) and x2 else math.nan,
    }[expected]
    return found == exact and negative == (math.copysign(1.0, exact) < 0)


def check(name: str, rows: tuple[tuple[str, ...], ...], dtype: Any) -> None:
    pairs = list(cases(rows))
    columns = [
        xp.asarray(np.array(column), dtype=dtype) for column in zip(*[case[0] for case in pairs])
    ]
    found = getattr(xp, name)(*columns).tolist()
    wrong = [
        f"{name}{operands} is {value}, not {expected}"
        for (operands, expected), value in zip(pairs, found, strict=True)
        if not is_as_expected(value, expected, operands)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name: str, dtype: Any) -> None:
    check(name, UNARY[name], dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name: str, dtype: Any) -> None:
    check(name, BINARY[name], dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_clip(dtype: Any) -> None:
    check("clip", CLIP, dtype)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize(("name", "elements", "expected"), REDUCTIONS)
def test_reductions(name: str, elements: tuple[float, ...], expected: Any, dtype: Any) -> None:
    found = getattr(xp, name)(xp.asarray(list(elements), dtype=dtype)).item()
    assert type(found) is type(expected)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_a_wrong_result_is_seen() -> None:
    assert not is_as_expected(-0.0, "+0", (1.0,))
    assert not is_as_expected(math.nan, "-NaN", (1.0,))
    assert not is_as_expected(1.5, "NaN", (1.0,))
    assert not is_as_expected(2.0, "sign", (-1.0, 1.0))
