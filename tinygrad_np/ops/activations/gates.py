"""Smooth activations: x times a gate that opens from 0 to 1, and other curves.

A slope that takes many passes is an op of its own, which computes in place; its own slope is plain NumPy.
"""

import functools
import math

import numpy as np

from ...engine.op import composite, elementwise
from ...errors import ShapeError
from ..elementwise import _wide
from ..nn import floating, log_one_plus_exp, sigmoid, softmax
from ..reduce import operand
from .normal import normal_density, normal_distribution


def _half_as_single(run):
    """The function, with half precision computed in single: its products would overflow, or lose all digits."""

    @functools.wraps(run)
    def wide(x, *parameters):
        x = floating(x)
        if x.dtype == np.float16:
            return run(x.astype(np.float32), *parameters).astype(np.float16)
        return run(x, *parameters)

    return wide


# -- x times a gate ---------------------------------------------------------------------------


@elementwise(x=lambda x: _silu_curve(x))
@_half_as_single
def _silu_slope(x):
    gate = sigmoid(x)
    out = 1 - gate
    out *= x
    out += 1
    out *= gate
    return out


def _silu_curve(x):
    """The second derivative of silu."""
    gate = sigmoid(x)
    return gate * (1 - gate) * (2 + x * (1 - 2 * gate))


@elementwise(x=lambda x: _silu_slope(x))
def silu(x):
    """x * sigmoid(x), also called swish.

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import silu
    >>> silu(np.array([-1000.0, 0.0, 2.0])).round(6)
    array([-0.      ,  0.      ,  1.761594])
    """
    x = floating(x)
    out = sigmoid(x)
    out *= x
    return out


@elementwise(x=lambda x, out: 2 * normal_density(x) - x * (x * normal_density(x)))
def _gelu_slope(x):
    out = normal_density(x)
    out *= x
    out += normal_distribution(x)
    return out


@elementwise(x=lambda x: _gelu_slope(x))
def _gelu(x):
    x = floating(x)
    out = normal_distribution(x)
    out *= x
    return out


TANH_SCALE, TANH_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


def _tanh_exponent(x):
    """What the sigmoid of the gate is of, its slope and its curve; beyond 25 all is decided."""
    x = np.clip(x, -25, 25)
    square = x * x
    return (
        TANH_SCALE * x * (1 + TANH_CUBE * square),
        TANH_SCALE * (1 + 3 * TANH_CUBE * square),
        6 * TANH_SCALE * TANH_CUBE * x,
    )


def _gelu_tanh_curve(x):
    """The second derivative of the approximation."""
    v, slope, curve = _tanh_exponent(_wide(x))
    gate = sigmoid(v)
    # Far out x counts no more: its product with the slopes would overflow.
    x = np.clip(x, -25, 25)
    return gate * (1 - gate) * (2 * slope + x * (slope * slope * (1 - 2 * gate) + curve))


@elementwise(x=lambda x: _gelu_tanh_curve(x))
@_half_as_single
def _gelu_tanh_slope(x):
    v, slope, _ = _tanh_exponent(x)
    gate = sigmoid(v)
    return gate + x * (gate * (1 - gate) * slope)


@elementwise(x=lambda x: _gelu_tanh_slope(x))
@_half_as_single
def _gelu_tanh(x):
    # 1 + tanh(v) is 2 * sigmoid(2 * v), which keeps its digits far to the left.
    v = np.asarray(x.clip(-25, 25))
    gate = v * v
    gate *= TANH_SCALE * TANH_CUBE
    gate += TANH_SCALE
    gate *= v
    gate = sigmoid(gate)
    gate *= x
    return gate


