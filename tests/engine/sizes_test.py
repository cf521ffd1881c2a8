"""One plan for many sizes: the values are those of plans of their own, and few kernels are made."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor
from grad.codegen.llvm import cpu
from grad.engine import cache
from grad.settings import settings

Run = Callable[[int, np.random.Generator], list[Tensor]]

# The first ones get plans of their own; then some are on either side of a border, some divide by
# vectors and some are primes, one comes back, and 0 and 1 make other programs.
SIZES = (20, 33, 37, 64, 100, 31, 7, 3, 1, 37, 0, 16)

needs_machine_code = pytest.mark.skipif(
    settings.backend != "cpu", reason="the other backends have no kernels of open sizes"
)
pytestmark = [needs_machine_code, pytest.mark.usefixtures("empty_cache")]


def normal(random: np.random.Generator, *shape: int, requires_grad: bool = False) -> Tensor:
    values = random.standard_normal(shape).astype(np.float32)
    return grad.tensor(values, requires_grad=requires_grad)


# -- functions of a size ---------------------------------------------------------------------------
def pointwise(n: int, random: np.random.Generator) -> list[Tensor]:
    x = normal(random, n, 12)
    return [(x * 2 + 1).exp(), x > 0, x.to(grad.int32), grad.where(x > 0, x, -x)]


def reductions(n: int, random: np.random.Generator) -> list[Tensor]:
    x = normal(random, 5, n)
    found = [x.sum(), x.sum(0), x.sum(1)]
    return [*found, x.mean(1), x.max(1).values, x.argmax(1)] if n else found


def long_sums(n: int, random: np.random.Generator) -> list[Tensor]:
    x, y = normal(random, n * 1000), normal(random, n * 300, 20)
    return [x.exp().sum(), y.sum(0), (y * y).sum()]


def softmax(n: int, random: np.random.Generator) -> list[Tensor]:
    x = normal(random, 6, n, requires_grad=True)
    y = x.softmax(1)
    (y * y).sum().backward()
    return [y, x.softmax(0), x.grad]


def layer_norm(n: int, random: np.random.Generator) -> list[Tensor]:
    x, weight, bias = (normal(random, *s, requires_grad=True) for s in ((n, 32), (32,), (32,)))
    y = F.layer_norm(x, (32,), weight, bias)
    y.square().sum().backward()
    return [y, x.grad, weight.grad, bias.grad]


def running_sums(n: int, random: np.random.Generator) -> list[Tensor]:
    x = normal(random, n, 7)
    return [x.cumsum(0), x.T.contiguous().cumsum(1)]


def products(n: int, random: np.random.Generator) -> list[Tensor]:
    a, b, c = normal(random, n, 48), normal(random, 48, 40), normal(random, 24, n)
    return [(a @ b).relu(), b.T @ a.T, c @ a, a.T @ c.T, c[0] @ a, a @ b[:, 0], a @ a.T]


def batched_products(n: int, random: np.random.Generator) -> list[Tensor]:
    a, b = normal(random, n, 5, 16), normal(random, n, 16, 9)
    rows, keys = normal(random, 4, 1, 16), normal(random, 4, n, 16)
    return [a @ b, rows @ keys.transpose(1, 2), normal(random, 4, 1, n) @ keys]


def attention(n: int, random: np.random.Generator) -> list[Tensor]:
    q, k, v = (normal(random, 2, 3, n, 16, requires_grad=True) for _ in range(3))
    found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    found.square().sum().backward()
    weights = (q @ k.transpose(-2, -1) / 4).softmax(-1)
    last = F.scaled_dot_product_attention(q[:, :, :1], k, v) if n else found
    return [found, last, weights @ v, q.grad, k.grad, v.grad]


def moves(n: int, random: np.random.Generator) -> list[Tensor]:
    x, y = normal(random, n, 12), normal(random, 4, n, 16)
    found = [x.T + 1, x.reshape(-1), x.reshape(12, n) * 2, x[:, ::2] + 1, F.pad(x, (1, 2, 0, 1))]
    found += [grad.cat([y, y[:, :1] if n else y], 1), grad.cat([x[:, :4], x[:, 6:]], 1)]
    return [*found, x.flip(0) + 1, x[1:] + x[:-1], x.repeat(2, 1)] if n else found


def writes(n: int, random: np.random.Generator) -> list[Tensor]:
    x = normal(random, n + 4, 6).clone()
    x[2 : 2 + n] = normal(random, n, 6)
    x[:n] += 1
    return [x]


def rows_by_number(n: int, random: np.random.Generator) -> list[Tensor]:
    table = normal(random, 50, 8, requires_grad=True)
    rows = F.embedding(grad.tensor(random.integers(0, 50, n)), table)
    rows.square().sum().backward()
    return [rows, table.grad]


def square(n: int, random: np.random.Generator) -> list[Tensor]:
    x, row = normal(random, n, n), normal(random, n)
    return [x.tril(), x + x.T, x @ x, row[:, None] * row, (row[:, None] - row).abs().sum(1)]


def two_layers(n: int, random: np.random.Generator) -> list[Tensor]:
    first, second = (normal(random, *s, requires_grad=True) for s in ((64, 40), (40, 10)))
    target = grad.tensor(random.integers(0, 10, n))
    logits = F.relu(normal(random, n, 64) @ first) @ second
    loss = F.cross_entropy(logits, target) if n else logits.sum()
    loss.backward()
    return [loss, first.grad, second.grad]


def convolutions(n: int, random: np.random.Generator) -> list[Tensor]:
    image = normal(random, n, 6, 11, 13)
    few, many, grouped = (normal(random, *s) for s in ((3, 6, 3, 3), (40, 6, 3, 3), (18, 2, 3, 2)))
    return [
        F.conv2d(image, few, padding=1),
        F.conv2d(image, many, normal(random, 40), stride=2).relu(),
        F.conv2d(image, normal(random, 24, 6, 1, 1)).relu(),
        F.conv2d(image, grouped, groups=3, dilation=2),
        F.conv_transpose2d(image, normal(random, 6, 16, 3, 3), stride=2),
        F.max_pool2d(F.conv2d(image, many).relu(), 2).flatten(1) @ normal(random, 800, 5),
    ]


# How many kernels may be made of sizes beyond the first, all in all.
FUNCTIONS: dict[Run, int] = {
    pointwise: 4,
    reductions: 6,
    long_sums: 10,
    softmax: 4,
    layer_norm: 4,
    running_sums: 6,
    products: 45,
    batched_products: 22,
    attention: 30,
    moves: 14,
    writes: 3,
    rows_by_number: 3,
    square: 24,
    convolutions: 60,
    two_layers: 14,
}


def values(run: Run, sizes: tuple[int, ...] = SIZES) -> list[list[np.ndarray]]:
    random = np.random.default_rng(7)
    return [[found.detach().numpy().copy() for found in run(n, random)] for n in sizes]


@pytest.mark.parametrize("run", FUNCTIONS, ids=lambda run: run.__name__)
def test_values_are_those_of_fixed_sizes(
    run: Run, kernels: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cpu.CpuBackend, "open_sizes", False)
        expected = values(run)
    cache.clear()
    few = len(kernels)
    actual = values(run)
    for n, found, wanted in zip(SIZES, actual, expected, strict=True):
        for a, b in zip(found, wanted, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, 2e-5, 2e-5, err_msg=f"size {n}")
    assert cache.structures.templates > 0
    assert len(kernels) - few <= FUNCTIONS[run]


def test_two_sizes_that_vary(kernels: set[str]) -> None:
    random = np.random.default_rng(3)
    pairs = [(n, m) for n in (3, 17, 40, 65) for m in (5, 16, 33, 70)]
    made = []
    for n, m in [*pairs, *pairs[::-1]]:
        x, y = random.standard_normal((n, 8, m)), random.standard_normal((n, m, 8))
        a, b = (grad.tensor(v.astype(np.float32)) for v in (x, y))
        found = ((a @ b).softmax(-1) @ a + b.transpose(1, 2)).reshape(n * 8, m)
        scores = x @ y
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        expected = (weights @ x + y.swapaxes(1, 2)).reshape(n * 8, m)
        np.testing.assert_allclose(found.numpy(), expected, 1e-3, 1e-4)
        made.append(len(kernels))
    assert made[-1] == made[len(pairs) - 1]
    assert made[-1] < 60  # 16 pairs of three kernels each


def test_tiles_of_open_products_pack(kernels: set[str]) -> None:
    """The first tile of each block of rows packs, whatever its height, where there are more blocks
    than planned for.
    """
    random = np.random.default_rng(5)
    sizes = [(50, 300, 409), (45, 310, 410), (33, 311, 500)]  # the last is what is planned for
    sizes += [(500, 500, 511), (131, 290, 403), (64, 511, 90), (35, 300, 70), (45, 33, 200)]
    for m, k, n in sizes:
        a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
        found = grad.tensor(a.astype(np.float32)) @ grad.tensor(b.astype(np.float32))
        np.testing.assert_allclose(found.numpy(), a @ b, 1e-3, 1e-3)
    assert cache.structures.templates == 1
    heights = [{*re.findall(r"define .*\.packing(\d+)x", text)} for text in kernels]
    assert max(map(len, heights)) == 2


def test_a_plan_for_few_rows_is_not_used_for_many(kernels: set[str]) -> None:
    """Few rows read a far B where it is; more have it packed, by another kernel."""
    random = np.random.default_rng(6)
    made = []
    for rows in (34, 35, 40, 130, 200, 140):
        a, b = random.standard_normal((rows, 600)), random.standard_normal((600, 512))
        found = grad.tensor(a.astype(np.float32)) @ grad.tensor(b.astype(np.float32))
        np.testing.assert_allclose(found.numpy(), a @ b, 1e-3, 1e-3)
        made.append((cache.structures.templates, len(kernels)))
    assert [templates for templates, _ in made] == [0, 0, 1, 2, 2, 2]
    assert made[-1] == made[3]


def test_a_last_smaller_batch_makes_nothing_the_second_time() -> None:
    random = np.random.default_rng(0)
    data = random.standard_normal((100, 16)).astype(np.float32)
    weight = normal(random, 16, 4, requires_grad=True)
    misses = []
    for _ in range(3):
        for start in range(0, 100, 32):
            loss = (grad.tensor(data[start : start + 32]) @ weight).square().mean()
            loss.backward()
            assert weight.grad is not None
            with grad.no_grad():
                weight -= 0.1 * weight.grad
            weight.grad = None
            float(loss)
        misses.append(cache.misses)
    assert misses[2] == misses[1]


def test_two_sizes_have_plans_of_their_own() -> None:
    random = np.random.default_rng(0)
    for n in (32, 4, 32, 4):
        normal(random, n, 16).softmax(1).numpy()
    assert cache.structures.templates == 0
    for n in (5, 9, 12):
        normal(random, n, 16).softmax(1).numpy()
    assert cache.structures.templates == 1


def test_a_number_that_changes_with_the_size_is_an_argument() -> None:
    for n in (3, 5, 8, 13, 21, 34, 55):
        x = np.arange(n, dtype=np.float32)
        found = (grad.tensor(x) / n + n).numpy()
        np.testing.assert_allclose(found, x / n + n, 1e-6)
        found = (grad.tensor(x) / (2 * n + 0.5)).numpy()
        np.testing.assert_allclose(found, x / (2 * n + 0.5), 1e-6)


def test_what_knows_no_open_sizes_keeps_them_fixed() -> None:
    random = np.random.default_rng(0)
    weight = normal(random, 6, 3, 3, 3)
    for n in (2, 3, 5, 4, 7, 9, 6, 8):
        x = random.standard_normal((n, 3, 8, 8)).astype(np.float32)
        found = F.relu(F.conv2d(grad.tensor(x), weight, padding=1)).numpy()
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3)
        )
        expected = np.einsum("nchwij,ocij->nohw", windows, weight.numpy())
        np.testing.assert_allclose(found, np.maximum(expected, 0), 1e-4, 1e-4)


# -- a cache that grows ----------------------------------------------------------------------------
WIDTH, HEADS, LAYERS, WORDS = 32, 2, 2, 50
HEAD = WIDTH // HEADS


class Decoder:
    """A small transformer that decodes one word at a time, written once for arrays and tensors."""

    def __init__(self, fused: bool) -> None:
        random = np.random.default_rng(1)

        def matrix(*shape: int) -> np.ndarray:
            values = random.standard_normal(shape) / np.sqrt(shape[0])
            return values.astype(np.float32)

        self.fused = fused
        self.table, self.head = matrix(WORDS, WIDTH), matrix(WIDTH, WORDS)
        shapes = dict.fromkeys("qkvo", (WIDTH, WIDTH)) | {
            "up": (WIDTH, 4 * WIDTH),
            "down": (4 * WIDTH, WIDTH),
        }
        self.layers = [{name: matrix(*s) for name, s in shapes.items()} for _ in range(LAYERS)]
        tensors = [self.table, self.head, *(w for layer in self.layers for w in layer.values())]
        self.tensors = {id(array): grad.tensor(array) for array in tensors}

    def array_step(self, word: int, caches: list[list[np.ndarray]]) -> np.ndarray:
        x = self.table[word][None].astype(np.float64)
        for layer, cached in zip(self.layers, caches, strict=True):
            h = _normed(x)
            q, k, v = ((h @ layer[name]).reshape(HEADS, 1, HEAD) for name in "qkv")
            for place, new in enumerate((k, v)):
                cached[place] = np.concatenate([cached[place], new], 1)
            k, v = cached
            scores = q @ k.swapaxes(1, 2) / np.sqrt(HEAD)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            x = x + (weights @ v).reshape(1, WIDTH) @ layer["o"]
            x = x + np.maximum(_normed(x) @ layer["up"], 0) @ layer["down"]
        return _normed(x) @ self.head

    def tensor_step(self, word: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        weight = lambda array: self.tensors[id(array)]  # noqa: E731
        x = weight(self.table)[word].reshape(1, WIDTH)
        grown: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            h = F.layer_norm(x, (WIDTH,))
            q, k, v = ((h @ weight(layer[name])).reshape(HEADS, 1, HEAD) for name in "qkv")
            k = grad.cat([caches[2 * number], k], 1)
            v = grad.cat([caches[2 * number + 1], v], 1)
            grown += [k, v]
            if self.fused:
                mixed = F.scaled_dot_product_attention(q, k, v)
            else:
                mixed = (q @ k.transpose(1, 2) / HEAD**0.5).softmax(-1) @ v
            x = x + mixed.reshape(1, WIDTH) @ weight(layer["o"])
            h = F.relu(F.layer_norm(x, (WIDTH,)) @ weight(layer["up"]))
            x = x + h @ weight(layer["down"])
        return (F.layer_norm(x, (WIDTH,)) @ weight(self.head), *grown)


def _normed(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@pytest.mark.filterwarnings("ignore:grad.compile")  # it stops recording after so many shapes
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "composed"])
def test_a_growing_cache_makes_a_handful_of_kernels(
    fused: bool, compiled: bool, kernels: set[str]
) -> None:
    decoder = Decoder(fused)
    step = grad.compile(decoder.tensor_step) if compiled else decoder.tensor_step
    arrays = [[np.zeros((HEADS, 0, HEAD)) for _ in "kv"] for _ in range(LAYERS)]
    tensors = [grad.zeros(HEADS, 0, HEAD) for _ in range(2 * LAYERS)]
    word = 1
    made = []
    with grad.no_grad():
        for _ in range(512):
            logits, *tensors = step(grad.tensor(word), *tensors)
            expected = decoder.array_step(word, arrays)
            found = logits.numpy()
            np.testing.assert_allclose(found, expected, 1e-3, 1e-3)
            made.append(len(kernels))
            word = int(expected.argmax())
    # Sizes 0, 1 and the first two others have kernels of their own.
    assert made[-1] - made[4] <= 12
    assert made[-1] == made[64]  # one border is behind
