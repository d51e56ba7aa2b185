"""What networks are made of, each as one op: faster than its parts, and stable where they are not.

Samples may stand in rows or in columns: `axis` is the axis of the classes.  Given plain arrays, these
functions return plain arrays.
"""

from functools import cache

import numpy as np

from ..engine.door import bare
from ..engine.op import elementwise, op
from ..errors import ShapeError
from .linalg import product
from .reduce import spread


@cache
def _constants(dtype):
    """0, 1 and the largest exponent that exp can take, as arrays: a Python number costs twice the call."""
    return tuple(np.asarray(c, dtype) for c in (0, 1, np.floor(np.log(np.finfo(dtype).max))))


# out - out * out is out * (1 - out), without a Python number for NumPy to convert.
@elementwise(x=lambda out: out - out * out)
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow: finite and with a finite gradient for every finite x.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.sigmoid(np.array([-1000.0, 0.0, 1000.0])).round(12)
    array([0. , 0.5, 1. ])
    """
    x = _floating(x)
    _, one, limit = _constants(x.dtype)
    out = np.minimum(-x, limit)
    if not x.ndim:
        return one / (one + np.exp(out))
    np.exp(out, out)
    np.add(out, one, out)
    return np.reciprocal(out, out)


def _floating(x):
    """`x` as an array of a floating dtype."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(float)


def _log_one_plus_exp(x):
    """log(1 + exp(x)) of an array, without overflow."""
    if x.size < 256:
        # One call instead of five; but for each entry it takes seven times as long.
        return np.logaddexp(x, _constants(x.dtype)[0])
    out = np.abs(x)
    np.negative(out, out)
    np.exp(out, out)
    np.log1p(out, out)
    return np.add(out, np.maximum(x, 0), out)


@elementwise(x=lambda x: sigmoid(x))
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return _log_one_plus_exp(_floating(x))


def _shifted(x, axis):
    """x minus its largest entry along the axis: the exponentials then cannot overflow."""
    top = np.maximum.reduce(x, axis, keepdims=True)
    return x - np.where(np.isfinite(top), top, 0)


@op(
    x=lambda g, out, axis: out * (g - (g * out).sum(axis=axis, keepdims=True)),
    jvps={"x": lambda t, out, axis: out * (t - (t * out).sum(axis=axis, keepdims=True))},
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), 0), r(r.real(2, 3, 4), axis=(1, 2)), r(r.real(5), axis=None)],
)
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along `axis` (an int, a tuple, or None for all), without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    e = np.exp(_shifted(np.asarray(x), axis))
    return e / np.add.reduce(e, axis, keepdims=True)


