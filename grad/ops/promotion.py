"""Which element type an operation computes in, and its operands as graph nodes of that type.

PyTorch ranks operands in three classes: tensors with dimensions, 0-dimensional tensors, Python
numbers. A lower class raises the type of a higher one only across categories (bool < integer <
floating). `result_type` answers for any operands; `pair` is the same for two, on the hot path:
``x + 1`` costs one constant and one addition. The other op modules start from `binary` and
`unary` here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import DType, as_dtype, combine, default_dtype, dtypes, promote_types, scalar_dtype
from grad.errors import DTypeError, a_kind_of
from grad.graph.arrays import node_of
from grad.graph.node import Node, cast, constant, expand, pointwise
from grad.graph.primitives import ADD, AND, MAXIMUM, MINIMUM, MUL, OR, Primitive

Operand = Any  # a Tensor, or a Python or NumPy number

_PRIORITY = {bool: 0, int: 1, float: 2}

_BOOL = dtypes.bool

# Arithmetic of truth values; the compiler never sees a bool addition.
_OF_BOOL = {ADD: OR, MUL: AND, MAXIMUM: OR, MINIMUM: AND}


def apart(result: Any, x: Any) -> Any:
    """`result` in memory of its own, for what would be a view of `x` where nothing is moved: who
    writes to one of them is not to reach the other.
    """
    return result.clone() if result._storage is x._storage else result


def is_tensor(value: Any) -> bool:
    """Whether `value` is one of our tensors."""
    return isinstance(value, Variable)


def is_number(value: Any) -> bool:
    """Whether `value` is a Python or NumPy bool, int or float."""
    return isinstance(value, bool | int | float | np.number | np.bool_)


def number(value: float | int | bool, dtype: DType) -> Node:
    """The constant `value` of type `dtype`; integers wrap modulo 2^bits as they do in PyTorch."""
    kind = dtype.kind
    if kind == "f":
        return constant(float(value), dtype)
    if kind == "b":
        return constant(bool(value), dtype)
    whole = whole_number(value)
    bits = 8 * dtype.itemsize
    half = 1 << (bits - 1)
    if kind == "u":
        whole &= 2 * half - 1
    elif not -half <= whole < half:
        whole = (whole + half) % (2 * half) - half
    return constant(whole, dtype)


def element(name: str, value: Operand, dtype: DType) -> float | int | bool:
    """`value` as a tensor of type `dtype` stores it: fractions are cut off, and a negative number
    of an unsigned type counts from the end, as in PyTorch; DTypeError for one that does not fit.
    """
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind == "f":
        return float(value)
    signed = dtype.kind == "i"
    most = (1 << (8 * dtype.itemsize - signed)) - 1
    least = -most - signed
    if not least <= value <= most:  # nor is NaN
        raise DTypeError(
            f"{name}: {value} does not fit {dtype.name}, which ends at {most}; use a tensor of "
            f"another type, x.to(...)."
        )
    return int(value) if signed else int(value) & most


def whole_number(value: float | int | bool) -> int:
    """`value` as an int of at most 64 bits; DTypeError for one that is larger."""
    whole = int(value)
    if not -(1 << 63) <= whole < 1 << 64:
        raise DTypeError(f"{whole} does not fit any integer type; use a float.")
    return whole


def as_node(name: str, value: Operand, dtype: DType) -> Node:
    """`value`, a tensor or a number, as a node of type `dtype`."""
    if isinstance(value, Variable):
        return cast(value.node, dtype)
    if is_number(value):
        return number(value, dtype)
    raise unsupported(name, value)


def as_elements(name: str, value: Operand, dtype: DType) -> Node:
    """As `as_node`, for a value that is stored: a number has to fit (see `element`)."""
    if is_number(value):
        return constant(element(name, value, dtype), dtype)
    return as_node(name, value, dtype)


def unsupported(name: str, value: Any) -> DTypeError:
    # A number is refused only where numbers will not do.
    needed = "a Tensor" if is_number(value) else "a Tensor or a number"
    return DTypeError(
        f"{name}: got {a_kind_of(value)}, needs {needed}. "
        f"Use grad.tensor(value) to make a tensor of an array or a list."
    )


def no_tensor(name: str, parameter: str, value: Any) -> DTypeError:
    """The error for a `value` that is no tensor, where a number will not do either."""
    return DTypeError(
        f"{name}: {parameter} must be a Tensor, not {a_kind_of(value)}. "
        f"Use grad.tensor(value) to make a tensor of numbers, an array or a list."
    )


def require_tensors(name: str, **given: Any) -> None:
    """Raise DTypeError, naming the parameter, unless all that is `given` are tensors."""
    for parameter, value in given.items():
        if not isinstance(value, Variable):
            raise no_tensor(name, parameter, value)


def result_type(*values: Operand) -> DType:
    """The type that an operation on `values` computes in, by PyTorch's rules.

    Example:
        >>> result_type(Tensor.ones(2, dtype=dtypes.int32), 1.5)
        grad.float32
    """
    dimensioned: DType | None = None
    scalar: DType | None = None
    weak: DType | None = None
    for value in values:
        if is_tensor(value):
            if value._shape:
                dimensioned = promote_types(dimensioned or value.dtype, value.dtype)
            else:
                scalar = promote_types(scalar or value.dtype, value.dtype)
        elif isinstance(value, DType):
            dimensioned = promote_types(dimensioned or value, value)
        else:
            kind = scalar_dtype(value)
            weak = promote_types(weak or kind, kind)
    found = combine(dimensioned, combine(scalar, weak))
    if found is None:
        raise DTypeError("result_type: needs at least one tensor or number.")
    return found


def can_cast(source: DType, target: DType) -> bool:
    """Whether a value of type `source` may be stored as `target`: never one of a lower category."""
    return source.priority <= target.priority


def pair(name: str, x: Operand, y: Operand) -> tuple[Node, Node]:
    """`x` and `y` as nodes of their common type (see `result_type`); one of them is a tensor."""
    if isinstance(x, Variable):
        dtype = x.dtype
        if isinstance(y, Variable):
            if y.dtype is dtype:
                return x.node, y.node
        elif _PRIORITY.get(type(y), 3) <= dtype.priority:
            return x.node, number(y, dtype)
    x, y = _operand(name, x), _operand(name, y)
    if not (is_tensor(x) or is_tensor(y)):
        raise DTypeError(f"{name}: got two numbers, {x} and {y}; one of them has to be a Tensor.")
    dtype = result_type(x, y)
    return as_node(name, x, dtype), as_node(name, y, dtype)


def with_array(x: Any, y: Any) -> tuple[Any, Any]:
    """`x` and `y`, of which one is a NumPy array and one a tensor, as tensors (the array is
    copied) of the type in which NumPy would compute, as PyTorch lets it.
    """
    tensors = [v if is_tensor(v) else wrap(node_of(v, as_dtype(v.dtype))) for v in (x, y)]
    dtype = as_dtype(np.result_type(*[tensor.dtype.numpy for tensor in tensors]))
    return tensors[0].to(dtype), tensors[1].to(dtype)


def _operand(name: str, value: Any) -> Operand:
    """`value` if it is an operand."""
    if is_tensor(value) or is_number(value):
        return value
    raise unsupported(name, value)


def nodes(name: str, *values: Operand) -> list[Node]:
    """All `values` as nodes of their common type."""
    dtype = result_type(*values)
    return [as_node(name, value, dtype) for value in values]


def floating_pair(name: str, x: Operand, y: Operand) -> tuple[Node, Node]:
    """As `pair`, and integers become the default floating type, each from what it is: a number
    need not fit the integers that it meets (``x / 256`` of uint8).
    """
    a, b = pair(name, x, y)
    if a.dtype.priority == 2:
        return a, b
    wide = default_dtype()
    return as_node(name, x, wide), as_node(name, y, wide)


def floating_type(*values: Operand) -> DType:
    """The `result_type`, or the default floating type where that is none."""
    dtype = result_type(*values)
    return dtype if dtype.priority == 2 else default_dtype()


def floating(x: Any) -> Node:
    """The node of `x`, integers and bool as the default floating type."""
    return x.node if x.dtype.priority == 2 else cast(x.node, default_dtype())


# A new tensor of a node, outside any autograd graph.
wrap = Variable._wrap


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and type of `x`, no node of which looks at `x`."""
    return wrap(expand(number(0, x.dtype), x._shape))


