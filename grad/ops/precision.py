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
    tiles of 4 x 4 results with a quarter of the multiplications (Winograd), forwards and to the
    gradient of the image. The results' errors are then about twice those of plain sums; an
    infinity makes NaN of the tiles that it meets, and numbers beyond 1e37 may overflow.

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
