"""Random angles around 0 by the law of von Mises, whose concentrations a tensor says.

NumPy's generators draw them, as they draw counts (random_counts.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.graph.host import Array, hosted
from grad.graph.node import cast
from grad.ops.promotion import wrap
from grad.ops.random_counts import in_blocks, numpy_generator


def angles_around_zero(concentration: Any) -> Any:
    """An angle between -pi and pi for each concentration; NaN for one that is negative or NaN."""
    found = in_blocks(angle_numbers, concentration._shape, None, concentration.node)
    return wrap(cast(found, concentration.dtype))


@hosted
def angle_numbers(result: Array, keys: Array, concentrations: Array) -> None:
    """In each row angles of the law of von Mises."""
    for row, key, concentration in zip(result, keys, concentrations, strict=True):
        valid = concentration >= 0
        drawn = numpy_generator(key).vonmises(0.0, np.where(valid, concentration, 1.0))
        row[:] = np.where(valid, drawn, np.nan)
