"""The stubs say what the registry of operations says."""

from __future__ import annotations

from tools.stubs import outdated


def test_stubs_are_up_to_date() -> None:
    assert not outdated(), "run `python -m tools.stubs`"
