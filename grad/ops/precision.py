"""The precision of float32 convolutions: exact sums, or fewer multiplications.

`correlation.py` puts the setting into each convolution that it makes, so that it holds for what is
called from then on, gradients included, as PyTorch's switches for matrix products do.
"""

from __future__ import annotations

from grad.settings import ConvolutionPrecision, settings

PRECISIONS = ("highest", "high")


def set_float32_convolution_precision(precision: ConvolutionPrecision) -> None:
    """How exactly convolutions of float32 are computed from now on.

    With "highest", the default, every result is one sum of products. With "high", convolutions in
    two dimensions with 3 x 3 taps, stride 1 and dilation 1 that are large enough are computed in
    tiles of 4 x 4 results with a quarter of the multiplications (Winograd), forwards and for the
    gradient of the image. It holds for what is called from now on, on the CPU.

    Errors are then about twice those of plain sums: with 64 channels of normal numbers 0.8e-6 of
    the results' root mean square (plain: 0.4e-6), with 256 channels 1.4e-6 (0.85e-6), and 12 times
    that in the worst place. They are relative to the tile: next to large numbers small ones are
    less exact. An infinity or NaN makes NaN of the whole tiles that it meets, where plain sums
    would give infinity or leave a neighbour finite; numbers beyond 1e35 may overflow on the way.

    Args:
        precision: "highest" or "high".

    Raises:
        ValueError: for another word.

    Example:
        >>> grad.set_float32_convolution_precision("high")
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f'set_float32_convolution_precision: needs "highest" or "high", got {precision!r}.'
        )
    settings.float32_convolution_precision = precision


def get_float32_convolution_precision() -> ConvolutionPrecision:
    """What `set_float32_convolution_precision` has set: "highest" or "high"."""
    return settings.float32_convolution_precision
