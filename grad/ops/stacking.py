"""NumPy's ways to put tensors together and to take them apart: `hstack`, `vsplit`, `atleast_2d` ...

All are made of `cat`, `narrow` and reshapes; join.py has those that matter more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.axes import normal_axis
from grad.ops.join import Cat, Split
from grad.ops.padding import PadConstant
from grad.ops.promotion import is_tensor, unsupported
from grad.ops.registry import ALL, op


# -- at least so many axes -------------------------------------------------------------------------
def _one_dimension(x: Any) -> Any:
    return x if x.shape else x.reshape(1)


def _two_dimensions(x: Any) -> Any:
    return x if len(x.shape) > 1 else _one_dimension(x).unsqueeze(0)


def _three_dimensions(x: Any) -> Any:
    return x if len(x.shape) > 2 else _two_dimensions(x).unsqueeze(-1)


def _each(name: str, tensors: Sequence[Any], change: Callable[[Any], Any]) -> Any:
    """`change` of one tensor, or of each of several or of a sequence of them."""
    several = len(tensors) != 1 or isinstance(tensors[0], list | tuple)
    listed = tensors[0] if several and len(tensors) == 1 else tensors
    for tensor in listed:
        if not is_tensor(tensor):
            raise unsupported(name, tensor)
    return tuple(change(tensor) for tensor in listed) if several else change(tensors[0])


@op(function="atleast_1d", view=True, dtypes=ALL, composite=True)
class AtLeast1d:
    """A number as a vector of one element; a tuple of several tensors."""

    @staticmethod
    def forward(*tensors: Any) -> Any:
        return _each("atleast_1d", tensors, _one_dimension)


@op(function="atleast_2d", view=True, dtypes=ALL, composite=True)
class AtLeast2d:
    """New axes in front, up to two in all; a tuple of several tensors."""

    @staticmethod
    def forward(*tensors: Any) -> Any:
        return _each("atleast_2d", tensors, _two_dimensions)


@op(function="atleast_3d", view=True, dtypes=ALL, composite=True)
class AtLeast3d:
    """As `atleast_2d`, and a last axis where there were less than three."""

    @staticmethod
    def forward(*tensors: Any) -> Any:
        return _each("atleast_3d", tensors, _three_dimensions)


# -- together --------------------------------------------------------------------------------------
def _listed(name: str, tensors: Any) -> list[Any]:
    if is_tensor(tensors) or not isinstance(tensors, list | tuple):
        raise DTypeError(f"{name}: needs a sequence of tensors, as in {name}((x, y)).")
    if not tensors:
        raise ShapeError(f"{name}: needs at least one tensor, got none.")
    for tensor in tensors:
        if not is_tensor(tensor):
            raise unsupported(name, tensor)
    return list(tensors)


@op(function="hstack", dtypes=ALL, composite=True)
class HStack:
    """Tensors side by side along axis 1, vectors along their only axis."""

    @staticmethod
    def forward(tensors: Sequence[Any]) -> Any:
        found = [_one_dimension(tensor) for tensor in _listed("hstack", tensors)]
        return Cat.forward(found, 0 if len(found[0].shape) == 1 else 1)


@op(function="vstack", aliases=("row_stack",), dtypes=ALL, composite=True)
class VStack:
    """Tensors one above the other along axis 0; a vector is a row."""

    @staticmethod
    def forward(tensors: Sequence[Any]) -> Any:
        return Cat.forward([_two_dimensions(tensor) for tensor in _listed("vstack", tensors)], 0)


@op(function="dstack", dtypes=ALL, composite=True)
class DStack:
    """Tensors one behind the other along axis 2."""

    @staticmethod
    def forward(tensors: Sequence[Any]) -> Any:
        return Cat.forward([_three_dimensions(tensor) for tensor in _listed("dstack", tensors)], 2)


@op(function="column_stack", dtypes=ALL, composite=True)
class ColumnStack:
    """Tensors side by side along axis 1; a vector is a column."""

    @staticmethod
    def forward(tensors: Sequence[Any]) -> Any:
        found = _listed("column_stack", tensors)
        return HStack.forward([t if len(t.shape) > 1 else t.reshape(-1, 1) for t in found])


@op(function="block_diag", dtypes=ALL, composite=True)
class BlockDiagonal:
    """A matrix with the given ones along its diagonal; vectors are rows, numbers single elements.

    Example:
        >>> grad.block_diag(grad.tensor([[1, 2]]), grad.tensor([3])).tolist()
        [[1, 2, 0], [0, 0, 3]]
    """

    @staticmethod
    def forward(*tensors: Any) -> Any:
        for tensor in tensors:
            if not is_tensor(tensor):
                raise unsupported("block_diag", tensor)
            if len(tensor.shape) > 2:
                raise ShapeError(
                    f"block_diag: needs tensors of 2 dimensions or less, got {tensor._shape}."
                )
        if not tensors:
            raise ShapeError("block_diag: needs at least one tensor, got none.")
        blocks = [_two_dimensions(tensor) for tensor in tensors]
        width, start = sum(block.shape[1] for block in blocks), 0
        rows = []
        for block in blocks:
            after = width - start - block.shape[1]
            rows.append(PadConstant.apply(block, ((0, 0), (start, after)), 0.0))
            start += block.shape[1]
        return Cat.forward(rows, 0)


# -- apart -----------------------------------------------------------------------------------------
def _cuts(name: str, given: Any) -> Any:
    """An int or a list of ints, of those or of a tensor of them."""
    if is_tensor(given):
        if given.dtype.kind != "i" or given.dtype.itemsize != 8 or len(given.shape) > 1:
            raise DTypeError(
                f"{name}: a tensor of cuts must be of type int64 and of 0 or 1 dimensions, got "
                f"{given.dtype.name} of shape {tuple(given.shape)}."
            )
        return given.tolist()
    if isinstance(given, list | tuple):
        return [cut.__index__() for cut in given]
    if not hasattr(given, "__index__"):
        raise DTypeError(f"{name}: needs an int or a sequence of ints, got {given!r}.")
    return given.__index__()


@op(method="tensor_split", view=True, dtypes=ALL, composite=True)
class TensorSplit:
    """Views along `dim`: so many, as equal as can be, or those between the given cuts.

    Example:
        >>> [part.tolist() for part in grad.arange(5).tensor_split(2)]
        [[0, 1, 2], [3, 4]]
    """

    @staticmethod
    def forward(x: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
        if not x.shape:
            raise ShapeError("tensor_split: needs at least 1 dimension, got a number.")
        axis = normal_axis("tensor_split", dim, len(x.shape))
        size = x.shape[axis]
        cuts = _cuts("tensor_split", indices_or_sections)
        if isinstance(cuts, list):
            return tuple(
                x[(*[slice(None)] * axis, slice(start, stop))]
                for start, stop in zip([0, *cuts], [*cuts, size])
            )
        if cuts < 1:
            raise ArgumentError(f"tensor_split: sections is {cuts}, it must be 1 or more.")
        least, more = divmod(size, cuts)
        return Split.forward(x, [least + (part < more) for part in range(cuts)], axis)


def _equal_parts(name: str, x: Any, given: Any, rank: int, axis: int) -> tuple[Any, ...]:
    if len(x.shape) < rank:
        raise ShapeError(f"{name}: needs {rank} dimensions or more, got shape {tuple(x.shape)}.")
    cuts = _cuts(name, given)
    if not isinstance(cuts, list) and (cuts < 1 or x.shape[axis] % cuts):
        raise ArgumentError(
            f"{name}: {x.shape[axis]} elements along axis {axis} are no {cuts} equal parts; use "
            f"tensor_split."
        )
    return TensorSplit.forward(x, cuts, axis)


@op(method="hsplit", view=True, dtypes=ALL, composite=True)
class HSplit:
    """Equal parts, or those between the given cuts, along axis 1 (of a vector: 0)."""

    @staticmethod
    def forward(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        return _equal_parts("hsplit", x, indices_or_sections, 1, 0 if len(x.shape) == 1 else 1)


@op(method="vsplit", view=True, dtypes=ALL, composite=True)
class VSplit:
    """Equal parts, or those between the given cuts, along axis 0."""

    @staticmethod
    def forward(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        return _equal_parts("vsplit", x, indices_or_sections, 2, 0)


@op(method="dsplit", view=True, dtypes=ALL, composite=True)
class DSplit:
    """Equal parts, or those between the given cuts, along axis 2."""

    @staticmethod
    def forward(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        return _equal_parts("dsplit", x, indices_or_sections, 3, 2)


@op(
    method="split_with_sizes",
    aliases=("unsafe_split_with_sizes",),
    view=True,
    dtypes=ALL,
    composite=True,
)
class SplitWithSizes:
    """Views of the given sizes along `dim`; as `split`."""

    @staticmethod
    def forward(x: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
        return Split.forward(x, list(split_sizes), dim)
