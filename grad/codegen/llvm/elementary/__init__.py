"""Elementary functions as straight-line LLVM IR, for any lane count.

`ELEMENTARY` maps a name to an emitter, ``f(b, x) -> y`` (pow and atan2: two operands), for
`float` and `double` operands, scalar or vector; the result has the operand's type. No CPU
feature is needed; AVX-512 makes some shorter. Special values are those of C99.
docs/elementary-functions.md has the accuracy that tests/codegen/elementary_test.py measures.
Read parts.py, exponential.py, then the others in any order; coefficients.py is written by
tools/fit_elementary.py.
"""

from __future__ import annotations

from collections.abc import Callable

from grad.codegen.llvm.builder import Value
from grad.codegen.llvm.elementary.error import erf, erfc
from grad.codegen.llvm.elementary.exponential import exp, exp2, expm1, sigmoid
from grad.codegen.llvm.elementary.hyperbolic import cosh, sinh, tanh
from grad.codegen.llvm.elementary.inverse_trigonometric import acos, asin, atan, atan2
from grad.codegen.llvm.elementary.logarithm import log, log1p, log2, log10
from grad.codegen.llvm.elementary.power import pow, rsqrt, sqrt
from grad.codegen.llvm.elementary.trigonometric import cos, sin, tan

ELEMENTARY: dict[str, Callable[..., Value]] = {
    function.__name__: function
    for function in (
        exp, exp2, expm1, sigmoid,
        log, log2, log10, log1p,
        sqrt, rsqrt, pow,
        sin, cos, tan, asin, acos, atan, atan2,
        sinh, cosh, tanh,
        erf, erfc,
    )
}  # fmt: skip

__all__ = ["ELEMENTARY"]
