"""Rows that begin anywhere, stored past the caches: every element is there, whatever the level."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor
from grad.engine import cache
from grad.kernel import streams

TYPES = {
    name: getattr(grad, name)
    for name in ("float32", "float64", "float16", "bfloat16", "int8", "int16", "int64", "bool")
}
COUNT = 40


@pytest.fixture
def all_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of small results go past the caches as well."""
    for name in ("LEAST_BYTES", "ALL_BYTES"):
        monkeypatch.setattr(streams, name, 0)
    monkeypatch.setattr(streams, "LEAST_ROW_BYTES", 1)


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


def tensor(random: np.random.Generator, shape: tuple[int, ...], name: str) -> Tensor:
    if name == "bool":
        return grad.tensor(random.random(shape) < 0.5)
    values = random.integers(-100, 100, shape)
    return grad.tensor(values).to(TYPES[name])


def equal(found: Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_array_equal(found.to(grad.float64).numpy(), wanted.astype(np.float64))


def values(x: Tensor) -> np.ndarray:
    return x.to(grad.float64).numpy()


def check_row_functions(random: np.random.Generator, name: str) -> None:
    """Slices, gathers, joins and borders of random sizes against NumPy."""
    rows, columns = int(random.integers(2, 40)), int(random.integers(2, 300))
    x = tensor(random, (rows, columns), name)
    exact = values(x)
    left, right = sorted(random.integers(0, columns + 1, 2).tolist())
    if left < right:
        equal(x[:, left:right].clone(), exact[:, left:right])
        equal(x[:, left:right].flip(0).contiguous(), exact[::-1, left:right])
    index = random.integers(0, rows, int(random.integers(1, 60)))
    equal(x[grad.tensor(index)], exact[index])
    named = random.integers(0, columns, (rows, columns))
    equal(x.gather(1, grad.tensor(named)), np.take_along_axis(exact, named, 1))
    y = tensor(random, (rows, 5), name)
    equal(grad.cat([x, y], 1), np.concatenate([exact, values(y)], 1))
    equal(F.pad(x, (1, 2)), np.pad(exact, ((0, 0), (1, 2))))


@pytest.mark.usefixtures("all_stores")
@pytest.mark.parametrize("name", TYPES)
def test_rows_of_any_length(name: str) -> None:
    random = np.random.default_rng(len(name))
    for _ in range(COUNT // len(TYPES)):
        check_row_functions(random, name)


@pytest.mark.usefixtures("all_stores")
def test_rows_with_sums_and_running_sums() -> None:
    random = np.random.default_rng(5)
    for rows, columns in ((3, 17), (7, 33), (5, 129), (30, 65), (2, 401)):
        x = random.standard_normal((rows, columns)).astype(np.float32)
        part = grad.tensor(x)[:, 1:]
        exact = x[:, 1:].astype(np.float64)
        found = F.layer_norm(part, (columns - 1,))
        spread = np.sqrt(exact.var(1, keepdims=True) + 1e-5)
        wanted = (exact - exact.mean(1, keepdims=True)) / spread
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(part.cumsum(1).numpy(), exact.cumsum(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            (part * 2 + part.amax(1, keepdim=True)).numpy(),
            exact * 2 + exact.max(1, keepdims=True), rtol=1e-6, atol=1e-6,
        )  # fmt: skip


@pytest.mark.usefixtures("all_stores")
def test_two_results_of_two_types_or_places() -> None:
    random = np.random.default_rng(6)
    x = random.standard_normal((9, 130)).astype(np.float32)

    @grad.compile
    def several(x: Tensor) -> list[Tensor]:
        part = x[:, 1:128]
        return [part * 2, (part * 2).to(grad.float64), part > 0, x[:, :127] - part]

    for _ in range(3):
        doubled, wide, positive, step = several(grad.tensor(x))
        equal(doubled, x[:, 1:128] * 2)
        equal(wide, x[:, 1:128] * 2)
        equal(positive, x[:, 1:128] > 0)
        equal(step, x[:, :127] - x[:, 1:128])


def test_open_row_lengths() -> None:
    """A template that was made for long rows holds for short ones."""
    random = np.random.default_rng(7)
    for columns in (2049, 3001, 4099, 1031, 517, 2051):
        x = random.standard_normal((1200, columns)).astype(np.float32)
        equal(grad.tensor(x)[:, :-1] * 2, x[:, :-1] * 2)


@pytest.mark.parametrize("level", ["avx2", "generic"])
def test_levels(level: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not levels"]
    subprocess.run(
        [*command, __file__],
        check=True,
        env={**os.environ, "GRAD_CPU_FEATURES": level},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
    )
