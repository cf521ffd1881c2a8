"""Random indices of every kind, mixed, next to PyTorch: reading, its gradient, writing, adding.

Where an index names a place twice, a write puts the same value there, since PyTorch does not say
which one stays.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

Shape = tuple[int, ...]
KINDS = ("int", "slice", "slice", "new", "tensor", "tensor", "list", "mask", "ellipsis", "number")


def random_slice(choose: random.Random, size: int) -> slice:
    first, last = (choose.choice([None, choose.randint(-size - 1, size + 1)]) for _ in range(2))
    return slice(first, last, choose.choice([None, 1, 2, 3]))


def random_item(
    choose: random.Random, numbers: np.random.Generator, kind: str, shape: Shape, common: Shape
) -> tuple[Any, int] | None:
    """An item of an index for the first axes of `shape`, and how many it takes."""
    size = shape[0]
    if kind == "slice":
        return random_slice(choose, size), 1
    if kind == "new":
        return None, 0
    if kind == "ellipsis":
        return ..., choose.randint(0, len(shape))
    if kind == "mask":
        taken = choose.choice([1, 1, 2])
        return (numbers.random(shape[:taken]) < 0.5, taken) if taken <= len(shape) else None
    if not size:
        return None
    # One in forty lies outside.
    high = size if choose.random() < 0.975 else size + 1
    if kind == "int":
        return choose.randint(-size, high - 1), 1
    if kind == "list":
        return [choose.randint(-size, high - 1) for _ in range(choose.choice([1, 2, 3]))], 1
    if kind == "number":
        return np.array(choose.randrange(size)), 1
    own = tuple([n if choose.random() < 0.8 else 1 for n in common])
    own = own[choose.choice([0, 0, len(own)]) :]
    return numbers.integers(-size, high, own).astype(choose.choice(["i8", "i4"])), 1


def random_index(choose: random.Random, shape: Shape) -> tuple[Any, ...]:
    numbers = np.random.default_rng(choose.randrange(10**6))
    common = tuple(choose.choice([1, 2, 3]) for _ in range(choose.randint(0, 2)))
    items: list[Any] = []
    axis = 0
    while axis < len(shape) and choose.random() < 0.85:
        kind = choose.choice(KINDS)
        if kind == "ellipsis" and any(item is ... for item in items):
            continue
        found = random_item(choose, numbers, kind, shape[axis:], common)
        if found is not None:
            items.append(found[0])
            axis += found[1]
    return tuple(items)


def of(module: Any, index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(module.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


def read(module: Any, data: Any, index: tuple[Any, ...]) -> Any:
    """What is read, and the gradient of a weighted sum of it; or the exception."""
    x = module.tensor(data, requires_grad=True)
    try:
        found = x[of(module, index)]
    except Exception as error:
        return error
    weight = np.random.default_rng(2).standard_normal(tuple(found.shape))
    (found * module.tensor(weight)).sum().backward()
    return found.detach().numpy(), x.grad.numpy()


def written(module: Any, data: Any, index: tuple[Any, ...], shape: Shape, seed: int) -> list[Any]:
    """The base after writing a number, a row and, through a view, a tensor; after adding."""
    target, chosen = module.tensor(data), of(module, index)
    target[chosen] = 1.25
    row = module.tensor(data)
    row[chosen] = module.tensor(np.full(shape[-1:], 2.5))
    pair = module.tensor(np.stack([data, data]))
    pair[1][chosen] = module.tensor(np.full(shape, -3.0))
    results = [target, row, pair]
    if index and all(isinstance(item, np.ndarray) for item in index):
        values = module.tensor(np.random.default_rng(seed).standard_normal(shape))
        added = module.tensor(data)
        results.append(added.index_put_(chosen, values, accumulate=True))
    return [result.numpy() for result in results]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(40))
def test_random_indices(seed: int) -> None:
    choose = random.Random(seed)
    shape = tuple(choose.choice([0, 1, 2, 3, 4, 3]) for _ in range(choose.randint(0, 4)))
    data = np.random.default_rng(seed).standard_normal(shape)
    index = random_index(choose, shape)
    theirs, ours = read(torch, data, index), read(grad, data, index)
    if isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), (shape, index, theirs, ours)
        return
    assert not isinstance(ours, Exception), (shape, index, ours)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, err_msg=str((shape, index)))
    expected = written(torch, data, index, theirs[0].shape, seed)
    for mine, other in zip(written(grad, data, index, theirs[0].shape, seed), expected):
        np.testing.assert_allclose(mine, other, err_msg=str((shape, index)))


def test_masks_must_fit_behind_an_ellipsis_too() -> None:
    for index in [(..., [True, False]), (..., np.ones((3, 3), bool)), (0, ..., [True] * 3)]:
        x = grad.zeros(2, 3, 4)
        with pytest.raises(IndexError, match="mask"):
            x[of(grad, index)]


def test_adding_at_one_place() -> None:
    """An index of numbers alone is a view, to which is added, too."""
    x = grad.zeros(3)
    x.index_put_((grad.tensor(1),), grad.tensor(2.0), accumulate=True)
    assert x.tolist() == [0, 2, 0]


def test_scattering_nothing() -> None:
    """Rows without elements, at places given by an index."""
    x = grad.zeros(3, 0)
    x[grad.tensor([0, 2])] = 1.0
    assert x.shape == (3, 0)
