"""The standard normal distribution, in plain NumPy: its density and its cumulative distribution function.

Φ(x) is a rational function of x near 0, and farther out exp(-x²/2) times another, so that it has as many right
digits at -30 as at 0.  The rational functions are those of W. J. Cody, "Rational Chebyshev approximations for the
error function", Mathematics of Computation 23 (1969), 631-637, in the form for Φ of his SPECFUN library (ACM
Algorithm 715, 1993).
"""

import numpy as np

from ...engine.op import elementwise
from ..nn import floating

ROOT_TWO_PI = float(np.sqrt(2 * np.pi))
INNER, OUTER, VANISHES = 0.66291, 32**0.5, 38.6
"""Where the approximations meet, and from where on Φ(-x) is less than the smallest number."""

# Coefficients from the highest power down, numerator and denominator.
NEAR = (
    [0.065682337918207449113, 2.2352520354606839287, 161.02823106855587881, 1067.6894854603709582,
     18154.981253343561249],
    [1.0, 47.20258190468824187, 976.09855173777669322, 10260.932208618978205, 45507.789335026729956],
)  # fmt: skip
MIDDLE = (
    [1.0765576773720192317e-8, 0.39894151208813466764, 8.8831497943883759412, 93.506656132177855979,
     597.27027639480026226, 2494.5375852903726711, 6848.1904505362823326, 11602.651437647350124,
     9842.7148383839780218],
    [1.0, 22.266688044328115691, 235.38790178262499861, 1519.377599407554805, 6485.558298266760755,
     18615.571640885098091, 34900.952721145977266, 38912.003286093271411, 19685.429676859990727],
)  # fmt: skip
FAR = (
    [0.02307344176494017303, 0.21589853405795699, 0.1274011611602473639, 0.022235277870649807,
     0.001421619193227893466, 2.9112874951168792e-5],
    [1.0, 1.28426009614491121, 0.468238212480865118, 0.0659881378689285515, 0.00378239633202758244,
     7.29751555083966205e-5],
)  # fmt: skip


def _ratio(coefficients, x):
    """The quotient of two polynomials."""
    top, bottom = coefficients[0][0] * x, x + coefficients[1][1]
    for a in coefficients[0][1:-1]:
        top += a
        top *= x
    for b in coefficients[1][2:]:
        bottom *= x
        bottom += b
    top += coefficients[0][-1]
    top /= bottom
    return top


def _bell(size):
    """exp(-x²/2) for sizes of at least 0; rounding x² would cost digits where it is large."""
    rough = np.floor(size * 16) / 16
    rest = (size - rough) * (size + rough)
    return np.exp(rough * rough * -0.5) * np.exp(rest * -0.5)


def _tail(size):
    """Φ(-size) for sizes above INNER."""
    out = _ratio(MIDDLE, size)
    far = np.flatnonzero(size > OUTER)
    if far.size:
        y = size[far]
        square = 1 / (y * y)
        out[far] = (1 / ROOT_TWO_PI - square * _ratio(FAR, square)) / y
    out *= _bell(size)
    return out


def _distribution(x):
    """Φ of a flat array."""
    size = np.abs(x)
    outside = np.flatnonzero(size > INNER)
    # Most of what is far out here is done again below: that costs less than picking out the others.
    out = np.minimum(size, INNER)
    out = x * _ratio(NEAR, out * out)
    out += 0.5
    if outside.size:
        x, size = x[outside], np.minimum(size[outside], VANISHES)
        tail = _tail(size)
        out[outside] = np.where(x < 0, tail, 1 - tail)
    return out


@elementwise(x=lambda x: normal_density(x))
def normal_distribution(x):
    """The standard normal distribution function Φ(x), right to a few units in the last place on both sides.

    >>> from tinygrad_np.ops.activations.normal import normal_distribution
    >>> float(normal_distribution(1.0).round(6)), float(normal_distribution(-20.0))
    (0.841345, 2.7536241186062337e-89)
    """
    x = floating(x)
    wide = x.astype(np.float32) if x.dtype == np.float16 else x
    out = _distribution(wide.ravel()).astype(x.dtype, copy=False)
    return out.reshape(x.shape) if x.ndim else out[0]


@elementwise(x=lambda x, out: -x * out)
def normal_density(x):
    """The standard normal density exp(-x²/2) / √(2π).

    >>> from tinygrad_np.ops.activations.normal import normal_density
    >>> float(normal_density(0.0).round(6))
    0.398942
    """
    # Beyond, it is 0; and squares of half precision overflow from 256 on.
    out = np.asarray(floating(x).clip(-40, 40))
    out *= out
    out *= -0.5
    np.exp(out, out)
    out *= 1 / ROOT_TWO_PI
    return out if out.ndim else out[()]
