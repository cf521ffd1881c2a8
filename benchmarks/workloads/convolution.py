"""Convolutions in two dimensions: 3 x 3, with a stride, 1 x 1, depthwise, and their backwards.

Those whose names end in "high" let our side compute in Winograd's tiles
(`grad.set_float32_convolution_precision`); the others are told nothing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.workload import FLOAT_BYTES, Cost, Sizes, Target, Workload, normal


def convolution(
    shape: tuple[int, int, int, int],
    filters: int,
    kernel: int,
    reach: float,
    stride: int = 1,
    depthwise: bool = False,
    backward: bool = False,
    precision: str = "highest",
) -> Workload:
    """A square kernel over images of `shape` (N, C, H, W), padded to keep the size."""
    padding = kernel // 2
    batch, channels, height, width = shape

    def outputs(sizes: Sizes) -> tuple[int, int, int, int]:
        rows, columns = (
            (sizes[name] + 2 * padding - kernel) // stride + 1 for name in ("height", "width")
        )
        return sizes["batch"], sizes["channels" if depthwise else "filters"], rows, columns

    def weights(sizes: Sizes) -> tuple[int, int, int, int]:
        inward = 1 if depthwise else sizes["channels"]
        return outputs(sizes)[1], inward, kernel, kernel

    def images(sizes: Sizes) -> tuple[int, int, int, int]:
        return sizes["batch"], sizes["channels"], sizes["height"], sizes["width"]

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        arrays = {"x": normal(random, *images(sizes)), "weight": normal(random, *weights(sizes))}
        return arrays | ({"gradient": normal(random, *outputs(sizes))} if backward else {})

    def cost(sizes: Sizes) -> Cost:
        taps = weights(sizes)[1] * kernel * kernel
        products = 2.0 * _elements(outputs(sizes)) * taps
        read, written = _elements(images(sizes)) + _elements(weights(sizes)), outputs(sizes)
        moved = FLOAT_BYTES * read, FLOAT_BYTES * _elements(written)
        if backward:
            return Cost(3 * products, sum(moved), sum(moved))
        return Cost(products, *moved)

    def torch_like(torch: Any, x: Any, weight: Any) -> Any:
        groups = x.shape[1] if depthwise else 1
        conv2d = torch.nn.functional.conv2d
        return conv2d(x, weight, stride=stride, padding=padding, groups=groups)

    def jax_form(jax: Any, x: Any, weight: Any) -> Any:
        groups = x.shape[1] if depthwise else 1
        pads = ((padding, padding), (padding, padding))
        strides = (stride, stride)
        convolve = jax.lax.conv_general_dilated
        return convolve(x, weight, strides, pads, feature_group_count=groups)

    def tinygrad_form(tinygrad: Any, x: Any, weight: Any) -> Any:
        groups = x.shape[1] if depthwise else 1
        return x.conv2d(weight, groups=groups, stride=stride, padding=padding)

    kind = "depthwise" if depthwise else f"{filters}"
    name = f"conv {batch}x{channels}x{height}x{width}, {kind} {kernel}x{kernel}"
    name += f" stride {stride}" if stride > 1 else ""
    name += ", high" if precision == "high" else ""
    return Workload(
        name=name + (" + backward" if backward else ""),
        sizes={
            "batch": batch,
            "channels": channels,
            "height": height,
            "width": width,
            "filters": filters,
        },
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(reach),),
        differentiate=("x", "weight") if backward else (),
        precision=precision,
    )


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def both(*arguments: Any, **options: Any) -> tuple[Workload, Workload]:
    """Forward alone, and with its backward."""
    return (
        convolution(*arguments, **options),
        convolution(*arguments, **options, backward=True),
    )


def quick(shape: tuple[int, int, int, int], filters: int) -> tuple[Workload, Workload]:
    """The same with tiles; the gradient of the weight, a third of the work, is without."""
    return (
        convolution(shape, filters, 3, 0.65, precision="high"),
        convolution(shape, filters, 3, 0.8, backward=True, precision="high"),
    )


WORKLOADS = (
    *both((16, 64, 56, 56), 64, 3, 0.9),
    *both((16, 64, 56, 56), 64, 3, 0.9, stride=2),
    *both((64, 32, 26, 26), 64, 3, 0.9),
    *both((16, 256, 28, 28), 64, 1, 0.7),
    *both((16, 64, 56, 56), 64, 3, 0.7, depthwise=True),
    *both((8, 256, 14, 14), 256, 3, 1.0),
    *quick((16, 64, 56, 56), 64),
    *quick((8, 256, 14, 14), 256),
)
