"""Threads of NumPy's linear algebra: one for small matrices, and afterwards as many as before."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import grad
from grad.ops import blas_threads
from grad.ops.blas_threads import LARGE, SMALL, on_few_threads

BLAS = threadpoolctl.ThreadpoolController().select(user_api="blas")

pytestmark = pytest.mark.skipif(
    not BLAS.lib_controllers, reason="NumPy's BLAS has no threads that can be set"
)


def threads() -> int:
    return max(library.get_num_threads() for library in BLAS.lib_controllers)


@pytest.fixture(autouse=True)
def three_threads() -> Any:
    with BLAS.limit(limits=3):
        yield


def seen(shape: tuple[int, ...]) -> int:
    found: list[int] = []
    on_few_threads(lambda result, matrices: found.append(threads()))(None, np.empty(shape))
    return found[0]


@pytest.mark.parametrize("shape", [(1, 3, SMALL + 1), (1, LARGE - 1, 5000), (2, LARGE, LARGE)])
def test_matrices_and_stacks_take_one_thread(shape: tuple[int, ...]) -> None:
    assert seen(shape) == 1
    assert threads() == 3


@pytest.mark.parametrize("shape", [(1, LARGE, LARGE), (50, SMALL, SMALL)])
def test_others_take_what_numpy_takes(shape: tuple[int, ...]) -> None:
    assert seen(shape) == 3


def test_inverses_are_computed_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []
    inverse = np.linalg.inv

    def watched(matrices: Any) -> Any:
        found.append(threads())
        return inverse(matrices)

    monkeypatch.setattr(np.linalg, "inv", watched)
    assert grad.linalg.inv(grad.eye(40) * 2).tolist() == (np.eye(40) / 2).tolist()
    assert found == [1] and threads() == 3


def test_calls_that_overlap_and_fail_leave_the_threads_as_they_were() -> None:
    both_inside, first_left = threading.Barrier(2), threading.Event()
    found: list[int] = []

    def call(waits: bool) -> None:
        with blas_threads._threads.one():
            both_inside.wait(10)
            if waits:
                assert first_left.wait(10)
                found.append(threads())
        first_left.set()

    workers = [threading.Thread(target=call, args=(waits,)) for waits in (False, True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [1] and threads() == 3
    with pytest.raises(grad.linalg.LinAlgError, match="singular"):
        grad.linalg.inv(grad.zeros(40, 40))
    assert threads() == 3
