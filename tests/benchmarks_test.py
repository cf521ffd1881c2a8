"""The benchmark suite computes what it says, and survives frameworks that do not work.

Nothing is timed here. Every workload runs at tiny sizes, ours against a reference (NumPy's form of
it, or PyTorch in float64), and so do the peers that are installed. Workers that crash, hang or are
missing are short scripts in place of the real worker.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grad
from benchmarks import accuracy, limits, report, run, scores, startup, table
from benchmarks.adapters import ADAPTERS, Adapter, Unsupported
from benchmarks.client import Client, Failure
from benchmarks.frameworks import FRAMEWORKS, missing_tool
from benchmarks.runner import Effort, measure
from benchmarks.workload import Arrays, Cost, Target, Workload, shaken, tiny
from benchmarks.workloads import WORKLOADS
from grad.runtime.cpu import limits as machine_limits

NAMES = list(WORKLOADS)
QUICKEST = Effort(rounds=2, batch_seconds=0.001, budget_seconds=1.0)
SMALL = "matmul 128"


# -- workloads -------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def _same_settings_afterwards() -> Iterator[None]:
    count, precision = grad.get_num_threads(), grad.get_float32_convolution_precision()
    yield
    grad.set_num_threads(count)
    grad.set_float32_convolution_precision(precision)


def adapter(name: str) -> Adapter:
    """The adapter of a framework, or a skipped test where it cannot be had."""
    framework = FRAMEWORKS[name]
    if importlib.util.find_spec(framework.module) is None:
        pytest.skip(f"{framework.module} is not installed")
    reason = missing_tool(framework)
    if reason:
        pytest.skip(reason)
    return ADAPTERS[framework.adapter](framework.module, framework.compiled, 2)


def test_our_side_is_told_the_precision() -> None:
    made = adapter("grad")
    for name, precision in (("conv 8x256x14x14, 256 3x3, high", "high"), (SMALL, "highest")):
        workload = WORKLOADS[name]
        made.call(workload, tiny(workload), workload.arrays(tiny(workload)))
        assert grad.get_float32_convolution_precision() == precision


def samples(name: str, workload: Workload, arrays: Arrays) -> Arrays:
    made = adapter(name)
    call = made.call(workload, tiny(workload), arrays)
    return accuracy.samples_of(made.arrays(call()) for _ in range(workload.check_calls))


def reference(workload: Workload) -> Arrays:
    name = "numpy" if "numpy" in workload.functions else "torch"
    return samples(name, workload, accuracy.doubled(workload.arrays(tiny(workload))))


def check(name: str, workload: Workload) -> None:
    try:
        found = samples(name, workload, workload.arrays(tiny(workload)))
    except Unsupported as error:
        pytest.skip(str(error))
    assert accuracy.difference(found, reference(workload)) <= workload.tolerance


@pytest.mark.parametrize("name", NAMES)
def test_ours_is_right(name: str) -> None:
    check("grad", WORKLOADS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("peer", ["grad.compile", "torch", "jax", "tinygrad", "numpy"])
def test_peer_is_right(peer: str, name: str) -> None:
    check(peer, WORKLOADS[name])


@pytest.mark.parametrize("name", NAMES)
def test_declaration_is_complete(name: str) -> None:
    workload = WORKLOADS[name]
    assert workload.name == name
    assert workload.fixed <= set(workload.sizes)
    assert workload.targets and {"torch", "jax", "tinygrad"} <= set(workload.functions)
    arrays = workload.arrays(tiny(workload))
    assert set(workload.differentiate) <= set(arrays)
    assert ("gradient" in arrays) == bool(workload.differentiate)
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, workload.arrays(tiny(workload))[key])
        assert array.dtype in (np.float32, np.int64)
    cost = workload.cost(workload.sizes)
    assert cost.operations + cost.read > 0 and cost.read >= 0 and cost.written >= 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_shaken_sizes_are_near(name: str, seed: int) -> None:
    workload = WORKLOADS[name]
    sizes = shaken(workload, seed)
    assert sizes == shaken(workload, seed)
    assert list(sizes) == list(workload.sizes)
    for key, size in sizes.items():
        if key in workload.fixed:
            assert size == workload.sizes[key]
        else:
            assert size >= 1
            assert abs(size - workload.sizes[key]) <= max(2, 0.2 * workload.sizes[key])


def test_shaking_makes_odd_and_prime_sizes() -> None:
    sizes = [shaken(WORKLOADS[SMALL], seed)["m"] for seed in range(40)]
    assert len(set(sizes)) > 5
    assert any(size % 2 for size in sizes) and any(size % 2 == 0 for size in sizes)


def test_rows_of_shaken_sizes_are_right() -> None:
    for name in (SMALL, "attention 8x8x256x64 + backward"):
        workload = WORKLOADS[name]
        small = replace(workload, sizes=tiny(workload, 9), name=name)
        check("grad", replace(small, sizes=shaken(small, 3)))


# -- accuracy --------------------------------------------------------------------------------------
def test_difference_is_relative() -> None:
    expected = accuracy.samples_of([[np.array([1.0, 2.0, 3.0])]])
    assert accuracy.difference(expected, expected) == 0
    off = accuracy.samples_of([[np.array([1.0, 2.0, 3.3])]])
    assert 0.01 < accuracy.difference(off, expected) < 0.1


@pytest.mark.parametrize(
    "wrong", [np.array([1.0, np.nan]), np.array([[1.0, 2.0]]), np.array([1.0, 2.0, 3.0])]
)
def test_wrong_shapes_and_nan_differ(wrong: np.ndarray) -> None:
    expected = accuracy.samples_of([[np.array([1.0, 2.0])]])
    assert accuracy.difference(accuracy.samples_of([[wrong]]), expected) == math.inf


def test_large_results_are_sampled_in_the_same_places() -> None:
    large = np.arange(accuracy.LARGEST_SAMPLE + 5, dtype=np.float32)
    assert accuracy.sample(large).size == accuracy.LARGEST_SAMPLE
    np.testing.assert_array_equal(accuracy.sample(large), accuracy.sample(large.copy()))


# -- workers ---------------------------------------------------------------------------------------
READY = "import sys\nprint('{\"import_seconds\": 0.1}', flush=True)\n"
SCRIPTS = {
    "crash": READY + "sys.stdin.readline()\nprint('the reason', file=sys.stderr)\nsys.exit(3)",
    "timeout": READY + "import time\ntime.sleep(60)",
    "error": READY + "sys.stdin.readline()\n"
    'print(\'{"error": "ValueError", "message": "no"}\', flush=True)\nsys.stdin.readline()',
    "missing": READY + "sys.stdin.readline()\n"
    'print(\'{"error": "AttributeError", "message": "no"}\', flush=True)\nsys.stdin.readline()',
    "not installed": 'print(\'{"error": "ModuleNotFoundError", "message": "no"}\', flush=True)',
}


@pytest.fixture
def broken(request: Any, tmp_path: Path) -> Iterator[Client]:
    framework = replace(FRAMEWORKS["jax"], patience=0.5)
    client = Client(framework, 1, str(tmp_path))
    client.command = [sys.executable, "-c", SCRIPTS[request.param]]
    yield client
    client.stop()


@pytest.mark.parametrize(
    ("broken", "kind"), [(kind, kind) for kind in SCRIPTS], indirect=["broken"], ids=list(SCRIPTS)
)
def test_failing_worker_is_shown(broken: Client, kind: str, tmp_path: Path) -> None:
    good = Client(FRAMEWORKS["numpy"], 1, str(tmp_path))
    workload = WORKLOADS[SMALL]
    try:
        figures = measure(workload, tiny(workload), [broken, good], QUICKEST, good)
    finally:
        good.stop()
    assert figures["jax"]["failure"] == kind
    assert figures["jax"]["reason"]
    assert len(figures["numpy"]["rounds"]) == QUICKEST.rounds
    assert 0 < figures["numpy"]["minimum"] <= figures["numpy"]["median"] < 1
    assert figures["numpy"]["difference"] < 1e-6


@pytest.mark.parametrize("broken", ["crash"], indirect=True)
def test_crash_tells_the_last_words(broken: Client) -> None:
    with pytest.raises(Failure, match=r"(?s)ended with 3: the reason"):
        broken.ask("release", 5.0)


def test_wrong_result_is_shown(tmp_path: Path) -> None:
    workload = replace(WORKLOADS[SMALL], tolerance=-1.0)
    client = Client(FRAMEWORKS["numpy"], 1, str(tmp_path))
    try:
        figures = measure(workload, tiny(workload), [client], QUICKEST, client)
    finally:
        client.stop()
    assert figures["numpy"]["failure"] == "wrong"
    assert figures["numpy"]["median"] > 0


def test_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name in ("torch.compile", "tinygrad"):
        assert "install" in (missing_tool(FRAMEWORKS[name]) or "")
    assert missing_tool(FRAMEWORKS["torch"]) is None


# -- limits ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("streaming", [False, True])
def test_copying_loop_copies(streaming: bool) -> None:
    source, target = machine_limits.aligned(1 << 16), machine_limits.aligned(1 << 16)
    source[:] = np.random.default_rng(0).integers(256, size=source.size)
    function = machine_limits.memory_function(store=True, streaming=streaming)
    # What was read is kept by writing its union over the start, which is checked apart.
    function(1, target.ctypes.data, source.ctypes.data, source.size)
    np.testing.assert_array_equal(target[64:], source[64:])


def test_limits_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = partial(machine_limits.memory_rates, footprints=(1 << 18,))
    monkeypatch.setattr(limits, "memory_rates", rates)
    monkeypatch.setattr(machine_limits, "TRY_SECONDS", 1e-3)
    found = limits.limits(2)
    assert found["operations"] > 1e8
    for kind in ("read", "copy"):
        ((size, rate),) = found[kind]
        assert size == 1 << 18 and rate > 1e7


# -- scores, table, report -------------------------------------------------------------------------
LIMITS = {"operations": 1e9, "read": [[1 << 20, 2e9]], "copy": [[1 << 20, 1e9]]}


def figure(seconds: float) -> dict[str, Any]:
    return {"median": seconds, "minimum": seconds, "rounds": [seconds]}


def row(**frameworks: dict[str, Any]) -> dict[str, Any]:
    names = {name.replace("_", "."): figures for name, figures in frameworks.items()}
    cost = {"operations": 1e6, "read": 1e3, "written": 1e3}
    return {"workload": SMALL, "threads": 2, "sizes": {}, "cost": cost, "frameworks": names}


def score(target: Target | None = None, **frameworks: dict[str, Any]) -> scores.Score:
    workload = replace(WORKLOADS[SMALL], targets=(target or Target(1.0),))
    (found,) = scores.scores_of(row(**frameworks), workload, LIMITS)
    return found


def test_score_is_against_the_best_peer() -> None:
    found = score(
        grad=figure(4e-3), grad_compile=figure(2e-3), torch=figure(5e-3), jax=figure(4e-3)
    )
    assert (found.ours, found.peer, found.ratio, found.reached) == (
        "grad.compile",
        "jax",
        0.5,
        True,
    )
    assert found.limit_share == pytest.approx(0.5)


def test_numpy_does_not_count() -> None:
    found = score(grad=figure(2e-3), numpy=figure(1e-3))
    assert found.peer is None and found.ratio is None and found.reached is None


def test_failures_do_not_count() -> None:
    wrong = figure(1e-6) | {"failure": "wrong", "reason": "differs"}
    assert score(grad=wrong, torch=figure(1.0)).reached is False
    assert score(grad=figure(1.0), torch=wrong, jax=figure(2.0)).peer == "jax"


def test_absolute_targets_have_no_peer() -> None:
    warm = Target(0.2, "warm", peers=())
    assert score(warm, grad={"warm_seconds": 0.1}, torch={"warm_seconds": 0.01}).reached is True
    assert score(warm, grad={"warm_seconds": 0.3}).reached is False


def test_least_time_is_of_arithmetic_or_memory() -> None:
    assert scores.least_seconds(Cost(1e9, 0, 0), LIMITS) == pytest.approx(1.0)
    assert scores.least_seconds(Cost(0, 2e9, 0), LIMITS) == pytest.approx(1.0)
    assert scores.least_seconds(Cost(0, 1e9, 1e9), LIMITS) == pytest.approx(2.0)


def test_table_fits_the_terminal() -> None:
    names = list(FRAMEWORKS)
    heading = table.header(names, 2).splitlines()
    full = {name.replace(".", "_"): figure(12.3456) for name in names}
    lines = [table.line(score(**full), names), *heading]
    failed = {name.replace(".", "_"): {"failure": "not installed"} for name in names}
    lines.append(table.line(score(**failed), names))
    assert {len(line) for line in lines} == {len(heading[0])}
    assert len(heading[0]) <= 140


@pytest.mark.parametrize("name", NAMES)
def test_names_fit_the_table(name: str) -> None:
    workload = WORKLOADS[name]
    for target in workload.targets:
        assert len(workload.name + target.label) <= table.NAME_WIDTH


@pytest.mark.parametrize(
    ("value", "text"), [(1.5e-5, "0.0150"), (1.234e-3, "1.23"), (0.0567, "56.7"), (12.0, "12000")]
)
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert table.amount(value, "time") == text


def results() -> dict[str, Any]:
    failure = {"failure": "timeout", "reason": "no answer within 60 seconds"}
    machine = {
        "date": "2026-01-02T03:04:05+00:00",
        "commit": "abc",
        "processor": "a processor",
        "llvm_processor": "generic",
        "vector_bits": 256,
        "cores": 2,
        "cache_bytes": [1 << 15, 1 << 20, 1 << 25],
        "memory_bytes": 1 << 34,
        "system": "Linux",
        "python": "3.11",
        "versions": {"numpy": "2.0"},
        "load": [0.5],
    }
    return {
        "machine": machine,
        "options": {"shake": None, "rounds": 3, "by": "median"},
        "limits": {"2": LIMITS},
        "rows": [row(grad=figure(3e-3), torch=figure(1e-3), jax=failure)],
        "imports": {
            name: {"import_seconds": 0.1, "installed_bytes": 1e6} for name in ("grad", "numpy")
        },
    }


def test_report_tells_results_and_reasons() -> None:
    text = report.body(results(), {"matmul*": "because of this; next: that"})
    assert "| matmul 128 | **3.00** | **1.00** | timeout |" in text
    assert "0 of 1 reached" in text
    assert "* **matmul 128** (3.00 with 2; reach 1.0): because of this; next: that" in text


def test_report_rewrites_the_section_of_its_processor() -> None:
    once = report.rewritten("before\n", "znver3", "old")
    both = report.rewritten(once, "emeraldrapids", "another")
    renewed = report.rewritten(both, "znver3", "new")
    assert renewed.startswith("before") and "old" not in renewed and "another" in renewed
    assert renewed.index("new") < renewed.index("another")
    assert report.rewritten(renewed, "znver3", "new") == renewed
    with pytest.raises(ValueError, match="needs both lines"):
        report.rewritten(report.BEGIN.format("znver3"), "znver3", "new")


def test_document_has_a_section_of_results() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    processors = re.findall(report.BEGIN.format(r"(\w+)"), document)
    assert processors
    for processor in processors:
        assert report.rewritten(document, processor, "").count(processor) < document.count(
            processor
        )


def test_reasons_of_a_processor_come_before_those_of_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reasons.toml"
    path.write_text('[any]\na = "1"\nb = "2"\n[znver3]\nb = "3"\n', encoding="utf-8")
    monkeypatch.setattr(report, "REASONS", path)
    assert report.reasons_on("znver3") == {"a": "1", "b": "3"}
    assert report.reasons_on("znver4") == {"a": "1", "b": "2"}


def test_reasons_are_of_lines_that_exist() -> None:
    tables = tomllib.loads(report.REASONS.read_text(encoding="utf-8"))
    lines = [w.name + target.label for w in WORKLOADS.values() for target in w.targets]
    for key in (key for reasons in tables.values() for key in reasons):
        pattern = re.escape(key.removesuffix("*")) + (".*" if key.endswith("*") else "")
        assert any(re.fullmatch(pattern, line) for line in lines), key


def test_import_lines_judge_ours() -> None:
    quick, slow = {"import_seconds": 0.1}, {"import_seconds": 0.5}
    size = {"installed_bytes": 1e6}
    lines = startup.import_lines({"grad": slow | size, "numpy": quick | size})
    assert lines[1].endswith("reach 0.200: no")


def test_a_run_writes_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workload = WORKLOADS[SMALL]
    plan = run.Plan([workload], ["numpy"], [1], tmp_path / "results.json", QUICKEST, startup=False)
    found = run.begin(plan) | {"limits": {"1": LIMITS}}
    with run.clients(plan.frameworks, 1, str(tmp_path)) as made:
        measured = run.measured_row(plan, workload, made, 1)
    run.keep(found, measured)
    run.keep(found, measured)
    run.write(found, plan.path)
    run.print_row(found, measured, workload, plan)
    assert SMALL in capsys.readouterr().out
    kept = json.loads(plan.path.read_text())
    assert [r["workload"] for r in kept["rows"]] == [SMALL]
    assert run.begin(replace(plan, update=True))["rows"] == kept["rows"]
    assert report.all_scores(kept)[0].values["numpy"] > 0
