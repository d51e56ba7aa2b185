"""Constant factors that have a name: 1/m missing, a factor 2, the sign, the number of outputs, the full data's m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .network import Network


class Factor(NamedTuple):
    """A constant factor, the mistake that it stands for, and words that follow "it is"."""

    value: float
    mistake: str
    words: str


def factors(network: Network) -> list[Factor]:
    """The single factors that mistakes bring, without their signs."""
    found = []
    m, k = network.samples or 1, network.outputs
    if m > 1:
        found.append(Factor(m, "batch_factor", f"{m} times too large: the division by m = {m} is missing"))
        found.append(Factor(1 / m, "batch_factor", f"1/{m} of the right one: 1/m with m = {m} is applied twice"))
    found.append(Factor(2, "factor_two", "twice the right one: a factor 2 too many"))
    found.append(Factor(1 / 2, "factor_two", "half the right one: a factor 2 is missing"))
    if k > 1:
        mean = f"a mean over all entries against one over the samples, with {k} outputs"
        found.append(Factor(k, "entry_mean", f"{k} times too large: {mean}"))
        found.append(Factor(1 / k, "entry_mean", f"1/{k} of the right one: {mean}"))
    return found


def named_factors(
    c: float, network: Network, scales: Sequence[float], data: Mapping[str, Any], tolerance: float
) -> list[Factor]:
    """The names of a factor, the likeliest first; none for a number that means nothing here."""
    if not c or not np.isfinite(c):
        return []
    for sign in (1, -1):
        if any(_close(sign * c, scale, tolerance) for scale in scales):
            return [_signed(sign, Factor(1, "", ""))]
        single = [f for f in factors(network) for scale in scales if _close(sign * c, f.value * scale, tolerance)]
        own = own_count(sign * c, network, scales, data, tolerance)
        other = other_count(sign * c, network, scales, tolerance)
        if single and single[0].mistake != "factor_two":
            other = []
        found = own + single or _pairs(sign * c, network, scales, tolerance)
        if found or other:
            return [_signed(sign, factor) for factor in _distinct(found + other)]
    return []


def _pairs(c: float, network: Network, scales: Sequence[float], tolerance: float) -> list[Factor]:
    """Two factors at once, such as 2/K."""
    single = factors(network)
    found = []
    for i, a in enumerate(single):
        for b in single[i:]:
            # 1/m twice, or 2 twice, is not what people write; 1/4 is rather another count.
            trivial = a.mistake == b.mistake or _close(a.value * b.value, 1, 1e-9)
            if not trivial and any(_close(c, a.value * b.value * s, tolerance) for s in scales):
                words = f"{fraction(a.value * b.value)} times the right one: {_why(a)}, and {_why(b)}"
                found.append(Factor(a.value * b.value, a.mistake, words))
    return found[:1]


def own_count(
    c: float, network: Network, scales: Sequence[float], data: Mapping[str, Any], tolerance: float
) -> list[Factor]:
    """A count in the user's own data that the gradient is divided by instead of the samples of the batch."""
    m = network.samples or 1
    for scale in scales:
        for name, value in data.items():
            is_count = isinstance(value, int | np.integer) and not isinstance(value, bool) and value > m
            if is_count and _close(c, m / value * scale, tolerance):
                return [_divided(m, int(value), name)]
    return []


USUAL_RATES = (0.1, 0.01, 0.001)
"""Factors that are rather a rate of learning than a share of the samples."""


def other_count(c: float, network: Network, scales: Sequence[float], tolerance: float) -> list[Factor]:
    """Any larger count of samples that the gradient is divided by."""
    m = network.samples or 1
    for scale in scales if m > 1 else ():
        count = m * scale / c
        whole = round(count) if count < 12 / tolerance else _round_number(count)
        rate = float(f"{c / scale:.0e}")
        like_a_rate = _close(c / scale, rate, tolerance) and rate < 0.5
        if like_a_rate and rate in USUAL_RATES:
            continue
        # Past some size rounding makes every number a whole one; 60,000 is still told from others.
        if count > m + 0.5 and abs(count - whole) < max(0.05, 1e-6 * count) and _close(count, whole, tolerance / 20):
            words = f"as if divided by {whole:,} where the batch holds {m:,} samples"
            words += f", or multiplied by a rate of {rate:g}" if like_a_rate else ""
            return [Factor(m / whole, "full_data_factor", f"{fraction(m / whole)} of the right one: {words}")]
    return []


def _round_number(value: float) -> int:
    """The nearest number with three digits before its zeros."""
    return int(float(f"{value:.3g}")) if np.isfinite(value) else 0


def _divided(m: int, count: int, name: str) -> Factor:
    words = f"{fraction(m / count)} of the right one: divided by {name} = {count:,}, but the batch holds {m:,} samples"
    return Factor(m / count, "full_data_factor", words)


def fraction(value: float) -> str:
    """A factor as people write it: 3, 1/7, 2/3, 41,000/42,000.

    >>> fraction(7.0), fraction(1 / 7), fraction(41 / 42), fraction(0.12345678)
    ('7', '1/7', '41/42', '0.12346')
    """
    close = Fraction(value).limit_denominator(100_000)
    if abs(float(close) - value) > 1e-9 * abs(value):
        return f"{value:.5g}"
    return f"{close.numerator:,}" + (f"/{close.denominator:,}" if close.denominator > 1 else "")


def _close(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= max(tolerance, 1e-9) * abs(b)


def _why(factor: Factor) -> str:
    return factor.words.partition(": ")[2]


def _signed(sign: int, factor: Factor) -> Factor:
    if sign > 0:
        return factor
    more = f", and besides {factor.words}" if factor.words else ""
    return Factor(-factor.value, "sign", f"of the wrong sign{more}")


def _distinct(found: list[Factor]) -> list[Factor]:
    return list({factor.mistake: factor for factor in reversed(found)}.values())[::-1]
