"""Medians, percentiles and quantiles, with and without nan.

A quantile lies between two order statistics (entries of given rank): `low + (high - low) * t`.  In the
data it is linear, so that each of the two passes its share of the gradient on to the entry that it is;
entries that tie share equally, as for np.max and np.min, which are the quantiles 1 and 0.  In q, `t` is
piecewise linear for the continuous methods; the others jump, and their derivative in q is 0.  Weights
only decide which entry is picked: their derivative is 0.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..engine.call import as_array
from ..engine.door import bare
from ..engine.op import composite, elementwise, linear, op
from .reduce import aligned_weights, operand
from .statistics import add_at

# -- entries of given rank ----------------------------------------------------------------------


def _tied(lanes, value):
    """Where entries equal the value of their lane, in which lanes, and how many do in each."""
    places = np.flatnonzero(lanes == value)
    lane = places // lanes.shape[-1]
    return places, lane, np.bincount(lane, minlength=value.size)


def _to_ties(values, lanes, chosen):
    total = np.zeros(lanes.shape, values.dtype)
    flat = total.reshape(-1)
    for k in range(chosen.shape[-1]):
        share = values[..., k].ravel()
        if share.any():
            places, lane, count = _tied(lanes, chosen[..., k : k + 1])
            flat[places] += (share / np.maximum(count, 1))[lane]
    return total


def _from_ties(values, lanes, chosen):
    total = np.empty(chosen.shape, values.dtype)
    for k in range(chosen.shape[-1]):
        places, lane, count = _tied(lanes, chosen[..., k : k + 1])
        sums = add_at(values.ravel()[places], lane, count.size) / np.maximum(count, 1)
        total[..., k] = sums.reshape(chosen.shape[:-1])
    return total


# Who ties is plain data: the derivative of that is zero.
_mean_of_ties: Any = linear(
    _from_ties,
    name="mean_of_ties",
    fresh=True,
    transpose=lambda g, lanes, chosen: _share_among_ties(g, lanes, chosen),
)
_share_among_ties: Any = linear(
    _to_ties,
    name="share_among_ties",
    fresh=True,
    transpose=lambda g, lanes, chosen: _mean_of_ties(g, lanes, chosen),
)


def _entries_of_rank(lanes, ranks):
    if ranks.ndim > 1:
        return np.take_along_axis(np.sort(lanes), ranks, -1)
    return np.partition(lanes, ranks)[..., ranks]


_ranked = op(
    _entries_of_rank,
    name="ranked",
    fresh=True,
    lanes=lambda g, lanes, out: _share_among_ties(g, bare(lanes), bare(out)),
    jvps={"lanes": lambda t, lanes, out: _mean_of_ties(t, bare(lanes), bare(out))},
)


def _picked(lanes, weights, q):
    # The one that skips nan goes through the lanes one by one: only where it has to.
    quantile = np.nanquantile if np.isnan(lanes).any() else np.quantile
    return np.moveaxis(quantile(lanes, q, axis=-1, method="inverted_cdf", weights=weights), 0, -1)


_picked_by_weight = op(
    _picked,
    name="picked_by_weight",
    fresh=True,
    # An entry without weight has no influence, even where it ties with the one picked.
    lanes=lambda g, lanes, out, weights: _share_among_ties(g, np.where(weights > 0, bare(lanes), np.nan), bare(out)),
)


# -- from q to ranks ----------------------------------------------------------------------------

_PLOTTING = {
    "linear": (1, 1),
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
"""alpha and beta of the continuous methods: R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical
Packages", The American Statistician 50 (1996) 361-365."""


def _closest(n, q):
    place = n * q - 1.5
    below = np.floor(place)
    return np.where((place == below) & (below % 2 == 1), below, below + 1)


def _averaged(n, q):
    place = n * q - 1
    return np.where(place == np.floor(place), place + 0.5, np.ceil(place))


_PLACES = {
    "lower": lambda n, q: np.floor((n - 1) * q),
    "higher": lambda n, q: np.ceil((n - 1) * q),
    "nearest": lambda n, q: np.around((n - 1) * q),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
    "inverted_cdf": lambda n, q: np.ceil(n * q - 1),
    "averaged_inverted_cdf": _averaged,
    "closest_observation": _closest,
}
"""The discontinuous methods: the rank that is picked, or the half between two that are averaged."""


def _neighbours(n, q, method):
    """The ranks below and above each quantile of n entries, and how far it is on the way between them.

    Without a way (None) there is nothing between: the quantile is the entry.
    """
    last = np.maximum(n - 1, 0)
    if method in _PLACES:
        place = np.clip(_PLACES[method](n, bare(q)), 0, last)
        low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
        if method not in ("midpoint", "averaged_inverted_cdf"):
            return low, low, None
        return low, high, np.where(low == high, 0, 0.5).astype(np.result_type(q.dtype, np.float16))
    if method not in _PLOTTING:
        raise ValueError(f"method={method!r} is not one of np.quantile: they are {', '.join([*_PLOTTING, *_PLACES])}.")
    if method == "linear":
        place = (n - 1) * q
        if place.dtype.kind in "iu":
            return place, place, None
    else:
        alpha, beta = _PLOTTING[method]
        place = (n * q + (alpha + q * (1 - alpha - beta)) - 1) * 1.0
    # The last piece has both its ends, so that q = 1 has the slope from its left and not none.
    low = np.clip(np.floor(bare(place)), 0, np.maximum(n - 2, 0)).astype(np.intp)
    return low, np.minimum(low + 1, last).astype(np.intp), np.clip(place - low.astype(place.dtype), 0, 1)


