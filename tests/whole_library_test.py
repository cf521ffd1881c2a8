"""What the library promises as a whole: the first example, how few kernels things take, nothing
compiled twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn, optim
from grad.buffer import get_buffer_memory_stats
from grad.dtype import dtypes
from grad.engine import cache
from grad.tensor import Tensor


def kernels(action: Callable[[], object]) -> int:
    """How many kernels `action` starts."""
    before = cache.kernels
    action()
    return cache.kernels - before


def realized(*shape: int) -> Tensor:
    tensor = Tensor.randn(*shape)
    tensor.realize()
    return tensor


def test_the_original_example_runs() -> None:
    a = Tensor([[1, 2, 3], [4, 5, 6]], dtype=dtypes.float32, requires_grad=True)
    b = Tensor.randn(2, 3, dtype=dtypes.float32, requires_grad=True)
    c = (a * b + Tensor.ones((2, 3))) ** 2
    d = Tensor.arange(24).view(2, 3, 4)
    e = Tensor.permute(d, 2, 0, 1)
    f = Tensor.T(a)
    g = Tensor.zeros((1000, 1000), dtype=dtypes.float16).view(1000000)
    np.testing.assert_allclose(c.to_numpy(), (a.to_numpy() * b.to_numpy() + 1) ** 2, rtol=1e-6)
    np.testing.assert_array_equal(e.to_numpy(), np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1))
    np.testing.assert_array_equal(f.to_numpy(), a.to_numpy().T)
    assert g.shape == (1000000,) and g.dtype is dtypes.float16 and not g.to_numpy().any()
    assert get_buffer_memory_stats()
    c.sum().backward()
    assert a.grad is not None
    product = a.to_numpy() * b.to_numpy() + 1
    np.testing.assert_allclose(a.grad.to_numpy(), 2 * product * b.to_numpy(), rtol=1e-5)


def layer_norm(x: Tensor) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],), Tensor.ones(x.shape[-1]), Tensor.zeros(x.shape[-1]))


@pytest.mark.parametrize(
    ("name", "shapes", "function"),
    [
        ("sum of a product", ((64, 100), (64, 100)), lambda a, b: (a * b).sum()),
        ("softmax", ((64, 784),), lambda x: x.softmax(1)),
        ("softmax over columns", ((64, 784),), lambda x: x.softmax(0)),
        ("log-softmax", ((64, 784),), lambda x: x.log_softmax(1)),
        ("layer norm", ((64, 768),), layer_norm),
        ("linear and relu", ((32, 64), (16, 64), (16,)), lambda x, w, b: F.linear(x, w, b).relu()),
        ("variance", ((64, 768),), lambda x: x.var(1)),
        ("argmax", ((64, 768),), lambda x: x.argmax(1)),
        ("a long chain", ((1000,),), lambda x: ((x * 2 + 1).sigmoid() - x.exp()).abs().sqrt()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_is_one_kernel(
    name: str, shapes: tuple[tuple[int, ...], ...], function: Callable[..., Tensor]
) -> None:
    inputs = [realized(*shape) for shape in shapes]
    assert kernels(lambda: function(*inputs).realize()) == 1


def test_softmax_backward_is_one_kernel() -> None:
    x = Tensor.randn(32, 100, requires_grad=True)
    y = x.softmax(1)
    weights = realized(32, 100)
    y.realize()
    y.backward(weights)
    assert x.grad is not None
    gradient = x.grad
    assert kernels(gradient.realize) == 1


def test_an_adam_step_is_at_most_two_kernels() -> None:
    parameters = [nn.Parameter(Tensor.randn(*shape)) for shape in ((50, 20), (50,), (7, 50), (7,))]
    optimizer = optim.Adam(parameters, lr=1e-3)
    for parameter in parameters:
        parameter.grad = realized(*parameter.shape)
    optimizer.step()  # makes the state
    assert kernels(optimizer.step) <= 2


class TestTraining:
    """A training loop of a perceptron with one hidden layer."""

    def setup_method(self) -> None:
        grad.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-3)
        self.x, self.y = realized(64, 784), Tensor.randint(0, 10, (64,), dtype=dtypes.int64)
        self.y.realize()

    def step(self) -> float:
        loss = F.cross_entropy(self.model(self.x), self.y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def test_a_step_is_at_most_nine_kernels(self) -> None:
        self.step()
        assert kernels(self.step) <= 9

    def test_the_third_step_misses_no_plan(self) -> None:
        self.step()
        self.step()
        before = cache.misses
        self.step()
        assert cache.misses == before

    def test_batches_of_a_data_set_are_one_plan(self) -> None:
        data = realized(640, 784)
        labels = Tensor.randint(0, 10, (640,), dtype=dtypes.int64)
        labels.realize()
        misses = []
        for start in range(0, 640, 64):
            self.x, self.y = data[start : start + 64], labels[start : start + 64]
            self.step()
            misses.append(cache.misses)
        assert len(set(misses[2:])) == 1

    def test_reading_the_loss_computes_nothing_twice(self) -> None:
        self.step()
        loss = F.cross_entropy(self.model(self.x), self.y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        assert kernels(lambda: loss.item()) == 0

    def test_the_loss_falls(self) -> None:
        losses = [self.step() for _ in range(20)]
        assert losses[-1] < 0.5 * losses[0]


def test_a_loop_over_rows_compiles_once() -> None:
    x = realized(40, 30)
    total = Tensor.zeros(30)
    misses = []
    for row in range(40):
        total = (x[row] * 2 + total).realize()
        misses.append(cache.misses)
    assert misses[-1] == misses[3]
    np.testing.assert_allclose(total.numpy(), 2 * x.numpy().sum(0), rtol=1e-4, atol=1e-4)


def test_writing_row_after_row_compiles_once_and_copies_nothing() -> None:
    x = Tensor.zeros(50, 20)
    x.realize()
    misses, places = [], set()
    for row in range(50):
        x[row] = float(row)
        x.realize()
        misses.append(cache.misses)
        buffer = x.node.buffer
        assert buffer is not None
        places.add(buffer.address)
        del buffer
    assert misses[-1] == misses[3]
    assert len(places) <= 2
    np.testing.assert_array_equal(x.numpy(), np.repeat(np.arange(50.0), 20).reshape(50, 20))


def test_a_changing_number_compiles_at_most_twice() -> None:
    x = realized(10)
    before = cache.misses
    for number in range(20):
        np.testing.assert_allclose(
            (x * float(number + 0.5)).numpy(), x.numpy() * (number + 0.5), rtol=1e-6
        )
    assert cache.misses - before <= 2


def test_a_held_costly_value_is_computed_once() -> None:
    x = realized(100)
    costly = x.exp().sin()
    (costly + 1).realize()
    assert kernels(costly.realize) == 0


def test_a_value_nobody_holds_is_not_stored() -> None:
    x = realized(1000, 1000)
    statistics = get_buffer_memory_stats()
    (x.exp().sin() + 1).sum().realize()
    assert get_buffer_memory_stats()["in_use_bytes"] - statistics["in_use_bytes"] < 1_000_000


def test_squares_and_cubes_of_one_shape_keep_their_own_code() -> None:
    x = realized(1000)
    for _ in range(2):
        square, cube = (x**2).numpy(), (x**3).numpy()
        np.testing.assert_array_equal(square, x.numpy() * x.numpy())
        np.testing.assert_allclose(cube, x.numpy() ** 3, rtol=1e-6)
