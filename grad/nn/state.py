"""What is done to all parameters and buffers of a module at once: collect, load, convert, clear.

`module.py` offers these as methods; here they are functions over the tree, which they walk through
`named_modules` only. `load` checks everything before it writes anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from grad.autograd.modes import no_grad
from grad.dtype import DType
from grad.engine import settle
from grad.errors import DTypeError
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """Names that `load_state_dict` did not find, and names that it had no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def _members(module: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield ``(dotted name, table, name in the table)`` of all that belongs in a state dict."""
    for module_name, part in module.named_modules(prefix=prefix, remove_duplicate=False):
        start = f"{module_name}." if module_name else ""
        for name, parameter in part._parameters.items():
            if parameter is not None:
                yield start + name, part._parameters, name
        for name, buffer in part._buffers.items():
            if buffer is not None and name not in part._non_persistent:
                yield start + name, part._buffers, name


def collect(
    module: Any, destination: dict[str, Any] | None, prefix: str, keep_vars: bool
) -> OrderedDict[str, Any]:
    """See `Module.state_dict`; `prefix` (PyTorch ends it with a dot) is put before each name."""
    result: Any = OrderedDict() if destination is None else destination
    for name, table, key in _members(module):
        member = table[key]
        result[prefix + name] = member if keep_vars else member.detach()
    return result


def load(module: Any, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """See `Module.load_state_dict`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given)}.")
    members = list(_members(module))
    expected = {name for name, _, _ in members}
    keys = IncompatibleKeys(
        [name for name, _, _ in members if name not in given],
        [name for name in given if name not in expected],
    )
    problems = _key_problems(keys) if strict else []
    found = [member for member in members if member[0] in given]
    for name, table, key in found:
        problems += _value_problems(name, table[key], given[name])
    if problems:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t"
            + "\n\t".join(problems)
        )
    with no_grad():
        for name, table, key in found:
            if assign:
                table[key] = _placed(table[key], given[name])
            else:
                table[key].copy_(given[name])
    # At once, so that what was given (a mapped file, say) is not kept by a pending graph.
    realize_tensors(table[key] for _, table, key in found)
    return keys


def _key_problems(keys: IncompatibleKeys) -> list[str]:
    rows = (("Missing", keys.missing_keys), ("Unexpected", keys.unexpected_keys))
    return [
        f"{what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names) + ". "
        for what, names in rows
        if names
    ]


def _value_problems(name: str, current: Tensor, value: Any) -> list[str]:
    if not isinstance(value, Tensor):
        return [
            f'While copying the parameter named "{name}", expected Tensor or Tensor-like object '
            f"from checkpoint but received {type(value)}; convert it: grad.tensor(value)."
        ]
    if tuple(value.shape) != tuple(current.shape):
        return [
            f"size mismatch for {name}: copying a param with shape {tuple(value.shape)} from "
            f"checkpoint, the shape in current model is {tuple(current.shape)}."
        ]
    return []


def _placed(current: Tensor, value: Tensor) -> Tensor:
    """`value` made ready to stand where `current` stood."""
    if isinstance(current, Parameter) and not isinstance(value, Parameter):
        return Parameter(value, requires_grad=current.requires_grad)
    return value


def realize_tensors(tensors: Iterable[Tensor], alone: bool = False) -> None:
    """Compute the memory of all `tensors` in one go, unless a recording computes it later; with
    `alone`, what is to be computed soon still waits.
    """
    nodes = [tensor._storage.node for tensor in tensors]
    if nodes:
        settle(nodes, alone)


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients, or write zeros into them."""
    for parameter in parameters:
        if set_to_none:
            parameter.grad = None
            continue
        if parameter.grad is None:
            continue
        with no_grad():
            gradient = parameter.grad
            if gradient.grad_fn is not None:
                parameter.grad = gradient = gradient.detach()
            gradient.zero_()


class Conversion(NamedTuple):
    """What `Module.to` was asked for; None leaves a thing as it is."""

    device: Any
    dtype: DType | None

    def convert(self, tensor: Tensor) -> Tensor:
        """`tensor` on the device, and of the dtype if it is floating."""
        if self.dtype is not None and tensor.dtype.is_floating_point:
            tensor = tensor.to(self.dtype)
        return tensor if self.device is None else tensor.to(self.device)


def conversion_target(
    *args: Any,
    device: Any = None,
    dtype: DType | None = None,
    tensor: Tensor | None = None,
    non_blocking: bool = False,
) -> Conversion:
    """Read the arguments of `Module.to` in any of its forms."""
    for value in args:
        if isinstance(value, Tensor):
            tensor = value
        elif isinstance(value, DType):
            dtype = value
        elif not isinstance(value, bool) and value is not None:
            device = value
    if tensor is not None:
        device, dtype = tensor.device, tensor.dtype
    if dtype is not None and not dtype.is_floating_point:
        raise DTypeError(
            f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}; "
            "for an integer buffer convert that one: module.buffer.to(dtype)."
        )
    return Conversion(device, dtype)


def convert(module: Any, function: Callable[[Tensor], Tensor]) -> None:
    """Replace the values of all parameters, gradients and buffers by ``function(value)``.

    Parameters stay the same objects, so that an optimiser that holds them goes on working.
    """
    done: set[int] = set()
    with no_grad():
        for part in module.modules():
            for parameter in part._parameters.values():
                if parameter is None or id(parameter) in done:
                    continue
                done.add(id(parameter))
                gradient = parameter.grad
                parameter.grad = None
                parameter.data = function(parameter.detach())
                if gradient is not None:
                    parameter.grad = function(gradient.detach())
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = function(buffer)
