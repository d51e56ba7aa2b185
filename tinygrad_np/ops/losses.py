"""Losses as one op each: faster than their parts, and finite where those are not."""

import math

import numpy as np

from ..engine.op import op
from ..errors import RangeError, ShapeError
from .nn import exponentials, floating, log_one_plus_exp, log_softmax, sigmoid, softmax, softmax_slope


def class_index(labels, shape, axis):
    """Whole-number labels with the class axis back in, as an index for `take_along_axis`."""
    index = np.expand_dims(labels, axis)
    expected = list(shape)
    expected[axis] = 1
    fits = index.shape == tuple(expected)
    if labels.dtype.kind not in "iu" or not fits:
        raise ShapeError(
            f"cross_entropy takes whole-number labels without the class axis, or one weight per class: scores of shape "
            f"{shape} with classes on axis {axis} do not go with labels of shape {labels.shape}, dtype {labels.dtype}."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < shape[axis]):
        raise IndexError(
            f"labels from {labels.min()} to {labels.max()} do not fit {shape[axis]} classes, counted from 0.  Subtract "
            "the first label, or give the scores a row or column for each class."
        )
    return index


def _mean(values, n):
    """Their sum over n, in at least single precision: half overflows at 65,504."""
    if values.dtype == np.float16:
        return np.float16(np.add.reduce(values, None, np.float32) / (n or 1))
    return np.add.reduce(values, None) / (n or 1)


def _samples(shape, axis):
    """How many samples a mean over all axes but the class axis is over."""
    return max(1, math.prod(shape) // max(1, shape[axis]))


# An op, because the recorded backward pass has no other way to subtract 1 in place.
@op(
    x=lambda g, x, axis: softmax_slope(g, softmax(x, axis), axis),
    jvps={"x": lambda t, x, axis: softmax_slope(t, softmax(x, axis), axis)},
)
def _softmax_minus_one_hot(x, labels, axis):
    p = softmax(x, axis)
    index = np.expand_dims(labels, axis)
    np.put_along_axis(p, index, np.take_along_axis(p, index, axis) - 1, axis)
    return p


def _cross_entropy_pull(g, logits, labels, axis):
    scale = g * (1 / _samples(logits.shape, axis))
    if labels.shape != logits.shape:
        return _softmax_minus_one_hot(logits, labels, axis) * scale
    # The weights of a sample need not add up to 1.
    return (softmax(logits, axis) * labels.sum(axis=axis, keepdims=True) - labels) * scale


@op(
    fresh=True,
    logits=lambda g, logits, labels, axis: _cross_entropy_pull(g, logits, labels, axis),
    labels=lambda g, logits, axis: log_softmax(logits, axis) * (g * (-1 / _samples(logits.shape, axis))),
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5)),
        r(r.real(3, 5), r.integers(3, 5), axis=0),
        r(r.real(5, 3), np.eye(3)[r.integers(3, 5)]),
        r(r.real(2, 3, 4), r.integers(3, 2, 4), axis=1),
        r(r.real(3), r.integers(3)),
    ],
)
def cross_entropy(logits, labels, axis=-1):
    """The mean over samples of -log softmax(logits) at the label: softmax and its loss as one stable op.

    `logits` has the classes along `axis`; `labels` are whole numbers (the shape of `logits` without
    that axis) or one weight per class (the shape of `logits`, such as one-hot).
    The gradient is (softmax(logits) - onehot(labels)) / m.  (Bishop, PRML, 2006, section 4.3.4.)
    Raises ShapeError for other labels, IndexError for a label that is no class.

    >>> import numpy as np, tinygrad_np as tg
    >>> z = tg.Tensor([[2.0, 1.0], [0.0, 3.0]], requires_grad=True)
    >>> tg.cross_entropy(z, np.array([0, 1])).backward()
    >>> np.allclose(z.grad.data, (tg.softmax(z.data) - np.eye(2)) / 2)
    True
    """
    logits, labels = floating(logits), np.asarray(labels)
    m = _samples(logits.shape, axis)
    if labels.shape == logits.shape:
        # A class of weight 0 does not count, even where its probability is 0.
        scores = np.where(labels == 0, 0, log_softmax(logits, axis))
        return -_mean(scores * labels, m)
    index = class_index(labels, logits.shape, axis)
    _, total, top = exponentials(logits, axis)
    loss = np.log(total) + top - np.take_along_axis(logits, index, axis)
    return _mean(loss.astype(logits.dtype, copy=False), m)


