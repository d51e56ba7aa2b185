"""Covariances, counts of whole numbers, and running sums that skip nan."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.door import bare
from ..engine.op import composite, linear, op
from ..errors import ShapeError
from .reduce import operand

# -- adding up by number ------------------------------------------------------------------------


def add_at(values: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    """A row of zeros with each value added at its place: much faster than np.add.at.

    >>> import numpy as np
    >>> from tinygrad_np.ops.statistics import add_at
    >>> add_at(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0]), 3)
    array([5., 0., 2.])
    """
    if not values.size:
        # NumPy would forget the dtype of the weights.
        return np.zeros(length, values.dtype)
    if values.dtype.kind == "c":
        return add_at(values.real, places, length) + 1j * add_at(values.imag, places, length)
    return np.bincount(places.ravel(), values.ravel(), length)


# Places are plain data.  Both are linear in the values, and each is the other's transpose.
gathered: Any = linear(
    lambda values, places: values[places],
    name="gathered",
    fresh=True,
    transpose=lambda g, shape, places: tallied(g, places, shape[0]),
)
tallied: Any = linear(
    lambda values, places, length: add_at(values, places, length),
    name="tallied",
    fresh=True,
    transpose=lambda g, places: gathered(g, places),
)


@composite(
    np.bincount,
    sample=lambda r: [
        r(r.integers(4, 7), r.real(7)),
        r(r.integers(4, 7), weights=r.real(7), minlength=6),
        r(r.integers(4, 7)),
    ],
)
def bincount(x, weights=None, minlength=0):
    """How often each whole number occurs, or the sum of its weights."""
    x = bare(x)
    if weights is None:
        return np.bincount(x, minlength=minlength)
    x, weights = np.asarray(x), operand(weights)
    if x.ndim != 1 or x.dtype.kind not in "iub" or weights.shape != x.shape:
        raise ShapeError(
            f"np.bincount needs a row of whole numbers and one weight for each, and got shape {x.shape} of dtype "
            f"{x.dtype} and weights of shape {weights.shape}."
        )
    return tallied(weights, x, max(int(np.max(x, initial=-1)) + 1, minlength))


# -- covariances --------------------------------------------------------------------------------


def _rows(x, rowvar, dtype, name):
    """One row for each variable."""
    x = operand(x)
    if x.ndim > 2:
        raise ValueError(
            f"{name} of shape {x.shape} has more than 2 dimensions: variables and observations.  Reshape it to "
            "(variables, observations)."
        )
    x = np.astype(x, dtype) if x.dtype != dtype else x
    if x.ndim < 2:
        return x.reshape((1, -1))
    return x if rowvar else x.T


def _observed(weights, count, name):
    """Weights of the observations, checked."""
    weights = operand(weights)
    if weights.shape != (count,):
        raise RuntimeError(f"{name} of shape {weights.shape} do not weigh {count} observations: give one for each.")
    if np.any(bare(weights) < 0):
        raise ValueError(f"{name} cannot be negative, and the smallest is {bare(weights).min()}.")
    return weights


def _weights(fweights, aweights, count):
    """The products of frequencies and weights, or None."""
    if fweights is not None:
        fweights = _observed(fweights, count, "fweights")
        if np.any(bare(fweights) != np.around(bare(fweights))):
            raise TypeError("fweights must be integer: they say how often each observation occurred.")
    if aweights is not None:
        aweights = _observed(aweights, count, "aweights")
        return (aweights if fweights is None else fweights * aweights), aweights
    return fweights, None


def _freedom(w, aweights, count, ddof):
    """What the sum of products is divided by."""
    if w is None:
        return count - ddof
    total = np.sum(w)
    if ddof == 0:
        return total
    return total - ddof if aweights is None else total - ddof * np.sum(w * aweights) / total


def _ddof(ddof, bias):
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"ddof is a whole number of observations, not {ddof}.  0 and 1 are usual.")
    return int(not bias) if ddof is None else ddof


def _covariances(r):
    x = r.real(3, 5)
    return [
        r(x),
        r(x, rowvar=False),
        r(x, r.real(2, 5)),
        r(x, r.real(5), bias=True),
        r(r.real(5, 3), r.real(5), False),
        r(r.real(5)),
        r(r.real(5), r.real(5), ddof=0),
        r(x, aweights=r.positive(5)),
        r(x, bias=True, aweights=r.positive(5)),
        r(x, fweights=r.integers(3, 5) + 1),
        r(x, ddof=2, fweights=r.integers(3, 5) + 1, aweights=r.positive(5)),
        r(x, dtype=np.float64),
    ]


# One product where the rule of matmul would take two.
_products = op(
    lambda x: np.matmul(x, conjugate(x).T),
    name="products",
    fresh=True,
    x=lambda g, x: np.matmul(g + g.T, x) if x.dtype.kind != "c" else g @ np.conj(x) + np.conj(g.T @ x),
)


@composite(np.cov, sample=_covariances)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """The covariances of the variables, also differentiable in `aweights`."""
    ddof = _ddof(ddof, bias)
    if dtype is None:
        dtype = np.result_type(*[operand(x).dtype for x in (m, y) if x is not None], np.float64)
    x = _rows(m, rowvar, dtype, "m")
    if x.shape[0] == 0:
        return np.array([]).reshape(0, 0)
    if y is not None:
        x = np.concatenate([x, _rows(y, rowvar, dtype, "y")], axis=0)
    count = x.shape[1]
    w, aweights = _weights(fweights, aweights, count)
    freedom = _freedom(w, aweights, count, ddof)
    if bare(freedom) <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=3)
        freedom = np.float64(0)
    x = x - np.average(x, axis=1, weights=w, keepdims=True)
    products = _products(x) if w is None else np.matmul(x * w, conjugate(x).T)
    return np.squeeze(products * np.true_divide(1, freedom))


@composite(
    np.corrcoef,
    sample=lambda r: [
        r(r.real(3, 5)),
        r(r.real(3, 5), r.real(5)),
        r(r.real(5, 3), rowvar=False),
        r(r.real(5), r.real(5), dtype=np.float64),
        r(r.real(5)),
    ],
)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """The covariances divided by the standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = np.sqrt(np.real(np.diag(c)))
    c = c / deviation[:, None] / deviation
    if c.dtype.kind == "c":
        return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)
    return np.clip(c, -1, 1)


# -- running sums and products without nan ------------------------------------------------------


def _with_nan(r):
    mask = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, 1)
    return [r(r.real(3, 4) * mask, axis=axis) for axis in (None, 0, -1)] + [r(r.real(3, 4), 0), r(r.real())]


def _running(function, running, neutral):
    @composite(function, sample=_with_nan)
    def skipping(a, axis=None, dtype=None, out=None):
        a = operand(a)
        # Before the function sees them: behind it, nan times a zero slope would be nan.
        return running(np.where(np.isnan(bare(a)), neutral, a), axis=axis, dtype=dtype)


_running(np.nancumsum, np.cumsum, 0)
_running(np.nancumprod, np.cumprod, 1)
