"""Bessel functions.  The slopes are those of DLMF 10.6.1, 10.6.2, 10.29.1 and 10.29.2.

Functions that are finite at 0 have the forms that do not divide by z.  A slope that is infinite at 0 where the
value is finite, as of jv for an order between 0 and 1, is 0 there (see ops/kinks.py).
"""

import math
from typing import Any

import numpy as np
import scipy.special as sc

from ..engine.door import bare
from ..engine.op import composite, elementwise, op
from .declare import at_home, entitled, special

_ORDER = ("v",)


def _orders(low, high):
    """Calls with whole, broken and negative orders, as numbers and as arrays."""
    return lambda r: [
        r(0, r.between(low, high, 3, 4)),
        r(1.5, r.between(low, high)),
        r(-2.3, r.between(low, high, 2)),
        r(np.array([[0], [2]]), r.between(low, high, 2, 3)),
        r(1, r.between(low, high, 0, 2)),
    ]


def _whole_orders(low, high):
    return lambda r: [
        r(0, r.between(low, high, 3, 4)),
        r(1, r.between(low, high)),
        r(np.array([[1], [3]]), r.between(low, high, 2, 3)),
        r(2, r.between(low, high, 0, 2)),
    ]


def _steep(v, z):
    """Where the slope is infinite and the value is not: at 0, for an order between 0 and 1."""
    return (bare(z) == 0) & (v > 0) & (v < 1)


def _away(v, z, slope):
    """The slope, and 0 where it is infinite."""
    steep = _steep(v, z)
    return np.where(steep, 0, slope(v, np.where(steep, 1, z))) if np.any(steep) else slope(v, z)


def _downhill(v, z):
    return (sc.jv(v - 1, z) - sc.jv(v + 1, z)) / 2


def _uphill(v, z):
    return (sc.iv(v - 1, z) + sc.iv(v + 1, z)) / 2


def _off_pole(z, at_zero, slope):
    """The slope, and at 0, where the terms of the difference are infinite, the infinite one it has there."""
    zero = bare(z) == 0
    return np.where(zero, at_zero, slope(np.where(zero, 1, z))) if np.any(zero) else slope(z)


# -- j1(x) / x and its kin --------------------------------------------------------------------


def _over_power(function, change):
    """The op for function(n, x) / x**n, which has no pole at 0; `change` gives its slope from itself."""

    def _over(x, n):
        near = np.abs(x) < 1e-8
        value = function(n, x) / np.where(near, 1, x) ** n
        # No infinities, which would meet others of the opposite sign.
        return np.where(near, 0.5**n / math.factorial(n), np.minimum(value, np.finfo(value.dtype).max))

    over: Any = elementwise(_over, x=lambda x, n, out: change(over, x, n, out))
    return over


def _first_or(first, general):
    """The function of any whole order; that of order 1 costs a tenth."""
    return lambda n, x: first(x) if n == 1 else general(n, x)


# DLMF 10.6.6 and 10.29.4.
_j_over = _over_power(_first_or(sc.j1, sc.jv), lambda over, x, n, out: -x * over(x, n + 1))
_i_over = _over_power(_first_or(sc.i1, sc.iv), lambda over, x, n, out: x * over(x, n + 1))
_ie_over = _over_power(_first_or(sc.i1e, sc.ive), lambda over, x, n, out: x * over(x, n + 1) - np.sign(x) * out)

# -- first and second kind --------------------------------------------------------------------

j0 = special(
    sc.j0,
    "The Bessel function of the first kind of order 0.",
    "j0(1.0)",
    0.765198,
    x=lambda x: -sc.j1(x),
)
j1 = special(
    sc.j1,
    "The Bessel function of the first kind of order 1.",
    "j1(1.0)",
    0.440051,
    x=lambda x: sc.j0(x) - _j_over(x, 1),
)
jv = jn = special(
    sc.jv,
    "The Bessel function of the first kind of real order v.",
    "jv(1.5, 2.0)",
    0.491294,
    orders=_ORDER,
    z=lambda z, v: _away(v, z, _downhill),
    sample=_orders(0.5, 4),
)
y0 = special(
    sc.y0,
    "The Bessel function of the second kind of order 0.",
    "y0(1.0)",
    0.088257,
    x=lambda x: -sc.y1(x),
    sample=(0.5, 4),
)
y1 = special(
    sc.y1,
    "The Bessel function of the second kind of order 1.",
    "y1(1.0)",
    -0.781213,
    x=lambda x: _off_pole(x, np.inf, lambda x: sc.y0(x) - sc.y1(x) / x),
    sample=(0.5, 4),
)
yn = special(
    sc.yn,
    "The Bessel function of the second kind of whole order n.",
    "yn(2, 1.0)",
    -1.650683,
    orders=("n",),
    x=lambda x, n: _off_pole(x, np.inf, lambda x: sc.yn(n - 1, x) - n / x * sc.yn(n, x)),
    sample=_whole_orders(0.5, 4),
)
yv = special(
    sc.yv,
    "The Bessel function of the second kind of real order v.",
    "yv(1.5, 2.0)",
    -0.395623,
    orders=_ORDER,
    z=lambda z, v: _off_pole(z, np.inf, lambda z: sc.yv(v - 1, z) - v / z * sc.yv(v, z)),
    sample=_orders(0.5, 4),
)

# -- modified functions -----------------------------------------------------------------------

