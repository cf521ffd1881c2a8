"""Where we differ from PyTorch's database of operators, on purpose: the whole list, as data.

A row names entries of the database, says with a regular expression which findings it stands for
(``function, int64: values: ...``, as op_db_checks.py words them), and quotes the place in
docs/differences.md where users are told of it and why. op_db_peer_test.py fails where a difference
has no row, where a row has no difference, and where the document does not say so.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One row: which entries, which of their findings, and the words of the document."""

    entries: tuple[str, ...]
    pattern: str
    documented: str


def _row(entries: str, pattern: str, documented: str) -> Difference:
    return Difference(tuple(entries.split()), pattern, documented)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Random results, and memory as it was found: shapes and types are compared, values are not.
SHAPES_ONLY = _names("""
    bernoulli binomial cauchy empty empty_like empty_permuted empty_strided exponential geometric
    log_normal multinomial new_empty new_empty_strided nn.functional.alpha_dropout
    nn.functional.dropout nn.functional.dropout1d nn.functional.dropout2d nn.functional.dropout3d
    nn.functional.feature_alpha_dropout nn.functional.fractional_max_pool2d
    nn.functional.fractional_max_pool3d nn.functional.gumbel_softmax nn.functional.rrelu
    nn.functional.scaled_dot_product_attention normal pca_lowrank poisson rand rand_like randint
    randint_like randn randn_like randperm resize_ resize_as_ svd_lowrank uniform
""")

# The same of single samples, by their arguments: the chance to be dropped.
_DROPS = {"nn.functional.multi_head_attention_forward": slice(9, 10)}


def is_random(name: str, args: tuple[Any, ...]) -> bool:
    """Whether only shapes and types of such a call can be compared."""
    return name in SHAPES_ONLY or (name in _DROPS and any(args[_DROPS[name]]))


# Results that are unique only after what the database does with them (signs of vectors).
UNIQUE_BY_PROCESSING = _names("linalg.eigh linalg.svd svd")

# Values and positions of elements, many of which are equal in the narrow types: any will do.
TIED = _names("kthvalue median mode nanmedian topk")

# Fewer samples of each list, where one takes long.
COSTLY = _names("""
    nn.functional.grid_sample nn.functional.max_pool2d nn.functional.max_pool3d
""")

_NUMBERS = "Python numbers as operands"
_EQUAL = "`sort`, `argsort`, `topk` of equal elements"
_SHARED = "memory that the target of `out=` shares with an operand"

DIFFERENCES = (
    _row(
        """
        __radd__ __rand__ __rmul__ __ror__ __rxor__ atan2 copysign eq fmax fmin fmod gcd
        ge gt hypot igamma igammac lcm le logaddexp logical_and logical_or logical_xor lt max-binary
        maximum min-binary minimum ne rsub
        """,
        r"error: not refused: PyTorch raises TypeError",
        _NUMBERS,
    ),
    _row(
        "addbmm addmv baddbmm",
        r"raises: DTypeError: .* must not be a floating point number",
        "`addmm`, `addmv`, `addbmm`, `baddbmm` of integers with a fractional `alpha` or `beta`",
    ),
    _row("mode msort topk", r"float16: gradient", _EQUAL),
    _row(
        "kthvalue gather masked_select take index_select cat",
        r"not refused: PyTorch raises RuntimeError: (unsupported operation|Trying to resize)",
        _SHARED,
    ),
    _row("as_strided_scatter", "gradient: values", "gradient of `as_strided_scatter` to `self`"),
    _row("addbmm", "in place, .*raises: BroadcastError", "`addbmm_` of a tensor without axes"),
    _row("matrix_exp", "float16: raises: DTypeError", "`matrix_exp` of halves"),
    _row(
        """
        polygamma-polygamma_n_0 polygamma-polygamma_n_1 polygamma-polygamma_n_2
        polygamma-polygamma_n_3 polygamma-polygamma_n_4
        special.polygamma-special_polygamma_n_0
        """,
        r"int\d+: values: \[inf|int8: values: \[inf",
        "`polygamma` at its poles",
    ),
    _row(
        "aminmax gather",
        "not refused: PyTorch raises RuntimeError: Expected out tensor",
        "`out=` of a wider type",
    ),
    _row("scalar_tensor", "uint8: raises: DTypeError", "`scalar_tensor(-5, dtype=uint8)`"),
    _row("pow __rpow__", "float16: gradient: values", "gradient of `pow` of halves that overflows"),
    _row(
        "nn.functional.soft_margin_loss",
        "float16: gradient: values",
        "gradient of `soft_margin_loss` of halves",
    ),
    _row("logcumsumexp", "float32: gradient: values", "gradient of `logcumsumexp` in float32"),
    _row(
        "linalg.norm-subgradients_at_zero",
        r"second gradient: values: \[0.*, not \[nan",
        "second derivative of `linalg.norm` at 0",
    ),
    _row(
        """
        nn.functional.avg_pool1d nn.functional.avg_pool2d nn.functional.avg_pool3d
        nn.functional.local_response_norm
        """,
        r"int64: raises: DTypeError",
        "`avg_pool1d` to `3d` and `local_response_norm` of integers",
    ),
    _row(
        """
        nn.functional.gelu nn.functional.hardshrink nn.functional.linear nn.functional.logsigmoid
        nn.functional.softplus nn.functional.softshrink
        """,
        "out=: TypeError",
        "`out=` of `linear`, `gelu`, `softplus`, `softshrink`, `hardshrink`, `logsigmoid`",
    ),
    _row(
        "unbind_copy split_with_sizes_copy",
        "(?s)out=: values: .* not None",
        "`out=` of `unbind_copy` and `split_with_sizes_copy`",
    ),
    _row(
        "special.bessel_j0 special.bessel_y1",
        "float64: .*values",
        "`special.bessel_j0`, `j1`, `y0`, `y1` of float64",
    ),
    _row("narrow_copy", "exception: AxisError", "`narrow_copy` along an axis that is not there"),
    _row("nn.functional.batch_norm", "raises: ShapeError", "`batch_norm` of shape ``(0,)``"),
    _row("nn.functional.interpolate-bicubic", "uint8: values", "uint8 `interpolate`"),
    _row(
        "nn.functional.group_norm nn.functional.layer_norm nn.functional.rms_norm",
        "alias .*: missing",
        "`group_norm`, `layer_norm` and `rms_norm` outside `nn.functional`",
    ),
)
