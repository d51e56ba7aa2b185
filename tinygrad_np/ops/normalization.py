"""Normalization: entries made to have mean 0 and variance 1 along some axes, then scaled and shifted.

Two ops: `standardized` (or `over_root_mean_square`) with the backward pass of the papers, and `scaled`.  The layers of
networks only differ in the axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, elementwise, op
from ..engine.tape import running_again
from ..errors import RangeError, ShapeError
from .nn import floating

# -- sums along axes --------------------------------------------------------------------------


def _are_arrays(*values):
    return all(type(value) is np.ndarray for value in values)


def _sum_of_products(x, y, axis):
    """sum(x * y) along the axes, without the array of the products."""
    if not _are_arrays(x, y) or x.dtype != y.dtype or x.dtype == np.float16:
        return np.sum(x * y, axis=axis, keepdims=True)
    if axis == (x.ndim - 1,):
        return np.vecdot(x, y)[..., None]
    kept = [i for i in range(x.ndim) if i not in axis]
    total = np.einsum(x, range(x.ndim), y, range(x.ndim), kept)
    return total.reshape([1 if i in axis else n for i, n in enumerate(x.shape)])


def _count(x, axis):
    return max(1, math.prod([x.shape[i] for i in axis]))


def _mean_of_products(x, y, axis):
    return _sum_of_products(x, y, axis) / _count(x, axis)


def _mean(x, axis):
    if _are_arrays(x) and axis == (x.ndim - 1,) and x.dtype != np.float16:
        # As a product with ones, in a third of the time.
        return np.vecdot(x, np.ones(x.shape[-1], x.dtype))[..., None] / _count(x, axis)
    # The mean of nothing would be nan, with a warning.
    return np.mean(x, axis=axis, keepdims=True) if x.size else np.sum(x, axis=axis, keepdims=True)


def _wide(x):
    """Half precision as single: squares and sums overflow it."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


# -- mean 0 and variance 1 ----------------------------------------------------------------------


def _standardized_pull(g, out, axis, eps):
    (g, g_mean, g_variance), (normal, _, variance) = g, out
    n, deviation = _count(normal, axis), np.sqrt(variance + eps)
    along = g_variance * (2 / n) * deviation**2 - _mean_of_products(g, normal, axis)
    return _moved(g, normal, along, g_mean * (1 / n) * deviation - _mean(g, axis), 1 / deviation)


def _moved(g, normal, along, shift, scale):
    """(g + normal * along + shift) * scale, where the last three have fewer entries."""
    if not _are_arrays(g, normal, along, shift, scale):
        return (g + normal * along + shift) * scale
    out = normal * along
    out += g
    out += shift
    out *= scale
    return out


@op(
    x=lambda g, out, axis, eps: _standardized_pull(g, out, axis, eps),
    results=True,
    fresh=True,
    sample=lambda r: [
        r(r.real(3, 4), (1,)),
        r(r.real(2, 3, 4), (0, 2), 0.1),
        r(r.real(2, 3, 4), (1, 2)),
        r(r.real(3, 1), (1,)),
        r(r.real(5), (0,)),
    ],
)
def standardized(x, axis, eps=1e-5):
    """(x - mean) / √(variance + eps) along the axes (a tuple, counted from 0), and the mean and the variance.

    The variance is over n, not n - 1.  With x̂ for the result, and means along the axes, the gradient is
    (g - mean(g) - x̂ mean(g x̂)) / √(variance + eps).  (Ioffe & Szegedy, "Batch normalization", 2015; Ba et al.,
    "Layer normalization", 2016.)
    """
    x = floating(x)
    dtype, x = x.dtype, _wide(x)
    mean = _mean(x, axis)
    out = np.asarray(x - mean)
    variance = _mean_of_products(out, out, axis)
    # Far from 0, the mean is only known to the precision of x: what is missing shows in the mean of the differences.
    if np.any(mean * mean > 16 * variance):
        rest = _mean(out, axis)
        out -= rest
        mean, variance = mean + rest, _mean_of_products(out, out, axis)
    out *= 1 / np.sqrt(variance + eps)
    return out.astype(dtype, copy=False), mean, variance


def _rms_pull(g, out, axis, eps):
    (g, g_square), (normal, square) = g, out
    along = g_square * (2 / _count(normal, axis)) * (square + eps) - _mean_of_products(g, normal, axis)
    return (g + normal * along) * (1 / np.sqrt(square + eps))