def _between(low, high, t):
    # From the nearer end: at t = 1 the result is exactly `high`.
    return np.where(t >= 0.5, high - (high - low) * (1 - t), low + (high - low) * t)


_interpolated = elementwise(
    _between, name="interpolated", low=lambda t: 1 - t, high=lambda t: t, t=lambda low, high: high - low
)


# -- lanes: what is reduced, as the last axis ---------------------------------------------------


def _lanes(a, axes):
    """The array with the reduced axes as one, the last."""
    kept = [i for i in range(a.ndim) if i not in axes]
    if kept + list(axes) != list(range(a.ndim)):
        a = np.transpose(a, [*kept, *axes])
    if len(axes) == 1:
        return a
    return a.reshape((*a.shape[: len(kept)], math.prod(a.shape[len(kept) :])))


def _axes(axis, ndim):
    return tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _shaped(result, q_shape, shape, axes, keepdims):
    """The results, whose last axis is that of q, with the axes of q first, as NumPy has them."""
    kept = [1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes]
    if result.ndim > 1 and result.shape[-1] > 1:
        result = np.moveaxis(result, -1, 0)
    return result.reshape((*q_shape, *kept))


def _counts(lanes, skip_nan):
    """How many entries each lane has: a number, or where nan is skipped an array of them."""
    n = lanes.shape[-1]
    missing = np.isnan(lanes) if skip_nan and lanes.dtype.kind in "fc" else None
    if missing is None or not missing.any():
        return n
    counts = n - np.add.reduce(missing, -1, np.intp, keepdims=True)
    if not counts.all():
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=5)
    return counts


def _or_nan(result, largest):
    """nan where a lane has one: it is sorted to the end."""
    missing = np.isnan(bare(largest))
    return np.where(missing, bare(largest), result) if missing.any() else result


def _ranks(n, lanes, *ranks):
    """Ranks one after the other, and last the highest one."""
    if isinstance(n, int):
        return np.concatenate([*ranks, [lanes.shape[-1] - 1]])
    return np.concatenate(np.broadcast_arrays(*ranks), axis=-1)


def _unweighted(lanes, q, method, weak, skip_nan):
    """The quantiles of each lane, along a last axis."""
    n = _counts(bare(lanes), skip_nan)
    low, high, t = _neighbours(n if isinstance(n, int) else n.astype(q.dtype), q, method)
    if t is None:
        found = _ranked(lanes, _ranks(n, lanes, low))
        result = found[..., : low.shape[-1]]
    else:
        if weak and lanes.dtype.kind == "f":
            # As a Python number it takes the dtype of the entries; with nan there is one for each lane.
            t = float(t[0]) if t.size == 1 else t.astype(lanes.dtype)
        found = _ranked(lanes, _ranks(n, lanes, low, high))
        k = low.shape[-1]
        result = _interpolated(found[..., :k], found[..., k : 2 * k], t)
    return _or_nan(result, found[..., -1:]) if isinstance(n, int) and lanes.dtype.kind == "f" else result


def _checked(a, q, method, weights):
    """Refuse what NumPy refuses: complex entries, q outside [0, 1], weights with another method."""
    if a.dtype.kind == "c":
        raise TypeError(f"a must hold real numbers: those of dtype {a.dtype} have no order, so no quantiles.")
    values = bare(q)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"quantiles lie in [0, 1] and percentiles in [0, 100]: q reaches from {values.min()} to "
            f"{values.max()} (as a part of 1).  np.percentile takes 25 for a quarter, np.quantile 0.25."
        )
    if values.ndim > 2:
        raise ValueError(f"q of shape {values.shape} has more than two axes.  Give a number or a row.")
    if weights is not None and method != "inverted_cdf":
        raise ValueError(
            f"weights= goes with method='inverted_cdf' only, and this is {method!r}.  Write method='inverted_cdf'."
        )


def _quantile(a, q, axis, method, keepdims, weights, weak, skip_nan):
    _checked(a, q, method, weights)
    axes = _axes(axis, a.ndim)
    lanes, flat = _lanes(a, axes), q.reshape(-1)
    if not lanes.shape[-1]:
        function = np.nanquantile if skip_nan else np.quantile
        return function(bare(a), bare(q), axis, method=method, keepdims=bool(keepdims))
    if weights is None:
        result = _unweighted(lanes, flat, method, weak, skip_nan)
    else:
        weights = np.broadcast_to(aligned_weights(as_array(bare(weights)), a.shape, axis), a.shape)
        result = _weighted(lanes, _lanes(weights, axes), bare(flat), skip_nan)
    return _shaped(result, q.shape, a.shape, axes, keepdims)