@composite(sample=lambda r: [r(r.real(3, 4)), r(r.real()), r(r.real(0, 2)), r(r.real(2, 3), approximate="tanh")])
def gelu(x, approximate="none"):
    """x * Φ(x) with the standard normal distribution function Φ, or its approximation with tanh.

    `approximate` is "none", or "tanh" for x / 2 * (1 + tanh(√(2/π) (x + 0.044715 x³))), which takes half the time
    and is off by up to 0.0005; else ValueError.
    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import gelu
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(6)
    array([-0.158655,  0.      ,  0.841345])
    """
    if approximate == "none":
        return _gelu(x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    raise ValueError(
        f'gelu has approximate="none" or approximate="tanh", and not {approximate!r}.  Leave it away for the exact one.'
    )


def _mish_parts(x):
    """w = exp(x) and n = w (w + 2), of which tanh(softplus(x)) is n / (n + 2); beyond 20 that is 1."""
    w = np.exp(np.minimum(x, 20))
    return w, w * (w + 2)


def _mish_curve(x):
    """The second derivative of mish."""
    w, n = _mish_parts(_wide(x))
    slope = 4 * w * (w + 1) / (n + 2) ** 2
    curve = 4 * w * (2 * w + 1) / (n + 2) ** 2 - 4 * slope * w * (w + 1) / (n + 2)
    return 2 * slope + np.minimum(x, 20) * curve


@elementwise(x=lambda x: _mish_curve(x))
@_half_as_single
def _mish_slope(x):
    w, n = _mish_parts(x)
    rest = 1 / (n + 2)
    n *= rest
    w += w * w
    w *= np.minimum(x, 20)
    w *= 4
    w *= rest * rest
    w += n
    return w


@elementwise(x=lambda x: _mish_slope(x))
@_half_as_single
def mish(x):
    """x * tanh(softplus(x)).

    Source: Misra, Mish: a self regularized non-monotonic activation function, 2019.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import mish
    >>> mish(np.array([-1000.0, 0.0, 2.0])).round(6)
    array([-0.      ,  0.      ,  1.943959])
    """
    _, n = _mish_parts(x)
    gate = n / (n + 2)
    gate *= x
    return gate


# -- other curves -----------------------------------------------------------------------------


@elementwise(x=lambda x: sigmoid(-x))
def logsigmoid(x):
    """The logarithm of sigmoid(x), finite where that rounds to 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import logsigmoid
    >>> logsigmoid(np.array([-1000.0, 1000.0]))
    array([-1000.,    -0.])
    """
    return -log_one_plus_exp(-floating(x))


@elementwise(x=lambda x: (1 / (1 + np.abs(x))) ** 2)
def softsign(x):
    """x / (1 + |x|).

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import softsign
    >>> softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    x = floating(x)
    return x / (1 + np.abs(x))


@elementwise(x=lambda x: np.tanh(x) ** 2)
def tanhshrink(x):
    """x - tanh(x).

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import tanhshrink
    >>> tanhshrink(np.array([0.0, 2.0])).round(6)
    array([0.      , 1.035972])
    """
    x = floating(x)
    return x - np.tanh(x)


# -- along an axis ----------------------------------------------------------------------------


@composite(sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=0)])
def softmin(x, axis=-1):
    """softmax(-x) along `axis`: the smallest entry gets the most.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import softmin
    >>> softmin(np.array([0.0, 0.0, 1000.0]))
    array([0.5, 0.5, 0. ])
    """
    return softmax(-operand(x), axis)


def _halves(name, x, axis):
    """The first and the second half along an axis."""
    x = operand(x)
    if not x.ndim or x.shape[axis] % 2:
        raise ShapeError(
            f"{name} multiplies the first half along axis {axis} by a gate of the second, and shape {x.shape} has no "
            "two halves there.  Give the layer before it an even number of outputs."
        )
    return np.split(x, 2, axis)


@composite(sample=lambda r: [r(r.real(3, 4)), r(r.real(4, 3), axis=0)])
def glu(x, axis=-1):
    """a * sigmoid(b) for the halves a and b of x along `axis`, which must be even, else ShapeError.

    Source: Dauphin et al., Language modeling with gated convolutional networks, 2016.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import glu
    >>> glu(np.array([1.0, 2.0, 0.0, 1000.0]))
    array([0.5, 2. ])
    """
    a, b = _halves("glu", x, axis)
    return a * sigmoid(b)


@composite(sample=lambda r: [r(r.real(3, 4)), r(r.real(4, 3), axis=0)])
def swiglu(x, axis=-1):
    """a * silu(b) for the halves a and b of x along `axis`, which must be even, else ShapeError.

    Source: Shazeer, GLU variants improve transformer, 2020.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import swiglu
    >>> swiglu(np.array([1.0, 2.0, 0.0, 1000.0]))
    array([   0., 2000.])
    """
    a, b = _halves("swiglu", x, axis)
    return a * silu(b)


@composite(sample=lambda r: [r(r.real(3, 4)), r(r.real(4, 3), axis=0)])
def geglu(x, axis=-1):
    """a * gelu(b) for the halves a and b of x along `axis`, which must be even, else ShapeError.

    Source: Shazeer, GLU variants improve transformer, 2020.

    >>> import numpy as np
    >>> from tinygrad_np.ops.activations import geglu
    >>> geglu(np.array([1.0, 2.0, 0.0, 1000.0]))
    array([   0., 2000.])
    """
    a, b = _halves("geglu", x, axis)
    return a * gelu(b)
