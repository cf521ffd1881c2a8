"""Ways to choose which elements of a parameter are kept: masks of ones and zeros.

A `BasePruningMethod` computes a mask (`compute_mask`); `apply` puts it into a module: the parameter
goes on as ``name_orig``, the mask is the buffer ``name_mask``, and the attribute ``name`` is their
product, made anew before each call by the method, which is a hook. Applied to what is pruned
already, methods are strung together in a `PruningContainer`. `prune.py` has a function for each.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from grad.autograd.modes import no_grad
from grad.nn.module import Module
from grad.tensor import Tensor


class BasePruningMethod(ABC):
    """A way of pruning; a class of one's own says `PRUNING_TYPE` and `compute_mask`.

    Attributes:
        PRUNING_TYPE: what a method that comes after others is shown: ``"unstructured"`` elements
            that are left, as one row; ``"structured"`` slices along `dim` that have any left;
            ``"global"`` all.

    Example:
        >>> class EverySecond(BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         mask = default_mask.clone()
        ...         mask.view(-1)[::2] = 0
        ...         return mask
        >>> layer = grad.nn.Linear(4, 1)
        >>> EverySecond.apply(layer, "weight").PRUNING_TYPE, layer.weight_mask.tolist()
        ('unstructured', [[0.0, 1.0, 0.0, 1.0]])
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        """The hook: bring the pruned attribute up to date."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Ones and zeros of the shape of `t`, how important each element is; `default_mask` is
        what is kept so far.
        """

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter times its mask; gradients reach what is kept."""
        original = getattr(module, f"{self._tensor_name}_orig")
        return getattr(module, f"{self._tensor_name}_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune the parameter `name` of `module` by ``cls(*args, **kwargs)``.

        `importance_scores`, of the parameter's shape, are looked at in place of its values.

        Raises:
            AssertionError: the scores have another shape.
        """
        method: BasePruningMethod = cls(*args, **kwargs)
        method._tensor_name = name
        before = pruning_hooks(module, name)
        current = getattr(module, name)
        scores = _checked_scores(importance_scores, current, f"parameter {name} of {module}")
        if before:
            method = PruningContainer(*_methods_of(module._forward_pre_hooks[before[0]]), method)
            kept = getattr(module, f"{name}_mask").detach().clone()
        else:
            kept = Tensor.ones_like(current)
        with no_grad():
            mask = method.compute_mask(scores.detach(), default_mask=kept)
        # All is known to fit: nothing was changed before.
        for number in before:
            del module._forward_pre_hooks[number]
        if not before:
            module.register_parameter(f"{name}_orig", current)
            del module._parameters[name]
        module.register_buffer(f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(
        self,
        t: Tensor,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """`t` with the elements that the method would prune at zero; no module is needed.

        Raises:
            AssertionError: the scores have another shape.
        """
        scores = _checked_scores(importance_scores, t, "tensor t")
        kept = Tensor.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=kept)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter's own, for good; the hook is left where it is."""
        name = self._tensor_name
        pruned = self.apply_mask(module).detach()
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(f"{name}_orig")
        del module._buffers[f"{name}_mask"]
        with no_grad():
            original.copy_(pruned)
        setattr(module, name, original)


def pruning_hooks(module: Module, name: str) -> list[int]:
    """The numbers of the hooks that prune the parameter `name` of `module`."""
    return [
        number
        for number, hook in module._forward_pre_hooks.items()
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
    ]


def _checked_scores(scores: Tensor | None, values: Tensor, whose: str) -> Tensor:
    if scores is None:
        return values
    if tuple(scores.shape) != tuple(values.shape):
        raise AssertionError(
            f"importance_scores should have the same shape as {whose}, got "
            f"{tuple(scores.shape)} vs {tuple(values.shape)}"
        )
    return scores


def _methods_of(method: BasePruningMethod) -> tuple[BasePruningMethod, ...]:
    return tuple(method) if isinstance(method, PruningContainer) else (method,)


class PruningContainer(BasePruningMethod):
    """Methods one after the other, as a sequence; the last one adds to what the others pruned."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Put `method` at the end.

        Raises:
            TypeError: it is no pruning method. ValueError: it belongs to another parameter.
        """
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if not hasattr(self, "_tensor_name"):
            self._tensor_name = method._tensor_name
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` with what the last method prunes of the part it is shown."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype).clone()
        shown = _SHOWN.get(method.PRUNING_TYPE)
        if shown is None:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        part = shown(method, t, default_mask)
        mask[part] = method.compute_mask(t[part], default_mask=default_mask[part]).to(t.dtype)
        return mask


def _elements_left(method: Any, t: Tensor, mask: Tensor) -> Any:
    return mask == 1


def _slices_left(method: Any, t: Tensor, mask: Tensor) -> Any:
    if not hasattr(method, "dim"):
        raise AttributeError(
            'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
        )
    axis, others = _axis_and_others(t, method.dim)
    return (slice(None),) * axis + (mask.sum(others) != 0,)


def _everything(method: Any, t: Tensor, mask: Tensor) -> Any:
    return (slice(None),) * t.ndim


_SHOWN = {"unstructured": _elements_left, "structured": _slices_left, "global": _everything}


# -- the methods -----------------------------------------------------------------------------------
class Identity(BasePruningMethod):
    """Prunes nothing, but has a mask, which may be changed later."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes `amount` (a number of elements, or a part of them from 0 to 1), drawn by chance."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        self.amount = _checked_amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        return _without_smallest(default_mask, Tensor.rand(t.shape), count)


class L1Unstructured(BasePruningMethod):
    """Prunes the `amount` of elements that are nearest to zero."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        self.amount = _checked_amount(amount)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return _without_smallest(default_mask, t.abs(), _count(self.amount, t.numel()))


class RandomStructured(BasePruningMethod):
    """Prunes `amount` of the slices along `dim`, drawn by chance."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        self.amount, self.dim = _checked_amount(amount), dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count_of_slices(self.amount, t, self.dim)
        return _without_slices(default_mask, self.dim, Tensor.rand((t.shape[self.dim],)), count)


class LnStructured(BasePruningMethod):
    """Prunes the `amount` of slices along `dim` with the smallest norms of order `n`."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        self.amount, self.n, self.dim = _checked_amount(amount), n, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count_of_slices(self.amount, t, self.dim)
        _, others = _axis_and_others(t, self.dim)
        return _without_slices(default_mask, self.dim, t.norm(self.n, others), count)


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is zero."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if tuple(default_mask.shape) != tuple(self.mask.shape):
            raise AssertionError(
                f"default_mask shape {tuple(default_mask.shape)} must match self.mask shape "
                f"{tuple(self.mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


def _without_smallest(mask: Tensor, scores: Tensor, count: int) -> Tensor:
    """`mask` with zeros where the `count` smallest scores are."""
    if not count:
        return mask.clone()
    flat = mask.reshape(-1).clone()
    flat[scores.reshape(-1).topk(count, largest=False).indices] = 0
    return flat.reshape(mask.shape)


def _without_slices(mask: Tensor, dim: int, scores: Tensor, count: int) -> Tensor:
    """`mask` with zeros in the slices along `dim` that have the `count` smallest scores."""
    kept = _without_smallest(Tensor.ones_like(scores), scores, count).to(mask.dtype)
    axis, _ = _axis_and_others(mask, dim)
    return mask * kept.reshape((-1,) + (1,) * (mask.ndim - 1 - axis))


def _axis_and_others(t: Tensor, dim: int) -> tuple[int, list[int]]:
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")
    axis = dim % t.ndim
    return axis, [number for number in range(t.ndim) if number != axis]


def _checked_amount(amount: Any) -> Any:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if amount < 0 or not (whole or amount <= 1.0):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )
    return amount


def _count(amount: Any, size: int) -> int:
    """How many of `size` things `amount` is."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if int(amount) > size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune={size}"
        )
    return int(amount)


def _count_of_slices(amount: Any, t: Tensor, dim: int) -> int:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {tuple(t.shape)} with {t.ndim} dims"
        )
    axis, _ = _axis_and_others(t, dim)
    return _count(amount, t.shape[axis])
