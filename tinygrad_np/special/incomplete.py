"""The incomplete gamma and beta functions, their inverses, and the distributions made of them.

There are rules for the last argument: the slope is a density.  Where that is infinite and the value finite, as of
gammainc at 0 for a below 1, the gradient is 0 (see ops/kinks.py).
"""

import numpy as np
import scipy.special as sc

from ..engine.door import bare
from .declare import special

silent = np.errstate(divide="ignore", invalid="ignore", over="ignore")


def _scale(x):
    """The numbers themselves, plain, and 1 for 0."""
    return np.where(bare(x) == 0, 1, bare(x))


def _power(x, p):
    """x**p as a factor and the logarithm of the rest: neither overflows, and the factor has the slopes of x**p."""
    scale = _scale(x)
    return (x / scale) ** p, sc.xlogy(p, scale)


def _log_gamma_density(x, a):
    """The logarithm of the density for plain positive numbers; for large a, the terms of its formula cancel."""
    large = np.maximum(a, 20.0)
    u, w = (x - large) / large, 1 / large
    # DLMF 5.11.1.
    stirling = w * (1 / 12 - w**2 * (1 / 360 - w**2 * (1 / 1260 - w**2 / 1680)))
    stable = large * (np.log1p(u) - u) - np.log(x) - np.log(2 * np.pi * w) / 2 - stirling
    return np.where(a < 20, sc.xlogy(a - 1.0, x) - x - sc.gammaln(a), stable)


@silent
def _gamma_density(x, a):
    """x**(a - 1) exp(-x) / gamma(a): DLMF 8.2.1."""
    # Far to the right the power is infinite and the exponential 0.
    zero = ((bare(x) == 0) & (a < 1)) | np.isinf(bare(x))
    x = np.where(zero, 1, x)
    scale = _scale(x)
    # The slopes are those of the first two factors, which are near 1.
    return np.where(zero, 0, (x / scale) ** (a - 1.0) * np.exp(scale - x) * np.exp(_log_gamma_density(scale, a)))


@silent
def _beta_density(x, a, b):
    """x**(a - 1) (1 - x)**(b - 1) / beta(a, b): DLMF 8.17.1."""
    steep = ((bare(x) == 0) & (a < 1)) | ((bare(x) == 1) & (b < 1))
    x = np.where(steep, 0.5, x)
    left, left_rest = _power(x, a - 1.0)
    right, right_rest = _power(1 - x, b - 1.0)
    return np.where(steep, 0, left * right * np.exp(left_rest + right_rest - sc.betaln(a, b)))


@silent
def _inverse(out, density):
    """1 / density, and where that is infinite 0, unless `out` is infinite itself."""
    flat = bare(density) == 0
    return np.where(flat, np.where(np.isinf(bare(out)), np.inf, 0), 1 / np.where(flat, 1, density))


def _shapes(low, high):
    """Calls with one shape parameter."""
    return lambda r: [
        r(2.5, r.between(low, high, 3, 4)),
        r(1, r.between(low, high)),
        r(np.array([[1], [3]]), r.between(low, high, 2, 3)),
        r(0.7, r.between(low, high, 0, 2)),
    ]


def _two_shapes(r):
    return [
        r(2.5, 0.7, r.between(0.1, 0.9, 3, 4)),
        r(1, 2, r.between(0.1, 0.9)),
        r(np.array([[1], [3]]), 2, r.between(0.1, 0.9, 2, 3)),
        r(2, 3.5, r.between(0.1, 0.9, 0, 2)),
    ]


# -- gamma ------------------------------------------------------------------------------------

gammainc = special(
    sc.gammainc,
    "The regularized lower incomplete gamma function.",
    "gammainc(2.0, 3.0)",
    0.800852,
    orders=("a",),
    x=lambda x, a: _gamma_density(x, a),
    sample=_shapes(0.5, 4),
)
gammaincc = special(
    sc.gammaincc,
    "The regularized upper incomplete gamma function, 1 - gammainc(a, x).",
    "gammaincc(2.0, 3.0)",
    0.199148,
    orders=("a",),
    x=lambda x, a: -_gamma_density(x, a),
    sample=_shapes(0.5, 4),
)
gammaincinv = special(
    sc.gammaincinv,
    "The inverse of gammainc(a, x) with respect to x.",
    "gammaincinv(2.0, 0.5)",
    1.678347,
    orders=("a",),
    y=lambda out, a: _inverse(out, _gamma_density(out, a)),
    sample=_shapes(0.1, 0.9),
)
gammainccinv = special(
    sc.gammainccinv,
    "The inverse of gammaincc(a, x) with respect to x.",
    "gammainccinv(2.0, 0.5)",
    1.678347,
    orders=("a",),
    y=lambda out, a: -_inverse(out, _gamma_density(out, a)),
    sample=_shapes(0.1, 0.9),
)

# -- beta -------------------------------------------------------------------------------------

betainc = special(
    sc.betainc,
    "The regularized incomplete beta function, for x from 0 to 1.",
    "betainc(2.0, 3.0, 0.5)",
    0.6875,
    orders=("a", "b"),
    x=lambda x, a, b: _beta_density(x, a, b),
    sample=_two_shapes,
)
betaincc = special(
    sc.betaincc,
    "The complement 1 - betainc(a, b, x).",
    "betaincc(2.0, 3.0, 0.5)",
    0.3125,
    orders=("a", "b"),
    x=lambda x, a, b: -_beta_density(x, a, b),
    sample=_two_shapes,
)
betaincinv = special(
    sc.betaincinv,
    "The inverse of betainc(a, b, x) with respect to x.",
    "betaincinv(2.0, 3.0, 0.5)",
    0.385728,
    orders=("a", "b"),
    y=lambda out, a, b: _inverse(out, _beta_density(out, a, b)),
    sample=_two_shapes,
)
betainccinv = special(
    sc.betainccinv,
    "The inverse of betaincc(a, b, x) with respect to x.",
    "betainccinv(2.0, 3.0, 0.5)",
    0.385728,
    orders=("a", "b"),
    y=lambda out, a, b: -_inverse(out, _beta_density(out, a, b)),
    sample=_two_shapes,
)

# -- Student's t ------------------------------------------------------------------------------


def _student_density(t, df):
    """A&S 26.7.1, differentiated."""
    return np.exp(-(df + 1) / 2 * np.log1p(t * t / df) - sc.betaln(df / 2, 0.5)) / np.sqrt(df)


stdtr = special(
    sc.stdtr,
    "The cumulative distribution function of Student's t distribution with df degrees of freedom.",
    "stdtr(3.0, 1.0)",
    0.804499,
    orders=("df",),
    t=lambda t, df: _student_density(t, df),
    sample=_shapes(-3, 3),
)
stdtrit = special(
    sc.stdtrit,
    "The inverse of stdtr(df, t) with respect to t.",
    "stdtrit(3.0, 0.8)",
    0.978472,
    orders=("df",),
    p=lambda out, df: 1 / _student_density(out, df),
    sample=_shapes(0.1, 0.9),
)
