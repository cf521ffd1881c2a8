"""Regions that parameters and samples lie in: `positive`, `simplex`, `interval(low, high)` ...

A constraint says of each event of a tensor whether it lies inside (`check`), by an ordinary
operation: nothing is computed here. Names in small letters at the end are what users write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grad.dtype import dtypes
from grad.ops.creators import CREATORS
from grad.ops.factorizations import eigvalsh
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

_finite_info = {dtypes.float16: 2.0**-10, dtypes.bfloat16: 2.0**-7, dtypes.float32: 2.0**-23}


class Constraint:
    """A region.

    Attributes:
        is_discrete: whether there are gaps between its values.
        event_dim: how many last axes make one event; `check` gives one answer for each event.
    """

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value: Tensor) -> Tensor:
        """Whether each event of `value` lies inside."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


# -- known only with other parameters --------------------------------------------------------------
def _stated(name: str, value: Any) -> Any:
    if value is NotImplemented:
        raise NotImplementedError(f".{name} cannot be determined statically")
    return value


class Dependent(Constraint):
    """A region that depends on other parameters: it cannot be checked by itself."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._is_discrete, self._event_dim = is_discrete, event_dim

    @property
    def is_discrete(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _stated("is_discrete", self._is_discrete)

    @property
    def event_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _stated("event_dim", self._event_dim)

    def __call__(
        self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> Dependent:
        """The same, of which more is known."""
        return Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


class DependentProperty(property, Dependent):
    """A property whose value is a constraint; of a class it is itself one that is not known yet.

    Example:
        >>> class Between(Distribution):
        ...     @constraints.dependent_property(is_discrete=False, event_dim=0)
        ...     def support(self):
        ...         return constraints.interval(self.low, self.high)
    """

    def __init__(
        self,
        function: Callable[[Any], Any] | None = None,
        *,
        is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ) -> None:
        property.__init__(self, function)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, function: Any) -> DependentProperty:  # pyright: ignore
        return DependentProperty(function, is_discrete=self._is_discrete, event_dim=self._event_dim)


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint depends on other parameters."""
    return isinstance(constraint, Dependent)


# -- of other constraints --------------------------------------------------------------------------
class IndependentConstraint(Constraint):
    """`base_constraint` for every element along some more axes, which make one event."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        found, count = self.base_constraint.check(value), self.reinterpreted_batch_ndims
        if found.ndim < count:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        return found.reshape(found.shape[: found.ndim - count] + (-1,)).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """`base_constraint` of each component of a mixture, for values of the whole."""

    def __init__(self, base_constraint: Constraint) -> None:
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.base_constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        if value.ndim < self.event_dim:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        return self.base_constraint.check(value.unsqueeze(-1 - self.event_dim)).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


class _Parts(Constraint):
    """Several constraints, each for a part of the values along an axis."""

    def __init__(self, cseq: Any, dim: int = 0) -> None:
        self.cseq, self.dim = list(cseq), dim

    @property
    def is_discrete(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return any(part.is_discrete for part in self.cseq)

    @property
    def event_dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return max(part.event_dim for part in self.cseq)


class Cat(_Parts):
    """For tensors joined by ``cat``: a constraint for each of the pieces of given lengths."""

    def __init__(self, cseq: Any, dim: int = 0, lengths: Any = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)

    def check(self, value: Tensor) -> Tensor:
        pieces = value.split(self.lengths, self.dim)
        found = [part.check(piece) for part, piece in zip(self.cseq, pieces)]
        return REGISTRY["cat"](found, self.dim)


class Stack(_Parts):
    """For tensors joined by ``stack``: a constraint for each of them."""

    def check(self, value: Tensor) -> Tensor:
        pieces = value.unbind(self.dim)
        found = [part.check(piece) for part, piece in zip(self.cseq, pieces)]
        return REGISTRY["stack"](found, self.dim)


# -- of single numbers -----------------------------------------------------------------------------
class Real(Constraint):
    """All numbers, infinities among them, but not NaN."""

    def check(self, value: Tensor) -> Tensor:
        return value == value


class Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


@dataclass(frozen=True, eq=False)
class GreaterThan(Constraint):
    """Above a bound."""

    lower_bound: Any

    def check(self, value: Tensor) -> Tensor:
        return value > self.lower_bound


@dataclass(frozen=True, eq=False)
class GreaterThanEq(Constraint):
    """At a bound or above."""

    lower_bound: Any

    def check(self, value: Tensor) -> Tensor:
        return value >= self.lower_bound


@dataclass(frozen=True, eq=False)
class LessThan(Constraint):
    """Below a bound."""

    upper_bound: Any

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


@dataclass(frozen=True, eq=False)
class Interval(Constraint):
    """Between two bounds, or at one of them."""

    lower_bound: Any
    upper_bound: Any

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


@dataclass(frozen=True, eq=False)
class HalfOpenInterval(Interval):
    """Between two bounds, or at the lower one."""

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value < self.upper_bound)


def _is_whole(value: Tensor) -> Tensor:
    return value % 1 == 0


@dataclass(frozen=True, eq=False)
class IntegerInterval(Interval):
    """Whole numbers between two bounds, or at one of them."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return _is_whole(value) & super().check(value)


