"""`einsum`: batched products, one operand alone, three operands, and next to nothing to compute."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.workload import FLOAT_BYTES, Arrays, Cost, Sizes, Target, Workload, normal


def einsum(equation: str, **sizes: int) -> Workload:
    """An equation whose letters have these sizes."""
    left, output = equation.split("->")
    terms = left.split(",")

    def inputs(sizes: Sizes, random: Any) -> Arrays:
        shapes = [[sizes[letter] for letter in term] for term in terms]
        return {f"x{number}": normal(random, *shape) for number, shape in enumerate(shapes)}

    def cost(sizes: Sizes) -> Cost:
        read, (written,) = (
            [math.prod([sizes[letter] for letter in set(term)]) for term in which]
            for which in (terms, [output])
        )
        operations = 2 * math.prod(sizes.values()) if len(terms) > 1 else read[0]
        return Cost(operations, FLOAT_BYTES * sum(read), FLOAT_BYTES * written)

    def torch_like(torch: Any, **operands: Any) -> Any:
        return torch.einsum(equation, *operands.values())

    return Workload(
        name=f"einsum {equation}, " + "x".join(map(str, sizes.values())),
        sizes=sizes,
        inputs=inputs,
        functions={
            "torch": torch_like,
            "jax": lambda jax, **operands: jax.numpy.einsum(equation, *operands.values()),
            "tinygrad": lambda tinygrad, **operands: tinygrad.Tensor.einsum(
                equation, *operands.values()
            ),
            "numpy": lambda numpy, **operands: numpy.einsum(
                equation, *operands.values(), optimize=len(operands) > 2
            ),
        },
        cost=cost,
        targets=(Target(1.0),),
    )


WORKLOADS = (
    einsum("bij,bjk->bik", b=96, i=128, j=64, k=128),
    einsum("bhid,bhjd->bhij", b=8, h=8, i=256, j=256, d=64),
    einsum("ij->", i=512, j=512),
    einsum("ii->i", i=512),
    einsum("bn,anm,bm->ba", b=64, n=64, a=64, m=64),
    einsum("ij,jk->ik", i=8, j=8, k=8),
)
