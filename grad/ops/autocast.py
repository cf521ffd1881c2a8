"""Which type operations compute in inside `autocast`: PyTorch's lists for the CPU, as one table.

`autocasts` wraps a function that is in the table: outside `autocast` it only asks for the mode,
inside it converts the tensors among the arguments first. The registry wraps its rows (registry.py);
functions that are no rows, such as the losses, say so by ``@autocasts``. What is in no list takes
what it is given. Tensors of float64, and those that are no floats, stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from grad.autograd.modes import mode
from grad.autograd.variable import Variable
from grad.dtype import DType, dtypes

Call = TypeVar("Call", bound=Callable[..., Any])
Rule = Callable[[Any, DType], DType]
CASTABLE = frozenset((dtypes.float16, dtypes.bfloat16, dtypes.float32))


def lower(_: Any, dtype: DType) -> DType:
    """The type that was asked for: products, whose sums are wide in any case."""
    return dtype


def full(_: Any, __: DType) -> DType:
    """Float32: what would lose digits, or overflow."""
    return dtypes.float32


def widest(arguments: Any, dtype: DType) -> DType:
    """Float32 where one argument has it: several tensors become one."""
    found = {tensor.dtype for tensor in _tensors(arguments)}
    return dtypes.float32 if dtypes.float32 in found or len(found & CASTABLE) > 1 else dtype


# As PyTorch 2.13 has them, found by running each under ``torch.autocast("cpu")``.
_LISTS: dict[Rule, str] = {
    lower: """
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d mm bmm matmul addmm
        baddbmm addbmm linear einsum tensordot chain_matmul multi_dot matrix_power inner vecdot cov
        corrcoef scaled_dot_product_attention
    """,
    full: """
        prod cdist pdist trace quantile nanquantile
        det slogdet logdet inverse pinverse cholesky cholesky_solve cholesky_inverse qr svd
        inv solve solve_triangular svdvals eigh eigvalsh lu lu_factor lstsq pinv matrix_rank
        tensorinv tensorsolve
        avg_pool3d max_pool3d adaptive_avg_pool3d adaptive_max_pool3d fractional_max_pool2d
        fractional_max_pool3d max_unpool2d max_unpool3d grid_sample
        mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
        binary_cross_entropy_with_logits cross_entropy nll_loss kl_div poisson_nll_loss
        hinge_embedding_loss cosine_embedding_loss margin_ranking_loss soft_margin_loss
        multilabel_margin_loss triplet_margin_loss multi_margin_loss ctc_loss
    """,
    widest: "cat stack index_copy",
}
TABLE: dict[str, Rule] = {name: rule for rule, names in _LISTS.items() for name in names.split()}


def _tensors(value: Any) -> Iterator[Variable]:
    """The tensors among arguments, also those in lists."""
    if isinstance(value, Variable):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _converted(value: Any, dtype: DType) -> Any:
    if isinstance(value, Variable):
        tensor: Any = value
        same = value.dtype is dtype or value.dtype not in CASTABLE
        return value if same else tensor.to(dtype)
    if type(value) in (list, tuple):
        return type(value)([_converted(item, dtype) for item in value])
    return value


def autocasts(function: Call, name: str | None = None) -> Call:
    """`function` as it is, unless it is in the table (by `name`, or its own): then the same with
    arguments converted inside `autocast`.

    What the function itself calls is not converted again.
    """
    rule = TABLE.get(name or function.__name__)
    if rule is None:
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        asked = mode.autocast
        if asked is None:
            return function(*args, **kwargs)
        mode.autocast = None
        try:
            dtype = rule((args, *kwargs.values()), asked)
            named = {key: _converted(value, dtype) for key, value in kwargs.items()}
            return function(*_converted(args, dtype), **named)
        finally:
            mode.autocast = asked

    return call  # type: ignore[return-value]
