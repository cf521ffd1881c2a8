"""`grad.testing` beside ``torch.testing``: random tensors of each type, equal messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import ALL_DTYPES

torch = pytest.importorskip("torch")


def outcome(library: Any, actual: Any, expected: Any, **options: Any) -> str:
    """What `assert_close` of a library says of two arrays."""

    def of_library(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: of_library(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [of_library(inner) for inner in value]
        if not isinstance(value, np.ndarray):
            return value
        name = options["name"] if "name" in options else str(value.dtype)
        return library.tensor(value.tolist()).to(getattr(library, name)).reshape(value.shape)

    given = {key: value for key, value in options.items() if key != "name"}
    try:
        library.testing.assert_close(of_library(actual), of_library(expected), **given)
    except (AssertionError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}".replace("grad.", "torch.")
    return "close"


@pytest.mark.parametrize("name", [dtype.name for dtype in ALL_DTYPES if dtype.name[:2] != "ui"])
@pytest.mark.parametrize("tolerances", [{}, {"rtol": 0.01, "atol": 0.5}, {"rtol": 0, "atol": 0}])
@pytest.mark.parametrize("seed", range(4))
def test_messages(name: str, tolerances: dict[str, float], seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = [(), (5,), (3, 4), (2, 3, 2)][seed]
    actual = np.asarray(random.integers(0, 9, shape).astype(np.float64))
    expected = np.where(
        random.random(shape) < 0.5, actual, actual * 1.125 + random.integers(0, 2, shape)
    )
    options = {"name": name, **tolerances}
    assert outcome(grad, actual, expected, **options) == outcome(torch, actual, expected, **options)


one = np.array([1.0, 2.0])
CASES: list[tuple[Any, Any]] = [
    ([one, [one, one + 1]], [one, [one, one]]),
    ({"b": one, "a": {1: one}}, {"a": {1: one * 2}, "b": one * 3}),
    ({"a": one}, {"a": one, "c": one, "b": one}),
    ([one], [one, one]),
    ([one, None], [one, one]),
    (1.5, 2),
    (np.inf, -np.inf),
    (3, 0),
    (one, one[:1]),
    (np.array([np.nan, 1.0, np.inf]), np.array([np.nan, np.nan, -np.inf])),
    (one, 1.0),
    (1j, 2.0 + 1j),
]


@pytest.mark.parametrize(("actual", "expected"), CASES, ids=str)
def test_containers_and_numbers(actual: Any, expected: Any) -> None:
    found = outcome(grad, actual, expected)
    assert found.replace("torch.tensor.Tensor", "torch.Tensor") == outcome(torch, actual, expected)
