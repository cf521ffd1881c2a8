"""Write the types of what the registry binds: grad/tensor.pyi and grad/__init__.pyi.

Methods and functions of operations are bound by a loop, so a type checker cannot see them. This
tool writes them down: ``python -m tools.stubs`` writes the files, ``--check`` says whether they are
up to date. What is in tensor.py and __init__.py by hand is taken from their source.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grad
from grad.ops.creators import CREATORS
from grad.ops.facts import FLAGS
from grad.ops.registry import Op, registry
from grad.tensor import CASTS

PACKAGE = Path(grad.__file__).parent
HEADER = """\
# Written by `python -m tools.stubs` from the registry of operations; do not edit.
# ruff: noqa
"""
IMPORTS = """\
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
"""
# Names that a signature may use as they are; others are local aliases and become Any.
KNOWN = {"int", "float", "bool", "str", "None", "tuple", "list", "dict", "Any", "Sequence"}
# Functions of `ops`, which knows no Tensor, that give one.
FROM_MEMORY = ("from_numpy", "from_dlpack")
# What the methods of the class body would shadow: `def float` makes the name `float` mean that.
SHADOWED = {"int": "_int", "float": "_float", "bool": "_bool"}


# -- signatures ------------------------------------------------------------------------------------
def type_text(annotation: Any) -> str:
    """An annotation for the stub: known names only."""
    if annotation is inspect.Parameter.empty:
        return "Any"
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")
    if not set(re.findall(r"[A-Za-z_]\w*", text)) <= KNOWN:
        return "Any"
    return re.sub(r"\b(int|float|bool)\b", lambda found: SHADOWED[found[0]], text)


def result_text(definition: Any) -> str:
    """The type of a result: a tensor, unless the annotation says something plainer."""
    text = str(inspect.signature(definition).return_annotation)
    if text.startswith("tuple"):
        return "tuple[Tensor, ...]"
    if text.startswith("Any | "):  # it depends on the arguments; see `overloads`
        return "Any"
    if _named_tuple(definition):
        return text
    return SHADOWED.get(text, "None" if text == "None" else "Tensor")


def _named_tuple(definition: Any) -> Any:
    """The class of named tuples that the annotation says is the result, maybe; None without one."""
    text = str(inspect.signature(definition).return_annotation).removeprefix("Any | ")
    found = getattr(inspect.getmodule(inspect.unwrap(definition)), text, None)
    return found if isinstance(found, type) and hasattr(found, "_fields") else None


def named_tuples() -> list[str]:
    """The named tuples that operations give, with tensors in them."""
    found = {
        kind.__name__: kind
        for kind in (_named_tuple(row.definition.forward) for row in registry())
        if kind is not None
    }
    return [
        f"class {name}(NamedTuple):\n" + "".join(f"    {field}: Tensor\n" for field in kind._fields)
        for name, kind in sorted(found.items())
    ]


def overloads(row: Op, name: str, first: str, doc: str) -> list[str]:
    """Both forms of what gives a tensor, or a named tuple along `dim`; [] for other operations."""
    kind, result = _named_tuple(row.definition.forward), result_text(row.definition.forward)
    if kind is None or result != "Any":
        return []
    forms = [
        ([first, "dim: _int", "keepdim: _bool = ..."], kind.__name__),
        ([first, "*", "axis: _int", "keepdims: _bool = ..."], kind.__name__),
        ([first], "Tensor"),
    ]
    if any(p.name == "dim" and type_text(p.annotation) == "Any" for p in row.parameters):
        forms[-1][0].extend(["other: Tensor = ...", "/"])  # of two tensors
    return ["@overload\n" + definition(name, takes, gives, doc) for takes, gives in forms]


def parameter_texts(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """Each parameter as it is written in a definition."""
    texts: list[str] = []
    keyword_only = False
    for parameter in parameters:
        kind = parameter.kind
        if kind is parameter.VAR_POSITIONAL:
            keyword_only = True
        elif kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            texts.append("*")
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(kind, "")
        default = "" if parameter.default is parameter.empty else " = ..."
        texts.append(f"{prefix}{parameter.name}: {type_text(parameter.annotation)}{default}")
    return texts


def definition(name: str, parameters: Iterable[str], result: str, doc: str = "") -> str:
    """One ``def`` of a stub, with the first sentence of its documentation."""
    head = f"def {name}({', '.join(parameters)}) -> {result}:"
    summary = " ".join(doc.split("\n\n")[0].split()).replace("\\", "\\\\").replace('"""', "'''")
    return f'{head}\n    """{summary}"""' if summary else f"{head} ..."


