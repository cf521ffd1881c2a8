"""`AdaptiveLogSoftmaxWithLoss`: the likelihood of one among many classes, most of which are rare.

Grave, Joulin, Cissé, Grangier, Jégou, "Efficient softmax approximation for GPUs", 2017. Frequent
classes have scores of their own in the head; the others are in clusters, which have one score each
there, and scores of their classes that are only computed for samples of that cluster.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from grad.dtype import DType
from grad.engine.recording import recording
from grad.errors import ArgumentError, ShapeError
from grad.nn.classification import cross_entropy
from grad.nn.containers import ModuleList, Sequential
from grad.nn.linear import Linear
from grad.nn.module import Module
from grad.ops.bounds import within
from grad.ops.convert import array_view
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


class _ASMoutput(NamedTuple):
    """What the module gives, under the name that PyTorch prints.

    Attributes:
        output: the log-probability of each target. loss: the mean of their negatives.
    """

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of classes that are numbered by how frequent they are, and their loss.

    While `grad.compile` records, every cluster is computed for all samples, as the plan must not
    depend on which samples belong to it; results are the same.

    Args:
        in_features: size of a sample.
        n_classes: number of classes; 0 is the most frequent one.
        cutoffs: where clusters begin: classes below the first are the head's own.
        div_value: each cluster sees as many features as the one before divided by this.
        head_bias: whether the head has a bias.

    Shape:
        input ``(N, in_features)`` and target ``(N,)``, or ``(in_features,)`` and ``()``. Gives
        ``output`` of the target's shape and ``loss``, a scalar.

    Raises:
        ValueError: cutoffs that are not increasing whole numbers from 1 to ``n_classes - 1``.
        RuntimeError: shapes do not fit, or a target is no class.

    Example:
        >>> layer = AdaptiveLogSoftmaxWithLoss(16, 100, cutoffs=[10, 40])
        >>> output, loss = layer(Tensor.zeros((3, 16)), grad.tensor([1, 20, 99]))
        >>> output.shape, loss.shape, layer.predict(Tensor.zeros((3, 16))).shape
        ((3,), (), (3,))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        first = _checked(cutoffs, n_classes)
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*first, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for number, (start, end) in enumerate(itertools.pairwise(self.cutoffs), 1):
            width = int(in_features // div_value**number)
            narrow = Linear(in_features, width, False, device, dtype)
            self.tail.append(Sequential(narrow, Linear(width, end - start, False, device, dtype)))

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        _check_shapes(input_, target_)
        single = not target_.shape
        input = input_.unsqueeze(0) if single else input_
        given = target_.unsqueeze(0) if single else target_
        target = given._wrap(within(given, 0, self.n_classes, self._no_class))
        lookup = self._among_all if recording.recorder is not None else self._among_its_own
        output = lookup(input, target)
        loss = (-output).mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _no_class(self, found: int) -> Exception:
        return ArgumentError(
            f"Target values should be in [0, {self.n_classes - 1}], but {found} was found."
        )

    def _among_its_own(self, input: Tensor, target: Tensor) -> Tensor:
        """The log-probabilities, each cluster computed for its samples. Looks at the target."""
        numbers = array_view(target)
        clusters = np.searchsorted(self.cutoffs[:-1], numbers, side="right")
        in_head = np.where(clusters == 0, numbers, clusters + (self.shortlist_size - 1))
        output = _log_likelihood(self.head(input), _integers(in_head))
        for number, part in enumerate(self.tail, 1):
            (samples,) = np.nonzero(clusters == number)
            if samples.size:
                rows = _integers(samples)
                own = _integers(numbers[samples] - self.cutoffs[number - 1])
                found = _log_likelihood(part(input.index_select(0, rows)), own)
                output = output.index_add(0, rows, found)
        return output

    def _among_all(self, input: Tensor, target: Tensor) -> Tensor:
        """The log-probabilities, all clusters computed for all samples."""
        in_head = target
        for number, start in enumerate(self.cutoffs[:-1]):
            in_head = in_head.where(target < start, self.shortlist_size + number)
        output = _log_likelihood(self.head(input), in_head)
        for part, (start, end) in zip(self.tail, itertools.pairwise(self.cutoffs)):
            own = (target - start).where((target >= start) & (target < end), _NONE)
            output = output + _log_likelihood(part(input), own)
        return output

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: ``(N, n_classes)`` for ``(N, in_features)``."""
        head = self.head(input).log_softmax(1)
        parts = [head[:, : self.shortlist_size]]
        for number, part in enumerate(self.tail, self.shortlist_size):
            parts.append(part(input).log_softmax(1) + head[:, number].unsqueeze(1))
        return REGISTRY["cat"](parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each sample: ``(N,)`` for ``(N, in_features)``."""
        return self.log_prob(input).argmax(1)


# Stands for a sample that is in another cluster.
_NONE = -100


def _log_likelihood(scores: Tensor, classes: Tensor) -> Tensor:
    return -cross_entropy(scores, classes, ignore_index=_NONE, reduction="none")


def _integers(array: np.ndarray[Any, Any]) -> Tensor:
    return Tensor.from_numpy(array.astype(np.int64))


def _checked(cutoffs: Sequence[int], n_classes: int) -> list[int]:
    given = list(cutoffs)
    if not given:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    increasing = all(a < b for a, b in itertools.pairwise([0, *given, n_classes]))
    if not increasing or any(int(cutoff) != cutoff for cutoff in given):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing "
            f"order, where each value is between 1 and n_classes-1; got {given} for {n_classes}."
        )
    return given


def _check_shapes(input: Tensor, target: Tensor) -> None:
    rank = len(target.shape)
    if rank > 1:
        raise ShapeError("0D or 1D target tensor expected, multi-target not supported")
    if len(input.shape) != rank + 1:
        raise ShapeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with size "
            f"{tuple(input.shape)}"
        )
    if rank and input.shape[0] != target.shape[0]:
        raise ShapeError("Input and target should have the same size in the batch dimension.")
