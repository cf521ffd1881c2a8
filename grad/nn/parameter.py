"""`Parameter`: a tensor that a module owns and an optimiser changes; `Buffer`: one that is state.

A parameter differs from a tensor in two ways: it requires a gradient from the start, and `Module`
files it under its parameters when it is set as an attribute. Results of operations on it are
ordinary tensors. Those that are uninitialized have no shape yet: lazy modules (`lazy.py`) give them
one when they see their first input.
"""

from __future__ import annotations

from typing import Any

from grad.dtype import DType
from grad.errors import ArgumentError
from grad.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor with a gradient, sharing memory with `data`.

    Raises:
        GradientError: `data` is not floating, unless `requires_grad` is False.

    Example:
        >>> Parameter(Tensor.zeros(2, 3)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        source = data if isinstance(data, Tensor) else Tensor([] if data is None else data)
        self._adopt(source.detach(), False)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self)


class Buffer(Tensor):
    """A tensor that `Module` files under its buffers when it is set as an attribute.

    Attributes:
        persistent: whether it is part of the state dict.
    """

    __slots__ = ()

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        source = data if isinstance(data, Tensor) else Tensor([] if data is None else data)
        self._adopt(source.detach(), source.requires_grad)
        self.persistent = persistent


class _Uninitialized(Tensor):
    """Has a type, and no shape until `materialize`."""

    __slots__ = ()

    def _start(self, requires_grad: bool, dtype: DType | None) -> None:
        self._adopt(Tensor.empty((0,), dtype=dtype), requires_grad)

    @property
    def _shape(self) -> tuple[int, ...]:
        raise ArgumentError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    @_shape.setter
    def _shape(self, value: tuple[int, ...]) -> None:
        pass

    def detach(self) -> Tensor:
        return Tensor.empty((0,), dtype=self.dtype)

    def materialize(self, shape: Any, device: Any = None, dtype: DType | None = None) -> None:
        """Become an ordinary parameter or buffer of `shape`, whose values are arbitrary."""
        made = Tensor.empty(tuple(shape), dtype=self.dtype if dtype is None else dtype)
        self.__class__ = type(self)._becomes  # pyright: ignore[reportAttributeAccessIssue]
        self.data = made

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            make, arguments = self.__reduce__()
            memo[id(self)] = make(*arguments)
        return memo[id(self)]

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (type(self), self._requires_grad, self.dtype, dict(self.__dict__))
        return _uninitialized, arguments


def _uninitialized(
    kind: type[_Uninitialized], requires_grad: bool, dtype: DType, attributes: dict[str, Any]
) -> Any:
    made = object.__new__(kind)
    made._start(requires_grad, dtype)
    made.__dict__.update(attributes)
    return made


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet."""

    __slots__ = ()
    _becomes = Parameter

    def __init__(
        self, requires_grad: bool = True, device: Any = None, dtype: DType | None = None
    ) -> None:
        self._start(requires_grad, dtype)


class UninitializedBuffer(_Uninitialized):
    """A buffer whose shape is not known yet."""

    __slots__ = ()
    _becomes = Tensor

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        persistent: bool = True,
    ) -> None:
        self._start(requires_grad, dtype)
        self.persistent = persistent


def is_lazy(value: Any) -> bool:
    """Whether `value` is a parameter or buffer without a shape yet."""
    return isinstance(value, _Uninitialized)