i0 = special(
    sc.i0,
    "The modified Bessel function of the first kind of order 0.",
    "i0(1.0)",
    1.266066,
    x=lambda x: sc.i1(x),
)
i1 = special(
    sc.i1,
    "The modified Bessel function of the first kind of order 1.",
    "i1(1.0)",
    0.565159,
    x=lambda x: sc.i0(x) - _i_over(x, 1),
)
iv = special(
    sc.iv,
    "The modified Bessel function of the first kind of real order v.",
    "iv(1.5, 2.0)",
    1.099473,
    orders=_ORDER,
    z=lambda z, v: _away(v, z, _uphill),
    sample=_orders(0.5, 4),
)
k0 = special(
    sc.k0,
    "The modified Bessel function of the second kind of order 0.",
    "k0(1.0)",
    0.421024,
    x=lambda x: -sc.k1(x),
    sample=(0.5, 4),
)
k1 = special(
    sc.k1,
    "The modified Bessel function of the second kind of order 1.",
    "k1(1.0)",
    0.601907,
    x=lambda x, out: -(sc.k0(x) + out / x),
    sample=(0.5, 4),
)
kn = special(
    sc.kn,
    "The modified Bessel function of the second kind of whole order n.",
    "kn(2, 1.0)",
    1.624839,
    orders=("n",),
    x=lambda x, n: -(sc.kn(abs(n - 1), x) + sc.kn(n + 1, x)) / 2,
    sample=_whole_orders(0.5, 4),
)
kv = special(
    sc.kv,
    "The modified Bessel function of the second kind of real order v.",
    "kv(1.5, 2.0)",
    0.179907,
    orders=_ORDER,
    z=lambda z, v: -(sc.kv(v - 1, z) + sc.kv(v + 1, z)) / 2,
    sample=_orders(0.5, 4),
)

# -- modified functions, scaled ---------------------------------------------------------------


def _near(x):
    """Whether differences of neighbouring orders lose no more than two digits."""
    return np.all(np.abs(bare(x)) < 25)


# exp(-|x|) has a kink at 0, and np.sign gives it the slope 0 there.
def _i0e_slope(x, out):
    """From DLMF 10.29.3 or, far from 0, 10.39.5 and 13.3.15."""
    if _near(x):
        return sc.i1e(x) - np.sign(x) * out
    return -np.sign(x) * sc.hyp1f1(1.5, 2, -2 * np.abs(x))


def _i1e_slope(x, out):
    """Far from 0 from i1e = i0e + its slope, for positive x."""
    if _near(x):
        return sc.i0e(x) - _ie_over(x, 1) - np.sign(x) * out
    y = -2 * np.abs(x)
    return 1.5 * sc.hyp1f1(2.5, 3, y) - sc.hyp1f1(1.5, 2, y)


i0e = special(
    sc.i0e,
    "exp(-|x|) i0(x), without overflow.",
    "i0e(1000.0)",
    0.012617,
    x=lambda x, out: _i0e_slope(x, out),
)
i1e = special(
    sc.i1e,
    "exp(-|x|) i1(x), without overflow.",
    "i1e(1000.0)",
    0.012611,
    x=lambda x, out: _i1e_slope(x, out),
)


def _ive_slope(change, z, v, out):
    """The change of ive for that of z; |Re z| has only a real slope, also where z is complex."""
    uphill = _away(v, z, lambda v, z: (sc.ive(v - 1, z) + sc.ive(v + 1, z)) / 2)
    return change * uphill, np.sign(np.real(bare(z))) * out


def _ive_vjp(g, z, v, out):
    along, scale = _ive_slope(g, z, v, out)
    return along - np.real(g * scale)


def _ive_jvp(t, z, v, out):
    along, scale = _ive_slope(t, z, v, out)
    return along - np.real(t) * scale


@op(name="ive", z=_ive_vjp, jvps={"z": _ive_jvp})
def _ive(z, v):
    return sc.ive(v, z)


entitled(_ive, "ive")


@composite(sc.ive, sample=_orders(0.5, 4))
@at_home
def ive(v, z):
    """exp(-|Re z|) iv(v, z), without overflow; v must not require grad (DLMF 10.29.1).

    >>> from tinygrad_np.special import ive
    >>> ive(1.5, 1000.0).round(6).item()
    0.012603
    """
    return _ive(z, v)


k0e = special(
    sc.k0e,
    "exp(x) k0(x), without underflow.",
    "k0e(1000.0)",
    0.039628,
    x=lambda x: _off_pole(x, -np.inf, lambda x: sc.k0e(x) - sc.k1e(x)),
    sample=(0.5, 4),
)
k1e = special(
    sc.k1e,
    "exp(x) k1(x), without underflow.",
    "k1e(1000.0)",
    0.039648,
    x=lambda x: _off_pole(x, -np.inf, lambda x: sc.k1e(x) - sc.k0e(x) - sc.k1e(x) / x),
    sample=(0.5, 4),
)
kve = special(
    sc.kve,
    "exp(z) kv(v, z), without underflow.",
    "kve(1.5, 1000.0)",
    0.039673,
    orders=_ORDER,
    z=lambda z, v: _off_pole(z, -np.inf, lambda z: sc.kve(v, z) - (sc.kve(v - 1, z) + sc.kve(v + 1, z)) / 2),
    sample=_orders(0.5, 4),
)