@op(
    fresh=True,
    z=lambda g, z, y: (sigmoid(z) - y) * (g * (1 / (z.size or 1))),
    y=lambda g, z: z * (g * (-1 / (z.size or 1))),
    sample=lambda r: [r(r.real(3, 4), r.mask(3, 4) * 1.0), r(r.real(5), np.array([0, 1, 1, 0, 1]))],
)
def binary_cross_entropy_with_logits(z, y):
    """The mean over all entries of -(y log p + (1 - y) log(1 - p)) with p = sigmoid(z), finite for every z.

    `y` has the shape of `z`.  Computed as max(z, 0) - z y + log(1 + exp(-|z|)); the gradient is
    (sigmoid(z) - y) / n.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.binary_cross_entropy_with_logits(np.array([1000.0, -1000.0]), np.array([0.0, 0.0]))
    np.float64(500.0)
    """
    z, y = floating(z), np.asarray(y)
    check_same_shape("binary_cross_entropy_with_logits", z, y)
    return _mean(log_one_plus_exp(z) - z * y, z.size)


@op(
    fresh=True,
    p=lambda g, p, y: (_over(1 - y, 1 - p) - _over(y, p)) * (g * (1 / (p.size or 1))),
    y=lambda g, p: (_log_or_zero(1 - p) - _log_or_zero(p)) * (g * (1 / (p.size or 1))),
    sample=lambda r: [
        r(r.between(0.1, 0.9, 3, 4), r.mask(3, 4).astype(int)),
        r(r.between(0.1, 0.9, 5), np.array([0, 1, 1, 0, 1])),
        r(r.between(0.1, 0.9, 5), r.between(0.1, 0.9, 5)),
    ],
)
def binary_cross_entropy(p, y):
    """The mean over all entries of -(y log p + (1 - y) log(1 - p)), with 0 log 0 = 0.

    `p` are probabilities, else RangeError, and `y` has their shape.  Where p is 0 or 1 and y says
    otherwise, the loss and
    its gradient are infinite: `binary_cross_entropy_with_logits` stays finite.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.binary_cross_entropy(np.array([1.0, 0.5]), np.array([1.0, 0.0])) == np.log(2) / 2
    np.True_
    """
    p, y = np.asarray(p), np.asarray(y)
    check_same_shape("binary_cross_entropy", p, y)
    if p.size and (p.min() < 0 or p.max() > 1):
        raise RangeError(
            f"binary_cross_entropy takes probabilities, and got numbers from {p.min():.6g} to {p.max():.6g} in shape "
            f"{p.shape}.  Give it sigmoid(z), or the z themselves to binary_cross_entropy_with_logits."
        )
    loss = y * np.log(np.where(y == 0, 1, p)) + (1 - y) * np.log(np.where(y == 1, 1, 1 - p))
    return -_mean(loss, loss.size)


def _log_or_zero(p):
    """log(p), and 0 where p is 0: an infinite slope in y of a loss that is finite."""
    return np.log(np.where(p == 0, 1, p))


def _over(y, p):
    """y / p, and 0 where y is 0 whatever p is."""
    return y / np.where(y == 0, 1, p)


@op(
    fresh=True,
    p=lambda g, p, y: (p - y) * (g * (2 / (p.size or 1))),
    y=lambda g, p, y: (y - p) * (g * (2 / (p.size or 1))),
    sample=lambda r: [r(r.real(3, 4), r.real(3, 4)), r(r.real(), r.real())],
)
def mse(p, y):
    """The mean over all entries of (p - y)**2; both of one shape, else ShapeError.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.mse(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    np.float64(2.0)
    """
    p, y = np.asarray(p), np.asarray(y)
    check_same_shape("mse", p, y)
    d = np.subtract(p, y)
    return _mean(d * d, d.size)


def check_same_shape(name, p, y):
    """Refuse to compare arrays of different shapes entry by entry."""
    # (m, 1) against (m,) would broadcast to (m, m) and give a wrong loss without a word.
    if p.shape != y.shape:
        raise ShapeError(
            f"{name} compares entry by entry, and shapes {p.shape} and {y.shape} differ: broadcasting them "
            "would average the wrong pairs.  Reshape one of them."
        )
