"""Layers that scale channels to zero mean and unit variance: over a batch, an image, or in groups.

`normalization.py` has those over the last axes. The arithmetic, and how running statistics are
kept, is in `normalization_functions.py`; here are the parameters and the statistics as state.
"""

from __future__ import annotations

from typing import Any, ClassVar

from grad.autograd.modes import mode, no_grad
from grad.dtype import DType, dtypes
from grad.engine import compute_written_soon
from grad.nn import functional
from grad.nn.module import Module
from grad.nn.normalization import begin_as_identity
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


class _ChannelNorm(Module):
    """Weight and bias of each channel, and running statistics, where they are wanted."""

    ranks: ClassVar[tuple[int, ...]]  # dimensions that an input may have
    # Version 2 counts batches: state dicts from before are without the count.
    _version = 2

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        dtype: DType | None,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self.weight = Parameter(Tensor.empty(shape, dtype=dtype)) if affine else None
        self.bias = Parameter(Tensor.empty(shape, dtype=dtype)) if affine and bias else None
        tracked = track_running_stats
        mean = Tensor.zeros(shape, dtype=dtype) if tracked else None
        variance = Tensor.ones(shape, dtype=dtype) if tracked else None
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", variance)
        count = Tensor.zeros((), dtype=dtypes.int64) if tracked else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, nothing seen."""
        with no_grad():
            for name, value in (("mean", 0), ("var", 1)):
                running = self._buffers[f"running_{name}"]
                if running is not None:
                    running.fill_(value)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.fill_(0)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and the running statistics from the start."""
        self.reset_running_stats()
        begin_as_identity(self.weight, self.bias)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *more: Any
    ) -> None:
        version = local_metadata.get("version")
        key = f"{prefix}num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            state_dict[key] = Tensor.zeros((), dtype=dtypes.int64)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)

    def _check_rank(self, input: Tensor) -> None:
        if len(input.shape) not in self.ranks:
            wanted = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(f"expected {wanted} input (got {len(input.shape)}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


# -- over the batch --------------------------------------------------------------------------------
class _BatchNorm(_ChannelNorm):
    """The constructor and the call of `BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_rank(input)
        mean, variance = self.running_mean, self.running_var
        training = self.training or mean is None
        if not training:
            momentum: float | Tensor = 0.0
        else:
            momentum = self._count_batch() if self.training else 0.0
            # Without tracking, or in evaluation, a batch leaves nothing behind.
            if not (self.training and self.track_running_stats):
                mean = variance = None
        return functional.batch_norm(
            input, mean, variance, self.weight, self.bias, training, momentum, self.eps
        )

    def _count_batch(self) -> float | Tensor:
        """How far the running statistics move now: without a momentum they are plain averages."""
        count = self.num_batches_tracked
        if count is None or not self.track_running_stats or mode.recomputing:
            return 0.0
        with no_grad():
            storage = count._storage
            before = storage.node
            count += 1
            compute_written_soon(storage, before)
            return 1.0 / count.to(dtypes.float32) if self.momentum is None else self.momentum


class BatchNorm1d(_BatchNorm):
    """Channels of ``(N, C)`` or ``(N, C, L)`` to zero mean and unit variance over the batch.

    In training by the batch's own statistics, otherwise by running ones, see
    `functional.batch_norm`.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Channels of images ``(N, C, H, W)`` to zero mean and unit variance over the batch.

    Example:
        >>> BatchNorm2d(8)(Tensor.ones((4, 8, 5, 5))).shape
        torch.Size([4, 8, 5, 5])
    """

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Channels of volumes ``(N, C, D, H, W)`` to zero mean and unit variance over the batch."""

    ranks = (5,)


# -- over each image -------------------------------------------------------------------------------
class _InstanceNorm(_ChannelNorm):
    """The constructor and the call of `InstanceNorm1d`, `InstanceNorm2d` and `InstanceNorm3d`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_rank(input)
        batched = input if len(input.shape) == self.ranks[-1] else input.unsqueeze(0)
        own = self.training or not self.track_running_stats
        result = functional.instance_norm(
            batched,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return result if batched is input else result.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sequence ``(N, C, L)`` to zero mean and unit variance."""

    ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each image ``(N, C, H, W)`` to zero mean and unit variance."""

    ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each volume ``(N, C, D, H, W)`` to zero mean and unit variance."""

    ranks = (4, 5)


# -- in groups -------------------------------------------------------------------------------------
class GroupNorm(Module):
    """Groups of channels of each image ``(N, C, ...)`` to zero mean and unit variance."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        shape = (num_channels,)
        self.weight = Parameter(Tensor.empty(shape, dtype=dtype)) if affine else None
        self.bias = Parameter(Tensor.empty(shape, dtype=dtype)) if affine and bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        begin_as_identity(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
