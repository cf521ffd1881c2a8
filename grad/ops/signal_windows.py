"""Windows of signal processing: `hann_window`, `kaiser_window` ...

With `periodic` (the default) a window is the first part of one that is longer by one, as for a
Fourier transform. Formulas: Oppenheim and Schafer, "Discrete-Time Signal Processing", 7.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grad.dtype import as_dtype, default_dtype
from grad.errors import DTypeError, ShapeError
from grad.graph.arrays import node_of
from grad.ops.creation import creator, finished

Array = np.ndarray[Any, Any]


def _window(
    name: str, length: int, periodic: bool, formula: Callable[[Array], Array], options: Any
) -> Any:
    """`formula` of where each element is, from 0 at the start to 1 at the end."""
    dtype = options.pop("dtype", None)
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    requires_grad, device = options.pop("requires_grad", False), options.pop("device", None)
    if options:
        raise TypeError(f"{name}() got an unexpected argument {next(iter(options))!r}.")
    if kind.kind != "f":
        raise DTypeError(f"{name}: expects floating point dtypes, got {kind.name}.")
    if length < 0:
        raise ShapeError(f"{name}: requires non-negative window_length, got {length}.")
    if length < 2:
        values = np.ones(length)
    else:
        values = formula(np.arange(length) / (length if periodic else length - 1))
    return finished(node_of(values, kind), requires_grad, device)


def _cosines(name: str, length: int, periodic: bool, weights: Any, options: Any) -> Any:
    def formula(place: Array) -> Array:
        terms = [w * np.cos(2 * np.pi * k * place) for k, w in enumerate(weights)]
        return np.sum(terms, 0)

    return _window(name, length, periodic, formula, options)


@creator
def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Any:
    """Half of ``1 - cos``, of `window_length` elements.

    Example:
        >>> grad.hann_window(4).tolist()
        [0.0, 0.5, 1.0, 0.5]
    """
    return _cosines("hann_window", window_length, periodic, (0.5, -0.5), options)


@creator
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    **options: Any,
) -> Any:
    """``alpha - beta * cos``, of `window_length` elements."""
    return _cosines("hamming_window", window_length, periodic, (alpha, -beta), options)


@creator
def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Any:
    """``0.42 - 0.5 * cos + 0.08 * cos`` of twice that, of `window_length` elements."""
    weights = (0.42, -0.5, 0.08)
    return _cosines("blackman_window", window_length, periodic, weights, options)


@creator
def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Any:
    """A triangle, of `window_length` elements."""

    def triangle(place: Array) -> Array:
        return 1 - np.abs(2 * place - 1)

    return _window("bartlett_window", window_length, periodic, triangle, options)


@creator
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any
) -> Any:
    """Kaiser's window, by Bessel functions of the shape parameter `beta`."""

    def formula(place: Array) -> Array:
        inside = np.sqrt(np.maximum(1 - (2 * place - 1) ** 2, 0))
        return np.i0(beta * inside) / np.i0(beta)

    return _window("kaiser_window", window_length, periodic, formula, options)
