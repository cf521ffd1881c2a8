"""Checkpointing: the same values and gradients to the bit, in much less memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.autograd.graph import saved_tensors_hooks
from grad.errors import ArgumentError, CheckpointError
from grad.tensor import Tensor
from grad.utils.checkpoint import checkpoint, checkpoint_sequential

Call = Callable[..., Any]


def plainly(function: Call, *args: Any, **kwargs: Any) -> Any:
    """In place of `checkpoint`."""
    for option in ("use_reentrant", "preserve_rng_state"):
        kwargs.pop(option, None)
    return function(*args, **kwargs)


def equal(first: Any, second: Any) -> bool:
    return np.array_equal(first.numpy(force=True), second.numpy(force=True))


def block(width: int = 16, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width), nn.Tanh()
    )


def images() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())


def rows() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.Softmax(1))


class Attention(nn.Module):
    """Attention over its input, with dropout."""

    def forward(self, x: Any) -> Any:
        return x + nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.25)


KINDS = {
    "layers": (block, (8, 16)),
    "dropout": (lambda: block(dropout=0.5), (8, 16)),
    "layer norm": (rows, (8, 16)),
    "images": (images, (2, 4, 6, 6)),
    "attention": (Attention, (2, 5, 16)),
    "in place": (lambda: nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True)), (8, 16)),
}


def trained(kind: str, call: Call, compiled: bool) -> list[Any]:
    """Losses of three steps, then parameters and buffers, of three blocks called through `call`."""
    make, shape = KINDS[kind]
    grad.manual_seed(3)
    model = nn.ModuleList([make() for _ in range(3)])
    weights = [*model.parameters()] or [nn.Parameter(grad.ones(shape))]
    optimizer = optim.SGD(weights, lr=0.1)
    x = grad.randn(*shape)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        value = x * weights[0] if weights[0].shape == shape else x
        for part in model:
            value = call(part, value, use_reentrant=False)
        loss = (value * value).mean()
        loss.backward()
        optimizer.step()
        return loss

    run = grad.compile(step) if compiled else step
    losses = [run(x) for _ in range(4)]
    return [*losses, *weights, *model.buffers(), grad.rand(3)]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_to_the_bit(kind: str, compiled: bool) -> None:
    expected = trained(kind, plainly, compiled)
    actual = trained(kind, checkpoint, compiled)
    assert all(map(equal, expected, actual))


def peak_of_step(call: Call, compiled: bool) -> int:
    """Bytes that a step of a deep network takes at its peak, on top of what there is before."""
    grad.manual_seed(0)
    model = nn.ModuleList([block(64) for _ in range(12)])
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    x = grad.randn(2048, 64).realize()

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        value = x
        for part in model:
            value = call(part, value, use_reentrant=False)
        loss = (value * value).mean()
        loss.backward()
        optimizer.step()
        return loss

    run = grad.compile(step) if compiled else step
    for _ in range(3):
        run(x).item()
    gc.collect()
    before = grad.get_buffer_memory_stats()["in_use_bytes"]
    largest = 0
    taken = grad.buffer._pool.take

    def take(nbytes: int) -> Any:
        nonlocal largest
        found = taken(nbytes)
        stats = grad.get_buffer_memory_stats()
        largest = max(largest, stats["in_use_bytes"])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grad.buffer._pool, "take", take)
        run(x).item()
    return largest - before


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_deep_network_takes_less_than_half_the_memory(compiled: bool) -> None:
    assert peak_of_step(checkpoint, compiled) < peak_of_step(plainly, compiled) / 2


def test_memory_is_saved_when_the_loss_is_read_before_backward() -> None:
    """What nobody holds any more is not kept, and runs again from the blocks' inputs."""
    model = nn.ModuleList([block() for _ in range(3)])
    value = grad.randn(8, 16)
    for part in model:
        value = checkpoint(part, value)
    loss = value.sum()
    loss.item()
    loss.backward()
    found = [p.grad for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    assert all(gradient is not None for gradient in found)


def test_arguments_of_all_sorts() -> None:
    grad.manual_seed(0)
    a, b = grad.randn(3, 4, requires_grad=True), grad.randn(3, 4, requires_grad=True)
    index = grad.tensor([2, 0, 1])

    def function(a: Any, power: int, pair: Any, *, index: Any, name: str) -> Any:
        assert power == 2 and name == "here"
        first, second = pair
        return {"sum": (a * first).exp() + second, "taken": a[index] ** power, "name": name}

    gradients = []
    for call in (plainly, checkpoint):
        result = call(function, a, 2, [b, 3.0], index=index, name="here")
        assert result["name"] == "here"
        total = result["sum"].sum() + (result["taken"] * 2).sum()
        gradients.append(grad.autograd.grad(total, (a, b)))
    assert all(map(equal, *gradients))


def test_nested() -> None:
    grad.manual_seed(1)
    inner, outer = block(), block()
    x = grad.randn(8, 16, requires_grad=True)
    calls = 0

    def both(call: Call, x: Any) -> Any:
        nonlocal calls
        calls += 1
        return outer(call(inner, outer(x)))

    found = []
    for call in (plainly, checkpoint):
        y = call(both, call, x)
        found.append(grad.autograd.grad((y * y).sum(), (x, *inner.parameters())))
    assert all(map(equal, *found))
    assert calls == 3  # once plainly, twice with checkpoints


def test_gradients_of_gradients() -> None:
    grad.manual_seed(1)
    part = block()
    x = grad.randn(4, 16, requires_grad=True)
    found = []
    for call in (plainly, checkpoint):
        y = call(part, x)
        (slope,) = grad.autograd.grad(y.sum(), x, create_graph=True)
        inputs = (x, *part.parameters())
        found.append(grad.autograd.grad((slope * slope).sum(), inputs, allow_unused=True))
    plain, again = found
    assert [g is None for g in plain] == [g is None for g in again]
    assert all(equal(a, b) for a, b in zip(plain, again, strict=True) if a is not None)


def test_backward_twice() -> None:
    x = grad.randn(4, 16, requires_grad=True)
    y = checkpoint(lambda x: (x.exp() * x).sin(), x).sum()
    y.backward(retain_graph=True)
    first = x.grad.clone()
    y.backward()
    assert equal(x.grad, first * 2)
    with pytest.raises(grad.errors.GradientError, match="second time"):
        y.backward()


def test_gradient_outside_of_a_compiled_function() -> None:
    """The gradients of a compiled forward pass are a second plan, which computes again."""
    grad.manual_seed(1)
    part, x = block(dropout=0.5), grad.randn(4, 16)
    found = []
    for call in (plainly, checkpoint):
        grad.manual_seed(2)
        forward = grad.compile(lambda x, call=call: (call(part, x) ** 2).sum())
        for _ in range(4):
            part.zero_grad()
            forward(x).backward()
        found.append([p.grad for p in part.parameters()])
    assert all(map(equal, *found))


def test_in_segments() -> None:
    grad.manual_seed(1)
    model = nn.Sequential(*[block() for _ in range(5)])
    x = grad.randn(4, 16, requires_grad=True)
    plain = grad.autograd.grad(model(x).sum(), [x, *model.parameters()])
    for segments in (1, 2, 5):
        y = checkpoint_sequential(model, segments, x, use_reentrant=False)
        assert all(map(equal, grad.autograd.grad(y.sum(), [x, *model.parameters()]), plain))
    with pytest.raises(ArgumentError, match="segments=6"):
        checkpoint_sequential(model, 6, x)


def test_values_are_not_held() -> None:
    """Nodes inside die with the call, and what was kept dies with the backward pass."""
    x = grad.randn(4, 16, requires_grad=True)
    inside: list[Any] = []

    def function(x: Any) -> Any:
        middle = x.exp()
        inside.append(weakref.ref(middle.node))
        return middle.sin() * 2

    given = x * 3
    start = weakref.ref(given.node)
    y = checkpoint(function, given)
    total = y.sum()
    del given, y
    total.realize()
    assert inside[0]() is None
    total.backward()
    assert inside[1]() is not None  # the gradient of x is pending
    x.grad.realize()
    assert inside[1]() is None and start() is None


def test_fresh_random_numbers() -> None:
    x = grad.ones(1000, requires_grad=True)
    y = checkpoint(lambda x: nn.functional.dropout(x * x), x, preserve_rng_state=False)
    before = grad.get_rng_state()
    (g,) = grad.autograd.grad(y.sum(), x)
    assert not grad.equal(grad.get_rng_state(), before)
    assert not equal(g != 0, y != 0)


def test_a_parameter_that_has_changed_is_noticed() -> None:
    part = nn.Linear(4, 4)
    y = checkpoint(part, grad.ones(2, 4, requires_grad=True))
    with grad.no_grad():
        part.weight.mul_(2)
    with pytest.raises(CheckpointError, match="written to since"):
        y.sum().backward()


def test_a_function_that_does_something_else_is_noticed() -> None:
    rounds: list[int] = []

    def another_count(x: Any) -> Any:
        rounds.append(0)
        for _ in rounds:
            x = x.exp()
        return x

    def another_shape(x: Any) -> Any:
        rounds.append(0)
        return (x[: len(rounds)]).exp().sum()

    def other_numbers(x: Any) -> Any:
        rounds.append(0)
        return x * (grad.rand(2) if len(rounds) == 1 else grad.rand(2) * grad.rand(2))

    for function, message in (
        (another_count, "tensors for backward the first"),
        (another_shape, "was float32 of shape"),
        (other_numbers, "draws other random"),
    ):
        rounds.clear()
        y = checkpoint(function, grad.ones(2, requires_grad=True))
        with pytest.raises(CheckpointError, match=message):
            y.sum().backward()


def test_an_argument_may_change() -> None:
    x = grad.full((3,), 2.0)
    w = grad.ones(3, requires_grad=True)
    y = checkpoint(lambda x, w: (x * w).exp(), x, w)
    x.fill_(5.0)
    y.sum().backward()
    assert np.allclose(w.grad.numpy(), 2 * np.exp(2.0))


def test_without_gradients_it_is_a_call() -> None:
    with grad.no_grad():
        y = checkpoint(lambda x: x * 2, grad.ones(2, requires_grad=True))
    assert not y.requires_grad


def test_contexts_around_the_runs() -> None:
    entered: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            entered.append(self.name)

        def __exit__(self, *exception: Any) -> None:
            entered.append(f"/{self.name}")

    x = grad.ones(2, requires_grad=True)
    y = checkpoint(Tensor.exp, x, context_fn=lambda: (Named("first"), Named("second")))
    y.sum().backward()
    assert entered == ["first", "/first", "second", "/second"]


# -- the hooks -------------------------------------------------------------------------------------
def test_hooks_keep_what_they_like() -> None:
    x = grad.randn(5, requires_grad=True)
    packed: list[Any] = []

    def pack(tensor: Any) -> Any:
        packed.append(tensor.shape)
        return tensor.detach().numpy().copy()

    with saved_tensors_hooks(pack, grad.from_numpy):
        y = x.exp() * x.sin()
    assert len(packed) >= 3
    (g,) = grad.autograd.grad(y.sum(), x, create_graph=True)
    assert np.allclose(g.numpy(force=True), (x.exp() * (x.sin() + x.cos())).numpy(force=True))
    (h,) = grad.autograd.grad(g.sum(), x)
    assert np.allclose(h.numpy(), (2 * x.exp() * x.cos()).numpy(force=True), atol=1e-5)


def test_an_unpack_hook_must_return_a_tensor() -> None:
    x = grad.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: None, lambda t: None):
        y = x.exp()
    with pytest.raises(grad.errors.GradientError, match="returned None"):
        y.sum().backward()
