"""Pictures of a training run: its curves, and sheets of images. matplotlib draws them.

No window is opened and no global state of pyplot is touched: the figure is returned, and written
where a path is given. A notebook shows a returned figure by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grad.utils.optional import optional

INCHES_PER_IMAGE = 0.8


def curves(
    values: Mapping[str, Any] | Sequence[float],
    path: str | Path | None = None,
    *,
    title: str = "",
    xlabel: str = "step",
    ylabel: str = "loss",
    log: bool = False,
    smooth: int = 1,
) -> Any:
    """Draw training curves.

    Args:
        values: numbers (a list, array or tensor), or several curves by name; a curve is its values
            in order, or a pair ``(steps, values)``.
        path: where to write the picture (``.png``, ``.svg``, ``.pdf``).
        log: a logarithmic scale for the values.
        smooth: draw the mean of so many values before each, over the values themselves in grey.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ImportError: naming the extra, without matplotlib. ValueError: steps and values differ in
        number, or `smooth` is under 1.

    Example:
        >>> figure = curves({"train": [3, 2, 1], "validation": ([0, 2], [3.1, 1.4])})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['train', 'validation']
    """
    if smooth < 1:
        raise ValueError(f"curves: smooth must be at least 1, not {smooth}.")
    named = values if isinstance(values, Mapping) else {"": values}
    points = {name: _points(name, curve) for name, curve in named.items()}
    figure = _figure((7, 4))
    axes = figure.subplots()
    for name, (steps, numbers) in points.items():
        if smooth > 1:
            axes.plot(steps, numbers, color="0.8", linewidth=0.8)
            numbers = _smoothed(numbers, smooth)
        axes.plot(steps, numbers, label=name or None, linewidth=1.2)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.grid(alpha=0.3)
    if any(points):
        axes.legend()
    return _written(figure, path)


def images(
    pictures: Any,
    path: str | Path | None = None,
    *,
    columns: int | None = None,
    titles: Sequence[str] = (),
    title: str = "",
    cmap: str = "gray_r",
) -> Any:
    """Draw a sheet of images.

    Args:
        pictures: ``(count, height, width)``, ``(count, 1, height, width)`` or ``(count, 3, height,
            width)`` with values in [0, 1]; an array or a tensor.
        columns: images in a row, by default as many as make the sheet a square.
        titles: what to write over each.

    Returns:
        The ``matplotlib.figure.Figure``.

    Raises:
        ImportError: naming the extra, without matplotlib. ValueError: for another shape.

    Example:
        >>> figure = images(np.zeros((6, 1, 28, 28)), columns=3)
        >>> len(figure.axes)
        6
    """
    array = _array(pictures)
    if not (array.ndim == 3 or (array.ndim == 4 and array.shape[1] in (1, 3))) or not len(array):
        raise ValueError(
            "images: needs the shape (count, height, width), (count, 1, height, width) or "
            f"(count, 3, height, width), not {array.shape}."
        )
    if array.ndim == 4:
        array = array[:, 0] if array.shape[1] == 1 else np.moveaxis(array, 1, -1)
    columns = columns or math.ceil(math.sqrt(len(array)))
    rows = math.ceil(len(array) / columns)
    figure = _figure((columns * INCHES_PER_IMAGE, rows * INCHES_PER_IMAGE + 0.3))
    for place, picture in enumerate(array):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.imshow(np.clip(picture, 0, 1), cmap=cmap, vmin=0, vmax=1)
        axes.axis("off")
        if place < len(titles):
            axes.set_title(titles[place], fontsize=8)
    figure.suptitle(title, fontsize=10)
    return _written(figure, path)


def _figure(inches: tuple[float, float]) -> Any:
    figures = optional("matplotlib.figure", "plot", "a picture of a training run")
    return figures.Figure(figsize=inches, layout="constrained")


def _written(figure: Any, path: str | Path | None) -> Any:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
    return figure


def _array(value: Any) -> np.ndarray:
    """The numbers of a tensor, with or without a gradient, or of anything like an array."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def _points(name: str, curve: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(curve, tuple) and len(curve) == 2 and np.ndim(curve[0]) == 1:
        steps, numbers = (_numbers(part) for part in curve)
    else:
        numbers = _numbers(curve)
        steps = np.arange(len(numbers))
    if steps.shape != numbers.shape:
        raise ValueError(f"curves: {name!r} has {len(steps)} steps and {len(numbers)} values.")
    return steps, numbers


def _numbers(values: Any) -> np.ndarray:
    """A list may hold tensors of one element."""
    if isinstance(values, Sequence):
        return np.array([float(value) for value in values])
    return np.ravel(_array(values)).astype(np.float64)


def _smoothed(numbers: np.ndarray, window: int) -> np.ndarray:
    """The mean of the `window` values up to each, fewer at the start."""
    ends = np.arange(1, len(numbers) + 1)
    starts = np.maximum(ends - window, 0)
    total = np.concatenate([[0.0], np.cumsum(numbers)])
    return (total[ends] - total[starts]) / (ends - starts)
