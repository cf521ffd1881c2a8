"""Fixtures of tests that count plans and kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from grad.codegen.llvm import cpu
from grad.device import open_backend
from grad.engine import cache


@pytest.fixture
def empty_cache() -> Iterator[None]:
    """No plan is known before the test, and none of it after."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts of all kernels that are compiled from now on."""
    texts: set[str] = set()
    compile_ir = cpu.compile_ir

    def noted(text: str, *rest: Any, **named: Any) -> dict[str, int]:
        texts.add(text)
        return compile_ir(text, *rest, **named)

    monkeypatch.setattr(cpu, "compile_ir", noted)
    monkeypatch.setattr(open_backend("cpu"), "_compiled", {})
    return texts
