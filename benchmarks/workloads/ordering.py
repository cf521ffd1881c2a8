"""Sorting, and what needs part of it: the largest elements, and the median.

Values are all different, so that their places are determined and can be compared.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.workload import FLOAT_BYTES, Cost, Sizes, Target, Workload, normal

INDEX_BYTES = 8


def different(sizes: Sizes, random: Any) -> dict[str, Any]:
    """Normally distributed numbers, all different, in rows if there are any."""
    shape = tuple([sizes[name] for name in ("rows", "columns") if name in sizes])
    count = math.prod(shape)
    drawn = np.unique(normal(random, 2 * count + 64))
    return {"x": random.permutation(drawn)[:count].reshape(shape)}


def elements(sizes: Sizes) -> int:
    return math.prod([sizes[name] for name in ("rows", "columns") if name in sizes])


def label(sizes: Sizes) -> str:
    return f"{sizes['rows']}x{sizes['columns']} by rows" if "rows" in sizes else "1M"


def sort(sizes: Sizes) -> Workload:
    """Sorted values, and where they were."""

    def cost(sizes: Sizes) -> Cost:
        moved = elements(sizes)
        return Cost(0, FLOAT_BYTES * moved, (FLOAT_BYTES + INDEX_BYTES) * moved)

    def torch_like(torch: Any, x: Any) -> Any:
        values, indices = x.sort(-1)
        return values, indices

    def jax_form(jax: Any, x: Any) -> Any:
        places = jax.lax.broadcasted_iota(jax.numpy.int32, x.shape, x.ndim - 1)
        return jax.lax.sort_key_val(x, places, dimension=x.ndim - 1)

    def numpy_form(numpy: Any, x: Any) -> Any:
        indices = numpy.argsort(x, -1)
        return numpy.take_along_axis(x, indices, -1), indices

    return Workload(
        name=f"sort of {label(sizes)}",
        sizes=sizes,
        inputs=different,
        functions={
            "torch": torch_like,
            "jax": jax_form,
            "tinygrad": torch_like,
            "numpy": numpy_form,
        },
        cost=cost,
        targets=(Target(1.0),),
    )


def topk(sizes: Sizes) -> Workload:
    """The largest values, and where they are."""

    def cost(sizes: Sizes) -> Cost:
        kept = sizes.get("rows", 1) * sizes["k"]
        read = FLOAT_BYTES * elements(sizes)
        return Cost(elements(sizes), read, (FLOAT_BYTES + INDEX_BYTES) * kept)

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        # What is asked for is told by the shape of an input.
        return different(sizes, random) | {"like": np.zeros(sizes["k"], np.float32)}

    def torch_like(torch: Any, x: Any, like: Any) -> Any:
        values, indices = x.topk(like.shape[0], -1)
        return values, indices

    def jax_form(jax: Any, x: Any, like: Any) -> Any:
        return tuple(jax.lax.top_k(x, like.shape[0]))

    def numpy_form(numpy: Any, x: Any, like: Any) -> Any:
        count = like.shape[0]
        found = numpy.argpartition(x, x.shape[-1] - count, -1)[..., -count:]
        values = numpy.take_along_axis(x, found, -1)
        order = numpy.argsort(-values, -1)
        taken = numpy.take_along_axis
        return taken(values, order, -1), taken(found, order, -1)

    return Workload(
        name=f"top {sizes['k']} of {label(sizes)}",
        sizes=sizes,
        inputs=inputs,
        functions={
            "torch": torch_like,
            "jax": jax_form,
            "tinygrad": torch_like,
            "numpy": numpy_form,
        },
        cost=cost,
        targets=(Target(1.0),),
    )


def median(sizes: Sizes) -> Workload:
    """The lower of the two values in the middle, without its place, which JAX does not give."""

    def cost(sizes: Sizes) -> Cost:
        read = FLOAT_BYTES * elements(sizes)
        return Cost(elements(sizes), read, FLOAT_BYTES * sizes.get("rows", 1))

    def torch_like(torch: Any, x: Any) -> Any:
        return x.median() if len(x.shape) == 1 else x.median(-1).values

    def jax_form(jax: Any, x: Any) -> Any:
        return jax.numpy.sort(x, -1)[..., (x.shape[-1] - 1) // 2]

    def tinygrad_form(tinygrad: Any, x: Any) -> Any:
        return x.sort(-1)[0][..., (x.shape[-1] - 1) // 2]

    def numpy_form(numpy: Any, x: Any) -> Any:
        middle = (x.shape[-1] - 1) // 2
        return numpy.partition(x, middle, -1)[..., middle]

    return Workload(
        name=f"median of {label(sizes)}",
        sizes=sizes,
        inputs=different,
        functions={
            "torch": torch_like,
            "jax": jax_form,
            "tinygrad": tinygrad_form,
            "numpy": numpy_form,
        },
        cost=cost,
        targets=(Target(1.0),),
    )


FLAT = {"columns": 1_000_000}
ROWS = {"rows": 1000, "columns": 1000}
WORKLOADS = (
    sort(FLAT),
    sort(ROWS),
    topk(FLAT | {"k": 100}),
    topk(ROWS | {"k": 10}),
    median(FLAT),
    median(ROWS),
)
