"""Which gradients tensors keep: `retain_grad` beside writes in place, and ``backward(inputs=)``."""

from __future__ import annotations

import pytest

import grad
from grad import Tensor


def leaf(*values: float) -> Tensor:
    return grad.tensor(values, requires_grad=True)


def test_a_write_in_place_takes_it_along() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    (y * y).sum().backward()
    assert y.retains_grad and y.grad is not None
    assert y.grad.tolist() == [12.0, 24.0]  # of y as it is, not as it was
    assert x.grad is not None and x.grad.tolist() == [72.0, 144.0]


@pytest.mark.parametrize("write", ["fill_", "copy_", "__setitem__"])
def test_after_each_kind_of_write(write: str) -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.retain_grad()
    if write == "__setitem__":
        y[0] = x[1]
    else:
        getattr(y, write)(x.sum())
    y.add_(x)
    (y * grad.tensor([5.0, 7.0])).sum().backward()
    assert y.grad is not None and y.grad.tolist() == [5.0, 7.0]


def test_views_of_what_was_written_to() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    view = y[:1]
    y.retain_grad()
    view.retain_grad()
    view.mul_(2)
    (y * view).sum().backward()
    assert y.grad is not None and y.grad.tolist() == [18.0, 6.0]
    assert view.grad is not None and view.grad.tolist() == [12.0]
    base = x * 3
    view = base[:1]
    view.retain_grad()
    base.mul_(2)
    (base * view).sum().backward()
    assert view.retains_grad and view.grad is not None and view.grad.tolist() == [18.0]


def test_writes_that_are_compiled() -> None:
    @grad.compile
    def twice(y: Tensor, x: Tensor) -> None:
        y.mul_(2).add_(x)

    for _ in range(4):
        x = leaf(1.0, 2.0)
        y = x * 3
        y.retain_grad()
        twice(y, x)
        (y * y).sum().backward()
        assert y.grad is not None and y.grad.tolist() == [14.0, 28.0]


def test_inputs_that_keep_theirs_get_it_once() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward(inputs=[y, x], retain_graph=True)
    assert y.grad is not None and y.grad.tolist() == [4.0, 8.0]
    assert x.grad is not None and x.grad.tolist() == [8.0, 16.0]


def test_inputs_keep_theirs_from_then_on() -> None:
    x = leaf(1.0, 2.0)
    y = x * 2
    loss = (y * y).sum()
    loss.backward(inputs=[y], retain_graph=True)
    assert y.retains_grad and x.grad is None
    loss.backward()
    assert y.grad is not None and y.grad.tolist() == [8.0, 16.0]


def test_inputs_call_who_waits_for_their_gradient() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seen: list = []
    for name, tensor in (("x", x), ("y", y)):
        tensor.register_post_accumulate_grad_hook(
            lambda tensor, name=name: seen.append((name, tensor.grad.tolist()))
        )
    (x * y).sum().backward(inputs=[x])
    assert seen == [("x", [3.0, 4.0])] and y.grad is None
