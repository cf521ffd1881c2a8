"""PyTorch's values as ours, and whether two results are the same.

`ours` translates the operands of a sample, `retold` the functions that come with it; `difference`
says in words how two results differ, or None. `op_db_checks.py` calls all of them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

Array = np.ndarray[Any, Any]


Raised = type[BaseException] | None


def error_difference(expected: Raised, found: Raised) -> str | None:
    """How the type that we raised is not the expected one, if it is not; none may be expected."""
    if expected is None or (found is not None and issubclass(found, expected)):
        return None
    return f"raises {found}, not {expected}"


class NotComparable(Exception):
    """The sample holds, or gives, something that this library does not have by design."""


_NAMES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64"
DTYPES = {getattr(torch, name): getattr(grad, name) for name in _NAMES.split()}

# Relative and absolute. Two implementations of one formula round differently, so these are a few
# times wider than the roundings of each type.
TOLERANCE = {
    torch.float64: (1e-7, 1e-7),
    torch.float32: (1e-4, 2e-5),
    torch.float16: (4e-3, 4e-3),
    torch.bfloat16: (3e-2, 3e-2),
}


# -- from PyTorch's to ours ------------------------------------------------------------------------
def ours(value: Any) -> Any:
    """A tensor, or whatever holds tensors, of PyTorch as the same of ours."""
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise NotComparable(f"{value}")
        return DTYPES[value]
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.device):
        return value.type
    if isinstance(value, complex | torch.layout | torch.memory_format | torch.Generator):
        raise NotComparable(type(value).__name__)
    if isinstance(value, list):
        return [ours(item) for item in value]
    if type(value) is tuple:
        return tuple(ours(item) for item in value)
    if isinstance(value, dict):
        return {key: ours(item) for key, item in value.items()}
    if isinstance(value, types.FunctionType):
        return retold(value)
    if isinstance(value, torch.nn.Module):
        raise NotComparable("a module as an argument")
    return value


def _tensor(theirs: Any) -> Any:
    """A tensor with the values, the strides and the wish for a gradient of PyTorch's."""
    if theirs.layout is not torch.strided or theirs.dtype not in DTYPES or theirs.is_conj():
        raise NotComparable(f"a tensor of {theirs.dtype}, {theirs.layout}")
    if theirs.is_meta:
        raise NotComparable("a tensor without values")
    if theirs.dim() > 64:
        raise NotComparable("more axes than NumPy has")
    shown = theirs.detach()
    stored = shown.untyped_storage().nbytes() // shown.element_size()
    if stored < shown.numel() and shown.is_contiguous():
        raise NotComparable("a tensor without memory")
    if shown.is_contiguous() and stored == shown.numel():
        made = grad.tensor(_array(shown).copy()).to(DTYPES[shown.dtype])
    else:
        memory = _array(shown.as_strided((stored,), (1,), 0)).copy()
        flat = grad.tensor(memory).to(DTYPES[shown.dtype])
        made = flat.as_strided(tuple(shown.shape), shown.stride(), shown.storage_offset())
    return made.detach().requires_grad_() if theirs.requires_grad else made


