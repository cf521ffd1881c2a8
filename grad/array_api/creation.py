"""New arrays: from data of any origin, or by a rule.

The rules are PyTorch's functions under the standard's arguments. `asarray` and `from_dlpack` share
memory where they can, unless they are asked to copy.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.array_api.operands import require_tensor
from grad.device import check_device
from grad.dtype import DType, as_dtype, default_dtype, dtypes
from grad.errors import ArgumentError, DTypeError
from grad.ops import convert
from grad.ops.creators import CREATORS
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

Size = int | tuple[int, ...]


def asarray(
    obj: Any,
    /,
    *,
    dtype: DType | None = None,
    device: Any = None,
    copy: bool | None = None,
) -> Tensor:
    """`obj` as an array: a tensor, a number, nested sequences of numbers, a buffer, or what has
    ``__dlpack__``.

    Args:
        copy: whether to copy; None does so only where memory cannot be shared, and a tensor that
            has the type comes back itself.

    Raises:
        ArgumentError: `copy` is False, and memory cannot be shared. It is a ValueError.
        DTypeError: the elements are no real numbers, or do not fit `dtype`.
    """
    check_device(device)
    wanted = None if dtype is None else as_dtype(dtype)
    source = _lent(obj, copy)
    if source is None:
        if copy is False:
            raise _needs_copy(f"of a {type(obj).__name__}")
        _refuse_complex(obj)
        return CREATORS["tensor"](obj, dtype=wanted)
    if wanted not in (None, source.dtype):
        if copy is False:
            raise _needs_copy(f"of {source.dtype.name} as {wanted.name}")  # type: ignore[union-attr]
        return source.to(wanted)
    return source.clone() if copy else source


def _lent(obj: Any, copy: bool | None) -> Tensor | None:
    """A tensor on the memory of `obj`, or None where there is none to share."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, memoryview | array.array | bytearray | bytes):
        obj = np.asarray(obj if not isinstance(obj, bytes) else memoryview(obj))
    if isinstance(obj, np.ndarray):
        if not obj.flags.writeable:
            if copy is False:
                raise _needs_copy("of memory that must not be written to")
            obj = obj.copy()
        return convert.from_numpy(obj)
    if not isinstance(obj, np.generic) and hasattr(obj, "__dlpack__"):
        return convert.from_dlpack(obj)
    return None


def _refuse_complex(obj: Any) -> None:
    if isinstance(obj, complex | np.complexfloating):
        raise DTypeError("asarray: there are no complex tensors; use two real ones.")


def _needs_copy(what: str) -> ArgumentError:
    return ArgumentError(f"an array {what} needs a copy, and copy=False was given; use copy=None.")


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of `x`, which has ``__dlpack__``; on a copy of it if `copy`.

    Raises:
        AttributeError: `x` has no ``__dlpack__``.
    """
    check_device(device)
    if not hasattr(x, "__dlpack__"):
        raise AttributeError(f"a {type(x).__name__} has no __dlpack__; use asarray.")
    shared = convert.from_dlpack(x)
    return shared.clone() if copy else shared


def arange(
    start: int | float,
    /,
    stop: int | float | None = None,
    step: int | float = 1,
    *,
    dtype: DType | None = None,
    device: Any = None,
) -> Tensor:
    """`start`, `start + step` ... before `stop`; ``arange(stop)`` starts from 0.

    Empty where `step` leads away from `stop`.
    """
    first, last = (0, start) if stop is None else (start, stop)
    if step != 0 and (last - first) * step < 0:
        last = first
    return CREATORS["arange"](first, last, step, dtype=dtype, device=device)


def linspace(
    start: int | float,
    stop: int | float,
    /,
    num: int,
    *,
    dtype: DType | None = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers from `start` to `stop`, equally far apart; without `stop` itself unless
    `endpoint`.
    """
    if endpoint:
        return CREATORS["linspace"](start, stop, num, dtype=dtype, device=device)
    return CREATORS["linspace"](start, stop, num + 1, dtype=dtype, device=device)[:num]


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DType | None = None,
    device: Any = None,
) -> Tensor:
    """A matrix with ones on its `k`-th diagonal, counted upwards, and zeros elsewhere."""
    columns = n_rows if n_cols is None else n_cols
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    row = CREATORS["arange"](n_rows, dtype=dtypes.int64, device=device).reshape(n_rows, 1)
    return (CREATORS["arange"](columns, dtype=dtypes.int64) == row + k).to(wanted)


def full(
    shape: Size,
    fill_value: int | float | bool,
    *,
    dtype: DType | None = None,
    device: Any = None,
) -> Tensor:
    """An array of `shape` that holds `fill_value` everywhere, of its type unless `dtype` is
    given.
    """
    _refuse_complex(fill_value)
    return CREATORS["full"](shape, fill_value, dtype=dtype, device=device)


def full_like(
    x: Tensor,
    /,
    fill_value: int | float | bool,
    *,
    dtype: DType | None = None,
    device: Any = None,
) -> Tensor:
    """An array of the shape and type of `x` that holds `fill_value` everywhere."""
    like = require_tensor("full_like", x)
    return full(like.shape, fill_value, dtype=dtype or like.dtype, device=device)


def _by_size(name: str) -> Callable[..., Tensor]:
    create = CREATORS[name]

    def function(shape: Size, *, dtype: DType | None = None, device: Any = None) -> Tensor:
        return create(shape, dtype=dtype, device=device)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = create.__doc__
    return function


def _like(name: str) -> Callable[..., Tensor]:
    create = CREATORS[name]

    def function(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
        return create(require_tensor(name, x), dtype=dtype, device=device)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (create.__doc__ or "").replace("`input`", "`x`")
    return function


empty, empty_like = _by_size("empty"), _like("empty_like")
ones, ones_like = _by_size("ones"), _like("ones_like")
zeros, zeros_like = _by_size("zeros"), _like("zeros_like")


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid, an array for each of `arrays`, which are vectors of one type.

    Args:
        indexing: "xy" has the first one along the second axis, "ij" all in their order.
    """
    if not arrays:
        return []
    vectors = [require_tensor("meshgrid", array) for array in arrays]
    return list(REGISTRY["meshgrid"].call(*vectors, indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """`x` with zeros above the `k`-th diagonal of its last two axes."""
    return require_tensor("tril", x).tril(k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """`x` with zeros below the `k`-th diagonal of its last two axes."""
    return require_tensor("triu", x).triu(k)
