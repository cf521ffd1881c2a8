"""`Optimizer`: what all optimisers share: groups of parameters, their state, and one step for all.

A subclass says three things about one parameter: the state it starts with (`_new_state`), the
numbers of a step (`_numbers`) and its update rule (`_update`), written in tensor operations on the
old values. `step` applies the rule everywhere (update.py) and then has everything computed in one
plan, gradients included: a training loop need not know that values are lazy. Numbers enter the
graph as arguments (`SharedNumbers`), so that a new learning rate compiles nothing, also in
`grad.compile`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grad.autograd.modes import enable_grad, no_grad
from grad.dtype import DType, dtypes
from grad.engine.recording import recording
from grad.graph.node import argument
from grad.nn.state import realize_tensors, zero_gradients
from grad.optim.update import Updates
from grad.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]
Numbers = Mapping[str, Tensor]


class SharedNumbers:
    """The numbers of one step (rates, decays, corrections) as 0-dimensional tensors.

    All are arguments of the graph, constant or not, so that no change of a setting compiles
    anything. Parameters that have one dictionary of numbers share them, which keeps the graph
    small; names keep apart what happens to be equal, so that the graph is the same at every step.

    Args:
        values: for each parameter its numbers by name. A recording fills the list anew at each
            replay.
    """

    def __init__(self, values: Sequence[Mapping[str, float]]) -> None:
        self._values = values
        self._made: dict[tuple[int, DType], dict[str, Tensor]] = {}

    def of(self, position: int, dtype: DType) -> Numbers:
        """The numbers of the parameter at `position`, as tensors of `dtype`."""
        values = self._values[position]
        key = (id(values), dtype)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = {
                name: self._tensor(position, name, value, dtype) for name, value in values.items()
            }
        return found

    def _tensor(self, position: int, name: str, value: float, dtype: DType) -> Tensor:
        node = argument(value, dtype)
        if recording.recorder is not None:
            recording.recorder.argument(node, lambda: self._values[position][name])
        return Tensor._wrap(node)


class Optimizer:
    """Base of all optimisers.

    Args:
        params: parameters, or dictionaries ``{"params": parameters, "lr": ...}``, one per group.
        defaults: settings of groups that do not say otherwise.

    Attributes:
        param_groups: settings and parameters of each group; change ``group["lr"]`` at any time.
        state: what is remembered of each parameter.

    Raises:
        ValueError: no parameters, or a parameter in two groups. TypeError: not parameters.
    """

    _counts_steps = True  # in state["step"]

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got a Tensor; write [parameter]."
            )
        self.defaults = defaults
        self._updates = Updates()
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        given = list(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Group) -> None:
        """Take on more parameters, with settings of their own (to unfreeze a layer, say).

        The parameters' values are computed now if they are pending (fresh random weights), so that
        the first training step is compiled like all others.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs; please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for parameter in params:
            _check_parameter(parameter)
            if id(parameter) in known:
                raise ValueError("some parameters appear in more than one parameter group")
            known.add(id(parameter))
        self.param_groups.append({**self.defaults, **param_group, "params": params})
        realize_tensors(params)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for group in self.param_groups:
            zero_gradients(group["params"], set_to_none)

    # -- the step ----------------------------------------------------------------------------------
    def _new_state(self, parameter: Tensor, group: Group) -> State:
        """What to remember of a parameter that is met for the first time."""
        raise NotImplementedError

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        """The numbers that the update of the group's parameters needs in step number `step`, from
        1 on; 0 if their state counts no steps (`_counts_steps`).
        """
        raise NotImplementedError

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        """The parameter's new value; brings the tensors of `state` up to date. `gradient` is at
        least float32.

        It depends on shapes, types, numbers and the settings in `group` alone, but for the learning
        rate, which is among the numbers (see update.py).
        """
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change all parameters that have a gradient, and compute everything that is pending for
        it.

        Args:
            closure: called first, with gradients enabled; returns the loss.

        Returns:
            What `closure` returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work = [
            (parameter, group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter._grad is not None
        ]
        with no_grad():
            self._start(work)
            numbers = SharedNumbers(self._counted(work))
            changed: list[Tensor] = []
            known = {id(group): self._updates.of(group) for group in self.param_groups}
            rule = self._new_value
            for position, (parameter, group) in enumerate(work):
                gradient = parameter._grad
                state = self.state[parameter]
                number = numbers.of(position, _wide(gradient.dtype))
                updates = known[id(group)]
                self._updates.apply(rule, parameter, gradient, state, group, updates, number)
                changed += gradient, parameter
                changed += [value for value in state.values() if isinstance(value, Tensor)]
        realize_tensors(changed)
        return loss

    def _new_value(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        # Half precision is updated in float32 and rounded once, when it is written.
        wide = gradient.to(_wide(gradient.dtype))
        return self._update(parameter, -wide if group["maximize"] else wide, state, group, number)

    def _counted(self, work: list[tuple[Tensor, Group]]) -> list[dict[str, float]]:
        """The numbers of this step, for each parameter; a recording has them made at each
        replay.
        """
        values: list[dict[str, float]] = []
        groups = [
            (group, [parameter for parameter, own in work if own is group])
            for group in self.param_groups
        ]

        def count() -> None:
            values.clear()
            for group, parameters in groups:
                steps = [0] * len(parameters)
                if self._counts_steps:
                    for number, parameter in enumerate(parameters):
                        state = self.state[parameter]
                        steps[number] = state["step"] = state["step"] + 1
                made = {step: self._numbers(group, step) for step in {*steps}}
                values.extend([made[step] for step in steps])

        def undo() -> None:
            for parameter, _ in work if self._counts_steps else ():
                self.state[parameter]["step"] -= 1

        count()
        if recording.recorder is not None:
            recording.recorder.again(count, undo)
        return values

    def _compile_guards(self, guards: Any) -> None:
        """What a recorded step takes for granted (compile/guards.py): everything but the rates and
        the counts.
        """
        guards.lengths.append((guards.item(self.__dict__, "state"), len(self.state)))
        guards.sequence(guards.item(self.__dict__, "param_groups"))
        for group in self.param_groups:
            guards.lengths.append((group, len(group)))
            for name in group.keys() - {"lr"}:
                guards.item(group, name)
            guards.sequence(group["params"])

    def _start(self, work: list[tuple[Tensor, Group]]) -> None:
        """Make the state of new parameters, in memory: the first step is like all others.

        The loss waits for the step, or its forward pass would be a program of its own, whose values
        the backward pass finds in memory: the first step would be unlike all others.
        """
        fresh: list[Tensor] = []
        for parameter, group in work:
            if parameter not in self.state:
                if recording.recorder is not None:
                    recording.recorder.give_up("an optimiser meets a parameter for the first time")
                state = self.state[parameter] = self._new_state(parameter, group)
                fresh.extend(value for value in state.values() if isinstance(value, Tensor))
        realize_tensors(fresh, alone=True)

    # -- saving ------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """State and settings, with parameters replaced by their numbers, in the order of the
        groups.

        The tensors are the optimiser's own: save them, or copy them before the next step.
        """
        numbers = self._numbered()
        groups = [
            {
                **{name: value for name, value in group.items() if name != "params"},
                "params": [numbers[id(parameter)] for parameter in group["params"]],
            }
            for group in self.param_groups
        ]
        state = {
            numbers[id(p)]: dict(values) for p, values in self.state.items() if id(p) in numbers
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave. Tensors are copied, in the parameter's dtype.

        Raises:
            ValueError: the groups differ in number or size; nothing is changed.
        """
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, groups))
        if any(len(own["params"]) != len(given["params"]) for own, given in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        parameters = {
            number: parameter
            for own, given in pairs
            for number, parameter in zip(given["params"], own["params"])
        }
        with no_grad():
            state = {
                parameters[number]: {
                    n: _copied(n, v, parameters[number]) for n, v in values.items()
                }
                for number, values in state_dict["state"].items()
            }
        self.state = defaultdict(dict, state)
        self.param_groups = [{**given, "params": own["params"]} for own, given in pairs]
        realize_tensors(v for s in state.values() for v in s.values() if isinstance(v, Tensor))

    def _numbered(self) -> dict[int, int]:
        """Identity of each parameter to its number."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        return {id(parameter): number for number, parameter in enumerate(parameters)}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def _wide(dtype: DType) -> DType:
    """The type that a gradient of `dtype` is worked with in."""
    return dtype if dtype.itemsize >= 4 else dtypes.float32


def _check_parameter(parameter: Any) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"optimizer can only optimize Tensors, but one of the params is {type(parameter)}"
        )
    if not parameter.is_leaf:
        raise ValueError(
            "can't optimize a non-leaf Tensor; pass the leaf that it was computed from."
        )


def _copied(name: str, value: Any, parameter: Tensor) -> Any:
    """A loaded piece of state, made the optimiser's own."""
    if not isinstance(value, Tensor):
        return value
    if name == "step":  # PyTorch keeps the step count in a tensor
        return int(value.item())
    return value.detach().to(parameter.dtype).clone()


def check_not_negative(**settings: float) -> None:
    """Raise ValueError for a setting that is negative (or NaN); names as in PyTorch's messages."""
    for name, value in settings.items():
        if not value >= 0.0:
            label = "learning rate" if name == "lr" else f"{name} value"
            raise ValueError(f"Invalid {label}: {value}")
