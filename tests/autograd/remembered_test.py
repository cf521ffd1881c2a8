"""A call that is remembered gives, to the bit, what it gave when it was new."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import grad
from grad import Tensor, nn
from grad.autograd import remembered
from grad.dtype import dtypes
from grad.errors import GradientError
from grad.ops.registry import Op, Sample, registry

CASES = [
    pytest.param(row, sample, id=f"{row.name}-{sample}")
    for row in registry()
    if row.gradient and (row.method or row.composite) and dtypes.float32 in row.dtypes
    for sample in row.samples
    if sample.gradient
]


def outcome(row: Op, sample: Sample) -> list[np.ndarray]:
    """The values of a call and the gradients of its operands."""
    arrays = sample.arrays(dtypes.float32)
    operands = [grad.tensor(array) for array in arrays]
    wanted = [x.requires_grad_() for x in operands if x.is_floating_point()]
    results = row.call(*operands, *sample.args, **sample.kwargs)
    results = results if isinstance(results, tuple) else (results,)
    total: Tensor = sum((r * r).sum() for r in results if r.is_floating_point())  # type: ignore[assignment]
    total.backward()
    found = [*results, *(x.grad for x in wanted if x.grad is not None)]
    return [value.detach().numpy() for value in found]


@pytest.mark.parametrize(("row", "sample"), CASES)
def test_operations(row: Op, sample: Sample) -> None:
    grad.manual_seed(3)
    first = outcome(row, sample)
    for _ in range(3):
        grad.manual_seed(3)
        for before, now in zip(first, outcome(row, sample), strict=True):
            np.testing.assert_array_equal(before, now)


def slope(function, *arrays):
    leaves = [grad.tensor(np.float32(array), requires_grad=True) for array in arrays]
    function(*leaves).sum().backward()
    return [leaf.grad.tolist() for leaf in leaves]


def test_one_tensor_in_two_places() -> None:
    for _ in range(4):
        assert slope(lambda x, y: x * y, [2, 3], [5, 7]) == [[5, 7], [2, 3]]
        assert slope(lambda x: x * x, [2, 3]) == [[4, 6]]


def test_whose_gradient_is_wanted_is_part_of_the_call() -> None:
    for _ in range(3):
        assert slope(lambda x: x * grad.tensor([3.0, 4.0]), [1, 2]) == [[3, 4]]
        assert slope(lambda x: grad.tensor([3.0, 4.0]) * x, [1, 2]) == [[3, 4]]
        assert slope(lambda x, y: x * y, [1, 2], [3, 4]) == [[3, 4], [1, 2]]


def test_numbers_are_part_of_the_call() -> None:
    for number in (2.0, 3.0, -0.0, 0.0, 2, 3.0) * 3:
        assert slope(lambda x, n=number: x * n, [1.0]) == [[number]]
        assert np.signbit(slope(lambda x, n=number: x * n, [1.0])[0][0]) == np.signbit(number)


def test_broadcasting_and_types_are_undone() -> None:
    def step():
        x = grad.ones(3, 1, requires_grad=True)
        y = grad.ones(2, 1, 4, dtype=grad.float64, requires_grad=True)
        (x * y).sum().backward()
        return x.grad, y.grad

    for _ in range(4):
        x, y = step()
        assert x.dtype is grad.float32 and x.tolist() == [[8.0]] * 3
        assert y.dtype is grad.float64 and y.tolist() == [[[3.0] * 4]] * 2


def test_gradients_of_gradients() -> None:
    for _ in range(4):
        x = grad.tensor([0.5, 2.0], requires_grad=True)
        (first,) = grad.autograd.grad((x.exp() * x).sum(), x, create_graph=True)
        (second,) = grad.autograd.grad(first.sum(), x)
        np.testing.assert_allclose(second.numpy(), np.exp([0.5, 2]) * [2.5, 4], rtol=1e-6)


def test_saved_values_are_those_of_the_call() -> None:
    for _ in range(4):
        x = grad.tensor([1.0, 2.0], requires_grad=True)
        y = x * 1.0
        z = (y * y).sum()
        with grad.no_grad():
            y.mul_(10)
        z.backward()
        assert x.grad.tolist() == [2.0, 4.0]


def test_a_freed_graph_is_freed() -> None:
    for _ in range(4):
        x = grad.tensor([1.0, 2.0], requires_grad=True)
        y = x.exp().sum()
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(GradientError, match="second time"):
            y.backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([1, 2]), rtol=1e-6)


def test_hooks_are_called() -> None:
    for _ in range(4):
        seen: list[int] = []
        x = grad.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3.0
        y.register_hook(lambda g: g * 2)
        z = y.exp()
        z.grad_fn.register_hook(lambda given, _, seen=seen: seen.append(len(given)))
        z.grad_fn.register_prehook(lambda arrived: (arrived[0] * 0 + 1,))
        z.sum().backward()
        assert seen == [1]
        np.testing.assert_allclose(x.grad.numpy(), 6 * np.exp([3, 6]), rtol=1e-6)


def test_grad_fn_looks_the_same() -> None:
    for _ in range(4):
        x = grad.tensor([1.0, 2.0], requires_grad=True)
        y = (x * 2.0).exp()
        assert repr(y.grad_fn) == "<ExpBackward>"
        ((function, number),) = y.grad_fn.next_functions
        assert (function.name(), number) == ("MulBackward", 0)
        assert y.grad_fn.saved_tensors[1].tolist() == y.tolist()


def test_views_know_their_base() -> None:
    for _ in range(4):
        x = grad.zeros(2, 3, requires_grad=True)
        y = x * 1.0
        row = y[0]
        row.mul_(2)
        row.add_(5)
        (y * y).sum().backward()
        assert y[0].tolist() == [5.0] * 3
        assert x.grad.tolist() == [[20.0] * 3, [0.0] * 3]


def test_kept_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "CALLS_KEPT", 5)
    for size in [*range(1, 20), *range(1, 20)]:
        for _ in range(3):
            assert slope(lambda x: x * x, [2.0] * size) == [[4.0] * size]


def test_training_leaves_no_garbage() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 2))
    optimizer = grad.optim.AdamW(model.parameters(), lr=1e-2)
    x, labels = grad.randn(5, 3), grad.tensor([0, 1, 0, 1, 1])

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    for _ in range(4):
        step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_true_is_not_one() -> None:
    x = grad.tensor([1.5, -2.0], requires_grad=True)
    for _ in range(3):
        assert (1 - x).tolist() == [-0.5, 3.0]
        with pytest.raises(TypeError):
            True - x
