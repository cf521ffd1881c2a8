"""What an operation costs when there is nothing to compute: the price of Python and of a launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.workload import FLOAT_BYTES, Arrays, Cost, Sizes, Target, Workload, normal


def inputs(sizes: Sizes, random: Any) -> Arrays:
    return {name: normal(random, sizes["rows"], sizes["columns"]) for name in ("x", "y")}


def cost(sizes: Sizes) -> Cost:
    elements = sizes["rows"] * sizes["columns"]
    return Cost(sizes["length"] * elements, 2 * FLOAT_BYTES * elements, FLOAT_BYTES * elements)


def torch_one(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    return lambda: (x + y).numpy()


def jax_one(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    x, y = jax.numpy.asarray(arrays["x"]), jax.numpy.asarray(arrays["y"])
    add = jax.jit(lambda x, y: x + y)
    return lambda: np.asarray(add(x, y))


def tinygrad_one(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    x, y = tinygrad.Tensor(arrays["x"]).realize(), tinygrad.Tensor(arrays["y"]).realize()
    add = tinygrad.TinyJit(lambda: (x + y).realize())
    return lambda: add().numpy()


def torch_chain(torch: Any, sizes: Sizes, arrays: Arrays) -> Any:
    x, y = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])

    def chain() -> Any:
        z = x
        for _ in range(sizes["length"]):
            z = z + y
        return z.numpy()

    return chain


def jax_chain(jax: Any, sizes: Sizes, arrays: Arrays) -> Any:
    """Without jit, which would make it one addition after compiling for long."""
    x, y = jax.numpy.asarray(arrays["x"]), jax.numpy.asarray(arrays["y"])

    def chain() -> Any:
        z = x
        for _ in range(sizes["length"]):
            z = z + y
        return np.asarray(z)

    return chain


def tinygrad_chain(tinygrad: Any, sizes: Sizes, arrays: Arrays) -> Any:
    x, y = tinygrad.Tensor(arrays["x"]).realize(), tinygrad.Tensor(arrays["y"]).realize()

    def chain() -> Any:
        z = x
        for _ in range(sizes["length"]):
            z = z + y
        return z.numpy()

    return chain


WORKLOADS = (
    Workload(
        name="one addition of 4x4, read each time",
        sizes={"rows": 4, "columns": 4, "length": 1},
        inputs=inputs,
        functions={"torch": torch_one, "jax": jax_one, "tinygrad": tinygrad_one},
        cost=cost,
        targets=(Target(1.0, ours=("grad",), peers=("jax",)),),
        steps=True,
        compiled=False,
        fixed=frozenset({"length"}),
    ),
    Workload(
        name="1000 chained additions of 4x4, read at end",
        sizes={"rows": 4, "columns": 4, "length": 1000},
        inputs=inputs,
        functions={"torch": torch_chain, "jax": jax_chain, "tinygrad": tinygrad_chain},
        cost=cost,
        targets=(Target(2.0, ours=("grad",), peers=("torch",)),),
        steps=True,
        compiled=False,
    ),
)
