"""New tensors: from data, or from a rule (`zeros`, `arange`, `eye` ...).

Rules are graph nodes and cost no memory until somebody reads or writes them. `node_of_data` turns
anything a user may pass as data into a node. `creators.py` lists the functions; random numbers are
in `random.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.device import check_device
from grad.dtype import DType, as_dtype, default_dtype, dtypes
from grad.errors import DTypeError, ShapeError, a_kind_of
from grad.graph.arrays import node_of
from grad.graph.movement import Shape
from grad.graph.node import Node, argument, cast, constant, expand, iota, pointwise, reshape
from grad.graph.primitives import ADD, EQ, LT, MUL, SUB, WHERE
from grad.ops.creators import creator
from grad.ops.promotion import element, require_tensors

Size = Any
# No address space holds more.
MAX_BYTES = 1 << 56


# -- arguments -------------------------------------------------------------------------------------
def checked_shape(name: str, size: Sequence[Any], dtype: DType) -> Shape:
    """The sizes meant by ``f(2, 3)`` or ``f((2, 3))``, none negative, their bytes addressable."""
    if len(size) == 1 and isinstance(size[0], Sequence) and not isinstance(size[0], str):
        size = size[0]
    try:
        shape = tuple([number.__index__() for number in size])
    except AttributeError:
        found = ", ".join(type(number).__name__ for number in size)
        raise DTypeError(f"{name}: sizes must be ints, got {found}.") from None
    if any(number < 0 for number in shape):
        raise ShapeError(f"{name}: sizes cannot be negative, got {shape}.")
    if math.prod(shape) * dtype.itemsize >= MAX_BYTES:
        raise ShapeError(
            f"{name}: a tensor of shape {shape} and type {dtype.name} would have "
            f"{math.prod(shape) * dtype.itemsize} bytes, more than any memory; use smaller sizes."
        )
    return shape


def finished(node: Node, requires_grad: bool = False, device: Any = None) -> Any:
    """`node` as a new leaf tensor."""
    check_device(device)
    tensor = Variable._wrap(node)
    if requires_grad:
        tensor.requires_grad_()
    return tensor


def filled(value: Any, shape: Shape, dtype: DType) -> Node:
    """`value` everywhere."""
    return expand(constant(value, dtype), shape)


# -- data ------------------------------------------------------------------------------------------
def node_of_data(data: Any, dtype: DType | None) -> Node:
    """`data` (numbers, nested lists, arrays, tensors) as a node of `dtype` (None: inferred).

    Raises:
        ShapeError: a nested list is ragged. DTypeError: it holds something that is no number.
    """
    if isinstance(data, Variable):
        # A fresh copy: whoever writes to it does not write to `data`.
        return cast(data.node, dtype or data.dtype)
    if isinstance(data, np.ndarray | np.generic):  # first: a np.float64 is a float, too
        array = np.asarray(data)
        dtype = dtype or as_dtype(array.dtype)
    elif isinstance(data, bool | int | float):
        array = _array(data, data, dtype)
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        array = _array(_plain(data), data, dtype)
    elif hasattr(data, "__array__") or hasattr(data, "__dlpack__"):
        array = np.asarray(data)
    else:
        raise DTypeError(
            f"a tensor cannot be made of {a_kind_of(data)}; pass numbers, nested lists of "
            f"numbers, a NumPy array or a tensor."
        )
    if dtype is None:
        dtype = _inferred(array, data)
    if array.dtype.kind not in "biufV":
        raise DTypeError(f"a tensor cannot hold elements of type {array.dtype}; pass numbers.")
    with np.errstate(all="ignore"):
        return node_of(array, dtype)


def _inferred(array: np.ndarray[Any, Any], data: Any) -> DType:
    # A list of arrays, tensors or NumPy's scalars has their type, which its first one shows.
    while isinstance(data, list | tuple) and data:
        data = data[0]
    if isinstance(data, Variable):
        return data.dtype
    if isinstance(data, np.ndarray | np.generic):
        return as_dtype(data.dtype)
    if array.size == 0 and array.dtype == np.float64:
        return default_dtype()
    return {"b": dtypes.bool, "i": dtypes.int64, "u": dtypes.int64}.get(
        array.dtype.kind, default_dtype()
    )


def _plain(data: Any) -> Any:
    """Nested sequences with tensors and arrays in them as nested lists."""
    if isinstance(data, Variable):
        return data.tolist()
    if isinstance(data, np.ndarray):
        return data.tolist()
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [
            entry if type(entry) is float or type(entry) is int else _plain(entry) for entry in data
        ]
    return data


def _array(plain: Any, data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """Numbers as an array; of `dtype` at once for integers, so that one too large is an error."""
    try:
        array = np.asarray(plain)
    except ValueError:
        raise ShapeError(
            f"the nested list is ragged: {_ragged(data)}. All lists of one level must be equally "
            "long."
        ) from None
    if array.dtype.kind == "O":
        raise _not_numbers(plain)
    if array.dtype.kind in "USM":
        raise DTypeError("a tensor cannot be made of strings; convert them to numbers first.")
    if dtype is not None and dtype.kind in "iu" and array.dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype.numpy)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise DTypeError(
                f"{low if low < limits.min else high} does not fit {dtype.name} ({limits.min} to "
                f"{limits.max}); use a larger dtype."
            )
    if array.dtype == np.float64 and array.size and (dtype is None or dtype.kind in "iu"):
        # NumPy makes floats of whole numbers that no type of its holds all of.
        largest = np.abs(array).max()
        if largest >= 2**63 and not any(map(_is_fraction, _leaves(plain))):
            raise DTypeError(f"{int(largest)} beside negative numbers fits no type; use floats.")
    if dtype is None and array.dtype == np.uint64:
        raise DTypeError(f"{int(array.max())} does not fit int64; pass dtype=dtypes.uint64.")
    return array


def _is_fraction(entry: Any) -> bool:
    return isinstance(entry, float | np.floating)


def _leaves(plain: Any) -> Iterator[Any]:
    """What nested lists hold, in order."""
    stack = [plain]
    while stack:
        entry = stack.pop()
        if isinstance(entry, list):
            stack.extend(reversed(entry))
        else:
            yield entry


def _not_numbers(plain: Any) -> Exception:
    for entry in _leaves(plain):
        if isinstance(entry, int) and not isinstance(entry, bool):
            if not -(2**63) <= entry < 2**64:
                return DTypeError(f"{entry} does not fit any integer type; use a float.")
        elif not isinstance(entry, bool | float | np.generic):
            return DTypeError(
                f"a tensor cannot hold {a_kind_of(entry)}; pass numbers, nested lists of "
                f"numbers, a NumPy array or a tensor."
            )
    return DTypeError("the numbers have no common type; pass a NumPy array.")


def _ragged(data: Any) -> str:
    """Where a nested list stops being rectangular."""
    level = [data]
    depth = 0
    while level:
        lengths = {
            len(x) if isinstance(x, Sequence) and not isinstance(x, str) else -1 for x in level
        }
        if len(lengths) > 1:
            words = sorted("a number" if n < 0 else f"a list of {n}" for n in lengths)
            return f"at depth {depth} there are {' and '.join(words)}"
        if lengths == {-1}:
            break
        level = [entry for x in level for entry in x]
        depth += 1
    return "its entries have different shapes"


@creator
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """A new tensor that holds a copy of `data`; ints give int64, floats the default floating type.

    Example:
        >>> tensor([[1, 2], [3, 4]]).dtype
        grad.int64
    """
    node = node_of_data(data, None if dtype is None else as_dtype(dtype))
    return finished(node, requires_grad, device)


@creator
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """`data` itself if it is such a tensor; memory shared with a NumPy array; else a copy."""
    check_device(device)
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(data, Variable):
        return data if wanted in (None, data.dtype) else data.to(wanted)
    if isinstance(data, np.ndarray) and wanted in (None, as_dtype(data.dtype)):
        return Variable._plain.from_numpy(data)
    return tensor(data, dtype=wanted)


# -- rules -----------------------------------------------------------------------------------------
def _constant_creator(name: str, value: int, doc: str) -> None:
    def create(
        *size: Size,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: Any = None,
    ) -> Any:
        kind = default_dtype() if dtype is None else as_dtype(dtype)
        result = finished(filled(value, checked_shape(name, size, kind), kind), False, device)
        if memory_format is not None:
            result = result.contiguous(memory_format=memory_format)
        return result.requires_grad_() if requires_grad else result

    def like(
        input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, **_: Any
    ) -> Any:
        kind = input.dtype if dtype is None else as_dtype(dtype)
        return finished(filled(value, input.shape, kind), requires_grad, device)

    for function, suffix, text in (
        (create, "", doc),
        (like, "_like", f"{doc[:-1]}, like `input`."),
    ):
        function.__name__ = function.__qualname__ = name + suffix
        function.__doc__ = text
        creator(function)


_constant_creator("zeros", 0, "A tensor of zeros of the given size.")
_constant_creator("ones", 1, "A tensor of ones of the given size.")
# Memory that nobody has written to holds zeros here, so that results do not depend on chance.
_constant_creator("empty", 0, "A tensor of the given size, to be written to.")


@creator
def full(
    size: Size,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A tensor of `size` that holds `fill_value` everywhere; its type is that of the value."""
    if isinstance(fill_value, Variable):
        fill_value = fill_value.item()
    if not isinstance(fill_value, bool | int | float | np.generic):
        raise DTypeError(f"full: needs a number to fill with, got {fill_value!r}.")
    kind = _kind_of(fill_value) if dtype is None else as_dtype(dtype)
    shape = checked_shape("full", (size,), kind)
    value = element("full", fill_value, kind)
    return finished(filled(value, shape, kind), requires_grad, device)