def op_method(row: Op, name: str, doc: str) -> str:
    forms = overloads(row, name, "self", doc)
    if forms:
        return "\n".join(forms)
    parameters = ["self", *parameter_texts(row.parameters[1:])]
    # Axes and keepdim have NumPy's names too.
    if any(p.name in ("dim", "keepdim") for p in row.parameters):
        parameters += [] if any(p.startswith("**") for p in parameters) else ["**numpy_names: Any"]
    return definition(name, parameters, result_text(row.definition.forward), doc)


# -- tensor.pyi ------------------------------------------------------------------------------------
def op_methods(row: Op) -> Iterable[str]:
    """The methods and operators of one row."""
    names = (row.method, *row.aliases) if row.method else ()
    for name in names:
        yield op_method(row, name, row.doc)
        if row.inplace:
            yield op_method(row, f"{name}_", f"`{row.name}` in place.")
    operand = [] if row.operator and len(row.parameters) == 1 else ["other: Any"]
    for name in (row.operator, row.reflected, row.inplace_operator):
        if name and name not in names:
            override = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
            yield definition(name, ["self", *operand], "Tensor") + override


def written_members() -> tuple[list[str], set[str]]:
    """The members of the class in tensor.py, without their bodies, and their names."""
    tree = ast.parse((PACKAGE / "tensor.py").read_text())
    (body,) = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Tensor"]
    texts, names = [], set()
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
            keep_doc = ast.get_docstring(node) is not None
            node.body = [node.body[0]] if keep_doc else [ast.Expr(ast.Constant(...))]
            texts.append(_shadow_types(ast.unparse(node)))
        elif isinstance(node, ast.Assign):
            texts.append(ast.unparse(node))
    return texts, names


def _shadow_types(text: str) -> str:
    head, colon, rest = text.partition(":\n")
    return re.sub(r"\b(int|float|bool)\b", lambda f: SHADOWED[f[0]], head) + colon + rest


def creator_text(name: str, create: Callable[..., Any]) -> str:
    parameters = parameter_texts(inspect.signature(create).parameters.values())
    return definition(name, parameters, "Tensor", inspect.getdoc(create) or "")


def tensor_stub() -> str:
    members, names = written_members()
    for row in registry():
        members += [text for text in op_methods(row) if _name_of(text) not in names]
    members += [definition(name, ["self"], "Tensor") for name in CASTS]
    for name, create in CREATORS.items():
        if name not in ("tensor", "as_tensor"):
            members.append("@staticmethod\n" + creator_text(name, create))
    for name in FROM_MEMORY:
        members.append("@staticmethod\n" + definition(name, ["source: Any"], "Tensor"))
    members += [f"@property\n{definition(name, ['self'], 'Tensor')}" for name in ("T", "mT")]
    members += [f"@property\n{definition(name, ['self'], '_bool')}" for name in FLAGS]
    body = textwrap.indent("\n".join(members), "    ")
    imports = (
        "from grad.autograd.function import RemovableHook\n"
        "from grad.autograd.variable import Variable\n"
        "from grad.device import Device\nfrom grad.dtype import DType\n"
        "from grad.memory_format import MemoryLayout\n"
    )
    return (
        f"{HEADER}{IMPORTS}\n{imports}\nclass Tensor(Variable):\n"
        f"    _shape: tuple[_int, ...]\n    dtype: DType\n{body}\n\n"
        + "\n".join(named_tuples())
        + f"\n\ndef bind_all() -> None: ...\n{creator_text('tensor', CREATORS['tensor'])}\n"
        f"CASTS: dict[str, DType]\n"
    )


