"""The closed set of operations that a graph is made of: one row each.

Everything a user calls is composed of these (`grad/ops`), everything the compiler knows is about
these. A row says how many operands, which element type comes out, what NumPy calls it (the oracle)
and roughly what a lane costs next to an addition (the fusion rules ask). `node.py` builds graphs of
them, `grad/codegen` has a column of machine instructions for each pointwise row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from grad.dtype import DType, dtypes
from grad.graph import reference


class Kind(Enum):
    """What a primitive does to shapes, which decides how the compiler treats it."""

    LEAF = "leaf"
    POINTWISE = "pointwise"
    REDUCE = "reduce"
    MOVEMENT = "movement"
    NAMED = "named"  # one kernel of its own kind: contraction, scan, scatter ...


class Rule(Enum):
    """How the element type of a pointwise result follows from the operands'."""

    SAME = "same as the first operand; all operands equal"
    BOOL = "bool; all operands equal"
    SELECT = "same as the last operand; the first is bool"
    GIVEN = "given by the caller"


@dataclass(frozen=True, eq=False, slots=True)
class Primitive:
    """One row. Rows are compared by identity.

    Attributes:
        name: lower-case name, as it is printed in graphs and kernels.
        kind: see `Kind`.
        arity: number of operands (-1: any).
        rule: element type of the result.
        numpy: ``f(*arrays)`` for pointwise rows and ``f(array, axis=axes)`` for reductions.
        cost: price of one lane in additions.
    """

    name: str
    kind: Kind
    arity: int = 1
    rule: Rule = Rule.SAME
    numpy: Callable[..., Any] | None = None
    cost: int = 1
    commutative: bool = False

    def __repr__(self) -> str:
        return self.name.upper()


def _pointwise(
    name: str,
    arity: int,
    numpy: Callable[..., Any],
    cost: int = 1,
    rule: Rule = Rule.SAME,
    commutative: bool = False,
) -> Primitive:
    return Primitive(name, Kind.POINTWISE, arity, rule, numpy, cost, commutative)


# -- leaves ----------------------------------------------------------------------------------------
BUFFER = Primitive("buffer", Kind.LEAF, 0)  # realised values
CONST = Primitive("const", Kind.LEAF, 0)  # a Python number, part of the code
ARGUMENT = Primitive("argument", Kind.LEAF, 0)  # a number handed to the code at each run
IOTA = Primitive("iota", Kind.LEAF, 0)  # 0, 1, 2 ... along one axis
# Stands for a value that is not there, while a function is traced (batching.py, grad/func).
STAND_IN = Primitive("stand_in", Kind.LEAF, 0)

# -- pointwise: one operand ------------------------------------------------------------------------
NEG = _pointwise("neg", 1, reference.neg)
ABS = _pointwise("abs", 1, np.abs)
INVERT = _pointwise("invert", 1, np.invert)
FLOOR = _pointwise("floor", 1, np.floor)
CEIL = _pointwise("ceil", 1, np.ceil)
ROUND = _pointwise("round", 1, reference.round_to_even)
TRUNC = _pointwise("trunc", 1, np.trunc)
SQRT = _pointwise("sqrt", 1, np.sqrt, 8)
RSQRT = _pointwise("rsqrt", 1, reference.rsqrt, 10)
EXP = _pointwise("exp", 1, np.exp, 14)
EXP2 = _pointwise("exp2", 1, np.exp2, 14)
EXPM1 = _pointwise("expm1", 1, np.expm1, 20)
LOG = _pointwise("log", 1, np.log, 18)
LOG2 = _pointwise("log2", 1, np.log2, 18)
LOG10 = _pointwise("log10", 1, np.log10, 18)
LOG1P = _pointwise("log1p", 1, np.log1p, 20)
SIN = _pointwise("sin", 1, np.sin, 22)
COS = _pointwise("cos", 1, np.cos, 22)
TAN = _pointwise("tan", 1, np.tan, 30)
ASIN = _pointwise("asin", 1, np.arcsin, 24)
ACOS = _pointwise("acos", 1, np.arccos, 24)
ATAN = _pointwise("atan", 1, np.arctan, 24)
SINH = _pointwise("sinh", 1, np.sinh, 28)
COSH = _pointwise("cosh", 1, np.cosh, 28)
TANH = _pointwise("tanh", 1, np.tanh, 24)
ERF = _pointwise("erf", 1, reference.erf, 24)
ERFC = _pointwise("erfc", 1, reference.erfc, 30)
SIGMOID = _pointwise("sigmoid", 1, reference.sigmoid, 24)
CAST = _pointwise("cast", 1, reference.cast, 1, Rule.GIVEN)
BITCAST = _pointwise("bitcast", 1, reference.bitcast, 0, Rule.GIVEN)

