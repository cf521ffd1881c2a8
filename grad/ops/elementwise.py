"""The common shape of operations of one operand: a primitive and a derivative.

`unary.py` and `activation.py` are lists of such classes. A subclass names its primitive and says
what its derivative is, in Tensor methods; everything else is here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.graph.primitives import Primitive
from grad.ops.halves import Pointwise
from grad.ops.promotion import refuse_bool, unary, zeros_like


class Elementwise(Pointwise):
    """``y = f(x)`` for each element; integers become floating first."""

    rounds_once = True
    primitive: ClassVar[Primitive]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        remembered(cls)

    @classmethod
    def forward(cls, ctx: Context, x: Any) -> Any:
        result = unary(cls.primitive, x)
        ctx.save_for_backward(x, result)
        return result

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        return grad * cls.derivative(*ctx.saved_tensors)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        """``f'(x)``, of the operand and the result."""
        raise NotImplementedError


class Stepwise(Function):
    """``y = f(x)`` piecewise constant, so that its derivative is 0; integers are their own
    result.
    """

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Any) -> Any:
        if x.dtype.kind in "iu":
            return x._wrap(x.node)
        refuse_bool(cls.primitive.name, x.dtype, instead="x itself")
        return unary(cls.primitive, x)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return zeros_like(grad)
