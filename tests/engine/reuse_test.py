"""Results take the memory of values that nobody needs any more, and never of one that somebody
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.engine.realize import cache, realize
from grad.graph.host import host, hosted
from grad.optim import SGD, AdamW
from grad.schedule import reuse
from grad.tensor import Tensor

LARGE = (256, 300)


@pytest.fixture(autouse=True)
def _small_ones_too(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reuse, "SMALLEST_BYTES", 4)
    cache.clear()
    yield
    cache.clear()


@hosted
def never_there(result: Any, x: Any) -> None:
    raise ArithmeticError("never")


def large(seed: int = 0) -> Tensor:
    return grad.tensor(np.random.default_rng(seed).standard_normal(LARGE).astype(np.float32))


def updated(x: Tensor) -> Tensor:
    """`x` after an update that takes its memory, if it may."""
    x.add_(1).mul_(2)
    return x


def test_parameters_and_moments_stay_where_they_are() -> None:
    model = nn.Linear(64, 32)
    optimizer = AdamW(model.parameters())
    x = grad.randn(8, 64)
    places = []
    for _ in range(5):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        moments = [optimizer.state[model.weight][n] for n in ("exp_avg", "exp_avg_sq")]
        tensors = [model.weight, model.bias, *moments]
        places.append([tensor.data_ptr() for tensor in tensors])
    assert places[2] == places[3] == places[4]


def test_steps_are_those_of_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[Any]:
        grad.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 40), nn.GELU(), nn.Linear(40, 5))
        optimizer = AdamW(model.parameters(), lr=0.01)
        x = grad.randn(16, 20)
        for _ in range(6):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
        return [p.detach().numpy().copy() for p in model.parameters()]

    found = trained()
    monkeypatch.setattr(reuse, "SMALLEST_BYTES", 1 << 60)
    cache.clear()
    for a, b in zip(found, trained(), strict=True):
        np.testing.assert_array_equal(a, b)


HOLDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "a copy": lambda x: x.clone(),
    "a cheap function": lambda x: x * 3,
    "what it is made of": lambda x: (x * 3).relu() - 1,
    "a costly function": lambda x: (x @ x.mT).exp(),
    "a sum": lambda x: x.sum(0),
    "a transposed copy": lambda x: x.T.clone(),
    "a part": lambda x: x[3:9].clone(),
}


@pytest.mark.parametrize("name", HOLDERS)
@pytest.mark.parametrize("with_it", [True, False], ids=["computed with it", "computed after"])
def test_who_holds_the_old_value_keeps_it(name: str, with_it: bool) -> None:
    for seed in range(3):
        x = large(seed) + 0.0
        expected = HOLDERS[name](grad.tensor(x.numpy().copy())).numpy()
        held = HOLDERS[name](x)
        further = held + 1
        updated(x)
        if with_it:
            total = x.sum() + further.sum()  # one plan has both
            total.item()
        x.numpy()
        np.testing.assert_allclose(held.numpy(), expected, rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(further.numpy(), expected + 1, rtol=2e-5, atol=1e-5)


def test_what_a_gradient_needs_is_kept() -> None:
    x, w = large() + 0.0, large(1).requires_grad_()
    kept = x.numpy().copy()
    loss = (w * x.square()).sum()
    updated(x.detach()).sum().item()
    loss.backward()
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy(), kept**2, rtol=1e-6)
    np.testing.assert_array_equal(x.numpy(), (kept + 1) * 2)


def test_what_numpy_has_is_not_written() -> None:
    x = large() + 0.0
    array = np.asarray((x * 1.0).numpy())
    y = grad.tensor(array)
    z = y * 2 + 1
    del y
    before = array.copy()
    z.numpy()
    np.testing.assert_array_equal(array, before)


def test_steps_that_may_raise_write_nothing() -> None:
    x = grad.eye(16) + 0.0
    x.numpy()
    updated(x)
    failing = Tensor._wrap(host(never_there, [x.node], x.shape, x.dtype))
    with pytest.raises(ArithmeticError, match="never"):
        realize((x.node, failing.node))
    np.testing.assert_array_equal(x.numpy(), (np.eye(16) + 1) * 2)


@pytest.mark.parametrize("seed", range(12))
def test_any_program(seed: int) -> None:
    """Values, views and updates at random, against NumPy, which does all of it at once."""
    random = np.random.default_rng(seed)
    start = random.integers(-4, 5, (6, 8)).astype(np.float32)
    pairs: list[tuple[Tensor, np.ndarray]] = [(grad.tensor(start) + 0.0, start.copy())]

    def any_pair() -> tuple[Tensor, np.ndarray]:
        return pairs[random.integers(len(pairs))]

    for _ in range(120):
        (x, a), (y, b) = any_pair(), any_pair()
        match random.integers(9):
            case 0:
                pairs.append((x + y, a + b) if a.shape == b.shape else (x * 1.0, a * 1))
            case 1:
                pairs.append(((x * 2).relu() - 1, np.maximum(a * 2, 0) - 1))
            case 2:
                x.add_(1).clamp_(-9, 9)
                np.clip(a + 1, -9, 9, out=a)
            case 3 if a.shape == b.shape:
                x.sub_(y).clamp_(-9, 9)
                np.clip(a - b, -9, 9, out=a)
            case 4 if len(a) > 2:
                pairs.append((x[1:], a[1:]))
            case 5:
                np.testing.assert_array_equal(x.numpy().copy(), a)
            case 6 if len(pairs) > 1:
                pairs.pop(random.integers(len(pairs)))
            case 7:
                x.mul_(x.sign())
                a *= np.sign(a)
            case _:
                pairs.append((x.clone(), a.copy()))
        del pairs[12:], x, y
    for x, a in pairs:
        np.testing.assert_array_equal(x.numpy(), a)


def test_momentum_and_a_held_parameter() -> None:
    model = nn.Linear(32, 32, bias=False)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = []
    for _ in range(4):
        before.append((model.weight.detach() * 1, model.weight.detach().numpy().copy()))
        model.weight.grad = grad.ones(32, 32)
        optimizer.step()
        model.weight.sum().item()
    for held, values in before:
        np.testing.assert_array_equal(held.numpy(), values)
