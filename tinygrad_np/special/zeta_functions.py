"""The polygamma and zeta functions.  DLMF is https://dlmf.nist.gov."""

import math

import numpy as np
import scipy.special as sc

from ..engine.door import bare
from ..engine.op import composite, elementwise
from ..errors import DtypeError
from .declare import arrays_first, at_home, sine

# Coefficients of the Euler-Maclaurin formula, DLMF 25.11.7.
_TAIL = [float(b) / math.factorial(2 * k) for k, b in enumerate(sc.bernoulli(24)[2::2], start=1)]

# The products of the formula overflow half precision.
_DOUBLE = np.float64(1)


def _start(s, q):
    """The first terms of a zeta series, each minus its index, and how many: after them the formula converges."""
    s, q = np.asarray(bare(s)), np.asarray(bare(q))
    left = max(0.0, -float(np.min(q.real, initial=0)))
    count = 15 + math.ceil(left + float(np.max(np.abs(s), initial=0)))
    return np.arange(count).reshape(-1, *[1] * max(s.ndim, q.ndim)), count


def _hurwitz(s, q):
    """The Hurwitz zeta function, also for complex numbers: DLMF 25.11.7."""
    s = s * _DOUBLE
    terms, count = _start(s, q)
    w, rising = q + count, s
    total = np.sum((q + terms) ** -s, axis=0) + w ** (1 - s) / (s - 1) + w**-s / 2
    for k, coefficient in enumerate(_TAIL, start=1):
        total = total + coefficient * rising * w ** (1 - s - 2 * k)
        rising = rising * (s + 2 * k - 1) * (s + 2 * k)
    return total


def _hurwitz_slope(s, q):
    """The derivative of the Hurwitz zeta function with respect to s: that of DLMF 25.11.7, term by term."""
    s = s * _DOUBLE
    terms, count = _start(s, q)
    w, rising, slope = q + count, s, 1
    log = np.log(w)
    total = -np.sum(np.log(q + terms) * (q + terms) ** -s, axis=0) - log * w**-s / 2
    total = total - w ** (1 - s) * (log + 1 / (s - 1)) / (s - 1)
    for k, coefficient in enumerate(_TAIL, start=1):
        total = total + coefficient * (slope - rising * log) * w ** (1 - s - 2 * k)
        slope = slope * (s + 2 * k - 1) * (s + 2 * k) + rising * (2 * s + 4 * k - 1)
        rising = rising * (s + 2 * k - 1) * (s + 2 * k)
    return total


# -- polygamma --------------------------------------------------------------------------------


@arrays_first("polygamma", x=lambda x, n: polygamma(n + 1, x))
def _polygamma(x, n):
    x, n = np.asarray(x), np.asarray(n)
    if x.dtype.kind != "c":
        return sc.polygamma(n, x)
    # DLMF 25.11.12: scipy has it for real numbers only.
    order = np.maximum(n, 1)
    values = (-1.0) ** (order + 1) * sc.gamma(order + 1.0) * _hurwitz(order + 1.0, x)
    return np.where(n == 0, sc.psi(x), values).astype(x.dtype, copy=False)


@composite(
    sample=lambda r: [
        r(1, r.positive(3, 4)),
        r(0, r.positive()),
        r(np.array([0, 1, 3]), r.positive(2, 3)),
        r(2, r.positive(0, 2)),
        r(1, r.between(-1.7, -1.3, 3)),
        r(1, 2 + r.complex(3, 4) / 4),
        r(np.array([0, 2]), 2 + r.complex(2) / 4),
    ],
)
@at_home
def polygamma(n, x):
    """The n-th derivative of digamma, float64 or complex; n is whole and must not require grad (DLMF 5.15).

    >>> from tinygrad_np.special import polygamma
    >>> polygamma(1, 1.0).round(6).item()
    1.644934
    """
    return _polygamma(x, n)


@elementwise(x=lambda x: polygamma(2, x), sample=(0.5, 3))
def trigamma(x):
    """polygamma(1, x); to the right of 0 at an eighth of its cost.

    >>> from tinygrad_np.special.zeta_functions import trigamma
    >>> round(float(trigamma(1.0)), 6)
    1.644934
    """
    x = np.asarray(x)
    if x.dtype.kind == "c" or not np.all(x > 0):
        return _polygamma(x, 1)
    # DLMF 5.15.5 ten times, and then 5.15.8.
    total = np.zeros(x.shape, np.float64)
    for k in range(10):
        # Not a power of -2, which costs five times as much.
        total += np.reciprocal(np.square(x + float(k)))
    w = np.reciprocal(np.square(x + 10.0))
    series = 0.0
    for b in sc.bernoulli(16)[:1:-2]:
        series = (series + b) * w
    return (total + w / 2 + (1 + series) / (x + 10.0)).astype(x.dtype, copy=False)


# -- zeta -------------------------------------------------------------------------------------


@arrays_first("zeta", x=lambda x, q: _hurwitz_slope(x, q), q=lambda x, q: -x * zeta(x + 1, q))
def _two_arguments(x, q):
    if np.iscomplexobj(x) or np.iscomplexobj(q):
        raise DtypeError(
            f"zeta(x, q) is for real numbers in scipy, and got {np.asarray(x).dtype} and {np.asarray(q).dtype}.  "
            "Leave q away for the Riemann zeta function of a complex number."
        )
    return sc.zeta(x, q)


def _riemann_slope(s):
    """The derivative of the Riemann zeta function, to the left of 0 by reflection, DLMF 25.4.1."""
    left = np.real(bare(s)) < 0
    right = _hurwitz_slope(np.where(left, 2, s), 1.0)
    if not np.any(left):
        return right
    t = 1 - np.where(left, s, 0.5)
    sines, cosines = sine((1 - t) / 2), sine((2 - t) / 2)
    value, slope = _one_argument(np.where(left, t, 2)), _hurwitz_slope(np.where(left, t, 2), 1.0)
    inner = value * ((math.log(2 * math.pi) - sc.psi(t)) * sines + math.pi / 2 * cosines) - sines * slope
    return np.where(left, 2 * (2 * math.pi) ** -t * sc.gamma(t) * inner, right)


@arrays_first("zeta", x=lambda x: _riemann_slope(x))
def _one_argument(x):
    return sc.zeta(x)


@composite(
    sample=lambda r: [
        r(r.between(1.5, 6, 3, 4)),
        r(r.between(-4, 0.5, 5)),
        r(r.between(1.5, 4, 2, 3), r.positive(3)),
        r(3.0, r.positive(3, 4)),
        r(2.5, r.positive()),
        r(r.between(1.5, 4, 2), 1.5),
    ],
)
@at_home
def zeta(x, q=None):
    """The Riemann zeta function of x or, with q, the Hurwitz zeta function: the sum of (k + q)**-x (DLMF 25.11).

    >>> from tinygrad_np.special import zeta
    >>> zeta(2.0).round(6).item()
    1.644934
    >>> zeta(2.0, 2.0).round(6).item()
    0.644934
    """
    return _one_argument(x) if q is None else _two_arguments(x, q)
