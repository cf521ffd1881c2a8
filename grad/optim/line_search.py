"""A line search for the strong Wolfe conditions: how far to go along a direction.

Nocedal, Wright, "Numerical optimization", 2006, algorithms 3.5 (`_bracketed`: go on until an
interval must hold a good point) and 3.6 (`_zoomed`: narrow it), with cubic interpolation and the
safeguards of Schmidt's minFunc. Numbers are Python's; gradients are passed through. `strong_wolfe`
is what lbfgs.py calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

# How much of the fall that the slope promises there must be, and how much flatter it must get.
_DECREASE, _FLATNESS = 1e-4, 0.9


class Point(NamedTuple):
    """A place on the line: how far, the value there, the gradient, and its slope along the line."""

    t: float
    value: float
    gradient: Any
    slope: float


@dataclass
class _Search:
    """A search under way; `start` is at 0, `evaluate` gives the point at a distance."""

    evaluate: Callable[[float], Point]
    start: Point
    evaluations_left: int

    def at(self, t: float) -> Point:
        self.evaluations_left -= 1
        return self.evaluate(t)

    def is_high(self, point: Point) -> bool:
        """Whether the value has not fallen enough."""
        return point.value > self.start.value + _DECREASE * point.t * self.start.slope

    def is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -_FLATNESS * self.start.slope


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    largest: float,
    tolerance_change: float,
    most: int,
) -> tuple[Point, int]:
    """The point to go to, and how many were evaluated.

    Args:
        evaluate: the point at a distance. start: the one at 0. t: the first distance to try.
        largest: of the direction's elements, by absolute value.
        tolerance_change: intervals whose points differ by less in each element are narrow enough.
        most: how many points are evaluated after the first.
    """
    search = _Search(evaluate, start, most + 1)
    bracket = _bracketed(search, t)
    if len(bracket) == 2:
        bracket = [_zoomed(search, bracket, largest, tolerance_change)]
    return bracket[0], most + 1 - search.evaluations_left


def _bracketed(search: _Search, t: float) -> list[Point]:
    """One point that is good, or two between which there is one."""
    before, point = search.start, search.at(t)
    round_number = 0
    while search.evaluations_left > 0:
        risen = round_number > 1 and point.value >= before.value
        if search.is_high(point) or risen:
            return [before, point]
        if search.is_flat(point):
            return [point]
        if point.slope >= 0:
            return [before, point]
        nearest, farthest = point.t + 0.01 * (point.t - before.t), point.t * 10
        before, point = point, search.at(_cubic(before, point, nearest, farthest))
        round_number += 1
    return [search.start, point]


def _zoomed(
    search: _Search, bracket: list[Point], largest: float, tolerance_change: float
) -> Point:
    """The lowest point found by narrowing the interval."""
    low, high = sorted(bracket, key=lambda point: point.value)
    stuck = False
    while search.evaluations_left > 0:
        left, right = sorted((low.t, high.t))
        if (right - left) * largest < tolerance_change:
            break
        t = _cubic(low, high, left, right)
        # Near an end for the second time, or at one: rather somewhat inside.
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (stuck or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            stuck = False
        else:
            stuck = near
        point = search.at(t)
        if search.is_high(point) or point.value >= low.value:
            high = point
            if high.value < low.value:
                low, high = high, low
            continue
        if search.is_flat(point):
            return point
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low


def _cubic(a: Point, b: Point, lowest: float, highest: float) -> float:
    """Where the cubic through two points with their slopes is least, within bounds."""
    left, right = (a, b) if a.t <= b.t else (b, a)
    width = right.t - left.t
    if width == 0:
        return (lowest + highest) / 2
    d1 = left.slope + right.slope - 3 * (left.value - right.value) / (left.t - right.t)
    square = d1 * d1 - left.slope * right.slope
    bottom = right.slope - left.slope + 2 * math.sqrt(square) if square >= 0 else 0.0
    if not square >= 0 or bottom == 0:
        return (lowest + highest) / 2
    t = right.t - width * ((right.slope + math.sqrt(square) - d1) / bottom)
    return min(max(t, lowest), highest)
