"""`progress`: a bar on a terminal, nothing elsewhere, and no reading of values not shown."""

from __future__ import annotations

import io
import sys

import pytest

import grad
from grad.utils.progress import progress


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Unreadable:
    """A value that must not be looked at."""

    def __float__(self) -> float:
        raise AssertionError("a value was read for a bar that nobody sees")


def test_silent_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)  # opening it would fail
    output = io.StringIO()
    watched = progress([1, 2, 3], "loop", file=output)
    found = []
    for item in watched:
        watched.set_postfix(loss=Unreadable())
        watched.set_description("other")
        found.append(item)
    assert found == [1, 2, 3]
    assert len(watched) == 3
    assert not watched.visible
    assert output.getvalue() == ""


def test_bar_on_a_terminal() -> None:
    output = Terminal()
    watched = progress(range(5), "training", file=output)
    for _ in watched:
        watched.set_postfix(loss=grad.tensor(0.25), phase="warm")
    assert watched.visible
    text = output.getvalue()
    assert "training" in text
    assert "5/5" in text


def test_steps_told_by_hand() -> None:
    output = Terminal()
    with progress(total=4, unit="batch", file=output) as watched:
        watched.set_postfix(loss=grad.tensor(0.25), phase="warm")
        watched.update(3)
        watched.update()
    assert "4/4" in output.getvalue()
    assert "loss=0.25, phase=warm" in output.getvalue()
    with pytest.raises(TypeError, match=r"update\(\)"):
        next(iter(watched))


def test_values_are_read_now_and_then() -> None:
    readings = []

    class Counted:
        def __float__(self) -> float:
            readings.append(1)
            return 1.0

    with progress(total=1000, file=Terminal()) as watched:
        watched.set_postfix(loss=Counted())
        watched.set_postfix(loss=Counted())  # at once after: not read
    assert len(readings) == 1


def test_terminal_without_tqdm_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(UserWarning, match=r"micrograd\[progress\]"):
        watched = progress(range(3), file=Terminal())
    assert list(watched) == [0, 1, 2]


def test_loop_that_is_left_closes_the_bar() -> None:
    output = Terminal()
    for item in progress(range(5), file=output):
        if item == 2:
            break
    assert output.getvalue().endswith("\n")
