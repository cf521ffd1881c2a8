"""Calls of whole functions with a gradient are built again, and give what they gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn
from grad.autograd.rebuilt import rebuilt
from grad.errors import GradientError
from grad.nn import functional as F
from grad.tensor import Tensor

CLASSES = grad.tensor([1, 0, 5, 2])
LSTM = {dtype: nn.LSTMCell(6, 6).to(dtype) for dtype in (grad.float32, grad.float64)}
TIMES = 4


def arrays() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.standard_normal((4, 6)).astype(np.float32) for _ in range(2)]


def leaves(dtype: Any = grad.float32) -> list[Tensor]:
    return [grad.tensor(array, dtype=dtype, requires_grad=True) for array in arrays()]


# Each is called with leaves and with results of operations.
CALLS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "softmax": lambda x, y: x.softmax(1),
    "layer_norm": lambda x, y: F.layer_norm(x, (6,), y[0], y[1]),
    "group_norm": lambda x, y: F.group_norm(x.reshape(1, 4, 6), 2, y[:, 0], y[:, 1]),
    "instance_norm": lambda x, y: F.instance_norm(x.reshape(1, 4, 6), weight=y[:, 0]),
    "batch_norm": lambda x, y: F.batch_norm(x, None, None, y[0], y[1], True),
    "batch_norm in evaluation": lambda x, y: F.batch_norm(
        x, x.new_zeros(6), x.new_ones(6), y[0], y[1]
    ),
    "cat": lambda x, y: grad.cat([x, y, x], 1),
    "einsum": lambda x, y: grad.einsum("ij,kj->ik", x, y),
    "std": lambda x, y: x.std(1),
    "bilinear": lambda x, y: F.interpolate(x.reshape(1, 1, 4, 6), size=(3, 5), mode="bilinear"),
    "max_pool2d": lambda x, y: F.max_pool2d(x.reshape(1, 1, 4, 6), 2),
    "avg_pool2d": lambda x, y: F.avg_pool2d(x.reshape(1, 1, 4, 6), 2),
    "conv1d": lambda x, y: F.conv1d(x.reshape(1, 4, 6), y[:, :4].reshape(4, 4, 1), y[:, 4]),
    "conv2d": lambda x, y: F.conv2d(x.reshape(1, 2, 3, 4), y.reshape(3, 2, 2, 2), y[0, :3]),
    "transposed": lambda x, y: F.conv_transpose1d(x.reshape(1, 4, 6), y.reshape(4, 3, 2)),
    "mse_loss": lambda x, y: F.mse_loss(x, y),
    "bce": lambda x, y: F.binary_cross_entropy_with_logits(x, y.sigmoid()),
    "cross_entropy": lambda x, y: F.cross_entropy(x, CLASSES, reduction="sum"),
    "nll_loss": lambda x, y: F.nll_loss(x * y, CLASSES),
    "one in two places": lambda x, y: F.mse_loss(x, x * y) + grad.cat([x, x]).sum(),
    "lstm cell": lambda x, y: LSTM[x.dtype](x, (y, x)),
    "lstm cell, state alone": lambda x, y: LSTM[x.dtype](x, (y, x))[0],
    "lstm cell, cell alone": lambda x, y: LSTM[x.dtype](x, (y, x))[1],
    "values of topk": lambda x, y: x.topk(2, 1)[0],
}


def total(found: Any) -> Any:
    parts = found if isinstance(found, tuple) else (found,)
    return sum(((part * part).sum() for part in parts), parts[0].new_zeros(()))


def outcome(function: Callable[[Tensor, Tensor], Any], inner: bool) -> list[np.ndarray]:
    """Results and gradients."""
    x, y = leaves()
    found = function(x * 1.5, y.exp()) if inner else function(x, y)
    total(found).backward()
    parts = found if isinstance(found, tuple) else (found,)
    gradients = [leaf.grad for leaf in (x, y) if leaf.grad is not None]
    return [value.detach().numpy() for value in (*parts, *gradients)]


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str, inner: bool) -> None:
    first = outcome(CALLS[name], inner)
    for _ in range(TIMES):
        for before, now in zip(first, outcome(CALLS[name], inner), strict=True):
            np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("name", CALLS)
def test_gradients_of_gradients(name: str) -> None:
    def second() -> list[np.ndarray]:
        x, y = leaves(grad.float64)
        loss = total(CALLS[name](x * x, y * 2))
        first = grad.autograd.grad(loss, (x, y), create_graph=True, allow_unused=True)
        total(tuple(g for g in first if g is not None)).backward()
        return [leaf.grad.numpy() for leaf in (x, y) if leaf.grad is not None]

    first = second()
    for _ in range(TIMES):
        for before, now in zip(first, second(), strict=True):
            np.testing.assert_allclose(now, before, rtol=1e-6, atol=1e-7)


def counted(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """The function, built again, and how often it has run."""
    runs: list[int] = []

    def noted(*args: Any, **kwargs: Any) -> Any:
        runs.append(1)
        return function(*args, **kwargs)

    return rebuilt(noted), runs


def test_the_third_call_runs_no_more() -> None:
    function, runs = counted(lambda x, y: (x * y).tanh() + 1)
    for _ in range(6):
        x, y = leaves()
        function(x, y).sum().backward()
    assert len(runs) == 3  # twice, and once on trial


def test_a_call_is_one_function_of_the_graph() -> None:
    function, _ = counted(lambda x, y: (x * y).tanh() + 1)
    for number in range(4):
        x, y = leaves()
        result = function(x, y)
        assert repr(result.grad_fn) == "<AddBackward>"
        below = [found for found, _ in result.grad_fn.next_functions]
        names = ["AccumulateGrad"] * 2 if number > 1 else ["TanhBackward", "NoneType"]
        assert [found.name() if found else "NoneType" for found in below] == names


def test_whose_gradient_is_wanted_is_part_of_the_call() -> None:
    function, _ = counted(lambda x, y: x * y + y)
    for _ in range(TIMES):
        for wanted in ((True, True), (True, False), (False, True)):
            x, y = (leaf.detach().requires_grad_(w) for leaf, w in zip(leaves(), wanted))
            function(x, y).sum().backward()
            for leaf, expected in ((x, y.detach()), (y, x.detach() + 1)):
                assert (leaf.grad is not None) == leaf.requires_grad
                if leaf.grad is not None:
                    np.testing.assert_array_equal(leaf.grad.numpy(), expected.numpy())
        with grad.no_grad():
            assert not function(*leaves()).requires_grad


def test_saved_values_are_those_of_the_call() -> None:
    function, _ = counted(lambda x, y: x * y * y)
    for _ in range(TIMES):
        x, y = leaves()
        inner = x * 1.0
        loss = function(inner, y).sum()
        with grad.no_grad():
            inner.mul_(10)
            y.mul_(10)
        loss.backward()
        a, b = arrays()
        np.testing.assert_allclose(x.grad.numpy(), b * b, rtol=1e-6)  # type: ignore[union-attr]
        np.testing.assert_allclose(y.grad.numpy(), 2 * a * b, rtol=1e-6)  # type: ignore[union-attr]


def test_a_result_may_be_written_to() -> None:
    function, _ = counted(lambda x, y: (x * y).exp() * 2)
    for _ in range(TIMES):
        x, y = leaves()
        result = function(x, y)
        result.mul_(3)
        result[0] = 0
        result.sum().backward()
        a, b = arrays()
        expected = 6 * b * np.exp(a * b)
        expected[0] = 0
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-5)  # type: ignore[union-attr]


def test_a_freed_graph_is_freed() -> None:
    function, _ = counted(lambda x, y: (x * y).exp() * 2)
    for _ in range(TIMES):
        x, y = leaves()
        loss = function(x, y).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        with pytest.raises(GradientError, match="second time"):
            loss.backward()


def test_hooks_are_called() -> None:
    function, _ = counted(lambda x, y: x * y + y)
    for _ in range(TIMES):
        seen: list[int] = []
        x, y = leaves()
        result = function(x * 1.0, y)
        result.grad_fn.register_hook(lambda given, arrived, seen=seen: seen.append(len(arrived)))
        result.grad_fn.register_prehook(lambda arrived: (arrived[0] * 2,))
        result.register_hook(lambda gradient: gradient * 3)
        result.retain_grad()
        result.sum().backward()
        assert seen == [1]
        np.testing.assert_allclose(x.grad.numpy(), 6 * arrays()[1], rtol=1e-6)  # type: ignore[union-attr]


def test_saved_tensors_hooks_see_every_tensor() -> None:
    function, _ = counted(lambda x, y: (x * y).exp())
    for _ in range(TIMES):
        packed: list[Tensor] = []

        def pack(tensor: Tensor, packed: list[Tensor] = packed) -> Tensor:
            packed.append(tensor)
            return tensor

        x, y = leaves()
        with grad.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = function(x, y).sum()
        loss.backward()
        assert len(packed) == 4


def test_autocast_is_part_of_the_call() -> None:
    for _ in range(TIMES):
        x, y = leaves()
        with grad.autocast("cpu", dtype=grad.bfloat16):
            rounded = F.linear(x, y)
            counted_loss = F.mse_loss(rounded, grad.zeros(4, 4))
        counted_loss.backward()
        assert rounded.dtype is grad.bfloat16 and x.grad is not None
        assert x.grad.dtype is grad.float32
        assert F.linear(x, y).dtype is grad.float32


def test_gradients_add_up_over_calls() -> None:
    function, _ = counted(lambda x, y: x * y)
    for _ in range(TIMES):
        x, y = leaves()
        loss = sum((function(x, y).sum() for _ in range(3)), grad.zeros(()))
        loss.backward()
        loss_again = function(x, y).sum()
        loss_again.backward()
        np.testing.assert_allclose(x.grad.numpy(), 4 * arrays()[1], rtol=1e-6)  # type: ignore[union-attr]


def test_errors_are_raised_every_time() -> None:
    x, y = leaves()
    for _ in range(TIMES):
        with pytest.raises(grad.errors.ShapeError):
            F.group_norm(x, 4, y[0])
