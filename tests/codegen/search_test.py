"""The search for a plan: it runs once a shape, is remembered on disk, and never changes values by
more than rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grad
from grad.codegen.llvm.contraction import search as contraction_search
from grad.codegen.llvm.contraction.emit import Problem
from grad.codegen.llvm.contraction.search import CANDIDATES, search
from grad.runtime.cpu.host import host
from grad.settings import settings


def problem(m: int, k: int, n: int, batch: tuple[int, ...] = (), transposed: bool = False):
    machine = host()
    batch_strides = [0] * len(batch)
    strides = ([*batch_strides, 1, m] if transposed else [*batch_strides, -k, 1], [*batch_strides])
    return Problem.on(
        machine.features,
        machine.vector_bytes,
        machine.l2_bytes,
        "float",
        (*batch, m, n, k),
        strides[0],
        [*strides[1], n, 1],
    )


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contraction_search, "SECONDS_PER_CANDIDATE", 0.001)
    monkeypatch.setattr(contraction_search, "_found", {})
    with settings.override(cache_directory=tmp_path):
        yield tmp_path


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_search_finds_one_of_the_candidates(own_cache: Path, batch, transposed: bool) -> None:
    assert search(problem(61, 530, 70, batch, transposed), host()) in CANDIDATES


def test_search_is_remembered(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = search(problem(61, 530, 70), host())

    def again(*_: object) -> int:
        raise AssertionError("searched twice")

    monkeypatch.setattr(contraction_search, "_fastest", again)
    assert search(problem(61, 530, 70), host()) is first
    contraction_search._found.clear()
    assert search(problem(61, 530, 70), host()) is first  # from disk


def test_small_products_are_not_searched(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contraction_search, "_seconds", lambda run: 1 / 0)
    assert search(problem(5, 6, 7), host()) == CANDIDATES[0]


def test_products_are_right_under_search(own_cache: Path) -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((45, 600)).astype(np.float32)
    b = rng.standard_normal((600, 130)).astype(np.float32)
    with settings.override(search=True):
        out = (grad.tensor(a) @ grad.tensor(b)).numpy()
    np.testing.assert_allclose(out, a.astype(np.float64) @ b, rtol=1e-4, atol=1e-3)
