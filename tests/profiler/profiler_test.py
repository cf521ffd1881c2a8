"""`grad.profiler`: what it records, and that it leaves no trace when it is through."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import grad
from grad import nn, optim
from grad.engine.observe import observers
from grad.errors import ArgumentError
from grad.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule
from grad.profiler.record import Kind, records
from grad.settings import settings


def training_step() -> Any:
    grad.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 8))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


def names(prof: profile, kind: Kind) -> list[str]:
    return [event.name for event in prof.events() if event.kind is kind]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_kernels_of_a_training_step(compiled: bool) -> None:
    step, x = training_step(), grad.randn(16, 32).realize()
    run = grad.compile(step) if compiled else step
    for _ in range(3):
        run(x)
    with profile() as prof:
        run(x)
        run(x)
    averages = prof.key_averages()
    kernels = [row for row in averages if row.kind is Kind.KERNEL]
    assert any("contract" in row.key for row in kernels)
    assert all(row.count == 2 and row.bytes > 0 and row.nanoseconds > 0 for row in kernels)
    assert names(prof, Kind.COMPILE) == []
    assert averages.total(Kind.KERNEL) <= prof._found.nanoseconds


def test_values_are_the_same() -> None:
    first, second, x = training_step(), training_step(), grad.randn(16, 32).realize()
    expected = [first(x).item() for _ in range(3)]
    with profile():
        assert [second(x).item() for _ in range(3)] == expected


def test_compiling_is_told_apart() -> None:
    x = grad.ones(3, 5, 7).realize()
    grad.engine.cache.clear()
    with profile() as prof:
        x.cos().sum(1).realize()
    (name,) = names(prof, Kind.COMPILE)
    assert name.startswith("compile 1 kernels")
    assert "compiling" in prof.key_averages().summary()


def test_nothing_is_left_behind() -> None:
    assert not settings.timed
    with pytest.raises(KeyError), profile():
        assert settings.timed and observers and records
        raise KeyError
    assert not settings.timed and not observers and not records


def test_printing_steps_and_profiling_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    with settings.override(debug=2), profile() as prof:
        (grad.ones(4).realize() + 1).realize()
        assert settings.timed
    assert not settings.timed
    assert "GFLOP/s" in capsys.readouterr().err and names(prof, Kind.KERNEL)
    with profile(), settings.override(debug=0):
        assert settings.timed


def test_ranges() -> None:
    @record_function("decorated")
    def function(x: Any) -> Any:
        return (x + 1).realize()

    function(grad.ones(2))  # nobody profiles
    with profile() as prof, record_function("outer"):
        function(grad.ones(2))
    assert names(prof, Kind.RANGE) == ["decorated", "outer"]
    inner, outer = (e for e in prof.events() if e.kind is Kind.RANGE)
    assert outer.start <= inner.start <= inner.end <= outer.end


def test_table() -> None:
    x = grad.randn(64, 64).realize()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        for _ in range(3):
            (x @ x).realize()
        x.exp().realize()
    averages = prof.key_averages()
    text = averages.table(sort_by="count", row_limit=1)
    title, row, summary = text.splitlines()
    assert "GFLOP/s" in title and "of limit" in title
    assert row.startswith("contract") and row.split()[1] == "3"
    assert summary.startswith("in all")
    product = next(found for found in averages if found.key.startswith("contract"))
    assert product.flops >= 3 * 2 * 64**3
    assert 0 < product.share < 3
    with pytest.raises(ArgumentError, match="sort_by='speed'"):
        averages.table(sort_by="speed")


def test_chrome_trace(tmp_path: Path) -> None:
    with profile() as prof, record_function("here"):
        grad.ones(100).sin().realize()
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    complete = [event for event in events if event["ph"] == "X"]
    assert {"here"} <= {event["name"] for event in complete}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in complete)
    assert any(event["ph"] == "C" and event["args"]["bytes"] > 0 for event in events)
    kernel = next(event for event in complete if event["cat"] == "kernel")
    assert kernel["args"]["bytes"] >= 400


def test_memory_over_time(tmp_path: Path) -> None:
    with profile() as prof:
        x = grad.ones(1 << 18).exp().realize()
        del x
    timeline = prof.memory_timeline()
    assert timeline["peak_bytes"] - timeline["bytes"][0] >= 1 << 20
    assert timeline["bytes"][-1] < timeline["peak_bytes"]
    assert timeline["seconds"] == sorted(timeline["seconds"])
    prof.export_memory_timeline(tmp_path / "memory.json")
    assert json.loads((tmp_path / "memory.json").read_text()) == timeline
    with pytest.raises(ValueError, match="ends in none"):
        prof.export_memory_timeline(tmp_path / "memory.txt")


def test_a_picture_of_memory(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with profile() as prof:
        grad.ones(10).exp().realize()
    prof.export_memory_timeline(tmp_path / "memory.png")
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with profile() as prof:
        pass
    with pytest.raises(ImportError, match=r"micrograd\[plot\]"):
        prof.export_memory_timeline(tmp_path / "memory.png")


def test_schedule() -> None:
    plan = schedule(wait=1, warmup=1, active=2, repeat=2, skip_first=1)
    none, warm = ProfilerAction.NONE, ProfilerAction.WARMUP
    turn = [none, warm, ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE]
    assert [plan(step) for step in range(10)] == [none, *turn, *turn, none]
    ready: list[int] = []
    x = grad.ones(4).realize()

    def note(prof: profile) -> None:
        ready.append(len(names(prof, Kind.KERNEL)))

    with profile(schedule=plan, on_trace_ready=note) as prof:
        for _ in range(10):
            (x + 1).realize()
            prof.step()
    assert ready == [2, 2]
    with pytest.raises(ArgumentError, match="active"):
        schedule(wait=1, warmup=0, active=0)


def test_before_anything_is_recorded() -> None:
    with pytest.raises(ArgumentError, match="nothing has been recorded"):
        profile().key_averages()
