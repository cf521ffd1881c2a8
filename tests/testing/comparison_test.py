"""`grad.testing.assert_close` accepts and refuses what PyTorch's does, in the same words.

The messages are those of PyTorch 2.13; tests/peers/testing_peer_test.py compares more of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.testing import assert_close

t = grad.tensor
nan, inf = float("nan"), float("inf")

CLOSE: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "itself": (t([1.0, 2.0]), t([1.0, 2.0]), {}),
    "rounding": (t([1.0]), t([1.0 + 1e-6]), {}),
    "near zero": (t([1e-8]), t([1e-9]), {}),
    "infinity": (t([inf]), t([inf]), {}),
    "nothing": (t([]), t([]), {}),
    "NaN, if it may be": (t([nan]), t([nan]), {"equal_nan": True}),
    "numbers that are NaN": (nan, nan, {"equal_nan": True}),
    "given tolerances": (t([1]), t([2]), {"rtol": 0, "atol": 1}),
    "other type, if it may be": (t([1.0]), t([1]), {"check_dtype": False}),
    "numbers of other type": (1, 1.0, {"check_dtype": False}),
    "sequences": ((1, [2.0]), [1, (2.0,)], {}),
    "mappings": ({"a": t([1.0]), "b": None}, {"b": None, "a": t([1.0])}, {}),
    "arrays": (np.array([1.0]), np.array([1.0]), {}),
    "parameters": (grad.nn.Parameter(t([2.0])), t([2.0]), {}),
    "halves": (t([1.0]).half(), t([1.001]).half(), {}),
    "strides that are not asked for": (grad.zeros(2, 3), grad.zeros(3, 2).T, {}),
}


@pytest.mark.parametrize(("actual", "expected", "options"), CLOSE.values(), ids=list(CLOSE))
def test_it_accepts(actual: Any, expected: Any, options: dict[str, Any]) -> None:
    assert_close(actual, expected, **options)


TENSORS = """Tensor-likes are not close!

Mismatched elements: 2 / 3 (66.7%)
Greatest absolute difference: 0.5 at index (2,) (up to 1e-05 allowed)
Greatest relative difference: 0.1428571492433548 at index (2,) (up to 1.3e-06 allowed)"""
MATRICES = """Tensor-likes are not equal!

Mismatched elements: 1 / 4 (25.0%)
Greatest absolute difference: 3 at index (1, 1)
Greatest relative difference: 0.4285714328289032 at index (1, 1)"""
SCALARS = """Scalars are not close!

Expected 2.0 but got 1.0.
Absolute difference: 1.0 (up to 1e-05 allowed)
Relative difference: 0.5 (up to 1.3e-06 allowed)"""
NESTED = """Scalars are not equal!

Expected 3 but got 2.
Absolute difference: 1
Relative difference: 0.3333333333333333

The failure occurred for item ['a'][1]['b']"""
WRONG_NAN = """Tensor-likes are not close!

Mismatched elements: 1 / 2 (50.0%)
Greatest absolute difference: nan at index (1,) (up to 1e-05 allowed)
Greatest relative difference: nan at index (1,) (up to 1.3e-06 allowed)"""
INFINITE = """Tensor-likes are not close!

Mismatched elements: 1 / 2 (50.0%)
Greatest absolute difference: inf at index (0,) (up to 1e-05 allowed)
Greatest relative difference: inf at index (0,) (up to 1.3e-06 allowed)"""
HALVES = """Tensor-likes are not close!

Mismatched elements: 1 / 1 (100.0%)
Greatest absolute difference: 0.1015625 at index (0,) (up to 1e-05 allowed)
Greatest relative difference: 0.09228515625 at index (0,) (up to 0.016 allowed)"""
BYTES = """Tensor-likes are not equal!

Mismatched elements: 1 / 1 (100.0%)
Greatest absolute difference: 100 at index (0,)
Greatest relative difference: 1.0 at index (0,)"""
KEYS = """The keys of the mappings do not match:
Missing keys in the actual mapping: ['b']
Additional keys in the actual mapping: ['a']"""

DIFFERENT: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "tensors": (t([1.0, 2, 3]), t([1.0, 2.1, 3.5]), {}, TENSORS),
    "matrices": (t([[1, 2], [3, 4]]), t([[1, 2], [3, 7]]), {}, MATRICES),
    "tensors without axes": (t(1.0), t(2.0), {}, SCALARS),
    "in containers": ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, {}, NESTED),
    "NaN": (t([1.0, nan]), t([1.0, nan]), {}, WRONG_NAN),
    "infinity": (t([inf, 1.0]), t([1.0, 1.0]), {}, INFINITE),
    "halves": (t([1.0]).bfloat16(), t([1.1]).bfloat16(), {}, HALVES),
    "bytes": (t([200]).to(grad.uint8), t([100]).to(grad.uint8), {}, BYTES),
    "bools": (True, False, {}, "Booleans mismatch: True is not False"),
    "None": (None, 1, {}, "None mismatch: None is not 1"),
    "keys": ({"a": 1}, {"b": 1}, {}, KEYS),
    "lengths": ([1], [1, 2], {}, "The length of the sequences mismatch: 1 != 2"),
    "types of numbers": (
        *(1, 1.0, {}),
        "The (d)types do not match: <class 'int'> != <class 'float'>.",
    ),
    "shapes": (
        *(t([1.0]), t([1.0, 2.0]), {}),
        "The values for attribute 'shape' do not match: torch.Size([1]) != torch.Size([2]).",
    ),
    "types": (
        *(t([1.0]), t([1.0]).double(), {}),
        "The values for attribute 'dtype' do not match: grad.float32 != grad.float64.",
    ),
    "strides": (
        *(grad.zeros(2, 3), grad.zeros(3, 2).T, {"check_stride": True}),
        "The values for attribute 'stride()' do not match: (3, 1) != (1, 2).",
    ),
    "its message": (t([1.0]), t([2.0]), {"msg": "hello"}, "hello"),
    "its message, made": (None, 1, {"msg": "{}!".format}, "None mismatch: None is not 1!"),
}


@pytest.mark.parametrize(
    ("actual", "expected", "options", "message"), DIFFERENT.values(), ids=list(DIFFERENT)
)
def test_it_says_how_they_differ(
    actual: Any, expected: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssertionError) as found:
        assert_close(actual, expected, **options)
    assert str(found.value) == message


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], type[Exception], str]] = {
    "strings": ("a", "b", {}, TypeError, "<class 'str'> and <class 'str'>"),
    "a number and a tensor": (1, t(1), {}, TypeError, "No comparison pair"),
    "a tensor and a list": (t([1.0]), [1.0], {}, TypeError, "No comparison pair"),
    "a type inside": ([1, "a"], [2, "a"], {}, TypeError, r"item \[1\]"),
    "derived classes, if they may not": (
        *(t([1.0]), grad.nn.Parameter(t([1.0])), {"allow_subclasses": False}),
        *(TypeError, "No comparison pair"),
    ),
    "one tolerance": (1.0, 1.0, {"rtol": 0.1}, ValueError, "got no atol"),
    "negative tolerances": (1.0, 1.0, {"rtol": 0, "atol": -1}, RuntimeError, "negative"),
}


@pytest.mark.parametrize(
    ("actual", "expected", "options", "error", "message"), REFUSED.values(), ids=list(REFUSED)
)
def test_it_refuses(
    actual: Any, expected: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        assert_close(actual, expected, **options)


def test_it_looks_at_values_that_require_grad() -> None:
    x = grad.ones(2, requires_grad=True)
    assert_close(x * 2, grad.full((2,), 2.0))
