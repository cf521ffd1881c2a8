"""`RuleOptimizer`: an optimiser given by what happens to one parameter; its step is one plan.

A subclass says three things: the state a parameter starts with (`_new_state`), the numbers of a
step (`_numbers`) and its update rule (`_update`), written in tensor operations on the old values.
`step` applies the rule to all parameters (update.py) and then has everything computed in one plan,
gradients included: a training loop need not know that values are lazy. Settings that are numbers
enter the graph as arguments (numbers.py), so a new learning rate, momentum or step count compiles
nothing, also in `grad.compile`. `step` first, then `_counted`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from grad.autograd.modes import enable_grad, no_grad
from grad.compile.guards import Unguarded
from grad.dtype import DType, dtypes
from grad.engine.recording import recording
from grad.nn.state import realize_tensors
from grad.optim.hooks import step_hooks
from grad.optim.numbers import Numbers, SharedNumbers, is_on
from grad.optim.optimizer import Optimizer
from grad.optim.saving import MASTER, Group, State
from grad.optim.undo import Undo
from grad.optim.update import Updates
from grad.tensor import Tensor

# The setting, and the piece of state, of parameters that have a copy of higher precision.
MASTERS = "master_weights"


class RuleOptimizer(Optimizer):
    """Base of the optimisers that change each parameter by a rule.

    PyTorch's hints on how to compute are kept among the settings: `foreach`, `fused` and
    `capturable` change nothing, as every step is one plan of fused kernels that can be recorded.
    With `differentiable` a step is itself differentiated: gradients flow from the new parameters
    (which must not be leaves) to the gradients and the old ones.

    With `master_weights` (also a setting of a group) half-precision parameters are trained as if
    they were float32: the state has a float32 copy of each, ``master_param``, and is float32
    itself. A parameter that was written to elsewhere goes on from what was written. Without it they
    are updated in float32 as well, but rounded at each step, so small changes are lost.

    Raises:
        RuntimeError: `fused` together with `foreach` or `differentiable`; `master_weights` together
            with `differentiable`.
    """

    # Settings whose values enter as numbers, whatever they are.
    _arguments: ClassVar[frozenset[str]] = frozenset(("lr",))
    # Settings whose values enter as numbers, and that have no part in the rule when they are zero.
    _switches: ClassVar[tuple[str, ...]] = ("weight_decay",)
    _counts: ClassVar[tuple[str, ...]] = ("step",)
    # Whether a parameter has any state under all settings.
    _always_has_state: ClassVar[bool] = True

    def __init__(
        self, params: Iterable[Any], defaults: Group, master_weights: bool = False
    ) -> None:
        # Only where it is wanted, so that a state dict is PyTorch's.
        super().__init__(params, {**defaults, MASTERS: True} if master_weights else defaults)
        if master_weights and defaults.get("differentiable"):
            raise RuntimeError("`master_weights` does not support `differentiable`")
        if defaults.get("fused"):
            if defaults.get("differentiable"):
                raise RuntimeError("`fused` does not support `differentiable`")
            if defaults.get("foreach"):
                raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        self._prepare()

    def _prepare(self) -> None:
        """What is worked out from the defaults, and learnt from updates."""
        self._updates = Updates()
        numbers = self._arguments.union(self._switches)
        self._choices = tuple([name for name in self.defaults if name not in numbers])

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._prepare()

    @property
    def _states(self) -> defaultdict[Any, State]:
        """`state`, for the optimiser itself: its steps may be recorded."""
        return self.__dict__["state"]

    # -- what a subclass says ----------------------------------------------------------------------
    def _new_state(self, parameter: Tensor, group: Group) -> State:
        """What to remember of a parameter that is met for the first time."""
        raise NotImplementedError

    def _numbers(self, group: Group, step: int) -> dict[str, float]:
        """The numbers that the update of the group's parameters needs in step number `step`, from
        1 on; 0 if their state counts no steps (`_counts`).
        """
        raise NotImplementedError

    def _update(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        """The parameter's new value; brings the tensors of `state` up to date. `gradient` is at
        least float32.

        It depends on shapes, types, numbers and the settings in `group` alone: on values of those
        that are no numbers, and on whether switches are on.
        """
        raise NotImplementedError

    # -- the step ----------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change all parameters that have a gradient, and compute everything that is pending for
        it.

        Args:
            closure: called first, with gradients enabled; returns the loss.

        Returns:
            What `closure` returned, or None.

        Raises:
            OutOfMemoryError, or what else computing raises: parameters and state are as they were
                before then, and so are counts. Gradients stay pending.
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
        undo = Undo()
        try:
            self._take(work, undo)
        except Exception:
            undo.take_back()
            raise
        if recording.changes is not None:
            recording.changes.done(undo.take_back_numbers)
        return loss

    def _take(self, work: list[tuple[Tensor, Group]], undo: Undo) -> None:
        """Step the parameters in `work`; `undo` is told what changes."""
        with no_grad():
            self._start(work, undo)
            numbers = SharedNumbers(self._counted(work, undo))
        if self.defaults.get("differentiable"):
            self._step_differentiably(work, numbers)
            return
        with no_grad():
            changed: list[Tensor] = []
            choices, switches = self._choices, self._switches
            known = {id(g): self._updates.of(g, choices, switches) for g in self.param_groups}
            rule, states, apply = self._new_value, self._states, self._updates.apply
            for position, (parameter, group) in enumerate(work):
                gradient = parameter._grad
                state = states[parameter]
                number = numbers.of(position, _wide(gradient.dtype))
                updates = known[id(group)]
                changed.append(gradient)
                changed += apply(rule, parameter, gradient, state, group, updates, number, undo)
        undo.let_go()
        realize_tensors(changed)

    def _new_value(
        self, parameter: Tensor, gradient: Tensor, state: State, group: Group, number: Numbers
    ) -> Tensor:
        # Half precision is updated in float32 and rounded once, when it is written.
        wide = gradient.to(_wide(gradient.dtype))
        upward = group.get("maximize", False)
        wide = -wide if upward else wide
        master = state.get(MASTER)
        if master is None or not has_master(parameter, group):
            return self._update(parameter, wide, state, group, number)
        # Where the parameter is not its master rounded, somebody else wrote to it.
        agrees = master.to(parameter.dtype) == parameter
        held = master.where(agrees, parameter.to(master.dtype))
        new = self._update(held, wide, state, group, number)
        master.copy_(new)
        return new

    def _step_differentiably(
        self, work: Sequence[tuple[Tensor, Group]], numbers: SharedNumbers
    ) -> None:
        for group in self.param_groups:
            wanted = [n for n, v in group.items() if isinstance(v, Tensor) and v.requires_grad]
            if wanted:
                raise RuntimeError(
                    f"the gradient of a step with respect to {', '.join(wanted)} is not supported; "
                    "detach the setting."
                )
        with enable_grad():
            for position, (parameter, group) in enumerate(work):
                gradient, state = parameter._grad, self._states[parameter]
                number = numbers.of(position, _wide(gradient.dtype))
                parameter.copy_(self._new_value(parameter, gradient, state, group, number))

    def _counted(self, work: list[tuple[Tensor, Group]], step: Undo) -> list[dict[str, float]]:
        """The numbers of this step, for each parameter; a recording has them made at each
        replay.
        """
        values: list[dict[str, float]] = []
        states_of = self._states
        groups = [
            (group, [states_of[parameter] for parameter, own in work if own is group])
            for group in self.param_groups
        ]
        more_counts = self._counts[1:]
        before: list[tuple[State, str, float]] = []

        def count() -> None:
            values.clear()
            if more_counts:
                states = [state for _, states in groups for state in states]
                before[:] = [(state, name, state[name]) for state in states for name in more_counts]
            for group, states in groups:
                if states:
                    values.extend(self._tally(group, states))

        def undo() -> None:
            for state, name, value in before:
                state[name] = value
            for _, states in groups if self._counts else ():
                for state in states:
                    state["step"] -= 1

        count()
        step.done(undo)
        if recording.recorder is not None:
            recording.recorder.again(count, undo)
        return values

    def _tally(self, group: Group, states: Sequence[State]) -> list[dict[str, float]]:
        """Count this step in the states of the group's parameters; gives the numbers of each."""
        if not self._counts:
            return [self._numbers(group, 0)] * len(states)
        made: dict[int, dict[str, float]] = {}
        found: list[dict[str, float]] = []
        for state in states:
            step = state["step"] = state["step"] + 1
            numbers = made.get(step)
            if numbers is None:
                numbers = made[step] = self._numbers(group, step)
            found.append(numbers)
        return found

    def _start(self, work: Iterable[tuple[Tensor, Group]], undo: Undo) -> None:
        """Make the state of new parameters, in memory: the first step is like all others.

        The loss waits for the step, or its forward pass would be a program of its own, whose values
        the backward pass finds in memory: the first step would be unlike all others.
        """
        fresh: list[Tensor] = []
        states = self._states
        for parameter, group in work:
            state = states.get(parameter)
            if state is None or (not state and self._always_has_state):
                if recording.recorder is not None:
                    recording.recorder.give_up("an optimiser meets a parameter for the first time")
                undo.state(states, parameter)
                wide = master_of(parameter) if has_master(parameter, group) else parameter
                state = states[parameter] = self._new_state(wide, group)
                fresh.extend(value for value in state.values() if isinstance(value, Tensor))
            if MASTER not in state and has_master(parameter, group):
                if recording.recorder is not None:
                    recording.recorder.give_up("an optimiser meets a parameter for the first time")
                undo.contents(state)
                state[MASTER] = master_of(parameter)
                fresh.append(state[MASTER])
        realize_tensors(fresh, alone=True)

    def _compile_guards(self, guards: Any) -> None:
        """What a recorded step takes for granted (compile/guards.py): everything but numbers and
        counts.
        """
        guards.lengths.append((guards.item(self.__dict__, "state"), len(self._states)))
        guards.sequence(guards.item(self.__dict__, "param_groups"))
        if type(self).step is not RuleOptimizer.step:
            raise Unguarded(f"{type(self).__name__} has a step of its own")
        for table in step_hooks(self):
            guards.lengths.append((table, len(table)))
        for group in self.param_groups:
            guards.lengths.append((group, len(group)))
            for name in (*self._choices, *({MASTERS} & group.keys())):
                guards.item(group, name)
            for name in self._switches:
                guards.aspect(group, name, is_on)
            guards.sequence(group["params"])
            for parameter in group["params"]:
                guards.storage(parameter)
                if self._states.get(parameter):
                    state = guards.item(self._states, parameter)
                    for name, value in state.items():
                        if isinstance(value, Tensor):
                            guards.storage(guards.item(state, name))
        if self._counts:
            guards.snapshots.append((self._alike, self._alike()))

    def _alike(self) -> list[int]:
        """Which parameters have counted alike, and so share their numbers (`SharedNumbers`): others
        may do so after a step that left some out.
        """
        first: dict[Any, int] = {}
        found: list[int] = []
        states = self._states
        for group in self.param_groups:
            for parameter in group["params"]:
                state = states.get(parameter)
                if state:
                    counts = tuple([state.get(name) for name in self._counts])
                    found.append(first.setdefault(counts, len(found)))
        return found


def _wide(dtype: DType) -> DType:
    """The type that a gradient of `dtype` is worked with in."""
    return dtype if dtype.itemsize >= 4 else dtypes.float32


def has_master(parameter: Tensor, group: Group) -> bool:
    """Whether the state of `parameter` has a float32 copy of it."""
    return bool(group.get(MASTERS)) and parameter.dtype.itemsize < 4


def master_of(parameter: Tensor) -> Tensor:
    """A float32 copy."""
    return parameter.detach().to(dtypes.float32)
