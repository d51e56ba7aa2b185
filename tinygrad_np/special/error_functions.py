"""The error function and its kin, and the normal distribution.  DLMF is https://dlmf.nist.gov."""

import numpy as np
import scipy.special as sc

from ..engine.op import elementwise
from .declare import special

ROOT_PI = float(np.sqrt(np.pi))
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))
ROOT_TWO = float(np.sqrt(2))


@elementwise(x=lambda x, n: -2 * (n + 1) * _scaled_integral(x, n + 1))
def _scaled_integral(x, n):
    """exp(x²) times the n-th repeated integral of erfc from x to infinity (DLMF 7.18)."""
    x = np.asarray(x)
    before, out = 2 / ROOT_PI, sc.erfcx(x)
    for k in range(1, n + 1):
        # DLMF 7.18.7, scaled.
        before, out = out, (before - 2 * x * out) / (2 * k)
    if n == 0:
        return out
    far = x.real > 2
    if np.any(far):
        # There the difference above cancels: the product of the ratios loses nothing.
        out = np.asarray(out)
        out[far] = sc.erfcx(x[far]) * np.prod(_ratios(x[far], n), axis=0)
    return out


def _ratios(x, n):
    """Each of the first n repeated integrals divided by the one before: DLMF 7.18.7 as a continued fraction."""
    ratio, found = 0, []
    for k in range(80, 0, -1):
        ratio = 1 / (2 * x + 2 * (k + 1) * ratio)
        if k <= n:
            found.append(ratio)
    return found


# -- the error function -----------------------------------------------------------------------

# DLMF 7.2.1 and 7.2.2.
erf = special(
    sc.erf,
    "The error function, 2/√π times the integral of exp(-t²) from 0 to x.",
    "erf(0.5)",
    0.5205,
    x=lambda x: 2 / ROOT_PI * np.exp(-x * x),
)
erfc = special(
    sc.erfc,
    "1 - erf(x), accurate where erf rounds to 1.",
    "erfc(2.0)",
    0.004678,
    x=lambda x: -2 / ROOT_PI * np.exp(-x * x),
)
erfcx = special(
    sc.erfcx,
    "exp(x²) erfc(x), without overflow or underflow for large x.",
    "erfcx(100.0)",
    0.005642,
    # 2 x out - 2/√π cancels for large x.
    x=lambda x: -2 * _scaled_integral(x, 1),
)
erfi = special(
    sc.erfi,
    "The imaginary error function, -i erf(ix).",
    "erfi(0.5)",
    0.614952,
    x=lambda x: 2 / ROOT_PI * np.exp(x * x),
    sample=(-1.5, 1.5),
)
# DLMF 7.17: the slope of an inverse is one over that of the function.
erfinv = special(
    sc.erfinv,
    "The inverse of erf, for y from -1 to 1.",
    "erfinv(0.5)",
    0.476936,
    y=lambda out: ROOT_PI / 2 * np.exp(out * out),
    sample=(-0.9, 0.9),
)
erfcinv = special(
    sc.erfcinv,
    "The inverse of erfc, for y from 0 to 2.",
    "erfcinv(0.5)",
    0.476936,
    y=lambda out: -ROOT_PI / 2 * np.exp(out * out),
    sample=(0.1, 1.9),
)
# DLMF 7.5.1 and 7.10.3.
dawsn = special(
    sc.dawsn,
    "Dawson's integral, exp(-x²) times the integral of exp(t²) from 0 to x.",
    "dawsn(1.0)",
    0.53808,
    x=lambda x, out: 1 - 2 * x * out,
)
wofz = special(
    sc.wofz,
    "The Faddeeva function exp(-z²) erfc(-iz), complex.",
    "wofz(0.5j)",
    0.61569 + 0j,
    z=lambda z, out: 2j / ROOT_PI - 2 * z * out,
    sample=lambda r: [r(r.complex(3, 4) / 3), r(r.complex() / 3), r(r.complex(0, 2))],
)

# -- the normal distribution ------------------------------------------------------------------

# A&S 26.2.1 and 26.2.2.
ndtr = special(
    sc.ndtr,
    "The cumulative distribution function of the standard normal distribution.",
    "ndtr(1.0)",
    0.841345,
    x=lambda x: np.exp(-x * x / 2) / ROOT_TWO_PI,
)
ndtri = special(
    sc.ndtri,
    "The inverse of ndtr, for y from 0 to 1.",
    "ndtri(0.975)",
    1.959964,
    y=lambda out: ROOT_TWO_PI * np.exp(out * out / 2),
    sample=(0.1, 0.9),
)


@elementwise(x=lambda x, out: -out * _distance(x))
def _hazard(x):
    """The slope of log_ndtr: the normal density over ndtr, which grows like -x to the left."""
    x = np.asarray(x)
    left = x.real < 0
    with np.errstate(over="ignore"):
        right = np.exp(-x * x / 2) / (ROOT_TWO_PI * sc.ndtr(np.where(left, 0, x)))
    # To the left both are 0 at last.
    return np.where(left, 2 / ROOT_TWO_PI / sc.erfcx(np.where(left, -x, 0) / ROOT_TWO), right)


@elementwise(x=lambda x, out: 1 - _hazard(x) * out)
def _distance(x):
    """x + _hazard(x), which is about -1/x to the left, without cancellation."""
    x = np.asarray(x)
    left = x.real < 0
    y = np.where(left, -x, 0) / ROOT_TWO
    return np.where(left, ROOT_TWO * _scaled_integral(y, 1) / sc.erfcx(y), x + _hazard(x))


log_ndtr = special(
    sc.log_ndtr,
    "The logarithm of ndtr, accurate far to the left.",
    "log_ndtr(-40.0)",
    -804.608442,
    x=lambda x: _hazard(x),
    sample=(-4, 2),
)
ndtri_exp = special(
    sc.ndtri_exp,
    "The inverse of log_ndtr, for y below 0.",
    "ndtri_exp(-800.0)",
    -39.884695,
    y=lambda out: 1 / _hazard(out),
    sample=(-4, -0.2),
)
