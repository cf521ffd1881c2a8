"""All workloads by name, in the order of the table: one module for each family of them."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import (
    attention,
    convolution,
    einsum,
    gpt,
    gpt_inference,
    indexing,
    matmul,
    movement,
    ordering,
    overhead,
    pointwise,
    pooling,
    recurrent,
    rows,
    training,
)

FAMILIES = (
    matmul,
    pointwise,
    rows,
    movement,
    ordering,
    indexing,
    einsum,
    attention,
    convolution,
    pooling,
    training,
    gpt,
    gpt_inference,
    recurrent,
    overhead,
)
WORKLOADS: dict[str, Workload] = {
    workload.name: workload for family in FAMILIES for workload in family.WORKLOADS
}
