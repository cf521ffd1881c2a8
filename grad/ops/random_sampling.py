"""Random numbers by laws that tensors say, an element each: `bernoulli` and `normal`.

As in PyTorch, parameters must be probabilities and deviations: they are looked at when the function
is called, or by a replay of `grad.compile`. The gradient of what is drawn is zero. `poisson` and
`binomial` are in random_counts.py, `multinomial` in multinomial.py.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import ArgumentError
from grad.graph.node import Node, argument, broadcast_shapes, cast, pointwise
from grad.graph.primitives import LT
from grad.ops.bounds import require
from grad.ops.creation import checked_shape, creator, finished
from grad.ops.generator import Generator
from grad.ops.promotion import is_tensor, require_floating, wrap, zeros_like
from grad.ops.random import delivered, kind_of
from grad.ops.random_numbers import normal_node, scaled, uniform_node, wide_normal_node
from grad.ops.registry import op

Shape = tuple[int, ...]


class Drawn(Function):
    """`numbers`, which were drawn by laws of `parameters`: their gradient is zero, not None."""

    @staticmethod
    def forward(ctx: Context, numbers: Any, *parameters: Any) -> Any:
        ctx.count = len(parameters)
        return wrap(numbers.node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return None, *[zeros_like(grad)] * ctx.count


# -- zero or one -----------------------------------------------------------------------------------
def _below(chance: Node, shape: Shape, generator: Generator | None) -> Node:
    wide = dtypes.float64 if chance.dtype is dtypes.float64 else dtypes.float32
    return pointwise(LT, uniform_node(shape, wide, generator), cast(chance, wide))


def bernoulli_by(name: str, p: float, shape: Shape, generator: Generator | None) -> Node:
    """True with probability `p`; raises ArgumentError if it is none."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p={p} is no probability; it must lie in [0, 1].")
    return _below(argument(float(p), dtypes.float64), shape, generator)


def bernoulli_of(name: str, chance: Any, generator: Generator | None) -> Node:
    """True with the probability that each element of `chance` says; raises ArgumentError if one is
    none.
    """
    require_floating(name, chance.dtype)
    require(
        ~((chance >= 0) & (chance <= 1)),
        lambda _: ArgumentError(f"{name}: an element of p is no probability in [0, 1]."),
        chance,
    )
    return _below(chance.node, chance.shape, generator)


@op(method="bernoulli", composite=True, gradient=False)
class Bernoulli:
    """1 with the probability that x says (or that `p` says, for each element of x), else 0.

    Raises:
        TypeError: x says it and is not floating.
        ValueError, RuntimeError: a probability is not in [0, 1].

    Example:
        >>> grad.bernoulli(grad.tensor([0.0, 1.0]))
        tensor([0., 1.])
    """

    @staticmethod
    def forward(x: Any, p: float | None = None, *, generator: Generator | None = None) -> Any:
        if p is not None:
            return wrap(cast(bernoulli_by("bernoulli", p, x.shape, generator), x.dtype))
        found = bernoulli_of("bernoulli", x.detach(), generator)
        return Drawn.apply(wrap(cast(found, x.dtype)), x)


# -- normal ----------------------------------------------------------------------------------------
@creator
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normally distributed numbers: of `size`, or where `mean` or `std` are tensors, of the shape
    that these broadcast to.

    With tensors the type is that of `mean`, or of `std` if `mean` is a number; the gradient with
    respect to them is zero.

    Raises:
        TypeError: the type is not floating, or there is a `size` beside tensors, or none without.
        ValueError, RuntimeError: a standard deviation is negative.

    Example:
        >>> grad.normal(grad.zeros(3), 2.0).shape
        torch.Size([3])
        >>> grad.normal(0.0, 1.0, (2, 3)).shape
        torch.Size([2, 3])
    """
    parameters = [value for value in (mean, std) if is_tensor(value)]
    if not is_tensor(std) and not std >= 0:
        raise ArgumentError(f"normal expects std >= 0.0, but found std {std}")
    if (size is None) is not bool(parameters):
        raise TypeError("normal: needs tensors for mean or std, or a size; not both, nor neither.")
    kind = kind_of("normal", dtype, out, parameters[0].dtype if parameters else None)
    require_floating("normal", kind)
    if not parameters:
        shape = checked_shape("normal", (size,), kind)
        node = cast(scaled(wide_normal_node(shape, kind, generator), std, mean), kind)
        return delivered("normal", out, finished(node, requires_grad, device))
    require_floating("normal", parameters[0].dtype)
    shape = broadcast_shapes("normal", *[parameter.shape for parameter in parameters])
    if is_tensor(std):
        deviation = std.detach()
        require(
            ~(deviation >= 0),
            lambda _: ArgumentError("normal expects all elements of std >= 0.0"),
            deviation,
        )
    unit = wrap(normal_node(shape, kind, generator))
    plain = [value.detach() if is_tensor(value) else value for value in (std, mean)]
    drawn = (unit * plain[0] + plain[1]).to(kind)
    return delivered("normal", out, Drawn.apply(drawn, *parameters))
