"""Memory that an update takes over is not read again: nobody is left who would compute it anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad.engine.realize import realize
from grad.graph.host import host, hosted

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


@hosted
def never_there_either(result: Any, x: Any) -> None:
    raise ArithmeticError("never")


def test_an_update_beside_what_raises_is_made_once() -> None:
    """Whoever tries again starts from what was there."""
    index, ones = grad.tensor([0, 1]), grad.ones(2)
    x = grad.zeros(4) + 0.0
    for turn in range(1, 4):
        x = x.index_add(0, index, ones)
        failing = grad.Tensor._wrap(host(never_there_either, [x.node], (4,), x.dtype))
        with pytest.raises(ArithmeticError, match="never"):
            realize((x.node, failing.node))
        np.testing.assert_array_equal(x.numpy(), [turn, turn, 0, 0])
