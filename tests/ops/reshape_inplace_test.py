"""Forms in place that change a tensor's shape: memory, views, history, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import grad
from grad.errors import AxisError, DTypeError, GradientError, InplaceError, ShapeError


def test_the_memory_stays_and_views_of_it_too() -> None:
    x = grad.arange(6.0).reshape(1, 6, 1).clone()
    row = x[0]
    assert x.squeeze_() is x and x.shape == (6,) and row.shape == (6, 1)
    x.unsqueeze_(0).transpose_(0, 1)
    assert x.shape == (6, 1) and x.stride() == (1, 6)
    x.t_().add_(1)
    assert row.flatten().tolist() == [1, 2, 3, 4, 5, 6]
    x.as_strided_((2, 2), (1, 2), 1)
    assert x.tolist() == [[2, 4], [3, 5]]


def test_resize_shows_the_memory_in_order() -> None:
    x = grad.arange(6.0).view(2, 3)[:, 1]
    assert x.resize_(2, 2).tolist() == [[1, 2], [3, 4]]
    y = grad.arange(3)
    assert y.resize_(2).tolist() == [0, 1]
    assert y.resize_(3, 2).tolist() == [[0, 1], [2, 0], [0, 0]]
    assert y.resize_as_(grad.zeros(0)).shape == (0,)


def test_memory_that_others_show_does_not_grow() -> None:
    x = grad.arange(3)
    other = x.view(3, 1)
    with pytest.raises(InplaceError, match="grow"):
        x.resize_(5)
    assert x.tolist() == [0, 1, 2] and other.shape == (3, 1)


def test_set_shares_memory() -> None:
    source, x = grad.arange(4.0), grad.zeros(2)
    x.set_(source).mul_(2)
    assert source.tolist() == [0, 2, 4, 6]
    assert x.set_(source, 1, (2,), (2,)).tolist() == [2, 6]
    assert x.set_().shape == (0,)


def test_gradients_go_through() -> None:
    a = grad.ones(1, 3, requires_grad=True)
    b = a * 2
    c = b * b
    b.squeeze_()
    ((b * 3).sum() + c.sum()).backward()
    assert a.grad.tolist() == [[14, 14, 14]] and not b.is_leaf
    a = grad.ones(3, 1, requires_grad=True)
    b = a * 2
    view = b[0:2]
    view.squeeze_().mul_(5)
    b.sum().backward()
    assert a.grad.tolist() == [[10], [10], [2]]


def test_history_without_recording() -> None:
    a = grad.ones(1, 3, requires_grad=True)
    b = a * 2
    with grad.no_grad():
        a.squeeze_()
        b.squeeze_()
    assert a.is_leaf and a.requires_grad and a.shape == (3,)
    assert not b.is_leaf
    (a * grad.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert a.grad.tolist() == [1, 2, 3]


def leaf() -> Any:
    return grad.ones(1, 3, requires_grad=True)


REFUSED: list[tuple[Callable[[], Any], type[Exception]]] = [
    (lambda: leaf().squeeze_(), InplaceError),
    (lambda: leaf()[0:1].squeeze_(), InplaceError),
    (lambda: leaf().resize_(3), GradientError),
    (lambda: leaf().set_(grad.ones(2)), GradientError),
    (lambda: grad.ones(2).set_(leaf()), GradientError),
    (lambda: grad.ones(2).set_(grad.arange(2)), DTypeError),
    (lambda: grad.ones(1, 3).squeeze_(5), AxisError),
    (lambda: grad.ones(2, 2, 2).t_(), ShapeError),
]


@pytest.mark.parametrize(("call", "error"), REFUSED)
def test_refused(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_a_view_from_before_is_not_mistaken() -> None:
    """A base that is recorded only after it changed its shape: its old views cannot follow."""
    x = grad.zeros(2, 3)
    row = x[0]
    x.t_()
    x.mul_(grad.ones(3, 1, requires_grad=True))
    with pytest.raises(InplaceError, match="anew"):
        (row * 2).sum()
    assert x[0].requires_grad


def test_compiled_functions_see_it() -> None:
    inside = grad.compile(lambda x: (x * 2).unsqueeze_(0) + 1)
    outside = grad.ones(2)
    changing = grad.compile(lambda x: outside.unsqueeze_(0) * x)
    for turn in range(4):
        assert inside(grad.ones(2)).tolist() == [[3, 3]]
        assert changing(grad.ones(2)).ndim == turn + 2
