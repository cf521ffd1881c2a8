"""Resizing, sampling and the pools that are made of others, beside PyTorch's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SHAPES = {1: (2, 3, 7), 2: (2, 3, 5, 8), 3: (1, 2, 3, 4, 5)}


def both(name: str, *args: Any, tolerance: float = 1e-6, **kwargs: Any) -> None:
    """Value and gradients are the same; arrays of floats are given as leaves."""

    def call(module: Any, tensor: Callable[..., Any]) -> tuple[Any, list[Any]]:
        given = [tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        named = {k: tensor(a) if isinstance(a, np.ndarray) else a for k, a in kwargs.items()}
        leaves = [
            leaf
            for leaf, a in zip(given, args, strict=True)
            if isinstance(a, np.ndarray) and a.dtype.kind == "f"
        ]
        for leaf in leaves:
            leaf.requires_grad_(True)
        return getattr(module, name)(*given, **named), leaves

    actual, ours = call(F, grad.tensor)
    expected, theirs = call(torch.nn.functional, torch.tensor)
    if isinstance(expected, tuple):
        np.testing.assert_array_equal(actual[1].numpy(), expected[1].numpy())
        actual, expected = actual[0], expected[0]
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), tolerance, tolerance
    )
    weights = RANDOM.normal(size=tuple(expected.shape))
    (actual * grad.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        if mine.grad is None:  # PyTorch has zeros where nothing depends on a leaf
            assert other.grad is None or not other.grad.any()
            continue
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), tolerance, tolerance)


def same_error(name: str, *args: Any, **kwargs: Any) -> None:
    def raised(module: Any, tensor: Callable[..., Any]) -> type[Exception]:
        given = [tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        with pytest.raises(Exception) as found:
            getattr(module, name)(*given, **kwargs)
        return found.type

    expected = raised(torch.nn.functional, torch.tensor)
    assert issubclass(raised(F, grad.tensor), expected)


# -- interpolate -----------------------------------------------------------------------------------
MODES = {
    1: ("nearest", "nearest-exact", "area", "linear"),
    2: ("nearest", "nearest-exact", "area", "bilinear", "bicubic"),
    3: ("nearest", "nearest-exact", "area", "trilinear"),
}
WEIGHTED = ("linear", "bilinear", "bicubic", "trilinear")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_interpolate(rank: int) -> None:
    image = RANDOM.normal(size=SHAPES[rank])
    targets: list[dict[str, Any]] = [
        {"size": 3},
        {"size": (11, 20, 4)[:rank]},
        {"scale_factor": 2},
        {"scale_factor": 1.7},
        {"scale_factor": 0.6, "recompute_scale_factor": True},
    ]
    for mode, target in itertools.product(MODES[rank], targets):
        both("interpolate", image, mode=mode, **target)
        if mode in WEIGHTED:
            both("interpolate", image, mode=mode, align_corners=True, **target)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolate_with_a_wide_filter(mode: str) -> None:
    image = RANDOM.normal(size=(2, 3, 31, 40))
    for size, align in itertools.product([(7, 9), (1, 60), (31, 5)], [False, True]):
        both("interpolate", image, size=size, mode=mode, antialias=True, align_corners=align)


def test_interpolate_bytes() -> None:
    image = RANDOM.integers(0, 256, (1, 3, 9, 8)).astype(np.uint8)
    for mode in ("nearest", "bilinear", "bicubic"):
        actual = F.interpolate(grad.tensor(image), size=(5, 13), mode=mode)
        expected = torch.nn.functional.interpolate(torch.tensor(image), size=(5, 13), mode=mode)
        assert actual.dtype is grad.uint8
        # PyTorch's weights there are of 16 bits.
        assert np.abs(actual.numpy().astype(int) - expected.numpy().astype(int)).max() <= 1


def test_interpolate_to_many_from_one_is_a_product_with_the_weights() -> None:
    both("interpolate", RANDOM.normal(size=(2, 1, 1, 2)), size=(40, 50), mode="bicubic")


def test_interpolate_refuses_as_pytorch() -> None:
    image = RANDOM.normal(size=(1, 1, 4, 4))
    for kwargs in (
        {},
        {"size": 2, "scale_factor": 2},
        {"size": (2, 2, 2)},
        {"scale_factor": (2,)},
        {"size": 2, "align_corners": True},
        {"size": 2, "mode": "linear"},
        {"size": 2, "mode": "trilinear"},
        {"size": 2, "mode": "cubic"},
        {"size": 2.5},
        {"size": (0, 2)},
        {"size": 2, "recompute_scale_factor": True},
        {"size": 2, "antialias": True},
    ):
        same_error("interpolate", image, **kwargs)


# -- grids -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode: str, padding_mode: str) -> None:
    for align in (False, True):
        settings = {"mode": mode, "padding_mode": padding_mode, "align_corners": align}
        grid = RANDOM.uniform(-3.5, 3.5, (2, 4, 6, 2))
        both("grid_sample", RANDOM.normal(size=(2, 3, 5, 7)), grid, **settings)
        if mode != "bicubic":
            grid = RANDOM.uniform(-2, 2, (2, 2, 3, 4, 3))
            both("grid_sample", RANDOM.normal(size=(2, 2, 3, 4, 5)), grid, **settings)


@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
def test_grid_sample_far_away_and_nowhere(padding_mode: str) -> None:
    image = RANDOM.normal(size=(1, 2, 4, 5))
    grid = np.array([[[[np.nan, 0], [np.inf, 0.5], [-np.inf, np.inf], [1e30, -1e30], [0, 0]]]])
    settings = {"padding_mode": padding_mode, "align_corners": False}
    actual = F.grid_sample(grad.tensor(image), grad.tensor(grid), **settings)
    expected = torch.nn.functional.grid_sample(torch.tensor(image), torch.tensor(grid), **settings)
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), 1e-9)


@pytest.mark.parametrize(
    ("image", "out"),
    [
        ((0, 2, 3, 3), (2, 2)),
        ((2, 0, 3, 3), (2, 2)),
        ((2, 2, 3, 3), (0, 2)),
        ((2, 2, 3, 3, 3), (2, 0, 2)),
        ((1, 1, 1, 1, 1), (1, 1, 1)),
    ],
)
def test_grid_sample_of_little(image: tuple[int, ...], out: tuple[int, ...]) -> None:
    grid = RANDOM.uniform(-1.2, 1.2, (image[0], *out, len(out)))
    for _ in range(3):  # from the second call on from a template
        both("grid_sample", RANDOM.normal(size=image), grid, align_corners=False)


def test_grid_sample_outside_ignores_infinities() -> None:
    image = np.full((1, 2, 2, 2), np.inf)
    image[0, 1] = np.nan
    grid = grad.tensor([[[[-4.0, 0.0], [4.0, 4.0]]]], dtype=grad.float64)
    assert F.grid_sample(grad.tensor(image), grid, align_corners=False).tolist() == [
        [[[0.0, 0.0]]] * 2
    ]


def test_grid_sample_reads_all_corners_in_one_kernel() -> None:
    image, grid = grad.ones(1, 4, 8, 8).realize(), grad.zeros(1, 16, 16, 2).realize()
    explained = grad.explain(lambda: F.grid_sample(image, grid, align_corners=False))
    assert len(explained.kernels) <= 3  # where they are, and the reading


@pytest.mark.slow
def test_grid_sample_has_a_second_gradient() -> None:
    image = grad.tensor(RANDOM.normal(size=(1, 1, 3, 3)), requires_grad=True)
    grid = grad.tensor(RANDOM.uniform(-0.8, 0.8, (1, 1, 2, 2)), requires_grad=True)

    def call(image: Any, grid: Any) -> Any:
        return F.grid_sample(image, grid, "bicubic", align_corners=False)

    assert grad.autograd.gradcheck(call, (image, grid))
    assert grad.autograd.gradgradcheck(call, (image, grid))


def test_affine_grid() -> None:
    for align in (False, True):
        both("affine_grid", RANDOM.normal(size=(2, 2, 3)), (2, 1, 4, 5), align_corners=align)
        both("affine_grid", RANDOM.normal(size=(2, 3, 4)), (2, 1, 2, 3, 4), align_corners=align)
    both("affine_grid", RANDOM.normal(size=(1, 2, 3)), (1, 1, 1, 3), align_corners=False)


def test_grids_refuse_as_pytorch() -> None:
    image, grid = RANDOM.normal(size=(1, 1, 4, 4)), RANDOM.normal(size=(1, 2, 2, 2))
    same_error("grid_sample", image, grid, mode="cubic", align_corners=False)
    same_error("grid_sample", image, grid, padding_mode="edge", align_corners=False)
    same_error("grid_sample", image, grid[..., :1], align_corners=False)
    same_error("grid_sample", image, np.repeat(grid, 2, 0), align_corners=False)
    same_error("grid_sample", image, grid.astype(np.float32), align_corners=False)
    same_error("affine_grid", np.zeros((1, 2, 2)), (1, 1, 2, 2), align_corners=False)
    same_error("affine_grid", np.zeros((1, 2, 3), np.int64), (1, 1, 2, 2), align_corners=False)
    same_error("affine_grid", np.zeros((1, 2, 3)), (1, 2, 2), align_corners=False)
    same_error("affine_grid", np.zeros((1, 2, 3)), (1, 1, 0, 2), align_corners=False)


# -- pools -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lp_pool(rank: int) -> None:
    image = RANDOM.uniform(0.5, 2, SHAPES[rank])
    for norm, ceil in itertools.product([2, 3, 1.5, np.inf], [False, True]):
        both(f"lp_pool{rank}d", image, norm, 2, ceil_mode=ceil)
    both(f"lp_pool{rank}d", image, 2, 3, 2)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_unpool(rank: int) -> None:
    image = torch.tensor(RANDOM.normal(size=SHAPES[rank]))
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")
    for kernel, stride, padding in [(2, 2, 0), (3, 2, 1), (2, 1, 0)]:
        values, places = (x.numpy() for x in pool(image, kernel, stride, padding, 1, False, True))
        size = SHAPES[rank]
        unpool = f"max_unpool{rank}d"
        if stride == 1:  # positions occur more than once
            continue
        both(unpool, values, places, kernel, stride, padding, output_size=size)
        both(unpool, values[0], places[0], kernel, stride, padding, output_size=size[2:])


def test_max_unpool_refuses_as_pytorch() -> None:
    values, places = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 2), np.int64)
    same_error("max_unpool2d", values, places + 16, 2)
    same_error("max_unpool2d", values, places - 1, 2)
    same_error("max_unpool2d", values, places[:, :, :1], 2)
    same_error("max_unpool2d", values, places.astype(np.int32), 2)
    same_error("max_unpool2d", values, places, 2, output_size=(9, 9))
    same_error("max_unpool2d", values, places, 2, output_size=(4,))


@pytest.mark.parametrize("rank", [2, 3])
def test_fractional_max_pool(rank: int) -> None:
    image = RANDOM.normal(size=(2, 3, *(9, 10, 8)[:rank]))
    samples = RANDOM.uniform(size=(2, 3, rank))
    for size in [(4, 5, 3)[:rank], (1, 2, 6)[:rank]]:
        settings = {"output_size": size, "_random_samples": samples, "return_indices": True}
        both(f"fractional_max_pool{rank}d", image, 2, **settings)
    drawn = getattr(F, f"fractional_max_pool{rank}d")(grad.tensor(image), 2, output_ratio=0.5)
    assert tuple(drawn.shape[2:]) == (4, 5, 4)[:rank]
