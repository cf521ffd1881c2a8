"""Curves and sheets of images: what is drawn is what was given."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import grad
from grad.utils import plot


def test_curves_are_the_values(tmp_path: Path) -> None:
    path = tmp_path / "new" / "curves.png"
    losses = [grad.tensor(2.0, requires_grad=True), grad.tensor(1.0)]
    given = {"train": losses, "validation": ([0, 10], grad.tensor([3.0, 1.5]))}
    figure = plot.curves(given, path, title="run", log=True)
    train, validation = figure.axes[0].lines
    np.testing.assert_array_equal(train.get_xydata(), [[0, 2], [1, 1]])
    np.testing.assert_array_equal(validation.get_xydata(), [[0, 3], [10, 1.5]])
    assert [line.get_label() for line in (train, validation)] == ["train", "validation"]
    assert figure.axes[0].get_yscale() == "log"
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_one_curve_without_a_name() -> None:
    axes = plot.curves(np.array([1.0, 2.0])).axes[0]
    assert axes.get_legend() is None
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1, 2])


def test_smoothing_is_the_mean_of_what_came_before() -> None:
    raw, smooth = plot.curves([1.0, 3.0, 5.0, 1.0], smooth=2).axes[0].lines
    np.testing.assert_allclose(raw.get_ydata(), [1, 3, 5, 1])
    np.testing.assert_allclose(smooth.get_ydata(), [1, 2, 4, 3])


def test_bad_curves() -> None:
    with pytest.raises(ValueError, match="3 steps and 2 values"):
        plot.curves({"loss": ([0, 1, 2], [1.0, 2.0])})
    with pytest.raises(ValueError, match="smooth"):
        plot.curves([1.0], smooth=0)


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 1, 8, 9), (5, 3, 8, 9)])
def test_images(shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).random(shape).astype(np.float32)
    figure = plot.images(grad.tensor(pictures), columns=2, titles=list("abcde"))
    assert [axes.get_title() for axes in figure.axes] == list("abcde")
    for axes, picture in zip(figure.axes, pictures):
        expected = np.moveaxis(picture, 0, -1) if shape[1] == 3 else picture.reshape(8, 9)
        np.testing.assert_array_equal(axes.images[0].get_array(), expected)


@pytest.mark.parametrize("shape", [(8, 9), (5, 2, 8, 9), (0, 8, 9)])
def test_bad_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images: needs the shape"):
        plot.images(np.zeros(shape))


def test_matplotlib_is_named_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"micrograd\[plot\]"):
        plot.curves([1.0])