@op(
    x=lambda g, out, axis, eps: _rms_pull(g, out, axis, eps),
    results=True,
    fresh=True,
    sample=lambda r: [r(r.real(3, 4), (1,)), r(r.real(2, 3, 4), (0, 2), 0.1), r(r.real(5), (0,))],
)
def over_root_mean_square(x, axis, eps=1e-5):
    """x / √(mean(x²) + eps) along the axes, and mean(x²).

    With x̂ for the result, the gradient is (g - x̂ mean(g x̂)) / √(mean(x²) + eps).  (Zhang & Sennrich, "Root mean
    square layer normalization", 2019.)
    """
    x = floating(x)
    dtype, x = x.dtype, _wide(x)
    square = _mean_of_products(x, x, axis)
    return (x * (1 / np.sqrt(square + eps))).astype(dtype, copy=False), square


# -- scaled and shifted ---------------------------------------------------------------------------


def _scaled_pull(g, x, weight):
    """The gradients of x, weight and bias: that of the weight without the array of all products."""
    shape = (1,) * (g.ndim - weight.ndim) + tuple(weight.shape)
    axis = tuple([i for i, n in enumerate(shape) if n == 1 < g.shape[i]])
    of_weight = _sum_of_products(g, x, axis) if axis and g.shape == x.shape else g * x
    return g * weight, of_weight, g


@elementwise(
    x=lambda weight: weight,
    weight=lambda x: x,
    bias=1,
    together=_scaled_pull,
    sample=lambda r: [
        r(r.real(3, 4), r.real(4), r.real(4)),
        r(r.real(2, 3, 4), r.real(3, 1), r.real(3, 1)),
        r(r.real(2, 1, 4), r.real(1, 1), r.real(1, 1)),
        r(r.real(3, 4), r.real(4)),
    ],
)
def scaled(x, weight, bias=None):
    """x * weight + bias, where weight and bias are repeated to the shape of x."""
    out = x * weight
    if bias is None:
        return out
    return np.add(out, bias, out) if out.ndim and getattr(bias, "dtype", None) is out.dtype else out + bias


def _scaled(x, weight, bias):
    if weight is None:
        return x if bias is None else x + bias
    return scaled(x, weight, bias)


def _per_channel(parameter, ndim):
    """A number for each channel, for an array whose channels are on axis 1."""
    return parameter if parameter is None or ndim == 2 else parameter.reshape((-1, *[1] * (ndim - 2)))


# -- as layers have it ------------------------------------------------------------------------------


def _last_axes(name, x, normalized_shape):
    shape = (normalized_shape,) if isinstance(normalized_shape, int | np.integer) else tuple(normalized_shape)
    if not shape or x.shape[x.ndim - len(shape) :] != shape or len(shape) > x.ndim:
        raise ShapeError(
            f"{name} normalizes the last axes, which must have the shape {shape}, and x has shape {x.shape}.  Give it "
            f"the lengths of the last axes of x: normalized_shape={x.shape[-1:]} for one."
        )
    return tuple(range(x.ndim - len(shape), x.ndim))


def _check_channels(name, x, *parameters, least=2):
    """Refuse what has no channels on axis 1, or not as many as the parameters are for."""
    if x.ndim < least:
        raise ShapeError(
            f"{name} takes samples, channels{' and then other axes' if least > 2 else ''}: at least {least} axes, and "
            f"x has shape {x.shape}.  Write x[None] for one sample."
        )
    for parameter in parameters:
        if parameter is not None and parameter.shape != (x.shape[1],):
            raise ShapeError(
                f"{name} takes one number per channel, and there are {x.shape[1]} channels in x of shape {x.shape}, "
                f"and a parameter of shape {parameter.shape}.  Channels are on axis 1: np.moveaxis(x, -1, 1)."
            )


@composite(
    sample=lambda r: [
        r(r.real(3, 4), 4, r.real(4), r.real(4)),
        r(r.real(2, 3, 4), (3, 4), r.real(3, 4)),
        r(r.real(2, 3), (3,), eps=0.1),
    ]
)
def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / √(variance + eps) * weight + bias over the last axes, those of `normalized_shape`.

    `weight` and `bias` have that shape.  Rows of equal entries give 0.  (Ba, Kiros & Hinton, "Layer
    normalization", 2016.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import layer_norm
    >>> layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), 2).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    return _scaled(standardized(x, _last_axes("layer_norm", x, normalized_shape), eps)[0], weight, bias)


