"""A step along a direction that satisfies the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

import numpy as np

DECREASE = 1e-4
CURVATURE = 0.9


class Point(NamedTuple):
    """A point on the line that is searched: how far along, the loss there, its gradient, its slope along the line."""

    step: float
    value: float
    gradient: np.ndarray
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, step: float, limit: int, longest: float, tolerance: float
) -> tuple[Point, int]:
    """A point where the loss has fallen enough and its slope is nearly flat, and the number of evaluations.

    With the loss f(s) at the step s:

        f(s) <= f(0) + 1e-4 * s * f'(0)     and     |f'(s)| <= 0.9 * |f'(0)|

    Steps grow until such a point is met or lies between two others; the bracket is then narrowed, by cubic
    interpolation.  Nocedal and Wright, Numerical optimization, 2006, algorithms 3.5 and 3.6, with the safeguards of
    Schmidt's minFunc.  It ends after `limit` further evaluations, or when the bracket times `longest`, the
    largest entry of the direction, is smaller than `tolerance`; the lowest point is then as good as it gets.
    """
    search = _Search(evaluate, start, limit)
    bracket = search.bracket(step)
    found = bracket[0] if len(bracket) == 1 else search.narrow(bracket, longest, tolerance)
    return found, search.evaluations


class _Search:
    def __init__(self, evaluate: Callable[[float], Point], start: Point, limit: int) -> None:
        self._evaluate, self._start, self._limit = evaluate, start, limit
        self.evaluations = 0

    def _at(self, step: float) -> Point:
        self.evaluations += 1
        return self._evaluate(step)

    @property
    def _may_go_on(self) -> bool:
        # The evaluation that opens the search is not counted.
        return self.evaluations <= self._limit

    def _too_high(self, point: Point) -> bool:
        return point.value > self._start.value + DECREASE * point.step * self._start.slope

    def _flat(self, point: Point) -> bool:
        return abs(point.slope) <= -CURVATURE * self._start.slope

    def bracket(self, step: float) -> list[Point]:
        """One point that satisfies both conditions, or two with such a point between them."""
        before, point = self._start, self._at(step)
        while self._may_go_on:
            if self._too_high(point) or (self.evaluations > 2 and point.value >= before.value):
                return [before, point]
            if self._flat(point):
                return [point]
            if point.slope >= 0:
                return [before, point]
            nearest = point.step + 0.01 * (point.step - before.step)
            step = lowest_of_cubic(before, point, nearest, 10 * point.step)
            before, point = point, self._at(step)
        return [self._start, point]

    def narrow(self, bracket: list[Point], longest: float, tolerance: float) -> Point:
        """The point that satisfies both conditions, or the lower end of what is left of the bracket."""
        low = 0 if bracket[0].value <= bracket[1].value else 1
        crept = False
        while self._may_go_on and abs(bracket[1].step - bracket[0].step) * longest >= tolerance:
            step, crept = _inside(bracket, crept)
            point = self._at(step)
            if self._too_high(point) or point.value >= bracket[low].value:
                bracket[1 - low] = point
                low = 0 if bracket[0].value <= bracket[1].value else 1
                continue
            if self._flat(point):
                return point
            if point.slope * (bracket[1 - low].step - bracket[low].step) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = point
        return bracket[low]


def _inside(bracket: list[Point], crept: bool) -> tuple[float, bool]:
    """The next step to try, and whether it lies so near to an end that the one after must not do so again."""
    near, far = sorted(point.step for point in bracket)
    step, margin = lowest_of_cubic(bracket[0], bracket[1], near, far), 0.1 * (far - near)
    if min(far - step, step - near) >= margin:
        return step, False
    if crept or step >= far or step <= near:
        return (far - margin if abs(step - far) < abs(step - near) else near + margin), False
    return step, True


def lowest_of_cubic(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two values and slopes is lowest, kept inside of [low, high]; its middle if nowhere."""
    a, b = (a, b) if a.step <= b.step else (b, a)
    width = b.step - a.step
    if width:
        bend = a.slope + b.slope - 3 * (a.value - b.value) / -width
        square = bend * bend - a.slope * b.slope
        if square >= 0:
            root = sqrt(square)
            below = b.slope - a.slope + 2 * root
            if below:
                return min(max(b.step - width * ((b.slope + root - bend) / below), low), high)
    return (low + high) / 2