@dataclass(frozen=True, eq=False)
class IntegerGreaterThan(GreaterThanEq):
    """Whole numbers at a bound or above."""

    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return _is_whole(value) & super().check(value)


# -- of vectors and matrices -----------------------------------------------------------------------
class OneHot(Constraint):
    """Vectors with one 1 and zeros."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class Simplex(Constraint):
    """Vectors of numbers that are not negative and add up to 1, but for rounding."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


@dataclass(frozen=True, eq=False)
class Multinomial(Constraint):
    """Vectors of counts that add up to a bound, or to less."""

    upper_bound: Any
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class LowerTriangular(Constraint):
    """Square matrices with zeros above the diagonal."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return (value.tril() == value).flatten(-2).all(-1)


class LowerCholesky(LowerTriangular):
    """Those of them whose diagonal is positive."""

    def check(self, value: Tensor) -> Tensor:
        return super().check(value) & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class CorrCholesky(LowerCholesky):
    """Those of them whose rows have length 1."""

    def check(self, value: Tensor) -> Tensor:
        eps = _finite_info.get(value.dtype, 2.0**-52)
        lengths = value.square().sum(-1).sqrt()
        near = (lengths - 1).abs() <= eps * value.shape[-1] * 10
        return super().check(value) & near.all(-1)


class Square(Constraint):
    """Matrices with as many rows as columns."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return CREATORS["full"](
            value.shape[:-2], value.shape[-2] == value.shape[-1], dtype=dtypes.bool
        )


class Symmetric(Square):
    """Matrices that are their own transpose, but for rounding."""

    def check(self, value: Tensor) -> Tensor:
        if value.shape[-2] != value.shape[-1]:
            return super().check(value)
        return value.isclose(value.mT, atol=1e-6).flatten(-2).all(-1)


class PositiveSemidefinite(Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value: Tensor) -> Tensor:
        found = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return found
        return found & (eigvalsh(value) >= 0).all(-1)


class PositiveDefinite(Symmetric):
    """Symmetric matrices of positive eigenvalues."""

    def check(self, value: Tensor) -> Tensor:
        found = super().check(value)
        if value.shape[-2] != value.shape[-1]:
            return found
        return found & (eigvalsh(value) > 0).all(-1)


# -- the names that users write --------------------------------------------------------------------
dependent = Dependent()
dependent_property = DependentProperty
independent = IndependentConstraint
cat, stack = Cat, Stack
real = Real()
real_vector = independent(real, 1)
boolean = Boolean()
greater_than, greater_than_eq, less_than = GreaterThan, GreaterThanEq, LessThan
interval, half_open_interval = Interval, HalfOpenInterval
positive, nonnegative = GreaterThan(0.0), GreaterThanEq(0.0)
unit_interval = Interval(0.0, 1.0)
integer_interval = IntegerInterval
nonnegative_integer, positive_integer = IntegerGreaterThan(0), IntegerGreaterThan(1)
one_hot, simplex = OneHot(), Simplex()
multinomial = Multinomial
lower_triangular, lower_cholesky = LowerTriangular(), LowerCholesky()
corr_cholesky = CorrCholesky()
square, symmetric = Square(), Symmetric()
positive_semidefinite, positive_definite = PositiveSemidefinite(), PositiveDefinite()
