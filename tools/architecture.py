"""Check that the source keeps to the architecture: layers, cycles, imports, docstrings and sizes.

The package is parsed, never imported: each file becomes a `Module` with the imports found in it,
and each rule is one function from all modules to the violations it finds, listed in `RULES`. The
order to read is `LAYERS`, `Module`, the rules. tests/architecture_test.py runs them; so does
`python -m tools.architecture`, which prints a line for each violation.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# A module belongs to the row with the longest name that is the module's own or an ancestor's.
# The package itself (`grad`) is a row for its __init__ alone.
LAYERS: dict[str, int] = {
    "dtype": 0,
    "errors": 0,
    "memory_format": 0,
    "settings": 0,
    "type_limits": 0,
    "utils": 0,
    "version": 0,
    "runtime": 1,
    "buffer": 1,
    "device": 1,
    "graph": 2,
    "schedule": 3,
    "kernel": 3,
    "codegen": 4,
    "engine": 5,
    "autograd": 6,
    "ops": 7,
    "tensor": 8,
    "compile": 9,
    "func": 9,
    "utils.checkpoint": 9,
    "amp": 10,
    "nn": 10,
    "optim": 10,
    "utils.data": 10,
    "utils.tensorboard": 10,
    "distributed": 10,
    "distributions": 10,
    "array_api": 10,
    "interop": 10,
    "linalg": 10,
    "special": 10,
    "drawing": 10,
    "former_names": 10,
    "random": 10,
    "profiler": 10,
    "cuda": 10,
    "switches": 10,
    "io": 10,
    "serialization": 10,
    "testing": 10,
    "autograd.batched": 9,
    "autograd.functional": 9,
    "autograd.ops": 10,  # a façade for users: nothing in the library imports it
    "": 10,
    "as_torch": 11,
}

# Backends, optional packages, what the import hook serves and what packages open when it is first
# asked for are opened by name: the only late imports there are.
LATE_IMPORT_FILES = frozenset(
    {"device.py", "utils/late.py", "utils/optional.py", "as_torch/hook.py"}
)
LATE_IMPORT_FUNCTIONS = frozenset({"import_module", "__import__"})
LONGEST_FILE = 400
LONG_FILE_REASON = "This file is long because"
LONGEST_FUNCTION = 60
SHORTEST_DOCSTRING_WORDS = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module of the package; `at_run_time` is false under ``if TYPE_CHECKING``."""

    target: str
    line: int
    at_run_time: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file: its dotted name, where it is, and what it imports from its own package."""

    name: str
    path: Path
    location: str
    tree: ast.Module
    line_count: int
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule. Prints as ``file:line: [rule] what is wrong and what to do``."""

    location: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.location}:{self.line}: [{self.rule}] {self.message}"


Modules = dict[str, Module]


def read_package(directory: Path) -> Modules:
    """Parse every Python file under `directory`, a package, and return the modules by name.

    Raises:
        FileNotFoundError: there is no Python file.
        SyntaxError: a file does not parse.
    """
    paths = {_module_name(path, directory): path for path in sorted(directory.rglob("*.py"))}
    if not paths:
        raise FileNotFoundError(f"no Python file under {directory}")
    modules = {}
    for name, path in paths.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(path))
        modules[name] = Module(
            name=name,
            path=path,
            location=path.relative_to(directory.parent).as_posix(),
            tree=tree,
            line_count=len(text.splitlines()),
            imports=tuple(_imports(tree, name, path.name == "__init__.py", paths)),
        )
    return modules


def layer_of(module_name: str) -> int | None:
    """Return the layer of ``package.a.b``, or None when no row of `LAYERS` covers it."""
    inside = module_name.partition(".")[2]
    if not inside:
        return LAYERS[""]
    while inside:
        if inside in LAYERS:
            return LAYERS[inside]
        inside = inside.rpartition(".")[0]
    return None


def layers_rule(modules: Modules) -> Iterator[Violation]:
    """An import goes to the same layer or to a lower one; every module has a layer."""
    for module in modules.values():
        own = layer_of(module.name)
        if own is None:
            message = f"{module.name} has no layer: add a row to LAYERS in tools/architecture.py"
            yield Violation(module.location, 1, "layers", message)
            continue
        for entry in module.imports:
            other = layer_of(entry.target)
            if entry.at_run_time and other is not None and other > own:
                message = (
                    f"{module.name} (layer {own}) imports {entry.target} (layer {other}): imports "
                    f"only go down. Take what is needed as an argument, or move it down."
                )
                yield Violation(module.location, entry.line, "layers", message)


