"""`Module`: a tree of parameters, buffers and sub-modules with a forward function.

Setting an attribute files it: a `Parameter` among the parameters, a `Module` among the sub-modules,
a tensor under a registered name among the buffers. Everything else here is a walk over that tree.
The names in a state dict are the attribute names joined by dots, PyTorch's, so that checkpoints
load in either library. `parameter.py` first; `containers.py` and the layers build on this. What is
done to all of a tree is in `state.py` and `loading.py`, a call with hooks in `calling.py`.

This file is long because a module has many methods by PyTorch's interface; none of them is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self

from grad.compile import compile
from grad.dtype import as_dtype, dtypes
from grad.nn import loading, state
from grad.nn.calling import call
from grad.nn.hooks import EVERYWHERE, HookTable, RemovableHandle, registered
from grad.nn.parameter import Buffer, Parameter
from grad.tensor import Tensor

_TABLES = ("_parameters", "_buffers", "_modules")
_HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Module:
    """Base of everything that has parameters.

    Subclasses call ``super().__init__()`` first, set their parameters and sub-modules as attributes
    and define `forward`.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = Parameter(Tensor.ones(1))
        ...     def forward(self, x):
        ...         return x * self.factor
    """

    training: bool
    # Written into state dicts; a class that changes what it saves counts up.
    _version: ClassVar[int] = 1
    # Where guards of grad.compile find hooks of all modules.
    _hooks_everywhere: ClassVar[dict[int, Any]] = EVERYWHERE.calls

    def __init__(self) -> None:
        # Straight into __dict__: __setattr__ needs these tables.
        self.__dict__.update(
            training=True,
            _compiled_call_impl=None,
            _parameters={},
            _buffers={},
            _modules={},
            _non_persistent_buffers_set=set(),
            **{name: HookTable() for name in _HOOK_TABLES},
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; call the module itself, which also runs the hooks."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        if (
            own["_forward_hooks"]
            or own["_forward_pre_hooks"]
            or own["_backward_hooks"]
            or own["_backward_pre_hooks"]
            or EVERYWHERE.calls
            or own["_compiled_call_impl"]
        ):
            return (own["_compiled_call_impl"] or self._call_impl)(*args, **kwargs)
        return self.forward(*args, **kwargs)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        """A call that is not compiled: `forward`, with the hooks around it."""
        return call(self, args, kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Have calls of this module recorded and replayed, by ``grad.compile(...)`` in place.

        Names in the state dict stay as they are. Copies of the module are not compiled.
        """
        self.__dict__["_compiled_call_impl"] = compile(self._call_impl, *args, **kwargs)

    # -- attributes ------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_parameters" not in own:
            if isinstance(value, Parameter | Module):
                raise AttributeError(
                    f"cannot assign {type(value).__name__} {name!r} before Module.__init__() call; "
                    "write super().__init__() first."
                )
            object.__setattr__(self, name, value)
            return
        table = _table_for(own, name, value)
        if table is None:
            object.__setattr__(self, name, value)
            return
        for other in (own, *(own[t] for t in _TABLES)):
            if other is not table:
                other.pop(name, None)
        skipped = own["_non_persistent_buffers_set"]
        if table is not own["_buffers"]:
            skipped.discard(name)
        elif isinstance(value, Buffer):
            (skipped.discard if value.persistent else skipped.add)(name)
        if value is not None:
            value = registered(_registration(own, table), self, name, value)
        table[name] = value

    def __getattr__(self, name: str) -> Any:
        # Only reached when ordinary look-up failed.
        own = self.__dict__
        for table in _TABLES:
            if table in own and name in own[table]:
                return own[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in _TABLES:
            if name in self.__dict__[table]:
                del self.__dict__[table][name]
                self.__dict__["_non_persistent_buffers_set"].discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*object.__dir__(self), *(n for t in _TABLES for n in self.__dict__.get(t, ()))}
        return sorted(name for name in names if not name[:1].isdigit())

    def __getstate__(self) -> dict[str, Any]:
        # What was recorded stays here: it works on this module's memory.
        return {**self.__dict__, "_compiled_call_impl": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # What was pickled before a table existed gets an empty one.
        self.__dict__.update(state)
        for name in _HOOK_TABLES:
            self.__dict__.setdefault(name, HookTable())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_compiled_call_impl", None)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """File `param` under `name`; None keeps the name for a parameter that is left out."""
        self._check_name(name, "parameter", "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required); wrap it: nn.Parameter(tensor)."
            )
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a computed tensor to parameter '{name}': parameters are leaves; "
                "compute it in forward, or use nn.Parameter(x.detach())."
            )
        if param is not None:
            param = registered(EVERYWHERE.parameter, self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """File a tensor that is state but no parameter; `persistent`: part of the state dict."""
        self._check_name(name, "buffer", "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        if tensor is not None:
            tensor = registered(EVERYWHERE.buffer, self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """File a sub-module under `name`, which need not be a Python identifier (``"0"``)."""
        if module is not None and not isinstance(module, Module):
            raise no_module(module)
        self._check_name(name, "module", "_modules")
        if module is not None:
            module = registered(EVERYWHERE.module, self, name, module)
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, what: str, table: str) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in self.__dict__[table] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # -- the tree --------------------------------------------------------------------------------
    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield ``(name, module)``, this one first (named ``""``), parents before children."""
        seen = set() if memo is None else memo
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if remove_duplicate:
                if module in seen:
                    continue
                seen.add(module)
            yield name, module
            start = f"{name}." if name else ""
            for child_name, child in reversed(module._modules.items()):
                if child is not None:
                    stack.append((start + child_name, child))

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield ``(name, module)`` of the sub-modules directly below, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the sub-modules directly below, each once."""
        return (module for _, module in self.named_children())

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        tree = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        seen: set[int] = set()
        for module_name, module in tree:
            start = f"{module_name}." if module_name else ""
            for name, member in module.__dict__[table].items():
                if member is None or (remove_duplicate and id(member) in seen):
                    continue
                seen.add(id(member))
                yield start + name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield ``(dotted name, parameter)``; a shared parameter once, under its first name."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield ``(dotted name, buffer)``, each once."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module called `target` (dotted; ``""`` is this one)."""
        module: Module = self
        for name in target.split(".") if target else ():
            module = _attribute(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` in the place called `target` (dotted), which must exist if `strict`."""
        owner, _, name = target.rpartition(".")
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        parent = self.get_submodule(owner)
        if (strict or hasattr(parent, name)) and not isinstance(_attribute(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter called `target` (dotted)."""
        owner, _, name = target.rpartition(".")
        found = _attribute(self.get_submodule(owner), name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer called `target` (dotted)."""
        owner, _, name = target.rpartition(".")
        module = self.get_submodule(owner)
        found = _attribute(module, name)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on each module below and then on this one (to set weights, say)."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- settings of the whole tree --------------------------------------------------------------
    def train(self, mode: bool = True) -> Self:
        """Set `training` of all modules, which dropout obeys."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """The same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set whether the parameters get gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients, or set them to zero."""
        state.zero_gradients(self.parameters(), set_to_none)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert parameters and buffers: ``to(dtype)``, ``to(device, dtype)`` or ``to(tensor)``.

        A dtype must be floating and is given to floating members only, as in PyTorch.
        """
        target = state.conversion_target(*args, **kwargs)
        return self._apply(lambda tensor: target.convert(tensor))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the values of all parameters, gradients and buffers by ``fn(value)``."""
        for module in self.children() if recurse else ():
            module._apply(fn)
        state.convert(self, fn)
        return self

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move to `device`, without the values."""
        return self._apply(lambda t: Tensor.empty_like(t, device=device), recurse)

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to `dst_type`, integers as well."""
        return self._apply(lambda tensor: tensor.to(as_dtype(dst_type)))

    def float(self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def double(self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def half(self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self.to(dtypes.bfloat16)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Move to a CUDA device. Raises DeviceError where there is none."""
        named = device is not None and not isinstance(device, int)
        return self.to(device if named else f"cuda:{device or 0}")

    # -- state ------------------------------------------------------------------------------------
    def state_dict(
        self,
        *args: Any,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> OrderedDict[str, Any]:
        """Dotted names to parameters and persistent buffers, sharing memory with them.

        `keep_vars` gives the parameters themselves instead of detached tensors. The versions of the
        modules' classes are in the attribute `_metadata` of a dictionary that is made here.
        """
        if args:  # PyTorch's order of old
            given = dict(zip(("destination", "prefix", "keep_vars"), args))
            return self.state_dict(
                **{"destination": destination, "prefix": prefix, "keep_vars": keep_vars, **given}
            )
        return state.collect(self, destination, prefix, keep_vars)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """Put into `destination` what this module alone has; classes may add to it."""
        state.collect_own(self, destination, prefix, keep_vars)
        if self._has_extra_state("get_extra_state"):
            destination[prefix + loading.EXTRA_STATE] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> loading.IncompatibleKeys:
        """Copy values in, or with `assign` put the given tensors in their place.

        Nothing is changed unless everything fits (where hooks come after loading, names excepted).

        Returns:
            The names that were missing and those that were not expected (both empty when `strict`).

        Raises:
            RuntimeError: names (when `strict`) or shapes do not fit.
        """
        return loading.load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take out of `state_dict` what this module alone has; classes may change it first.

        What does not fit is appended to the three lists. What fits is written in the end, once all
        modules were asked.
        """
        loading.load_own(
            self,
            state_dict,
            prefix,
            local_metadata,
            strict,
            missing_keys,
            unexpected_keys,
            error_msgs,
        )

    def get_extra_state(self) -> Any:
        """What else belongs in the state dict; overridden together with `set_extra_state`."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called."
        )

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called."
        )

    def _has_extra_state(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Module, method)

    # -- hooks ------------------------------------------------------------------------------------
    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before `forward`; what it returns, if not None, replaces
        args.

        With `with_kwargs`: ``hook(module, args, kwargs)``, returning both or None.
        """
        return self._forward_pre_hooks.add(hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, result)`` after `forward`; what it returns replaces the result.

        With `with_kwargs`: ``hook(module, args, kwargs, result)``. With `always_call` also when
        `forward` raises (`result` is None then).
        """
        return self._forward_hooks.add(
            hook, prepend, with_kwargs=with_kwargs, always_call=always_call
        )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before gradients go back through the module; what it
        returns, if not None, replaces them.
        """
        return self._backward_pre_hooks.add(hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's
        positional inputs are known; what it returns, if not None, replaces `grad_input`.
        """
        return self._backward_hooks.add(hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before `state_dict` collects."""
        return self._state_dict_pre_hooks.add(hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` on what was collected, which it
        may change in place.
        """
        return self._state_dict_hooks.add((hook, True))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As `register_state_dict_post_hook`; the hook may return another dictionary."""
        return self._state_dict_hooks.add((hook, False))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`` before the module takes its part of `state_dict`.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """As `register_load_state_dict_pre_hook`, without the module unless `with_module`."""
        return self._load_state_dict_pre_hooks.add((hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading; it may change the keys."""
        return self._load_state_dict_post_hooks.add(hook)

    # -- printing ---------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """The settings to print between the brackets."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + _indented(repr(module)) for name, module in self._modules.items()
        ]
        name = self._get_name()
        if not children and len(lines) <= 1:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join(lines + children) + "\n)"


def no_module(value: object) -> TypeError:
    """The error for a `value` that was given for a module."""
    hint = ""
    if isinstance(value, type):
        hint = f"; make an object of the class: {value.__name__}(...)"
    elif isinstance(value, list | tuple):
        hint = "; give the modules one by one: Sequential(*modules)"
    elif callable(value):
        hint = "; functions have modules, as relu has nn.ReLU(), or a Module of yours may call them"
    return TypeError(f"{type(value).__name__} is not a Module subclass{hint}")


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _table_for(own: dict[str, Any], name: str, value: Any) -> dict[str, Any] | None:
    """The table that `value` is filed in under `name`; None: an ordinary attribute."""
    if isinstance(value, Parameter):
        return own["_parameters"]
    if name in own["_parameters"]:
        if value is not None:
            raise TypeError(
                f"cannot assign '{type(value).__name__}' as parameter '{name}' "
                "(nn.Parameter or None expected); wrap it: nn.Parameter(tensor)."
            )
        return own["_parameters"]
    if isinstance(value, Module):
        return own["_modules"]
    if name in own["_modules"]:
        if value is not None:
            raise TypeError(
                f"cannot assign '{type(value).__name__}' as child module '{name}' "
                "(nn.Module or None expected)"
            )
        return own["_modules"]
    if name in own["_buffers"]:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"cannot assign '{type(value).__name__}' as buffer '{name}' "
                "(Tensor or None expected)"
            )
        return own["_buffers"]
    return own["_buffers"] if isinstance(value, Buffer) else None


def _registration(own: dict[str, Any], table: dict[str, Any]) -> HookTable:
    """The hooks of all modules that are told what is filed in `table`."""
    if table is own["_parameters"]:
        return EVERYWHERE.parameter
    return EVERYWHERE.module if table is own["_modules"] else EVERYWHERE.buffer


def _attribute(module: Module, name: str) -> Any:
    if not hasattr(module, name):
        raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
    return getattr(module, name)
