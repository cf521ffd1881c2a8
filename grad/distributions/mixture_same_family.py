"""Mixtures: each sample is of one of several distributions of a kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.categorical import Categorical
from grad.distributions.distribution import Distribution
from grad.tensor import Tensor
from grad.utils.size import Size


class MixtureSameFamily(Distribution):
    """Samples of those distributions, along the last axis of the batch of `component_distribution`,
    that `mixture_distribution` picks.

    Raises:
        ValueError: one is of another kind, or their batches do not fit.

    Example:
        >>> mixture = Categorical(grad.tensor([0.5, 0.5]))
        >>> MixtureSameFamily(mixture, Normal(grad.tensor([-1.0, 3.0]), 1.0)).mean
        tensor(1.)
    """

    arg_constraints = {}

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        mixture, component = mixture_distribution, component_distribution
        if not isinstance(mixture, Categorical):
            raise ValueError(
                "The Mixture distribution needs to be an instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component, Distribution):
            raise ValueError(
                "The Component distribution need to be an instance of "
                "torch.distributions.Distribution"
            )
        batch = component.batch_shape[:-1]
        for one, other in zip(reversed(mixture.batch_shape), reversed(batch)):
            if one != other and 1 not in (one, other):
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture.batch_shape}) is not compatible "
                    f"with `component_distribution.batch_shape`({batch})"
                )
        count = mixture.param_shape[-1]
        if not component.batch_shape or component.batch_shape[-1] != count:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({component.batch_shape[-1:]})"
            )
        self._mixture_distribution, self._component_distribution = mixture, component
        super().__init__(batch, component.event_shape, validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new, batch = super().expand(batch_shape, _instance), Size(batch_shape)
        count = self.component_distribution.batch_shape[-1:]
        new._component_distribution = self.component_distribution.expand(batch + count)
        new._mixture_distribution = self.mixture_distribution.expand(batch)
        return new

    @property
    def mixture_distribution(self) -> Categorical:
        """Which of them it is."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """Those that there are."""
        return self._component_distribution

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self.component_distribution.support)

    @property
    def mean(self) -> Tensor:
        return self._mixed(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        component = self.component_distribution
        apart = component.mean - self.mean.unsqueeze(self._axis)
        return self._mixed(component.variance) + self._mixed(apart.square())

    @property
    def _axis(self) -> int:
        """That of the components in their samples."""
        return -1 - len(self._event_shape)

    def _mixed(self, value: Tensor) -> Tensor:
        """What each component has, weighted."""
        probs = self.mixture_distribution.probs
        weights = probs.reshape(*probs.shape, *[1] * len(self._event_shape))
        return (weights * value).sum(self._axis)

    def cdf(self, value: Tensor) -> Tensor:
        found = self.component_distribution.cdf(self._padded(value))
        return (found * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        found = self.component_distribution.log_prob(self._padded(value))
        return (found + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            mixture = self.mixture_distribution.expand(self._batch_shape)
            which = mixture.sample(sample_shape)
            samples = self.component_distribution.sample(sample_shape)
            shape = list(samples.shape)
            shape[self._axis] = 1
            which = which.reshape(*which.shape, *[1] * (1 + len(self._event_shape)))
            return samples.gather(self._axis, which.expand(shape)).squeeze(self._axis)

    def _padded(self, value: Tensor) -> Tensor:
        return value.unsqueeze(self._axis)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n  {self.mixture_distribution},\n  "
            f"{self.component_distribution})"
        )
