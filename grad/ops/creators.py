"""The list of functions that make tensors of no tensors.

`creator` registers one (`creation.py`, `random.py`); `grad/tensor.py` binds them as
``Tensor.<name>`` and `grad/__init__` as ``grad.<name>``. Those in `_WRITERS` get ``out=``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from grad.autograd.variable import Variable
from grad.dtype import as_dtype
from grad.errors import DTypeError
from grad.memory_format import MemoryLayout
from grad.ops.out import put_into, with_parameters

CREATORS: dict[str, Callable[..., Any]] = {}

# Those that get ``out=`` here, as PyTorch's have it; random ones have it themselves.
_WRITERS = frozenset(("arange", "empty", "eye", "full", "linspace", "logspace", "ones", "zeros"))


def creator(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function that makes tensors of no tensors."""
    name = function.__name__
    create = _placed(name, function)
    CREATORS[name] = _writer(name, create) if name in _WRITERS else create
    return CREATORS[name]


def _placed(name: str, create: Callable[..., Any]) -> Callable[..., Any]:
    """`create`, with what PyTorch asks about memory: ``layout=`` (there is one) and
    ``pin_memory=`` (without effect: no other device reads it).
    """

    @functools.wraps(create)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            layout = kwargs.pop("layout", None)
            if layout is not None and not isinstance(layout, MemoryLayout):
                raise TypeError(
                    f"{name}(): argument 'layout' must be grad.strided, not {layout!r}; every "
                    "tensor here is dense."
                )
            kwargs.pop("pin_memory", None)
        return create(*args, **kwargs)

    return with_parameters(call, create, layout=None, pin_memory=False)


def _writer(name: str, create: Callable[..., Any]) -> Callable[..., Any]:
    """`create`, with ``out=``: a tensor to write to, whose type is that of the numbers."""

    @functools.wraps(create)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return create(*args, **kwargs)
        wanted = kwargs.pop("dtype", None)
        if not isinstance(out, Variable):
            raise TypeError(f"{name}(): argument 'out' must be a Tensor, not {type(out).__name__}.")
        if wanted is not None and as_dtype(wanted) is not out.dtype:
            raise DTypeError(
                f"{name}(): dtype {as_dtype(wanted).name} is not that of out, {out.dtype.name}; "
                f"leave dtype away."
            )
        return put_into(name, out, create(*args, dtype=out.dtype, **kwargs))

    return with_parameters(call, create, out=None)
