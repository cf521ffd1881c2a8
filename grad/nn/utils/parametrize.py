"""Parameters that are computed from others: `register_parametrization`.

A parametrized parameter is a property of its module, whose class is made for it: reading it calls
the parametrizations on the original, which is what is trained and saved (under
``parametrizations.NAME.original``); assigning goes through their `right_inverse`. Inside `cached`
each is computed once. `parametrizations.py` has the usual ones.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from grad.autograd.modes import no_grad
from grad.nn.containers import ModuleDict, ModuleList
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


class _Cache:
    """What was computed, while some `cached` is open."""

    open = 0
    values: dict[tuple[int, str], Any] = {}  # noqa: RUF012  one for all


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized parameter once, at its first use inside of the block."""
    _Cache.open += 1
    try:
        yield
    finally:
        _Cache.open -= 1
        if not _Cache.open:
            _Cache.values = {}


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, in the order in which they are applied.

    Attributes:
        original: what is trained; ``original0``, ``original1``, ... where the `right_inverse` of
            the first gives several.
        unsafe: shapes and types are not checked.
    """

    def __init__(self, modules: Iterable[Module], original: Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        if not len(self):
            raise ValueError("ParametrizationList requires one or more modules.")
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            start = self._inverse(original, needed=False)
        if not isinstance(start, Tensor | Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(start).__name__}"
            )
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if isinstance(start, Tensor):
            _check_type("right_inverse", start, original)
            if start is not original:
                original.data = start.detach()
            _register(self, "original", original)
        else:
            for number, part in enumerate(start):
                wanted = original.requires_grad
                made = Parameter(part, wanted) if isinstance(original, Parameter) else part
                _register(self, f"original{number}", made)
        if not unsafe:
            with no_grad():
                _check_result(self(), shape, dtype)

    def _originals(self) -> list[Tensor]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{number}") for number in range(self.ntensors)]

    def _inverse(self, value: Any, needed: bool) -> Any:
        for module in reversed(list(self)):
            inverse = getattr(module, "right_inverse", None)
            if inverse is not None:
                try:
                    value = inverse(value)
                except NotImplementedError:
                    if needed:
                        raise
            elif needed:
                raise RuntimeError(
                    f"parametrization {type(module).__name__} does not implement right_inverse."
                )
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that the parameter becomes `value`."""
        with no_grad():
            made = self._inverse(value, needed=True)
            parts = [made] if self.is_tensor else list(made)
            originals = self._originals()
            if len(parts) != len(originals):
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{len(originals)}. Got a sequence of length {len(parts)}."
                )
            for original, part in zip(originals, parts):
                _check_type("right_inverse", part, original)
                original.data = part.detach().clone()

    def forward(self) -> Tensor:
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value


def _check_type(who: str, value: Any, original: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"`{who}` should return a tensor. Got {type(value).__name__}")
    if value.dtype is not original.dtype:
        raise ValueError(
            f"When `{who}` outputs one tensor, it may not change the dtype.\noriginal.dtype: "
            f"{original.dtype}\n{who}(original).dtype: {value.dtype}"
        )


def _check_result(value: Any, shape: tuple[int, ...], dtype: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what, before, after in (("shape", shape, value.shape), ("dtype", dtype, value.dtype)):
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"`unsafe` flag is enabled.\nunparametrized {what}: {before}\nparametrized "
                f"{what}: {after}"
            )


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


# -- the class of a parametrized module ------------------------------------------------------------
class _Parametrized:
    """What the made classes have besides those that they extend."""

    __dict__: dict[str, Any]

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and is_parametrized(self, name):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __getstate__(self) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict()."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made: Any = object.__new__(type(self).__bases__[1])
        memo[id(self)] = made
        made.__dict__.update(copy.deepcopy(self.__dict__, memo))
        _give_class(made)
        for name in made.parametrizations:
            _give_property(made, name)
        return made


def _give_class(module: Any) -> None:
    cls = type(module)
    module.__class__ = type(f"Parametrized{cls.__name__}", (_Parametrized, cls), {})


def _give_property(module: Any, name: str) -> None:
    def get(self: Any) -> Any:
        compute = self.parametrizations[name]
        if not _Cache.open:
            return compute()
        key = (id(self), name)
        if key not in _Cache.values:
            # The list is kept as well, so that no other module comes to have its number.
            _Cache.values[key] = (compute(), self)
        return _Cache.values[key][0]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


# -- registering -----------------------------------------------------------------------------------
def register_parametrization(
    module: Any, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Any:
    """Compute the parameter or buffer `tensor_name` of `module` by `parametrization` from now on.

    Args:
        parametrization: its `forward` makes the parameter of the original. A method
            `right_inverse`, if it has one, makes the original of the parameter: called now, and
            when the parameter is assigned. It may return several tensors, which `forward` gets.
        unsafe: allow that shape or type change, and check nothing.

    Raises:
        ValueError: there is no such tensor, or its shape or type changes.

    Example:
        >>> class Symmetric(grad.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).T
        >>> layer = register_parametrization(grad.nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all())
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_another(getattr(module, tensor_name), parametrization)
        found = module.parametrizations[tensor_name]
        found.append(parametrization)
        found.unsafe |= unsafe
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    made = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _give_class(module)
        module.parametrizations = ModuleDict()
    _give_property(module, tensor_name)
    module.parametrizations[tensor_name] = made
    return module


def _check_another(value: Tensor, parametrization: Any) -> None:
    with no_grad():
        after = parametrization(value)
        _check_result(after, value.shape, value.dtype)
        if hasattr(parametrization, "right_inverse"):
            try:
                back = parametrization.right_inverse(after)
            except NotImplementedError:
                return
            _check_type("right_inverse", back, value)
            if back.shape != value.shape:
                raise ValueError(
                    "The tensor returned by `parametrization.right_inverse` must have the shape of "
                    f"the tensor: {value._shape}, got {back._shape}."
                )


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether `module` has a parametrization (of `tensor_name`)."""
    found = getattr(module, "_modules", {}).get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make `tensor_name` an ordinary parameter again: of its present value, or of the original's
    unless `leave_parametrized`.

    Raises:
        ValueError: it has none, or several originals and `leave_parametrized` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    found = module.parametrizations[tensor_name]
    if not found.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    if found.is_tensor:
        left = found.original
        if leave_parametrized:
            with no_grad():
                left.data = getattr(module, tensor_name).detach()
    else:
        value = getattr(module, tensor_name)
        left = Parameter(value) if value.requires_grad else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module).__bases__[1]
    _register(module, tensor_name, left)
    return module


def type_before_parametrizations(module: Any) -> type:
    """The class of `module`, or the one it had before it was parametrized."""
    return type(module).__bases__[1] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Any, to_module: Any, tensor_name: str | None = None
) -> Any:
    """Give `to_module` the parametrizations (of `tensor_name`) and originals of `from_module`."""
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        target = to_module.parametrizations[name]
        for other, original in zip(target._originals(), source._originals()):
            other.data = original.detach().clone()
    return to_module
