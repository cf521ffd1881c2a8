"""`ParameterList` and `ParameterDict`: parameters in a list, or under names.

Tensors that are put in become parameters; anything else is kept as it is, and belongs to no state
dict. `containers.py` has the containers of modules.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from grad.nn.containers import position_in
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


def _kept(value: Any) -> Any:
    """What is put in: tensors as parameters."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


def _described(name: str, value: Any, type_of: Callable[[Tensor], Any]) -> str:
    if not isinstance(value, Tensor):
        return f"  ({name}): Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(map(str, value.shape))
    return f"  ({name}): {kind} containing: [{type_of(value)} of size {size}]"


class ParameterList(Module):
    """A list of parameters; tensors that are put in become parameters.

    Example:
        >>> weights = ParameterList([Tensor.ones(2), Tensor.zeros(3)])
        >>> len(weights[1:]), [name for name, _ in weights.named_parameters()]
        (1, ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def append(self, value: Any) -> Self:
        """Put `value` at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put all of `values` at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                "ParameterList.extend should be called with an iterable, but got "
                + type(values).__name__
            )
        for value in list(values):
            self.append(value)
        return self

    __iadd__ = extend

    def pop(self, index: int = -1) -> Any:
        """Take out the entry at `index` and return it."""
        kept = list(self)
        value = kept.pop(index)
        for number in range(len(self)):
            delattr(self, str(number))
        self._size = 0
        self.extend(kept)
        return value

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)([self[number] for number in range(len(self))[index]])
        return getattr(self, str(position_in(index, len(self))))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(position_in(index, len(self))), _kept(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def extra_repr(self) -> str:
        lines = (_described(str(n), value, lambda t: t.dtype) for n, value in enumerate(self))
        return "\n".join(lines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """Parameters under names, in the order in which they were put in.

    Example:
        >>> weights = ParameterDict({"left": Tensor.ones(2)})
        >>> weights["right"] = Tensor.zeros(3)
        >>> list(weights.state_dict())
        ['left', 'right']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, self._name(key))

    def __setitem__(self, key: str, value: Any) -> None:
        name = self._name(key)
        if key not in self._keys and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        self._keys[key] = None
        setattr(self, name, _kept(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, self._name(key))

    def _name(self, key: Any) -> str:
        if not isinstance(key, str):
            raise TypeError(
                "Index given to ParameterDict cannot be used as a key as it is not a string "
                f"(type is '{type(key).__name__}'). Open an issue on github if you need "
                "non-string keys."
            )
        return key

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._keys))

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> Iterable[str]:
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        return (self[key] for key in self._keys)

    def items(self) -> Iterable[tuple[str, Any]]:
        return ((key, self[key]) for key in self._keys)

    def copy(self) -> ParameterDict:
        """Another dictionary with the same parameters."""
        return type(self)(OrderedDict(self.items()))

    def setdefault(self, key: str, default: Any = None) -> Any:
        """What is under `key`; `default` is put there if there is nothing."""
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """What is under `key`, or `default`."""
        return self[key] if key in self._keys else default

    def pop(self, key: str) -> Any:
        """Take out what is under `key` and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take out the last pair of key and value, and return it."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Take out everything."""
        for key in list(self._keys):
            del self[key]

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dictionary with `default` under each of `keys`."""
        return type(self)(OrderedDict.fromkeys(keys, default))

    def update(self, parameters: Any) -> None:
        """Put in all of `parameters`: pairs, or a mapping, whose keys come in their order if it is
        an ordered one, else sorted, as in PyTorch.
        """
        if not isinstance(parameters, Iterable):
            raise TypeError(
                "ParametersDict.update should be called with an iterable of key/value pairs, but "
                f"got {type(parameters).__name__}"
            )
        if isinstance(parameters, ParameterDict | OrderedDict):
            pairs: Iterable[Any] = parameters.items()
        elif isinstance(parameters, Mapping):
            pairs = sorted(parameters.items())
        else:
            pairs = parameters
        for number, pair in enumerate(pairs):
            if len(pair) != 2:
                raise ValueError(
                    f"ParameterDict update sequence element #{number} has length {len(pair)}; "
                    "2 is required"
                )
            self[pair[0]] = pair[1]

    def __or__(self, other: ParameterDict) -> ParameterDict:
        made = self.copy()
        made.update(other.items())
        return made

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        made = type(self)(OrderedDict(other.items()))
        made.update(self.items())
        return made

    def __ior__(self, other: ParameterDict) -> Self:
        self.update(other.items())
        return self

    def extra_repr(self) -> str:
        return "\n".join(_described(*item, lambda tensor: tensor.type()) for item in self.items())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterDict should not be called.")
