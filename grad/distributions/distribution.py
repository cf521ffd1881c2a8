"""Distribution: what all distributions can do, and how their arguments are checked.

A distribution holds its parameters as tensors of one shape, `batch_shape`, and says of each in
`arg_constraints` where it may lie. Samples have the shape ``sample_shape + batch_shape +
event_shape``. Nothing is computed before it is asked for, with one exception: arguments are checked
by looking at them, unless ``validate_args=False`` or Python runs with ``-O``. While `grad.compile`
records, each replay looks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import reduce
from operator import and_
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions.constraints import Constraint, is_dependent
from grad.distributions.utils import broadcast_all, lazy_property
from grad.engine.recording import recording
from grad.ops.bounds import require
from grad.tensor import Tensor
from grad.utils.size import Size


class _Undefined:
    """What a distribution has to say, and this one does not."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        raise NotImplementedError


class Distribution:
    """The base of all distributions.

    Args:
        batch_shape: of the parameters, without the axes that one sample needs.
        event_shape: of one sample.
        validate_args: whether arguments are checked.

    Attributes:
        has_rsample: whether gradients reach the parameters through `rsample`.
        has_enumerate_support: whether `enumerate_support` gives all values there are.
        arg_constraints: where each parameter may lie, by name. support: where samples lie.
    """

    arg_constraints: Any = _Undefined()
    support: Any = _Undefined()
    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Say whether distributions that are made from now on check their arguments."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: needs True or False, got {value!r}")
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Iterable[int] = Size(),
        event_shape: Iterable[int] = Size(),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    # -- shapes ------------------------------------------------------------------------------------
    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters: there are so many distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Iterable[int] = Size()) -> Size:
        """The shape of so many samples."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _broadcast(self, **parameters: Any) -> Size:
        """Set parameters as attributes, as tensors of their common shape, which is returned."""
        for name, value in zip(parameters, values := broadcast_all(*parameters.values())):
            setattr(self, name, value)
        return values[0].shape

    # -- parameters --------------------------------------------------------------------------------
    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        """The same distribution with parameters expanded to `batch_shape`, not copied."""
        new = object.__new__(type(self)) if _instance is None else _instance
        new.__dict__.update(self.__dict__)
        new._batch_shape = Size(batch_shape)
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                own = value.shape[value.ndim - constraint.event_dim :]
                setattr(new, name, value.expand(new._batch_shape + own))
        return new

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """The instance that an `expand` of a user's class fills."""
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                f"method must also define a custom .expand() method."
            )
        return object.__new__(type(self)) if _instance is None else _instance

    # -- samples -----------------------------------------------------------------------------------
    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        """Samples, outside of the graph."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        """Samples that are functions of the parameters, so that gradients reach these."""
        raise NotImplementedError(f"{type(self).__name__} does not implement rsample")

    def sample_n(self, n: int) -> Tensor:
        """`n` samples; in PyTorch an older form of ``sample((n,))``."""
        warnings.warn("sample_n(n) is deprecated; use sample((n,)).", FutureWarning, stacklevel=2)
        return self.sample((n,))

    # -- facts -------------------------------------------------------------------------------------
    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most likely value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The expected square of the distance to the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, of `value`."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of `value` and all below."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """Where the probability of all below is `value`."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The expected value of ``-log_prob``, in nats."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values there are along a new first axis; the others are `batch_shape`, or of size 1
        without `expand`.
        """
        raise NotImplementedError

    # -- checks ------------------------------------------------------------------------------------
    def _check_parameters(self) -> None:
        """Look at the parameters.

        Raises:
            ValueError: one is outside of its constraint.
        """
        try:
            known = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = "
                "{}` or initialize the distribution with `validate_args=False`.",
                stacklevel=3,
            )
            return
        names: list[str] = []
        checks: list[tuple[Tensor, Constraint]] = []
        for name, constraint in known.items():
            waits = isinstance(getattr(type(self), name, None), lazy_property)
            if is_dependent(constraint) or (waits and name not in self.__dict__):
                continue
            value = getattr(self, name)
            names.append(name)
            checks.append((value, constraint))

        def message(number: int) -> str:
            value, constraint = checks[number]
            return (
                f"Expected parameter {names[number]} ({_described(value)}) of distribution "
                f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n"
                f"{value}"
            )

        self._require(checks, message)

    def _validate_sample(self, value: Tensor) -> None:
        """Look at a value.

        Raises:
            ValueError: its shape does not fit, or it is outside of the support.
        """
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        given, event = value.shape, self._event_shape
        if given[len(given) - len(event) :] != event:
            raise ValueError(
                f"The right-most size of value must match event_shape: {given} vs {event}."
            )
        wanted = self._batch_shape + event
        for one, other in zip(reversed(given), reversed(wanted)):
            if one != other and 1 not in (one, other):
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {given} vs {wanted}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                f"initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        self._require(
            [(value, support)],
            lambda _: (
                f"Expected value argument ({_described(value)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            ),
        )

    def _require(
        self, checks: list[tuple[Tensor, Constraint]], message: Callable[[int], str]
    ) -> None:
        """Raise ValueError with ``message(k)`` if the k-th value is outside of its constraint."""
        if not checks:
            return
        recorded = recording.recorder is not None

        def error(_: int) -> ValueError:
            if recorded:  # there are no values that could be shown
                return ValueError(
                    f"{type(self).__name__}: an argument is outside of its constraint"
                )
            outside = (not bool(constraint.check(value).all()) for value, constraint in checks)
            return ValueError(message(list(outside).index(True)))

        with no_grad():
            inside = [constraint.check(value).all() for value, constraint in checks]
            fault = ~reduce(and_, inside)
        require(fault, error, *[value.detach() for value, _ in checks])

    def __repr__(self) -> str:
        shown = [
            f"{name}: {value if value.numel() == 1 else value.shape}"
            for name in self.arg_constraints
            if isinstance(value := self.__dict__.get(name), Tensor)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _described(value: Tensor) -> str:
    return f"{type(value).__name__} of shape {tuple(value.shape)}"