def retold(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, which speaks of ``torch``, as one that speaks of ``grad``.

    The database wraps operators in functions of its own (``lambda x, n: torch.polygamma(n, x)``)
    and has others that make results unique (``lambda x: x.abs()``). They do the same to ours when
    the names in them mean ours.
    """
    if not isinstance(function, types.FunctionType):
        return function
    names = dict(function.__globals__)
    names |= {"torch": grad, "wrapper_set_seed": lambda f, *args, **kwargs: f(*args, **kwargs)}
    changed = types.FunctionType(
        function.__code__,
        names,
        function.__name__,
        function.__defaults__,
        tuple(map(_retold_cell, function.__closure__ or ())) or None,
    )
    changed.__kwdefaults__ = function.__kwdefaults__
    return changed


def _retold_cell(cell: Any) -> Any:
    held = cell.cell_contents
    return types.CellType(retold(held)) if isinstance(held, types.FunctionType) else cell


# -- results ---------------------------------------------------------------------------------------
def tensors_in(value: Any) -> Iterator[Any]:
    """The tensors of either library in `value`, from left to right."""
    if isinstance(value, torch.Tensor | grad.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def _array(value: Any) -> Array:
    """The values of a tensor of either library; bfloat16 as float32, which NumPy knows."""
    value = value.detach()
    if value.dtype in (torch.bfloat16, grad.bfloat16):
        value = value.float()
    if isinstance(value, torch.Tensor):
        return np.asarray(value.numpy(force=True))  # lazily negated and zero tensors, too
    return np.asarray(value.numpy())


def difference(
    mine: Any, theirs: Any, exact: Callable[[], Any] = lambda: None, slack: float = 1
) -> str | None:
    """How `mine`, of ours, differs from `theirs`, of PyTorch's; None if it does not.

    Numbers that differ still pass where ours is as near as PyTorch's to ``exact()``, the result in
    float64. `slack` widens the tolerance of the types under float64.
    """
    if isinstance(theirs, torch.Tensor):
        if not isinstance(mine, grad.Tensor):
            return f"a {type(mine).__name__}, not a tensor"
        return _tensors_differ(mine, theirs, exact, slack)
    if isinstance(theirs, list | tuple):
        if not isinstance(mine, list | tuple) or len(mine) != len(theirs):
            return f"structure: {_outline(mine)}, not {_outline(theirs)}"
        absent = [name for name in _fields(theirs) if not hasattr(mine, name)]
        if absent:
            return f"structure: no field {', '.join(absent)}"
        for position, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            found = difference(a, b, lambda n=position: _item(exact(), n), slack)
            if found:
                return found
        return None
    if isinstance(theirs, torch.dtype):
        return None if mine is DTYPES.get(theirs) else f"type: {mine}, not {theirs}"
    if isinstance(theirs, complex):
        raise NotComparable("a complex number")
    same = mine == theirs or (mine != mine and theirs != theirs)
    return None if same else f"values: {mine!r}, not {theirs!r}"


def _item(value: Any, position: int) -> Any:
    return None if value is None else value[position]


def _fields(value: Any) -> list[str]:
    """The names of the fields of a named tuple, one of Python's or of PyTorch's."""
    if hasattr(value, "_fields"):
        return list(value._fields)
    return list(getattr(type(value), "__match_args__", ()))


def _outline(value: Any) -> str:
    return f"{len(value)} results" if isinstance(value, list | tuple) else type(value).__name__


def _tensors_differ(mine: Any, theirs: Any, exact: Callable[[], Any], slack: float) -> str | None:
    if theirs.dtype not in DTYPES or theirs.layout is not torch.strided:
        raise NotComparable(f"a result of {theirs.dtype}, {theirs.layout}")
    if tuple(mine.shape) != tuple(theirs.shape):
        return f"shape: {tuple(mine.shape)}, not {tuple(theirs.shape)}"
    if mine.dtype is not DTYPES[theirs.dtype]:
        return f"type: {mine.dtype}, not {theirs.dtype}"
    found, expected = _array(mine), _array(theirs)
    factor = 1 if theirs.dtype is torch.float64 else slack
    relative, absolute = (factor * limit for limit in TOLERANCE.get(theirs.dtype, (0, 0)))
    if _close(found, expected, relative, absolute).all():
        return None
    best = exact() if theirs.dtype in TOLERANCE and theirs.dtype is not torch.float64 else None
    if isinstance(best, torch.Tensor) and best.shape == theirs.shape:
        best = _array(best)
        with np.errstate(all="ignore"):
            allowed = np.abs(expected.astype(np.float64) - best) + relative * np.abs(best)
            near = np.abs(found.astype(np.float64) - best) <= allowed + absolute
        if (near | _close(found, expected, relative, absolute)).all():
            return None
    wrong = ~_close(found, expected, relative, absolute)
    return f"values: {found[wrong][:4]}, not {expected[wrong][:4]}"


def _close(found: Array, expected: Array, relative: float, absolute: float) -> Array:
    if expected.dtype.kind != "f":
        return found == expected
    with np.errstate(all="ignore"):
        return np.isclose(
            found.astype(np.float64),
            expected.astype(np.float64),
            rtol=relative,
            atol=absolute,
            equal_nan=True,
        )
