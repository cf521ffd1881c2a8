"""The Array API standard, version 2024.12: what ``x.__array_namespace__()`` gives.

Programs that are written for the standard (SciPy, scikit-learn and others with their switches for
it on) run on tensors through these functions. The tensor stays PyTorch's; where the standard
differs, the function here adapts. One file per family of the standard: read operands.py, which has
the rules of promotion, then elementwise.py. Real types only, and no `fft`: see docs/array-api.md.

Nothing of `grad` imports this package: it is opened when it is asked for.
"""

# Names are imported here to be found here.
# ruff: noqa: F401

from __future__ import annotations

from grad.array_api import linalg
from grad.array_api.creation import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tril,
    triu,
    zeros,
    zeros_like,
)
from grad.array_api.data_types import (
    astype,
    bfloat16,
    bool,
    can_cast,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    result_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from grad.array_api.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    conj,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    real,
    reciprocal,
    remainder,
    round,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
)
from grad.array_api.inspection import __array_namespace_info__
from grad.array_api.linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from grad.array_api.manipulation import (
    broadcast_arrays,
    broadcast_to,
    concat,
    expand_dims,
    flip,
    moveaxis,
    permute_dims,
    repeat,
    reshape,
    roll,
    squeeze,
    stack,
    tile,
    unstack,
)
from grad.array_api.searching import (
    argmax,
    argmin,
    argsort,
    count_nonzero,
    nonzero,
    searchsorted,
    sort,
    take,
    take_along_axis,
    where,
)
from grad.array_api.sets import unique_all, unique_counts, unique_inverse, unique_values
from grad.array_api.statistical import (
    all,
    any,
    cumulative_prod,
    cumulative_sum,
    diff,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from grad.utils.constants import e, inf, nan, pi

__array_api_version__ = "2024.12"
newaxis = None
