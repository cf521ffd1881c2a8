"""Views alias memory: random programs of views, writes and reads, next to NumPy, which is the
oracle.

Each program keeps pairs (tensor, array) made by the same steps from one base. After every write,
all pairs must agree, whatever was computed in between.
"""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import Tensor, nn
from grad.errors import InplaceError

BASE_SHAPES = [(24,), (4, 6), (2, 3, 4), (1, 5, 1), (3, 0, 2)]


def random_slice(random: np.random.Generator, size: int) -> slice:
    low, high = sorted(int(n) for n in random.integers(-size - 1, size + 2, 2))
    step = int(random.choice([1, 1, 2, 3, -1, -2]))
    if random.random() < 0.3:
        return slice(None, None, step)
    return slice(low, high, step) if step > 0 else slice(high, low, step)


def random_index(random: np.random.Generator, shape: tuple[int, ...]) -> tuple:
    index: list = []
    for size in shape[: int(random.integers(0, len(shape) + 1))]:
        choice = random.random()
        if choice < 0.2:
            index.append(None)
        if size and choice < 0.45:
            index.append(int(random.integers(-size, size)))
        else:
            index.append(random_slice(random, size))
    if random.random() < 0.3:
        # Behind the ellipsis only slices, which fit axes of any size.
        behind = [random_slice(random, 3)] if len(index) - index.count(None) < len(shape) else []
        index += [Ellipsis, *behind]
    return tuple(index)


def random_view(random: np.random.Generator, x: Tensor, a: np.ndarray) -> tuple | None:
    """The same view of both, or None when this kind of view does not apply here."""
    rank = a.ndim
    kind = random.choice(["index", "permute", "reshape", "squeeze", "unsqueeze", "expand", "T"])
    if kind == "index":
        index = random_index(random, a.shape)
        # With an ellipsis NumPy gives a view even where nothing but integers would give a number.
        return x[index], a[index if Ellipsis in index else (*index, ...)]
    if kind == "permute":
        order = [int(axis) for axis in random.permutation(rank)]
        return x.permute(order), a.transpose(order)
    if kind == "reshape":
        sizes = [(-1,), (2, -1), (-1, 3), (2, -1, 2)][random.integers(4)]
        known = abs(int(np.prod(sizes)))
        if a.size == 0 or a.size % known or not np.shares_memory(a, a.reshape(sizes)):
            return None
        return x.view(sizes), a.reshape(sizes)
    if kind == "squeeze":
        return x.squeeze(), a.squeeze()
    if kind == "unsqueeze":
        axis = int(random.integers(0, rank + 1))
        return x.unsqueeze(axis), np.expand_dims(a, axis)
    if kind == "expand":
        return x.expand(2, *a.shape), np.broadcast_to(a, (2, *a.shape))
    return x.T, a.T


