"""A chain of pointwise operations, short enough for the caches and far too long for them."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import ELEMENTARY, FLOAT_BYTES, Cost, Sizes, Target, Workload, normal


def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
    return {name: normal(random, sizes["elements"]) for name in ("x", "y", "z")}


def torch_like(torch: Any, x: Any, y: Any, z: Any) -> Any:
    gelu = torch.nn.functional.gelu
    return gelu(x * y + z) * torch.sigmoid(x) - torch.exp(-y * y)


def jax_form(jax: Any, x: Any, y: Any, z: Any) -> Any:
    gelu = jax.nn.gelu(x * y + z, approximate=False)
    return gelu * jax.nn.sigmoid(x) - jax.numpy.exp(-y * y)


def tinygrad_form(tinygrad: Any, x: Any, y: Any, z: Any) -> Any:
    w = x * y + z
    return 0.5 * w * (1 + (w * 0.5**0.5).erf()) * x.sigmoid() - (-y * y).exp()


def cost(sizes: Sizes) -> Cost:
    n = sizes["elements"]
    return Cost((3 * ELEMENTARY + 8) * n, 3 * FLOAT_BYTES * n, FLOAT_BYTES * n)


def chain(elements: int, label: str, reach: float) -> Workload:
    return Workload(
        name=f"pointwise chain, {label}",
        sizes={"elements": elements},
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(reach),),
    )


WORKLOADS = (chain(1 << 16, "64k", 0.45), chain(1 << 24, "16M", 0.45))