@composite(sample=lambda r: [r(r.real(3, 4), 4, r.real(4)), r(r.real(2, 3, 4), (3, 4)), r(r.real(2, 3), (3,), eps=0.1)])
def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """x / √(mean(x²) + eps) * weight over the last axes, those of `normalized_shape`.

    Without `eps`, it is the spacing of x's dtype at 1.  (Zhang & Sennrich, "Root mean square layer normalization",
    2019.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import rms_norm
    >>> rms_norm(np.array([3.0, 4.0]), 2).round(4)
    array([0.8485, 1.1314])
    """
    axis = _last_axes("rms_norm", x, normalized_shape)
    if eps is None:
        eps = float(np.finfo(x.dtype if x.dtype.kind == "f" else float).eps)
    return _scaled(over_root_mean_square(x, axis, eps)[0], weight, None)


@composite(
    sample=lambda r: [
        r(r.real(2, 4, 3), 2, r.real(4), r.real(4)),
        r(r.real(3, 4), 2),
        r(r.real(2, 3, 2, 2), 1, eps=0.1),
    ]
)
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Each sample's channels in groups, each group with mean 0 and variance 1; then scaled by channel.

    x is (samples, channels, ...), `weight` and `bias` (channels,).  (Wu & He, "Group normalization", 2018.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import group_norm
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2).round(3)
    array([[-1.,  1., -1.,  1.]])
    """
    _check_channels("group_norm", x, weight, bias)
    n, channels, *rest = x.shape
    if num_groups < 1 or channels % num_groups:
        raise RangeError(
            f"group_norm makes groups of equally many channels, and {channels} channels do not go into "
            f"{num_groups} groups.  Take a divisor of {channels}."
        )
    groups = x.reshape((n, num_groups, channels // num_groups, *rest))
    normal = standardized(groups, tuple(range(2, groups.ndim)), eps)[0]
    return _scaled(normal.reshape(x.shape), _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


@composite(sample=lambda r: [r(r.real(2, 3, 4), r.real(3), r.real(3)), r(r.real(2, 3, 2, 2))])
def instance_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Each channel of each sample with mean 0 and variance 1; then scaled by channel.

    x is (samples, channels, ...) with at least one more axis.  (Ulyanov et al., "Instance normalization", 2016.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import instance_norm
    >>> instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    _check_channels("instance_norm", x, weight, bias, least=3)
    normal = standardized(x, tuple(range(2, x.ndim)), eps)[0]
    return _scaled(normal, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


def batch_norm(
    x: Any, running_mean: np.ndarray | None = None, running_var: np.ndarray | None = None, weight: Any = None,
    bias: Any = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel with mean 0 and variance 1 over all samples and positions; then scaled by channel.

    x is (samples, channels, ...); all else is (channels,).  In training the statistics are those of x, and the
    running ones, if given, move towards them in place by the share `momentum`: running_var towards the variance over
    n - 1.  Else the running ones are used.  (Ioffe & Szegedy, "Batch normalization", 2015.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import batch_norm
    >>> batch_norm(np.array([[1.0, 10.0], [3.0, 30.0]]), training=True).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    _check_channels("batch_norm", x, running_mean, running_var, weight, bias)
    weight, bias = _per_channel(weight, x.ndim), _per_channel(bias, x.ndim)
    if not training and running_mean is not None and running_var is not None:
        inverse = 1 / np.sqrt(_per_channel(running_var, x.ndim) + eps)
        # Not in one with the bias: far from 0 the difference of the two would lose all digits.
        return _scaled(x - _per_channel(running_mean, x.ndim), inverse if weight is None else inverse * weight, bias)
    n = x.size // max(1, x.shape[1])
    if n == 1:
        raise ShapeError(
            f"batch_norm in training needs more than one entry per channel, and x has shape {x.shape}: one entry is "
            "its own mean, and all results would be 0.  Take larger batches, drop the last one, or model.eval()."
        )
    normal, mean, variance = standardized(x, (0, *range(2, x.ndim)), eps)
    # No entries have no statistics, and those of a function that runs again were counted before.
    if training and n and not running_again.get():
        _move(running_mean, mean, momentum)
        _move(running_var, bare(variance) * (n / (n - 1)), momentum)
    return _scaled(normal, weight, bias)


def _move(running, value, momentum):
    """Move a running statistic towards a value, in place."""
    if running is not None:
        running += momentum * (np.reshape(bare(value), running.shape) - running)
