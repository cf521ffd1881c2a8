"""Convolution and transposed convolution over 1, 2 or 3 axes, in groups.

What users call: arguments are checked here, and the work is done by the functions of
`correlation.py`. Halves are computed in float32, bias included. References, samples and what must
fail are in `convolution_reference.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grad.autograd.function import Function
from grad.autograd.rebuilt import rebuilt
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.windows import Windows
from grad.ops.axes import whole
from grad.ops.convolution_reference import (
    convolution_failures,
    convolution_reference,
    convolution_samples,
    transposed_failures,
    transposed_reference,
    transposed_samples,
)
from grad.ops.correlation import Convolve, ConvolveImage
from grad.ops.promotion import accumulation_dtype, is_tensor, unsupported
from grad.ops.registry import NUMERIC, op
from grad.ops.sliding import per_axis, require_at_least

Shape = tuple[int, ...]


# -- checks ----------------------------------------------------------------------------------------
def _checked(name: str, rank: int, x: Any, weight: Any, bias: Any, groups: int) -> None:
    """Operands are tensors of one type and fitting ranks; `groups` divides the weight."""
    tensors = [t for t in (x, weight, bias) if t is not None]
    for tensor in tensors:
        if not is_tensor(tensor):
            raise unsupported(name, tensor)
    kinds = [tensor.dtype.name for tensor in tensors]
    if len(set(kinds)) > 1 or "bool" in kinds:
        raise DTypeError(
            f"{name}: operands are {', '.join(kinds)}, needs one dtype that is not bool; use "
            f"weight.to(x.dtype)."
        )
    if len(weight.shape) != rank + 2 or len(x.shape) not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{name}: expected {rank + 1}-D (unbatched) or {rank + 2}-D (batched) input and a "
            f"{rank + 2}-D weight, but got {tuple(x.shape)} and {tuple(weight.shape)}. Use "
            f"x.unsqueeze(...) to add axes."
        )
    require_at_least(name, "groups", (groups,), 1)
    if weight.shape[0] % groups or weight.shape[0] == 0:
        raise ShapeError(
            f"{name}: the weight {tuple(weight.shape)} must have a multiple of groups={groups} as "
            f"its first size, and at least 1."
        )


def _check_channels(name: str, x: Any, weight: Any, bias: Any, wanted: int, out: int) -> None:
    given = x.shape[1 - len(weight.shape)]
    if given != wanted:
        raise ShapeError(
            f"{name}: weight {tuple(weight.shape)} needs input with {wanted} channels, but "
            f"{tuple(x.shape)} has {given}. Check groups and the order of the axes: (N, C, ...)."
        )
    if bias is not None and tuple(bias.shape) != (out,):
        raise ShapeError(
            f"{name}: bias has shape {tuple(bias.shape)}, needs ({out},): one number for each "
            f"channel that comes out of weight {tuple(weight.shape)}."
        )


def _steps(name: str, rank: int, stride: Any, dilation: Any) -> tuple[Shape, Shape]:
    steps = per_axis(name, "stride", stride, rank)
    spacing = per_axis(name, "dilation", dilation, rank)
    require_at_least(name, "stride", steps, 1)
    require_at_least(name, "dilation", spacing, 1)
    return steps, spacing


def _padding(
    name: str, given: Any, stride: Shape, dilation: Shape, kernel: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis, of numbers or of "same" or "valid"."""
    if not isinstance(given, str):
        numbers = per_axis(name, "padding", given, len(stride))
        require_at_least(name, "padding", numbers, 0)
        return tuple((n, n) for n in numbers)
    if given == "valid":
        return ((0, 0),) * len(stride)
    if given != "same":
        raise ArgumentError(f"{name}: invalid padding {given!r}; use 'same', 'valid' or ints.")
    if set(stride) != {1}:
        raise ArgumentError(
            f"{name}: padding='same' is not supported for strided convolutions (stride={stride}); "
            f"give the padding in numbers."
        )
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((r // 2, r - r // 2) for r in reach)


# -- what the operations call ----------------------------------------------------------------------
def _finished(result: Any, x: Any, bias: Any, rank: int) -> Any:
    """Bias added, in the type it was computed in; then x's type, without a batch if x had none."""
    if bias is not None:
        result = result + bias.to(result.dtype).reshape(-1, *[1] * rank)
    result = result.to(x.dtype)
    return result if len(x.shape) == rank + 2 else result.squeeze(0)


def _wide(x: Any, weight: Any, rank: int) -> tuple[Any, Any]:
    """Both in the type that sums are kept in, x with a batch."""
    wide = accumulation_dtype(x.dtype)
    batched = x if len(x.shape) == rank + 2 else x.unsqueeze(0)
    return batched.to(wide), weight.to(wide)


def convolution(
    name: str,
    rank: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """Convolution over the last `rank` axes."""
    groups = whole(name, "groups", groups)
    _checked(name, rank, x, weight, bias, groups)
    _check_channels(name, x, weight, bias, weight.shape[1] * groups, weight.shape[0])
    steps, spacing = _steps(name, rank, stride, dilation)
    kernel = weight.shape[2:]
    around = _padding(name, padding, steps, spacing, kernel)
    windows = Windows(steps, around, spacing, (1,) * rank, groups)
    windows.shape(x.shape[-rank:], kernel)
    return _finished(Convolve.apply(*_wide(x, weight, rank), windows), x, bias, rank)


def transposed_convolution(
    name: str,
    rank: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """What `convolution` with these arguments takes to the shape of x, and back."""
    groups = whole(name, "groups", groups)
    _checked(name, rank, x, weight, bias, groups)
    _check_channels(name, x, weight, bias, weight.shape[0], weight.shape[1] * groups)
    steps, spacing = _steps(name, rank, stride, dilation)
    around = per_axis(name, "padding", padding, rank)
    extra = per_axis(name, "output_padding", output_padding, rank)
    require_at_least(name, "padding", around, 0)
    require_at_least(name, "output_padding", extra, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, spacing)):
        raise ArgumentError(
            f"{name}: output_padding={extra} must be smaller than either stride={steps} or "
            f"dilation={spacing}."
        )
    sizes = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            x.shape[-rank:], steps, around, spacing, weight.shape[2:], extra
        )
    )
    if min(sizes) < 1 or 0 in x.shape[-rank:]:
        raise ShapeError(
            f"{name}: input sizes {tuple(x.shape[-rank:])} give output sizes {sizes}, which is too "
            f"small. Use less padding than {around}."
        )
    # As if the image ended where the last window does, so that nothing is left over.
    padded_by = tuple((p, p - e) for p, e in zip(around, extra))
    windows = Windows(steps, padded_by, spacing, (1,) * rank, groups)
    result = ConvolveImage.apply(*_wide(x, weight, rank), windows, sizes)
    return _finished(result, x, bias, rank)


# -- operations ------------------------------------------------------------------------------------


@op(
    function="conv1d",
    reference=convolution_reference(1),
    samples=convolution_samples(1),
    errors=convolution_failures(1),
    dtypes=NUMERIC,
    composite=True,
)
class Conv1d(Function):
    """Cross-correlation of an image with filters, as networks call convolution.

    Shape:
        x ``(N, C, L)`` or ``(C, L)``, weight ``(O, C / groups, K)``, bias ``(O,)`` or None; gives
        ``(N, O, (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1)``.

    `padding` is of zeros, or ``"same"`` (as many as keep the size) or ``"valid"`` (none). With
    `groups` the channels fall into as many groups that have nothing to do with each other.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        settings = (stride, padding, dilation, groups)
        return convolution("conv1d", 1, x, weight, bias, *settings)


@op(
    function="conv2d",
    reference=convolution_reference(2),
    samples=convolution_samples(2),
    errors=convolution_failures(2),
    dtypes=NUMERIC,
    composite=True,
)
class Conv2d(Function):
    """Cross-correlation over the last 2 axes of ``(N, C, H, W)``; see `conv1d`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        settings = (stride, padding, dilation, groups)
        return convolution("conv2d", 2, x, weight, bias, *settings)


@op(
    function="conv3d",
    reference=convolution_reference(3),
    samples=convolution_samples(3),
    errors=convolution_failures(3),
    dtypes=NUMERIC,
    composite=True,
)
class Conv3d(Function):
    """Cross-correlation over the last 3 axes of ``(N, C, D, H, W)``; see `conv1d`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        settings = (stride, padding, dilation, groups)
        return convolution("conv3d", 3, x, weight, bias, *settings)


@op(
    function="conv_transpose1d",
    reference=transposed_reference(1),
    samples=transposed_samples(1),
    errors=transposed_failures(1),
    dtypes=NUMERIC,
    composite=True,
)
class ConvTranspose1d(Function):
    """The transpose of `conv1d` as a linear map: its gradient, used as an operation.

    Shape:
        x ``(N, C, L)`` or ``(C, L)``, weight ``(C, O / groups, K)``, bias ``(O,)`` or None; gives
        ``(N, O, (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1)``.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        settings = (stride, padding, output_padding, groups, dilation)
        return transposed_convolution("conv_transpose1d", 1, x, weight, bias, *settings)


@op(
    function="conv_transpose2d",
    reference=transposed_reference(2),
    samples=transposed_samples(2),
    errors=transposed_failures(2),
    dtypes=NUMERIC,
    composite=True,
)
class ConvTranspose2d(Function):
    """The transpose of `conv2d`, over the last 2 axes of ``(N, C, H, W)``; see
    `conv_transpose1d`.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        settings = (stride, padding, output_padding, groups, dilation)
        return transposed_convolution("conv_transpose2d", 2, x, weight, bias, *settings)


@op(
    function="conv_transpose3d",
    reference=transposed_reference(3),
    samples=transposed_samples(3),
    errors=transposed_failures(3),
    dtypes=NUMERIC,
    composite=True,
)
class ConvTranspose3d(Function):
    """The transpose of `conv3d`, over the last 3 axes of ``(N, C, D, H, W)``; see
    `conv_transpose1d`.
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        settings = (stride, padding, output_padding, groups, dilation)
        return transposed_convolution("conv_transpose3d", 3, x, weight, bias, *settings)
