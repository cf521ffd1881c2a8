"""Views as copies: ``squeeze_copy(x)`` is ``x.squeeze().clone()``, for each view of one table.

They are functions only. Code that is traced uses them where no two tensors may share memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

# What the table copies is registered by these.
from grad.ops import diagonals, join, order, stacking, strided, view, windows  # noqa: F401
from grad.ops import index as _index  # noqa: F401
from grad.ops.axes import normal_axis
from grad.ops.registry import ALL, REGISTRY, Op, Sample, op

VIEWS = (
    "as_strided", "diagonal", "expand", "permute", "select", "split", "split_with_sizes", "squeeze",
    "t", "transpose", "unbind", "unfold", "unsqueeze", "view",
)  # fmt: skip


def _copying(row: Op) -> Callable[..., Any]:
    """`row`, with memory of its own for each result."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        shown = row.call(*args, **kwargs)
        return tuple(v.clone() for v in shown) if isinstance(shown, tuple) else shown.clone()

    forward.__signature__ = inspect.Signature(list(row.parameters))  # type: ignore[attr-defined]
    return forward


def _register(row: Op) -> None:
    name = f"{row.name}_copy"
    body = {"__doc__": f"`{row.name}` as a copy.", "forward": staticmethod(_copying(row))}
    definition = type(f"{row.definition.__name__}Copy", (), {**body, "__module__": __name__})
    op(
        function=name,
        dtypes=row.dtypes,
        composite=True,
        reference=row.reference,
        samples=row.samples[:1],
        errors=row.errors,
    )(definition)


for _name in VIEWS:
    _register(REGISTRY[_name])


@op(function="alias_copy", dtypes=ALL, composite=True)
class AliasCopy:
    """A copy of `x`; the gradient goes through."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.clone()


@op(function="detach_copy", dtypes=ALL, composite=True, gradient=False)
class DetachCopy:
    """A copy of `x` outside the graph."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.detach().clone()


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return np.moveaxis(np.moveaxis(x, dim, 0)[start:end:step], 0, dim)


@op(
    function="slice_copy",
    dtypes=ALL,
    composite=True,
    reference=_slice,
    samples=[Sample(((4, 3),), (0, 1, -1)), Sample(((2, 5),), (1, None, None, 2))],
)
class SliceCopy:
    """A copy of the elements from `start` to before `end` along `dim`, in steps of `step`."""

    @staticmethod
    def forward(
        x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Any:
        axis = normal_axis("slice_copy", dim, len(x.shape))
        return x[(*[slice(None)] * axis, slice(start, end, step))].clone()
