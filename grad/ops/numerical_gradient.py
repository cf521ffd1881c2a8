"""`gradient`: derivatives of sampled functions, by central differences of second order inside and
one-sided ones at the edges, as ``numpy.gradient``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grad.errors import ArgumentError, ShapeError
from grad.ops.axes import normal_axes
from grad.ops.join import Cat
from grad.ops.promotion import is_tensor
from grad.ops.registry import NUMERIC, Failure, op


def _along(x: Any, axis: int, spacing: Any, edge_order: int) -> Any:
    """The derivative along one axis; `spacing` is a number, or where the samples are."""
    size, rank = x.shape[axis], len(x.shape)

    def part(start: int, count: int) -> Any:
        return x.narrow(axis, start, count)

    def shaped(values: Any) -> Any:
        return values.reshape([-1 if a == axis else 1 for a in range(rank)])

    if not is_tensor(spacing):
        inner = (part(2, size - 2) - part(0, size - 2)) / (2.0 * spacing)
        before = behind = spacing
        second = last = spacing
    else:
        gaps = spacing.narrow(0, 1, size - 1) - spacing.narrow(0, 0, size - 1)
        left, right = shaped(gaps.narrow(0, 0, size - 2)), shaped(gaps.narrow(0, 1, size - 2))
        inner = (
            part(0, size - 2) * (-right / (left * (left + right)))
            + part(1, size - 2) * ((right - left) / (left * right))
            + part(2, size - 2) * (left / (right * (left + right)))
        )
        before, behind = gaps[0], gaps[size - 2]
        second, last = gaps[min(1, size - 2)], gaps[max(size - 3, 0)]
    if edge_order == 1:
        first = (part(1, 1) - part(0, 1)) / before
        end = (part(size - 1, 1) - part(size - 2, 1)) / behind
    else:
        first = _edge(part(0, 1), part(1, 1), part(2, 1), before, second)
        end = -_edge(part(size - 1, 1), part(size - 2, 1), part(size - 3, 1), behind, last)
    return Cat.forward([first, inner, end], axis)


def _edge(a: Any, b: Any, c: Any, near: Any, far: Any) -> Any:
    """The derivative at a, from there on over `near` to b and over `far` to c."""
    return (
        a * (-(2.0 * near + far) / (near * (near + far)))
        + b * ((near + far) / (near * far))
        - c * (near / (far * (near + far)))
    )


@op(
    function="gradient",
    dtypes=NUMERIC,
    composite=True,
    errors=[
        Failure(((1,),), match="edge_order"),
        Failure(((3,),), kwargs={"edge_order": 3}, error=ArgumentError),
        Failure(((3, 3),), kwargs={"spacing": [1, 2, 3]}, match="spacing"),
    ],
)
class NumericalGradient:
    """The derivatives of the function whose values are the elements, along each axis of `dim`.

    Args:
        spacing: the distance of the samples, one for all axes or one for each; or for each axis
            a tensor of where they are.
        dim: an axis or several; all of them unless given.
        edge_order: 1 or 2, of the differences at both ends.

    Returns:
        a tuple of a tensor for each axis, of the shape of `input`.

    Example:
        >>> grad.gradient(grad.tensor([0.0, 1.0, 4.0, 9.0]))[0].tolist()
        [1.0, 2.0, 4.0, 5.0]
    """

    @staticmethod
    def forward(
        input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
    ) -> tuple[Any, ...]:
        if edge_order not in (1, 2):
            raise ArgumentError(f"gradient: edge_order is 1 or 2, got {edge_order}.")
        axes = normal_axes("gradient", dim, len(input.shape))
        spacing = 1 if spacing is None else spacing
        steps = list(spacing) if isinstance(spacing, Sequence) else [spacing] * len(axes)
        if len(steps) != len(axes):
            raise ShapeError(
                f"gradient: spacing needs one entry for each of {len(axes)} axes, got {len(steps)}."
            )
        results = []
        for axis, step in zip(axes, steps):
            size = input.shape[axis]
            if size < edge_order + 1:
                raise ShapeError(
                    f"gradient: each axis needs at least edge_order + 1 samples, axis {axis} has "
                    f"{size}."
                )
            if is_tensor(step) and step.shape not in ((), (size,)):
                raise ShapeError(f"gradient: {step._shape} is no spacing of {size} samples.")
            number = step.item() if is_tensor(step) and not step.shape else step
            results.append(_along(input, axis, number, edge_order))
        return tuple(results)
