"""Modules as functions of their parameters: `functional_call` and `stack_module_state`.

Modules are known by PyTorch's interface only (`named_parameters`, `_parameters` ...), so that this
file stays below `grad.nn`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from grad.errors import ArgumentError
from grad.ops.join import Stack

TABLES = ("_parameters", "_buffers")
_ABSENT = object()


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with other parameters and buffers, as
    ``torch.func.functional_call``.

    Args:
        parameter_and_buffer_dicts: tensors by name, or several such dictionaries. What is not named
            is the module's own; names that it does not have are attributes during the call.
        args: a tuple of arguments; anything else is the one argument.
        tie_weights: a tensor that the module has under several names is replaced under all.
        strict: all names must be given, and no others.

    Raises:
        ValueError: the dictionaries have a name in common, or are none.
        RuntimeError: unknown names under `strict`.

    Example:
        >>> import grad
        >>> layer = grad.nn.Linear(2, 1, bias=False)
        >>> grad.func.functional_call(layer, {"weight": grad.ones(1, 2)}, grad.tensor([1.0, 2.0]))
        tensor([3.])
    """
    given = _joined(parameter_and_buffer_dicts)
    own = {**dict(_named(module, "_parameters")), **dict(_named(module, "_buffers"))}
    unknown = [name for name in given if name not in own]
    missing = [name for name in own if name not in given]
    if strict and (unknown or missing):
        raise ArgumentError(
            f"Error(s) in loading parameters: missing keys {missing}, unexpected keys {unknown}."
        )
    values = dict(given)
    if tie_weights:
        values.update(_tied(own, given))
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, values):
        return module(*positional, **(kwargs or {}))


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of several modules of one class, each stacked, as
    ``torch.func.stack_module_state``: for `functional_call` under `vmap`.

    Returns:
        Two dictionaries by name; the parameters are new leaves that require a gradient as the
        modules' own do.

    Raises:
        RuntimeError: there are no models, of different classes, or in different modes.

    Example:
        >>> import grad
        >>> parameters, buffers = grad.func.stack_module_state([grad.nn.Linear(2, 3)] * 4)
        >>> parameters["weight"].shape
        torch.Size([4, 3, 2])
    """
    models = list(models)
    if not models:
        raise ArgumentError("stack_module_state: Expected at least one model, got 0.")
    if len({model.training for model in models}) > 1:
        raise ArgumentError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(model) for model in models}) > 1:
        raise ArgumentError(
            "stack_module_state: Expected all models to be of the same class, got "
            f"{sorted({type(model).__name__ for model in models})}."
        )
    return _stacked([dict(model.named_parameters()) for model in models]), _stacked(
        [dict(model.named_buffers()) for model in models]
    )


def _stacked(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, first in states[0].items():
        whole = Stack.forward([state[name].detach() for state in states]).detach()
        found[name] = whole.requires_grad_(True) if first.requires_grad else whole
    return found


def _joined(dicts: Any) -> dict[str, Any]:
    if isinstance(dicts, Mapping):
        return dict(dicts)
    if not isinstance(dicts, Sequence):
        raise ArgumentError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dicts)}"
        )
    if not all(isinstance(part, Mapping) for part in dicts):
        raise ArgumentError(
            "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
        )
    names = [name for part in dicts for name in part]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ArgumentError(
            f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
            f"ambiguous"
        )
    return {name: value for part in dicts for name, value in part.items()}


def _named(module: Any, table: str) -> Iterator[tuple[str, Any]]:
    """All entries of a table, under each name that they have."""
    for path, inner in module.named_modules(remove_duplicate=False):
        for name, value in inner.__dict__[table].items():
            if value is not None:
                yield f"{path}.{name}" if path else name, value


def _tied(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for the other names of tensors that are given under one."""
    names: dict[int, list[str]] = {}
    for name, value in own.items():
        names.setdefault(id(value), []).append(name)
    found = {}
    for group in names.values():
        values = {id(given[name]): given[name] for name in group if name in given}
        if len(group) > 1 and len(values) > 1:
            raise ArgumentError(
                f"functional_call got multiple values for keys {group}, which are tied. Consider "
                f"using tie_weights=False"
            )
        for value in values.values():
            found.update(dict.fromkeys(group, value))
    return found


@contextmanager
def _replaced(module: Any, values: Mapping[str, Any]) -> Iterator[None]:
    """Inside, `module` has these tensors under these names."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for name, value in values.items():
            owner, _, last = name.rpartition(".")
            tables = module.get_submodule(owner).__dict__
            known = [tables[table] for table in TABLES if last in tables[table]]
            table = known[0] if known else tables["_buffers"]
            before.append((table, last, table.get(last, _ABSENT)))
            table[last] = value
        yield
    finally:
        for table, name, value in reversed(before):
            table[name] = value
            if value is _ABSENT:
                del table[name]
