"""Memory that an update takes over is not read again: nobody is left who would compute it anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad

AROUND: dict[str, Callable[[Any], Any]] = {
    "flip": lambda x: x.flip(0),
    "cheap": lambda x: x * 0.5,
    "cheap and flip": lambda x: (x * 0.5).flip(0),
    "reshape": lambda x: x.reshape(-1).reshape(4, 3),
    "slice": lambda x: grad.cat([x[1:], x[:1]]),
}


@pytest.mark.parametrize("around", AROUND)
def test_a_pending_value_that_is_made_of_an_update(around: str) -> None:
    """Computing a sum of it first must not leave it to start from the updated memory."""
    x, wanted = grad.zeros(4, 3), np.zeros((4, 3), np.float32)
    index = grad.tensor([0, 1])
    for turn in range(4):
        ones = grad.ones(2, 3)
        x = AROUND[around](x.index_add(0, index, ones))
        wanted[:2] += 1
        wanted = np.ascontiguousarray(AROUND[around](grad.tensor(wanted)).numpy())
        assert x.sum().item() == wanted.sum(), turn
        assert (x * 2).sum().item() == 2 * wanted.sum(), turn
    np.testing.assert_array_equal(x.numpy(), wanted)
