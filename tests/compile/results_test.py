"""Tensors that a compiled function gives back: their gradients, and whether they are new.

Each function is called compiled and as it is; both must give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn

WEIGHT = grad.arange(6.0).reshape(3, 2).clone()
TRAINED = (WEIGHT * 2).requires_grad_()

VIEWS: dict[str, Callable[[Any], Any]] = {
    "row": lambda x: x[1],
    "transposed": lambda x: x.T,
    "expanded": lambda x: x.expand(2, 3, 2),
    "of a parameter": lambda x: x * TRAINED[1],
    "a parameter's": lambda x: TRAINED.T,
    "beside another": lambda x: (x * 2, x.T),
    "cut off": lambda x: (x * 2, x.detach()),
    "a leaf again": lambda x: x.detach().requires_grad_(),
    "itself": lambda x: x,
}


def gradients(function: Callable[[Any], Any], x: Any) -> list[Any]:
    """Of the argument and the parameter, for a sum over all results; which of these have any."""
    x.grad = TRAINED.grad = None
    results = function(x)
    results = results if isinstance(results, tuple) else (results,)
    wanted = [result.requires_grad for result in results]
    total = x.sum()
    for result in results:
        total = total + result.sin().sum()
    total.backward()
    found = [None if t.grad is None else t.grad.numpy().copy() for t in (x, TRAINED)]
    return [wanted, *found]


@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize("view", VIEWS)
def test_gradients_of_views(view: str, leaf: bool) -> None:
    compiled = grad.compile(VIEWS[view])
    for number in range(5):
        found = []
        for function in (VIEWS[view], compiled):
            x = (WEIGHT.detach() + number).requires_grad_()
            if leaf:
                found.append(gradients(function, x))
            else:
                found.append(gradients(lambda x, f=function: f(x * 3), x))
        np.testing.assert_equal(found[1], found[0])


OUTER: dict[str, Callable[[Any], Any]] = {
    "row": lambda x: WEIGHT[1],
    "transposed": lambda x: WEIGHT.T,
    "all": lambda x: WEIGHT,
}


@pytest.mark.parametrize("view", OUTER)
def test_a_view_is_another_tensor_each_time(view: str) -> None:
    function = OUTER[view]
    compiled = grad.compile(function)
    results = [compiled(grad.ones(1)) for _ in range(4)]
    assert (results[2] is results[3]) == (function(WEIGHT) is function(WEIGHT))
    if view != "all":
        results[3].unsqueeze_(0)  # is nothing to the next one
    assert compiled(grad.ones(1)).shape == function(WEIGHT).shape
    assert compiled.recordings == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"scale_factor": 2, "mode": "bilinear"},
        {"size": (3, 5), "mode": "bicubic", "align_corners": True},
        {"scale_factor": 0.5, "mode": "bilinear", "antialias": True},
    ],
)
def test_a_gradient_that_reads_what_shapes_tell(settings: Any) -> None:
    def function(x: Any) -> Any:
        return nn.functional.interpolate(x, **settings) * 2

    compiled = grad.compile(function)
    for number in range(4):
        found = []
        for run in (function, compiled):
            x = (grad.arange(16.0).reshape(1, 1, 4, 4) + number).requires_grad_()
            (run(x) ** 2).sum().backward()
            found.append(x.grad.numpy())
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    assert "Replayed" in repr(compiled(grad.ones(1, 1, 4, 4).requires_grad_()).grad_fn)


# -- several results -------------------------------------------------------------------------------
def _apart(x: Any, y: Any) -> tuple[Any, Any]:
    return x.sin() * 2, y.cos() * x.detach()


def _together(x: Any, y: Any) -> tuple[Any, Any]:
    hidden = (x * 3).tanh()
    return hidden.sin(), hidden * y.exp()


@pytest.mark.parametrize("function", [_apart, _together])
@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_what_is_not_gone_backward_from_gives_no_gradient(function: Any, used: Any) -> None:
    compiled = grad.compile(function)
    for number in range(5):
        found = []
        for run in (function, compiled):
            x, y = [(WEIGHT[:, 0] + number + n).requires_grad_() for n in range(2)]
            results = run(x, y)
            sum((results[n] * (n + 1) for n in used), start=grad.zeros(3)).sum().backward()
            found.append([None if t.grad is None else t.grad.numpy() for t in (x, y)])
        np.testing.assert_equal([g is None for g in found[1]], [g is None for g in found[0]])
        for mine, its in zip(*found, strict=True):
            if its is not None:
                np.testing.assert_allclose(mine, its, rtol=1e-5)
    assert compiled.recordings == 1


def test_results_that_share_nothing_are_gone_backward_from_one_after_the_other() -> None:
    compiled = grad.compile(_apart)
    for number in range(5):
        found = []
        for run in (_apart, compiled):
            x, y = [(WEIGHT[:, 0] + number + n).requires_grad_() for n in range(2)]
            for result in run(x, y):
                result.sum().backward()
            found.append([x.grad.numpy(), y.grad.numpy()])
        np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


ARRIVING: dict[str, Any] = {
    "clone": lambda x: x.clone(),
    "shifted": lambda x: x + 2,
    "two results": lambda x: (x + 1, x.clone()),
    "through two": lambda x: (x + 1) + 2,
    "to a part": lambda x: (x.clone(), x.detach() * 2),
    "alias": lambda x: x.clone().view_as(x),
}


@pytest.mark.parametrize("name", ARRIVING)
def test_gradients_that_are_all_what_arrives(name: str) -> None:
    function = ARRIVING[name]
    compiled = grad.compile(function)
    for number in range(5):
        found = []
        for call in (function, compiled):
            x = (WEIGHT + number).requires_grad_()
            results = call(x)
            parts = results if isinstance(results, tuple) else (results,)
            slope = grad.ones(parts[0].shape) * number
            sum((part * slope).sum() for part in parts if part.requires_grad).backward()
            kept = x.grad.tolist()
            slope.add_(1)
            assert x.grad.tolist() == kept
            found.append([kept, *(part.tolist() for part in parts)])
        assert found[0] == found[1]
    result = compiled(x)
    result = result[0] if isinstance(result, tuple) else result
    assert "Replayed" in repr(result.grad_fn)


def test_a_sum_of_arriving_gradients_is_not_one_of_them() -> None:
    compiled = grad.compile(lambda x: x.clone())
    for _ in range(5):
        x = WEIGHT.clone().requires_grad_()
        result, slope = compiled(x), grad.ones(*WEIGHT.shape)
        result.backward(slope)
        result = compiled(x)
        result.backward(slope)
        assert (x.grad == 2).all() and (slope == 1).all()


def test_a_gradient_that_is_what_arrives() -> None:
    compiled = grad.compile(lambda x, y: x * 3 + y)
    for number in range(5):
        x, y = [(WEIGHT + n).requires_grad_() for n in range(2)]
        (compiled(x, y) * number).sum().backward()
        assert (x.grad == 3 * number).all() and (y.grad == number).all()
        y.grad.add_(1)
        assert (x.grad == 3 * number).all()
    assert "Replayed" in repr(compiled(x, y).grad_fn)
