"""Reductions and scans, and what is made of them: softmax, layer norm, cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.workload import ELEMENTARY, FLOAT_BYTES, Cost, Sizes, Target, Workload, normal


def matrix(sizes: Sizes, random: Any) -> dict[str, Any]:
    return {"x": normal(random, sizes["rows"], sizes["columns"])}


def reduction(
    name: str,
    functions: Mapping[str, Callable[..., Any]],
    outputs: Callable[[Sizes], int],
    reach: float = 0.95,
) -> Workload:
    """A reduction or a scan of a 4096 x 4096 matrix that gives `outputs` elements."""

    def cost(sizes: Sizes) -> Cost:
        elements = sizes["rows"] * sizes["columns"]
        return Cost(elements, FLOAT_BYTES * elements, FLOAT_BYTES * outputs(sizes))

    return Workload(
        name=f"{name} of 4096x4096",
        sizes={"rows": 4096, "columns": 4096},
        inputs=matrix,
        functions=functions,
        cost=cost,
        targets=(Target(reach),),
    )


def sums(axis: int, name: str) -> Workload:
    return reduction(
        name,
        dict.fromkeys(("torch", "jax", "tinygrad", "numpy"), lambda library, x: x.sum(axis)),
        lambda sizes: sizes["columns" if axis == 0 else "rows"],
    )


def argmax(axis: int) -> Workload:
    return reduction(
        f"argmax({axis})",
        dict.fromkeys(("torch", "jax", "tinygrad", "numpy"), lambda library, x: x.argmax(axis)),
        lambda sizes: 2 * sizes["columns" if axis == 0 else "rows"],
    )


def cumsum(axis: int) -> Workload:
    return reduction(
        f"cumsum({axis})",
        dict.fromkeys(("torch", "jax", "tinygrad", "numpy"), lambda library, x: x.cumsum(axis)),
        lambda sizes: sizes["rows"] * sizes["columns"],
    )


def with_gradient(
    inputs: Callable[[Sizes, Any], dict[str, Any]], shape: Callable[[Sizes], tuple[int, ...]]
) -> Callable[[Sizes, Any], dict[str, Any]]:
    """The same inputs, and a gradient of the output, whose shape is `shape`."""

    def all_inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        return inputs(sizes, random) | {"gradient": normal(random, *shape(sizes))}

    return all_inputs


def softmax(backward: bool) -> Workload:
    def cost(sizes: Sizes) -> Cost:
        elements = sizes["rows"] * sizes["columns"]
        operations = (ELEMENTARY + (8 if backward else 4)) * elements
        moved = FLOAT_BYTES * elements * (2 if backward else 1)
        return Cost(operations, moved, moved)

    def numpy_form(numpy: Any, x: Any) -> Any:
        powers = np.exp(x - x.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def shape(sizes: Sizes) -> tuple[int, ...]:
        return sizes["rows"], sizes["columns"]

    functions: dict[str, Callable[..., Any]] = {
        "torch": lambda torch, x: torch.nn.functional.softmax(x, 1),
        "jax": lambda jax, x: jax.nn.softmax(x, 1),
        "tinygrad": lambda tinygrad, x: x.softmax(1),
    }
    return Workload(
        name="softmax 4096x1024" + (" + backward" if backward else ""),
        sizes={"rows": 4096, "columns": 1024},
        inputs=with_gradient(matrix, shape) if backward else matrix,
        functions=functions if backward else functions | {"numpy": numpy_form},
        cost=cost,
        targets=(Target(0.65),),
        differentiate=("x",) if backward else (),
    )


def layer_norm(backward: bool) -> Workload:
    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        columns = sizes["columns"]
        parameters = {"weight": normal(random, columns), "bias": normal(random, columns)}
        return matrix(sizes, random) | parameters

    def shape(sizes: Sizes) -> tuple[int, ...]:
        return sizes["rows"], sizes["columns"]

    def cost(sizes: Sizes) -> Cost:
        elements = sizes["rows"] * sizes["columns"]
        moved = FLOAT_BYTES * elements * (2 if backward else 1)
        return Cost((25 if backward else 8) * elements, moved, moved)

    def torch_like(torch: Any, x: Any, weight: Any, bias: Any) -> Any:
        return torch.nn.functional.layer_norm(x, (x.shape[1],), weight, bias)

    def jax_form(jax: Any, x: Any, weight: Any, bias: Any) -> Any:
        mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * weight + bias

    def tinygrad_form(tinygrad: Any, x: Any, weight: Any, bias: Any) -> Any:
        return x.layernorm(1, 1e-5) * weight + bias

    return Workload(
        name="layer norm 4096x768" + (" + backward" if backward else ""),
        sizes={"rows": 4096, "columns": 768},
        inputs=with_gradient(inputs, shape) if backward else inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(0.65),),
        differentiate=("x", "weight", "bias") if backward else (),
    )


def cross_entropy(backward: bool) -> Workload:
    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        labels = random.integers(0, sizes["columns"], sizes["rows"])
        return matrix(sizes, random) | {"labels": labels}

    def cost(sizes: Sizes) -> Cost:
        elements = sizes["rows"] * sizes["columns"]
        moved = FLOAT_BYTES * elements
        return Cost((ELEMENTARY + 4) * elements, moved, moved if backward else 0)

    def torch_like(torch: Any, x: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(x, labels)

    def jax_form(jax: Any, x: Any, labels: Any) -> Any:
        chosen = jax.numpy.take_along_axis(x, labels[:, None], 1)[:, 0]
        return (jax.nn.logsumexp(x, axis=1) - chosen).mean()

    def tinygrad_form(tinygrad: Any, x: Any, labels: Any) -> Any:
        return x.sparse_categorical_crossentropy(labels)

    return Workload(
        name="cross-entropy 4096x50000" + (" + backward" if backward else ""),
        sizes={"rows": 4096, "columns": 50000},
        inputs=with_gradient(inputs, lambda sizes: ()) if backward else inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(0.65),),
        differentiate=("x",) if backward else (),
    )


WORKLOADS = (
    sums(1, "sums over rows"),
    sums(0, "sums over columns"),
    argmax(1),
    argmax(0),
    cumsum(1),
    cumsum(0),
    *(
        form(backward)
        for form in (softmax, layer_norm, cross_entropy)
        for backward in (False, True)
    ),
)
