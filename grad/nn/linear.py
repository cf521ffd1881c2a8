"""Layers that multiply by a weight matrix, or look rows up in one.

Weights are stored as PyTorch stores them, ``(out, in)``, so that checkpoints load unchanged, and
start from the same distributions (`init.py`).
"""

from __future__ import annotations

import math
from typing import Any, Self

from grad.autograd.modes import no_grad
from grad.dtype import DType
from grad.nn import functional, init
from grad.nn.module import Module
from grad.nn.parameter import Parameter
from grad.tensor import Tensor


class Identity(Module):
    """Returns its input; arguments of the constructor are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """Affine map ``y = x @ weight.T + bias``.

    Shape:
        input ``(..., in_features)``, output ``(..., out_features)``.

    Example:
        >>> Linear(20, 30)(Tensor.zeros((128, 20))).shape
        torch.Size([128, 30])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(Tensor.empty((out_features, in_features), dtype=dtype))
        self.bias = Parameter(Tensor.empty((out_features,), dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from ``U(-k, k)``, ``k = 1 / sqrt(in_features)``."""
        # kaiming_uniform_ with a = sqrt(5) has this same bound 1 / sqrt(fan_in).
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """``y[o] = x1 @ weight[o] @ x2 + bias[o]``.

    Shape:
        input1 ``(..., in1_features)``, input2 ``(..., in2_features)``, output
        ``(..., out_features)``.

    Example:
        >>> Bilinear(20, 30, 40)(Tensor.zeros((128, 20)), Tensor.zeros((128, 30))).shape
        torch.Size([128, 40])
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(Tensor.empty(shape, dtype=dtype))
        self.bias = Parameter(Tensor.empty((out_features,), dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from ``U(-k, k)``, ``k = 1 / sqrt(in1_features)``."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Embedding(Module):
    """A table of vectors, looked up by integer.

    Shape:
        input ``(...)`` of integers below `num_embeddings`, output ``(..., embedding_dim)``.

    Attributes:
        padding_idx: a row that starts as zeros and gets no gradient.
        max_norm, norm_type, scale_grad_by_freq: see `functional.embedding`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = _row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.weight = _table(num_embeddings, embedding_dim, _weight, _freeze, dtype)
        if _weight is None:
            self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A module with the table `embeddings` ``(count, size)``, learned only unless `freeze`.

        Raises:
            AssertionError: the table has other than 2 axes.
        """
        rows, columns = _table_shape(embeddings)
        return cls(
            rows,
            columns,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            embeddings,
            freeze,
        )

    def reset_parameters(self) -> None:
        """Draw the rows from N(0, 1); the padding row is zero."""
        _draw_rows(self.weight, self.padding_idx)

    def forward(self, input: Tensor) -> Tensor:
        return functional.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


def _row(padding_idx: int | None, count: int) -> int | None:
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ValueError(f"padding_idx {padding_idx} must be within num_embeddings {count}")
    return padding_idx % count


def _table(
    rows: int, columns: int, given: Tensor | None, frozen: bool, dtype: DType | None
) -> Parameter:
    """The weight: `given`, or memory for it."""
    if given is None:
        return Parameter(Tensor.empty((rows, columns), dtype=dtype), not frozen)
    if tuple(given.shape) != (rows, columns):
        raise AssertionError(
            f"Shape of weight does not match num_embeddings and embedding_dim: {(rows, columns)} "
            f"expected, got {tuple(given.shape)}"
        )
    return Parameter(given, not frozen)


def _table_shape(embeddings: Tensor) -> tuple[int, int]:
    if len(embeddings.shape) != 2:
        raise AssertionError(
            f"Embeddings parameter is expected to be 2-dimensional, got {tuple(embeddings.shape)}"
        )
    rows, columns = embeddings.shape
    return rows, columns


def _draw_rows(weight: Tensor, padding_idx: int | None) -> None:
    init.normal_(weight)
    if padding_idx is not None:
        with no_grad():
            weight[padding_idx] = 0


class EmbeddingBag(Module):
    """Sums, means or maxima of rows of a table, see `functional.embedding_bag`.

    Shape:
        input ``(bags, numbers)``, or ``(numbers,)`` with offsets; output
        ``(bags, embedding_dim)``.

    Example:
        >>> EmbeddingBag(10, 3)(grad.tensor([[1, 2], [4, 5]])).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.mode, self.include_last_offset = mode, include_last_offset
        self.padding_idx = _row(padding_idx, num_embeddings)
        self.weight = _table(num_embeddings, embedding_dim, _weight, False, dtype)
        if _weight is None:
            self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A module with the table `embeddings` ``(count, size)``, learned only unless `freeze`.

        Raises:
            AssertionError: the table has other than 2 axes.
        """
        rows, columns = _table_shape(embeddings)
        made = cls(
            rows,
            columns,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        made.weight.requires_grad_(not freeze)
        return made

    def reset_parameters(self) -> None:
        """Draw the rows from N(0, 1); the padding row is zero."""
        _draw_rows(self.weight, self.padding_idx)

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return functional.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding}"
