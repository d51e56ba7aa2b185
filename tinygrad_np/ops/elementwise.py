"""Functions of single entries: each row is a function and its partial derivative per input.

What happens at a kink or a tie is in `kinks.py`.
"""

import numpy as np

from ..engine.door import RULES, bare
from ..engine.op import composite, constant, elementwise
from .kinks import inverse_or_zero
from .nn import sigmoid

LN2, LN10 = float(np.log(2.0)), float(np.log(10.0))
DEGREE = float(np.pi / 180)

# -- arithmetic -------------------------------------------------------------------------------

elementwise(np.positive, x=1)
elementwise(np.negative, x=-1)
elementwise(np.add, x=1, y=1)
elementwise(np.subtract, x=1, y=-1)
elementwise(np.multiply, x=lambda y: y, y=lambda x: x)


def _divide_both(g, y, out):
    slope = g / y
    return slope, slope * -out


elementwise(np.divide, x=lambda y: 1 / y, y=lambda y, out: -out / y, together=_divide_both, sample=(0.5, 2))
elementwise(np.nextafter, x=1, y=None, sample=lambda r: [r(r.real(3, 4), 9.0)])
elementwise(np.heaviside, x=None, y=lambda x: x == 0, sample=lambda r: [r(np.array([-1, 0, 2]), r.real(3))])
elementwise(np.reciprocal, x=lambda out: -out * out)
elementwise(np.square, x=lambda x: 2 * x)
elementwise(np.remainder, x=1, y=lambda x, y: -np.floor_divide(x, y))
elementwise(np.fmod, x=1, y=lambda x, y, out: -np.rint((x - out) / y))
elementwise(np.ldexp, x=lambda y: np.ldexp(1.0, y), y=None, sample=lambda r: [r(r.real(3), np.array([1, 0, -2]))])


def _power_log(x, out):
    """The derivative of x**y with respect to y.  0**y is 0 for every y > 0: 0, and not 0 * log(0)."""
    # In the dtype of the result: to a complex power, a negative number has a complex logarithm.
    if type(x) is not np.ndarray or x.dtype != out.dtype or not x.all():
        x = np.where(x == 0, out.dtype.type(1), x)
    return out * np.log(x)


def _power_slope(x, y):
    """The derivative of x**y with respect to x."""
    if isinstance(y, int | float) and y == 2:
        return 2 * x
    if isinstance(y, int | float) and y >= 1:
        return y * x ** (y - 1)
    # At 0, x**0 is flat, and x**y with y < 1 has an infinite slope: 0, as for sqrt (see kinks.py).
    real = np.real(bare(y))
    if type(x) is np.ndarray and x.all():
        return y * x ** (y - 1.0)
    flat = (x == 0) & (real >= 0) & ((real < 1) | ((real == 1) & (y != 1)))
    return np.where(flat, 0, y * np.where(flat, 1, x) ** np.where(flat, 1, y - 1.0))


elementwise(
    np.power,
    # The operator has short cuts for x**2 and x**0.5 that np.power has not.
    run=lambda x, y: x**y,
    x=_power_slope,
    y=_power_log,
    sample=(0.5, 2),
)


@composite(np.float_power, sample=lambda r: [r(r.positive(2, 3), r.real(3)), r(r.real(3), 2)])
def float_power(x1, x2):
    """A power of at least float64."""
    kind = np.result_type(getattr(x1, "dtype", float), getattr(x2, "dtype", float), np.float64)
    return RULES["astype"](x1, kind) ** x2 if hasattr(x1, "dtype") else kind.type(x1) ** x2


@composite(np.divmod, sample=lambda r: [r(r.real(3, 4), r.positive(4)), r(r.real(3), 0.7)])
def divmod(x, y):
    """The whole quotient, a plain array, and the remainder."""
    return np.floor_divide(x, y), np.remainder(x, y)


# -- exponentials and logarithms --------------------------------------------------------------

elementwise(np.exp, x=lambda out: out)
elementwise(np.exp2, x=lambda out: out * LN2)
elementwise(np.expm1, x=lambda out: out + 1)
elementwise(np.log, x=lambda x: 1 / x, sample=(0.5, 2))
elementwise(np.log2, x=lambda x: 1 / (x * LN2), sample=(0.5, 2))
elementwise(np.log10, x=lambda x: 1 / (x * LN10), sample=(0.5, 2))
elementwise(np.log1p, x=lambda x: 1 / (1 + x), sample=(-0.5, 2))


