"""Numbers with names: those of mathematics, and units of memory."""

from __future__ import annotations

import math

pi = math.pi
e = math.e
inf = math.inf
nan = math.nan

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
