"""Sequences of different lengths in one tensor: padded to the longest, or packed without padding.

A `PackedSequence` has the rows of all sequences sorted by time: first step 0 of every sequence,
longest sequence first, then step 1 of those that have one, and so on. A layer over time
(nn/recurrent.py) then takes ``batch_sizes[t]`` rows at step t, and computes nothing for padding.
Packing and padding are each one look-up by numbers that follow from the lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from grad.dtype import DType, dtypes
from grad.engine.recording import recording
from grad.graph.arrays import table_of
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "pack_sequence",
    "unpack_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences of different lengths without padding; `pack_sequence` and others make them.

    Attributes:
        data: ``(sum of lengths, ...)``, step after step.
        batch_sizes: int64 ``(longest,)``: how many sequences have each step.
        sorted_indices: which sequence of the user's is first, second ...; None if all in order.
        unsorted_indices: where each sequence of the user's is now; the inverse.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        data, sizes = (data[0], data[1]) if batch_sizes is None else (data, batch_sizes)
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, sizes, sorted_indices, unsorted_indices)

    def rows(self) -> tuple[int, ...]:
        """`batch_sizes` as numbers."""
        # Kept, since a tensor cannot be read while grad.compile records.
        found = self.__dict__.get("_rows")
        if found is None:
            found = self.__dict__["_rows"] = tuple(_numbers(self.batch_sizes).tolist())
        return found

    def with_data(self, data: Tensor) -> PackedSequence:
        """Other values of the same sequences."""
        found = type(self)(data, *self[1:])
        if "_rows" in self.__dict__:
            found.__dict__["_rows"] = self.__dict__["_rows"]
        return found

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with `data` of another dtype or on another device; see `Tensor.to`."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self.with_data(data)

    def _converted(self, dtype: DType) -> PackedSequence:
        return self.to(dtype)

    def double(self) -> PackedSequence:
        """`data` in float64."""
        return self._converted(dtypes.float64)

    def float(self) -> PackedSequence:
        """`data` in float32."""
        return self._converted(dtypes.float32)

    def half(self) -> PackedSequence:
        """`data` in float16."""
        return self._converted(dtypes.float16)

    def long(self) -> PackedSequence:
        """`data` in int64."""
        return self._converted(dtypes.int64)

    def int(self) -> PackedSequence:
        """`data` in int32."""
        return self._converted(dtypes.int32)

    def short(self) -> PackedSequence:
        """`data` in int16."""
        return self._converted(dtypes.int16)

    def char(self) -> PackedSequence:
        """`data` in int8."""
        return self._converted(dtypes.int8)

    def byte(self) -> PackedSequence:
        """`data` in uint8."""
        return self._converted(dtypes.uint8)

    def cpu(self) -> PackedSequence:
        """`data` on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether `data` is on a CUDA device."""
        return str(self.data.device).startswith("cuda")

    def pin_memory(self) -> PackedSequence:
        """Itself: memory is not pinned."""
        return self

    def is_pinned(self) -> bool:
        """Whether `data` is in pinned memory; it never is."""
        return False


def _packed(data: Tensor, rows: np.ndarray[Any, Any], order: Any) -> PackedSequence:
    indices = None if order is None else (_tensor(order), _tensor(np.argsort(order)))
    found = PackedSequence(data, _tensor(rows), *(indices or (None, None)))
    found.__dict__["_rows"] = tuple(rows.tolist())
    return found


def _tensor(numbers: Any, dtype: DType = dtypes.int64) -> Tensor:
    """What follows from lengths alone, which a recording knows (`_numbers`)."""
    return Tensor._wrap(table_of(np.asarray(numbers, dtype.numpy), dtype))


def _numbers(lengths: Any) -> np.ndarray[Any, Any]:
    recorder = recording.recorder
    if isinstance(lengths, Tensor) and recorder is not None and not recorder.stands_in:
        recorder.give_up("it packs or unpacks sequences whose lengths are in a tensor")
    values = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    return np.asarray([int(value) for value in values], np.int64)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`; None of None.

    Example:
        >>> invert_permutation(grad.tensor([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    if permutation is None:
        return None
    places = Tensor.arange(permutation.shape[0], dtype=permutation.dtype)
    return permutation.scatter(0, permutation.long(), places)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Leave the padding out of `input`. This looks at the values of `lengths`: in `grad.compile`
    give a list, as a function whose lengths are a tensor runs uncompiled.

    Args:
        input: ``(longest, batch, ...)``, or ``(batch, longest, ...)`` if `batch_first`.
        lengths: of each sequence, in the order of the batch.
        enforce_sorted: the lengths have to decrease; otherwise sequences are sorted, and results
            come back in the order of `input`.

    Raises:
        RuntimeError: lengths are not positive, not of the batch's number or not sorted.

    Example:
        >>> pack_padded_sequence(grad.tensor([[1, 3], [2, 0]]), [2, 1]).data.tolist()
        [1, 3, 2]
    """
    sizes = _numbers(lengths)
    batch, steps = input.shape[:2] if batch_first else input.shape[1::-1]
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    if len(sizes) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={batch})"
        )
    if (sizes <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if sizes.max() > steps:
        raise RuntimeError(f"a length of {sizes.max()} is beyond the input's {steps} steps")
    if enforce_sorted and (sizes[1:] > sizes[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to sort the sequences here."
        )
    order = np.argsort(-sizes, kind="stable")
    given, ranks = np.nonzero(np.arange(sizes.max())[:, None] < sizes[order])
    places = order[ranks] * steps + given if batch_first else given * batch + order[ranks]
    data = input.reshape(batch * steps, *input.shape[2:]).index_select(0, _tensor(places))
    rows = np.bincount(given)
    return _packed(data, rows, None if enforce_sorted else order)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The sequences with padding behind, and their lengths: the opposite of `pack_padded_sequence`.

    Args:
        total_length: of the result, at least that of the longest sequence.

    Returns:
        ``(longest, batch, ...)``, or ``(batch, longest, ...)`` if `batch_first`; and int64
        ``(batch,)``.

    Example:
        >>> packed = pack_sequence([grad.tensor([1.0, 2.0]), grad.tensor([3.0])])
        >>> pad_packed_sequence(packed, batch_first=True)[0].tolist()
        [[1.0, 2.0], [3.0, 0.0]]
    """
    rows = np.asarray(sequence.rows(), np.int64)
    longest, batch = len(rows), int(rows[0])
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {longest}"
        )
    rows = np.pad(rows, (0, (total_length or longest) - longest))
    ranks = np.arange(batch)
    valid = ranks < rows[:, None]
    places = np.where(valid, (np.cumsum(rows) - rows)[:, None] + ranks, 0)
    lengths = _tensor(valid.sum(0))
    if batch_first:
        valid, places = valid.T, places.T
    data = sequence.data
    padded = data.index_select(0, _tensor(places.reshape(-1)))
    padded = padded.reshape(*places.shape, *data.shape[1:])
    if not valid.all():
        kept = _tensor(valid, dtypes.bool)
        kept = kept.reshape(*valid.shape, *[1] * (len(data.shape) - 1))
        padded = padded.where(kept, padding_value)
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths.index_select(0, sequence.unsorted_indices)
    return padded, lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences ``(length, ...)`` of different lengths, with padding.

    Args:
        padding_side: "right", behind the sequences, or "left", in front.

    Returns:
        ``(longest, batch, ...)``, or ``(batch, longest, ...)`` if `batch_first`.

    Example:
        >>> pad_sequence([grad.tensor([1, 2]), grad.tensor([3])], batch_first=True).tolist()
        [[1, 2], [3, 0]]
    """
    if not isinstance(sequences, Tensor | Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    given = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if not given:
        raise RuntimeError("received an empty list of sequences")
    longest = max(len(sequence) for sequence in given)
    padded = []
    for sequence in given:
        missing = longest - sequence.shape[0]
        amounts = (0, missing) if padding_side == "right" else (missing, 0)
        behind = [0, 0] * (len(sequence.shape) - 1)
        pad = REGISTRY["pad"]
        padded.append(pad(sequence, (*behind, *amounts), "constant", padding_value))
    return REGISTRY["stack"](tuple(padded), 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each ``(length, ...)``. Looks at the values of `lengths`.

    Example:
        >>> [s.tolist() for s in unpad_sequence(grad.tensor([[1, 3], [2, 0]]), [2, 1])]
        [[1, 2], [3]]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [
        sequence[: int(length)]
        for sequence, length in zip(padded_sequences.unbind(0), _numbers(lengths), strict=True)
    ]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences ``(length, ...)`` of different lengths; see `pack_padded_sequence`.

    Example:
        >>> pack_sequence([grad.tensor([1, 2]), grad.tensor([3])]).data.tolist()
        [1, 3, 2]
    """
    lengths = [sequence.shape[0] for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one: the opposite of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
