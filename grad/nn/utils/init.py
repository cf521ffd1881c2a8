"""`skip_init`: a module whose parameters are not drawn."""

from __future__ import annotations

from typing import Any

from grad.nn.module import Module
from grad.ops.generator import get_rng_state, set_rng_state


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Any:
    """``module_cls(*args, **kwargs)`` with arbitrary values in its parameters and buffers.

    No random numbers are used up, so what is drawn next is as without it.

    Raises:
        RuntimeError: not a module class.

    Example:
        >>> skip_init(Linear, 5, 2).weight.shape
        torch.Size([2, 5])
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    device = kwargs.pop("device", "cpu")
    before = get_rng_state()
    try:
        module = module_cls(*args, **kwargs)
    finally:
        set_rng_state(before)
    return module.to_empty(device=device)