def write(random: np.random.Generator, x: Tensor, a: np.ndarray) -> None:
    """The same in-place operation on both."""
    kind = random.choice(["add", "fill", "copy", "item", "mask", "gather", "from itself"])
    if kind == "add":
        x += 1
        a += 1
    elif kind == "fill":
        x.fill_(7)
        a[...] = 7
    elif kind == "copy":
        values = random.integers(-9, 9, a.shape).astype(np.float32)
        x.copy_(grad.tensor(values))
        a[...] = values
    elif kind == "item":
        index = random_index(random, a.shape)
        value = float(random.integers(-9, 9))
        x[index] = value
        a[index] = value
    elif kind == "mask":
        x[x > 2] = -1
        a[a > 2] = -1
    elif kind == "gather" and a.ndim and a.shape[0]:
        rows = random.permutation(a.shape[0])[:2]
        x[grad.tensor(rows)] = 3
        a[rows] = 3
    elif kind == "from itself":
        x.mul_(x + 0.5)
        a[...] = a * (a + np.float32(0.5))


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = BASE_SHAPES[seed % len(BASE_SHAPES)]
    start = random.integers(-5, 5, shape).astype(np.float32)
    pairs = [(grad.tensor(start), start.copy())]
    for _ in range(25):
        x, a = pairs[random.integers(len(pairs))]
        action = random.random()
        if action < 0.45:
            made = random_view(random, x, a)
            if made is not None:
                assert made[0].shape == made[1].shape
                pairs.append(made)
        elif action < 0.85:
            if a.flags.writeable:
                write(random, x, a)
        else:
            x.realize()
        if random.random() < 0.3:
            for tensor, array in pairs:
                np.testing.assert_array_equal(tensor.numpy(), array)
    for tensor, array in pairs:
        np.testing.assert_array_equal(tensor.numpy(), array)
        assert tensor.tolist() == array.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_strides_are_numpys(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = BASE_SHAPES[seed % 3]
    pairs = [(Tensor.zeros(shape), np.zeros(shape, np.float32))]
    for _ in range(12):
        made = random_view(random, *pairs[-1])
        if made is None or made[1].size == 0:
            continue
        pairs.append(made)
        x, a = made
        expected = [step // 4 for step in a.strides]
        for size, given, wanted in zip(a.shape, x.stride(), expected):
            assert size == 1 or given == wanted
        assert x.is_contiguous() == a.flags.c_contiguous
        offset = a.__array_interface__["data"][0] - pairs[0][1].__array_interface__["data"][0]
        assert x.storage_offset() == offset // 4


def test_reading_views_of_realised_data_copies_nothing() -> None:
    x = Tensor.arange(24).float().realize()
    whole = x.numpy()
    for view in (x.view(4, 6), x.view(4, 6).T, x[3:9:2], x.view(2, 3, 4)[1, :, None]):
        assert np.shares_memory(whole, view.numpy())


def test_copies_do_not_alias() -> None:
    x = Tensor.ones((2, 3))
    copies = [
        x.clone(),
        x.T.contiguous(),
        x.T.reshape(-1),
        x[[0, 1]],
        x.flip(0),
        x + 0,
        x.repeat(1, 1),
    ]
    x.zero_()
    for copy in copies:
        assert copy.numpy().all()


def test_nothing_is_shared_where_nothing_is_moved() -> None:
    shapes = [(1, 1, 2, 3), (2, 4, 1, 1), (1, 1, 1, 1)]
    functions = [
        lambda x: x.roll(0),
        lambda x: x.roll(0, 1),
        lambda x: x.roll(x.shape[2], 2),
        lambda x: x.roll((0, 1), (3, 0)),
        lambda x: grad.pixel_shuffle(x, 1),
        lambda x: grad.pixel_unshuffle(x, 1),
        lambda x: grad.channel_shuffle(x, 1),
        lambda x: nn.functional.unfold(x, 1),
        lambda x: nn.functional.interpolate(x, scale_factor=1),
        lambda x: nn.functional.interpolate(x, size=(4, 6)),
    ]
    for shape in shapes:
        for function in functions:
            x = Tensor.ones(shape)
            result = function(x)
            x.zero_()
            assert result.numpy().all()
            result += 1
            assert not x.numpy().any()


def test_views_of_views_without_end() -> None:
    x = Tensor.arange(6).float()
    view = x.view(2, 3)
    for _ in range(300):
        view = view.T.T.unsqueeze(0)[0]
    view[1, 2] = 50
    assert x[5].item() == 50
    view = view.T
    x[1] = 9
    assert view[1, 0].item() == 9


def test_writing_to_overlapping_elements_raises() -> None:
    x = Tensor.ones((1, 3)).expand(4, 3)
    with pytest.raises(RuntimeError, match="clone"):
        x += 1
    with pytest.raises(RuntimeError, match="clone"):
        x[1:3] = 1
    assert x.tolist() == [[1.0] * 3] * 4


def test_where_nothing_is_there_nothing_is_written_twice() -> None:
    x = grad.ones(2, 2).unsqueeze(1).expand(2, 3, 2)
    with pytest.raises(InplaceError, match="one place"):
        x.mul_(2)
    empty = grad.ones(0, 2).expand(3, 0, 2)
    assert empty.mul_(2).fill_(1).shape == (3, 0, 2)
