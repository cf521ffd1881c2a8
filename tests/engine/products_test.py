"""Matrix products in the engine: long sums cut in slices, operands of other types, threads."""

from __future__ import annotations

import re
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.codegen.llvm.phases import generate
from grad.engine import cache, kernel_count, realize
from grad.runtime.cpu.host import host
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from tests.kernel.keep_test import kernel_of


@pytest.fixture(autouse=True)
def same_thread_count() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def operands(shape: tuple[int, ...], transposed: str, dtype: type = np.float32):
    """Random (..., m, k) and (..., k, n), those named in `transposed` lying the other way."""
    *batch, m, k, n = shape
    rng = np.random.default_rng(shape)
    found = []
    for name, rows, columns in (("a", m, k), ("b", k, n)):
        sizes = (columns, rows) if name in transposed else (rows, columns)
        array = rng.standard_normal((*batch, *sizes)).astype(dtype)
        tensor = grad.tensor(array)
        turned = name in transposed
        found.append((tensor.mT if turned else tensor, array.swapaxes(-1, -2) if turned else array))
    return found


DEEP = {
    "square": (64, 20011, 64),
    "small": (8, 100003, 9),
    "one element": (1, 300007, 1),
    "one row": (1, 60013, 200),
    "one column": (70, 80021, 1),
    "batch": (2, 16, 30011, 20),
}


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("name", DEEP)
def test_long_sums(name: str, transposed: str) -> None:
    """Slices of k are summed in an order that does not depend on the number of threads."""
    (a, wide_a), (b, wide_b) = operands(DEEP[name], transposed)
    expected = 2 * np.matmul(wide_a.astype(np.float64), wide_b.astype(np.float64)) + 1
    results = []
    for threads in (1, 2, 3, 8):
        set_num_threads(threads)
        results.append(((a @ b) * 2 + 1).numpy())
    bound = np.matmul(np.abs(wide_a).astype(np.float64), np.abs(wide_b).astype(np.float64))
    assert (np.abs(results[0] - expected) <= 1e-6 * bound + 1e-6).all()
    assert all((result == results[0]).all() for result in results)
    assert kernel_count([(a @ b).node]) == 3  # slices, what is left over, their sum


def test_sliced_sums_keep_special_values() -> None:
    a, b = np.ones((8, 100003), np.float32), np.ones((100003, 9), np.float32)
    a[2, -1], a[3, 0], b[50000, 4] = np.nan, np.inf, -np.inf
    out = (grad.tensor(a) @ grad.tensor(b)).numpy()
    expected = np.full((8, 9), 100003.0)
    expected[3], expected[:, 4], expected[2], expected[3, 4] = np.inf, -np.inf, np.nan, np.nan
    np.testing.assert_array_equal(out, expected)


def test_shallow_products_stay_whole() -> None:
    for shape in ((256, 512, 256), (1, 4096, 4096), (8, 300, 8), (768, 4096, 768)):
        (a, _), (b, _) = operands(shape, "")
        assert kernel_count([(a @ b).node]) == 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int8, np.int64])
@pytest.mark.parametrize("transposed", ["", "a", "b"])
def test_conversions_are_part_of_the_product(dtype: type, transposed: str) -> None:
    (a, wide_a), (b, wide_b) = operands((33, 70, 45), transposed, dtype)
    assert kernel_count([(a @ b).node]) == 1
    out = (a @ b).to(grad.float64).numpy()
    if np.dtype(dtype).kind == "i":
        assert (out == np.matmul(wide_a, wide_b)).all()
    else:
        wide = np.matmul(wide_a.astype(np.float32), wide_b.astype(np.float32))
        np.testing.assert_allclose(out, wide, rtol=2**-7, atol=1e-2)


