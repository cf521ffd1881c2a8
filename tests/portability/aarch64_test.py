"""Code for 64-bit Arm: every kind of kernel is generated and assembled, calls nothing outside
itself, and a part of them is run under emulation where the tools for it are.
"""

from __future__ import annotations

from typing import Any

import pytest

from grad.dtype import dtypes
from grad.engine.realize import cache
from grad.runtime.cpu.assembler import assemble
from grad.runtime.cpu.host import other_host
from grad.runtime.cpu.pool_code import pool_text
from grad.runtime.cpu.replay_code import EXECUTE, REPLAY
from tests.ops.cases import TOLERANCE, assert_close, numpy_of
from tests.portability.cross import MACHINES, CrossChecks, undefined_symbols
from tests.portability.emulated import emulated, missing
from tests.portability.everything import OPS, PRODUCTS, TRANSPOSED, cases, product, run

pytestmark = pytest.mark.slow  # kept out of `make check`

PARTS = 4
# Who calls what from outside the kernels: the C library, and names that the linker is given.
POOL_SYMBOLS = {"syscall", "sched_yield", "clock_gettime", "pthread_create", "pthread_detach"}
WAIT_SYMBOLS = {"pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock"}
WAIT_SYMBOLS |= {"pthread_cond_init", "pthread_cond_wait", "pthread_cond_broadcast"}
CORE_SYMBOLS = {"sched_getcpu", "sched_getaffinity", "sched_setaffinity"}
# What code generation may call for the intrinsics of the same names.
COPY_SYMBOLS = {"memset", "memcpy"}


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
        ("aarch64-unknown-linux-gnu", POOL_SYMBOLS | CORE_SYMBOLS),
        ("aarch64-unknown-freebsd", POOL_SYMBOLS - {"syscall"} | WAIT_SYMBOLS),
        ("riscv64-unknown-linux-gnu", POOL_SYMBOLS - {"syscall"} | WAIT_SYMBOLS | CORE_SYMBOLS),
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
        assert undefined_symbols(data) - COPY_SYMBOLS == allowed
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
