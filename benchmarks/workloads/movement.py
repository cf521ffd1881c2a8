"""Moving data: transposing copies, and gathering rows of a table and scattering their gradients."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import FLOAT_BYTES, Cost, Sizes, Target, Workload, normal

FAMILIES = ("torch", "jax", "tinygrad", "numpy")


def transposed_sum() -> Workload:
    """``x.T + y``."""

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        rows, columns = sizes["rows"], sizes["columns"]
        return {"x": normal(random, rows, columns), "y": normal(random, columns, rows)}

    def cost(sizes: Sizes) -> Cost:
        elements = sizes["rows"] * sizes["columns"]
        return Cost(elements, 2 * FLOAT_BYTES * elements, FLOAT_BYTES * elements)

    return Workload(
        name="x.T + y of 4096x4096",
        sizes={"rows": 4096, "columns": 4096},
        inputs=inputs,
        functions=dict.fromkeys(FAMILIES, lambda library, x, y: x.T + y),
        cost=cost,
        targets=(Target(0.5),),
    )


def permutation(axes: tuple[int, ...]) -> Workload:
    """Five axes in another order, made contiguous."""
    names = "abcde"

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        return {"x": normal(random, *(sizes[name] for name in names))}

    def cost(sizes: Sizes) -> Cost:
        elements = 1
        for name in names:
            elements *= sizes[name]
        return Cost(0, FLOAT_BYTES * elements, FLOAT_BYTES * elements)

    def copied(library: Any, x: Any) -> Any:
        return x.permute(*axes).contiguous()

    def jax_form(jax: Any, x: Any) -> Any:
        return jax.numpy.transpose(x, axes)

    def numpy_form(numpy: Any, x: Any) -> Any:
        return numpy.ascontiguousarray(x.transpose(axes))

    return Workload(
        name=f"permute({', '.join(map(str, axes))}), contiguous",
        sizes=dict(zip(names, (8, 16, 32, 24, 40))),
        inputs=inputs,
        functions={"torch": copied, "jax": jax_form, "tinygrad": copied, "numpy": numpy_form},
        cost=cost,
        targets=(Target(0.5),),
    )


def embedding(backward: bool) -> Workload:
    """Rows of a table; the gradient of the table is a scatter-add of rows."""

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        count, width = sizes["count"], sizes["width"]
        arrays = {
            "table": normal(random, sizes["rows"], width),
            "indices": random.integers(0, sizes["rows"], count),
        }
        return arrays | ({"gradient": normal(random, count, width)} if backward else {})

    def cost(sizes: Sizes) -> Cost:
        moved = FLOAT_BYTES * sizes["count"] * sizes["width"]
        if not backward:
            return Cost(0, moved, moved)
        table = FLOAT_BYTES * sizes["rows"] * sizes["width"]
        return Cost(sizes["count"] * sizes["width"], 2 * moved, moved + table)

    def rows_of(library: Any, table: Any, indices: Any) -> Any:
        return table[indices]

    def torch_like(torch: Any, table: Any, indices: Any) -> Any:
        return torch.nn.functional.embedding(indices, table)

    functions = {"torch": torch_like, "jax": rows_of, "tinygrad": rows_of}
    return Workload(
        name="embedding, 16384 rows of 256" + (" + backward" if backward else ""),
        sizes={"rows": 50000, "width": 256, "count": 16384},
        inputs=inputs,
        functions=functions if backward else functions | {"numpy": rows_of},
        cost=cost,
        targets=(Target(0.6),),
        differentiate=("table",) if backward else (),
    )


WORKLOADS = (
    transposed_sum(),
    permutation((4, 2, 0, 3, 1)),
    permutation((0, 3, 1, 4, 2)),
    embedding(backward=False),
    embedding(backward=True),
)
