"""What is done to all parameters and buffers of a module: collect, convert, clear.

`module.py` offers these as methods; here they are functions. `loading.py` is the opposite of
`collect`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from grad.autograd.modes import no_grad
from grad.dtype import DType
from grad.engine import settle
from grad.engine.recording import recording
from grad.errors import DTypeError
from grad.nn.parameter import Buffer, is_lazy
from grad.tensor import Tensor


def collect(
    module: Any, destination: dict[str, Any] | None, prefix: str, keep_vars: bool
) -> OrderedDict[str, Any]:
    """See `Module.state_dict`; `prefix` (PyTorch ends it with a dot) is put before each name."""
    result: Any = destination
    if result is None:
        result = OrderedDict()
        result._metadata = OrderedDict()
    metadata = {"version": module._version}
    if hasattr(result, "_metadata"):
        result._metadata[prefix[:-1]] = metadata
    for hook in list(module._state_dict_pre_hooks.values()):
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(result, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=result, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook, public in list(module._state_dict_hooks.values()):
        replaced = hook(module, result, prefix, metadata)
        if replaced is not None:
            if public:
                raise RuntimeError("state_dict post-hook must return None")
            result = replaced
    return result


def collect_own(module: Any, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
    """Parameters, persistent buffers and extra state of `module` alone."""
    for name, member in persistent(module).items():
        kept = keep_vars or is_lazy(member)
        destination[prefix + name] = member if kept else member.detach()


def persistent(module: Any) -> dict[str, Any]:
    """The parameters and buffers of `module` alone that belong in a state dict."""
    skipped = module._non_persistent_buffers_set
    members = {**module._parameters}
    members.update((n, b) for n, b in module._buffers.items() if n not in skipped)
    return {name: member for name, member in members.items() if member is not None}


def realize_tensors(tensors: Iterable[Tensor], alone: bool = False) -> None:
    """Compute the memory of all `tensors` in one go, unless a recording computes it later; with
    `alone`, what is to be computed soon still waits.
    """
    nodes = [tensor._storage.node for tensor in tensors]
    if nodes:
        settle(nodes, alone)


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients, or write zeros into them."""
    changes = recording.changes
    for parameter in parameters:
        if set_to_none:
            if changes is not None:
                changes.gradient_set(parameter)
            parameter._grad = None
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
    memory_format: Any = None,
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
    """Replace the values of the parameters, gradients and buffers of `module` alone by
    ``function(value)``.

    Parameters stay the same objects, so that an optimiser that holds them goes on working.
    """
    with no_grad():
        for parameter in module._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            parameter.grad = None
            parameter.data = function(parameter.detach())
            if gradient is not None:
                parameter.grad = function(gradient.detach())
        for name, buffer in module._buffers.items():
            if buffer is None:
                continue
            if is_lazy(buffer):
                buffer.data = function(buffer.detach())
                continue
            changed = function(buffer)
            if isinstance(buffer, Buffer) and not isinstance(changed, Buffer):
                changed = Buffer(changed, persistent=buffer.persistent)
            module._buffers[name] = changed
