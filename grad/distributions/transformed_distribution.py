"""TransformedDistribution: the numbers of a distribution, mapped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.independent import Independent
from grad.distributions.transforms import ComposeTransform, Transform
from grad.distributions.utils import sum_rightmost
from grad.tensor import Tensor
from grad.utils.size import Size


class TransformedDistribution(Distribution):
    """What `transforms`, one after the other, make of the samples of `base_distribution`.

    Raises:
        ValueError: `transforms` is neither a transform nor a list of them.

    Example:
        >>> log_normal = TransformedDistribution(Normal(0.0, 1.0), [transforms.ExpTransform()])
        >>> log_normal.cdf(grad.tensor(1.0))
        tensor(0.5000)
    """

    arg_constraints = {}
    base_dist: Any

    def __init__(
        self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None
    ) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else transforms
        known = isinstance(self.transforms, list)
        if not known or not all(isinstance(part, Transform) for part in self.transforms):
            raise ValueError(
                f"transforms must be a Transform or a list of Transforms, but was {transforms}"
            )
        whole = ComposeTransform(self.transforms)
        self.base_dist, shape = _fitted(base_distribution, whole)
        event_dim = max(
            whole.codomain.event_dim,
            len(base_distribution.event_shape) + whole.codomain.event_dim - whole.domain.event_dim,
        )
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        shape = ComposeTransform(self.transforms).inverse_shape(
            new._batch_shape + self._event_shape
        )
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:  # pyright: ignore[reportRedeclaration]
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self._event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    @property
    def has_rsample(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.base_dist.has_rsample

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape))

    def _forward(self, x: Tensor) -> Tensor:
        for part in self.transforms:
            x = part(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        event_dim = len(self._event_shape)
        total: Any = 0.0
        for part in reversed(self.transforms):
            x = part.inv(value)
            event_dim += part.domain.event_dim - part.codomain.event_dim
            found = part.log_abs_det_jacobian(x, value)
            total = total - sum_rightmost(found, event_dim - part.domain.event_dim)
            value = x
        found = self.base_dist.log_prob(value)
        return total + sum_rightmost(found, event_dim - len(self.base_dist.event_shape))

    def cdf(self, value: Tensor) -> Tensor:
        for part in reversed(self.transforms):
            value = part.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._rising(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._rising(value)))

    def _rising(self, value: Tensor) -> Tensor:
        """A probability, or 1 less it where the maps fall."""
        sign: Any = 1
        for part in self.transforms:
            sign = sign * part.sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5


def _fitted(base: Distribution, whole: Transform) -> tuple[Distribution, Size]:
    """`base` in the shape that the transform needs, and the shape of what comes of it."""
    shape = base.batch_shape + base.event_shape
    if len(shape) < whole.domain.event_dim:
        raise ValueError(
            f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, "
            f"but got {shape}."
        )
    result = whole.forward_shape(shape)
    needed = whole.inverse_shape(result)
    if needed != shape:
        base = base.expand(needed[: len(needed) - len(base.event_shape)])
    more = whole.domain.event_dim - len(base.event_shape)
    return (Independent(base, more) if more > 0 else base), result