def _weighted(lanes, weights, q, skip_nan):
    if np.any(weights < 0):
        raise ValueError(f"weights are not negative, and the smallest is {weights.min()}.  Leave such entries away.")
    result = _picked_by_weight(lanes, weights, q)
    missing = np.isnan(bare(lanes)).any(axis=-1, keepdims=True)
    return result if skip_nan or not missing.any() else np.where(missing, np.nan, result)


# -- the functions of NumPy ---------------------------------------------------------------------


def _calls(r, scale):
    x, q = r.real(3, 4), np.array([0.13, 0.62]) * scale
    return [
        r(x, 0.3 * scale),
        r(x, q),
        r(x, np.array(0.4) * scale, axis=0),
        r(x, 1 * scale, axis=-1),
        r(x, [0, scale], 1),
        r(x, q, axis=-1, keepdims=True),
        r(r.real(2, 3, 4), q, axis=(0, -1)),
        r(r.real(2, 3, 4), q.reshape(2, 1), axis=1, keepdims=True),
        r(r.real(2, 3, 2), 0.8 * scale, axis=(2, 0), overwrite_input=True),
        *[r(r.real(5), q, method=method) for method in (*_PLOTTING, *_PLACES)],
        *[r(r.real(2, 4), 0.5 * scale, axis=1, method=method) for method in _PLACES],
        r(x, q, method="inverted_cdf", weights=r.positive(3, 4)),
        r(r.real(2, 3, 4), 0.3 * scale, axis=(0, 2), method="inverted_cdf", weights=r.integers(3, 2, 3, 4) + 1),
        r(r.integers(9, 5), np.array([0.3]) * scale),
        r(r.real(1), q),
        r(r.real(), q),
    ]


def _plain_calls(scale):
    return lambda r: [
        *_calls(r, scale),
        r(r.real(3, 4), 0.3 * scale, axis=1, method="inverted_cdf", weights=r.positive(4)),
        r(r.real(0, 3), 0.3 * scale, axis=1),
    ]


def _nan_calls(scale):
    mask, q = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, 1), np.array([0.13, 0.62]) * scale
    weighted = {"method": "inverted_cdf", "weights": np.arange(12.0).reshape(3, 4) + 1}
    return lambda r: [
        *_calls(r, scale),
        *[r(r.real(3, 4) * mask, q, axis=axis) for axis in (None, 0, 1)],
        *[r(r.real(3, 4) * mask, 0.3 * scale, axis=axis, **weighted) for axis in (None, 1)],
    ]


def _declare(function, sample, percent, skip_nan):
    """np.quantile or one of its relatives."""

    @composite(function, sample=sample)
    def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
        a, weak, q = operand(a), type(q) in (int, float), operand(q)
        return _quantile(a, q / 100 if percent else q, axis, method, bool(keepdims), weights, weak, skip_nan)


_declare(np.quantile, _plain_calls(1), False, False)
_declare(np.percentile, _plain_calls(100), True, False)
_declare(np.nanquantile, _nan_calls(1), False, True)
_declare(np.nanpercentile, _nan_calls(100), True, True)


def _medians(r):
    x = r.real(3, 4)
    return [
        r(x),
        r(x, axis=0),
        r(x, -1, keepdims=True),
        r(r.real(2, 3, 4), axis=(0, -1)),
        r(r.real(5)),
        r(r.real(3, 3), axis=None, keepdims=True),
        r(r.real(1)),
        r(r.real(0, 3), axis=1),
    ]


def _nan_medians(r):
    mask = np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, 1)
    return [*_medians(r), *[r(r.real(3, 4) * mask, axis=axis) for axis in (None, 0, 1)]]


def _middle(a, axis, keepdims, skip_nan):
    """The entry in the middle of each lane, or the mean of the two that are."""
    a = operand(a)
    axes = _axes(axis, a.ndim)
    lanes = _lanes(a, axes)
    if not lanes.shape[-1]:
        return (np.nanmedian if skip_nan else np.median)(bare(a), axis, keepdims=keepdims)
    n: Any = _counts(bare(lanes), skip_nan)
    low, high = np.atleast_1d(np.maximum(n - 1, 0) // 2), np.atleast_1d(n // 2)
    if isinstance(n, int):
        middle = low if n % 2 else np.concatenate([low, high])
        found = _ranked(lanes, np.concatenate([middle, [n - 1]]))
        result = np.mean(found[..., :-1], axis=-1, keepdims=True)
        result = _or_nan(result, found[..., -1:]) if lanes.dtype.kind in "fc" else result
    else:
        result = np.mean(_ranked(lanes, np.concatenate([low, high], axis=-1)), axis=-1, keepdims=True)
    return _shaped(result, (), a.shape, axes, keepdims)


@composite(np.median, sample=_medians)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The entry in the middle, or the mean of the two that are; those that tie share its gradient."""
    return _middle(a, axis, keepdims, skip_nan=False)


@composite(np.nanmedian, sample=_nan_medians)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The median of the entries that are not nan."""
    return _middle(a, axis, bool(keepdims), skip_nan=True)
