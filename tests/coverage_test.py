"""Each public name of PyTorch is here, or has a reason why not; the page of them is current."""

from __future__ import annotations

import importlib.util

import pytest

from tools import coverage, torch_names


def test_each_name_is_here_or_has_a_reason() -> None:
    assert not coverage.unexplained(), "implement it, or say why not in tools/coverage.py"


def test_page_is_current() -> None:
    written = coverage.PAGE.read_text(encoding="utf-8")
    assert written == coverage.page(), "run `python -m tools.coverage`"


def test_unknown_name_has_no_reason() -> None:
    assert not coverage.is_here("torch.nonexistent")
    assert coverage.why_not("torch.nonexistent") is None
    assert coverage.is_here("torch.nn.functional.relu") and coverage.is_here("torch.Tensor.relu")


def test_names_are_those_of_the_installed_version() -> None:
    """Where the PyTorch is installed that the names are of."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    version = importlib.import_module("torch").__version__.partition("+")[0]
    if version != coverage.torch_version():
        pytest.skip(f"PyTorch is {version}")
    names = [name for space in torch_names.NAMESPACES for name in torch_names.public_names(space)]
    assert names == coverage.torch_names()
