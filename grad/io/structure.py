"""Nested objects in a safetensors file, which by itself holds tensors by name.

Tensors are put under joined names, and the structure around them into the metadata, as JSON:
numbers, strings and null are themselves; ``{"tensor": name}``, ``{"dict": [[key, value], ...]}``,
``{"list": [...]}``, ``{"tuple": [...]}``, ``{"Size": [...]}``, ``{"dtype": name}``. A flat
dictionary of tensors needs none of it and is an ordinary file for every other tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from grad.dtype import DType, by_name
from grad.errors import FileFormatError, a_kind_of
from grad.tensor import Tensor
from grad.utils.size import Size

STRUCTURE = "grad.structure"
_PLAIN = (bool, int, float, str, type(None))


def encoded(obj: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata for a file that holds `obj`.

    Raises:
        FileFormatError: `obj` contains what such a file cannot hold; says where.
    """
    # PyTorch's readers look for this.
    metadata = {"format": "pt"}
    if _is_flat(obj):
        return dict(obj), metadata
    tensors: dict[str, Tensor] = {}
    try:
        metadata[STRUCTURE] = json.dumps(_encoded(obj, "", tensors))
    except RecursionError:
        raise FileFormatError("save: the object is nested too deeply.") from None
    return tensors, metadata


def _is_flat(obj: Any) -> bool:
    return isinstance(obj, Mapping) and all(
        isinstance(name, str) and name != "__metadata__" and isinstance(value, Tensor)
        for name, value in obj.items()
    )


def _encoded(obj: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """`obj` in the form of the docstring above; its tensors are put into `tensors`."""
    if isinstance(obj, Tensor):
        name = _free_name(where or "tensor", tensors)
        tensors[name] = obj
        return {"tensor": name}
    if type(obj) in _PLAIN:
        return obj
    if isinstance(obj, DType):
        return {"dtype": obj.name}
    if isinstance(obj, Mapping):
        pairs = []
        for key, value in obj.items():
            if type(key) not in _PLAIN:
                raise FileFormatError(
                    f"save: a key in {where or 'the object'} is {a_kind_of(key)}; "
                    "keys must be strings, numbers or None."
                )
            pairs.append([key, _encoded(value, joined(where, key), tensors)])
        return {"dict": pairs}
    if type(obj) in (list, tuple, Size):
        entries = [_encoded(value, joined(where, i), tensors) for i, value in enumerate(obj)]
        return {type(obj).__name__: entries}
    raise cannot_be_saved(obj, where, "")


def cannot_be_saved(obj: Any, where: str, more: str) -> FileFormatError:
    """The error for something, found at `where`, that a file cannot hold; `more` can be held."""
    hint = "use .item()" if isinstance(obj, np.generic) else "use grad.tensor(array) for arrays"
    return FileFormatError(
        f"save: {where or 'the object'} is a {type(obj).__module__}.{type(obj).__qualname__}; only "
        f"tensors, numbers, strings, None, dtypes, {more}dictionaries, lists and tuples can be "
        f"saved; {hint}, state_dict() for modules and optimisers."
    )


def joined(where: str, key: Any) -> str:
    """The name of what is found at `key` inside `where`."""
    return f"{where}.{key}" if where else str(key)


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, changed if there is one already or the format keeps it for itself."""
    number, candidate = 1, name
    while candidate in taken or candidate == "__metadata__":
        number += 1
        candidate = f"{name}#{number}"
    return candidate


def decoded(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Any:
    """The object that `encoded` was given.

    Raises:
        FileFormatError: the structure is damaged.
    """
    if STRUCTURE not in metadata:
        return dict(tensors)
    try:
        return _decoded(json.loads(metadata[STRUCTURE]), tensors)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:  # RecursionError among them
        raise FileFormatError(f"its description is damaged: {error!r}") from error


def _decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The opposite of `_encoded`."""
    if not isinstance(value, dict):
        if type(value) not in _PLAIN:
            raise TypeError(f"{a_kind_of(value)}")
        return value
    ((kind, content),) = value.items()
    return _DECODERS[kind](content, tensors)


_DECODERS = {
    "tensor": lambda name, tensors: tensors[name],
    "dtype": lambda name, tensors: by_name(name),
    "dict": lambda pairs, tensors: {key: _decoded(value, tensors) for key, value in pairs},
    "list": lambda entries, tensors: [_decoded(entry, tensors) for entry in entries],
    "tuple": lambda entries, tensors: tuple(_decoded(entry, tensors) for entry in entries),
    "Size": lambda entries, tensors: Size(entries),
}