def test_dequantised_weights_are_read_as_they_are() -> None:
    """A cast of weights in front of a product is no pass over them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 96)).astype(np.float32)
    weight = rng.integers(-127, 127, (40, 96)).astype(np.int8)
    scale = rng.uniform(0.001, 0.01, 40).astype(np.float32)
    out = (grad.tensor(x) @ grad.tensor(weight).float().T) * grad.tensor(scale)
    assert kernel_count([out.node]) == 1
    expected = (x.astype(np.float64) @ weight.T.astype(np.float64)) * scale
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    {
        "whole vectors": (130, 128, 96),
        "part of a vector": (77, 129, 83),
        "several blocks of k": (61, 1300, 70),
        "batch": (3, 40, 200, 50),
        "too short to ask": (70, 127, 96),
    }.values(),
)
@pytest.mark.parametrize("transposed", ["", "a", "b"])
def test_epilogues_that_read_rows(shape: tuple[int, ...], transposed: str) -> None:
    """What an epilogue reads and writes is asked for while sums are computed: results are the same
    with short and with long epilogues, and with results of another type.
    """
    (a, wide_a), (b, wide_b) = operands(shape, transposed)
    expected = np.matmul(wide_a.astype(np.float64), wide_b.astype(np.float64))
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(expected.shape).astype(np.float32) for _ in range(2))
    sums = a @ b
    rtol, atol = 2e-5, 2e-4
    short = (sums * grad.tensor(x) + grad.tensor(y)).numpy()
    np.testing.assert_allclose(short, expected * x + y, rtol=rtol, atol=atol)
    long = (sums + (grad.tensor(x).square() + 1).sqrt() / (1 + grad.tensor(y).exp())).numpy()
    np.testing.assert_allclose(
        long, expected + np.sqrt(np.square(x) + 1.0) / (1 + np.exp(y)), rtol=rtol, atol=atol
    )
    half = (sums + grad.tensor(x)).to(grad.float16).numpy()
    np.testing.assert_allclose(half, expected + x, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(("depth", "asked"), [(128, {"0", "1"}), (127, set())])
def test_what_an_epilogue_reads_and_writes_is_asked_for(depth: int, asked: set[str]) -> None:
    """The row that is read and the one that is written, but for sums too short to hide it."""
    a, b, added = (grad.tensor(x) for x in np.ones((3, 200, 200), np.float32))
    kernel = kernel_of((a[:, :depth] @ b[:depth] + added).node)
    (phase,) = generate(host(), kernel)
    for_writing = re.findall(r"call void @llvm.prefetch.p0\(ptr %\S+, i32 ([01])", str(phase.entry))
    assert set(for_writing) == asked


def two_layers(dtype: type) -> list[grad.Tensor]:
    """The result of a block of a transformer without attention, and its gradients."""
    rng = np.random.default_rng(1)
    shapes = ((4, 64, 64), (256, 64), (256,), (64, 256), (64,))
    x, *weights = (
        grad.tensor((rng.standard_normal(shape) * 0.3).astype(dtype), requires_grad=True)
        for shape in shapes
    )
    widen, bias, narrow, other_bias = weights
    wide = F.gelu(F.linear(x, widen, bias))
    y = F.layer_norm(x + F.linear(wide, narrow, other_bias), (64,))
    (y * y * y).sum().backward()
    return [y.detach(), x.grad, *(weight.grad for weight in weights)]


def test_erf_is_computed_again_rather_than_kept() -> None:
    """GELU is computed as a product packs it: of what went into it alone, also in the gradient."""
    cache.clear()
    found = two_layers(np.float32)
    realize([tensor.node for tensor in found])
    plans = [plan for family in cache.families.values() for plan in family.plans.values()]
    of_wide = 4 * 64 * 256 * 4
    assert max(plan.arena_bytes for plan in plans) < 2.5 * of_wide
    for actual, expected in zip(found, two_layers(np.float64), strict=True):
        wanted = expected.numpy()
        np.testing.assert_allclose(actual.numpy(), wanted, 1e-3, 1e-4 * np.abs(wanted).max())
