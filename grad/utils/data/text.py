"""Text as a dataset of characters, for models that write the next one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grad.tensor import Tensor
from grad.utils.data.dataset import Dataset, checked_numbers


class CharacterDataset(Dataset[tuple[Tensor, Tensor]]):
    """Sample i is `block_size` characters of a text from number i on, and those that come after
    each of them: two int64 tensors of shape ``(block_size,)``.

    Args:
        text: to read from; longer than `block_size`.
        block_size: how many characters are in a sample.
        vocabulary: all characters, each at its number; those of the text in order if None. Give
            the validation text the vocabulary of the training text.

    Raises:
        ValueError: the text is too short, or has characters that the vocabulary lacks.

    Example:
        >>> data = CharacterDataset("abracadabra", block_size=4)
        >>> data.vocabulary, len(data), data[0]
        ('abcdr', 7, (tensor([0, 1, 4, 0]), tensor([1, 4, 0, 2])))
        >>> data.decode(data[0][1])
        'brac'
    """

    def __init__(self, text: str, block_size: int, vocabulary: str | None = None) -> None:
        if block_size < 1:
            raise ValueError(f"block_size={block_size}: a sample has at least one character.")
        if len(text) <= block_size:
            raise ValueError(
                f"the text has {len(text)} characters; samples of {block_size} take one more than "
                "that at least."
            )
        self.vocabulary = "".join(sorted(set(text))) if vocabulary is None else vocabulary
        self.block_size = block_size
        self._number_of = {character: place for place, character in enumerate(self.vocabulary)}
        self.numbers = self._encoded(text)

    def _encoded(self, text: str) -> np.ndarray[Any, Any]:
        try:
            return np.array([self._number_of[character] for character in text], np.int64)
        except KeyError as error:
            raise ValueError(
                f"the vocabulary of {len(self.vocabulary)} characters lacks {error.args[0]!r}."
            ) from None

    def encode(self, text: str) -> Tensor:
        """The numbers of the characters of `text`: int64 of shape ``(len(text),)``."""
        return Tensor.from_numpy(self._encoded(text))

    def decode(self, numbers: Tensor | Iterable[int]) -> str:
        """The text that `numbers` stand for."""
        values = numbers.tolist() if isinstance(numbers, Tensor) else numbers
        return "".join([self.vocabulary[number] for number in values])

    def __len__(self) -> int:
        return len(self.numbers) - self.block_size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self.batch([index])
        return inputs[0], targets[0]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The samples of those numbers, stacked: two tensors ``(len(indices), block_size)``."""
        first = checked_numbers(indices, len(self))
        places = first[:, None] + np.arange(self.block_size)
        return Tensor.from_numpy(self.numbers[places]), Tensor.from_numpy(self.numbers[places + 1])


def read_text(path: str | os.PathLike[str], encoding: str = "utf-8") -> str:
    """The text of a file, with line ends made ``\\n``.

    Raises:
        FileNotFoundError: there is no such file. ValueError: it is not text in that encoding.
    """
    try:
        return Path(path).read_text(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in {encoding}: {error.reason}.") from error