# -- pointwise: two operands -----------------------------------------------------------------------
ADD = _pointwise("add", 2, np.add, commutative=True)
SUB = _pointwise("sub", 2, np.subtract)
MUL = _pointwise("mul", 2, np.multiply, commutative=True)
DIV = _pointwise("div", 2, np.divide, 4)
FLOORDIV = _pointwise("floordiv", 2, reference.floordiv, 12)
MOD = _pointwise("mod", 2, reference.mod, 12)
FMOD = _pointwise("fmod", 2, reference.fmod, 12)
POW = _pointwise("pow", 2, reference.power, 40)
ATAN2 = _pointwise("atan2", 2, np.arctan2, 28)
MAXIMUM = _pointwise("maximum", 2, np.maximum, commutative=True)
MINIMUM = _pointwise("minimum", 2, np.minimum, commutative=True)
AND = _pointwise("and", 2, np.bitwise_and, commutative=True)
OR = _pointwise("or", 2, np.bitwise_or, commutative=True)
XOR = _pointwise("xor", 2, np.bitwise_xor, commutative=True)
SHL = _pointwise("shl", 2, np.left_shift)
SHR = _pointwise("shr", 2, np.right_shift)
EQ = _pointwise("eq", 2, np.equal, 1, Rule.BOOL, commutative=True)
NE = _pointwise("ne", 2, np.not_equal, 1, Rule.BOOL, commutative=True)
LT = _pointwise("lt", 2, np.less, 1, Rule.BOOL)
LE = _pointwise("le", 2, np.less_equal, 1, Rule.BOOL)
# Counter-based random bits: key and counter (uint64) to 64 bits, see reference.threefry.
THREEFRY = _pointwise("threefry", 2, reference.threefry, 50)

# -- pointwise: three operands ---------------------------------------------------------------------
WHERE = _pointwise("where", 3, np.where, 1, Rule.SELECT)

# -- reductions over axes; the axes disappear from the shape ---------------------------------------
SUM = Primitive("sum", Kind.REDUCE, 1, Rule.SAME, reference.reduce_sum)
PROD = Primitive("prod", Kind.REDUCE, 1, Rule.SAME, reference.reduce_prod)
MAX = Primitive("max", Kind.REDUCE, 1, Rule.SAME, reference.reduce_max)
MIN = Primitive("min", Kind.REDUCE, 1, Rule.SAME, reference.reduce_min)

# -- movement: index maps, see movement.py ---------------------------------------------------------
RESHAPE = Primitive("reshape", Kind.MOVEMENT)  # arg: shape
PERMUTE = Primitive("permute", Kind.MOVEMENT)  # arg: order of axes
EXPAND = Primitive("expand", Kind.MOVEMENT)  # arg: shape; axes of size 1 repeat, new axes in front
SLICE = Primitive(
    "slice", Kind.MOVEMENT
)  # arg: (start, step, size) per axis; steps may be negative
PAD = Primitive("pad", Kind.MOVEMENT)  # arg: (before, after) per axis; zeros
AS_STRIDED = Primitive("as_strided", Kind.MOVEMENT)  # arg: (shape, strides, offset) of a 1-d source
# arg: (shape, rows); along axis a of the source, element i of the result is at
# rows[a].start + sum(rows[a].steps * i): diagonals and sliding windows
AFFINE = Primitive("affine", Kind.MOVEMENT)
# The first source as it is, but for nobody to read before the others have been computed: what is
# made of it is another value than the same made of the source, and comes later.
BARRIER = Primitive("barrier", Kind.MOVEMENT, -1)

# -- named operations ------------------------------------------------------------------------------
CONTRACT = Primitive("contract", Kind.NAMED, 2)  # (..., m, k) with (..., k, n) to (..., m, n)
# arg: windows; image (n, g*c, *s) and weight (g*o, c, *k), see windows.py
CONVOLVE = Primitive("convolve", Kind.NAMED, 2)
# arg: (windows, kernel sizes); image and the gradient of its convolution to that of the weight
CONVOLVE_WEIGHT = Primitive("convolve_weight", Kind.NAMED, 2)
TAKE = Primitive(
    "take", Kind.NAMED, -1
)  # arg: axes; out[i] = source[i, with i[axis] replaced by index[i]]
SCATTER = Primitive("scatter", Kind.NAMED, -1)  # arg: (mode, axes); base, values, indices
# arg: (shape, strides) of a view; sources: base, the view's new values, its offset
UPDATE = Primitive("update", Kind.NAMED, 3)
# arg: (pointwise primitive, axis, from the end); running reduction
SCAN = Primitive("scan", Kind.NAMED, 1)
# arg: Attend of attention.py, which says what the sources are
ATTENTION = Primitive("attention", Kind.NAMED, -1)
ATTENTION_GRADIENT = Primitive("attention_gradient", Kind.NAMED, -1)
# arg: Recur of recurrence.py, which says what the sources are
RECURRENCE = Primitive("recurrence", Kind.NAMED, -1)
RECURRENCE_GRADIENT = Primitive("recurrence_gradient", Kind.NAMED, -1)
# arg: Host of host.py; a function of NumPy on arrays that are independent along their first axis
HOST = Primitive("host", Kind.NAMED, -1)
CONTIGUOUS = Primitive("contiguous", Kind.NAMED, 1)  # same values, stored in row-major order

PRIMITIVES: dict[str, Primitive] = {
    row.name: row for row in list(globals().values()) if isinstance(row, Primitive)
}

# What two partial results of a reduction are combined with.
COMBINE: dict[Primitive, Primitive] = {SUM: ADD, PROD: MUL, MAX: MAXIMUM, MIN: MINIMUM}


def identity(op: Primitive, dtype: DType) -> float | int | bool:
    """The value that a reduction starts from."""
    if op.name in ("sum", "prod"):
        return 0 if op.name == "sum" else 1
    lowest = op.name == "max"
    if dtype.kind == "f":
        return float("-inf") if lowest else float("inf")
    if dtype is dtypes.bool:
        return not lowest
    bits = 8 * dtype.itemsize
    if dtype.kind == "u":
        return 0 if lowest else (1 << bits) - 1
    return -(1 << (bits - 1)) if lowest else (1 << (bits - 1)) - 1
