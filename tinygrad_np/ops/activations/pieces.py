"""Activations of pieces: straight ones, and exponentials to the left."""

import numpy as np

from ...engine.op import composite, elementwise
from ...errors import RangeError, ShapeError
from ..kinks import _step
from ..nn import floating
from ..reduce import operand

# -- straight pieces --------------------------------------------------------------------------


def _one_or(x, low):
    """1 where x is above 0, else `low`, in x's dtype."""
    above = _step(x)
    if type(above) is np.ndarray and isinstance(low, int | float) and 0 <= low <= 1:
        return np.maximum(above, low, out=above)
    return np.where(above, above, low)


@elementwise(
    x=lambda x, negative_slope: _one_or(x, negative_slope),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.3), r(r.real(0, 2)), r(r.real(2, 1, 3), negative_slope=1.5)],
)
def leaky_relu(x, negative_slope=0.01):
    """x above 0, negative_slope * x below; the gradient at 0 is negative_slope.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import leaky_relu
    >>> leaky_relu(np.array([-2.0, 3.0]))
    array([-0.02,  3.  ])
    """
    x, negative_slope = floating(x), float(negative_slope)
    if negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return np.where(x > 0, x, x * negative_slope)


@elementwise(x=lambda x, weight: _one_or(x, weight), weight=lambda x: x * (1 - _step(x)))
def _prelu(x, weight):
    return np.where(x > 0, x, x * weight)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), np.array([0.25])),
        r(r.real(2, 3), np.array(-0.5)),
        r(r.real(2, 3, 4), r.real(3)),
        r(r.real(4), np.array([0.1])),
    ]
)
def prelu(x, weight):
    """x above 0, weight * x below, with a learned weight: one for all, or one for each channel (axis 1).

    `weight` has one entry or as many as there are channels, else ShapeError.
    The gradient at 0 is weight.
    Source: He et al., Delving deep into rectifiers, 2015.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import prelu
    >>> prelu(np.array([[-2.0, -2.0], [3.0, 3.0]]), np.array([0.5, 0.1]))
    array([[-1. , -0.2],
           [ 3. ,  3. ]])
    """
    x, weight = operand(x), operand(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ShapeError(
            f"prelu takes one weight or one for each channel, and a weight of shape {weight.shape} does not go with "
            f"{x.shape}, whose axis 1 has {channels} channels.  Give a vector of {channels}."
        )
    ones = max(x.ndim - 2, 0) if weight.size > 1 else 0
    return _prelu(x, np.reshape(weight, (-1, *[1] * ones) if weight.size > 1 else ()))


@elementwise(x=lambda x: (x > 0) & (x < 6), sample=(-3, 9))
def relu6(x):
    """x between 0 and 6, and the nearer bound elsewhere; the gradient on both bounds is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import relu6
    >>> relu6(np.array([-1.0, 3.0, 8.0]))
    array([0., 3., 6.])
    """
    return floating(x).clip(0, 6)


@elementwise(
    x=lambda x, min_val, max_val: (x > min_val) & (x < max_val),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), -0.5, 0.7), r(r.real(0, 2)), r(r.real(2, 3), max_val=0.5)],
)
def hardtanh(x, min_val=-1.0, max_val=1.0):
    """x between min_val and max_val, and the nearer bound elsewhere; the gradient on both bounds is 0.

    Raises RangeError unless min_val < max_val.  `np.clip` is the same with the gradient 1 on the bounds.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import hardtanh
    >>> hardtanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    if not min_val < max_val:
        raise RangeError(
            f"hardtanh keeps x between two bounds, and min_val={min_val} is not below max_val={max_val}.  Swap them."
        )
    return floating(x).clip(float(min_val), float(max_val))


def _hardsigmoid_slope(x):
    # A Python number would make it double precision.
    return ((x > -3) & (x < 3)) * x.dtype.type(1 / 6)


@elementwise(x=lambda x: _hardsigmoid_slope(x), sample=(-5, 5))
def hardsigmoid(x):
    """A sigmoid of straight pieces: x / 6 + 1/2 from -3 to 3, then 0 and 1; the gradient at -3 and 3 is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import hardsigmoid
    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return (floating(x) + 3).clip(0, 6) / 6


@elementwise(x=lambda x: np.where(x < 3, np.where(x > -3, x / 3 + 0.5, 0), 1), sample=(-5, 5))
def hardswish(x):
    """x * hardsigmoid(x); the gradient is 0 at -3 and 1 at 3.

    Source: Howard et al., Searching for MobileNetV3, 2019.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import hardswish
    >>> hardswish(np.array([-4.0, 1.0, 4.0])).round(6)
    array([-0.      ,  0.666667,  4.      ])
    """
    x = floating(x)
    return x * ((x + 3).clip(0, 6) / 6)


