"""The kernels of recurrences: pieces, threads, lesser CPUs, borders of memory, their number."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import grad
from grad import nn
from grad.codegen.llvm.recurrence.structure import Code
from grad.engine.realize import kernel_count
from grad.graph.evaluate import evaluate
from grad.graph.recurrence import GATES, PARTS, Recur, recurrence_nodes
from grad.settings import settings
from tests.codegen.recurrence_cases import CASES, Case, check, computed, operands

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


def in_wider_rows(array: np.ndarray) -> grad.Tensor:
    """The same values, of rows that lie far apart."""
    wide = np.full((*array.shape[:-1], 3 * array.shape[-1] + 70), np.nan, array.dtype)
    wide[..., : array.shape[-1]] = array
    return grad.tensor(wide)[..., : array.shape[-1]]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operands_that_are_views(case: Case) -> None:
    check(case, in_wider_rows)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_one_state_for_all_sequences(kind: str) -> None:
    layer = getattr(nn, kind)(3, 5).double()
    x = grad.randn(4, 7, 3, dtype=grad.float64)
    first = [grad.randn(1, 1, 5, dtype=grad.float64).realize() for _ in range(1 + (kind == "LSTM"))]
    found = []
    for states in (
        [s.expand(1, 7, 5) for s in first],
        [s.repeat(1, 7, 1).realize() for s in first],
    ):
        output, _ = layer(x, tuple(states) if kind == "LSTM" else states[0])
        found.append(output.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", GATES)
def test_arguments_have_names_of_their_own(kind: str) -> None:
    for gradient in (False, True):
        how = Recur(kind, False, True, True, True, 1, "")
        names = how.gradient_operands if gradient else how.operands
        results = ("slopes", "inner", "state", "cell") if gradient else PARTS[kind]
        code = Code("float", 8, 4, 4, kind, False, names, results)
        for arguments in (code.pointers, code.integers):
            assert len(set(arguments)) == len(arguments)


@pytest.mark.parametrize("case", CASES[1:3] + CASES[5:7] + CASES[10:12] + CASES[14:], ids=str)
def test_interpreted(case: Case) -> None:
    with settings.override(backend="reference", verify=True):
        check(case, grad.tensor)


@pytest.mark.parametrize("case", [CASES[2], CASES[6], CASES[9], CASES[11], CASES[17]], ids=str)
def test_gradients_that_have_gradients(case: Case) -> None:
    """The definition in tensor methods says the same."""
    check(case, grad.tensor, create_graph=True)


@pytest.mark.parametrize("case", [CASES[3], CASES[8], CASES[13], CASES[16]], ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: Case) -> None:
    arrays = operands(case)
    found = []
    for count in (1, 2, 8):
        grad.set_num_threads(count)
        found.append(computed(case, arrays, grad.tensor))
    for others in found[1:]:
        for name, array in others.items():
            np.testing.assert_array_equal(array, found[0][name])


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
        "import grad; from tests.codegen.recurrence_cases import *; check_all(grad.tensor)",
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
from tests.codegen.recurrence_cases import *
types = {"float32": grad.float32, "float64": grad.float64}
for at_end in (True, False):
    check_all(lambda array: lent(array, types[array.dtype.name]))
"""
    run(script, GRAD_CPU_FEATURES=level)


def test_definition_of_the_graph() -> None:
    arrays = operands(CASES[5])
    names = ("projected", "weight", "state", "cell")
    nodes = tuple(grad.tensor(arrays[name]).node for name in names)
    how = Recur("lstm", False, False, False, False, 7, "")
    for node in recurrence_nodes(nodes, how).values():
        found = grad.Tensor._wrap(node).numpy()
        np.testing.assert_allclose(evaluate([node])[0], found, rtol=2e-5, atol=2e-5)


def test_steps_cost_no_kernels() -> None:
    """A layer has as many kernels for 50 steps as for 2, forward and backward."""
    counts = []
    for steps in (2, 50):
        layer = nn.LSTM(4, 5)
        x = grad.randn(steps, 3, 4).realize()
        output, _ = layer(x)
        counts.append(kernel_count([output.node]))
        output.sum().backward()
        counts.append(kernel_count([p.grad.node for p in layer.parameters() if p.grad is not None]))
    assert counts[:2] == counts[2:]
    assert counts[0] <= 4


def test_special_values_stay_with_their_sequence() -> None:
    """NaN and infinity reach later steps of the sequence that has them, and no other."""
    layer = nn.GRU(4, 20)
    x = np.random.default_rng(0).normal(size=(5, 9, 4)).astype(np.float32)
    clean = layer(grad.tensor(x))[0].detach().numpy()
    x[2, 3], x[1, 8] = np.nan, np.inf
    output = layer(grad.tensor(x))[0].detach().numpy()
    others = [i for i in range(9) if i not in (3, 8)]
    np.testing.assert_array_equal(output[:, others], clean[:, others])
    np.testing.assert_array_equal(output[:2, 3], clean[:2, 3])
    assert np.isnan(output[2:, 3]).all()
