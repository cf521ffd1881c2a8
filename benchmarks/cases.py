"""What is timed: each case is a function that prepares and returns the call to time.

The cases are written once, in PyTorch's interface, and get the library as an argument: the same
lines run for both. benchmarks/measure.py times them in a process of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Call = Callable[[], Any]


def compute(result: Any) -> None:
    """Make a lazy library compute `result` now; an eager one has done so."""
    if hasattr(result, "realize"):
        result.realize()


def random_array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def training_step(library: ModuleType, batch_size: int = 100) -> Call:
    """The demo's step: 784-256-128-10, cross-entropy, Adam; the loss is read each time."""
    nn = library.nn
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3)
    pixels = library.tensor(random_array(batch_size, 784))
    labels = library.tensor(np.arange(batch_size) % 10)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(pixels), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def matmul(library: ModuleType, size: int = 1024) -> Call:
    a, b = library.tensor(random_array(size, size)), library.tensor(random_array(size, size))
    return lambda: compute(a @ b)


def softmax(library: ModuleType) -> Call:
    x = library.tensor(random_array(4096, 1024))
    return lambda: compute(x.softmax(1))


def small_op(library: ModuleType) -> Call:
    a, b = library.tensor(random_array(2, 3)), library.tensor(random_array(2, 3))
    return lambda: compute(a + b)


def graph_building(library: ModuleType, length: int = 10) -> Call:
    """Ten additions that are never computed by a lazy library; per op, divide by ten."""
    a, b = library.tensor(random_array(2, 3)), library.tensor(random_array(2, 3))

    def chain() -> Any:
        x = a
        for _ in range(length):
            x = x + b
        return x

    return chain


CASES: dict[str, Callable[[ModuleType], Call]] = {
    "training step of the demo": training_step,
    "matmul 1024 x 1024 x 1024": matmul,
    "softmax of 4096 x 1024": softmax,
    "one addition of 2 x 3": small_op,
    "ten additions, not asked for": graph_building,
}