def _name_of(text: str) -> str:
    found = re.search(r"def (\w+)", text)
    return found[1] if found else ""


# -- __init__.pyi ----------------------------------------------------------------------------------
def package_stub() -> str:
    """What grad/__init__.py imports, at once or late, and assigns, and the functions it binds."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    texts = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            shown = [(a.name, a.asname or a.name) for a in node.names if a.name not in FROM_MEMORY]
            public = [(name, known) for name, known in shown if not known.startswith("_")]
            # A stub shows what is imported by its own name only.
            names = [f"{n} as {n if n == known else '_' + known}" for n, known in public]
            if names:
                texts.append(f"from {node.module} import {', '.join(names)}")
            texts += [f"{known} = _{known}" for name, known in public if name != known]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Name):
            texts += [f"{target.id} = {ast.unparse(node.value)}" for target in _names(node.targets)]
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            node.body = [node.body[0]]
            texts.append(_shadow_types(ast.unparse(node)))
    for name, place in vars(grad)["LATE"].items():
        module, _, member = place.rpartition(":" if ":" in place else ".")
        texts.append(f"from {module} import {member} as {name}")
    kinds = sorted(set(re.findall(r"class (\w+)", "\n".join(named_tuples()))))
    texts.append(f"from grad.tensor import {', '.join(kinds)}")
    texts += [definition(name, ["source: Any"], "Tensor") for name in FROM_MEMORY]
    for name, create in CREATORS.items():
        texts.append(creator_text(name, create))
    for row in registry():
        if row.function is not None and not row.function.startswith("special_"):
            parameters = parameter_texts(row.parameters)
            if any(p.name in ("dim", "keepdim") for p in row.parameters):
                parameters.append("**numpy_names: Any")
            result = result_text(row.definition.forward)
            for name in (row.function, *row.aliases):
                forms = overloads(row, name, "input: Tensor", row.doc)
                texts += forms or [definition(name, parameters, result, row.doc)]
    texts += [
        definition(name, ["input: Tensor", "*arguments: Any", "**options: Any"], "Tensor")
        for name in grad.__all__
        if name.endswith("_") and not any(f"def {name}(" in text for text in texts)
    ]
    plain = "newaxis: None\n__version__: str\n__all__: list[str]\n"
    return f"{HEADER}{IMPORTS}\n{plain}\n" + "\n".join(texts) + "\n"


def _names(targets: Iterable[ast.expr]) -> Iterable[ast.Name]:
    return [t for t in targets if isinstance(t, ast.Name) and not t.id.startswith("_")]


STUBS = {"tensor.pyi": tensor_stub, "__init__.pyi": package_stub}


def formatted(text: str) -> str:
    """`text` in the project's format, where ruff is installed."""
    if importlib.util.find_spec("ruff") is None:
        return text
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "stub.pyi", "-"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout


def meaning(text: str) -> str:
    """What a stub says, however it is laid out."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = " ".join(node.value.split())
    return ast.dump(tree)


def outdated() -> list[str]:
    """The stubs that say something else than the registry does; their format does not count."""
    found = []
    for name, make in STUBS.items():
        path = PACKAGE / name
        if not path.exists() or meaning(path.read_text()) != meaning(make()):
            found.append(f"grad/{name}")
    return found


def main(arguments: list[str]) -> int:
    """Write the stubs; with ``--check``, only report those that are out of date, and return 1."""
    if "--check" in arguments:
        found = outdated()
        for name in found:
            print(f"{name} is out of date; run `python -m tools.stubs`")
        return 1 if found else 0
    for name, make in STUBS.items():
        (PACKAGE / name).write_text(formatted(make()))
        print(f"grad/{name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
