"""Sizes that are used often get plans of their own, whoever uses them; the values stay right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor, nn
from grad.engine import cache, sizes
from grad.engine.plan import Plan, Work
from grad.engine.uses import FEWEST_USES, Uses, uses_for
from grad.settings import settings

needs_machine_code = pytest.mark.skipif(
    settings.backend != "cpu", reason="the other backends have no kernels of open sizes"
)
pytestmark = [needs_machine_code, pytest.mark.usefixtures("empty_cache")]

FEW = 5


@pytest.fixture
def few_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "uses_for", lambda steps, kernels: Uses(FEW))


def counting() -> list[Plan]:
    """The plans that count their uses."""
    plans = [plan for family in cache.families.values() for plan in family.plans.values()]
    return [plan for plan in plans if plan.uses is not None]


def product(n: int) -> tuple[Tensor, np.ndarray]:
    random = np.random.default_rng(n)
    a = random.standard_normal((n, 600)).astype(np.float32)
    b = random.standard_normal((600, n)).astype(np.float32)
    return grad.tensor(a) @ grad.tensor(b), a.astype(np.float64) @ b


def run(n: int, times: int) -> None:
    for _ in range(times):
        found, wanted = product(n)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("few_uses")
def test_eager_products_get_their_own_plan_after_some_uses() -> None:
    run(20, 2)
    run(33, 2)
    assert not counting()
    run(37, FEW + 1)
    assert len(counting()) == 1
    run(41, 2)  # another count
    assert len(counting()) == 2
    run(37, 1)
    assert len(counting()) == 1
    before = cache.misses
    run(37, 20)
    assert cache.misses == before


@pytest.mark.usefixtures("few_uses")
def test_only_so_many_sizes_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "OFTEN_USED_PLANS", 2)
    for n in (20, 33, 37, 41, 43, 47):
        run(n, 3 * FEW)
    before = cache.misses
    for n in (37, 41, 43, 47):
        run(n, 3 * FEW)
    assert cache.misses == before
    kept = counting()
    assert len(kept) == 2
    assert all(plan.uses is not None and not plan.uses.over for plan in kept)


@pytest.mark.usefixtures("few_uses")
def test_what_has_no_products_does_not_count() -> None:
    for n in (20, 33, 37, 41):
        x = np.random.default_rng(n).standard_normal((n, 40)).astype(np.float32)
        for _ in range(2 * FEW):
            grad.tensor(x).softmax(1).numpy()
    assert cache.structures.templates == 1
    assert not counting()


@pytest.mark.usefixtures("few_uses")
def test_compiled_products_are_recorded_once_more() -> None:
    w = grad.tensor(np.random.default_rng(0).standard_normal((60, 50)).astype(np.float32))
    function = grad.compile(lambda x: (x @ w).relu())
    recordings = {}
    for n in (20, 33, 37, 41):
        x = np.random.default_rng(n).standard_normal((n, 60)).astype(np.float32)
        given, wanted = grad.tensor(x), np.maximum(x.astype(np.float64) @ w.numpy(), 0)
        before = function.recordings
        for _ in range(4 * FEW):
            np.testing.assert_allclose(function(given).numpy(), wanted, rtol=1e-4, atol=1e-4)
        recordings[n] = function.recordings - before
    assert recordings == {20: 1, 33: 1, 37: 2, 41: 2}
    assert not counting()


def trained(compiled: bool) -> list[np.ndarray]:
    grad.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 4))
    optimizer = grad.optim.Adam(model.parameters(), lr=0.01)

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    called: Callable[..., Tensor] = grad.compile(step) if compiled else step
    random = np.random.default_rng(1)
    losses = []
    for turn in range(12 * FEW):
        n = (20, 33, 37, 41)[turn // 7 % 4]
        x = random.standard_normal((n, 12)).astype(np.float32)
        losses.append(called(grad.tensor(x), grad.tensor(random.integers(0, 4, n))).numpy())
    return [np.array(losses), *(p.detach().numpy() for p in model.parameters())]


@pytest.mark.usefixtures("few_uses")
def test_training_goes_on_where_it_was() -> None:
    wanted = trained(compiled=False)
    cache.clear()
    for found, value in zip(trained(compiled=True), wanted, strict=True):
        np.testing.assert_allclose(found, value, rtol=2e-3, atol=2e-5)


@pytest.mark.usefixtures("few_uses")
def test_gradients_through_a_compiled_function() -> None:
    w = grad.tensor(
        np.random.default_rng(0).standard_normal((60, 50)).astype(np.float32), requires_grad=True
    )
    function = grad.compile(lambda x: (x @ w).square())
    for n in (20, 33, 37, 41):
        x = np.random.default_rng(n).standard_normal((n, 60)).astype(np.float32)
        exact = x.astype(np.float64)
        wanted = exact.T @ (2 * exact @ w.detach().numpy())
        for _ in range(4 * FEW):
            w.grad = None
            function(grad.tensor(x)).sum().backward()
            assert w.grad is not None
            np.testing.assert_allclose(w.grad.numpy(), wanted, rtol=1e-4, atol=1e-3)


def test_uses_are_fewer_of_what_takes_longer() -> None:
    small, large, huge = (
        uses_for([[Work("product", 3 * 4 * n * n, 2.0 * n**3)]], 1).left for n in (8, 512, 1 << 14)
    )
    assert small > large > huge == FEWEST_USES


def test_a_count_ends_and_can_go_on() -> None:
    uses = Uses(2)
    assert [uses.again() for _ in range(4)] == [True, True, False, False]
    assert uses.over
    uses.go_on()
    assert uses.again()
    assert not uses.over
