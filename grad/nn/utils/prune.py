"""Pruning: parameters whose elements are kept or zero by a mask, one function for each way.

``name`` becomes a product of the parameter ``name_orig`` and the buffer ``name_mask``, which a hook
makes before each call; `remove` makes it a parameter again. The methods, and how they are put into
a module, are in `pruning_methods.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grad.autograd.modes import no_grad
from grad.nn.module import Module
from grad.nn.utils.convert_parameters import parameters_to_vector
from grad.nn.utils.pruning_methods import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
    pruning_hooks,
)
from grad.tensor import Tensor

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def identity(module: Any, name: str) -> Any:
    """Give the parameter `name` a mask of ones. Returns the module, as all of these do."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: float) -> Any:
    """Prune `amount` elements of the parameter `name`, drawn by chance.

    Raises:
        TypeError, ValueError: `amount` is neither a number of elements nor a part from 0 to 1.
    """
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(
    module: Any, name: str, amount: float, importance_scores: Tensor | None = None
) -> Any:
    """Prune the `amount` of elements nearest to zero, or with the smallest scores.

    Example:
        >>> layer = grad.nn.Linear(2, 1, bias=False)
        >>> layer.weight.data = grad.tensor([[0.5, -3.0]])
        >>> l1_unstructured(layer, "weight", amount=0.5).weight.tolist()
        [[0.0, -3.0]]
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: float, dim: int) -> Any:
    """Prune `amount` slices along `dim` of the parameter `name`, drawn by chance.

    Raises:
        ValueError: the parameter has fewer than 2 axes. IndexError: it has no axis `dim`.
    """
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(
    module: Any,
    name: str,
    amount: float,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Any:
    """Prune the `amount` of slices along `dim` with the smallest norms of order `n`.

    Raises:
        ValueError: the parameter has fewer than 2 axes. IndexError: it has no axis `dim`.
    """
    LnStructured.apply(
        module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores
    )
    return module


def custom_from_mask(module: Any, name: str, mask: Tensor) -> Any:
    """Prune the parameter `name` where `mask`, of its shape, is zero."""
    CustomFromMask.apply(module, name, mask=mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune the parameters ``(module, name)`` together, as if they were one.

    Args:
        pruning_method: a class of unstructured pruning, made with `kwargs`.
        importance_scores: looked at in place of the values of some of the parameters.

    Raises:
        TypeError: arguments of other types, or a method that is not unstructured.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    if importance_scores is not None and not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    method: Any = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    method._tensor_name = "all"
    places = list(parameters)
    given: Any = importance_scores or {}
    values = [getattr(module, name) for module, name in places]
    masks: list[Any] = [getattr(module, f"{name}_mask", None) for module, name in places]
    with no_grad():
        scores = parameters_to_vector(
            [given.get(place, value) for place, value in zip(places, values)]
        )
        kept = parameters_to_vector(
            [Tensor.ones_like(v) if m is None else m for m, v in zip(masks, values)]
        )
        chosen = PruningContainer(method).compute_mask(scores, kept)
    start = 0
    for (module, name), value in zip(places, values):
        end = start + value.numel()
        custom_from_mask(module, name, mask=chosen[start:end].reshape(value.shape))
        start = end


def remove(module: Any, name: str) -> Any:
    """Make `name` a parameter again, of its pruned values, and stop pruning it.

    Raises:
        ValueError: it is not pruned.
    """
    for number in pruning_hooks(module, name):
        module._forward_pre_hooks.pop(number).remove(module)
        return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether any parameter of `module` or of the modules in it is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for part in module.modules()
        for hook in part._forward_pre_hooks.values()
    )
