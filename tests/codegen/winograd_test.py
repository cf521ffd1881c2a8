"""Convolutions in Winograd's tiles, against what convolutions mean in float64.

The cost rule is left out, so that small and odd sizes come here too. Errors are measured against
the root mean square of the result: at most `RMS` on the whole and `MOST` anywhere, for up to 64
channels of normal numbers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grad.engine.realize import cache, realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.node import Node
from grad.graph.windows import Windows, correlate, geometry
from grad.kernel import lower_convolution
from grad.kernel.ir_convolution import Convolution, ConvolutionForm
from grad.kernel.lower import lower_all
from grad.kernel.winograd import fits, matrices, pays, tile_sums
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from grad.schedule.simplify import simplify
from grad.settings import settings
from tests.codegen.convolution_test import (
    VIEWS,
    Case,
    arrays,
    bias_and_activation,
    flipped,
    leaf,
)

RMS, MOST = 1.2e-6, 2e-5
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiles wherever they fit, whether they pay or not."""
    monkeypatch.setattr(lower_convolution, "pays", lambda g: True)
    cache.clear()
    yield
    cache.clear()


CASES = {
    "whole tiles": Case(2, 16, (8, 12), 32, (3, 3), before=1),
    "partial tiles": Case(2, 5, (9, 11), 7, (3, 3), before=1),
    "no padding": Case(2, 33, (11, 14), 35, (3, 3)),
    "one channel": Case(3, 1, (28, 28), 32, (3, 3)),
    "one filter": Case(2, 20, (9, 10), 1, (3, 3), before=1),
    "one position": Case(1, 1, (1, 1), 1, (3, 3), before=1),
    "one row": Case(3, 17, (1, 31), 18, (3, 3), before=1),
    "one column": Case(3, 17, (31, 1), 18, (3, 3), before=1),
    "padding only": Case(1, 2, (1, 1), 33, (3, 3), before=4),
    "more padding after": Case(2, 18, (12, 13), 33, (3, 3), before=1, after=3),
    "cropped": Case(2, 18, (12, 13), 33, (3, 3), before=-2, after=-1),
    "cropped and padded": Case(2, 18, (12, 13), 33, (3, 3), before=-2, after=3),
    "groups": Case(2, 12, (9, 10), 18, (3, 3), before=1, groups=3),
    "large groups": Case(2, 40, (9, 10), 68, (3, 3), before=1, groups=2),
    "depthwise": Case(2, 19, (13, 21), 19, (3, 3), before=1, groups=19),
    "a narrow strip": Case(2, 6, (9, 10), 50, (3, 3), before=1),
    "lines in bands": Case(1, 64, (9, 300), 40, (3, 3), before=1),
    "several images in a piece": Case(23, 16, (7, 7), 16, (3, 3), before=1),
    "blocks of filters": Case(1, 16, (7, 9), 300, (3, 3), before=1),
    "no images": Case(0, 4, (5, 5), 33, (3, 3)),
    "no filters": Case(2, 4, (5, 5), 0, (3, 3)),
    "no channels": Case(2, 0, (5, 5), 3, (3, 3)),
}


def convolved(image: Node, weight: Node, windows: Windows) -> Node:
    return graph.convolve(image, weight, replace(windows, precision="high"))


def operands(case: Case) -> tuple[Node, Node]:
    return leaf(arrays(case, case.image_shape, 1)), leaf(arrays(case, case.weight_shape, 2))


def forms(node: Node) -> list[ConvolutionForm]:
    program = simplify(program_of(walk([node])))
    kernels = [lowered.kernel for lowered in lower_all(program, group(program))]
    ends = [phase[-1] for kernel in kernels for phase in kernel.phases]
    return [end.form for end in ends if isinstance(end, Convolution)]


