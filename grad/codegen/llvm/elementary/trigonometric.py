"""sin, cos and tan.

``|x| = q * pi/2 + r`` with |r| <= pi/4: up to `LARGE` by three fused multiply-adds with pi/2 in three parts (Cody
and Waite 1980); beyond it, behind one branch that is taken when any lane is large, by the method of Payne and Hanek
(1983) in float64 with a table of ``2**e * 2/pi mod 4`` (`huge_reduction`). Then short polynomials in r, chosen and signed by q.
Large float64 lanes go to the C library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from grad.codegen.llvm.builder import Builder, Value, lanes_of, mangled, vector_type, with_element
from grad.codegen.llvm.elementary.coefficients import COS_TAIL, SIN_TAIL, TAN_TAIL
from grad.codegen.llvm.elementary.parts import (
    PI,
    absolute,
    any_lane,
    bits_of,
    format_of,
    from_bits,
    lane_by_lane,
    nearest_integer,
    polynomial,
)

# Up to here q has few enough bits for the three parts of pi/2.
LARGE = 2.0**17
# 2/pi in binary needs 24 + 127 + 60 bits: sixty-four decimals of pi are not enough, so 2/pi is an integer ratio.
HUGE_FIRST_EXPONENT = 17
HUGE_COUNT = 128 - HUGE_FIRST_EXPONENT
