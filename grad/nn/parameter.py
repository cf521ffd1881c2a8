"""`Parameter`: a tensor that a module owns and an optimiser changes.

It differs from a tensor in two ways: it requires a gradient from the start, and `Module` files it
under its parameters when it is set as an attribute. Results of operations on it are ordinary
tensors.
"""

from __future__ import annotations

from typing import Any

from grad.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor with a gradient, sharing memory with `data`.

    Raises:
        GradientError: `data` is not floating, unless `requires_grad` is False.

    Example:
        >>> Parameter(Tensor.zeros(2, 3)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        source = data if isinstance(data, Tensor) else Tensor([] if data is None else data)
        self._adopt(source.detach(), False)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self)