@op(
    x=lambda g, out, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True),
    jvps={"x": lambda t, out, axis: t - (t * np.exp(out)).sum(axis=axis, keepdims=True)},
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), 0), r(r.real(2, 3, 4), axis=(1, 2)), r(r.real(5), axis=None)],
)
def log_softmax(x, axis=-1):
    """The logarithm of softmax along `axis`, finite where softmax rounds to 0.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    z = _shifted(np.asarray(x), axis)
    return z - np.log(np.add.reduce(np.exp(z), axis, keepdims=True))


@op(
    x=lambda g, x, shape, axis, keepdims: spread(g, shape, axis, keepdims) * softmax(x, axis),
    jvps={"x": lambda t, x, axis, keepdims: (t * softmax(x, axis)).sum(axis=axis, keepdims=keepdims)},
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(3, 4), axis=0),
        r(r.real(3, 4), axis=-1, keepdims=True),
        r(r.real(2, 3, 4), axis=(0, 2)),
        r(r.real()),
    ],
)
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) along `axis`, without overflow; all axes by default.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.logsumexp(np.array([1000.0, 1000.0])).round(4)
    np.float64(1000.6931)
    """
    x = np.asarray(x)
    top = np.maximum.reduce(x, axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    total = np.log(np.add.reduce(np.exp(x - top), axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


@op(
    x=lambda g, w: product(g, w.mT),
    w=lambda g, x: product(x.mT, g),
    b=lambda g: g,
    sample=lambda r: [
        r(r.real(3, 4), r.real(4, 2), r.real(2)),
        r(r.real(3, 4), r.real(4, 2), r.real(3, 1)),
        r(r.real(3, 4), r.real(4, 2)),
        r(r.real(5, 3, 4), r.real(4, 2), r.real(1, 2)),
    ],
    jvps={
        "x": lambda t, w: product(t, w),
        "w": lambda t, x: product(x, t),
        "b": lambda t: t,
    },
    advice="x @ w needs as many columns of x as rows of w, and b must broadcast to the product.",
)
def linear(x, w, b=None):
    """x @ w + b as one op; b broadcasts.  Also for samples in columns: linear(W, X, b) is W @ X + b.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.linear(np.ones((3, 2)), np.ones((2, 4)), np.zeros(4)).shape
    (3, 4)
    """
    if x.ndim == w.ndim == 2:
        out = x.dot(w)
    elif x.ndim < 2 or w.ndim < 2:
        raise ValueError("linear takes matrices: write x[None] for one sample")
    else:
        out = np.matmul(x, w)
    if b is None:
        return out
    if b.dtype is out.dtype:
        try:
            return np.add(out, b, out)  # the product is nobody else's
        except ValueError:
            pass  # b makes the result larger
    return out + b


# -- losses -----------------------------------------------------------------------------------


def _one_hot(labels, like, axis):
    """Labels as a distribution over the classes along `axis`, of the shape and dtype of `like`."""
    if labels.shape == like.shape:
        return labels
    labels = np.expand_dims(labels, axis)
    if labels.dtype.kind not in "iu" or labels.ndim != like.ndim or like.shape != np.broadcast(labels, like).shape:
        raise ShapeError(
            f"cross_entropy takes whole-number labels without the class axis, or one weight per class: scores of shape "
            f"{like.shape} with classes on axis {axis} do not go with labels of shape {np.squeeze(labels, axis).shape} "
            f"and dtype {labels.dtype}."
        )
    classes = like.shape[axis]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise IndexError(f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes: count from 0.")
    hot = np.zeros(like.shape, like.dtype)
    np.put_along_axis(hot, labels, 1, axis)
    return hot


def _samples(shape, axis):
    """How many samples a mean over all axes but the class axis is over."""
    return max(1, int(np.prod(shape)) // max(1, shape[axis]))


def _target(labels, logits, axis):
    # Whole-number labels have no derivative; a distribution may have one, and stays a tensor.
    return labels if labels.shape == logits.shape else _one_hot(bare(labels), bare(logits), axis)


def _cross_entropy_pull(g, logits, labels, axis):
    expected = softmax(logits, axis)
    if labels.shape == logits.shape:
        # The weights of a sample need not add up to 1.
        expected = expected * labels.sum(axis=axis, keepdims=True)
    return (expected - _target(labels, logits, axis)) * (g / _samples(logits.shape, axis))


@op(
    logits=lambda g, logits, labels, axis: _cross_entropy_pull(g, logits, labels, axis),
    labels=lambda g, logits, axis: log_softmax(logits, axis) * (-g / _samples(logits.shape, axis)),
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
    labels = np.asarray(labels)
    scores = log_softmax(logits, axis)
    return -np.sum(scores * _one_hot(labels, scores, axis)) / _samples(scores.shape, axis)


@op(
    z=lambda g, z, y: (sigmoid(z) - y) * (g / (z.size or 1)),
    y=lambda g, z: z * (-g / (z.size or 1)),
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
    z, y = _floating(z), np.asarray(y)
    _same_shape("binary_cross_entropy_with_logits", z, y)
    return np.add.reduce(_log_one_plus_exp(z) - z * y, None) / (z.size or 1)


@op(
    p=lambda g, p, y: (_over(1 - y, 1 - p) - _over(y, p)) * (g / (p.size or 1)),
    y=lambda g, p: (np.log(1 - p) - np.log(p)) * (g / (p.size or 1)),
    sample=lambda r: [
        r(r.between(0.1, 0.9, 3, 4), r.mask(3, 4).astype(int)),
        r(r.between(0.1, 0.9, 5), np.array([0, 1, 1, 0, 1])),
        r(r.between(0.1, 0.9, 5), r.between(0.1, 0.9, 5)),
    ],
)
def binary_cross_entropy(p, y):
    """The mean over all entries of -(y log p + (1 - y) log(1 - p)), with 0 log 0 = 0.

    `p` are probabilities and `y` has their shape.  Where p is 0 or 1 and y says otherwise, the loss and
    its gradient are infinite: `binary_cross_entropy_with_logits` stays finite.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.binary_cross_entropy(np.array([1.0, 0.5]), np.array([1.0, 0.0])) == np.log(2) / 2
    np.True_
    """
    p, y = np.asarray(p), np.asarray(y)
    _same_shape("binary_cross_entropy", p, y)
    loss = y * np.log(np.where(y == 0, 1, p)) + (1 - y) * np.log(np.where(y == 1, 1, 1 - p))
    return -np.add.reduce(loss, None) / (loss.size or 1)


def _over(y, p):
    """y / p, and 0 where y is 0 whatever p is."""
    return y / np.where(y == 0, 1, p)


@op(
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
    _same_shape("mse", p, y)
    d = np.subtract(p, y)
    return np.add.reduce(d * d, None) / (d.size or 1)


def _same_shape(name, p, y):
    # (m, 1) against (m,) would broadcast to (m, m) and give a wrong loss without a word.
    if p.shape != y.shape:
        raise ShapeError(
            f"{name} compares entry by entry, and shapes {p.shape} and {y.shape} differ: broadcasting them "
            "would average the wrong pairs.  Reshape one of them."
        )
