"""What networks are made of, each as one op: faster than its parts, and stable where they are not.

Samples may stand in rows or in columns: `axis` is the axis of the classes.  Given plain arrays, these
functions return plain arrays.
"""

from functools import cache

import numpy as np

from ..engine.op import elementwise, op
from ..errors import DtypeError, ShapeError
from .products import as_rows, product
from .reduce import spread


@cache
def _constants(dtype):
    """0, 1 and the largest exponent that exp can take, as arrays: a Python number costs twice the call."""
    return tuple(np.asarray(c, dtype) for c in (0, 1, np.floor(np.log(np.finfo(dtype).max))))


# 1 - out comes first, so that NumPy can compute the products in place, in the array that it made.
@elementwise(x=lambda out: (_constants(out.dtype)[1] - out) * out)
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow: finite and with a finite gradient for every finite x.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.sigmoid(np.array([-1000.0, 0.0, 1000.0])).round(12)
    array([0. , 0.5, 1. ])
    """
    x = floating(x)
    if x.dtype == np.float16:
        # exp overflows half precision at 11, where sigmoid is still far from 0.
        return _sigmoid(x.astype(np.float32)).astype(np.float16)
    return _sigmoid(x)


def _sigmoid(x):
    _, one, limit = _constants(x.dtype)
    if not x.ndim:
        return one / (one + np.exp(np.minimum(-x, limit)))
    out = -x
    if x.size < 4096:
        np.minimum(out, limit, out=out)
        np.exp(out, out)
    else:
        # Past the limit exp gives inf, and 1 / inf the 0 that is meant; this saves a pass over the array.
        with np.errstate(over="ignore"):
            np.exp(out, out)
    np.add(out, one, out)
    return np.reciprocal(out, out)


def floating(x):
    """`x` as an array of a floating dtype."""
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise DtypeError(
            f"this function is for real numbers, and the array of shape {x.shape} has dtype {x.dtype}.  Give it "
            "np.abs(z), or z.real and z.imag each for itself."
        )
    return x if x.dtype.kind == "f" else x.astype(float)


def log_one_plus_exp(x):
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
    """log(1 + exp(x)), without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return log_one_plus_exp(floating(x))


def exponentials(x, axis):
    """exp(x - top) along the axis with top its largest entry, their sum, and top: no overflow."""
    top = np.maximum.reduce(x, axis, keepdims=True)
    if not np.isfinite(top).all():
        top = np.where(np.isfinite(top), top, 0)
    e = np.asarray(x - top)
    np.exp(e, e)
    if e.dtype == np.float16:
        # A sum of many ones overflows half precision at 65,504.
        return e, np.add.reduce(e, axis, np.float32, keepdims=True), top
    return e, np.add.reduce(e, axis, keepdims=True), top


def _at_least_one(total):
    """A sum of exponentials has a 1 from the largest; with entries of -inf only it is 0, and shares nothing."""
    return np.maximum(total, 1)


def softmax_slope(g, out, axis):
    """The Jacobian of softmax, diag(out) - out outᵀ, times g; it is symmetric, so both directions are this one."""
    return out * (g - (g * out).sum(axis=axis, keepdims=True))


@op(
    x=lambda g, out, axis: softmax_slope(g, out, axis),
    jvps={"x": lambda t, out, axis: softmax_slope(t, out, axis)},
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), 0), r(r.real(2, 3, 4), axis=(1, 2)), r(r.real(5), axis=None)],
)
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along `axis` (an int, a tuple, or None for all), without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    e, total, _ = exponentials(floating(x), axis)
    return np.divide(e, _at_least_one(total), e)


def _total(g, axis):
    """The sum along the axis; of half precision in single, for a sum of many ones overflows at 65,504."""
    return np.sum(g, axis=axis, keepdims=True, dtype=np.float32 if g.dtype == np.float16 else None)


@op(
    x=lambda g, out, axis: g - np.exp(out) * _total(g, axis),
    jvps={"x": lambda t, out, axis: t - (t * np.exp(out)).sum(axis=axis, keepdims=True)},
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), 0), r(r.real(2, 3, 4), axis=(1, 2)), r(r.real(5), axis=None)],
)
def log_softmax(x, axis=-1):
    """The logarithm of softmax along `axis`, finite where softmax rounds to 0.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    x = floating(x)
    _, total, top = exponentials(x, axis)
    return (x - top - np.log(_at_least_one(total))).astype(x.dtype, copy=False)


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
    x = floating(x)
    _, total, top = exponentials(x, axis)
    # Entries of -inf only have the sum 0, whose logarithm -inf is meant.
    with np.errstate(divide="ignore"):
        out = (np.log(total) + top).astype(x.dtype, copy=False)
    return out if keepdims else np.squeeze(out, axis=axis)


@op(
    fresh=True,
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


def _added(out, bias):
    """A product, which is nobody else's, plus a bias."""
    if bias is None:
        return out
    return np.add(out, bias, out) if bias.dtype is out.dtype and out.ndim else out + bias


def _as_innermost(g, weight):
    """g @ weight, with the samples innermost in memory as in the result."""
    return product(weight.mT, g.mT).mT if g.ndim == 2 else product(g, weight)


@op(
    fresh=True,
    x=lambda g, weight: _as_innermost(g, weight),
    weight=lambda g, x: product(as_rows(g).mT, as_rows(x)),
    bias=lambda g: g,
    sample=lambda r: [
        r(r.real(3, 4), r.real(2, 4), r.real(2)),
        r(r.real(3, 4), r.real(2, 4)),
        r(r.real(5, 3, 4), r.real(2, 4), r.real(2)),
        r(r.real(4), r.real(2, 4), r.real(2)),
    ],
    jvps={
        "x": lambda t, weight: product(t, weight.mT),
        "weight": lambda t, x: product(x, t.mT),
        "bias": lambda t: t,
    },
)
def affine(x, weight, bias=None):
    """x @ weight.T + bias over the last axis of `x`, as one op: `weight` is (outputs, inputs), as in PyTorch.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import linear
    >>> linear(np.ones((5, 3, 2)), np.ones((4, 2)), np.zeros(4)).shape
    (5, 3, 4)
    """
    if weight.ndim != 2 or x.shape[-1:] != weight.shape[1:] or not (bias is None or bias.shape == weight.shape[:1]):
        raise ShapeError(
            f"linear takes x (..., inputs), a weight (outputs, inputs) and a bias (outputs,), and shapes {x.shape}, "
            f"{weight.shape} and {bias if bias is None else bias.shape} do not go together.  The last axis of x has to "
            "be as long as the last of the weight."
        )
    if x.ndim != 2:
        return _added(product(x, weight.T), bias)
    # With the samples innermost in memory: the product is a little faster so, and sums over classes much.
    return _added(product(weight, x.T), None if bias is None else bias[:, None]).T
