"""`Optimizer`: parameters in groups with settings, what is remembered of them, saving, hooks.

This is what a user's own optimiser extends: with a `step` that changes the parameters. The
optimisers of the library say only how one parameter changes (rule.py). hooks.py and saving.py have
what is behind the methods.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from grad.engine.recording import recording
from grad.errors import a_kind_of
from grad.nn.hooks import RemovableHandle
from grad.nn.state import realize_tensors, zero_gradients
from grad.optim.hooks import (
    Hook,
    Hooks,
    add,
    hooked,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from grad.optim.saving import Group, State, packed, tensors_of, unpacked
from grad.tensor import Tensor

__all__ = [
    "Optimizer",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]


class _Required:
    """Stands in `defaults` for a setting that each group must say itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """Base of all optimisers.

    Args:
        params: parameters, pairs of names and parameters (``model.named_parameters()``), or
            dictionaries ``{"params": parameters, "lr": ...}``, one per group.
        defaults: settings of groups that do not say otherwise.

    Attributes:
        param_groups: settings and parameters of each group; change ``group["lr"]`` at any time.
        state: what is remembered of each parameter.

    Raises:
        ValueError: no parameters, or a parameter in two groups. TypeError: not parameters.

    Example:
        >>> class SignDescent(Optimizer):
        ...     def __init__(self, params, lr=0.1):
        ...         super().__init__(params, {"lr": lr})
        ...
        ...     @no_grad()
        ...     def step(self, closure=None):
        ...         for group in self.param_groups:
        ...             for p in group["params"]:
        ...                 if p.grad is not None:
        ...                     p.add_(p.grad.sign(), alpha=-group["lr"])
    """

    # The pieces of state that are Python numbers, and tensors in a state dict.
    _counts: ClassVar[tuple[str, ...]] = ()
    # For schedulers: whether `step` has been called, and what the last one found in its place.
    _opt_called = False
    _scheduled_step: Callable[..., Any] | None = None
    # Whether `step` is running, for hooks.
    _in_step = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got a Tensor; write [parameter]."
            )
        if not isinstance(params, Iterable):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {a_kind_of(params)}, which is not iterable; write "
                f"model.parameters()."
            )
        self.defaults = defaults
        self._hooks = Hooks()
        self.state = defaultdict(dict)
        self.param_groups: list[Group] = []
        given = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    @property
    def state(self) -> defaultdict[Any, State]:
        # A replay counts its steps, but does not run the Python that looks at the counts.
        if self._counts and recording.recorder is not None:
            recording.recorder.give_up("it reads the state of an optimiser, which counts steps")
        return self.__dict__["state"]

    @state.setter
    def state(self, state: defaultdict[Any, State]) -> None:
        self.__dict__["state"] = state

    def add_param_group(self, param_group: Group) -> None:
        """Take on more parameters, with settings of their own (to unfreeze a layer, say).

        The parameters' values are computed now if they are pending (fresh random weights), so that
        the first training step is compiled like all others.

        Raises:
            TypeError: not a dictionary, or not parameters in an order.
            ValueError: a parameter that another group has, that is no leaf, or that has a name
                where others have none.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        _order(param_group)
        for parameter in param_group["params"]:
            _check_parameter(parameter, bool(self.defaults.get("differentiable")))
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        self._check_against_others(param_group)
        self.param_groups.append(param_group)
        realize_tensors(param_group["params"])

    def _check_against_others(self, new: Group) -> None:
        given = {id(parameter) for parameter in new["params"]}
        if len(given) != len(new["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is changed "
                "as often as it is named.",
                stacklevel=4,
            )
        named = "param_names" in new
        if any(("param_names" in group) != named for group in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if named else 'without'} names to the optimizer"
            )
        if any(id(parameter) in given for g in self.param_groups for parameter in g["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for group in self.param_groups:
            zero_gradients(group["params"], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change all parameters that have a gradient.

        Args:
            closure: called first, with gradients enabled; returns the loss.

        Returns:
            What `closure` returned, or None.
        """
        raise NotImplementedError

    # -- hooks -------------------------------------------------------------------------------------
    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return other ``(args,
        kwargs)``.
        """
        return add(self._hooks.step_pre, hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return add(self._hooks.step_post, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before `state_dict` collects."""
        return add(self._hooks.state_dict_pre, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` on what `state_dict` has collected; it may return
        another dictionary.
        """
        return add(self._hooks.state_dict_post, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before a dictionary is loaded; it may return
        another. It is given a shallow copy.
        """
        return add(self._hooks.load_pre, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a dictionary has been loaded."""
        return add(self._hooks.load_post, hook, prepend)

    # -- saving ------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """State and settings, with parameters replaced by their numbers, in the order of the
        groups; the same names, shapes and types as PyTorch's.

        The tensors are the optimiser's own: save them, or copy them before the next step.
        """
        for hook in self._hooks.state_dict_pre.values():
            hook(self)
        result = packed(self.param_groups, self.state, self._counts)
        for hook in self._hooks.state_dict_post.values():
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Tensors are copied, in the parameter's dtype.

        Raises:
            ValueError: the groups differ in number or size; nothing is changed.
        """
        given: Mapping[str, Any] = dict(state_dict)
        for hook in self._hooks.load_pre.values():
            replaced = hook(self, given)
            given = given if replaced is None else replaced
        state, groups = unpacked(given, self.param_groups, self._counts)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._hooks.load_post.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Of a copy, hooks are left out, as PyTorch does; what is loaded brings no `defaults`.
        self.__dict__.update(state)
        self.__dict__.setdefault("_hooks", Hooks())
        for group in self.param_groups:  # from before a setting existed
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        realize_tensors(tensors_of(self.state))

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
            lines.append("")
        return "\n".join([*lines[:-1], ")"])


def _order(group: Group) -> None:
    """Make a list of the group's parameters, and one of their names if they have any."""
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the "
            "ordering of tensors in sets will change between runs. Please use a list instead."
        )
    given = [params] if isinstance(params, Tensor) else list(params)
    names = [entry[0] for entry in given if isinstance(entry, tuple)]
    if names and len(names) != len(given):
        raise ValueError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    group["params"] = [entry[1] if isinstance(entry, tuple) else entry for entry in given]
    if names:
        group["param_names"] = names


def _check_parameter(parameter: Any, differentiable: bool) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"optimizer can only optimize Tensors, but one of the params is {type(parameter)}"
        )
    if not (differentiable or parameter.is_leaf or parameter.retains_grad):
        raise ValueError(
            "can't optimize a non-leaf Tensor; pass the leaf that it was computed from."
        )
