"""What ``torch.func`` has for its own implementation's sake, and is little here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.errors import ArgumentError

_REMOVES = ("mutations", "mutations_and_views")


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` without operations in place: itself, as a graph never has any here.

    Raises:
        ArgumentError: `remove` is neither "mutations" nor "mutations_and_views".
    """
    if remove not in _REMOVES:
        raise ArgumentError(f"functionalize: remove is one of {_REMOVES}, got {remove!r}.")
    return func


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Let all batch normalizations in the module `root` keep no statistics; returns `root`.

    So that `vmap` can go over a module in training, whose statistics would be written to.
    """
    for module in root.modules():
        if "BatchNorm" in type(module).__name__ and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
