"""Size: what a tensor's `shape` is to its user, a tuple that knows its number of elements.

Slices, sums and multiples of sizes are sizes, as in PyTorch. Inside the library shapes are plain
tuples, which are quicker to make and to take apart: those of nodes, and `Variable._shape`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import index as as_index
from typing import Any, SupportsIndex, overload


class Size(tuple[int, ...]):
    """The sizes of a tensor, axis by axis. Equal to the tuple of them, and hashed as it is.

    Args:
        sizes: whole numbers, or what counts as one: NumPy's, a tensor that holds one.

    Raises:
        TypeError: one of them is no whole number.

    Example:
        >>> grad.Size([2, 3, 4])[1:].numel()
        12
        >>> grad.zeros(2, 3).shape + (4,)
        torch.Size([2, 3, 4])
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = (), /) -> Size:
        return _new(cls, [_whole(number, size) for number, size in enumerate(sizes)])

    def numel(self) -> int:
        """The number of elements of a tensor of these sizes."""
        return math.prod(self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Size: ...
    def __getitem__(self, index: Any) -> Any:
        found = _get(self, index)
        return _new(Size, found) if found.__class__ is tuple else found

    def __add__(self, other: Any) -> Size:
        if not isinstance(other, tuple):
            raise TypeError(
                f"can only concatenate tuple (not {type(other).__name__}) to torch.Size"
            )
        return Size((*self, *other))

    def __radd__(self, other: Any) -> Size:
        return Size((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: SupportsIndex) -> Size:
        return _new(Size, _repeat(self, count)) if isinstance(count, int) else NotImplemented

    __rmul__ = __mul__

    def __repr__(self) -> str:
        """As PyTorch prints it: examples compare this text."""
        return f"torch.Size({list(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Size, (tuple(self),)


_new, _get, _repeat = tuple.__new__, tuple.__getitem__, tuple.__mul__


def _whole(number: int, size: Any) -> int:
    try:
        return int(as_index(size))
    except TypeError:
        raise TypeError(
            f"torch.Size() takes an iterable of 'int' (item {number} is '{type(size).__name__}')"
        ) from None
