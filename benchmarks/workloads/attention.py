"""Causal attention: many short heads, and fewer long ones, forward and backward."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import ELEMENTARY, FLOAT_BYTES, Cost, Sizes, Target, Workload, normal

INPUTS = ("query", "key", "value")


def torch_like(torch: Any, query: Any, key: Any, value: Any) -> Any:
    attention = torch.nn.functional.scaled_dot_product_attention
    return attention(query, key, value, is_causal=True)


def jax_form(jax: Any, query: Any, key: Any, value: Any) -> Any:
    """JAX's own attention has time before heads; this is the same with heads first."""
    numpy = jax.numpy
    length = query.shape[2]
    scores = query @ numpy.swapaxes(key, 2, 3) * query.shape[3] ** -0.5
    allowed = numpy.tril(numpy.ones((length, length), bool))
    return jax.nn.softmax(numpy.where(allowed, scores, -numpy.inf), axis=3) @ value


def tinygrad_form(tinygrad: Any, query: Any, key: Any, value: Any) -> Any:
    return query.scaled_dot_product_attention(key, value, is_causal=True)


def attention(shape: tuple[int, int, int, int], backward: bool, reach: float) -> Workload:
    names = ("batch", "heads", "length", "width")

    def inputs(sizes: Sizes, random: Any) -> dict[str, Any]:
        shape = [sizes[name] for name in names]
        wanted = (*INPUTS, "gradient") if backward else INPUTS
        return {name: normal(random, *shape) for name in wanted}

    def cost(sizes: Sizes) -> Cost:
        pairs = sizes["batch"] * sizes["heads"] * sizes["length"] * (sizes["length"] + 1) / 2
        # Products of the forward pass are two; five more are needed backward.
        operations = pairs * (2 * sizes["width"] * (7 if backward else 2) + ELEMENTARY)
        one = FLOAT_BYTES * sizes["batch"] * sizes["heads"] * sizes["length"] * sizes["width"]
        return Cost(operations, one * (4 if backward else 3), one * (4 if backward else 1))

    return Workload(
        name=f"attention {'x'.join(map(str, shape))}" + (" + backward" if backward else ""),
        sizes=dict(zip(names, shape)),
        inputs=inputs,
        functions={"torch": torch_like, "jax": jax_form, "tinygrad": tinygrad_form},
        cost=cost,
        targets=(Target(reach),),
        differentiate=INPUTS if backward else (),
    )


WORKLOADS = tuple(
    attention(shape, backward, reach)
    for shape, reach in (((8, 8, 256, 64), 0.45), ((1, 12, 1024, 64), 0.65))
    for backward in (False, True)
)
