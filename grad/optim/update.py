"""Updates of parameters that were seen before: their nodes are made at once.

An update rule makes the same dozen nodes for each parameter at every step. It follows from shapes,
types and settings, so it is kept as a template (graph/template.py), as functions are in
autograd/remembered.py. `rule.py` applies all its updates here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grad.autograd.remembered import CALLS_KEPT, Unknown, described
from grad.engine.recording import recording
from grad.graph.template import Template, placeholder, template_of
from grad.ops.inplace import store
from grad.optim.numbers import is_on
from grad.optim.undo import Undo
from grad.tensor import Tensor

# From a parameter, its gradient, its state, the settings and the numbers of the step to the
# parameter's new value; brings the tensors of the state up to date.
Rule = Callable[[Tensor, Tensor, dict[str, Any], dict[str, Any], Mapping[str, Tensor]], Tensor]

# The updates under one choice of settings. True: such an update was seen, and once is not worth a
# template. None: it has none.
Known = dict[Any, Template | bool | None]
SETTINGS_KEPT = 64


class Updates:
    """The updates of one optimiser, by what they were given."""

    def __init__(self) -> None:
        self._known: dict[Any, Known] = {}

    def of(
        self, group: Mapping[str, Any], choices: Iterable[str], switches: Iterable[str]
    ) -> Known | None:
        """Those of parameters under the settings of `group`; None where it cannot be said whether
        settings are the same again.

        Args:
            choices: names of settings that decide how parameters are updated.
            switches: names of those of which only that they are not zero decides (`is_on`); their
                values, and those of all other settings, enter as numbers.
        """
        settings = _settings_of(group, choices, switches)
        if settings is None:
            return None
        found = self._known.get(settings)
        if found is None:
            if len(self._known) >= SETTINGS_KEPT:
                self._known.clear()
            found = self._known[settings] = {}
        return found

    def apply(
        self,
        rule: Rule,
        parameter: Tensor,
        gradient: Tensor,
        state: dict[str, Any],
        group: dict[str, Any],
        known: Known | None,
        number: Mapping[str, Tensor],
        undo: Undo,
    ) -> list[Tensor]:
        """Write what `rule` gives to `parameter` and to the tensors of `state`; gives those.

        `known` is what `of` gave for the group. Nothing is recorded for gradients meanwhile.
        """
        targets = [parameter, *[value for value in state.values() if isinstance(value, Tensor)]]
        given: list[Any] = [gradient._shape, gradient.dtype]
        sources = [gradient.node]
        whole = known is not None and recording.recorder is None
        for target in targets:
            given += target._shape, target.dtype
            sources.append(target._storage.node)
            whole = whole and not target._path
        undo.targets += targets
        undo.nodes += sources[1:]
        if not whole:
            return _applied(rule, parameter, gradient, state, group, number, undo)
        assert known is not None
        names = tuple(state)
        key = (*given, *names, *number)
        found = known.get(key, False)
        if isinstance(found, Template):
            built = found.build([*sources, *[n.node for n in number.values()]])
            for target, node in zip(targets, built):
                assert node is not None
                store(target._storage, node)
            return targets
        changed = _applied(rule, parameter, gradient, state, group, number, undo)
        if found is False:
            if len(known) >= CALLS_KEPT:
                known.clear()
            known[key] = True
        elif found is True and tuple(state) == names:
            # An update that starts a parameter's state is another one than those after it.
            known[key] = _studied(rule, parameter, gradient, state, group, number)
        return changed

    def __reduce__(self) -> Any:
        # A copied or pickled optimiser learns its updates anew: templates hold primitives.
        return Updates, ()


def _targets(parameter: Tensor, state: dict[str, Any]) -> list[Tensor]:
    return [parameter, *[value for value in state.values() if isinstance(value, Tensor)]]


def _applied(
    rule: Rule,
    parameter: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
    number: Mapping[str, Tensor],
    undo: Undo,
) -> list[Tensor]:
    """The same by calling the rule, which may make pieces of the state."""
    undo.contents(state)
    parameter.copy_(rule(parameter, gradient, state, group, number))
    return _targets(parameter, state)


def _studied(
    rule: Rule,
    parameter: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
    number: Mapping[str, Tensor],
) -> Template | None:
    """The template of the rule, tried on stand-ins; None if it does more than change tensors
    that are there.
    """
    like_gradient, like = _stand_in(gradient), _stand_in(parameter)
    like_state = {n: _stand_in(v) if isinstance(v, Tensor) else v for n, v in state.items()}
    like_number = {name: _stand_in(value) for name, value in number.items()}
    before = dict(like_state)
    targets = _targets(like, before)
    sources = [t.node for t in (like_gradient, *targets, *like_number.values())]
    like.copy_(rule(like, like_gradient, like_state, group, like_number))
    same = [like_state.get(name) is value for name, value in before.items()]
    if len(like_state) != len(before) or not all(same):
        return None
    return template_of(sources, [target.node for target in targets])


def _settings_of(group: Mapping[str, Any], choices: Iterable[str], switches: Iterable[str]) -> Any:
    """What decides how the parameters of a group are updated; None where that cannot be said."""
    try:
        chosen = [described(group[name]) for name in choices]
    except Unknown:
        return None
    return (*chosen, *[is_on(group[name]) for name in switches])


def _stand_in(tensor: Tensor) -> Tensor:
    return Tensor._wrap(placeholder(tensor._shape, tensor.dtype))
