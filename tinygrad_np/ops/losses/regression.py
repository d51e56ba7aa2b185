"""Losses of numbers against numbers."""

import numpy as np

from ...engine.op import composite, elementwise, op
from .shared import check_at_least, check_same_shape, mean_of, pair, reduced


@composite(sample=lambda r: [r(r.real(3, 4), r.real(3, 4), reduction="sum"), r(r.real(2), r.real(2), reduction="none")])
def mse(p, y, *, reduction="mean"):
    """The mean over all entries of (p - y)**2; both of one shape, else ShapeError.

    `reduction` is "mean", "sum" or "none".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.mse(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    np.float64(2.0)
    """
    if reduction == "mean":
        return _mean_square(p, y)
    p, y = pair("mse", p, y)
    return reduced("mse", np.square(p - y), reduction)


def _mean_square_run(p, y):
    p, y = np.asarray(p), np.asarray(y)
    check_same_shape("mse", p, y)
    d = np.subtract(p, y)
    return mean_of(d * d, d.size)


_mean_square = op(
    mse,
    run=_mean_square_run,
    fresh=True,
    p=lambda g, p, y: (p - y) * (g * (2 / (p.size or 1))),
    y=lambda g, p, y: (y - p) * (g * (2 / (p.size or 1))),
    sample=lambda r: [r(r.real(3, 4), r.real(3, 4)), r(r.real(), r.real())],
)


@composite(sample=lambda r: [r(r.real(3, 4), r.real(3, 4)), r(r.real(2), r.real(2), reduction="none")])
def l1(p, y, *, reduction="mean"):
    """The mean over all entries of |p - y|; both of one shape, else ShapeError.  Where p is y, the gradient is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import l1
    >>> l1(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    np.float64(1.0)
    """
    p, y = pair("l1", p, y)
    return reduced("l1", np.abs(p - y), reduction)


@elementwise(
    d=lambda d, delta: np.clip(d, -delta, delta),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(), 0.5), r(r.real(0, 2), delta=2)],
)
def _huber(d, delta=1.0):
    """d² / 2 up to delta, then the straight line that continues it."""
    # Between the bounds the clipped d is d itself; beyond, this is delta * (|d| - delta / 2).
    near = np.clip(d, -delta, delta)
    return near * (d - 0.5 * near)


@composite(sample=lambda r: [r(r.real(3, 4), r.real(3, 4)), r(r.real(4), r.real(4), delta=0.7, reduction="sum")])
def huber(p, y, *, delta=1.0, reduction="mean"):
    """The mean of (p - y)**2 / 2 for entries up to delta apart, and of delta * (|p - y| - delta / 2) for others.

    `p` and `y` are of one shape, else ShapeError; a delta that is not above 0 is a RangeError.
    Source: Huber, Robust estimation of a location parameter, 1964.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import huber
    >>> huber(np.array([1.5, 5.0]), np.array([1.0, 1.0]))
    np.float64(1.8125)
    """
    check_at_least("huber", "delta", delta, 0, open_end=True)
    p, y = pair("huber", p, y)
    return reduced("huber", _huber(p - y, float(delta)), reduction)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.real(3, 4)),
        r(r.real(4), r.real(4), beta=0.7, reduction="sum"),
        r(r.real(4), r.real(4), beta=0),
    ]
)
def smooth_l1(p, y, *, beta=1.0, reduction="mean"):
    """The mean of (p - y)**2 / (2 * beta) for entries up to beta apart, and of |p - y| - beta / 2 for others.

    It is huber(p, y, delta=beta) / beta, and for beta = 0 it is `l1`.  `p` and `y` are of one shape, else ShapeError;
    a beta below 0 is a RangeError.
    Source: Girshick, Fast R-CNN, 2015.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import smooth_l1
    >>> smooth_l1(np.array([1.5, 5.0]), np.array([1.0, 1.0]))
    np.float64(1.8125)
    """
    check_at_least("smooth_l1", "beta", beta, 0)
    p, y = pair("smooth_l1", p, y)
    losses = _huber(p - y, float(beta)) / float(beta) if beta else np.abs(p - y)
    return reduced("smooth_l1", losses, reduction)
