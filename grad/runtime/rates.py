"""Rates by size, as they are measured of a machine: which one holds for a size."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rate(rates: Sequence[Sequence[float]], footprint: float) -> float:
    """Bytes a second, of the size measured that is nearest to `footprint`."""
    nearest = min(rates, key=lambda pair: abs(math.log(max(footprint, 1) / pair[0])))
    return nearest[1]