def check(node: Node) -> None:
    (expected,) = evaluate([node])
    if expected.size and node.src[0].shape[1]:
        assert forms(node) == [ConvolutionForm.WINOGRAD]
    realize([node])
    (actual,) = evaluate([node])
    close(actual, expected)


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if not expected.any():
        assert not actual.any()
        return
    error = np.abs(actual.astype(float) - expected) / np.sqrt(np.mean(np.square(expected)))
    assert np.sqrt(np.mean(np.square(error))) < RMS
    assert error.max() < MOST


@pytest.mark.parametrize("name", CASES)
def test_forward(name: str) -> None:
    check(convolved(*operands(CASES[name]), CASES[name].windows))


def random_case(seed: int) -> Case:
    random = np.random.default_rng(seed)
    groups = int(random.choice((1, 1, 1, 2, 3)))
    height, width = (int(n) for n in random.integers(3, 40, 2))
    before, after = (int(n) for n in random.integers(-1, 4, 2))
    return Case(
        int(random.integers(1, 4)),
        groups * int(random.integers(1, 64 // groups + 1)),
        (height + 2, width + 2),
        groups * int(random.integers(1, 80 // groups + 1)),
        (3, 3),
        before=before,
        after=after,
        groups=groups,
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_sizes(seed: int) -> None:
    case = random_case(seed)
    check(convolved(*operands(case), case.windows))


@pytest.mark.parametrize("view", VIEWS)
def test_images_that_are_views(view: str) -> None:
    image = VIEWS[view](leaf(np.random.default_rng(5).standard_normal((2, 14, 15, 20), "f")))
    case = Case(2, image.shape[1], image.shape[2:], 34, (3, 3), before=1)
    check(convolved(image, leaf(arrays(case, case.weight_shape, 2)), case.windows))


@pytest.mark.parametrize("name", ["partial tiles", "large groups", "lines in bands"])
def test_consumers_are_computed_in_the_kernel(name: str) -> None:
    case = CASES[name]
    sums = convolved(*operands(case), case.windows)
    bias = leaf(arrays(case, (case.filters,), 3))
    node = bias_and_activation(sums, bias, leaf(arrays(case, sums.shape, 4)))
    del sums
    assert len(group(simplify(program_of(walk([node])))).groups) == 1
    assert forms(node) == [ConvolutionForm.WINOGRAD]
    (expected,) = evaluate([node])
    realize([node])
    (actual,) = evaluate([node])
    close(actual, expected)


def test_the_weight_is_read_through_its_movements() -> None:
    case = CASES["large groups"]
    out = case.windows.shape(case.sizes, case.kernel)
    gradient = leaf(arrays(case, (case.images, case.filters, *out), 1))
    weight = flipped(leaf(arrays(case, case.weight_shape, 2)), case.groups)
    check(convolved(gradient, weight, case.windows))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["partial tiles", "lines in bands", "several images in a piece"])
def test_special_values_reach_the_tiles_that_meet_them(name: str, value: float) -> None:
    case = CASES[name]
    pixels = arrays(case, case.image_shape, 1)
    pixels[0, 0, 2, 3] = value
    pixels[-1, -1, -1, -1] = value
    node = convolved(leaf(pixels), leaf(arrays(case, case.weight_shape, 2)), case.windows)
    (exact,) = evaluate([node])
    rows, columns = (range(0, size, 4) for size in exact.shape[2:])
    met = np.zeros(exact.shape, bool)
    for y in rows:
        for x in columns:
            part = pixels[:, :, max(y - 1, 0) : y + 5, max(x - 1, 0) : x + 5]
            bad = ~np.isfinite(part).all(axis=(1, 2, 3))
            met[bad, :, y : y + 4, x : x + 4] = True
    realize([node])
    (actual,) = evaluate([node])
    assert np.isfinite(actual[~met]).all()
    assert not np.isfinite(actual[~np.isfinite(exact)]).any()
    finite = np.where(met, 0, exact)
    close(np.where(met, 0, actual).astype("f"), finite.astype("f"))


LARGE = {
    "lines": Case(1, 32, (64, 50), 48, (3, 3), before=1),
    "strips": Case(1, 64, (7, 7), 256, (3, 3), before=1),
    "images": Case(20, 16, (30, 30), 40, (3, 3)),
}


@pytest.mark.parametrize("name", LARGE)
def test_the_same_bits_on_any_number_of_threads(name: str) -> None:
    case = LARGE[name]
    image, weight = operands(case)
    before, found = get_num_threads(), set()
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        node = convolved(image, weight, case.windows)
        realize([node])
        found.add(evaluate([node])[0].tobytes())
    set_num_threads(before)
    assert len(found) == 1
    check(convolved(image, weight, case.windows))


def test_the_interpreter_computes_the_same() -> None:
    case = CASES["no padding"]
    with settings.override(backend="reference"):
        check(convolved(*operands(case), case.windows))


def test_kernels_pass_verification() -> None:
    case = CASES["groups"]
    with settings.override(verify=True):
        check(convolved(*operands(case), case.windows))


@pytest.mark.parametrize("name", ["partial tiles", "cropped and padded", "padding only"])
def test_tiles_are_the_sums(name: str) -> None:
    """With the matrices as they are, in float64."""
    case = CASES[name]
    out = case.windows.shape(case.sizes, case.kernel)
    g = geometry(case.image_shape, case.filters, case.kernel, out, case.windows)
    image, weight = (arrays(replace(case, dtype="float64"), shape, 1)
                     for shape in (case.image_shape, case.weight_shape))  # fmt: skip
    image = image.reshape(g.images, g.groups, g.channels, *g.image)
    weight = weight.reshape(g.groups, g.filters, g.channels, *g.kernel)
    _, of_weight, _ = matrices()
    actual = tile_sums(g, image, of_weight @ weight @ of_weight.T)
    np.testing.assert_allclose(actual, correlate(g, image, weight), rtol=1e-11, atol=1e-11)


ELSEWHERE = {
    "a stride": Case(2, 40, (20, 20), 40, (3, 3), stride=2),
    "dilation": Case(2, 40, (20, 20), 40, (3, 3), dilation=2),
    "spread": Case(2, 40, (20, 20), 40, (3, 3), before=1, spread=2),
    "5 x 5": Case(2, 40, (20, 20), 40, (5, 5)),
    "a line": Case(2, 40, (20,), 40, (3,)),
    "a volume": Case(2, 40, (6, 20, 20), 40, (1, 3, 3)),
    "float64": Case(2, 40, (20, 20), 40, (3, 3), dtype="float64"),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_convolutions_stay_exact(name: str) -> None:
    case = ELSEWHERE[name]
    node = convolved(*operands(case), case.windows)
    assert forms(node) == [ConvolutionForm.PIXELS]


def test_few_channels_filters_or_positions_do_not_pay() -> None:
    def worth(*sizes: int) -> bool:
        images, channels, height, filters = sizes
        case = Case(images, channels, (height, height), filters, (3, 3), before=1)
        out = case.windows.shape(case.sizes, case.kernel)
        g = geometry(case.image_shape, filters, case.kernel, out, case.windows)
        assert fits(g)
        return pays(g)

    assert worth(8, 64, 28, 64)
    assert worth(8, 256, 14, 256)
    assert not worth(8, 3, 28, 64)
    assert not worth(8, 64, 28, 3)
    assert not worth(1, 64, 7, 64)
    assert not worth(64, 64, 1, 64)


LEVEL_SCRIPT = """
from grad.kernel import lower_convolution
from tests.codegen.winograd_test import CASES, check, convolved, operands
lower_convolution.pays = lambda g: True
for case in CASES.values():
    check(convolved(*operands(case), case.windows))
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", ["avx2", "generic"])
def test_lesser_cpus(level: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEVEL_SCRIPT],
        env={**os.environ, "GRAD_CPU_FEATURES": level, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
