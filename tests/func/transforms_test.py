"""Gradients, directions and Jacobians: against differences and against each other, nested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import func
from grad.errors import GradientError, InplaceError

random = np.random.default_rng(3)
STEP = 1e-5


def numbers(*shape: int) -> Any:
    return grad.tensor(random.normal(size=shape))


def close(actual: Any, expected: Any, tolerance: float = 1e-8) -> None:
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=1e-6, atol=tolerance
    )


def along(function: Callable[[Any], Any], x: Any, direction: Any) -> Any:
    """The derivative along a direction, by differences."""
    return (function(x + STEP * direction) - function(x - STEP * direction)) / (2 * STEP)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "pointwise": lambda x: x.sin() * x.exp(),
    "softmax": lambda x: x.softmax(-1).log() * x,
    "products": lambda x: (x @ x.mT).tanh() @ x,
    "scans": lambda x: x.cumsum(0) * x.cumprod(-1),
    "reductions": lambda x: x.logsumexp(0) * x.max(1).values.sum() + x.std(),
    "gather": lambda x: x[[0, 1, 1]] * x.sort(0).values[:2].repeat(2, 1)[:3],
    "attention": lambda x: grad.nn.functional.scaled_dot_product_attention(
        x, x.flip(0), x, is_causal=True
    ),
    "convolution": lambda x: grad.nn.functional.conv1d(x[None], x.reshape(2, 3, 2), padding=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_directions_and_jacobians(name: str) -> None:
    function = FUNCTIONS[name]
    x, direction = numbers(3, 4), numbers(3, 4)
    value, tangent = func.jvp(function, (x,), (direction,))
    close(value, function(x))
    close(tangent, along(function, x, direction), 1e-6)
    reverse, forward = func.jacrev(function)(x), func.jacfwd(function)(x)
    assert reverse.shape == (*value.shape, 3, 4)
    close(forward, reverse)
    close((reverse * direction).sum((-2, -1)), tangent)
    again, push = func.linearize(function, x)
    close(again, value)
    close(push(direction), tangent)
    close(func.vmap(push)(grad.stack([direction, -direction]))[1], -tangent)
    _, pull = func.vjp(function, x)
    slope = numbers(*value.shape)
    close((pull(slope)[0] * direction).sum(), (slope * tangent).sum())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_by_all_ways(name: str) -> None:
    weights = numbers(*FUNCTIONS[name](numbers(3, 4)).shape)

    def function(x: Any) -> Any:
        return (FUNCTIONS[name](x) * weights).sum()

    x, direction = numbers(3, 4), numbers(3, 4)
    expected = along(func.grad(function), x, direction)
    for outer in (func.jacrev, func.jacfwd):
        for inner in (func.jacrev, func.jacfwd):
            close((outer(inner(function))(x) * direction).sum((-2, -1)), expected, 1e-6)
    close((func.hessian(function)(x) * direction).sum((-2, -1)), expected, 1e-6)
    close(func.jvp(func.grad(function), (x,), (direction,))[1], expected, 1e-6)
    pulled = func.grad(lambda x: func.jvp(function, (x,), (direction,))[1])(x)
    close(pulled, expected, 1e-6)


def test_hessians_of_each_sample() -> None:
    x = numbers(4, 3)
    found = func.vmap(func.hessian(lambda row: (row**3).prod()))(x)
    for actual, row in zip(found, x):
        close(actual, func.hessian(lambda row: (row**3).prod())(row))


def test_gradient_of_each_sample_with_parameters() -> None:
    parameters = {"w": numbers(4, 2), "b": numbers(2)}
    x = numbers(5, 4)

    def loss(parameters: Any, row: Any) -> Any:
        return ((row @ parameters["w"] + parameters["b"]).tanh() ** 2).sum()

    found = func.vmap(func.grad(loss), (None, 0))(parameters, x)
    for i in range(5):
        expected = func.grad(loss)(parameters, x[i])
        for name, value in expected.items():
            close(found[name][i], value)


def test_levels_do_not_mix() -> None:
    """Perturbation confusion: d/dx (x * d/dy (x + y)) is 1."""
    x = grad.tensor(2.0)
    assert func.grad(lambda x: x * func.grad(lambda y: x + y)(x))(x).item() == 1
    inner = lambda x: func.jvp(lambda y: x + y, (x,), (grad.tensor(1.0),))[1]  # noqa: E731
    assert func.jvp(lambda x: x * inner(x), (x,), (grad.tensor(1.0),))[1].item() == 1


def test_what_requires_a_gradient_afterwards() -> None:
    x, w = numbers(3), numbers(3).requires_grad_()
    assert not func.grad(lambda x: (x**2).sum())(x).requires_grad
    slope, value = func.grad_and_value(lambda x: (x**2).sum() + w.sum())(x)
    assert value.requires_grad and not slope.requires_grad
    slope = func.grad(lambda x: (x**2 * w).sum())(x)
    close(grad.autograd.grad(slope.sum(), w)[0], 2 * x)
    with grad.no_grad():
        assert not func.grad(lambda x: (x**2 * w).sum())(x).requires_grad
    assert w.grad is None and x.grad is None
    assert not func.vjp(lambda x: x * 2, x)[0].requires_grad
    assert not func.grad(lambda t: func.jvp(grad.sin, (x,), (t,))[1].sum())(x).requires_grad


def test_an_input_cannot_be_written_to() -> None:
    """The write would come after the place that the gradient is taken at."""
    for x in (numbers(3), numbers(3).requires_grad_() * 1):
        for write in (lambda x: x.mul_(2), lambda x: (x[0].mul_(2), x)[1]):
            with pytest.raises(InplaceError):
                func.grad(lambda x, write=write: write(x).sum())(x)
        close(func.grad(lambda x: x.clone().mul_(2).sum())(x), grad.full((3,), 2.0))


def test_detached_parts_are_constant_in_both_modes() -> None:
    x = numbers(3)

    def function(x: Any) -> Any:
        with grad.no_grad():
            factor = x.exp()
        return x * factor * x.detach()

    expected = (x.exp() * x) * grad.eye(3)
    close(func.jacrev(function)(x), expected)
    close(func.jacfwd(function)(x), expected)


def test_derivatives_are_those_that_a_function_declares() -> None:
    class Straight(grad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.round()

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            return slope * 3

    class Cut(Straight):
        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            return slope.detach() * 3

    x = numbers(4)
    close(func.jvp(Straight.apply, (x,), (x,))[1], 3 * x)
    close(func.vmap(func.grad(Straight.apply))(x), grad.full((4,), 3.0, dtype=grad.float64))
    with pytest.raises(GradientError, match="no derivative"):
        func.jvp(Cut.apply, (x,), (x,))


def test_structures_of_arguments_and_results() -> None:
    x, y = numbers(2), numbers(3)

    def function(given: Any, other: Any) -> Any:
        return {"sum": given["x"].sum() * other, "other": [other.sin()]}, "besides"

    for transform in (func.jacrev, func.jacfwd):
        found, aux = transform(function, argnums=(1, 0), has_aux=True)({"x": x}, y)
        assert aux == "besides"
        assert found["sum"][0].shape == (3, 3) and found["sum"][1]["x"].shape == (3, 2)
        close(found["other"][0][0], y.cos() * grad.eye(3))
        assert not found["other"][0][1]["x"].numpy().any()
    (slopes,), value = func.grad_and_value(lambda x: (x["a"] ** 2).sum(), argnums=(0,))({"a": x})
    close(slopes["a"], 2 * x)
    close(value, (x**2).sum())


def test_inside_a_compiled_function() -> None:
    def function(x: Any, w: Any) -> Any:
        run = lambda w: ((x @ w).tanh() ** 2).sum()  # noqa: E731
        return func.hessian(run)(w), func.jvp(run, (w,), (w,))[1], func.jacfwd(grad.sin)(w)

    compiled = grad.compile(function)
    for _ in range(4):
        x, w = numbers(3, 2), numbers(2, 2)
        for actual, expected in zip(compiled(x, w), function(x, w)):
            close(actual, expected)
    assert compiled.recordings == 1


OF_COMPILED: dict[str, Callable[[Any, Any], Any]] = {
    "jvp": lambda f, x: func.jvp(f, (x,), (x.cos(),))[1],
    "linearize": lambda f, x: func.linearize(f, x)[1](x.cos()),
    "jacfwd": lambda f, x: func.jacfwd(f)(x),
    "jacrev": lambda f, x: func.jacrev(f)(x),
    "hessian": lambda f, x: func.hessian(f)(x),
    "grad": lambda f, x: func.grad(lambda x: f(x).sum())(x),
    "twice": lambda f, x: func.grad(lambda x: func.grad(lambda y: f(y).sum())(x).sum())(x),
    "mapped": lambda f, x: func.vmap(func.vjp(f, x)[1])(grad.stack([x, x.cos()]))[0],
    "functional": lambda f, x: grad.autograd.functional.hvp(lambda y: f(y).sum(), x, x)[1],
}


@pytest.mark.parametrize("transform", OF_COMPILED)
def test_of_a_compiled_function(transform: str) -> None:
    weight = numbers(3).requires_grad_()
    function = lambda x: (x * weight).sin() * x  # noqa: E731
    compiled = grad.compile(function)
    for _ in range(3):
        compiled(numbers(3))
        compiled(numbers(3).requires_grad_())
    for _ in range(3):
        x = numbers(3)
        close(OF_COMPILED[transform](compiled, x), OF_COMPILED[transform](function, x))


# -- modules ---------------------------------------------------------------------------------------
def test_an_ensemble_of_modules() -> None:
    models = [
        grad.nn.Sequential(grad.nn.Linear(3, 4), grad.nn.BatchNorm1d(4), grad.nn.Linear(4, 2))
        for _ in range(3)
    ]
    for model in models:
        model.eval()
    parameters, buffers = func.stack_module_state(models)
    assert parameters["0.weight"].shape == (3, 4, 3) and parameters["0.weight"].is_leaf
    x = numbers(5, 3).float()

    def run(parameters: Any, buffers: Any, x: Any) -> Any:
        return func.functional_call(models[0], (parameters, buffers), (x,))

    result = func.vmap(run, (0, 0, None))(parameters, buffers, x)
    (result**2).sum().backward()
    for i, model in enumerate(models):
        expected = model(x)
        np.testing.assert_allclose(result[i].detach(), expected.detach(), rtol=1e-5, atol=1e-5)
        (expected**2).sum().backward()
        np.testing.assert_allclose(
            parameters["2.weight"].grad[i], model[2].weight.grad, rtol=1e-4, atol=1e-5
        )


def test_a_functional_call_puts_everything_back() -> None:
    class Twice(grad.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = grad.nn.Linear(2, 2, bias=False)
            self.second = self.first
            self.fail = False

        def forward(self, x: Any) -> Any:
            if self.fail:
                raise ZeroDivisionError
            return self.second(self.first(x))

    model, x = Twice(), grad.ones(2)
    before = model.first.weight
    doubled = {"first.weight": 2 * grad.eye(2)}
    assert func.functional_call(model, doubled, x).tolist() == [4, 4]
    model.fail = True
    with pytest.raises(ZeroDivisionError):
        func.functional_call(model, doubled, x)
    assert model.first.weight is before and model.second.weight is before
    with pytest.raises(ValueError, match="tied"):
        func.functional_call(model, {**doubled, "second.weight": grad.eye(2)}, x)
