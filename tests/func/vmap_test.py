"""`vmap` gives what a loop over the batch gives, and its gradients; what it cannot map raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import func
from grad.errors import TransformError
from grad.func import vmap
from grad.utils.checkpoint import checkpoint

random = np.random.default_rng(5)


def numbers(*shape: int) -> Any:
    return grad.tensor(random.normal(size=shape))


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=1e-7, atol=1e-9
    )


def written(row: Any, other: Any) -> Any:
    result = row.clone()
    result[1:] = other[:3]
    result.mul_(2)
    result[0] += other.sum()
    return result


def picked(row: Any, other: Any) -> Any:
    return row[other.argmax()] * other.gather(0, other.argsort())[row.argmin()]


def convolved(row: Any, other: Any) -> Any:
    weight = other[:3].reshape(1, 1, 3)
    return grad.nn.functional.conv1d(row.reshape(1, 1, -1), weight, padding=1)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "pointwise": lambda a, b: a.sin() * b + a.sum(),
    "different ranks": lambda a, b: a.unsqueeze(-1) * b + a.unsqueeze(0) * 2.0,
    "products": lambda a, b: a @ a.outer(b) @ grad.ones(4, 2, dtype=grad.float64),
    "softmax": lambda a, b: (a * b).softmax(-1).cumsum(-1),
    "movement": lambda a, b: grad.cat([a.flip(0)[1:], b.expand(2, 4).T.reshape(-1)]),
    "sorted": lambda a, b: a.sort().values * b.cumprod(-1),
    "written": written,
    "picked": picked,
    "choice": lambda a, b: grad.where(a > 0, a, b.max()),
    "convolved": convolved,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dims", [(0, 0), (0, None), (None, 0)])
def test_values_and_gradients_are_those_of_a_loop(name: str, dims: Any) -> None:
    function = FUNCTIONS[name]
    given = [numbers(*((3, 4) if dim == 0 else (4,))).requires_grad_() for dim in dims]
    items = [[x[i] if dim == 0 else x for x, dim in zip(given, dims)] for i in range(3)]
    mapped, looped = vmap(function, dims)(*given), grad.stack([function(*item) for item in items])
    close(mapped, looped)
    weights = numbers(*mapped.shape)
    first = [
        grad.autograd.grad((result * weights).sum(), given, create_graph=True, allow_unused=True)
        for result in (mapped, looped)
    ]
    for actual, expected in zip(*first):
        close(actual, expected)
    second = [
        grad.autograd.grad(sum((x**3).sum() for x in found), given, materialize_grads=True)
        for found in first
        if found[0].requires_grad or found[1].requires_grad
    ]
    for actual, expected in zip(*second) if second else ():
        close(actual, expected)


def test_dims_are_structures_and_may_be_negative() -> None:
    x, y = numbers(2, 3, 4), numbers(4, 5)

    def function(given: Any, factor: float) -> Any:
        (item,) = given["x"]
        return {"a": item * factor, "b": (given["y"], item.sum())}

    dims = ({"x": (-1,), "y": 0}, None)
    found = vmap(function, dims, {"a": 1, "b": (-1, 0)})({"x": (x,), "y": y}, 2.0)
    close(found["a"], (x * 2.0).movedim(2, 1))
    close(found["b"][0], y.T)
    close(found["b"][1], x.sum((0, 1)))


def test_nested() -> None:
    x, y = numbers(3, 5), numbers(4, 5)
    table = vmap(vmap(grad.dot, (None, 0)), (0, None))(x, y)
    close(table, x @ y.T)
    close(vmap(vmap(grad.dot, (0, None)), (None, 0), out_dims=1)(x, y), x @ y.T)


def test_results_that_do_not_depend_on_the_batch() -> None:
    x, y = numbers(3, 2), numbers(4)
    first, second = vmap(lambda row: (y * 2, y + 1), out_dims=(0, None))(x)
    assert first.shape == (3, 4) and second.shape == (4,)
    close(first[2], y * 2)


@pytest.mark.parametrize("size", [0, 1, 4, 5, 9])
def test_chunks_give_the_same(size: int) -> None:
    x = numbers(size, 3).requires_grad_()
    whole, chunked = (vmap(lambda row: row.cumsum(0).sin(), chunk_size=n)(x) for n in (None, 4))
    close(chunked, whole)
    slopes = [grad.autograd.grad((found**2).sum(), x)[0] for found in (whole, chunked)]
    close(*slopes)


def test_an_argument_that_is_written_to_is_written() -> None:
    x, y = numbers(3, 2), numbers(3, 2)
    expected = x * y
    result = vmap(lambda a, b: a.mul_(b), (1, 1), 1)(x, y)
    close(x, expected)
    close(result, expected)


def test_gradients_of_what_is_outside_arrive_once() -> None:
    """An edge out of the mapped function that leads to another one."""
    x, w = numbers(3, 4), numbers(4).requires_grad_()
    inner = w.sin()
    inner.register_hook(lambda slope: slope * 2)
    vmap(lambda row: (row * inner * w).sum())(x).sum().backward()
    total = x.sum(0)
    close(w.grad, total * (w.sin() + 2 * w * w.cos()))


def test_a_deep_function() -> None:
    def function(x: Any) -> Any:
        for _ in range(1200):
            x = x * 1.001
        return x

    x = numbers(2).requires_grad_()
    close(vmap(function)(x), function(x))


# -- random numbers --------------------------------------------------------------------------------
def noise(x: Any) -> Any:
    return x + grad.rand(3)


def distinct(x: Any) -> int:
    return len(np.unique(x.numpy()))


def test_random_numbers_as_told() -> None:
    x = grad.zeros(4, 3)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(noise)(x)
    assert distinct(vmap(noise, randomness="same")(x)) == 3
    assert distinct(vmap(noise, randomness="different")(x)) == 12
    deep = grad.zeros(2, 4, 3)
    same, different = (vmap(noise, randomness=how) for how in ("same", "different"))
    assert distinct(vmap(different, randomness="same")(deep)) == 12
    assert distinct(vmap(same, randomness="different")(deep)) == 6
    assert distinct(vmap(different, randomness="different")(deep)) == 24
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(different)(deep)


def test_chunks_draw_the_same_numbers() -> None:
    found = []
    for size in (None, 3):
        grad.manual_seed(2)
        found.append(vmap(noise, randomness="different", chunk_size=size)(grad.zeros(4, 3)))
    close(*found)


def test_gradients_see_the_numbers_that_were_drawn() -> None:
    x = grad.ones(5, 3).requires_grad_()
    result = vmap(lambda row: row * grad.rand(3), randomness="different")(x)
    (slope,) = grad.autograd.grad(result.sum(), x)
    close(slope, result)


def test_dropout_of_attention_differs_and_has_the_gradient_of_its_numbers() -> None:
    attend = grad.nn.functional.scaled_dot_product_attention
    query, value = grad.ones(3, 2, 4, 8), numbers(2, 4, 8).float()
    same, different = (
        vmap(lambda q: attend(q, q, value, dropout_p=0.5), randomness=how)(query)
        for how in ("same", "different")
    )
    close(same[0], same[1])
    assert (different[0] != different[1]).any()

    def both(q: Any) -> Any:
        return func.vjp(lambda v: attend(q, q, v, dropout_p=0.5), value)[1](value)[0]

    slopes = vmap(both, randomness="different")(query)
    assert (slopes[0] != slopes[1]).any()


def test_a_checkpoint_draws_the_same_again() -> None:
    w = numbers(3, 3).requires_grad_()
    found = []
    for wrapped in (False, True):
        grad.manual_seed(0)

        def body(x: Any) -> Any:
            return grad.nn.functional.dropout((x @ w).tanh(), 0.5).sin()

        def function(x: Any, wrapped: bool = wrapped, body: Any = body) -> Any:
            return checkpoint(body, x, use_reentrant=False) if wrapped else body(x)

        x = grad.ones(5, 3, dtype=grad.float64)
        result = vmap(function, randomness="different")(x)
        found.append(grad.autograd.grad((result**2).sum(), w)[0])
    close(*found)


# -- what cannot be mapped -------------------------------------------------------------------------
def test_reading_values_raises_and_leaves_nothing_behind() -> None:
    x = numbers(3, 4)
    readers: list[Callable[[Any], Any]] = [
        lambda row: row.sum().item(),
        lambda row: row if row.sum() > 0 else -row,
        lambda row: row.numpy(),
        lambda row: row[row > 0],
        lambda row: row.nonzero(),
    ]
    for reader in readers:
        with pytest.raises(TransformError, match="data-dependent"):
            vmap(reader)(x)
    assert vmap(lambda row: row * (x.sum() * 0 + 2).item())(x).shape == (3, 4)
    close(x + 1, x + 1)


def test_what_escapes_raises_when_it_is_read() -> None:
    kept: list[Any] = []
    vmap(lambda row: kept.append(row * 2) or row)(numbers(3))
    with pytest.raises(TransformError, match="outside of it"):
        kept[0].numpy()


def test_writing_to_what_is_not_mapped_raises_and_changes_nothing() -> None:
    total, x = grad.zeros(4, dtype=grad.float64), numbers(3, 4)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda row: total.add_(row))(x)
    assert not total.numpy().any()
    layer = grad.nn.BatchNorm1d(4)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(layer)(x.float().unsqueeze(1).expand(3, 2, 4))
    assert layer.running_mean is not None and not layer.running_mean.numpy().any()
    vmap(lambda row: total.add_(1) + row)(x)  # what is the same for all items may be written
    close(total, grad.ones(4, dtype=grad.float64))


def test_indices_are_checked_for_all_items() -> None:
    x = numbers(3, 4)
    for bad in (4, -5):
        index = grad.tensor([[0], [1], [bad]])
        with pytest.raises(IndexError):
            vmap(lambda row, i: row[i])(x, index)
        with pytest.raises(IndexError):
            grad.compile(vmap(lambda row, i: row.index_select(0, i)))(x, index)


# -- recorded --------------------------------------------------------------------------------------
def test_inside_a_compiled_function() -> None:
    w = numbers(4, 2)

    def function(x: Any, i: Any) -> Any:
        slopes = vmap(func.grad(lambda row: ((row @ w).tanh() ** 2).sum()))(x)
        return slopes, vmap(lambda row, k: row[k])(x, i)

    compiled = grad.compile(function)
    for turn in range(4):
        x, i = numbers(3, 4), (grad.arange(3) + turn) % 4
        for actual, expected in zip(compiled(x, i), function(x, i)):
            close(actual, expected)
    assert compiled.recordings == 1


def test_a_compiled_training_step() -> None:
    losses = []
    for wrap in (lambda f: f, grad.compile):
        w = grad.ones(3, 2).requires_grad_()
        optimizer = grad.optim.SGD([w], lr=0.1)

        def step(x: Any, w: Any = w, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = vmap(lambda row: ((row @ w).tanh() ** 2).sum())(x).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        losses.append([run(grad.full((4, 3), 0.1 * i)).item() for i in range(6)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_compiled_function_inside() -> None:
    compiled = grad.compile(lambda row: row.sin() * 2)
    x = numbers(3, 4)
    for _ in range(3):
        compiled(x[0])
    close(vmap(compiled)(x), x.sin() * 2)
