"""Convolutions against what they mean (`graph/windows.py` in float64): every form of kernel, odd
sizes, special values, epilogues, threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

import grad
from grad.codegen.llvm.cpu import CpuBackend
from grad.engine.realize import realize
from grad.errors import DTypeError, ShapeError
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.node import Node
from grad.graph.primitives import ADD, MAXIMUM
from grad.graph.windows import Windows
from grad.kernel.lower import lower_all
from grad.runtime.cpu.host import host
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from grad.schedule.simplify import simplify


@dataclass(frozen=True)
class Case:
    """Sizes of one convolution; pads, strides and so on are the same along all axes."""

    images: int
    channels: int
    sizes: tuple[int, ...]
    filters: int
    kernel: tuple[int, ...]
    stride: int = 1
    before: int = 0
    after: int | None = None
    dilation: int = 1
    spread: int = 1
    groups: int = 1
    dtype: str = "float32"
    windows: Windows = field(init=False)

    def __post_init__(self) -> None:
        rank = len(self.sizes)
        after = self.before if self.after is None else self.after
        windows = Windows(
            (self.stride,) * rank,
            ((self.before, after),) * rank,
            (self.dilation,) * rank,
            (self.spread,) * rank,
            self.groups,
        )
        object.__setattr__(self, "windows", windows)

    @property
    def image_shape(self) -> tuple[int, ...]:
        return (self.images, self.channels, *self.sizes)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.filters, self.channels // self.groups, *self.kernel)


CASES = {
    "square": Case(2, 5, (9, 11), 7, (3, 3), before=1),
    "many channels": Case(2, 40, (10, 13), 70, (3, 3), before=1),
    "blocks of channels": Case(1, 150, (9, 11), 41, (3, 3), before=1),
    "blocks of channels, narrow rows": Case(2, 150, (13, 2), 40, (3, 3), before=1),
    "blocks of channels, strided": Case(1, 150, (14, 15), 33, (3, 3), stride=2, before=1),
    "blocks of channels, spread": Case(1, 150, (7, 6), 33, (3, 3), before=1, after=2, spread=2),
    "blocks of channels, pointwise": Case(1, 701, (9, 23), 33, (1, 1)),
    "a wide border": Case(1, 6, (3, 40), 34, (3, 11), before=30),
    "long rows": Case(1, 4, (3, 300), 34, (3, 3), before=1),
    "long rows, strided": Case(1, 4, (5, 301), 34, (3, 3), stride=2, before=1),
    "strided, even taps": Case(2, 5, (13, 38), 34, (2, 4), stride=2, before=1, after=2),
    "few filters": Case(2, 20, (9, 10), 13, (3, 3), before=1),
    "wide tiles": Case(2, 20, (9, 13), 64, (3, 3), before=1),
    "wide tiles, rows of any length": Case(1, 7, (5, 31), 128, (5, 5), before=2),
    "wide tiles, short rows": Case(3, 9, (7, 2), 64, (3, 2), before=1),
    "wide tiles, strided": Case(2, 11, (15, 17), 64, (3, 3), stride=2, before=1),
    "wide tiles, dilated": Case(2, 10, (17, 14), 64, (3, 3), before=2, dilation=2),
    "wide tiles, pointwise and strided": Case(2, 13, (15, 17), 64, (1, 1), stride=2),
    "wide tiles, groups": Case(2, 6, (9, 10), 128, (3, 3), before=1, groups=2),
    "wide tiles, volume": Case(2, 5, (5, 6, 7), 64, (3, 2, 3), before=1),
    "wide tiles, 7x7": Case(1, 3, (37, 41), 64, (7, 7), stride=2, before=3),
    "wide tiles, float64": Case(2, 5, (9, 10), 32, (3, 3), before=1, dtype="float64"),
    "sixty-four filters, pointwise": Case(2, 21, (9, 7), 64, (1, 1)),
    "sixty-four filters, spread": Case(2, 10, (7, 6), 64, (3, 3), before=1, after=2, spread=2),
    "a narrow tile": Case(2, 6, (9, 10), 50, (3, 3), before=1),
    "one channel": Case(3, 1, (28, 28), 32, (3, 3)),
    "pointwise": Case(2, 67, (9, 7), 33, (1, 1)),
    "pointwise, small": Case(3, 33, (2, 2), 40, (1, 1)),
    "pointwise, tiles that move back": Case(2, 31, (9, 7), 37, (1, 1)),
    "pointwise, rows of a volume": Case(2, 19, (3, 20, 20), 33, (1, 1, 1)),
    "pointwise, channels a page apart": Case(2, 17, (32, 32), 35, (1, 1)),
    "pointwise, uneven pieces": Case(1, 34, (11, 5), 40, (1, 1)),
    "pointwise, float64": Case(2, 21, (9, 7), 35, (1, 1), dtype="float64"),
    "strided": Case(2, 36, (15, 17), 34, (3, 3), stride=2, before=1),
    "strided pointwise": Case(2, 36, (15, 17), 34, (1, 1), stride=2),
    "7x7": Case(1, 3, (37, 41), 20, (7, 7), stride=2, before=3),
    "stride 3": Case(1, 18, (20, 19), 33, (5, 4), stride=3, before=2, after=1),
    "dilated": Case(2, 20, (17, 14), 37, (3, 3), before=2, dilation=2),
    "spread": Case(2, 21, (7, 6), 35, (3, 3), before=1, after=2, spread=2),
    "spread 3": Case(1, 9, (5, 4), 33, (4, 3), before=3, spread=3),
    "spread, one position": Case(2, 5, (4,), 39, (16,), before=2, after=1, spread=4),
    "spread, a tap for each residue": Case(2, 5, (16, 12), 36, (3, 1), before=-1, spread=3),
    "spread and strided": Case(1, 5, (7, 6), 6, (3, 3), stride=3, before=1, spread=2),
    "depthwise": Case(2, 19, (13, 21), 19, (3, 3), before=1, groups=19),
    "depthwise, strided": Case(2, 8, (13, 21), 8, (5, 5), stride=2, before=2, groups=8),
    "groups": Case(2, 12, (9, 10), 18, (3, 3), before=1, groups=3),
    "large groups": Case(2, 40, (9, 10), 68, (3, 3), before=1, groups=2),
    "line": Case(2, 6, (50,), 40, (5,), before=2),
    "long kernel": Case(2, 3, (90,), 34, (31,), before=15),
    "volume": Case(2, 5, (5, 6, 7), 36, (3, 2, 3), before=1),
    "volume, strided": Case(1, 17, (5, 6, 7), 4, (2, 3, 3), stride=2, before=1),
    "cropped": Case(2, 18, (12, 13), 33, (3, 3), before=-2, after=-1),
    "cropped and padded": Case(2, 18, (12, 13), 33, (3, 3), before=-2, after=3),
    "whole image": Case(3, 20, (4, 5), 48, (4, 5)),
    "one position": Case(1, 1, (1, 1), 1, (1, 1)),
    "padding only": Case(1, 2, (1, 1), 33, (3, 3), before=4),
    "no images": Case(0, 4, (5, 5), 33, (3, 3)),
    "no filters": Case(2, 4, (5, 5), 0, (3, 3)),
    "no channels": Case(2, 0, (5, 5), 3, (3, 3)),
    "float64": Case(2, 20, (9, 10), 35, (3, 3), before=1, dtype="float64"),
    "float64, strided": Case(2, 3, (19, 20), 5, (3, 3), stride=2, dtype="float64"),
}


def arrays(case: Case, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(case.dtype)


def leaf(array: np.ndarray) -> Node:
    return grad.tensor(array).node


def compare(node: Node, terms: int) -> None:
    (expected,) = evaluate([node])
    realize([node])
    (actual,) = evaluate([node])
    precision = 1e-6 if actual.dtype == np.float32 else 1e-14
    tolerance = precision * max(terms, 1) ** 0.5 * 4
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_forward(name: str) -> None:
    case = CASES[name]
    image = leaf(arrays(case, case.image_shape, 1))
    weight = leaf(arrays(case, case.weight_shape, 2))
    compare(graph.convolve(image, weight, case.windows), int(np.prod(case.weight_shape[1:])))


@pytest.mark.parametrize("name", CASES)
def test_weight_gradient(name: str) -> None:
    case = CASES[name]
    image = leaf(arrays(case, case.image_shape, 1))
    out = (case.images, case.filters, *case.windows.shape(case.sizes, case.kernel))
    gradient = leaf(arrays(case, out, 2))
    node = graph.convolve_weight(image, gradient, case.windows, case.kernel)
    compare(node, case.images * int(np.prod(out[2:])))


def test_errors() -> None:
    image, weight = leaf(np.zeros((2, 4, 5, 5), "f")), leaf(np.zeros((6, 2, 3, 3), "f"))
    windows = CASES["square"].windows
    with pytest.raises(ShapeError, match="in 1 groups do not fit"):
        graph.convolve(image, weight, windows)
    with pytest.raises(ShapeError, match="the kernel has 9 taps"):
        graph.convolve(image, leaf(np.zeros((6, 4, 3, 9), "f")), windows)
    with pytest.raises(DTypeError, match="cast both"):
        graph.convolve(image, leaf(np.zeros((6, 4, 3, 3))), windows)
    with pytest.raises(ShapeError, match="spatial axes"):
        graph.convolve(image, leaf(np.zeros((6, 4, 3), "f")), windows)
    with pytest.raises(ShapeError, match="needs a gradient"):
        graph.convolve_weight(image, image, windows, (2, 2))


def bias_and_activation(sums: Node, bias: Node, residual: Node) -> Node:
    """``max(sums + bias, 0) + residual``: what usually follows a convolution."""
    column = graph.reshape(bias, (bias.shape[0], *[1] * (len(sums.shape) - 2)))
    positive = graph.pointwise(MAXIMUM, graph.pointwise(ADD, sums, column), zero(sums))
    return graph.pointwise(ADD, positive, residual)


def zero(node: Node) -> Node:
    return graph.constant(0, node.dtype)


FUSED = ("many channels", "depthwise", "pointwise", "spread", "volume", "float64", "one position")


@pytest.mark.parametrize("name", FUSED)
def test_consumers_are_computed_in_the_kernel(name: str) -> None:
    case = CASES[name]
    image = leaf(arrays(case, case.image_shape, 1))
    weight = leaf(arrays(case, case.weight_shape, 2))
    sums = graph.convolve(image, weight, case.windows)
    bias = leaf(arrays(case, (case.filters,), 3))
    node = bias_and_activation(sums, bias, leaf(arrays(case, sums.shape, 4)))
    del sums
    program = simplify(program_of(walk([node])))
    assert len(group(program).groups) == 1
    compare(node, int(np.prod(case.weight_shape[1:])))


def flipped(weight: Node, groups: int) -> Node:
    """The weight of the gradient to the image: taps in reverse, filters and channels swapped."""
    filters, channels, *kernel = weight.shape
    reverse = [(size - 1, -1, size) for size in kernel]
    turned = graph.slice_axes(weight, [(0, 1, filters), (0, 1, channels), *reverse])
    split = graph.reshape(turned, (groups, filters // groups, channels, *kernel))
    swapped = graph.permute(split, (0, 2, 1, *range(3, 3 + len(kernel))))
    return graph.reshape(swapped, (groups * channels, filters // groups, *kernel))


GRADIENTS = ("many channels", "strided", "large groups", "depthwise, strided", "dilated", "7x7")


@pytest.mark.parametrize("name", GRADIENTS)
def test_image_gradient_reads_the_weight_through_its_movements(name: str) -> None:
    case = CASES[name]
    out = case.windows.shape(case.sizes, case.kernel)
    gradient = leaf(arrays(case, (case.images, case.filters, *out), 1))
    weight = leaf(arrays(case, case.weight_shape, 2))
    padding = []
    for size, taps, turns in zip(case.sizes, case.kernel, out, strict=True):
        before = case.dilation * (taps - 1) - case.before
        padding.append((before, size - (case.stride * (turns - 1) + 1 - case.before)))
    rank = len(out)
    windows = Windows(
        (1,) * rank, tuple(padding), (case.dilation,) * rank, (case.stride,) * rank, case.groups
    )
    node = graph.convolve(gradient, flipped(weight, case.groups), windows)
    assert node.shape == case.image_shape
    assert len(group(simplify(program_of(walk([node])))).groups) == 1
    compare(node, case.filters // case.groups * int(np.prod(case.kernel)))


VIEWS: dict[str, Callable[[Node], Node]] = {
    "channels last": lambda x: graph.permute(x, (0, 3, 1, 2)),
    "every other column": lambda x: graph.slice_axes(
        x, [(0, 1, n) for n in x.shape[:3]] + [(1, 2, x.shape[3] // 2)]
    ),
    "backwards": lambda x: graph.slice_axes(x, [(n - 1, -1, n) for n in x.shape]),
    "one row repeated": lambda x: graph.expand(
        graph.slice_axes(x, [(0, 1, n) for n in x.shape[:2]] + [(1, 1, 1), (0, 1, x.shape[3])]),
        x.shape,
    ),
}


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("view", VIEWS)
def test_images_that_are_views(view: str, stride: int, kernel: tuple[int, int]) -> None:
    image = VIEWS[view](leaf(np.random.default_rng(5).standard_normal((2, 14, 15, 20), "f")))
    case = Case(
        2, image.shape[1], image.shape[2:], 34, kernel, stride=stride, before=kernel[0] // 2
    )
    weight = leaf(arrays(case, case.weight_shape, 2))
    compare(graph.convolve(image, weight, case.windows), 14 * 9)
    out = (2, 34, *case.windows.shape(case.sizes, kernel))
    gradient = leaf(arrays(case, out[::-1], 3))
    gradient = graph.permute(gradient, (3, 2, 1, 0))
    compare(graph.convolve_weight(image, gradient, case.windows, kernel), 2 * 15 * 20)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["many channels", "depthwise", "pointwise", "strided", "spread"])
def test_special_values_reach_only_their_windows(name: str, value: float) -> None:
    """What is computed beside the output and dropped must not be seen."""
    case = CASES[name]
    pixels = arrays(case, case.image_shape, 1)
    pixels[0, 0, 2, 3] = value
    pixels[-1, -1, -1, -1] = value
    weights = np.abs(arrays(case, case.weight_shape, 2)) + 0.1
    node = graph.convolve(leaf(pixels), leaf(weights), case.windows)
    (expected,) = evaluate([node])
    realize([node])
    (actual,) = evaluate([node])
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    if case.spread == 1:
        gradient = np.abs(arrays(case, expected.shape, 3)) + 0.1
        node = graph.convolve_weight(leaf(pixels), leaf(gradient), case.windows, case.kernel)
        (expected,) = evaluate([node])
        realize([node])
        (actual,) = evaluate([node])
        np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))


LARGE = {
    "bands": Case(1, 32, (64, 50), 48, (3, 3), before=1),
    "blocks of filters": Case(1, 64, (7, 7), 256, (3, 3), before=1),
    "a long line": Case(1, 4, (60000,), 33, (9,), before=4),
    "positions": Case(1, 64, (120, 121), 64, (1, 1)),
    "images": Case(20, 16, (30, 30), 40, (3, 3), stride=2),
    "depthwise planes": Case(2, 64, (60, 60), 64, (3, 3), before=1, groups=64),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_ones_are_the_same_on_any_number_of_threads(name: str) -> None:
    case = LARGE[name]
    image = leaf(arrays(case, case.image_shape, 1))
    weight = leaf(arrays(case, case.weight_shape, 2))
    out = (case.images, case.filters, *case.windows.shape(case.sizes, case.kernel))
    gradient = leaf(arrays(case, out, 3))
    before, found = get_num_threads(), set()
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        forward = graph.convolve(image, weight, case.windows)
        back = graph.convolve_weight(image, gradient, case.windows, case.kernel)
        realize([forward, back])
        found.add(b"".join(array.tobytes() for array in evaluate([forward, back])))
    set_num_threads(before)
    assert len(found) == 1
    compare(graph.convolve(image, weight, case.windows), int(np.prod(case.weight_shape[1:])))
    node = graph.convolve_weight(image, gradient, case.windows, case.kernel)
    compare(node, case.images * int(np.prod(out[2:])))


def texts(node: Node) -> list[str]:
    """LLVM IR of the phases that compute `node`."""
    program = simplify(program_of(walk([node])))
    backend = CpuBackend(host())
    lowered = lower_all(program, group(program))
    return [str(phase.entry) for low in lowered for phase in backend.generate(low.kernel)]


def test_adding_blocks_of_images_is_little_code() -> None:
    """Sixteen blocks inside a transposing tile were 700,000 characters, a second of LLVM."""
    image, gradient = (leaf(np.zeros((16, 64, 9, 9), "f")) for _ in range(2))
    windows = CASES["square"].windows
    found = texts(graph.convolve_weight(image, gradient, windows, (3, 3)))
    assert len(found) == 3
    assert max(map(len, found)) < 200_000


@pytest.mark.parametrize("size", [8, 112])
def test_wide_strides_are_little_code(size: int) -> None:
    """Tiles asked for 20,000 lines of an image, two seconds to over a minute of LLVM."""
    image, weight = leaf(np.zeros((2, 3, size, size), "f")), leaf(np.zeros((8, 3, 3, 3), "f"))
    windows = Windows((50, 50), ((0, 0), (0, 0)), (1, 1), (1, 1))
    found = texts(graph.convolve(image, weight, windows))
    assert max(map(len, found)) < 200_000


WRITTEN, READ_SOON, READ_LATER = (
    "i32 1, i32 3, i32 1)",
    "i32 0, i32 3, i32 1)",
    "i32 0, i32 2, i32 1)",
)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("pointwise", {READ_SOON, WRITTEN}),
        ("depthwise", {READ_LATER, WRITTEN}),
        ("volume", {WRITTEN}),  # planes do not lie side by side in what is copied
    ],
)
def test_tiles_ask_for_what_follows(name: str, wanted: set[str]) -> None:
    case = CASES[name]
    image = leaf(arrays(case, case.image_shape, 1))
    weight = leaf(arrays(case, case.weight_shape, 2))
    asked = texts(graph.convolve(image, weight, case.windows))[-1]
    calls = [line for line in asked.splitlines() if "call void @llvm.prefetch" in line]
    assert {hint for hint in (WRITTEN, READ_SOON, READ_LATER) for c in calls if hint in c} == wanted
