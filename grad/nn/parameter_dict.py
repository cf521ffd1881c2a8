"""`ParameterDict`: parameters by name, and whatever else is put in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


class ParameterDict(Module):
    """A dictionary of parameters, in the order in which they were put in.

    Tensors that are put in become parameters; other values are kept as they are. A plain dict is
    put in by the order of its names, as in PyTorch.

    Example:
        >>> weights = ParameterDict({"left": Tensor.zeros(2, 3)})
        >>> [name for name, parameter in weights.named_parameters()]
        ['left']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._names: dict[str, None] = {}
        self.update(parameters or {})

    def __getitem__(self, key: str) -> Any:
        if key not in self._names:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a ParameterDict has strings as keys, got {type(key).__name__}.")
        if key not in self._names and hasattr(self, key):
            raise KeyError(f"attribute {key!r} already exists")
        self._names[key] = None
        is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
        setattr(self, key, Parameter(value) if is_plain else value)

    def __delitem__(self, key: str) -> None:
        del self._names[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._names)

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __or__(self, other: Any) -> ParameterDict:
        return self.copy().__ior__(other)

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def keys(self) -> Iterable[str]:
        return self._names.keys()

    def values(self) -> Iterable[Any]:
        return [self[key] for key in self._names]

    def items(self) -> Iterable[tuple[str, Any]]:
        return [(key, self[key]) for key in self._names]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return self[key] if key in self._names else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of `key`, which is `default` from now on if there was none."""
        if key not in self._names:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Take out `key` and return its value."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take out what was put in last, and return its name and value."""
        key = next(reversed(self._names))
        return key, self.pop(key)

    def clear(self) -> None:
        """Take out everything."""
        for key in list(self._names):
            del self[key]

    def copy(self) -> ParameterDict:
        """Another dictionary of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dictionary that has `default` for each of `keys`."""
        return ParameterDict(OrderedDict((key, default) for key in keys))

    def update(self, parameters: Any) -> None:
        """Put in all of `parameters`, a mapping or pairs; names that are there get new values."""
        if isinstance(parameters, OrderedDict | ParameterDict):
            pairs: Iterable[Any] = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = list(parameters)
        for key, value in pairs:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(
            f"({key}): Parameter containing: [{value.type()} of size {tuple(value.shape)}]"
            if isinstance(value, Tensor)
            else f"({key}): Object of type: {type(value).__name__}"
            for key, value in self.items()
        )
