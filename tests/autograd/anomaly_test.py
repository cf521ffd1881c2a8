"""`detect_anomaly` finds the call whose gradient is NaN, and switches back."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest

import grad
from grad import autograd


def bad(x: Any) -> Any:
    return x.sqrt() * 0  # at 0, 0 times infinity


def zeros() -> Any:
    return grad.zeros(3, requires_grad=True)


def told(function: Any, error: type[Exception] = RuntimeError, match: str | None = None) -> str:
    """What is warned of when `function` raises."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(error, match=match):
            function()
    assert len(seen) == 1 and seen[0].filename == __file__
    return str(seen[0].message)


@pytest.mark.parametrize("times", [1, 3])  # calls that were seen before are remembered
def test_nan_raises_and_shows_the_call(times: int) -> None:
    for _ in range(times):
        bad(grad.ones(3, requires_grad=True)).sum().backward()
    x = zeros()
    with autograd.set_detect_anomaly(True):
        loss = bad(x).sum()
        message = told(loss.backward, match="'SqrtBackward' returned nan values in its 0th output")
    assert message.startswith("Error detected in SqrtBackward. Traceback of forward call")
    assert message.rstrip().endswith("return x.sqrt() * 0  # at 0, 0 times infinity")
    assert x.grad is None


def test_position_is_that_of_the_argument() -> None:
    x, y = (grad.tensor([v], requires_grad=True) for v in (0.0, grad.inf))
    with autograd.set_detect_anomaly(True):
        lost = (x.detach() * y.detach() * x).sum() + (y.detach() * 0 * y).sum()
        assert told(lost.backward, match="'MulBackward' returned nan values in its 1th output")


def test_calls_from_before_have_no_stack() -> None:
    loss = bad(zeros()).sum()
    with autograd.set_detect_anomaly(True):
        assert "No forward pass information available" in told(loss.backward)


def test_errors_of_functions_are_shown_and_values_not_looked_at() -> None:
    class Refuses(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            raise KeyError("no")

    with autograd.set_detect_anomaly(True, check_nan=False):
        assert grad.is_anomaly_enabled() and not grad.is_anomaly_check_nan_enabled()
        bad(zeros()).sum().backward()
        loss = Refuses.apply(zeros()).sum()
        assert "Error detected in RefusesBackward." in told(loss.backward, KeyError)
    assert not grad.is_anomaly_enabled() and grad.is_anomaly_check_nan_enabled()


def test_gradients_of_gradients_show_both_calls() -> None:
    class Passes(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return bad(grad)

    with autograd.set_detect_anomaly(True):
        x, seed = grad.ones(2, requires_grad=True), grad.zeros(2, requires_grad=True)
        (slope,) = autograd.grad(Passes.apply(x), x, seed, create_graph=True)
        message = told(slope.sum().backward, match="SqrtBackward")
    first, _, second = message.partition("Previous calculation was induced by PassesBackward.")
    assert "return bad(grad)" in first
    assert "autograd.grad(Passes.apply(x), x, seed" in second


def test_switches_nest_and_hold_in_all_threads() -> None:
    seen: list[bool] = []
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        watch = autograd.detect_anomaly()
    assert not grad.is_anomaly_enabled()
    with watch:
        thread = threading.Thread(target=lambda: seen.append(grad.is_anomaly_enabled()))
        thread.start()
        thread.join()
        with autograd.set_detect_anomaly(False):
            assert not grad.is_anomaly_enabled()
        assert grad.is_anomaly_enabled()
    assert seen == [True] and not grad.is_anomaly_enabled()
    autograd.set_detect_anomaly(True)
    assert grad.is_anomaly_enabled()
    grad.set_anomaly_enabled(False)
    assert not grad.is_anomaly_enabled()
    with pytest.raises(TypeError):
        autograd.set_detect_anomaly(1)  # type: ignore[arg-type]


def gradient(x: Any) -> Any:
    x = x.detach().requires_grad_()
    bad(x).sum().backward()
    return x.grad


def watched_gradient(x: Any) -> Any:
    with autograd.set_detect_anomaly(True):
        return gradient(x)


def test_compiled_functions_run_uncompiled() -> None:
    step, watched = grad.compile(gradient), grad.compile(watched_gradient)
    for _ in range(4):
        assert step(grad.ones(3)).tolist() == watched(grad.ones(3)).tolist() == [0, 0, 0]
    assert step.recordings == 1
    assert step(grad.zeros(3)).isnan().all()
    told(lambda: watched(grad.zeros(3)), match="SqrtBackward")
    with autograd.set_detect_anomaly(True):
        told(lambda: step(grad.zeros(3)), match="SqrtBackward")
    assert step(grad.zeros(3)).isnan().all() and step.recordings == 1


def test_transforms_run() -> None:
    def value(x: Any) -> Any:
        return bad(x).sum()

    with autograd.set_detect_anomaly(True):
        told(lambda: grad.func.grad(value)(grad.zeros(3)), match="SqrtBackward")
        assert grad.func.jvp(value, (grad.ones(3),), (grad.ones(3),))[1] == 0
        assert grad.func.vmap(grad.func.grad(value))(grad.ones(2, 3)).shape == (2, 3)
