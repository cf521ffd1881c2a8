"""Operations of halves: float16 and bfloat16 are computed in float32 and rounded once.

A kernel rounds after each primitive (docs/design/007). An operation of several would round in
between, where PyTorch rounds what a user called, and its gradient, once. Here are the two places
that see to it. `Pointwise` is the base of Functions: it gives `forward` and `backward` their
tensors in float32, and rounds what they give. `rounded_once` is the decorator of composites, which
are made of Tensor methods. What is saved for backward stays half, and operands of other types go
the way they went.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from grad.autograd.composed import set_apart
from grad.autograd.engine import gradients
from grad.autograd.function import Context, Function
from grad.autograd.modes import enable_grad, mode
from grad.autograd.remembered import remembered
from grad.autograd.variable import Variable
from grad.dtype import DType, dtypes
from grad.engine.recording import recording
from grad.graph.node import cast
from grad.ops.promotion import result_type, wrap


class Pointwise(Function):
    """Each element of the result is made of one element of each operand, and of numbers.

    `forward` and `backward` of a subclass are given halves in float32, as operands, gradients and
    saved tensors; numbers reach them as they are. What they give is rounded.
    """

    # Whether `forward` needs no help: it is one primitive, or sees to types by itself.
    rounds_once: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if not cls.rounds_once:
            _replace(cls, "forward", _forward_in_float32)
        _replace(cls, "backward", _backward_in_float32)
        super().__init_subclass__(**kwargs)


def _replace(cls: type, name: str, change: Callable[..., Any]) -> None:
    """Change a method that a class defines itself, a static one or one of the class."""
    method = cls.__dict__.get(name)
    if method is not None:
        setattr(cls, name, type(method)(change(method.__func__)))


def is_half(value: Any) -> bool:
    """Whether `value` is a tensor of float16 or bfloat16."""
    return isinstance(value, Variable) and value.dtype.itemsize == 2 and value.dtype.kind == "f"


def _common_half(values: Sequence[Any]) -> DType | None:
    """The type of the result of tensors among `values`, where that is half."""
    for value in values:  # asked at every call, most of which have none
        if isinstance(value, Variable) and value.dtype.itemsize == 2 and value.dtype.kind == "f":
            break
    else:
        return None
    dtype = result_type(*[value for value in values if isinstance(value, Variable)])
    return dtype if dtype.itemsize == 2 else None


def _plainly_wide(value: Any) -> Any:
    """`value`, halves in float32, without a history."""
    return wrap(cast(value.node, dtypes.float32)) if is_half(value) else value


def _wide(value: Any) -> Any:
    """`value`, halves in float32, which autograd sees."""
    return value.to(dtypes.float32) if is_half(value) else value


# -- Functions -------------------------------------------------------------------------------------
def _forward_in_float32(forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def wide(*args: Any, **kwargs: Any) -> Any:
        dtype = _common_half(args)
        if dtype is None:
            return forward(*args, **kwargs)
        given = [_plainly_wide(arg) for arg in args]
        result = forward(*given, **kwargs)
        rounded = wrap(cast(result.node, dtype))
        context = next((arg for arg in args if isinstance(arg, Context)), None)
        if context is not None and context._saved:
            # What is kept is what the caller has.
            kept = {id(own): arg for own, arg in zip(given, args)} | {id(result): rounded}
            context._saved = tuple([kept.get(id(value), value) for value in context._saved])
        return rounded

    return wide


class _WideContext:
    """A context as a `backward` sees it that is to compute halves in float32."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return tuple([_wide(value) for value in self._context.saved_tensors])


def _backward_in_float32(backward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(backward)
    def wide(*args: Any) -> Any:
        half = next(filter(is_half, args), None)
        if half is None:
            return backward(*args)
        found = backward(*[_WideContext(a) if isinstance(a, Context) else _wide(a) for a in args])
        if not isinstance(found, tuple):
            return found.to(half.dtype)
        return tuple([None if gradient is None else gradient.to(half.dtype) for gradient in found])

    return wide


# -- composites ------------------------------------------------------------------------------------
class _Once(Function):
    """A composite of halves as one Function, which keeps its operands and nothing in between; there
    is one subclass for each.
    """

    formula: ClassVar[Callable[..., Any]]

    @classmethod
    def forward(cls, ctx: Context, dtype: DType, *args: Any, **named: Any) -> Any:
        ctx.save_for_backward(*args)
        ctx.named = tuple(named.items())
        result = cls.formula(*map(_plainly_wide, args), **named)
        return wrap(cast(result.node, dtype))

    @classmethod
    def backward(cls, ctx: Context, gradient: Any) -> Any:
        create_graph, wanted = mode.enabled, ctx.needs_input_grad[1:]
        with enable_grad():
            args = [
                set_apart(value) if needed else value
                for value, needed in zip(ctx.saved_tensors, wanted)
            ]
            result = cls.formula(*map(_wide, args), **dict(ctx.named))
        starts = [arg for arg, needed in zip(args, wanted) if needed]
        found = iter(_gradients(result, starts, gradient.to(result.dtype), create_graph))
        return None, *[next(found) if needed else None for needed in wanted]


def _gradients(
    result: Any, starts: Sequence[Any], gradient: Any, create_graph: bool
) -> Sequence[Any]:
    return gradients(result, starts, gradient, True, create_graph, allow_unused=True)


def rounded_once(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of the `forward` of a pointwise composite: halves are given to it in float32, and
    rounded once: the result here, gradients where they leave it.
    """
    name = formula.__qualname__.removesuffix(".forward")
    once = remembered(type(name, (_Once,), {"formula": staticmethod(formula)}))

    @functools.wraps(formula)
    def call(*args: Any, **kwargs: Any) -> Any:
        dtype = _common_half(args)
        if dtype is None:
            return formula(*args, **kwargs)
        if recording.recorder is not None or mode.levels:  # they want to see the operations
            return formula(*map(_wide, args), **kwargs).to(dtype)
        return once.apply(dtype, *args, **kwargs)

    return call
