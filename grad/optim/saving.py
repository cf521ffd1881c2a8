"""An optimiser's state as a dictionary that PyTorch's optimisers understand, and back.

Parameters are replaced by their numbers in the order of the groups. Counts (``step`` and others)
are Python numbers while an optimiser works, and 0-dimensional float32 tensors in the dictionary.
`Optimizer.state_dict` and `load_state_dict` (optimizer.py) are these functions with hooks.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from grad.dtype import dtypes
from grad.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]

# The float32 copy of a half-precision parameter, see `RuleOptimizer`.
MASTER = "master_param"


def packed(
    param_groups: Iterable[Group], state: Mapping[Any, State], counts: Collection[str]
) -> dict[str, Any]:
    """State and settings as a dictionary; `counts` says which pieces of state are counts."""
    numbers: dict[int, int] = {}
    groups: list[Group] = []
    for group in param_groups:
        for parameter in group["params"]:
            numbers.setdefault(id(parameter), len(numbers))
        settings = {name: value for name, value in group.items() if name != "params"}
        groups.append({**settings, "params": [numbers[id(p)] for p in group["params"]]})
    kept = {
        numbers.get(id(key), key) if isinstance(key, Tensor) else key: _counts_as_tensors(
            values, counts
        )
        for key, values in state.items()
        if values
    }
    return {"state": kept, "param_groups": groups}


def _counts_as_tensors(values: Any, counts: Collection[str]) -> Any:
    if not isinstance(values, dict):
        return values
    return {
        name: Tensor(float(value), dtype=dtypes.float32)
        if name in counts and not isinstance(value, Tensor)
        else value
        for name, value in values.items()
    }


def unpacked(
    given: Mapping[str, Any], param_groups: Iterable[Group], counts: Collection[str]
) -> tuple[defaultdict[Any, State], list[Group]]:
    """State and groups, for the parameters of `param_groups`, from what `packed` gave.

    Raises:
        ValueError: the groups differ in number or size.
    """
    own = list(param_groups)
    groups = copy.deepcopy(given["param_groups"])
    if len(groups) != len(own):
        raise ValueError("loaded state dict has a different number of parameter groups")
    pairs = list(zip(own, groups, strict=True))
    if any(len(group["params"]) != len(new["params"]) for group, new in pairs):
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match the size of "
            "optimizer's group"
        )
    parameters = {
        number: parameter
        for group, new in pairs
        for number, parameter in zip(new["params"], group["params"], strict=True)
    }
    state: defaultdict[Any, State] = defaultdict(dict)
    for key, values in given["state"].items():
        parameter = parameters.get(key)
        if parameter is None:  # belongs to no parameter
            state[key] = values
        else:
            state[parameter] = {
                name: _count(name, value)
                if name in counts
                else value
                if name == "step"
                else _fitted(value, values.get(MASTER, parameter))
                for name, value in values.items()
            }
    for group, new in pairs:
        new["params"] = group["params"]
        if "param_names" in group:
            new.setdefault("param_names", group["param_names"])
    return state, groups


def _count(name: str, value: Any) -> float:
    number = value.item() if isinstance(value, Tensor) else value
    return int(number) if name == "step" else float(number)


def _fitted(value: Any, parameter: Tensor) -> Any:
    """A loaded piece of state, made the optimiser's own, in the parameter's dtype and place."""
    if isinstance(value, Tensor):
        value = value.detach().to(parameter.device)
        if parameter.dtype.is_floating_point:
            value = value.to(parameter.dtype)
        return value.clone()
    if isinstance(value, dict):
        return {name: _fitted(part, parameter) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_fitted(part, parameter) for part in value])
    return value


def tensors_of(state: Mapping[Any, Any]) -> Iterator[Tensor]:
    """The tensors of all parameters' state, those in lists included."""
    for values in state.values():
        for value in values.values() if isinstance(values, dict) else ():
            if isinstance(value, Tensor):
                yield value
            elif isinstance(value, list | tuple):
                yield from (part for part in value if isinstance(part, Tensor))
