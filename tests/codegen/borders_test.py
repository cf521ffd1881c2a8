"""No kernel reads a byte that does not belong to its operands.

Operands end (or begin) exactly where memory ends: the next page cannot be read. A kernel that
reads further kills the process, so the cases run in one of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # kept out of `make check`

CASES = """
import ctypes
import itertools
import mmap
import sys

import numpy as np

import grad
from grad.buffer import Buffer
from grad.graph.node import from_buffer
from grad.kernel import lower_convolution

PAGE = mmap.PAGESIZE
library = ctypes.CDLL(None)
at_end = sys.argv[1] == "end"
kept = []


def lent(array, dtype=grad.float32):
    array = np.ascontiguousarray(array, dtype.numpy)
    size = -(-max(array.nbytes, 1) // PAGE) * PAGE
    pages = mmap.mmap(-1, size + 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    whole = np.frombuffer(pages, np.uint8)
    base = whole.ctypes.data
    address = base + PAGE + (size - array.nbytes if at_end else 0)
    whole[address - base : address - base + array.nbytes] = array.reshape(-1).view(np.uint8)
    for border in (base, base + PAGE + size):
        assert library.mprotect(ctypes.c_void_p(border), ctypes.c_size_t(PAGE), 0) == 0
    kept.append((pages, whole))
    buffer = Buffer.external(address, array.nbytes, pages)
    return grad.Tensor._wrap(from_buffer(buffer, array.shape, dtype))


def check(result, expected):
    np.testing.assert_allclose(result.numpy(), expected, rtol=2e-4, atol=2e-4)


random = np.random.default_rng(0)
for size in (0, 1, 3, 16, 17, 63, 64, 65, 130, 1000):
    x = random.standard_normal((3, size)).astype(np.float32)
    check(lent(x) + 1, x + 1)
    check(lent(x).flip(1), x[:, ::-1])
    check(lent(x).T.contiguous(), x.T)
    for step in (2, 3, 4, 5):
        check(lent(x)[:, step - 1::step] * 2, x[:, step - 1::step] * 2)
        ends = x[:, :size - 1 - (size - 1) % step + 1] if size else x
        for dtype in (grad.float32, grad.float64, grad.int8):
            check(lent(ends, dtype)[:, ::step] * 2, ends.astype(dtype.numpy)[:, ::step] * 2)
    repeated = lent(x).reshape(3, size, 1).expand(3, size, 2).reshape(3, 2 * size)
    check(repeated * 2, np.repeat(x, 2, 1) * 2)
    padded = np.pad(np.repeat(x, 2, 1), ((0, 0), (1, 1)))
    check(grad.nn.functional.pad(repeated, (1, 1)) * 2, padded * 2)
    check(lent(x).sum(1), x.sum(1))
    check(lent(x).sum(0), x.sum(0))
    check(lent(x).cumsum(1), x.cumsum(1))
    check(lent(np.pad(x, ((0, 0), (2, 1))))[:, 2:], np.pad(x, ((0, 0), (0, 1))))
    if size:
        check(lent(x).softmax(1).sum(1), np.ones(3))
        index = random.integers(0, size, 2 * size)
        check(lent(x)[:, lent(index, grad.int64)], x[:, index])
        check(lent(x, grad.float16).max(1).values.float(), x.astype(np.float16).max(1))

# From the third size on these are kernels of open sizes.
for size in (20, 40, 33, 64, 65, 17, 16, 7, 5, 3, 2, 130, 31, 37):
    tall, wide, one = (
        random.standard_normal(s).astype(np.float32) for s in ((size, 24), (9, size), (1, size))
    )
    check(lent(wide) @ lent(tall), wide @ tall)
    check(lent(tall) @ lent(tall).T, tall @ tall.T)
    check(lent(one) @ lent(tall), one @ tall)
    check(lent(tall).T @ lent(wide).T, tall.T @ wide.T)
    check(grad.cat([lent(wide), lent(wide[:, :1])], 1), np.concatenate([wide, wide[:, :1]], 1))
    check(grad.cat([lent(tall), lent(tall[:1])], 0), np.concatenate([tall, tall[:1]], 0))
    check(lent(wide).T + 1, wide.T + 1)
    q, k, v = lent(tall[None, :1]), lent(tall[None]), lent(tall[None])
    weights = np.exp(tall[:1] @ tall.T / 24**0.5)
    weights = weights / weights.sum()
    check(grad.nn.functional.scaled_dot_product_attention(q, k, v)[0], weights @ tall)

conv2d = grad.nn.functional.conv2d
lower_convolution.pays = lambda g: True
for channels, height, width, filters, size, stride, groups, precision in (
    (3, 9, 17, 33, 3, 1, 1, "highest"), (32, 6, 5, 40, 3, 2, 1, "highest"),
    (5, 7, 31, 5, 3, 1, 5, "highest"), (40, 5, 7, 34, 1, 1, 1, "highest"),
    (1, 12, 12, 32, 5, 1, 1, "highest"), (40, 13, 13, 8, 1, 1, 1, "highest"),
    (6, 8, 9, 4, 2, 3, 2, "highest"), (3, 9, 17, 33, 3, 1, 1, "high"),
    (32, 16, 20, 40, 3, 1, 1, "high"), (20, 7, 31, 6, 3, 1, 2, "high"),
    (1, 1, 1, 1, 3, 1, 1, "high"),
):
    grad.set_float32_convolution_precision(precision)
    x = random.standard_normal((2, channels, height, width)).astype(np.float32)
    w = random.standard_normal((filters, channels // groups, size, size)).astype(np.float32)
    image, weight = lent(x).requires_grad_(), lent(w).requires_grad_()
    result = conv2d(image, weight, stride=stride, padding=size // 2, groups=groups)
    other = conv2d(grad.tensor(x), grad.tensor(w), stride=stride, padding=size // 2, groups=groups)
    check(result.detach(), other.numpy())
    g = random.standard_normal(result.shape).astype(np.float32)
    result.backward(lent(g))
    assert np.isfinite(image.grad.numpy()).all() and np.isfinite(weight.grad.numpy()).all()

for height, width, size, stride, padding in (
    (5, 6, 3, 2, 1), (9, 13, 3, 2, 0), (6, 35, 2, 2, 0), (26, 26, 3, 2, 0), (7, 67, 3, 2, 1),
    (9, 18, 5, 3, 2), (9, 33, 3, 1, 1), (8, 17, 2, 3, 0), (9, 21, 5, 4, 1),
):
    x = random.standard_normal((1, 2, height, width)).astype(np.float32)
    for pool in (grad.nn.functional.max_pool2d, grad.nn.functional.avg_pool2d):
        image, other = lent(x).requires_grad_(), grad.tensor(x, requires_grad=True)
        result, expected = pool(image, size, stride, padding), pool(other, size, stride, padding)
        check(result.detach(), expected.detach().numpy())
        g = random.standard_normal(result.shape).astype(np.float32)
        result.backward(lent(g))
        expected.backward(grad.tensor(g))
        check(image.grad, other.grad.numpy())

shapes = [(1, 5, 7), (3, 17, 33), (4, 16, 16), (5, 3, 1), (7, 1, 9), (13, 40, 50), (2, 600, 3),
          (33, 65, 129), (70, 520, 47), (6, 0, 4), (64, 64, 64)]
layouts = (
    lambda x: lent(x),
    lambda x: lent(x.T).T,
    lambda x: lent(np.repeat(x, 2, axis=1))[:, 1::2],
)
for (rows, depth, columns), left, right in itertools.product(shapes, layouts, layouts):
    a, b = random.standard_normal((rows, depth)), random.standard_normal((depth, columns))
    np.testing.assert_allclose((left(a) @ right(b)).numpy(), a @ b, rtol=1e-3, atol=1e-3)

# Nothing is read of operands that are empty.
empty = lent(np.zeros(0), grad.int64)
x = grad.zeros(4)
x[empty] = lent(np.zeros(0))
check(x, np.zeros(4))
check(lent(np.zeros((3, 0))).sum(1), np.zeros(3))
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pages are protected as Linux does it")
@pytest.mark.parametrize("place", ["end", "beginning"])
def test_kernels_stay_inside_their_operands(place: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CASES, place],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
