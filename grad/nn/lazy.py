"""Lazy modules: they learn the number of their inputs from the first input they see.

A lazy module starts with parameters without a shape (`parameter.py`). A hook before its first call
gives them one, draws their values, and turns the module into one of the ordinary class. Until then
only `to`, `state_dict`, `load_state_dict` and printing work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from grad.autograd.modes import no_grad
from grad.dtype import DType, dtypes
from grad.nn.channel_normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from grad.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from grad.nn.linear import Linear
from grad.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from grad.tensor import Tensor

Sizes = int | Sequence[int]


class LazyModuleMixin:
    """What makes a module lazy: a class of one's own has it before `Module` among its bases.

    Such a class registers `UninitializedParameter`s, and materializes them in
    `initialize_parameters`, which gets the arguments of the first call.

    Attributes:
        cls_to_become: the class after the first call, if another.
    """

    cls_to_become: ClassVar[type | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own: Any = self
        self._initialize_hook = own.register_forward_pre_hook(
            self._infer_parameters, with_kwargs=True
        )

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give the parameters their shapes, from the arguments of the first call."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet."""
        own: Any = self
        return any(map(is_lazy, [*own._parameters.values(), *own._buffers.values()]))

    def _infer_parameters(self, module: Any, args: Any, kwargs: Any) -> None:
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        del module._initialize_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become


# -- linear ----------------------------------------------------------------------------------------
class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` whose `in_features` are those of its first input.

    Example:
        >>> layer = LazyLinear(3)
        >>> layer(Tensor.zeros((2, 5))).shape, layer
        (torch.Size([2, 3]), Linear(in_features=5, out_features=3, bias=True))
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: DType | None = None
    ) -> None:
        super().__init__(0, 0, False, dtype=dtype)
        self.out_features = out_features
        self.weight = UninitializedParameter(dtype=dtype)
        self.bias = UninitializedParameter(dtype=dtype) if bias else None

    def reset_parameters(self) -> None:
        """Nothing, as long as there are no values."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Parameters for inputs like `input`."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            _materialize(self.weight, (self.out_features, self.in_features))
            _materialize(self.bias, (self.out_features,))
            self.reset_parameters()
        self.in_features = self.weight.shape[-1]


def _materialize(parameter: Any, shape: tuple[int, ...]) -> None:
    if is_lazy(parameter):
        with no_grad():
            parameter.materialize(shape)


# -- filters ---------------------------------------------------------------------------------------
class _LazyFilters(LazyModuleMixin):
    """Filters whose `in_channels` are those of the first input."""

    def _leave_open(self, out_channels: int, groups: int, bias: bool, dtype: DType | None) -> None:
        own: Any = self
        own.out_channels, own.groups = out_channels, groups
        own.weight = UninitializedParameter(dtype=dtype)
        own.bias = UninitializedParameter(dtype=dtype) if bias else None

    def reset_parameters(self) -> None:
        """Nothing, as long as there are no values."""
        own: Any = self
        if not self.has_uninitialized_params() and own.in_channels != 0:
            own.cls_to_become.reset_parameters(own)

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Parameters for inputs like `input`, a batch or one sample."""
        own: Any = self
        rank = own.rank
        if len(input.shape) not in (rank + 1, rank + 2):
            raise RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {tuple(input.shape)}"
            )
        own.in_channels = input.shape[-rank - 1]
        if self.has_uninitialized_params():
            own._check(own.in_channels, own.out_channels, own.groups, own.padding_mode)
            _materialize(own.weight, own._weight_shape())
            _materialize(own.bias, (own.out_channels,))
            self.reset_parameters()


class _LazyConvolution(_LazyFilters):
    """The constructor of `LazyConv1d`, `LazyConv2d` and `LazyConv3d`."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        settings = (kernel_size, stride, padding, dilation, groups, False, padding_mode)
        super().__init__(0, 0, *settings, device, dtype)
        self._leave_open(out_channels, groups, bias, dtype)


class _LazyTransposed(_LazyFilters):
    """The constructor of `LazyConvTranspose1d` to `LazyConvTranspose3d`."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        settings = (kernel_size, stride, padding, output_padding, groups, False, dilation)
        super().__init__(0, 0, *settings, padding_mode, device, dtype)
        self._leave_open(out_channels, groups, bias, dtype)


class LazyConv1d(_LazyConvolution, Conv1d):
    """`Conv1d` whose `in_channels` are those of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConvolution, Conv2d):
    """`Conv2d` whose `in_channels` are those of its first input.

    Example:
        >>> LazyConv2d(4, 3)(Tensor.zeros((1, 2, 8, 8))).shape
        torch.Size([1, 4, 6, 6])
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConvolution, Conv3d):
    """`Conv3d` whose `in_channels` are those of its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """`ConvTranspose1d` whose `in_channels` are those of its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """`ConvTranspose2d` whose `in_channels` are those of its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """`ConvTranspose3d` whose `in_channels` are those of its first input."""

    cls_to_become = ConvTranspose3d


# -- normalization ---------------------------------------------------------------------------------
class _LazyNorm(LazyModuleMixin):
    """A normalization whose `num_features` are the channels of the first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, device, dtype)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(dtype=dtype)
            self.bias = UninitializedParameter(dtype=dtype) if bias else None
        if track_running_stats:
            self.running_mean = UninitializedBuffer(dtype=dtype)
            self.running_var = UninitializedBuffer(dtype=dtype)
            self.num_batches_tracked = Tensor.zeros((), dtype=dtypes.int64)

    def reset_parameters(self) -> None:
        """Nothing, as long as there are no values."""
        own: Any = self
        if not self.has_uninitialized_params() and own.num_features != 0:
            own.cls_to_become.reset_parameters(own)

    def initialize_parameters(self, input: Tensor) -> None:
        """Parameters and statistics for inputs like `input`."""
        own: Any = self
        own.num_features = input.shape[1]
        if self.has_uninitialized_params():
            for member in (own.weight, own.bias, own.running_mean, own.running_var):
                _materialize(member, (own.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` whose `num_features` are the channels of its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` whose `num_features` are the channels of its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` whose `num_features` are the channels of its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d` whose `num_features` are the channels of its first input."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` whose `num_features` are the channels of its first input."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` whose `num_features` are the channels of its first input."""

    cls_to_become = InstanceNorm3d