@creator
def full_like(input: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Any:
    """A tensor of the size and type of `input` that holds `fill_value` everywhere."""
    require_tensors("full_like", input=input)
    return full(input.shape, fill_value, dtype=dtype or input.dtype, **options)


def _kind_of(*numbers: Any) -> DType:
    if any(isinstance(number, float | np.floating) for number in numbers):
        return default_dtype()
    if all(isinstance(number, bool | np.bool_) for number in numbers):
        return dtypes.bool
    return dtypes.int64


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Variable | np.generic) else value


@creator
def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`start`, `start + step` ... up to but without `end`; ``arange(end)`` starts from 0."""
    start, end, step = _number(start), _number(end), _number(step)
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) * step < 0 or not math.isfinite(end - start):
        raise ShapeError(
            f"arange: from {start} to {end} by steps of {step} never arrives; the step must be "
            f"non-zero and lead from start to end."
        )
    kind = as_dtype(dtype) if dtype is not None else _kind_of(start, end, step, 1)
    if kind is dtypes.int64:
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise ShapeError("arange: the step is 0 as a whole number; use a floating dtype.")
    whole = all(isinstance(number, int) for number in (start, end, step))
    count = -((start - end) // step) if whole else math.ceil((end - start) / step)
    checked_shape("arange", (count,), kind)
    if kind.kind in "iu":
        start, step, whole = int(start), int(step), True
    # Computed wide, then rounded once, as PyTorch does.
    wide = dtypes.float64 if kind.is_floating_point or not whole else dtypes.int64
    node = affine(iota(count, dtypes.int64), start, step, wide)
    return finished(cast(node, kind), requires_grad, device)


def affine(node: Node, start: Any, step: Any, dtype: DType) -> Node:
    """``start + step * node`` in `dtype`; other numbers compile nothing new."""
    node = cast(node, dtype)
    if step != 1:
        node = pointwise(MUL, node, argument(step, dtype))
    if start != 0:
        node = pointwise(ADD, node, argument(start, dtype))
    return node


@creator
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` numbers from `start` to `end`, both included, equally far apart."""
    start, end = _number(start), _number(end)
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    if kind.kind in "iu":
        start, end = int(start), int(end)
    if steps < 0:
        raise ShapeError(f"linspace: the number of steps cannot be negative, got {steps}.")
    checked_shape("linspace", (steps,), kind)
    wide = dtypes.float64
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    index = iota(steps, dtypes.int64)
    # From both ends, so that both are met exactly.
    rising = affine(index, start, step, wide)
    left = cast(pointwise(SUB, constant(steps - 1, dtypes.int64), index), wide)
    falling = pointwise(SUB, argument(end, wide), pointwise(MUL, left, argument(step, wide)))
    first_half = pointwise(LT, index, constant(max(steps // 2, 1), dtypes.int64))
    node = pointwise(WHERE, first_half, rising, falling)
    return finished(cast(node, kind), requires_grad, device)


@creator
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The identity matrix of `n` rows and `m` (default `n`) columns."""
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    rows, columns = checked_shape("eye", (n, n if m is None else m), kind)
    node = pointwise(EQ, reshape(iota(rows), (rows, 1)), reshape(iota(columns), (1, columns)))
    return finished(cast(node, kind), requires_grad, device)


@creator
def scalar_tensor(value: Any, **options: Any) -> Any:
    """A tensor without dimensions, of the default floating type."""
    return tensor(value, **{"dtype": default_dtype(), **options})
