"""Training with a batch or a sequence that changes: which calls compile something."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor, nn, optim
from grad.codegen.llvm import cpu
from grad.compile.compiled import MOST_WAITING
from grad.engine import cache
from grad.settings import settings

pytestmark = [
    pytest.mark.usefixtures("empty_cache"),
    pytest.mark.skipif(
        settings.backend != "cpu", reason="the other backends have no kernels of open sizes"
    ),
]
WORDS = 50
# The first two have kernels of their own, the third has those for all others up to 31.
FIRST, FURTHER = (3, 5, 9), (11, 13, 17, 30)


# -- models ----------------------------------------------------------------------------------------
def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, WORDS))


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 3, groups=2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(400, WORDS),
    )  # fmt: skip


class Recurrent(nn.Module):
    """A recurrent layer between an embedding and a head."""

    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(WORDS, 16), nn.Linear(24, WORDS)
        self.layer = kind(16, 24, batch_first=True)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.layer(self.table(words))[0])


class Transformer(nn.Module):
    """One block of attention and a network."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(WORDS, 16), nn.Linear(16, WORDS)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.first, self.second = nn.LayerNorm(16), nn.LayerNorm(16)
        self.network = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))

    def forward(self, words: Tensor) -> Tensor:
        x = self.table(words)
        h = self.first(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return self.head(x + self.network(self.second(x)))


def rows(n: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    x = random.standard_normal((n, 4)).astype(np.float32)
    return grad.tensor(x), grad.tensor(random.integers(0, WORDS, n))


def images(n: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    x = random.standard_normal((n, 1, 14, 14)).astype(np.float32)
    return grad.tensor(x), grad.tensor(random.integers(0, WORDS, n))


def batches(n: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    x, y = random.integers(0, WORDS, (2, n, 12))
    return grad.tensor(x), grad.tensor(y)


def sequences(n: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    x, y = random.integers(0, WORDS, (2, 4, n))
    return grad.tensor(x), grad.tensor(y)


class Case(NamedTuple):
    """A model, and what makes its arguments."""

    model: Callable[[], nn.Module]
    data: Callable[[int, np.random.Generator], tuple[Tensor, Tensor]]


CASES = {
    "perceptron": Case(perceptron, rows),
    "convolutions": Case(convolutions, images),
    "lstm, batch": Case(lambda: Recurrent(nn.LSTM), batches),
    "lstm, sequence": Case(lambda: Recurrent(nn.LSTM), sequences),
    "gru, batch": Case(lambda: Recurrent(nn.GRU), batches),
    "transformer, batch": Case(Transformer, batches),
    "transformer, sequence": Case(Transformer, sequences),
}
OPTIMIZERS = {
    "adam": lambda parameters: optim.Adam(parameters, 0.01),
    "sgd": lambda parameters: optim.SGD(parameters, 0.1, momentum=0.9),
}


def training(case: Case, optimizer: str, compiled: bool) -> Callable[[int], float]:
    """A step of training on data of a size, which gives the loss."""
    grad.manual_seed(0)
    random = np.random.default_rng(0)
    model = case.model()
    optimiser = OPTIMIZERS[optimizer](model.parameters())

    def step(x: Tensor, y: Tensor) -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x).reshape(-1, WORDS), y.reshape(-1))
        loss.backward()
        optimiser.step()
        return loss

    run = grad.compile(step) if compiled else step
    return lambda n: run(*case.data(n, random)).item()


def losses(case: Case, optimizer: str, sizes: tuple[int, ...]) -> list[float]:
    """Those of steps that are not compiled, by kernels of fixed sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu.CpuBackend, "open_sizes", False)
        step = training(case, optimizer, compiled=False)
        found = [step(n) for n in sizes]
    cache.clear()
    return found


# -- what is compiled ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "optimizer"), [*((name, "adam") for name in CASES), ("perceptron", "sgd")]
)
def test_a_last_smaller_batch_compiles_at_its_first_call(
    name: str, optimizer: str, kernels: set[str]
) -> None:
    step = training(CASES[name], optimizer, compiled=True)
    made = []
    for n in (20, 20, 20, 7, 20, 7):
        step(n)
        made.append((len(kernels), cache.misses))
    assert len({*made[3:]}) == 1
    assert made[3][1] == made[2][1] + 1


@pytest.mark.parametrize(
    ("name", "optimizer"), [*((name, "sgd") for name in CASES), ("perceptron", "adam")]
)
def test_a_compiled_step_compiles_nothing_after_the_third_size(
    name: str, optimizer: str, kernels: set[str]
) -> None:
    sizes = tuple(n for n in (*FIRST, *FURTHER) for _ in range(2))
    expected = losses(CASES[name], optimizer, sizes)
    step = training(CASES[name], optimizer, compiled=True)
    made = []
    for n, loss in zip(sizes, expected, strict=True):
        assert step(n) == pytest.approx(loss, rel=1e-4)
        made.append(len(kernels))
    assert made[4] > made[3]
    assert made[-1] == made[4]
    assert cache.structures.templates == 1


@pytest.mark.parametrize("name", CASES)
def test_a_step_compiles_nothing_after_the_third_size(name: str, kernels: set[str]) -> None:
    step = training(CASES[name], "adam", compiled=False)
    made = []
    for n in (FIRST[0], *FIRST, *FURTHER):  # the first step of all makes zeros besides
        step(n)
        made.append(len(kernels))
    assert made[-1] == made[3]


def test_few_templates_for_all_sizes_between_two_borders(kernels: set[str]) -> None:
    """Beyond 31 as well: what differs is whether sums of products are longer than 512."""
    step = training(CASES["lstm, batch"], "sgd", compiled=True)
    made = []
    for n in (33, 33, 35, 40, 70, 200, 150, 333, 450):
        step(n)
        made.append(len(kernels))
    assert made[-1] == made[4]
    assert cache.structures.templates == 2


def test_slices_of_an_open_depth_leave_something_over(kernels: set[str]) -> None:
    """Also of a number that is some slices: it would hold for no other."""
    random = np.random.default_rng(0)
    made = []
    for n in (2400, 2500, 2592, 2600, 2700, 3000):
        a, b = (random.standard_normal((n, 48)).astype(np.float32) for _ in range(2))
        found = (grad.tensor(a).T @ grad.tensor(b)).numpy()
        np.testing.assert_allclose(found, a.T @ b, 1e-3, 1e-3)
        made.append(len(kernels))
    assert made[-1] == made[2]
    assert cache.structures.templates == 1


# -- recorded at the first call --------------------------------------------------------------------
def test_a_kind_of_another_size_is_recorded_at_its_first_call() -> None:
    @grad.compile
    def double(x: Tensor) -> Tensor:
        return x * 2

    counts = []
    for n in (4, 4, 7, 7, 4, 9):
        np.testing.assert_array_equal(double(grad.ones(n)).numpy(), np.full(n, 2, np.float32))
        counts.append(double.recordings)
    assert counts == [0, 1, 2, 2, 2, 3]
    double(grad.ones(3, 3))  # other axes are another kind
    double(grad.ones(4, dtype=grad.float64))
    assert double.recordings == 3


def test_sizes_that_never_come_back_are_not_recorded_for_ever() -> None:
    @grad.compile
    def double(x: Tensor) -> Tensor:
        return x * 2

    for n in (2, 2, *range(3, 103)):
        double(grad.ones(n))
    assert double.recordings == 1 + MOST_WAITING
    for n in range(3, 13):  # which makes room
        double(grad.ones(n))
    for n in range(200, 220):
        double(grad.ones(n))
    assert double.recordings == 1 + MOST_WAITING + 10


def test_what_a_function_keeps_for_each_size_is_seen() -> None:
    """The first call of a kind makes it, and is recorded; the second is recorded without."""
    masks: dict[int, Tensor] = {}

    def masked(x: Tensor) -> Tensor:
        n = x.shape[0]
        if n not in masks:
            masks[n] = grad.ones(n, n).tril()
        return masks[n] @ x

    compiled = grad.compile(masked)
    for n in (3, 3, 3, 5, 5, 5, 4, 4, 3, 5, 4, 3, 5):
        x = np.arange(n, dtype=np.float32)
        np.testing.assert_allclose(compiled(grad.tensor(x)).numpy(), np.cumsum(x), 1e-6)
    assert len(masks) == 3
