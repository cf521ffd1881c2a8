"""The kernels of attention: blocks and pieces, threads, lesser CPUs, borders of memory, kernels."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite import binding

import grad
import grad.nn.functional as F
from grad.codegen.llvm.attention.dropout import kept_lanes, threshold
from grad.codegen.llvm.attention.plan import choose
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.functions import attributes
from grad.engine.realize import kernel_count
from grad.graph import attention, reference
from grad.graph.attention import Attend
from grad.graph.primitives import ATTENTION
from grad.kernel.ir import Attention, Rows
from grad.settings import settings
from tests.codegen.attention_cases import CASES, LONG, Case, check, computed, operands
from tests.codegen.attention_faults import (
    FAULTS,
    LONG_FAULTS,
    check_faults,
    check_mask_gradient,
    check_masked,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def same_thread_count() -> Iterator[None]:
    before = grad.get_num_threads()
    yield
    grad.set_num_threads(before)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case: Case) -> None:
    with settings.override(verify=True):
        check(case, grad.tensor)


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG, ids=str)
def test_blocks_of_keys(case: Case) -> None:
    check(case, grad.tensor)


@pytest.mark.parametrize("case", CASES[:6] + CASES[9:13] + CASES[15:], ids=str)
def test_interpreted(case: Case) -> None:
    with settings.override(backend="reference", verify=True):
        check(case, grad.tensor)


@pytest.mark.parametrize(
    "case", [CASES[6], CASES[8], LONG[2], LONG[4], LONG[5], LONG[7], *LONG[8:]], ids=str
)
def test_any_number_of_threads_gives_the_same_bits(case: Case) -> None:
    arrays = operands(case)
    found = []
    for count in (1, 2, 3, 8):
        grad.set_num_threads(count)
        found.append(computed(case, arrays, grad.tensor))
    for others in found[1:]:
        for first, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_special_values(case: Case) -> None:
    """They reach what they may, and never a row that may not attend to them."""
    check_faults(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG_FAULTS, ids=str)
def test_special_values_in_blocks_of_keys(case: Case) -> None:
    check_faults(case)


@pytest.mark.parametrize("case", [FAULTS[1], FAULTS[8], FAULTS[14]], ids=str)
def test_special_values_interpreted(case: Case) -> None:
    with settings.override(backend="reference"):
        check_faults(case)


@pytest.mark.parametrize("case", [*FAULTS[:4], *FAULTS[5:9], FAULTS[11], *FAULTS[13:16]], ids=str)
def test_special_values_of_gradients_with_gradients(case: Case) -> None:
    check_faults(case, create_graph=True)


@pytest.mark.parametrize(
    "case", [FAULTS[7], FAULTS[8], FAULTS[15], Case(9, 61, 900, 64, 64, False, "float")], ids=str
)
def test_gradients_of_masks(case: Case) -> None:
    check_mask_gradient(case)


@pytest.mark.parametrize(
    "case",
    [
        Case(2, 61, 85, 17, 33, True),
        Case(9, 70, 140, 16, 16, True),
        Case(2, 20, 140, 16, 16, False, "bool"),
        Case(6, 1, 90, 16, 16, False, "float", group=2),
        Case(2, 130, 140, 8, 9, False, "float", dropout=0.3),
    ],
    ids=str,
)
def test_what_is_masked_changes_no_bit(case: Case) -> None:
    check_masked(case, np.arange(case.keys) >= max(case.rows, case.keys - 25))


def run(script: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, "end"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["avx2", "generic"])
def test_lesser_cpus(level: str) -> None:
    run(
        "import grad; from tests.codegen.attention_cases import *;"
        "check_all(grad.tensor, CASES + LONG[1:3] + LONG[5:6] + LONG[8:])",
        GRAD_CPU_FEATURES=level,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="pages are protected as Linux does it")
@pytest.mark.parametrize("level", ["native", "avx2", "generic"])
def test_kernels_stay_inside_their_operands(level: str) -> None:
    """Operands end where the next page cannot be read (`lent` of borders_test.py)."""
    script = """
from tests.codegen import borders_test
exec(borders_test.CASES[:borders_test.CASES.index("def check")])
from tests.codegen.attention_cases import *
types = {"float32": grad.float32, "float64": grad.float64, "bool": grad.bool}
for at_end in (True, False):
    check_all(lambda array: lent(array, types[array.dtype.name]), CASES)
