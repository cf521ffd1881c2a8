"""Samples made one batch (`default_collate`), and single samples made tensors (`default_convert`).

`default_collate_fn_map` says which function stacks which type; what is not in it is taken apart if
it is a mapping or a sequence. Users add rows for types of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from grad.buffer import Buffer
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ShapeError
from grad.graph.movement import contiguous_strides
from grad.graph.node import from_buffer
from grad.ops.convert import array_view
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

CollateMap = dict[Any, Callable[..., Any]]
_MESSAGE = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists"


def empty_tensor(shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, np.ndarray[Any, Any]]:
    """A tensor of the dtype of `like`, and an array to write its values to at once."""
    dtype = like.dtype
    strides = contiguous_strides(shape)
    count = strides[0] * shape[0] if 0 not in shape else 0
    buffer = Buffer(count * dtype.itemsize)
    steps = tuple([step * dtype.itemsize for step in strides])
    return Tensor._wrap(from_buffer(buffer, shape, dtype)), buffer.numpy(dtype.numpy, shape, steps)


def collate(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Any:
    """Make one of many samples, by the functions of the map for their type.

    Each function is called with the samples and, by keyword, the map.
    """
    first = batch[0]
    for kind, function in (collate_fn_map or {}).items():
        if isinstance(first, kind):
            return function(batch, collate_fn_map=collate_fn_map)

    def together(samples: Sequence[Any]) -> Any:
        return collate(samples, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return _like_mapping(
            first, {key: together([sample[key] for sample in batch]) for key in first}
        )
    if isinstance(first, Sequence):
        if not hasattr(first, "_fields") and any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [together(column) for column in zip(*batch)]
        # Lists for tuples: what programs written for PyTorch expect.
        return columns if type(first) is tuple else _like_sequence(first, columns)
    raise TypeError(f"{_MESSAGE}; found {type(first)}; give DataLoader a collate_fn.")


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples made one: tensors, arrays and numbers are stacked, tuples and dictionaries go inside.

    Raises:
        TypeError: samples of another type. RuntimeError: of different sizes.

    Example:
        >>> default_collate([(1, "a"), (2, "b")])
        [tensor([1, 2]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def default_convert(data: Any) -> Any:
    """Arrays and NumPy's numbers made tensors, inside of dictionaries and sequences as well.

    Example:
        >>> default_convert({"x": np.array([1, 2]), "y": "text"})
        {'x': tensor([1, 2]), 'y': 'text'}
    """
    if isinstance(data, np.ndarray | np.generic) and not isinstance(data, str | bytes):
        return data if data.dtype.kind in "SUO" else Tensor.from_numpy(np.asarray(data))
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        items = [default_convert(item) for item in data]
        return items if type(data) is tuple else _like_sequence(data, items)
    return data


def _like_mapping(model: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """`values` as a mapping of the type of `model`, where that can be made."""
    try:
        if isinstance(model, MutableMapping):
            result = copy.copy(model)
            result.update(values)
            return result
        return type(model)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _like_sequence(model: Sequence[Any], items: list[Any]) -> Any:
    """`items` as a sequence of the type of `model`, where that can be made."""
    kind: Any = type(model)
    if hasattr(model, "_fields"):
        return kind(*items)
    try:
        if isinstance(model, MutableSequence):
            result = copy.copy(model)
            for number, item in enumerate(items):
                result[number] = item
            return result
        return kind(items)
    except TypeError:
        return items


def _tensors(batch: Sequence[Tensor], *, collate_fn_map: CollateMap | None = None) -> Tensor:
    first = batch[0]
    shape, dtype = first.shape, first.dtype
    plain = recording.recorder is None and all(
        tensor.shape == shape and tensor.dtype is dtype and not tensor._needs_grad
        for tensor in batch
    )
    if not plain:
        try:
            return REGISTRY["stack"](tuple(batch))
        except ShapeError as error:
            raise ShapeError(
                f"default_collate: {error} A collate_fn of your own, given to DataLoader, may pad "
                f"them."
            ) from None
    # A kernel for each number of samples would have to be compiled.
    stacked, memory = empty_tensor((len(batch), *shape), first)
    for place, tensor in enumerate(batch):
        memory[place] = array_view(tensor)
    return stacked


def _arrays(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Tensor:
    if batch[0].dtype.kind in "SUO":
        raise TypeError(f"{_MESSAGE}; found {batch[0].dtype}")
    shapes = {sample.shape for sample in batch}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack expects each array to be of equal size, but got shapes {sorted(shapes)}"
        )
    return Tensor.from_numpy(np.stack(batch))


def _numpy_numbers(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Tensor:
    return Tensor.from_numpy(np.asarray(batch))


def _integers(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Tensor:
    # Others among them make what a tensor of such a list is, or its error.
    plain = all(isinstance(sample, int) for sample in batch)
    values = np.asarray(batch) if plain else None
    if values is None or values.dtype not in (np.int64, np.bool_):
        return Tensor(list(batch))
    return Tensor.from_numpy(values)


def _floats(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Tensor:
    if not all(isinstance(sample, float) for sample in batch):
        # NumPy would make a number of None, and of a text that reads like one.
        return Tensor(list(batch), dtype=dtypes.float64)
    return Tensor.from_numpy(np.asarray(batch, dtype=np.float64))


def _text(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Any:
    return tuple(batch) if isinstance(batch, tuple) else list(batch)


default_collate_fn_map: CollateMap = {
    Tensor: _tensors,
    np.ndarray: _arrays,
    (np.bool_, np.number, np.object_): _numpy_numbers,
    float: _floats,
    int: _integers,
    str: _text,
    bytes: _text,
}
