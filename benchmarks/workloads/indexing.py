"""A million elements by their indices, and their running sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.workload import FLOAT_BYTES, Arrays, Cost, Sizes, Target, Workload, normal

INDEX_BYTES = 8


def gather(by_rows: bool) -> Workload:
    def inputs(sizes: Sizes, random: Any) -> Arrays:
        shape = tuple(sizes.values())
        return {"x": normal(random, *shape), "index": random.integers(0, shape[-1], shape)}

    def cost(sizes: Sizes) -> Cost:
        count = sizes.get("rows", 1) * sizes["columns"]
        return Cost(0, (FLOAT_BYTES + INDEX_BYTES) * count, FLOAT_BYTES * count)

    def torch_like(torch: Any, x: Any, index: Any) -> Any:
        return x.gather(-1, index)

    return Workload(
        name="gather of " + ("1000x1000 by rows" if by_rows else "1M"),
        sizes={"rows": 1000, "columns": 1000} if by_rows else {"columns": 1_000_000},
        inputs=inputs,
        functions={
            "torch": torch_like,
            "jax": lambda jax, x, index: jax.numpy.take_along_axis(x, index, -1),
            "tinygrad": torch_like,
            "numpy": lambda numpy, x, index: numpy.take_along_axis(x, index, -1),
        },
        cost=cost,
        targets=(Target(1.0),),
    )


def scattering(
    name: str,
    index: Callable[[Sizes, Any], Any],
    functions: dict[str, Callable[..., Any]],
) -> Workload:
    """A million values to places of a million others."""

    def inputs(sizes: Sizes, random: Any) -> Arrays:
        count = sizes["columns"]
        arrays = {"x": normal(random, count), "values": normal(random, count)}
        return arrays | {"index": index(sizes, random)}

    def cost(sizes: Sizes) -> Cost:
        count = sizes["columns"]
        return Cost(count, (2 * FLOAT_BYTES + INDEX_BYTES) * count, FLOAT_BYTES * count)

    return Workload(
        name=f"{name} of 1M",
        sizes={"columns": 1_000_000},
        inputs=inputs,
        functions=functions,
        cost=cost,
        targets=(Target(1.0),),
    )


def scatter() -> Workload:
    def numpy_form(numpy: Any, x: Any, values: Any, index: Any) -> Any:
        result = x.copy()
        result[index] = values
        return result

    def torch_like(torch: Any, x: Any, values: Any, index: Any) -> Any:
        return x.scatter(0, index, values)

    return scattering(
        "scatter",
        # Each place once: which of several values stays is not determined.
        lambda sizes, random: random.permutation(sizes["columns"]),
        {
            "torch": torch_like,
            "jax": lambda jax, x, values, index: x.at[index].set(values),
            "tinygrad": torch_like,
            "numpy": numpy_form,
        },
    )


def scatter_add() -> Workload:
    def numpy_form(numpy: Any, x: Any, values: Any, index: Any) -> Any:
        result = x.copy()
        numpy.add.at(result, index, values)
        return result

    return scattering(
        "scatter_add",
        lambda sizes, random: random.integers(0, sizes["columns"], sizes["columns"]),
        {
            "torch": lambda torch, x, values, index: x.scatter_add(0, index, values),
            "jax": lambda jax, x, values, index: x.at[index].add(values),
            "tinygrad": lambda _, x, values, index: x.scatter_reduce(0, index, values, "sum"),
            "numpy": numpy_form,
        },
    )


def cumsum() -> Workload:
    def cost(sizes: Sizes) -> Cost:
        moved = FLOAT_BYTES * sizes["columns"]
        return Cost(sizes["columns"], moved, moved)

    return Workload(
        name="cumsum of 1M",
        sizes={"columns": 1_000_000},
        inputs=lambda sizes, random: {"x": normal(random, sizes["columns"])},
        functions=dict.fromkeys(
            ("torch", "jax", "tinygrad", "numpy"), lambda library, x: x.cumsum(0)
        ),
        cost=cost,
        targets=(Target(1.0),),
    )


WORKLOADS = (gather(by_rows=False), gather(by_rows=True), scatter(), scatter_add(), cumsum())
