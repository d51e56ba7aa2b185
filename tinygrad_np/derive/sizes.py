"""How many samples there are, as a size that stays one: `2 / X.shape[0]` is 2 / m, and not 0.25 with eight samples.

Rules and formulas are run on arrays whose axis of samples is a `Size`.  What they compute from it, products and
quotients, are sizes and shares that still know their m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import Any

import numpy as np

from .expressions import Coefficient, Expr, Variable, number, rational

batch: ContextVar[Variable | None] = ContextVar("tinygrad_np.batch", default=None)
"""The variable m, of the derivation that is being written."""


@contextmanager
def samples(m: Variable | None) -> Iterator[None]:
    """Inside the block, lengths of m are m."""
    token = batch.set(m)
    try:
        yield
    finally:
        batch.reset(token)


class _OfSamples:
    """A number that is a multiple of a power of m."""

    coefficient: Coefficient
    power: int

    def __mul__(self, other: Any) -> Any:
        return _combined(self, other, 1)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return _combined(self, other, -1)

    def __rtruediv__(self, other: Any) -> Any:
        return _combined(made(Fraction(1) / self.coefficient, -self.power), other, 1)

    def __floordiv__(self, other: Any) -> Any:
        return _combined(self, other, -1) if isinstance(other, int) and int(self) % other == 0 else int(self) // other  # type: ignore[call-overload]

    def __neg__(self) -> Any:
        return made(-self.coefficient, self.power)


class Size(_OfSamples, int):
    """A whole number of these."""

    __hash__ = int.__hash__


class Share(_OfSamples, float):
    """Any other."""

    __hash__ = float.__hash__


def made(coefficient: Coefficient, power: int) -> Any:
    """A multiple of a power of m, as a number that knows so."""
    m = batch.get()
    value = coefficient * (Fraction(int(m.value)) ** power if m is not None else 1)
    if m is None or not power:
        return int(value) if value == int(value) else float(value)
    found: Any = Size(int(value)) if isinstance(value, Fraction) and value.denominator == 1 else Share(float(value))
    found.coefficient, found.power = coefficient, power
    return found


def _combined(x: _OfSamples, other: Any, sign: int) -> Any:
    if isinstance(other, _OfSamples):
        return made(x.coefficient * other.coefficient**sign, x.power + sign * other.power)
    if isinstance(other, int | float | np.number) and other:
        return made(x.coefficient * rational(other) ** sign, x.power)
    return NotImplemented


def sized(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape in which the axis of samples knows that it is one."""
    m = batch.get()
    return shape if m is None else tuple(made(Fraction(1), 1) if n == m.value else n for n in shape)


def count(sizes: Any) -> Expr:
    """A number of entries, as an expression."""
    return in_samples(math.prod(sized(tuple(sizes))))


def in_samples(value: Any) -> Expr:
    """A number as an expression, with m in it if it knows of one."""
    m = batch.get()
    if not isinstance(value, _OfSamples) or m is None:
        return number(value, (), np.float16)
    return Expr({frozenset([(m, Fraction(value.power))]): value.coefficient}, (), np.float16)


def guessed(value: float, divisor: bool) -> Any:
    """A number that a user wrote: m, or a small multiple, if he divides by it; 1/m, if it is no short decimal."""
    m = batch.get()
    if m is None or not value or not math.isfinite(value):
        return value
    if divisor:
        times = rational(value / float(m.value))
        return made(times, 1) if times in (1, 2, 3, 4) else value
    share = rational(value * float(m.value))
    long = len(repr(abs(float(value)))) > 6
    return made(share, -1) if long and isinstance(share, Fraction) and abs(share) in _SHARES else value


_SHARES = {Fraction(1), Fraction(2), Fraction(1, 2)}
