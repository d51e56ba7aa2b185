"""The logistic function, logarithms that meet zeros, entropies, and losses.

Where the value is finite and the slope infinite, as for entr at 0, the gradient is 0 (see ops/kinks.py); where the
value is infinite itself, as for logit at 0, so is the slope.
"""

import numpy as np
import scipy.special as sc

from ..engine.door import bare
from .declare import special

silent = np.errstate(divide="ignore", invalid="ignore", over="ignore")

# -- the logistic function --------------------------------------------------------------------

expit = special(
    sc.expit,
    "The logistic sigmoid, 1 / (1 + exp(-x)), without overflow.",
    "expit(0.0)",
    0.5,
    # Not out (1 - out), which is 0 from x = 37 on.
    x=lambda x, out: out * sc.expit(-x),
)
log_expit = special(
    sc.log_expit,
    "The logarithm of expit, finite where expit rounds to 0.",
    "log_expit(-1000.0)",
    -1000.0,
    x=lambda x: sc.expit(-x),
)


@silent
def _logit_slope(p):
    return 1 / (p * (1 - p))


logit = special(
    sc.logit,
    "The inverse of expit: log(p / (1 - p)).",
    "logit(0.75)",
    1.098612,
    p=lambda p: _logit_slope(p),
    sample=(0.1, 0.9),
)
softplus = special(
    sc.softplus,
    "log(1 + exp(x)), without overflow.",
    "softplus(1000.0)",
    1000.0,
    x=lambda x: sc.expit(x),
)

# -- products with logarithms -----------------------------------------------------------------


@silent
def _log(y, unless):
    """log(y), and 0 where `unless`."""
    return np.where(unless, 0, np.log(np.where(unless, 1, y)))


@silent
def _log1p(y, unless):
    """log(1 + y), and 0 where `unless`."""
    return np.where(unless, 0, np.log1p(np.where(unless, 0, y)))


@silent
def _ratio(x, y, unless):
    """x / y, and 0 where `unless`."""
    return np.where(unless, 0, x / np.where(unless, 1, y))


def _both_zero(x, y):
    return (bare(x) == 0) & (bare(y) == 0)


xlogy = special(
    sc.xlogy,
    "x log(y), and 0 where x is 0.",
    "xlogy(2.0, 3.0)",
    2.197225,
    x=lambda x, y: _log(y, _both_zero(x, y)),
    y=lambda x, y: _ratio(x, y, _both_zero(x, y)),
    sample=(0.5, 2),
)
xlog1py = special(
    sc.xlog1py,
    "x log(1 + y), and 0 where x is 0.",
    "xlog1py(2.0, 3.0)",
    2.772589,
    # Not log(1 + y): for small y the sum would round.
    x=lambda x, y: _log1p(y, _both_zero(x, 1 + y)),
    y=lambda x, y: _ratio(x, 1 + y, _both_zero(x, 1 + y)),
    sample=(-0.5, 2),
)


# -- entropies: x log(x) and its kin ----------------------------------------------------------


@silent
def _log_ratio(x, y):
    """log(x / y), and 0 where x is 0."""
    zero = bare(x) == 0
    return np.where(zero, 0, np.log(np.where(zero, 1, x) / np.where(zero, 1, y)))


def _positive(x):
    return bare(x) != 0


entr = special(
    sc.entr,
    "The entropy term -x log(x), 0 at 0 and -inf below.",
    "entr(0.5)",
    0.346574,
    x=lambda x: -_log_ratio(x, 1) - _positive(x),
    sample=(0.1, 2),
)
rel_entr = special(
    sc.rel_entr,
    "The relative entropy term x log(x / y), 0 where x is 0.",
    "rel_entr(0.5, 0.25)",
    0.346574,
    x=lambda x, y: _log_ratio(x, y) + _positive(x),
    y=lambda x, y: -_ratio(x, y, bare(x) == 0),
    sample=(0.1, 2),
)
kl_div = special(
    sc.kl_div,
    "The Kullback-Leibler term x log(x / y) - x + y.",
    "kl_div(0.5, 0.25)",
    0.096574,
    x=lambda x, y: _log_ratio(x, y),
    y=lambda x, y: 1 - _ratio(x, y, bare(x) == 0),
    sample=(0.1, 2),
)

# -- losses -----------------------------------------------------------------------------------

huber = special(
    sc.huber,
    "The Huber loss of a residual: r²/2 up to delta, then a straight line.",
    "huber(1.0, 3.0)",
    2.5,
    delta=lambda delta, r: np.maximum(np.abs(r) - delta, 0),
    r=lambda delta, r: np.clip(r, -delta, delta),
    sample=lambda r: [r(1.0, r.real(3, 4)), r(r.positive(4), r.real(3, 4)), r(0.7, r.real())],
)
pseudo_huber = special(
    sc.pseudo_huber,
    "A smooth Huber loss, delta² (sqrt(1 + (r / delta)²) - 1).",
    "pseudo_huber(1.0, 3.0)",
    2.162278,
    # With s = sqrt(1 + (r / delta)²) it is delta (s - 1)² / s, and out is delta² (s - 1): nothing cancels.
    delta=lambda delta, r, out: out * out / (delta**3 * np.hypot(1, r / delta)),
    r=lambda delta, r: r / np.hypot(1, r / delta),
    sample=lambda r: [r(1.0, r.real(3, 4)), r(r.positive(4), r.real(3, 4)), r(r.positive(), r.real())],
)
