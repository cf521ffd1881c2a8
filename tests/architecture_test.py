"""The source keeps to the architecture, and its public names are the ones on record.

The rules are in tools/architecture.py. Each is run over the library, and over small packages that
break it, which shows that it can fail.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

import grad
from tools.architecture import RULES, Modules, layer_of, read_package
from tools.public_names import NAMES_FILE, public_names

REPOSITORY = Path(__file__).resolve().parent.parent
DOCSTRING = '"""A file made to break one rule of the architecture."""\n'


@pytest.fixture(scope="module")
def library() -> Modules:
    return read_package(REPOSITORY / "grad")


@pytest.mark.parametrize("rule", RULES)
def test_library_keeps_rule(rule: str, library: Modules) -> None:
    violations = [str(violation) for violation in RULES[rule](library)]
    assert not violations, "\n" + "\n".join(violations)


def test_public_names_are_on_record() -> None:
    recorded = NAMES_FILE.read_text(encoding="utf-8").splitlines() if NAMES_FILE.exists() else []
    difference = [
        line
        for line in difflib.unified_diff(recorded, public_names(), "recorded", "now", n=0)
        if not line.startswith(("@@", "---", "+++"))
    ]
    assert not difference, (
        "\n" + "\n".join(difference) + "\nThe public names changed. Where that is meant, run "
        "`python -m tools.public_names`, commit tests/public_names.txt and a changelog fragment."
    )


def test_public_names_exist() -> None:
    missing = [name for name in grad.__all__ if not hasattr(grad, name)]
    assert not missing, f"grad.__all__ lists names that grad does not have: {missing}"


VIOLATIONS = [
    # rule, file in which it is reported, line, files (a docstring comes before each text)
    ("layers", "graph/node.py", 2, {"graph/node.py": "import sample.tensor\n", "tensor.py": ""}),
    ("layers", "dtype.py", 2, {"dtype.py": "from sample import buffer\n", "buffer.py": ""}),
    ("layers", "codegen/x.py", 2, {"codegen/x.py": "from ..engine import y\n", "engine.py": ""}),
    ("layers", "tensor.py", 2, {"tensor.py": "from sample import Module\n"}),
    ("layers", "utils/misc.py", 2, {"utils/misc.py": "from . import data\n", "utils/data.py": ""}),
    ("layers", "ops.py", 2, {"ops.py": "from .autograd import ops\n", "autograd/ops.py": ""}),
    ("layers", "unheard_of.py", 1, {"unheard_of.py": ""}),
    (
        "cycles",
        "graph/a.py",
        2,
        {
            "graph/a.py": "from sample.graph.b import x\n",
            "graph/b.py": "import sample.graph.c\n",
            "graph/c.py": "from . import a\n",
        },
    ),
    ("late-imports", "dtype.py", 3, {"dtype.py": "def f():\n    import json\n"}),
    ("late-imports", "dtype.py", 4, {"dtype.py": "class A:\n  def f():\n    from x import y\n"}),
    (
        "late-imports",
        "dtype.py",
        3,
        {"dtype.py": "import importlib\nimportlib.import_module('x')\n"},
    ),
    ("late-imports", "dtype.py", 2, {"dtype.py": "__import__('x')\n"}),
    ("file-length", "dtype.py", 402, {"dtype.py": "x = 1\n" * 401}),
    ("function-length", "dtype.py", 2, {"dtype.py": "def f():\n" + "    x = 1\n" * 60}),
]


def sample_package(directory: Path, files: dict[str, str], docstring: str = DOCSTRING) -> Modules:
    """Write a package `sample` of these files, each starting with `docstring`, and parse it."""
    package = directory / "sample"
    for name, text in {"__init__.py": "", **files}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(docstring + text)
    return read_package(package)


@pytest.mark.parametrize(("rule", "file", "line", "files"), VIOLATIONS)
def test_rule_catches(
    rule: str, file: str, line: int, files: dict[str, str], tmp_path: Path
) -> None:
    modules = sample_package(tmp_path, files)
    found = {name: list(check(modules)) for name, check in RULES.items()}
    (violation,) = found.pop(rule)
    assert not any(found.values()), "a sample breaks its own rule only"
    if rule == "cycles":  # any module of the cycle is a fair place to report it
        assert violation.location.startswith("sample/graph/")
        assert violation.line == line
    else:
        assert str(violation).startswith(f"sample/{file}:{line}: [{rule}] ")


def test_missing_docstring_is_caught(tmp_path: Path) -> None:
    modules = sample_package(tmp_path, {"dtype.py": "x = 1\n"}, docstring="")
    locations = {violation.location for violation in RULES["docstrings"](modules)}
    assert locations == {"sample/__init__.py", "sample/dtype.py"}


ALLOWED = {
    "imports downward": {"tensor.py": "from sample.graph import node\n", "graph/node.py": ""},
    "imports within a layer": {"kernel.py": "import sample.schedule\n", "schedule.py": ""},
    "upward for types only": {
        "dtype.py": "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from sample.tensor import Tensor\n",
        "tensor.py": "from sample import dtype\n",
    },
    "backends by name": {"device.py": "import importlib\nimportlib.import_module('x')\n"},
    "a long docstring": {"dtype.py": 'def f():\n    """' + "a line\n" * 80 + '"""\n    return 1\n'},
}


@pytest.mark.parametrize("files", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_passes(files: dict[str, str], tmp_path: Path) -> None:
    modules = sample_package(tmp_path, files)
    assert [str(violation) for check in RULES.values() for violation in check(modules)] == []


def test_long_file_with_reason_passes(tmp_path: Path) -> None:
    reason = '"""A table of cases.\n\nThis file is long because it is one table.\n"""\n'
    modules = sample_package(tmp_path, {"dtype.py": "x = 1\n" * 500}, docstring=reason)
    assert not list(RULES["file-length"](modules))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("grad", 10),
        ("grad.dtype", 0),
        ("grad.utils.misc", 0),
        ("grad.utils.data", 10),
        ("grad.utils.data.loader", 10),
        ("grad.autograd.engine", 6),
        ("grad.autograd.ops", 10),
        ("grad.codegen.llvm.builder", 4),
        ("grad.elsewhere", None),
    ],
)
def test_layer_of(name: str, layer: int | None) -> None:
    assert layer_of(name) == layer
