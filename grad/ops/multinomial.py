"""`multinomial`: positions of a row, each as likely as its element is large.

With replacement, uniform numbers are looked up among running sums; without, the elements are
sorted by exponentially distributed times. Weights are checked when the function is called, or by a
replay of `grad.compile`.
"""

from __future__ import annotations

import math
from typing import Any

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import scan
from grad.graph.primitives import MAXIMUM
from grad.ops.bounds import require
from grad.ops.generator import Generator
from grad.ops.promotion import wrap
from grad.ops.random import delivered
from grad.ops.random_numbers import exponential_node, uniform_node
from grad.ops.ranking import first_positions
from grad.ops.registry import op
from grad.ops.searching import ranks_in

# The messages are PyTorch's. A row of NaN has no sum: the worst is told.
_FAULTS = {
    1: "invalid multinomial distribution (sum of probabilities <= 0)",
    2: "probability tensor contains either `inf`, `nan` or element < 0",
}


@op(method="multinomial", composite=True, gradient=False)
class Multinomial:
    """`num_samples` positions of each row of `input`, each as likely as its element is large.

    Without `replacement` no position comes twice, each next one is drawn from those that are left,
    and those of zeros come last. Elements need not add up to 1.

    Returns:
        int64, of shape ``(num_samples,)``, or ``(m, num_samples)`` for a matrix of m rows.

    Raises:
        TypeError, RuntimeError: the type is not floating.
        ValueError, RuntimeError: the input is no vector and no matrix, `num_samples` is not
            positive, or more than there are without `replacement`; an element is negative, infinite
            or NaN, or all of a row are zero.

    Example:
        >>> grad.multinomial(grad.tensor([0.0, 3.0, 0.0]), 4, replacement=True)
        tensor([1, 1, 1, 1])
    """

    @staticmethod
    def forward(
        input: Any,
        num_samples: int,
        replacement: bool = False,
        *,
        generator: Generator | None = None,
        out: Any = None,
    ) -> Any:
        _check_multinomial(input, num_samples, replacement, out)
        weights = input.detach()
        rows = weights if len(input.shape) == 2 else weights.unsqueeze(0)
        shape = (rows.shape[0], num_samples)
        if 0 in shape:
            return delivered("multinomial", out, rows.new_empty(shape, dtype=dtypes.int64))
        impossible = ~((rows >= 0) & (rows < math.inf))
        empty = rows.amax(1, keepdim=True) == 0
        require(
            impossible.to(dtypes.int32) * 2 + empty.to(dtypes.int32),
            lambda worst: ArgumentError(_FAULTS[1 if worst == 1 else 2]),
            weights,
        )
        # The largest one is 1: sums and quotients stay finite.
        rows = rows.to(dtypes.float64)
        rows = rows / rows.amax(1, keepdim=True)
        draw = _with_replacement if replacement or num_samples == 1 else _without_replacement
        found = draw(rows, num_samples, generator)
        return delivered("multinomial", out, found.reshape(*input.shape[:-1], num_samples))


def _check_multinomial(input: Any, num_samples: int, replacement: bool, out: Any) -> None:
    if len(input.shape) not in (1, 2):
        raise ShapeError(
            f"multinomial: needs a vector or a matrix, got shape {tuple(input.shape)}."
        )
    if not input.dtype.is_floating_point:
        raise DTypeError(
            f"multinomial only supports floating-point dtypes for input, got: {input.dtype.name}"
        )
    if out is not None and out.dtype is not dtypes.int64:
        raise DTypeError(f"multinomial expects an int64 tensor for out, got: {out.dtype.name}")
    if num_samples <= 0:
        raise ArgumentError(f"multinomial: cannot draw {num_samples} samples; ask for 1 or more.")
    size = input.shape[-1]
    if not size or (not replacement and num_samples > size):
        raise ArgumentError(
            f"multinomial: cannot draw {num_samples} of {size} positions without replacement."
            if size
            else "multinomial: there are no positions to draw from."
        )


def _with_replacement(rows: Any, count: int, generator: Generator | None) -> Any:
    """The place of uniform numbers among running sums."""
    sums = rows.cumsum(1)
    # A zero must add nothing at all, though partial sums are rounded each in its own way.
    sums = sums.masked_fill(rows == 0, -math.inf)
    sums = wrap(scan(MAXIMUM, sums.node, 1))
    unit = wrap(uniform_node((rows.shape[0], count), dtypes.float64, generator))
    # Below 1 by more than rounding makes up for: no place is behind the last sum.
    return ranks_in(sums, unit * sums[:, -1:], True, dtypes.int64)


def _without_replacement(rows: Any, count: int, generator: Generator | None) -> Any:
    """Each waits for an exponentially distributed time, the shorter the larger it is."""
    times = wrap(exponential_node(rows.shape, generator)) / rows
    return wrap(first_positions(times.node, 1, count, False))