def unrounded(name: str, pair: tuple[Node, Node], x: Operand, y: Operand) -> tuple[Node, Node]:
    """`pair`, the factors `x` and `y` (or what is divided, and by what), as they are multiplied:
    a number is not rounded to the type of halves, nor is a tensor without dimensions. PyTorch
    scales halves by it in float32.
    """
    dtype = pair[0].dtype
    if dtype.itemsize != 2 or dtype.kind != "f":
        return pair
    for value in (x, y):
        if not is_tensor(value) or not value._shape:
            return as_node(name, x, dtypes.float32), as_node(name, y, dtypes.float32)
    return pair


def scaling(
    name: str, primitive: Primitive, pair: tuple[Node, Node], x: Operand, y: Operand
) -> Node:
    """`primitive`, a product or quotient, of `x` and `y`, whose nodes are `pair`."""
    dtype = pair[0].dtype
    if dtype.itemsize != 2:
        return pointwise(primitive, *pair)
    return cast(pointwise(primitive, *unrounded(name, pair, x, y)), dtype)


def binary(name: str, primitive: Primitive, x: Operand, y: Operand, scales: bool = False) -> Any:
    """`primitive`, which gives the type of its operands, of `x` and `y` in their common type.

    With `scales` numbers stay `unrounded`.
    """
    if isinstance(x, Variable) and isinstance(y, Variable):
        dtype = x.dtype
        if dtype is y.dtype and x._shape == y._shape and dtype is not _BOOL:
            # Most calls: nothing to promote and to broadcast.
            return wrap(Node(primitive, (x.node, y.node), None, x._shape, dtype))
    a, b = pair(name, x, y)
    dtype = a.dtype
    if dtype is _BOOL:
        primitive = _OF_BOOL.get(primitive, primitive)
    elif scales and dtype.itemsize == 2:
        return wrap(scaling(name, primitive, (a, b), x, y))
    return wrap(pointwise(primitive, a, b))


