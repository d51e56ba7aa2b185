"""The gamma function and its kin, and the beta function.  DLMF is https://dlmf.nist.gov."""

import numpy as np
import scipy.special as sc

from ..engine.door import RULES, bare
from ..engine.op import composite, constant, elementwise
from .declare import arrays_first, at_home, cosine, sine, special
from .zeta_functions import trigamma

# DLMF 5.2.2; the derivatives of psi are the polygamma functions, 5.15.1.
gamma = special(
    sc.gamma,
    "The gamma function.",
    "gamma(4.5)",
    11.631728,
    z=lambda z, out: out * sc.psi(z),
    sample=(0.5, 3),
)
gammaln = special(
    sc.gammaln,
    "The logarithm of the absolute value of the gamma function.",
    "gammaln(100.0)",
    359.134205,
    x=lambda x: sc.psi(x),
    sample=(0.5, 3),
)
loggamma = special(
    sc.loggamma,
    "The logarithm of the gamma function, for complex numbers too.",
    "loggamma(100.0)",
    359.134205,
    z=lambda z: sc.psi(z),
    sample=(0.5, 3),
)
digamma = psi = special(
    sc.psi,
    "The slope of the logarithm of the gamma function.",
    "digamma(1.0)",
    -0.577216,
    name="digamma",
    z=lambda z: trigamma(z),
    sample=(0.5, 3),
)
constant(sc.gammasgn, sample=lambda r: [r(r.real(3, 4))])
gammasgn = at_home(RULES[sc.gammasgn])
gammasgn.__doc__ = """The sign of the gamma function, a plain array: its derivative is zero.

>>> from tinygrad_np.special import gammasgn
>>> gammasgn(-0.5).item()
-1.0
"""


def _rgamma_slope(z):
    """-psi(z) / gamma(z); at the poles of gamma that is infinity times 0, so on the left by reflection, DLMF 5.5.3."""
    left = np.real(bare(z)) < 0.5
    if not np.any(left):
        return -sc.psi(z) * sc.rgamma(z)
    a, b = np.where(left, 1, z), np.where(left, 1 - z, 1)
    reflected = sc.gamma(b) * (sine(b) * sc.psi(b) / np.pi + cosine(b))
    return -np.where(left, reflected, sc.psi(a) * sc.rgamma(a))


rgamma = special(
    sc.rgamma,
    "1 / gamma(z), which is 0 at 0, -1, -2, ...",
    "rgamma(4.5)",
    0.085972,
    z=lambda z: _rgamma_slope(z),
    sample=(-2.3, 3),
)

# -- the beta function ------------------------------------------------------------------------


def _pole(z):
    """Where gamma is infinite."""
    z = np.real(bare(z))
    return (z <= 0) & (z == np.rint(z))


def _safe(z):
    """`z`, and 1 at the poles of gamma."""
    return np.where(_pole(z), 1, z)


def _binom_at_pole(n, k):
    """The slope in n where the coefficient is 0, because n - k + 1 is a pole of gamma."""
    return sc.gamma(n + 1) * sc.rgamma(k + 1) * _rgamma_slope(np.where(_pole(n - k + 1), n - k + 1, 0))


@elementwise(a=lambda a, b: trigamma(a + b) - trigamma(a), b=lambda a, b: trigamma(a + b))
def _psi_step(a, b):
    """psi(a + b) - psi(a), from DLMF 5.11.2 where a is so large that the difference would cancel."""
    a, b = np.asarray(a, np.result_type(a, b, np.float32)), np.asarray(b)
    large = (a > 100) & (np.abs(b) < a)
    plain = sc.psi(a + b) - sc.psi(a)
    if not np.any(large):
        return plain
    u = 1 / np.where(large, a, 1)
    step = np.where(large, b, 1)
    v = 1 / (step + np.where(large, a, 1))
    squares = u * u + v * v
    series = 1 / 2 + (u + v) * (1 / 12 - squares / 120 + (squares * squares - (u * v) ** 2) / 252)
    return np.where(large, np.log1p(step * u) + step * u * v * series, plain)


# DLMF 5.12.1.
beta = special(
    sc.beta,
    "The beta function, gamma(a) gamma(b) / gamma(a + b).",
    "beta(2.0, 3.0)",
    0.083333,
    a=lambda a, b, out: -out * _psi_step(a, b),
    b=lambda a, b, out: -out * _psi_step(b, a),
    sample=(0.5, 3),
)
betaln = special(
    sc.betaln,
    "The logarithm of the absolute value of the beta function.",
    "betaln(2.0, 3.0)",
    -2.484907,
    a=lambda a, b: -_psi_step(a, b),
    b=lambda a, b: -_psi_step(b, a),
    sample=(0.5, 3),
)
binom = special(
    sc.binom,
    "The binomial coefficient, for real arguments too.",
    "binom(5.5, 2.0)",
    12.375,
    n=lambda n, k, out: np.where(_pole(n - k + 1), _binom_at_pole(n, k), out * _psi_step(_safe(n - k + 1), k)),
    k=lambda n, k, out: np.where(
        _pole(n - k + 1), -_binom_at_pole(n, k), out * (sc.psi(_safe(n - k + 1)) - sc.psi(k + 1))
    ),
    sample=lambda r: [r(r.positive(3, 4) + 4, r.positive(4)), r(5.5, r.positive()), r(r.positive(3) + 4, 2.0)],
)
poch = special(
    sc.poch,
    "The rising factorial, gamma(z + m) / gamma(z).",
    "poch(2.5, 2.0)",
    8.75,
    z=lambda z, m, out: out * _psi_step(z, m),
    m=lambda z, m, out: out * sc.psi(z + m),
    sample=(0.5, 3),
)


# -- several at once --------------------------------------------------------------------------


@arrays_first("multigammaln", a=lambda a, d: sum(sc.psi(a - j / 2) for j in range(int(d))))
def _multigammaln(a, d):
    return sc.multigammaln(a, d)


@composite(sample=lambda r: [r(r.positive(3, 4) + 1, 3), r(r.positive(), 1), r(r.positive(2) + 1, d=2)])
@at_home
def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d; a above (d - 1) / 2 (DLMF 35.3.4).

    >>> from tinygrad_np.special import multigammaln
    >>> multigammaln(5.0, 2).round(6).item()
    6.204155
    """
    return _multigammaln(a, d)
