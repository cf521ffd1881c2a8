"""The common shape of special functions: a formula in float64, rounded once.

Where `elementwise.py` has a primitive, these have a formula of Tensor methods. It is computed in
float64 whatever the type, so that one set of coefficients (special_coefficients.py) serves all
types, and results of smaller ones are as good as exactly rounded. All of it is one kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from grad.autograd.function import Context
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import DType, default_dtype, dtypes
from grad.graph.template import Template, placeholder, template_of
from grad.ops.halves import Pointwise
from grad.ops.promotion import wrap


class Formula(Pointwise):
    """``y = f(x)`` for each element; integers become floating first."""

    rounds_once = True

    _templates: ClassVar[dict[Any, Template | None]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._templates = {}
        plainly_rebuilt(remembered(cls))

    @classmethod
    def forward(cls, ctx: Context, x: Any, *settings: Any) -> Any:
        result = cls._computed(x, settings)
        ctx.save_for_backward(x, result, *settings)
        return result

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        x, result, *settings = ctx.saved_tensors
        return grad * cls.derivative(x, result, *settings), *[None for _ in settings]

    @classmethod
    def _computed(cls, x: Any, settings: tuple[Any, ...]) -> Any:
        """The formula of `x`: its nodes, a hundred or so, are worked out once for each shape."""
        key = (x._shape, x.dtype, default_dtype(), settings)
        if key not in cls._templates:
            if len(cls._templates) >= _TEMPLATES_KEPT:
                cls._templates.clear()
            node = placeholder(x._shape, x.dtype)
            result = cls.formula(wrap(node).to(dtypes.float64), *settings)
            cls._templates[key] = template_of([node], [result.to(floating_type(x.dtype)).node])
        template = cls._templates[key]
        assert template is not None
        (made,) = template.build((x.node,))
        assert made is not None
        return wrap(made)

    @staticmethod
    def formula(x: Any, *settings: Any) -> Any:
        """The function of a float64 tensor."""
        raise NotImplementedError

    @staticmethod
    def derivative(x: Any, result: Any, *settings: Any) -> Any:
        """``f'(x)``, of the operand and the result."""
        raise NotImplementedError


# For how many shapes and types the nodes of a function are kept.
_TEMPLATES_KEPT = 256


def floating_type(dtype: DType) -> DType:
    """`dtype`, or for integers the default floating type."""
    return dtype if dtype.is_floating_point else default_dtype()


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """The polynomial with these coefficients, the lowest power's first, by Horner's rule."""
    *rest, result = coefficients
    for coefficient in reversed(rest):
        result = x * result + coefficient
    return result


def ratio(x: Any, above: Sequence[float], below: Sequence[float]) -> Any:
    """A polynomial divided by another."""
    return polynomial(x, above) / polynomial(x, below)


def distance_to_whole(x: Any) -> Any:
    """x less the nearest whole number, exactly; NaN at infinity."""
    return x - x.round()


def sin_of_pi(x: Any) -> Any:
    """``sin(pi * x)`` for x from -1/2 to 1/2."""
    return (x * math.pi).sin()
