"""fmod and remainder on any bit patterns: huge quotients, subnormal divisors, special values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad

SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -3.0, 0.1)


def operands(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Random bit patterns, pairs of special values and the smallest and largest numbers."""
    generator = np.random.default_rng(1)
    info = np.finfo(dtype)
    patterns = generator.integers(0, 256, (2, 20_000, info.bits // 8), dtype=np.uint8)
    x, y = patterns.view(dtype)[..., 0]
    special = np.array([*SPECIAL, info.smallest_subnormal, info.tiny, info.max], dtype)
    pairs = np.array(np.meshgrid(special, special), dtype).reshape(2, -1)
    return np.concatenate([x, pairs[0]]), np.concatenate([y, pairs[1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["fmod", "remainder"])
def test_remainders_are_exact(name: str, dtype: Any) -> None:
    x, y = operands(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, y)
    actual = getattr(grad, name)(grad.tensor(x), grad.tensor(y)).numpy()
    np.testing.assert_array_equal(actual, expected)
    signs = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[signs], np.signbit(expected)[signs])
