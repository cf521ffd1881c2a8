"""All workloads by name, in the order of the table: one module for each family of them."""

from __future__ import annotations

from benchmarks.workload import Workload
from benchmarks.workloads import attention, convolution, matmul, movement, pointwise, rows

FAMILIES = (matmul, pointwise, rows, movement, attention, convolution)
WORKLOADS: dict[str, Workload] = {
    workload.name: workload for family in FAMILIES for workload in family.WORKLOADS
}
