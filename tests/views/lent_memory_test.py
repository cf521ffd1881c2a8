"""Memory that NumPy sees as well: no result depends on what is written after it was asked for."""

from __future__ import annotations

import numpy as np

import grad


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


def test_memory_given_back_is_pending_again() -> None:
    x = grad.arange(5.0)
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
