"""Code for 64-bit Arm: every kind of kernel is generated and assembled, calls nothing outside
itself, and a part of them is run under emulation where the tools for it are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.engine.realize import cache
from grad.ops.registry import Op, Sample, registry
from grad.runtime.cpu.compiler import assemble
from grad.runtime.cpu.host import other_host
from grad.runtime.cpu.pool_code import pool_text
from grad.runtime.cpu.replay_code import EXECUTE, REPLAY
from tests.ops.cases import TOLERANCE, assert_close, numpy_of, outputs_of, tensor
from tests.portability.cross import MACHINES, CrossChecks, undefined_symbols
from tests.portability.emulated import emulated, missing

pytestmark = pytest.mark.slow  # kept out of `make check`

DTYPES = (dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.float16, dtypes.int32)
OPS = list(registry())
PARTS = 4
# Rows, depth, columns and batch of products of every kind: tiled, streaming, dots, many batches.
PRODUCTS = ((1, 300, 400, 1), (3, 500, 70, 1), (70, 90, 110, 1), (130, 600, 200, 1), (9, 17, 13, 6))
TRANSPOSED = ((False, False), (True, False), (False, True), (True, True))
# Who calls what from outside the kernels: the C library, and names that the linker is given.
POOL_SYMBOLS = {"syscall", "sched_yield", "pthread_create", "pthread_detach"}
WAIT_SYMBOLS = {"pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock"}
WAIT_SYMBOLS |= {"pthread_cond_init", "pthread_cond_wait", "pthread_cond_broadcast"}


def cases(op: Op) -> list[tuple[Sample, Any]]:
    """All samples of an op in float32, the first in other types as well."""
    return [
        (sample, dtype)
        for sample in op.samples
        for dtype in DTYPES
        if dtype in op.dtypes and (dtype is dtypes.float32 or sample is op.samples[0])
    ]


def run(op: Op, sample: Sample, dtype: Any) -> list[Any]:
    """The outputs of an op, and its gradients where it has them, computed."""
    leaves = [tensor(array) for array in sample.arrays(dtype)]
    differentiable = op.gradient and sample.gradient
    if differentiable:
        leaves = [x.requires_grad_() if x.dtype.is_floating_point else x for x in leaves]
    outputs = outputs_of(op(*leaves, *sample.args, **sample.kwargs))
    followed = [output for output in outputs if output.requires_grad]
    if differentiable and followed:
        grad.autograd.backward([output.sum() for output in followed])
    values = [*outputs, *(leaf.grad for leaf in leaves if leaf.grad is not None)]
    for value in values:
        value.realize()
    return values


def product(
    m: int, k: int, n: int, batch: int, transposed: tuple[bool, bool], dtype: Any
) -> tuple[Any, np.ndarray]:
    """A matrix product with a bias and a ReLU, and what it should be."""
    random = np.random.default_rng(m)
    a, b = random.normal(size=(batch, m, k)), random.normal(size=(batch, k, n))
    bias = random.normal(size=n)
    operands = [
        tensor(np.ascontiguousarray(x.swapaxes(1, 2)) if flip else x).to(dtype)
        for x, flip in zip((a, b), transposed, strict=True)
    ]
    x, y = (t.transpose(1, 2) if f else t for t, f in zip(operands, transposed, strict=True))
    return (x @ y + tensor(bias).to(dtype)).relu(), np.maximum(a @ b + bias, 0)


def no_failures(checks: CrossChecks, least: int) -> None:
    assert len(checks.kernels) >= least
    assert not checks.failures, "\n\n".join(checks.failures[:5])


@pytest.mark.parametrize("part", range(PARTS))
def test_every_op_and_its_gradient_assembles(part: int) -> None:
    cache.clear()  # what was compiled before must come by again
    with CrossChecks(MACHINES["aarch64"]).listening() as checks:
        for op in OPS[part::PARTS]:
            for sample, dtype in cases(op):
                run(op, sample, dtype)
    no_failures(checks, 50)


@pytest.mark.parametrize("machine", MACHINES)
def test_matrix_products_assemble(machine: str) -> None:
    cache.clear()
    with CrossChecks(MACHINES[machine]).listening() as checks:
        for dtype in (dtypes.float32, dtypes.float64, dtypes.bfloat16):
            for shape in PRODUCTS:
                for transposed in TRANSPOSED:
                    product(*shape, transposed, dtype)[0].realize()
    no_failures(checks, len(PRODUCTS))


@pytest.mark.parametrize(
    ("triple", "allowed"),
    [
        ("aarch64-unknown-linux-gnu", POOL_SYMBOLS),
        ("aarch64-unknown-freebsd", POOL_SYMBOLS - {"syscall"} | WAIT_SYMBOLS),
        ("riscv64-unknown-linux-gnu", POOL_SYMBOLS - {"syscall"} | WAIT_SYMBOLS),
        ("arm64-apple-macosx14.0.0", None),
        ("x86_64-apple-macosx10.15", None),
        ("x86_64-pc-windows-msvc", None),
        ("aarch64-pc-windows-msvc", None),
    ],
)
def test_pool_and_replay_assemble_for_other_systems(triple: str, allowed: set[str] | None) -> None:
    """The names are looked at where the object is ELF."""
    machine = other_host(triple)
    data = assemble(pool_text(triple), machine)
    if allowed is not None:
        assert undefined_symbols(data) == allowed
    assert assemble(EXECUTE + REPLAY, machine)


# -- run under emulation ---------------------------------------------------------------------------
needs_emulation = pytest.mark.skipif(bool(missing()), reason=missing())


@needs_emulation
@pytest.mark.parametrize("part", range(PARTS))
def test_ops_compute_the_same_under_emulation(part: int) -> None:
    """Results and gradients, against those of the CPU that runs the tests."""
    wanted = [op for op in OPS if dtypes.float32 in op.dtypes][part::PARTS]
    here = [run(op, sample, dtypes.float32) for op in wanted for sample in op.samples]
    with emulated() as backend:
        there = [run(op, sample, dtypes.float32) for op in wanted for sample in op.samples]
        assert backend.runs > 50
    for expected, actual in zip(here, there, strict=True):
        for one, other in zip(expected, actual, strict=True):
            assert_close(other, numpy_of(one), TOLERANCE[dtypes.float32])


@needs_emulation
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64, dtypes.bfloat16])
def test_matrix_products_under_emulation(dtype: Any) -> None:
    with emulated() as backend:
        for shape in PRODUCTS[1:3] + PRODUCTS[4:]:
            for transposed in TRANSPOSED:
                actual, expected = product(*shape, transposed, dtype)
                scale = shape[1] ** 0.5
                assert_close(actual / scale, expected / scale, 2 * TOLERANCE[dtype])
        assert backend.runs > 10
