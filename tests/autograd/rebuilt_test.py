"""Calls that nobody differentiates are built again, and give what they gave."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.autograd.rebuilt import rebuilt
from grad.engine import cache
from grad.nn import functional as F
from grad.tensor import Tensor


def tensor(*shape: int, seed: int = 0) -> Tensor:
    return grad.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def counted(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """The function, built again, and how often it has run."""
    runs: list[int] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        runs.append(1)
        return function(*args, **kwargs)

    return rebuilt(noted), runs


CALLS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "softmax": lambda x, y: x.softmax(1),
    "logsumexp": lambda x, y: x.logsumexp(0, True),
    "layer_norm": lambda x, y: F.layer_norm(x, (6,), y[0], y[1]),
    "cat": lambda x, y: grad.cat([x, y, x], 1),
    "stack": lambda x, y: grad.stack((x, y)),
    "einsum": lambda x, y: grad.einsum("ij,kj->ik", x, y),
    "diagonal": lambda x, y: grad.einsum("ii->i", x[:, :4]),
    "std": lambda x, y: x.std(1),
    "clamp": lambda x, y: x.clamp(-0.5, 0.5),
    "median": lambda x, y: x.median(),
    "topk": lambda x, y: x.topk(2, 1),
    "sort": lambda x, y: x.sort(0),
    "lgamma": lambda x, y: x.abs().lgamma(),
    "bilinear": lambda x, y: F.interpolate(x.reshape(1, 1, 4, 6), size=(3, 5), mode="bilinear"),
    "max_pool2d": lambda x, y: F.max_pool2d(x.reshape(1, 1, 4, 6), 2),
    "conv1d": lambda x, y: F.conv1d(x.reshape(1, 4, 6), y[:, :4].reshape(4, 4, 1)),
    "mse_loss": lambda x, y: F.mse_loss(x, y),
    "linear": lambda x, y: F.linear(x, y, y[:, 0]),
    "nll_loss": lambda x, y: F.nll_loss(x, CLASSES),
    "nll_loss, some ignored": lambda x, y: F.nll_loss(x, CLASSES, ignore_index=2),
    "cross_entropy": lambda x, y: F.cross_entropy(x, CLASSES, reduction="sum"),
    "gather": lambda x, y: x.gather(1, CLASSES.reshape(4, 1)),
    "rows": lambda x, y: x[NUMBERS],
    "embedding": lambda x, y: F.embedding(CLASSES.reshape(2, 2), x.new_ones(6, 6) * x[0]),
    "lstm cell": lambda x, y: LSTM(x),
    "gru cell": lambda x, y: GRU(x),
}

CLASSES = grad.tensor([0, 5, 2, 2])
NUMBERS = grad.tensor([[0, -1, 3], [2, 1, -4]])
LSTM, GRU = nn.LSTMCell(6, 5), nn.GRUCell(6, 5)


@pytest.mark.parametrize("name", CALLS)
def test_values_are_the_same_however_often(name: str) -> None:
    call = CALLS[name]
    with grad.no_grad():
        for seed in range(5):  # other values each time
            x, y = tensor(4, 6, seed=seed), tensor(4, 6, seed=100 + seed)
            with grad.enable_grad():  # along the ordinary path
                expected = call(x.clone().requires_grad_(), y)
            found = call(x, y)
            assert type(found) is type(expected)
            pairs = zip(found, expected) if isinstance(found, tuple) else [(found, expected)]
            for a, b in pairs:
                assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride())
                np.testing.assert_array_equal(a.numpy(), b.detach().numpy())


def test_the_third_time_the_function_does_not_run() -> None:
    function, runs = counted(lambda x: (x + 1).exp() * 2)
    for seed in range(5):
        x = tensor(3, seed=seed)
        np.testing.assert_allclose(function(x).numpy(), np.exp(x.numpy() + 1) * 2, rtol=1e-6)
    assert len(runs) == 3  # twice as it is, and once to see what it does


def test_what_differs_is_kept_apart() -> None:
    function, _ = counted(lambda x, n, parts=(): sum(parts, x * n))
    x, y = tensor(3), tensor(3, seed=1)
    cases: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x, 1), {}),
        ((x, True), {}),
        ((x, 1.0), {}),
        ((x, -0.0), {}),
        ((x, 0.0), {}),
        ((x.double(), 1), {}),
        ((x, 1), {"parts": (y,)}),
        ((x, 1), {"parts": [y, x]}),
        ((x, 1), {"parts": [x, x]}),
        ((x.int(), 1), {}),
        ((x.int(), True), {}),
        ((x.int(), 1.0), {}),
    ]
    for _ in range(4):
        for args, kwargs in cases:
            found, n = function(*args, **kwargs), args[1]
            expected: Any = sum(kwargs.get("parts", ()), args[0] * n)
            assert found.dtype is expected.dtype
            np.testing.assert_array_equal(found.numpy(), expected.numpy())
            np.testing.assert_array_equal(np.signbit(found.numpy()), np.signbit(expected.numpy()))


def test_the_default_dtype_counts() -> None:
    function, _ = counted(lambda x: x / 2)
    x = grad.arange(3)
    try:
        for _ in range(4):
            for dtype in (grad.float32, grad.float64):
                grad.set_default_dtype(dtype)
                assert function(x).dtype is dtype
    finally:
        grad.set_default_dtype(grad.float32)


def test_autocast_counts() -> None:
    function, _ = counted(lambda x: (x @ x) + 1)
    x = tensor(3, 3)
    for _ in range(4):
        with grad.autocast("cpu", dtype=grad.bfloat16):
            inside = function(x)
            assert inside.dtype is (x @ x + 1).dtype is grad.bfloat16
        assert function(x).dtype is grad.float32


def test_gradients_are_recorded_after_calls_without() -> None:
    x = tensor(4, 6)
    for _ in range(4):
        assert not x.softmax(1).requires_grad
    y = x.clone().requires_grad_()
    y.softmax(1)[:, 0].sum().backward()
    assert y.grad is not None and np.abs(y.grad.numpy()).max() > 0
    with grad.no_grad():
        assert not y.softmax(1).requires_grad


def test_views_and_what_is_handed_through_stay_so() -> None:
    view, _ = counted(lambda x: x.T)
    same, _ = counted(lambda x: x)
    x = tensor(2, 3)
    for _ in range(4):
        view(x)[0, 0] = 7.0
        assert x[0, 0].item() == 7.0
        x[0, 0] = 1.0
        assert same(x) is x


def test_results_do_not_share_memory() -> None:
    x = tensor(3)
    first, second = (F.gelu(x) for _ in range(2))
    for _ in range(3):
        first, second = F.gelu(x), F.gelu(x)
    first.zero_()
    assert np.abs(second.numpy()).max() > 0


def test_warnings_come_every_time() -> None:
    x, y = tensor(4, 1), tensor(4)
    for _ in range(4):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            F.mse_loss(x, y)
        assert len(seen) == 1 and seen[0].filename == __file__


def test_what_is_done_with_warnings_is_left_alone() -> None:
    found = []

    @rebuilt
    def double(x: Any) -> Any:
        found.append(list(warnings.filters))  # those of all threads
        return x * 2

    for _ in range(4):
        double(tensor(3))
    assert len(found) == 3 and all(filters == warnings.filters for filters in found)


def test_errors_come_every_time() -> None:
    for _ in range(4):
        with pytest.raises(IndexError):
            tensor(3).softmax(2)


BY_NUMBER: dict[str, Callable[[Tensor, Any], Any]] = {
    "tril": lambda x, n: x.tril(n),
    "topk": lambda x, n: x.topk(n).values,
    "kthvalue": lambda x, n: x.kthvalue(n).values,
    "cat": lambda x, n: grad.cat([x, x], n - 1),
    "std": lambda x, n: x.std(correction=n),
    "avg_pool1d": lambda x, n: F.avg_pool1d(x, n),
    "interpolate": lambda x, n: F.interpolate(x[None], n),
    "narrow": lambda x, n: x.narrow(0, n, 2),
    "narrow length": lambda x, n: x.narrow(0, 0, n),
    "matrix_power": lambda x, n: x[:, :4].matrix_power(n),
    "pad": lambda x, n: F.pad(x, (n, 0)),
    "one_hot": lambda x, n: F.one_hot(grad.tensor([0, 0]), n),
    "bincount": lambda x, n: grad.bincount(grad.tensor([0]), minlength=n),
}


@pytest.mark.parametrize("name", BY_NUMBER)
def test_a_number_can_be_a_tensor_of_which_the_value_is_read(name: str) -> None:
    x = tensor(4, 6)
    for n in (1, 1, 1, 2, 1, 2):
        found, expected = (BY_NUMBER[name](x, number) for number in (grad.tensor(n), n))
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_a_result_that_is_not_there_yet_is_a_gradient() -> None:
    x, y, z = tensor(4, 6), tensor(4, 6).requires_grad_(), tensor(4, 6).requires_grad_()
    for _ in range(4):
        weight = x.clamp(0, 1)
        for found in grad.autograd.grad(y + z, (y, z), weight):
            np.testing.assert_array_equal(found.numpy(), x.numpy().clip(0, 1))
        y.grad = None
        (y + z).backward(weight)
        assert y.grad is not None
        np.testing.assert_array_equal(y.grad.numpy(), x.numpy().clip(0, 1))


def test_sources_that_are_pending_are_fused_and_equal_ones_told_apart() -> None:
    x, y = tensor(4, 6), tensor(4, 6, seed=1)
    for _ in range(4):
        for a, b in ((x, y), (x, x), (x + 1, y), (x + 1, x + 1), (x[:2], y[1:3])):
            found = grad.cat([a, b]).numpy()
            np.testing.assert_array_equal(found, np.concatenate([a.numpy(), b.numpy()]))


def test_the_short_way_is_taken_and_follows_the_number_of_threads() -> None:
    x = tensor(64, 64)
    before = grad.get_num_threads()
    cache.clear()
    try:
        for threads in (1, 2, 1, 2):
            grad.set_num_threads(threads)
            for _ in range(3):
                np.testing.assert_allclose(x.softmax(1).numpy().sum(1), 1, rtol=1e-5)
    finally:
        grad.set_num_threads(before)
    x.softmax(1).numpy()
    walks: list[Any] = []
    walk = cache.walk
    cache.walk = lambda roots: walks.append(roots) or walk(roots)  # type: ignore[method-assign]
    try:
        x.softmax(1).numpy()
    finally:
        del cache.walk
    assert not walks


@pytest.mark.parametrize(
    "call",
    [
        lambda index: F.nll_loss(tensor(3, 4), index),
        lambda index: F.cross_entropy(tensor(3, 4), index),
        lambda index: F.embedding(index, tensor(4, 2)),
        lambda index: tensor(4, 2)[index],
        lambda index: tensor(4, 3).gather(0, index.reshape(1, 3)),
    ],
)
def test_indices_are_checked_however_often(call: Callable[[Tensor], Any]) -> None:
    for _ in range(3):
        call(grad.tensor([0, 3, 1]))
        with pytest.raises(IndexError):
            call(grad.tensor([0, 4, 1]))


def test_what_numpy_writes_later_does_not_show() -> None:
    x, lent = tensor(3, 4), np.array([0, 3, 1])
    index = grad.from_numpy(lent)
    for _ in range(4):
        lent[...] = [0, 3, 1]
        found, loss = x.gather(1, index.reshape(3, 1)), F.nll_loss(x, index)
        lent[...] = 99
        np.testing.assert_array_equal(found.numpy()[:, 0], x.numpy()[range(3), [0, 3, 1]])
        np.testing.assert_allclose(loss.item(), -found.numpy().mean(), rtol=1e-6)


def test_who_looks_below_a_result_finds_its_operations() -> None:
    x = tensor(4, 6)
    for _ in range(4):
        found = x.softmax(1)
        node = found.node
        assert not node.is_realized
        assert node.src and node.op.name == "mul"
        np.testing.assert_array_equal(found.numpy(), x.softmax(1).numpy())
        assert node.is_realized and not node.src


def test_results_are_used_further_before_they_are_there() -> None:
    expected = None
    for _ in range(5):
        x = tensor(4, 6)
        found = ((x.softmax(1) + 1).exp() * x.softmax(1)).sum().item()
        expected = found if expected is None else expected
        assert found == expected
