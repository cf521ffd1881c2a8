"""Memory that NumPy sees as well: no result depends on what is written after it was asked for."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.tensor import Tensor


def test_what_is_pending_does_not_see_later_writes() -> None:
    x = grad.arange(5.0)
    view = x[1:3]
    (view + 0).realize()  # the view has made its node before the memory is lent
    array = x.numpy()
    results = [x + 1, view * 2, x.sum(), x[::2] - 1, x.reshape(5, 1).T + 0]
    array[:] = 100
    expected = [[1, 2, 3, 4, 5], [2, 4], 10, [-1, 1, 3], [[0, 1, 2, 3, 4]]]
    assert [result.tolist() for result in results] == expected
    assert x.tolist() == [100.0] * 5 and view.tolist() == [100.0] * 2


def test_readers_of_large_memory_given_back_are_pending_again() -> None:
    x = grad.arange(100_000.0)
    array = x.numpy()
    assert not (x + 1).node.depth
    del array
    assert (x + 1).node.depth


def test_foreign_memory_is_read_when_asked() -> None:
    array = np.arange(4, dtype=np.float32)
    x = grad.from_numpy(array)
    doubled = x * 2
    array[0] = 9
    assert doubled.tolist() == [0, 2, 4, 6]
    x += 1
    assert array.tolist() == [10, 2, 3, 4]


def test_equal_values_do_not_share_memory() -> None:
    x = grad.arange(5.0)
    x.realize()
    y, z, w = x * 1, x * 1, x.clone()
    grad.engine.realize([y.node, z.node, w.node])
    y.numpy()[0] = 7
    assert x[0].item() == 0 and z[0].item() == 0 and w[0].item() == 0
    a, b = x + 1, x + 1
    grad.engine.realize([a.node, b.node])
    a.numpy()[0] = 7
    assert b[0].item() == 1


def reads(x: Tensor) -> list[Tensor]:
    """Results of many sorts of readers, all of them of `x` as it is now."""
    return [x + 1, x[0] * 2, x.T @ x, x.sum(), grad.cat([x, x]), x.clone(), (x * x).exp().mean(0)]


def read_by_numpy(a: np.ndarray) -> list[np.ndarray]:
    return [a + 1, a[0] * 2, a.T @ a, a.sum(), np.concatenate([a, a]), a.copy(),
            np.exp(a * a).mean(0)]  # fmt: skip


@pytest.mark.parametrize("size", [4, 600])  # what is small is copied for those that read it
@pytest.mark.parametrize("lent", [False, True])
def test_pending_readers_do_not_see_what_is_written_later(size: int, lent: bool) -> None:
    array = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32) / size
    if lent:
        x = grad.tensor(array)
        array = x.numpy()
    else:
        x = grad.from_numpy(array)
    for _ in range(4):
        expected, found = read_by_numpy(array), reads(x)
        array += 1
        later = read_by_numpy(array), reads(x)
        x -= 0.5
        np.testing.assert_array_equal(x.numpy(), array)
        for wanted, values in ((expected, found), later):
            for a, b in zip(wanted, values, strict=True):
                np.testing.assert_allclose(b.numpy(), a, rtol=1e-4, atol=1e-5)


def test_a_step_on_a_small_batch_from_numpy_stays_whole() -> None:
    weight = grad.ones(3, 2, requires_grad=True)
    for number in range(3):
        batch = np.full((4, 3), number, np.float32)
        x = grad.from_numpy(batch)
        loss = ((x @ weight).tanh() * x[:, :2]).sum()
        assert loss.node.buffer is None
        batch[:] = 100
        expected = float((np.tanh(np.full((4, 2), 3.0 * number)) * number).sum())
        assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_view_made_before_a_read_still_shows_what_is_written() -> None:
    array = np.zeros((3, 4), np.float32)
    x = grad.from_numpy(array)
    view = x[1]
    pending = view + 1
    array[1] = 5
    assert view.tolist() == [5.0] * 4 and (view * 2).tolist() == [10.0] * 4
    assert pending.tolist() == [1.0] * 4
    view.fill_(7)
    assert array[1].tolist() == [7.0] * 4
