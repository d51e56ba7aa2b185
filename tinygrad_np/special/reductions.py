"""scipy's logsumexp, softmax and log_softmax: those of ops/nn.py with scipy's arguments."""

import numpy as np
import scipy.special as sc

from ..engine.door import bare, find_tensors
from ..engine.op import composite
from ..ops import nn
from ..ops.reduce import operand
from .declare import at_home


def _calls(r):
    return [
        r(r.real(3, 4)),
        r(r.real(3, 4), 0),
        r(r.real(3, 4), axis=-1),
        r(r.real(2, 3, 4), axis=(0, 2)),
        r(r.real()),
        r(r.real(1)),
    ]


@composite(sample=_calls)
@at_home
def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) along `axis`: an int, a tuple, or None for all.

    >>> from tinygrad_np.special import softmax
    >>> softmax([1000.0, 1000.0])
    array([0.5, 0.5])
    """
    return nn.softmax(operand(x), axis)


@composite(sample=_calls)
@at_home
def log_softmax(x, axis=None):
    """The logarithm of softmax along `axis`: an int, a tuple, or None for all.

    >>> from tinygrad_np.special import log_softmax
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """
    return nn.log_softmax(operand(x), axis)


@composite(
    sample=lambda r: [
        *_calls(r),
        r(r.real(3, 4), axis=1, keepdims=True),
        r(r.real(3, 4), axis=0, b=r.positive(3, 4)),
        r(r.real(3, 4), axis=(0, 1), b=r.positive(4)),
        r(r.complex(3, 4), axis=1),
        r(r.complex(4), b=r.real(4), return_sign=True),
        r(r.real(3), b=r.real(2, 1), axis=1, keepdims=True, return_sign=True),
        r(r.real(3, 4), None, np.array([1, 0, 2, 1])),
        r(r.real(3), return_sign=True),
        r(r.real(), b=2.0),
    ],
)
@at_home
def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log(sum(b * exp(a))) along `axis`, without overflow; all axes by default.

    `b` are weights that broadcast with `a`.  With `return_sign`, the logarithm of the absolute value of the sum, and
    the sign of the sum, which is a plain array.  The gradient is 0 where the sum is 0.

    >>> from tinygrad_np.special import logsumexp
    >>> logsumexp([1000.0, 1000.0], b=[3.0, 1.0]).round(4).item()
    1001.3863
    """
    if next(find_tensors((a, b)), None) is None:
        return sc.logsumexp(a, axis=axis, b=b, keepdims=keepdims, return_sign=return_sign)
    a, weights = operand(a), 1.0 if b is None else _weights(b)
    plain = b is None and not return_sign and bare(a).dtype.kind == "f" and bare(a).size
    if plain and np.isfinite(bare(a)).all():
        return nn.logsumexp(a, axis, keepdims)
    total, top = _weighted_sum(a, weights, axis)
    if not keepdims:
        total, top = np.squeeze(total, axis), np.squeeze(top, axis)
    zero = bare(total) == 0
    safe = np.where(zero, 1, total)
    real = bare(total).dtype.kind != "c"
    # The logarithm of a negative sum is nan, as in scipy.
    with np.errstate(invalid="ignore"):
        out = np.where(zero, -np.inf, np.log(np.abs(safe) if return_sign else safe) + top)
    if a.dtype == np.float16 and np.result_type(a.dtype, bare(weights)) == np.float16:
        out = out.astype(np.float16)
    if not return_sign:
        return out
    return out, np.sign(bare(total)).astype(out.dtype) if real else np.where(zero, 0, safe / np.abs(safe))


def _weights(b):
    """The weights as numbers or arrays; a Python number takes the dtype of the array."""
    return b if isinstance(b, int | float | complex) else operand(b)


def _weighted_sum(a, b, axis):
    """The sum of b exp(a - top), with its axes, and top: the largest entry that has a weight."""
    if a.dtype == np.float16:
        # A sum of many ones overflows half precision at 65,504.
        a = a.astype(np.float32)
    values = np.where(bare(b) == 0, -np.inf, np.real(bare(a)))
    top = np.max(values, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    shifted = a - top
    if shifted.dtype.kind == "f":
        # An entry of weight 0 may be larger than the others: inf times 0 would be nan.
        limit = np.log(np.finfo(shifted.dtype).max) - 1
        shifted = np.minimum(shifted, np.where(bare(b) == 0, limit, np.inf).astype(shifted.dtype))
    return np.sum(b * np.exp(shifted), axis=axis, keepdims=True), top