def _excess(x, y):
    """x - y, and -inf where x is -inf, whatever y is."""
    return x - np.where(x == -np.inf, np.inf, y)


# If you write this as exp(x - out), rounding makes both slopes 1 where out is large: from 1e4 on in half precision.
elementwise(np.logaddexp, x=lambda x, y: sigmoid(_excess(x, y)), y=lambda x, y: sigmoid(_excess(y, x)))
elementwise(np.logaddexp2, x=lambda x, y: sigmoid(_excess(x, y) * LN2), y=lambda x, y: sigmoid(_excess(y, x) * LN2))

# -- trigonometric and hyperbolic functions ---------------------------------------------------


def _wide(x):
    """Half precision as single: its squares overflow from 256 on, where these slopes are still far from 0."""
    return np.astype(x, np.float32) if x.dtype == np.float16 else x


def _squares_fit(size):
    """Whether squares of numbers of these sizes neither under- nor overflow."""
    info = np.finfo(size.dtype)
    return size.min(initial=1) > info.tiny**0.5 and size.max(initial=1) < info.max**0.5 / 2


def _arctan2_both(g, x, y):
    size = np.maximum(np.abs(bare(x)), np.abs(bare(y)))
    if not _squares_fit(size):
        return g * _over_square(y, x), -g * _over_square(x, y)
    slope = g / (x * x + y * y)
    return slope * y, slope * -x


def _over_square(y, x):
    """y / (x * x + y * y), and 0 at the origin."""
    size = np.maximum(np.abs(bare(x)), np.abs(bare(y)))
    if _squares_fit(size):
        return y / (x * x + y * y)
    # The squares would under- or overflow.  The scale cancels, so to higher derivatives it is a constant.
    size = np.where(size == 0, size.dtype.type(1), size)
    x, y = x / size, y / size
    return y * inverse_or_zero(x * x + y * y) / size


elementwise(np.sin, x=lambda x: np.cos(x))
elementwise(np.cos, x=lambda x: -np.sin(x))
elementwise(np.tan, x=lambda out: 1 + out * out, sample=(-1, 1))
elementwise(np.arcsin, x=lambda x: inverse_or_zero(np.sqrt(1 - x * x)), sample=(-0.9, 0.9))
elementwise(np.arccos, x=lambda x: -inverse_or_zero(np.sqrt(1 - x * x)), sample=(-0.9, 0.9))
elementwise(np.arctan, x=lambda x: 1 / (1 + _wide(x) * _wide(x)))
elementwise(
    np.arctan2,
    x=lambda x, y: _over_square(y, x),
    y=lambda x, y: -_over_square(x, y),
    together=_arctan2_both,
)
elementwise(np.sinh, x=lambda x: np.cosh(x))
elementwise(np.cosh, x=lambda x: np.sinh(x))
elementwise(np.tanh, x=lambda out: 1 - out * out)
elementwise(np.arcsinh, x=lambda x: 1 / np.sqrt(_wide(x) * _wide(x) + 1))
elementwise(np.arccosh, x=lambda x: inverse_or_zero(np.sqrt(x - 1) * np.sqrt(x + 1)), sample=(1.2, 3))
elementwise(np.arctanh, x=lambda x: 1 / (1 - x * x), sample=(-0.9, 0.9))
elementwise(np.degrees, also=(np.rad2deg,), x=1 / DEGREE)
elementwise(np.radians, also=(np.deg2rad,), x=DEGREE)

# -- derivative zero or none: plain arrays ----------------------------------------------------

constant(
    np.floor, np.ceil, np.trunc, np.rint, np.round, np.around, np.fix, np.signbit,
    np.isnan, np.isinf, np.isfinite, np.isposinf, np.isneginf, np.logical_not, np.spacing,
    sample=lambda r: [r(r.real(3, 4))],
)  # fmt: skip
constant(
    np.floor_divide, np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.isclose, np.allclose, np.array_equal, np.array_equiv,
    sample=lambda r: [r(r.real(3, 4), r.real(4)), r(r.real(3), 0.5)],
)  # fmt: skip


@composite(np.nan_to_num, sample=lambda r: [r(r.real(3, 4)), r(r.real(3), nan=2.0)])
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """nan and inf replaced; the gradient passes where x is finite, as a constant stands elsewhere."""
    if np.iscomplexobj(x):
        real, imag = (nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x)))
        return real + 1j * imag
    return np.where(np.isfinite(x), x, np.nan_to_num(bare(x), nan=nan, posinf=posinf, neginf=neginf))
