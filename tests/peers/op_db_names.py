"""Which of our functions, methods and in-place forms answer to an entry of PyTorch's database.

An `Entry` of PyTorch's (`OpInfo`) names a function and says which other forms there are; `forms`
lists those with ours beside them, None where we have no such form.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

import grad
from grad.dtype import DType
from tests.peers.op_db_values import retold

torch = pytest.importorskip("torch")
database = pytest.importorskip("torch.testing._internal.common_methods_invocations")


class Form(NamedTuple):
    """One way to call an operator.

    Attributes:
        name: ``function``, ``method``, ``in place`` ..., or the name of an alias.
        theirs, mine: the callables; the first operand comes first. `mine` is None where it is
            missing.
        in_place: whether it changes its first operand.
    """

    name: str
    theirs: Callable[..., Any]
    mine: Callable[..., Any] | None
    in_place: bool = False


def at(path: str, root: Any = grad) -> Any:
    """What ``grad.<path>`` is, or None."""
    found = root
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def title(entry: Any) -> str:
    """The name of an entry, with that of its variant: ``nn.functional.pad-reflect``."""
    return "-".join(filter(None, (entry.name, entry.variant_test_name)))


def present(entry: Any) -> bool:
    """Whether the name of an entry is one of ours, as a function, a method or an in-place form."""
    path = entry.name
    if isinstance(at(path), DType):
        return hasattr(grad.Tensor, path)
    return bool(at(path) or at(path, grad.Tensor) or at(path + "_", grad.Tensor))


def entries() -> list[Any]:
    """The entries of the database, in its order, but for those that compute nothing real."""
    return [entry for entry in database.op_db if any(not t.is_complex for t in entry.dtypes)]


def _function(entry: Any) -> Callable[..., Any] | None:
    """Ours for the function of an entry: the same path, or the database's wrapper, retold."""
    theirs = entry.op
    if isinstance(theirs, types.FunctionType) and theirs.__module__.startswith("torch.testing"):
        return retold(theirs)
    if theirs is getattr(torch.Tensor, entry.name, None):
        return at(entry.name, grad.Tensor)
    if theirs is getattr(operator, entry.name, None):
        return theirs
    return at(entry.name)


def forms(entry: Any) -> Iterator[Form]:
    """The forms that PyTorch has of an operator."""
    yield Form("function", entry.op, _function(entry))
    yield from _methods("", entry, entry.name.rpartition(".")[2])
    if entry.operator_variant is not None:
        yield Form("operator", entry.operator_variant, entry.operator_variant)
    if entry.inplace_operator_variant is not None:
        changes = entry.inplace_operator_variant
        yield Form("operator in place", changes, changes, True)
    for alias in entry.aliases:
        path = alias.name.removeprefix("torch.")
        yield Form(f"alias {path}", alias.op, at(path))
        if "." not in path:
            yield from _methods(f"alias {path}, ", alias, path)


def _methods(prefix: str, entry: Any, name: str) -> Iterator[Form]:
    """The method and its in-place form; `name` is theirs unless PyTorch's say another."""
    if entry.method_variant is not None:
        method = getattr(entry.method_variant, "__name__", name)
        mine = at(method, grad.Tensor)
        if method == "<lambda>":
            mine = retold(entry.method_variant)
        yield Form(f"{prefix}method", entry.method_variant, mine)
    changes = entry.inplace_variant
    if changes is not None and _is_public(changes):
        method = getattr(changes, "__name__", f"{name}_")
        mine = at(method, grad.Tensor) or at(f"nn.functional.{method}")
        if method == "<lambda>":
            mine = retold(changes)
        yield Form(f"{prefix}in place", changes, mine, True)


def _is_public(changes: Any) -> bool:
    """Whether an in-place form is one of PyTorch's documented names, or a wrapper around one."""
    name = getattr(changes, "__name__", "")
    known = hasattr(torch.Tensor, name) or hasattr(torch.nn.functional, name)
    return known or name == "<lambda>"
