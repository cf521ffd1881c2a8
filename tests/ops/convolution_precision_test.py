"""The precision switch of convolutions: what it says, when it holds, and that gradients follow it.

How exact the kernels are in detail is in `codegen/winograd_test.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F

Array = np.ndarray[Any, Any]
RMS = 1.2e-6  # of the error, for the root mean square of the result; exact sums stay below 5e-7


@pytest.fixture(autouse=True)
def default() -> Iterator[None]:
    yield
    grad.set_float32_convolution_precision("highest")


def _numbers(*shape: int, seed: int = 0, dtype: str = "f") -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


IMAGE, WEIGHT = _numbers(4, 32, 21, 18), _numbers(40, 32, 3, 3, seed=1)


def _forward(dtype: str = "f") -> Any:
    return F.conv2d(grad.tensor(IMAGE.astype(dtype)), grad.tensor(WEIGHT.astype(dtype)), padding=1)


def _error(actual: Array, expected: Array) -> float:
    return float(np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2)))


def test_sums_are_exact_unless_asked_otherwise() -> None:
    assert grad.get_float32_convolution_precision() == "highest"
    assert _error(_forward().numpy(), _forward("d").numpy()) < 5e-7


def test_only_two_words() -> None:
    with pytest.raises(ValueError, match='needs "highest" or "high", got \'medium\''):
        grad.set_float32_convolution_precision("medium")  # type: ignore[arg-type]
    assert grad.get_float32_convolution_precision() == "highest"


def test_switching_back_and_forth() -> None:
    """What is called under a setting has its numbers, whenever it is computed."""
    found: dict[str, list[bytes]] = {"highest": [], "high": []}
    for precision in ("high", "highest", "high", "highest"):
        grad.set_float32_convolution_precision(precision)
        assert grad.get_float32_convolution_precision() == precision
        pending = _forward()
        found[precision].append(_forward().numpy().tobytes())
        grad.set_float32_convolution_precision("high" if precision == "highest" else "highest")
        found[precision].append(pending.numpy().tobytes())
    exact, quick = (set(found[precision]) for precision in ("highest", "high"))
    assert len(exact) == len(quick) == 1
    assert exact != quick


def test_compiled_functions_follow() -> None:
    weight = grad.tensor(WEIGHT)

    @grad.compile
    def compiled(x: Any) -> Any:
        return F.conv2d(x, weight, padding=1)

    for precision in ("highest", "high", "highest", "high"):
        grad.set_float32_convolution_precision(precision)
        for _ in range(4):
            actual = compiled(grad.tensor(IMAGE)).numpy()
            np.testing.assert_array_equal(actual, _forward().numpy())


def test_other_types_stay_as_they_are() -> None:
    for dtype in ("d", "e"):
        exact = _forward(dtype).numpy()
        grad.set_float32_convolution_precision("high")
        if dtype == "d":
            np.testing.assert_array_equal(_forward(dtype).numpy(), exact)
        else:  # computed in float32
            np.testing.assert_allclose(_forward(dtype).numpy(), exact, rtol=2e-3, atol=2e-3)
        grad.set_float32_convolution_precision("highest")


def _gradients(dtype: str) -> list[Array]:
    """First and second derivatives of a loss in which the convolution is squared."""
    x = grad.tensor(IMAGE.astype(dtype), requires_grad=True)
    weight = grad.tensor(WEIGHT.astype(dtype), requires_grad=True)
    bias = grad.tensor(_numbers(40, seed=2, dtype=dtype))
    out = F.relu(F.conv2d(x, weight, bias, padding=1))
    first = grad.autograd.grad((out * out).sum(), [x, weight], create_graph=True)
    ways = [_numbers(*g.shape, seed=3 + n, dtype=dtype) for n, g in enumerate(first)]
    total = sum((g * grad.tensor(way)).sum() for g, way in zip(first, ways, strict=True))
    second = grad.autograd.grad(total, [x, weight])
    return [g.detach().numpy() for g in (out, *first, *second)]


def test_gradients_of_gradients() -> None:
    expected = _gradients("d")
    exact = _gradients("f")
    grad.set_float32_convolution_precision("high")
    for actual, plain, wanted in zip(_gradients("f"), exact, expected, strict=True):
        assert _error(actual, wanted) < 3 * RMS
        assert not np.array_equal(actual, plain)


LAYERS: dict[str, Callable[[], Any]] = {
    "Conv2d": lambda: grad.nn.Conv2d(24, 48, 3, padding=1),
    "groups": lambda: grad.nn.Conv2d(48, 96, 3, padding=1, groups=2),
    "padding_mode": lambda: grad.nn.Conv2d(24, 48, 3, padding=1, padding_mode="reflect"),
    "ConvTranspose2d": lambda: grad.nn.ConvTranspose2d(24, 48, 3, padding=1),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layer = LAYERS[name]()
    x = grad.tensor(_numbers(6, layer.in_channels, 23, 19, seed=5))
    exact = layer(x).detach().numpy()
    expected = layer.double()(x.double()).detach().numpy()
    layer.float()
    grad.set_float32_convolution_precision("high")
    actual = layer(x).detach().numpy()
    assert not np.array_equal(actual, exact)
    assert _error(actual, expected) < RMS
