"""Powers, exponential and elliptic integrals, and hypergeometric functions.  DLMF is https://dlmf.nist.gov."""

import numpy as np
import scipy.special as sc

from ..engine.door import bare
from ..engine.op import composite
from .declare import arrays_first, at_home, special

# -- powers and exponentials ------------------------------------------------------------------


def _exprel_slope(x):
    """The quotient's own slope cancels near 0, where it is that of 1F1(1, 2, x): DLMF 13.6.2 and 13.3.15."""
    near = np.abs(bare(x)) < 1
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    with np.errstate(over="ignore"):
        return np.where(near, sc.hyp1f1(2, 3, small) / 2, (np.exp(large) * (1 - 1 / large) + 1 / large) / large)


exprel = special(
    sc.exprel,
    "(exp(x) - 1) / x, and 1 at 0.",
    "exprel(1e-9)",
    1.0,
    x=lambda x: _exprel_slope(x),
)
boxcox = special(
    sc.boxcox,
    "The Box-Cox transformation (x**lmbda - 1) / lmbda, and log(x) for lmbda = 0.",
    "boxcox(4.0, 0.5)",
    2.0,
    x=lambda x, lmbda: x ** (lmbda - 1.0),
    lmbda=lambda x, lmbda: np.log(x) ** 2 * sc.hyp1f1(2, 3, lmbda * np.log(x)) / 2,
    sample=(0.5, 2),
)
boxcox1p = special(
    sc.boxcox1p,
    "The Box-Cox transformation of 1 + x.",
    "boxcox1p(3.0, 0.5)",
    2.0,
    x=lambda x, lmbda: (1 + x) ** (lmbda - 1.0),
    lmbda=lambda x, lmbda: np.log1p(x) ** 2 * sc.hyp1f1(2, 3, lmbda * np.log1p(x)) / 2,
    sample=(0.2, 2),
)
expm1 = special(
    sc.expm1,
    "exp(x) - 1, accurate near 0.",
    "expm1(1.0)",
    1.718282,
    x=lambda out: out + 1,
)
log1p = special(
    sc.log1p,
    "log(1 + x), accurate near 0.",
    "log1p(1.0)",
    0.693147,
    x=lambda x: 1 / (1 + x),
    sample=(-0.5, 2),
)
cosm1 = special(
    sc.cosm1,
    "cos(x) - 1, accurate near 0.",
    "cosm1(1.0)",
    -0.459698,
    x=lambda x: -np.sin(x),
)

# -- integrals --------------------------------------------------------------------------------


@np.errstate(divide="ignore")
def _inverse(z):
    return 1 / z


def _unless(steep, z, slope):
    """The slope, and 0 where it is infinite and the value finite (see ops/kinks.py)."""
    return np.where(steep, 0, slope(np.where(steep, 0.5, z))) if np.any(steep) else slope(z)


# DLMF 6.2.1 to 6.2.5.
exp1 = special(
    sc.exp1,
    "The exponential integral E1, of exp(-t) / t from x to infinity.",
    "exp1(1.0)",
    0.219384,
    z=lambda z: -np.exp(-z) * _inverse(z),
    sample=(0.5, 3),
)
expi = special(
    sc.expi,
    "The exponential integral Ei, of exp(t) / t from -infinity to x.",
    "expi(1.0)",
    1.895118,
    x=lambda x: np.exp(x) * _inverse(x),
    sample=(0.5, 3),
)
# DLMF 8.19.13.
expn = special(
    sc.expn,
    "The exponential integral of whole order n.",
    "expn(2, 1.0)",
    0.148496,
    orders=("n",),
    x=lambda x, n: -np.where(n == 0, (1 / x + 1) * np.exp(-x) / x, sc.expn(np.maximum(n - 1, 0), x)),
    sample=lambda r: [r(1, r.positive(3, 4)), r(np.array([[0], [3]]), r.positive(2, 3)), r(2, r.positive())],
)


def _spence_slope(z):
    """-log(z) / (z - 1), DLMF 25.12.2; near 1 without its gap, by 15.4.1."""
    near = np.abs(bare(z) - 1) < 0.5
    inside, outside = np.where(near, z, 1), np.where(near, 2, z)
    return np.where(near, -sc.hyp2f1(1, 1, 2, 1 - inside), -np.log(outside) / (outside - 1))


spence = special(
    sc.spence,
    "The dilogarithm of 1 - z, as Spence's integral of log(t) / (1 - t) from 1 to z.",
    "spence(0.5)",
    0.582241,
    z=lambda z: _unless(bare(z) == 0, z, _spence_slope),
    sample=(0.2, 3),
)
# DLMF 19.5.1 and 19.5.2, in m = k², with 15.5.1; the forms of 19.4 divide by m.
ellipk = special(
    sc.ellipk,
    "The complete elliptic integral of the first kind of m = k².",
    "ellipk(0.5)",
    1.854075,
    m=lambda m: np.pi / 8 * sc.hyp2f1(1.5, 1.5, 2, m),
    sample=(-2, 0.9),
)
ellipe = special(
    sc.ellipe,
    "The complete elliptic integral of the second kind of m = k².",
    "ellipe(0.5)",
    1.350644,
    m=lambda m: _unless(bare(m) == 1, m, lambda m: -np.pi / 8 * sc.hyp2f1(0.5, 1.5, 2, m)),
    sample=(-2, 0.9),
)


@arrays_first("lambertw", z=lambda out: np.exp(-out) / (1 + out))
def _lambertw(z, k, tol):
    return sc.lambertw(z, k, tol)


@composite(sample=lambda r: [r(r.positive(3, 4)), r(r.positive(), -1), r(r.complex(2, 3), k=1), r(r.real(0, 2))])
@at_home
def lambertw(z, k=0, tol=1e-8):
    """Branch k of the inverse of w exp(w), complex as in scipy (DLMF 4.13).

    >>> from tinygrad_np.special import lambertw
    >>> lambertw(1.0).real.round(6).item()
    0.567143
    """
    return _lambertw(z, k, tol)


# -- hypergeometric functions -----------------------------------------------------------------

# DLMF 16.3.1.
hyp0f1 = special(
    sc.hyp0f1,
    "The confluent hypergeometric limit function 0F1.",
    "hyp0f1(2.0, 1.0)",
    1.590637,
    orders=("v",),
    z=lambda z, v: sc.hyp0f1(v + 1, z) / v,
    sample=lambda r: [r(1.5, r.real(3, 4)), r(np.array([[1], [2]]), r.real(2, 3)), r(2, r.real())],
)
hyp1f1 = special(
    sc.hyp1f1,
    "The confluent hypergeometric function 1F1.",
    "hyp1f1(1.0, 2.0, 1.0)",
    1.718282,
    orders=("a", "b"),
    x=lambda x, a, b: a / b * sc.hyp1f1(a + 1, b + 1, x),
    sample=lambda r: [r(1.5, 2.5, r.real(3, 4)), r(1, np.array([[1], [2]]), r.real(2, 3)), r(2, 3.5, r.real())],
)
hyp2f1 = special(
    sc.hyp2f1,
    "The Gauss hypergeometric function 2F1.",
    "hyp2f1(1.0, 1.0, 2.0, 0.5)",
    1.386294,
    orders=("a", "b", "c"),
    z=lambda z, a, b, c: a * b / c * sc.hyp2f1(a + 1, b + 1, c + 1, z),
    sample=lambda r: [r(1.5, 0.5, 2.5, r.between(-0.8, 0.8, 3, 4)), r(1, 2, 3.5, r.between(-0.8, 0.8))],
)
