"""Pooling and padding beside PyTorch's: values, positions, gradients, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SHAPES = {1: (2, 3, 23), 2: (2, 3, 11, 14), 3: (2, 2, 7, 6, 5)}
SETTINGS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": 4, "stride": 3, "padding": 2},
    {"kernel_size": 5, "ceil_mode": True},  # large windows side by side, the last one cut off
]


def both_gradients(name: str, array: Any, **kwargs: Any) -> None:
    """Value (and positions) and gradient are the same."""
    ours = grad.tensor(array, requires_grad=True)
    theirs = torch.tensor(array, requires_grad=True)
    actual = getattr(F, name)(ours, **kwargs)
    expected = getattr(torch.nn.functional, name)(theirs, **kwargs)
    if isinstance(expected, tuple):
        np.testing.assert_array_equal(actual[1].numpy(), expected[1].numpy())
        assert str(actual[1].dtype).split(".")[1] == str(expected[1].dtype).split(".")[1]
        actual, expected = actual[0], expected[0]
    np.testing.assert_allclose(actual.detach().numpy(), expected.detach().numpy(), 1e-12, 1e-14)
    weights = RANDOM.normal(size=expected.shape)
    (actual * grad.tensor(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), 1e-12, 1e-14)


def images(rank: int) -> list[Any]:
    """Numbers, many equal numbers, and an image without a batch."""
    shape = SHAPES[rank]
    return [
        RANDOM.normal(size=shape),
        RANDOM.integers(0, 3, shape).astype(np.float64),
        RANDOM.normal(size=shape[1:]),
    ]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_pool(rank: int, settings: dict[str, Any]) -> None:
    for array, dilation in itertools.product(images(rank), [1, 2]):
        if dilation == 2 and settings["kernel_size"] == 4 and rank == 3:
            continue  # reaches further than the image
        both_gradients(
            f"max_pool{rank}d", array, **settings, dilation=dilation, return_indices=True
        )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_avg_pool(rank: int, settings: dict[str, Any]) -> None:
    for array, include in itertools.product(images(rank), [True, False]):
        both_gradients(f"avg_pool{rank}d", array, **settings, count_include_pad=include)
    if rank > 1:
        both_gradients(f"avg_pool{rank}d", images(rank)[0], **settings, divisor_override=5)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive(rank: int, size: int) -> None:
    for array in images(rank):
        both_gradients(f"adaptive_avg_pool{rank}d", array, output_size=size)
        both_gradients(f"adaptive_max_pool{rank}d", array, output_size=size, return_indices=True)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad(mode: str) -> None:
    for rank in (1, 2, 3):
        array = RANDOM.normal(size=SHAPES[rank])
        both_gradients("pad", array, pad=(1, 2) * rank, mode=mode)
        both_gradients("pad", array, pad=(3, 0, 0, 4, 1, 1)[: 2 * rank], mode=mode)
    both_gradients("pad", RANDOM.normal(size=(3, 4)), pad=(-1, 2, 1, -2), value=1.5)


def test_pad_repeats_the_last_element_that_is_taken_away() -> None:
    for pad in [(-4, 5), (3, -4), (-4, 1)]:
        both_gradients("pad", RANDOM.normal(size=(2, 3, 4)), pad=pad, mode="replicate")


REFUSED = [
    ("max_pool2d", (1, 2, 3, 3), (4,)),
    ("max_pool2d", (1, 2, 3, 3), (2, 1, 2)),
    ("max_pool2d", (1, 2, 3, 3), (2, 0)),
    ("max_pool2d", (3, 3), (2,)),
    ("max_pool2d", (2, 0, 3, 3), (2,)),
    ("avg_pool2d", (1, 2, 3, 3), (4,)),
    ("avg_pool2d", (1, 2, 3, 3), (2, 2, 0, False, True, 0)),
    ("adaptive_avg_pool2d", (1, 2, 3, 3), ((1, 2, 3),)),
    ("pad", (2, 3), ((1,),)),
    ("pad", (2, 3), ((1, 1) * 3,)),
    ("pad", (2, 3), ((-2, -2),)),
    ("pad", (2, 3), ((3, 0), "reflect")),
    ("pad", (2, 3), ((4, 0), "circular")),
    ("pad", (2, 3), ((1, 0), "mirror")),
]


@pytest.mark.parametrize(("name", "shape", "arguments"), REFUSED, ids=str)
def test_refused_with_the_same_exception(name: str, shape: Any, arguments: Any) -> None:
    with pytest.raises(Exception) as theirs:
        getattr(torch.nn.functional, name)(torch.ones(shape), *arguments)
    with pytest.raises(theirs.type):
        getattr(F, name)(grad.ones(shape), *arguments)


@pytest.mark.parametrize("sizes", [(7, 13), (11, 26), (9, 37)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_windows_that_overlap_or_leave_gaps(kernel: int, stride: int, sizes: Any) -> None:
    """Vectors that are not full, borders inside them, elements in no window and in many."""
    array = RANDOM.normal(size=(2, 3, *sizes))
    for padding, ceil_mode in itertools.product([0, 1], [False, True]):
        settings = {"kernel_size": kernel, "stride": stride, "padding": padding}
        for name in ("max_pool2d", "avg_pool2d"):
            both_gradients(name, array, **settings, ceil_mode=ceil_mode)