def unary(primitive: Primitive, x: Any) -> Any:
    """`primitive` of `x`; integers become floating first."""
    return wrap(pointwise(primitive, floating(x)))


def promote(name: str, x: Operand, y: Operand, floating: bool = False) -> tuple[Any, Any]:
    """`x` and `y` as tensors of their common type, recorded by autograd as casts; with `floating`
    that is the default floating type for integers.
    """
    dtype = floating_type(x, y) if floating else result_type(x, y)
    return tuple(  # type: ignore[return-value]
        value.to(dtype) if is_tensor(value) else wrap(number(value, dtype)) for value in (x, y)
    )


def accumulation_dtype(dtype: DType) -> DType:
    """What sums of `dtype` are kept in: halves in float32, the rest in itself."""
    return dtypes.float32 if dtype.itemsize == 2 and dtype.kind == "f" else dtype


def require_floating(name: str, dtype: DType) -> None:
    if dtype.priority != 2:
        raise DTypeError(f"{name}: needs a floating tensor, got {dtype.name}; use x.float() first.")


def refuse_bool(name: str, *dtypes_given: DType, instead: str) -> None:
    """Raise DTypeError when any of the types is bool."""
    if dtypes.bool in dtypes_given:
        raise DTypeError(f"{name}: not defined for bool tensors; use {instead}.")