"""
    run(script, GRAD_CPU_FEATURES=level)


def nodes(*shapes: tuple[int, ...]) -> list[Any]:
    return [grad.randn(*shape).realize().requires_grad_() for shape in shapes]


def test_one_kernel_each_way() -> None:
    """Forward is one kernel, whoever wants its rows; backward is one for all gradients."""
    q, k, v = nodes((2, 3, 9, 8), (2, 3, 11, 8), (2, 3, 11, 8))
    result = F.scaled_dot_product_attention(q, k, v)
    found = grad.autograd.grad(result, (q, k, v), grad.randn(2, 3, 9, 8).realize())
    assert kernel_count([result.node]) == 1
    assert kernel_count([g.node for g in found]) == 1


def test_groups_and_dropout_are_in_the_kernels() -> None:
    """No copy of keys and values for each head, no mask, and no sum over heads afterwards."""
    q, k, v = nodes((2, 6, 9, 8), (2, 3, 11, 8), (2, 3, 11, 8))
    for rows in (q, q[:, :, :1]):
        result = F.scaled_dot_product_attention(rows, k, v, dropout_p=0.1, enable_gqa=True)
        found = grad.autograd.grad(result.sum(), (k, v))
        assert kernel_count([result.node]) == 1
        assert kernel_count([result.node, *(g.node for g in found)]) == 2


@pytest.mark.parametrize("features", ["host", "none"])
def test_numbers_of_weights_pass_32_bits(features: str) -> None:
    """The counter of dropout is one of 64 bits, whose low half may overflow inside a vector."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    b = Builder(frozenset(), 64 if features == "host" else 16)
    lanes, chosen = 16, threshold(0.5)
    key, first = Value("%key", "i64"), Value("%first", "i64")
    lanes_kept = kept_lanes(b, key, first, b.const("i32", chosen), lanes)
    b.store(b.convert("zext", lanes_kept, "i8"), Value("%to", "ptr"), 1)
    text = b.function("kernel", "i64 %key, i64 %first, ptr %to")
    module = binding.parse_assembly(b.preamble() + text + attributes(b.vector_bytes))
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name() if features == "host" else ""
    )
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    kinds = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p)
    call = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("kernel"))
    for start in (0, 2**32 - 5, 2**32, 7 * 2**32 - 1, 2**63 - 8):
        found = np.zeros(lanes, np.uint8)
        call(123456789 << 20, start, found.ctypes.data)
        counter = np.uint64(start) + np.arange(lanes, dtype=np.uint64)
        bits = reference.threefry(np.asarray(123456789 << 20, np.uint64), counter)
        np.testing.assert_array_equal(found, (bits >> np.uint64(40)) * 2.0**-24 >= 0.5)


def test_strided_operands_are_not_copied() -> None:
    """Heads cut out of one projection, in place: the kernel reads them through their strides."""
    (joined,) = nodes((2, 9, 3 * 4 * 8))
    q, k, v = (part.reshape(2, 9, 4, 8).transpose(1, 2) for part in joined.split(32, -1))
    assert kernel_count([F.scaled_dot_product_attention(q, k, v).node]) == 1


def statement(case: Case) -> Attention:
    """The kernel IR of a case's forward or backward pass (the parameters do not matter)."""
    shapes = {
        "query": (case.heads, case.rows, case.size),
        "key": (case.heads // case.group, case.keys, case.size),
        "value": (case.heads // case.group, case.keys, case.value_size),
    }
    kind = grad.float32
    rows = {name: Rows(0, kind, s, (s[1] * s[2], s[2], 1)) for name, s in shapes.items()}
    how = Attend(1.0, case.is_causal, False, 0.0, case.group, "")
    return Attention(ATTENTION, how, kind, tuple(rows.items()), (("values", rows["query"]),))


def test_code_does_not_depend_on_sizes() -> None:
    """Heads of 64 elements have one kernel, whatever their number and lengths."""
    codes = {
        choose(
            statement(Case(*sizes, 64, 64, True)), frozenset({"fma", "avx512f"}), 64, 1 << 21
        ).code
        for sizes in ((1, 17, 17), (8, 256, 256), (12, 1000, 4001))
    }
    assert len(codes) == 1


def test_long_keys_are_cut_in_parts() -> None:
    """One row of one head is work for several threads; of many heads it is one kernel."""
    counts = []
    for heads, keys in ((1, 140001), (1, 1000), (8, 9000)):
        q, k, v = nodes((heads, 1, 64), (heads, keys, 64), (heads, keys, 64))
        result = F.scaled_dot_product_attention(q, k, v)
        counts.append(kernel_count([result.node]))
        found = []
        for threads in (1, 2, 3):
            grad.set_num_threads(threads)
            result = F.scaled_dot_product_attention(q, k, v)
            found.append(result.detach().numpy())
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])
        arrays = {n: t.detach().numpy() for n, t in zip(("query", "key", "value"), (q, k, v))}
        how = Attend(1 / 8, False, False, 0.0, 1, "")
        np.testing.assert_allclose(found[0], attention.forward(how, arrays)["values"], atol=1e-6)
    assert counts[0] > 1 and counts[1:] == [1, 1]


def test_memory_is_linear_in_length() -> None:
    """Scratch stops growing with the number of keys once a block is full."""
    sizes = [
        choose(
            statement(Case(16, rows, keys, 64, 64)), frozenset({"avx512f"}), 64, 1 << 21
        ).scratch_bytes
        for rows, keys in ((4096, 4096), (8192, 8192), (8192, 65536))
    ]
    assert sizes[1] < 2.2 * sizes[0] and sizes[2] < 1.2 * sizes[1]
