"""`load_state_dict`: names and shapes are checked before anything is written.

`load` asks each module of the tree for its own part (`Module._load_from_state_dict`, which classes
may extend); the usual answer, `load_own`, checks, and leaves what is to be written with the
`Problems`. Only when there are none is it written. `state.py` collects what is loaded here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from grad.autograd.modes import no_grad
from grad.nn.parameter import Parameter, is_lazy
from grad.nn.state import persistent, realize_tensors
from grad.tensor import Tensor

EXTRA_STATE = "_extra_state"


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


class Problems(list[str]):
    """Messages of what does not fit, and what is to be written if there are none.

    Attributes:
        writes: functions that write, each giving the tensors that it wrote to.
    """

    def __init__(self, messages: Iterable[str] = ()) -> None:
        super().__init__(messages)
        self.writes: list[Callable[[], Iterable[Tensor]]] = []

    def write(self) -> None:
        """Do what was left to do, and compute it at once, so that what was given (a mapped file,
        say) is not kept by a pending graph.
        """
        with no_grad():
            written = [tensor for write in self.writes for tensor in write()]
        realize_tensors(written)
        self.writes.clear()


def load(module: Any, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """See `Module.load_state_dict`."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given)}.")
    state: Any = OrderedDict(given)
    metadata = getattr(given, "_metadata", None)
    if metadata is not None:
        state._metadata = metadata
    keys, problems = IncompatibleKeys([], []), Problems()
    hooks: list[Callable[[], Any]] = []
    _visit(module, state, "", (metadata or {}, assign), keys, problems, hooks)
    if hooks and not problems:
        problems.write()  # hooks are to find the values
    for hook in hooks:
        if hook() is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to "
                "return new values, if incompatible_keys need to be modified, it should be done "
                "inplace."
            )
    messages = [*(_key_problems(keys) if strict else ()), *problems]
    if messages:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t"
            + "\n\t".join(messages)
        )
    problems.write()
    return keys


def _visit(
    module: Any,
    state: dict[str, Any],
    prefix: str,
    options: tuple[Mapping[str, Any], bool],
    keys: IncompatibleKeys,
    problems: Problems,
    hooks: list[Callable[[], Any]],
) -> None:
    """Ask `module`, then its sub-modules; `hooks` gets what is to be called in the end."""
    metadata, assign = options
    local = dict(metadata.get(prefix[:-1], {}))
    if assign:
        local["assign_to_params_buffers"] = True
    module._load_from_state_dict(state, prefix, local, True, *keys, problems)
    for name, child in module._modules.items():
        if child is not None:
            start = f"{prefix}{name}."
            part = {key: value for key, value in state.items() if key.startswith(start)}
            _visit(child, part, start, options, keys, problems, hooks)
    for hook in module._load_state_dict_post_hooks.values():
        hooks.append(lambda hook=hook: hook(module, keys))


def _key_problems(keys: IncompatibleKeys) -> list[str]:
    rows = (("Missing", keys.missing_keys), ("Unexpected", keys.unexpected_keys))
    return [
        f"{what} key(s) in state_dict: " + ", ".join(f'"{name}"' for name in names) + ". "
        for what, names in rows
        if names
    ]


# -- one module ------------------------------------------------------------------------------------
def load_own(
    module: Any,
    state: dict[str, Any],
    prefix: str,
    local_metadata: Mapping[str, Any],
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
) -> None:
    """See `Module._load_from_state_dict`."""
    for hook, with_module in list(module._load_state_dict_pre_hooks.values()):
        given = (state, prefix, local_metadata, strict, missing, unexpected, errors)
        hook(module, *given) if with_module else hook(*given)
    problems = errors if isinstance(errors, Problems) else Problems()
    assign = bool(local_metadata.get("assign_to_params_buffers", False))
    own = persistent(module)
    for name, current in own.items():
        key = prefix + name
        if key not in state:
            if strict:
                missing.append(key)
            continue
        value = state[key]
        if _outdated_scalar(current, value):
            value = value[0]
        message = _misfit(key, current, value)
        if message:
            problems.append(message)
        else:
            problems.writes.append(_writing(module, name, current, value, assign))
    _extra_state(module, state, prefix + EXTRA_STATE, strict, missing, unexpected, problems)
    if strict:
        unexpected.extend(_unknown(module, state, prefix, own))
    if problems is not errors:  # a caller's own list: there is nobody to write later
        errors.extend(problems)
        problems.write()


def _outdated_scalar(current: Tensor, value: Any) -> bool:
    """Whether a number was saved with one axis, as PyTorch did long ago."""
    if is_lazy(current) or not isinstance(value, Tensor) or is_lazy(value):
        return False
    return not current.shape and tuple(value.shape) == (1,)


def _misfit(name: str, current: Tensor, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{name}", expected Tensor or Tensor-like object '
            f"from checkpoint but received {type(value)}; convert it: grad.tensor(value)."
        )
    if is_lazy(current):
        return None
    if is_lazy(value):
        return f"{name}: the checkpoint has no values yet, the model is already initialized."
    if tuple(value.shape) != tuple(current.shape):
        return (
            f"size mismatch for {name}: copying a param with shape {tuple(value.shape)} from "
            f"checkpoint, the shape in current model is {tuple(current.shape)}."
        )
    return None


def _writing(
    module: Any, name: str, current: Any, value: Any, assign: bool
) -> Callable[[], Iterable[Tensor]]:
    def write() -> Iterable[Tensor]:
        if is_lazy(value):
            return ()
        if assign:
            placed = value
            if isinstance(current, Parameter):
                if not isinstance(value, Parameter):
                    placed = Parameter(value, requires_grad=current.requires_grad)
                else:
                    placed.requires_grad_(current.requires_grad)
            setattr(module, name, placed)
            return (placed,)
        if is_lazy(current):
            current.materialize(tuple(value.shape))
        current.copy_(value)
        return (current,)

    return write


def _extra_state(
    module: Any,
    state: dict[str, Any],
    key: str,
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    problems: Problems,
) -> None:
    if not module._has_extra_state("set_extra_state"):
        if strict and key in state:
            unexpected.append(key)
    elif key in state:
        value = state[key]
        problems.writes.append(lambda: module.set_extra_state(value) or ())
    elif strict:
        missing.append(key)


def _unknown(
    module: Any, state: Mapping[str, Any], prefix: str, own: Mapping[str, Any]
) -> Iterable[str]:
    """The keys that belong neither to `module` nor to a sub-module."""
    extra = prefix + EXTRA_STATE
    for key in state:
        if key.startswith(prefix) and key != extra:
            first, dot, _ = key[len(prefix) :].partition(".")
            if first not in (module._modules if dot else own):
                yield key