def _check_not_negative(name, lambd):
    if not lambd >= 0:
        raise RangeError(
            f"{name} sets what lies between -lambd and lambd to 0, and lambd={lambd} leaves nothing between them.  "
            "Give a number of at least 0."
        )


@elementwise(
    x=lambda out: out != 0,
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.3), r(r.real(0, 2)), r(r.real(2, 3), lambd=0)],
)
def softshrink(x, lambd=0.5):
    """x moved by lambd towards 0, and 0 where it would pass it; the gradient at -lambd and lambd is 0.

    Raises RangeError for lambd below 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import softshrink
    >>> softshrink(np.array([-2.0, 0.2, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    _check_not_negative("softshrink", lambd)
    x, lambd = floating(x), float(lambd)
    return x - x.clip(-lambd, lambd)


@elementwise(
    x=lambda out: out != 0,
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.3), r(r.real(0, 2)), r(r.real(2, 3), lambd=0)],
)
def hardshrink(x, lambd=0.5):
    """x, and 0 where it is between -lambd and lambd; the gradient at -lambd and lambd is 0.

    Raises RangeError for lambd below 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import hardshrink
    >>> hardshrink(np.array([-2.0, 0.2, 2.0]))
    array([-2.,  0.,  2.])
    """
    _check_not_negative("hardshrink", lambd)
    x = floating(x)
    return np.where(np.abs(x) > float(lambd), x, 0)


@composite(
    sample=lambda r: [r(r.real(3, 4), 0.1, 20.0), r(r.real(), -0.5, 0), r(r.real(0, 2), threshold=1, value=-7)],
)
def threshold(x, threshold, value):
    """x above the threshold, else `value`; the gradient at the threshold is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import threshold
    >>> threshold(np.array([0.1, 2.0]), 0.5, -1.0)
    array([-1.,  2.])
    """
    x = operand(x)
    return np.where(x > float(threshold), x, float(value))


# -- exponentials on the left -----------------------------------------------------------------


@elementwise(x=lambda out: out)
def _left_exp(x):
    """exp(x) up to 0, and 0 above: the slope that is left of an elu, and its own derivative."""
    out = np.asarray(np.minimum(x, 0))
    np.exp(out, out)
    out *= np.less_equal(x, 0)
    return out


def _left_expm1(x):
    """exp(x) - 1 up to 0, and 0 above."""
    out = np.asarray(np.minimum(x, 0))
    return np.expm1(out, out)


@elementwise(
    x=lambda x, alpha: _step(x) + alpha * _left_exp(x),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.5), r(r.real(0, 2)), r(r.real(2, 1, 3), alpha=2)],
)
def elu(x, alpha=1.0):
    """x above 0, alpha * (exp(x) - 1) below; the gradient at 0 is alpha.

    Source: Clevert et al., Fast and accurate deep network learning by exponential linear units, 2015.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import elu
    >>> elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    x = floating(x)
    out = _left_expm1(x)
    out *= float(alpha)
    out += np.maximum(x, 0)
    return out if out.ndim else out[()]


@elementwise(
    x=lambda x, alpha: _step(x) + _left_exp(x / alpha),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.5), r(r.real(0, 2)), r(r.real(2, 1, 3), alpha=2)],
)
def celu(x, alpha=1.0):
    """x above 0, alpha * (exp(x / alpha) - 1) below, which is smooth for every alpha.

    Raises RangeError for an alpha of 0 or below.
    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import celu
    >>> celu(np.array([-1000.0, 2.0]), alpha=2.0)
    array([-2.,  2.])
    """
    if not alpha > 0:
        raise RangeError(
            f"celu divides by alpha, and has its lower bound at -alpha: alpha={alpha} is none.  Give a number above 0."
        )
    x, alpha = floating(x), float(alpha)
    out = _left_expm1(x / alpha)
    out *= alpha
    out += np.maximum(x, 0)
    return out if out.ndim else out[()]


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@elementwise(x=lambda x: SELU_SCALE * _step(x) + SELU_SCALE * SELU_ALPHA * _left_exp(x))
def selu(x):
    """An elu scaled so that layers of it keep mean 0 and variance 1.  The gradient at 0 is 1.758099.

    Source: Klambauer et al., Self-normalizing neural networks, 2017, with its constants.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import selu
    >>> selu(np.array([-1000.0, 2.0])).round(6)
    array([-1.758099,  2.101402])
    """
    x = floating(x)
    out = _left_expm1(x)
    out *= SELU_ALPHA
    out += np.maximum(x, 0)
    out *= SELU_SCALE
    return out if out.ndim else out[()]
