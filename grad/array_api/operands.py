"""What the functions of the namespace take: tensors, and Python numbers beside them.

The standard's rules of promotion, where they differ from PyTorch's: a tensor without dimensions
counts as much as any other, and only Python numbers are weak. `operands` makes two arguments of one
type, `promoted` any number of tensors; the operations that are called with them find nothing left
to promote.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.dtype import DType, combine, promote_types, scalar_dtype
from grad.errors import DTypeError, a_kind_of
from grad.ops.creation import full
from grad.ops.promotion import is_number
from grad.tensor import Tensor

Operand = Tensor | int | float | bool


def require_tensor(name: str, value: Any) -> Tensor:
    """`value`, which has to be a tensor."""
    if isinstance(value, Tensor):
        return value
    raise DTypeError(
        f"{name}: got {a_kind_of(value)}, needs a Tensor; use asarray(value) to make one."
    )


def type_beside(dtype: DType, value: Any) -> DType:
    """The type of an operation on a tensor of `dtype` and the Python number `value`."""
    return combine(dtype, scalar_dtype(value)) or dtype


def beside(name: str, value: Any, dtype: DType) -> Tensor:
    """The Python number `value` as a tensor beside one of `dtype`."""
    if not is_number(value):
        raise DTypeError(
            f"{name}: got {a_kind_of(value)}, needs a Tensor or a number; use asarray(value) "
            f"to make a tensor of an array of another library."
        )
    return full((), value, dtype=type_beside(dtype, value))


def operands(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """`x1` and `x2`, one of them a tensor, as tensors of their common type.

    Raises:
        DTypeError: neither is a tensor, or one is neither a tensor nor a number that fits.
    """
    if not isinstance(x1, Tensor):
        if not isinstance(x2, Tensor):
            require_tensor(name, x1)
        x1 = beside(name, x1, x2.dtype)
    elif not isinstance(x2, Tensor):
        x2 = beside(name, x2, x1.dtype)
    if x1.dtype is x2.dtype:
        return x1, x2
    dtype = promote_types(x1.dtype, x2.dtype)
    return x1.to(dtype), x2.to(dtype)


def promoted(name: str, arrays: Iterable[Any]) -> list[Tensor]:
    """The tensors `arrays`, at least one, in their common type."""
    tensors = [require_tensor(name, array) for array in arrays]
    if not tensors:
        raise DTypeError(f"{name}: needs at least one tensor.")
    dtype = tensors[0].dtype
    for tensor in tensors[1:]:
        dtype = promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]
