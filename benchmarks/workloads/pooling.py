"""Largest and mean values of windows over images."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.workload import FLOAT_BYTES, Arrays, Cost, Sizes, Target, Workload, normal


def pooling(kind: str, kernel: int, backward: bool) -> Workload:
    """Windows of `kernel` squared at every second position; `kind` is "max" or "avg"."""
    stride = 2

    def output(sizes: Sizes) -> tuple[int, ...]:
        places = [(sizes[name] - kernel) // stride + 1 for name in ("height", "width")]
        return sizes["batch"], sizes["channels"], *places

    def inputs(sizes: Sizes, random: Any) -> Arrays:
        arrays = {"x": normal(random, *sizes.values())}
        return arrays | ({"gradient": normal(random, *output(sizes))} if backward else {})

    def cost(sizes: Sizes) -> Cost:
        image = FLOAT_BYTES * math.prod(sizes.values())
        pooled = math.prod(output(sizes))
        moved = FLOAT_BYTES * pooled
        operations = kernel * kernel * pooled * (2 if backward else 1)
        if not backward:
            return Cost(operations, image, moved)
        return Cost(operations, image + moved, image + moved)

    def torch_like(torch: Any, x: Any) -> Any:
        pool = getattr(torch.nn.functional, f"{kind}_pool2d")
        return pool(x, kernel, stride)

    def jax_form(jax: Any, x: Any) -> Any:
        window, strides = (1, 1, kernel, kernel), (1, 1, stride, stride)
        pool = jax.lax.reduce_window
        if kind == "max":
            return pool(x, -jax.numpy.inf, jax.lax.max, window, strides, "VALID")
        return pool(x, 0.0, jax.lax.add, window, strides, "VALID") / kernel**2

    def tinygrad_form(tinygrad: Any, x: Any) -> Any:
        return getattr(x, f"{kind}_pool2d")((kernel, kernel), stride)

    return Workload(
        name=f"{kind} pooling 64x32x26x26, {kernel}x{kernel}" + (" + backward" if backward else ""),
        sizes={"batch": 64, "channels": 32, "height": 26, "width": 26},
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(1.0),),
        differentiate=("x",) if backward else (),
    )


WORKLOADS = tuple(
    pooling(kind, kernel, backward)
    for kind in ("max", "avg")
    for kernel in (2, 3)
    for backward in (False, True)
)
