"""Matrix products: squares, batches, skinny ones, with transposed operands, and a linear layer."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import ELEMENTARY, FLOAT_BYTES, Cost, Sizes, Target, Workload, normal


def product_cost(sizes: Sizes) -> Cost:
    batch, m, k, n = sizes.get("batch", 1), sizes["m"], sizes["k"], sizes["n"]
    return Cost(
        operations=2.0 * batch * m * k * n,
        read=FLOAT_BYTES * batch * (m * k + k * n),
        written=FLOAT_BYTES * batch * m * n,
    )


def product(m: int, k: int, n: int, reach: float, transposed: str = "") -> Workload:
    """``a @ b``; the operand that `transposed` names is stored the other way round."""

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        a = (sizes["k"], sizes["m"]) if transposed == "a" else (sizes["m"], sizes["k"])
        b = (sizes["n"], sizes["k"]) if transposed == "b" else (sizes["k"], sizes["n"])
        return {"a": normal(random, *a), "b": normal(random, *b)}

    def multiply(library: Any, a: Any, b: Any) -> Any:
        return (a.T if transposed == "a" else a) @ (b.T if transposed == "b" else b)

    name = f"matmul {m}" if m == k == n else f"matmul {m}x{k}x{n}"
    return Workload(
        name=f"{name}, {transposed} transposed" if transposed else name,
        sizes={"m": m, "k": k, "n": n},
        inputs=inputs,
        functions=dict.fromkeys(("torch", "jax", "tinygrad", "numpy"), multiply),
        cost=product_cost,
        targets=(Target(reach),),
        fixed=frozenset({"m"} if m == 1 else ()),
    )


def batched(batch: int, m: int, k: int, n: int, reach: float) -> Workload:
    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        batch, m, k, n = sizes["batch"], sizes["m"], sizes["k"], sizes["n"]
        return {"a": normal(random, batch, m, k), "b": normal(random, batch, k, n)}

    def multiply(library: Any, a: Any, b: Any) -> Any:
        return a @ b

    return Workload(
        name=f"matmul {batch} of {m}x{k}x{n}",
        sizes={"batch": batch, "m": m, "k": k, "n": n},
        inputs=inputs,
        functions=dict.fromkeys(("torch", "jax", "tinygrad", "numpy"), multiply),
        cost=product_cost,
        targets=(Target(reach),),
    )


def linear_gelu(rows: int, k: int, n: int, reach: float) -> Workload:
    """``gelu(x @ weight.T + bias)``, GELU in its exact form."""

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        m, k, n = sizes["m"], sizes["k"], sizes["n"]
        return {
            "x": normal(random, m, k),
            "weight": normal(random, n, k) / k**0.5,
            "bias": normal(random, n),
        }

    def torch_like(torch: Any, x: Any, weight: Any, bias: Any) -> Any:
        functional = torch.nn.functional
        return functional.gelu(functional.linear(x, weight, bias))

    def jax_form(jax: Any, x: Any, weight: Any, bias: Any) -> Any:
        return jax.nn.gelu(x @ weight.T + bias, approximate=False)

    def tinygrad_form(tinygrad: Any, x: Any, weight: Any, bias: Any) -> Any:
        y = x.linear(weight.T, bias)
        return 0.5 * y * (1 + (y * 0.5**0.5).erf())

    def cost(sizes: Sizes) -> Cost:
        product = product_cost(sizes)
        outputs = sizes["m"] * sizes["n"]
        return Cost(
            product.operations + ELEMENTARY * outputs,
            product.read + FLOAT_BYTES * sizes["n"],
            product.written,
        )

    return Workload(
        name=f"linear {rows}x{k} to {n}, GELU",
        sizes={"m": rows, "k": k, "n": n},
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(reach),),
    )


SKINNY = ((32, 784, 512), (128, 768, 3072), (1, 4096, 4096))
WORKLOADS = (
    *(product(size, size, size, 1.0) for size in (128, 512, 1024, 2048)),
    batched(96, 128, 64, 128, 1.0),
    *(product(*shape, 0.9, transposed) for shape in SKINNY for transposed in ("", "a", "b")),
    linear_gelu(512, 768, 3072, 0.85),
)
