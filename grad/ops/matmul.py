"""Matrix products, all of them one `CONTRACT` of ``(..., m, k)`` with ``(..., k, n)``.

Vectors become matrices of one row or column. A batch of matrices times one matrix is folded into
one tall matrix, so that it is one large contraction and its gradient sums over the batch inside
the contraction. Halves are contracted in float32, small integers in int32; the kernel converts
them as it reads them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import dtypes, promote_types
from grad.errors import BroadcastError, DTypeError, ShapeError
from grad.graph.node import (
    Node,
    broadcast_shapes,
    cast,
    contract,
    expand,
    permute,
    pointwise,
    reshape,
)
from grad.graph.primitives import ADD
from grad.ops.promotion import accumulation_dtype, is_tensor, require_tensors, unsupported
from grad.ops.registry import NUMERIC, Failure, op
from grad.ops.samples import operands

Shape = tuple[int, ...]


def require_matching(name: str, **tensors: Any) -> None:
    """All are tensors of one type that is not bool."""
    require_tensors(name, **tensors)
    (first, tensor), *others = tensors.items()
    for other, value in others:
        if value.dtype is not tensor.dtype:
            wider = promote_types(tensor.dtype, value.dtype) is tensor.dtype
            low, high = (other, first) if wider else (first, other)
            raise DTypeError(
                f"{name}: {first} is {tensor.dtype.name} and {other} {value.dtype.name}, needs one "
                f"dtype; use {low}.to({high}.dtype)."
            )
    if tensor.dtype.kind == "b":
        raise DTypeError(f"{name}: not defined for bool tensors; use x.int() or x.float().")


def product(a: Node, b: Node, rounded: bool = True) -> Node:
    """``(..., m, k)`` times ``(..., k, n)`` with equal leading axes, computed in the type that such
    sums are kept in and, if `rounded`, given in that of the operands.
    """
    if a.dtype.is_floating_point:
        wide = accumulation_dtype(a.dtype)
    else:  # modulo a power of two: wrapped once at the end, sums are what they would be
        wide = dtypes.int64 if a.dtype.itemsize == 8 else dtypes.int32
    found = contract(cast(a, wide), cast(b, wide))
    return cast(found, a.dtype) if rounded else found


def _transposed(node: Node) -> Node:
    rank = len(node.shape)
    return permute(node, (*range(rank - 2), rank - 1, rank - 2))


def matrix_product(x: Node, y: Node, rounded: bool = True) -> Node:
    """``x @ y`` by NumPy's rules for 1-D to n-D operands; the shapes have been checked. `rounded`
    is that of `product`.
    """
    rows, columns = x.shape, y.shape
    if len(rows) == 2 and len(columns) == 2:
        return product(x, y, rounded)
    a = reshape(x, (1, *rows)) if len(rows) == 1 else x
    b = reshape(y, (*columns, 1)) if len(columns) == 1 else y
    lead: Shape = a.shape[:-2]
    if len(b.shape) == 2:
        folded = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])) if lead else a
        result = product(folded, b, rounded)
    else:
        lead = _leading(a.shape, b.shape)
        first, second = (expand(node, (*lead, *node.shape[-2:])) for node in (a, b))
        result = product(first, second, rounded)
    shape = (
        *lead,
        *(rows[-2:-1] if len(rows) > 1 else ()),
        *(columns[-1:] if len(columns) > 1 else ()),
    )
    return reshape(result, shape)


def _leading(x: Shape, y: Shape) -> Shape:
    """The axes before the matrices, broadcast."""
    try:
        return broadcast_shapes("matmul", x[:-2], y[:-2])
    except BroadcastError:
        raise BroadcastError(
            f"matmul: the leading axes of {tuple(x)} and {tuple(y)}, {tuple(x[:-2])} and "
            f"{tuple(y[:-2])}, do not broadcast; use x.unsqueeze(...) or x.reshape(...) to line "
            f"them up."
        ) from None


def _check_shapes(name: str, x: Shape, y: Shape) -> None:
    if not x or not y:
        raise ShapeError(
            f"{name}: got shapes {tuple(x)} and {tuple(y)}, needs at least 1 dimension each; "
            f"use x * y."
        )
    (last,), (inner, *_) = x[-1:], y[-2:]
    if last != inner:
        raise ShapeError(
            f"{name}: shapes {tuple(x)} and {tuple(y)} do not fit: the last size of the first, "
            f"{last}, must be the {'last but one' if len(y) > 1 else 'only'} size of the second, "
            f"{inner}. Use x.T or y.mT to turn one of them."
        )


_MISFITS = (
    Failure(((2, 3), (2, 3)), match="do not fit"),
    Failure(((3,), (4,)), match="do not fit"),
    Failure(((), (3,)), match="1 dimension"),
)


@op(
    method="matmul",
    operator="__matmul__",
    reflected="__rmatmul__",
    reference=np.matmul,
    samples=(
        *operands(((3, 4), (4, 2))),
        *operands(((4,), (4,))),
        *operands(((4,), (4, 2))),
        *operands(((3, 4), (4,))),
        *operands(((2, 3, 4), (4, 2))),
        *operands(((2, 3, 4), (4,))),
        *operands(((2, 3, 4), (2, 4, 2))),
        *operands(((2, 1, 3, 4), (5, 4, 2))),
        *operands(((4,), (2, 4, 3))),
        *operands(((3, 4), (2, 4, 2))),
    ),
    errors=_MISFITS,
    dtypes=NUMERIC,
)
@plainly_rebuilt
@remembered
class MatMul(Function):
    """Matrix product of 1-D to n-D tensors; leading axes broadcast.

    Shape:
        ``(..., m, k)`` and ``(..., k, n)`` give ``(..., m, n)``; a vector counts as one row on the
        left and one column on the right, and that axis is dropped again.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        require_matching("matmul", x=x, y=y)
        _check_shapes("matmul", x.shape, y.shape)
        ctx.save_for_backward(x, y)
        return x._wrap(matrix_product(x.node, y.node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        if len(x.shape) == 1 and len(y.shape) == 1:
            return grad * y if needs_x else None, grad * x if needs_y else None
        if len(y.shape) <= 2:
            return _gradients_of_folded(x, y, grad, needs_x, needs_y)
        rows = x.unsqueeze(0) if len(x.shape) == 1 else x
        grad = grad.unsqueeze(-2) if len(x.shape) == 1 else grad
        # A batch on one side only: the autograd engine sums over it.
        return grad @ y.mT if needs_x else None, rows.mT @ grad if needs_y else None


def _gradients_of_folded(x: Any, y: Any, grad: Any, needs_x: bool, needs_y: bool) -> Any:
    """Gradients of ``x @ y`` where y is one matrix or vector: x counts as one tall matrix."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) if len(x.shape) != 2 else x
    matrix = y if len(y.shape) == 2 else y.unsqueeze(-1)
    shape = (rows.shape[0], matrix.shape[1])
    flat = grad.reshape(shape) if grad.shape != shape else grad
    return (
        (flat @ matrix.mT).reshape(x.shape) if needs_x else None,
        (rows.mT @ flat).reshape(y.shape) if needs_y else None,
    )


def require_ranks(name: str, ranks: tuple[int, ...], *tensors: Any) -> None:
    """Raise unless these are tensors of these numbers of axes."""
    for tensor, rank in zip(tensors, ranks, strict=True):
        if not is_tensor(tensor):
            raise unsupported(name, tensor)
        if len(tensor.shape) != rank:
            given = " and ".join(str(tuple(t.shape)) for t in tensors)
            needed = " and ".join(f"{r}-D" for r in ranks)
            raise ShapeError(
                f"{name}: got shapes {given}, needs {needed} tensors; use x.matmul(y)."
            )


@op(
    method="mm",
    reference=np.matmul,
    samples=operands(((3, 4), (4, 2))),
    errors=(Failure(((2, 3), (3,)), match="2-D"),),
    composite=True,
    dtypes=NUMERIC,
)
class Mm(Function):
    """Product of two matrices."""

    @staticmethod
    def forward(x: Any, mat2: Any) -> Any:
        require_ranks("mm", (2, 2), x, mat2)
        return MatMul.apply(x, mat2)


@op(
    function="_int_mm",
    reference=lambda x, mat2: np.matmul(x.astype(np.int32), mat2.astype(np.int32)),
    samples=(*operands(((3, 4), (4, 2))), *operands(((5, 300), (300, 17)))),
    errors=(
        Failure(((2, 3), (3,)), match="2-D", dtype=dtypes.int8),
        Failure(((2, 3), (2, 3)), match="do not fit", dtype=dtypes.int8),
        Failure(((2, 3), (3, 2)), error=DTypeError, match="int8"),
    ),
    dtypes=(dtypes.int8,),
    gradient=False,
)
class IntMm(Function):
    """Product of two int8 matrices with sums in int32, which is the result's type."""

    @staticmethod
    def forward(ctx: Context, x: Any, mat2: Any) -> Any:
        require_ranks("_int_mm", (2, 2), x, mat2)
        if x.dtype is not dtypes.int8 or mat2.dtype is not dtypes.int8:
            raise DTypeError(
                f"_int_mm: operands are {x.dtype.name} and {mat2.dtype.name}, needs int8 for both; "
                f"use x @ mat2 for a product in their own type."
            )
        _check_shapes("_int_mm", x.shape, mat2.shape)
        return x._wrap(contract(cast(x.node, dtypes.int32), cast(mat2.node, dtypes.int32)))


@op(
    method="bmm",
    reference=np.matmul,
    samples=operands(((2, 3, 4), (2, 4, 2))),
    errors=(
        Failure(((2, 3), (3, 2)), match="3-D"),
        Failure(((2, 3, 4), (3, 4, 2)), match="batch"),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class Bmm(Function):
    """Products of two batches of matrices of equal size, which do not broadcast."""

    @staticmethod
    def forward(x: Any, mat2: Any) -> Any:
        require_ranks("bmm", (3, 3), x, mat2)
        if x.shape[0] != mat2.shape[0]:
            raise ShapeError(
                f"bmm: batch sizes of {tuple(x.shape)} and {tuple(mat2.shape)} differ; use "
                f"x.matmul(mat2) to broadcast."
            )
        return MatMul.apply(x, mat2)


@op(
    method="mv",
    reference=np.matmul,
    samples=operands(((3, 4), (4,))),
    composite=True,
    dtypes=NUMERIC,
)
class Mv(Function):
    """Product of a matrix and a vector."""

    @staticmethod
    def forward(x: Any, vec: Any) -> Any:
        require_ranks("mv", (2, 1), x, vec)
        return MatMul.apply(x, vec)


@op(
    method="dot",
    aliases=("vdot",),
    reference=np.dot,
    samples=operands(((4,), (4,))),
    errors=(Failure(((2, 3), (3,)), match="1-D"),),
    composite=True,
    dtypes=NUMERIC,
)
class Dot(Function):
    """Inner product of two vectors."""

    @staticmethod
    def forward(x: Any, tensor: Any) -> Any:
        require_ranks("dot", (1, 1), x, tensor)
        require_matching("dot", x=x, tensor=tensor)
        _check_shapes("dot", x.shape, tensor.shape)
        # No contraction: long vectors are summed in chunks, by all threads.
        return (x * tensor).sum(dtype=x.dtype)


@op(
    method="outer",
    aliases=("ger",),
    reference=np.outer,
    samples=operands(((3,), (4,))),
    composite=True,
    dtypes=NUMERIC,
)
class Outer(Function):
    """All products of two vectors: ``out[i, j] = x[i] * vec2[j]``."""

    @staticmethod
    def forward(x: Any, vec2: Any) -> Any:
        require_ranks("outer", (1, 1), x, vec2)
        return x.unsqueeze(-1) * vec2


def _features(given: Shape, weight: Shape) -> str:
    """Where the sizes of a linear map do not fit, if it is a matter of sizes."""
    if not given or len(weight) != 2:
        return ""
    turned = "; use input @ weight if the weight lies the other way"
    return (
        f": the last size of the input is {given[-1]}, in_features {weight[1]}"
        f"{turned if given[-1] == weight[0] else ''}"
    )


@op(
    function="linear",
    reference=lambda x, weight, bias=0: x @ weight.T + bias,
    samples=(
        *operands(((3, 4), (2, 4), (2,))),
        *operands(((3, 4), (2, 4))),
        *operands(((2, 3, 4), (2, 4), (2,))),
        *operands(((4,), (2, 4), (2,))),
    ),
    errors=(Failure(((3, 4), (4, 2)), match="in_features"),),
)
@plainly_rebuilt
@remembered
class Linear(Function):
    """``x @ weight.T + bias``.

    Shape:
        x ``(..., in_features)``, weight ``(out_features, in_features)``, bias ``(out_features,)``
        or None; gives ``(..., out_features)``.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, weight: Any, bias: Any = None) -> Any:
        if bias is None:
            require_matching("linear", input=x, weight=weight)
        else:
            require_matching("linear", input=x, weight=weight, bias=bias)
        if len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
            raise ShapeError(
                f"linear: got input {tuple(x.shape)} and weight {tuple(weight.shape)}, needs input "
                f"(..., in_features) and weight (out_features, in_features)"
                f"{_features(x.shape, weight.shape)}."
            )
        ctx.save_for_backward(x, weight)
        node = matrix_product(x.node, _transposed(weight.node), rounded=bias is None)
        if bias is None:
            return x._wrap(node)
        result = cast(pointwise(ADD, node, cast(bias.node, node.dtype)), x.dtype)
        if result.shape != node.shape:
            raise ShapeError(
                f"linear: got bias {tuple(bias.shape)} and weight {tuple(weight.shape)}, needs "
                f"bias (out_features,)."
            )
        return x._wrap(result)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, *needs_bias = ctx.needs_input_grad
        size = math.prod(grad.shape[:-1])
        rows = grad.reshape(size, grad.shape[-1]) if len(grad.shape) != 2 else grad
        flat = x.reshape(size, x.shape[-1]) if len(x.shape) != 2 else x
        grads = (
            grad @ weight if needs_x else None,
            rows.mT @ flat if needs_weight else None,
            grad if any(needs_bias) else None,
        )
        return grads[: len(ctx.needs_input_grad)]