def cycles_rule(modules: Modules) -> Iterator[Violation]:
    """No module reaches itself by imports that run. Reports one cycle at a time."""
    sorter = TopologicalSorter(
        {
            module.name: {
                entry.target
                for entry in module.imports
                if entry.at_run_time and entry.target != module.name
            }
            for module in modules.values()
        }
    )
    try:
        sorter.prepare()
    except CycleError as error:
        # The cycle, the first module repeated at its end; each is imported by the next.
        cycle = list(reversed(error.args[1]))
        first = modules[cycle[0]]
        line = next(entry.line for entry in first.imports if entry.target == cycle[1])
        message = f"import cycle {' -> '.join(cycle)}: move what both need into a lower module"
        yield Violation(first.location, line, "cycles", message)


def late_imports_rule(modules: Modules) -> Iterator[Violation]:
    """No import statement inside a function; no import by name but in `LATE_IMPORT_FILES`."""
    for module in modules.values():
        for node in _inside_functions(module.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                message = "import inside a function: move it to the top of the file"
                yield Violation(module.location, node.lineno, "late-imports", message)
        if module.location.partition("/")[2] in LATE_IMPORT_FILES:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and _called_name(node) in LATE_IMPORT_FUNCTIONS:
                message = (
                    f"{_called_name(node)}() imports by name: only {module.package}/device.py may, "
                    f"to open a backend"
                )
                yield Violation(module.location, node.lineno, "late-imports", message)


def docstrings_rule(modules: Modules) -> Iterator[Violation]:
    """Every file starts with a paragraph that says its idea."""
    for module in modules.values():
        docstring = ast.get_docstring(module.tree) or ""
        if len(docstring.split()) < SHORTEST_DOCSTRING_WORDS:
            message = "no docstring: start the file with a paragraph that says its idea"
            yield Violation(module.location, 1, "docstrings", message)


def file_length_rule(modules: Modules) -> Iterator[Violation]:
    """No file over `LONGEST_FILE` lines, unless its docstring says why."""
    for module in modules.values():
        reason = LONG_FILE_REASON in " ".join((ast.get_docstring(module.tree) or "").split())
        if module.line_count > LONGEST_FILE and not reason:
            message = (
                f"{module.line_count} lines, over {LONGEST_FILE}: split it, or say "
                f'"{LONG_FILE_REASON} ..." in its docstring'
            )
            yield Violation(module.location, module.line_count, "file-length", message)


def function_length_rule(modules: Modules) -> Iterator[Violation]:
    """No function over `LONGEST_FUNCTION` lines, its docstring not counted."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, Function):
                continue
            length = _code_lines(node)
            if length > LONGEST_FUNCTION:
                message = (
                    f"{node.name}() has {length} lines of code, over {LONGEST_FUNCTION}: split it"
                )
                yield Violation(module.location, node.lineno, "function-length", message)


RULES: dict[str, Callable[[Modules], Iterator[Violation]]] = {
    "layers": layers_rule,
    "cycles": cycles_rule,
    "late-imports": late_imports_rule,
    "docstrings": docstrings_rule,
    "file-length": file_length_rule,
    "function-length": function_length_rule,
}


def _module_name(path: Path, directory: Path) -> str:
    parts = path.relative_to(directory.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(
    tree: ast.Module, name: str, is_package: bool, known: Iterable[str]
) -> Iterator[Import]:
    """Yield what the module `name` imports from its own package, wherever the statement stands."""
    for_types_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and _names_type_checking(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute_base(node, name, is_package)
            # `from a import b` imports the module a.b where there is one, else a name out of a.
            targets = [
                member if (member := f"{base}.{alias.name}") in known else base
                for alias in node.names
            ]
        else:
            continue
        package = name.partition(".")[0]
        for target in dict.fromkeys(targets):
            if target.partition(".")[0] == package:
                yield Import(target, node.lineno, at_run_time=node not in for_types_only)


def _absolute_base(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = name.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _names_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _inside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node that stands inside some function, once."""
    seen: set[ast.AST] = set()
    for function in ast.walk(tree):
        if isinstance(function, Function):
            for node in ast.walk(function):
                if node is not function and node not in seen:
                    seen.add(node)
                    yield node


def _called_name(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return getattr(call.func, "id", None)


def _code_lines(function: Function) -> int:
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def main() -> int:
    modules = read_package(Path(__file__).resolve().parent.parent / "grad")
    violations = [violation for rule in RULES.values() for violation in rule(modules)]
    for violation in violations:
        print(violation)
    print(f"{len(modules)} modules, {len(violations)} violations")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
