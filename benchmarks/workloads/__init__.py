"""All workloads by name, in the order of the table: one module for each family of them."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import (
    attention,
    convolution,
    gpt,
    gpt_inference,
    matmul,
    movement,
    overhead,
    pointwise,
    rows,
    training,
)

FAMILIES = (
    matmul,
    pointwise,
    rows,
    movement,
    attention,
    convolution,
    training,
    gpt,
    gpt_inference,
    overhead,
)
WORKLOADS: dict[str, Workload] = {
    workload.name: workload for family in FAMILIES for workload in family.WORKLOADS
}
