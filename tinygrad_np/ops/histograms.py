"""Histograms of one, two and more dimensions.

A histogram is linear in its weights.  In the data it jumps where an entry passes an edge, and its
derivative is zero between; but the edges that NumPy lays out from the smallest entry to the largest
move with those two, and the density with the edges.
"""

from __future__ import annotations

import warnings

import numpy as np

from ..engine.door import bare, find_tensors
from ..engine.op import composite
from ..errors import ShapeError
from .reduce import operand
from .statistics import tallied

_NOTHING = np.zeros(0)


def _edges(a, bins, limits, weights):
    """The edges of the bins, recorded where they follow from tensors, and as plain numbers."""
    if not isinstance(bins, str) and np.ndim(bins) == 1:
        edges = operand(bins)
        return edges, np.histogram_bin_edges(bare(a), bare(edges), bare(limits), bare(weights))
    plain = np.histogram_bin_edges(bare(a), bins, bare(limits), bare(weights))
    wanting = any(t.requires_grad for t in find_tensors([a if limits is None else limits]))
    if not wanting or (limits is None and not a.size):
        return plain, plain
    first, last = (np.min(a), np.max(a)) if limits is None else map(operand, limits)
    if bare(first) == bare(last):
        first, last = first - 0.5, last + 0.5
    return np.linspace(first, last, plain.size, dtype=plain.dtype), plain


def _bins_of(a, edges, even=False):
    """The number of the bin of each entry, and which entries are in one; the last bin is closed."""
    inside = (a >= edges[0]) & (a <= edges[-1])
    last = edges.size - 2
    if not even or a.dtype.kind != "f":
        return np.minimum(np.searchsorted(edges, a, "right") - 1, last), inside
    # Computing the number is faster than searching for it, and may be off by one through rounding.
    place = (np.where(inside, a, edges[0]) - edges[0]) * ((last + 1) / (edges[-1] - edges[0]))
    number = np.minimum(place.astype(np.intp), last)
    number -= a < edges[number]
    number += (a >= edges[number + 1]) & (number < last)
    return number, inside


def _sums(number, inside, weights, length, dtype):
    """The sum of the weights for each number; how many there are, without weights."""
    if not inside.all():
        number = number[inside]
        weights = None if weights is None else weights[inside]
    if weights is None:
        return np.bincount(number, minlength=length).astype(dtype)
    sums = tallied(np.astype(weights, float) if weights.dtype.kind in "bui" else weights, number, length)
    return sums if sums.dtype == dtype else np.astype(sums, dtype)


def _raveled(a, weights):
    a = operand(a)
    if a.dtype == bool:
        warnings.warn(f"Converting input from {a.dtype} to {np.uint8} for compatibility.", RuntimeWarning, stacklevel=4)
        a = np.astype(a, np.uint8)
    if weights is not None:
        weights = operand(weights)
        if weights.shape != a.shape:
            raise ShapeError(f"each entry needs one weight: a has shape {a.shape}, the weights {weights.shape}.")
        weights = weights.reshape(-1)
    return a.reshape(-1), weights


def _histograms(r):
    x, edges = r.between(0, 1, 9), np.array([0.03, 0.29, 0.6, 0.9])
    return [
        r(x, 4),
        r(x, 4, weights=r.positive(9)),
        r(x, 3, density=True),
        r(x, 4, (-0.2, 0.8), density=True, weights=r.positive(9)),
        r(x, edges),
        r(x, edges, density=True),
        r(x.reshape(3, 3), edges, density=True, weights=r.positive(3, 3)),
        r(x, "sturges"),
        r(r.integers(5, 9), weights=r.positive(9)),
        r(r.integers(5, 9), weights=r.integers(5, 9)),
        r(np.array([0.3]), 2),
        r(r.real(0), 2, weights=r.real(0)),
    ]


@composite(np.histogram, sample=_histograms)
def histogram(a, bins=10, range=None, density=None, weights=None):
    """How many entries, or which weights, are in each bin; and the edges, which follow from `a` or `range`."""
    a, weights = _raveled(a, weights)
    edges, plain = _edges(a, bins, range, weights)
    number, inside = _bins_of(bare(a), plain, even=np.ndim(bins) == 0)
    dtype = np.dtype(np.intp) if weights is None else weights.dtype
    n = _sums(number, inside, weights, plain.size - 1, dtype)
    if density:
        n = n / np.astype(np.diff(edges), float) / np.sum(n)
    return n, edges


@composite(np.histogram_bin_edges, sample=lambda r: [r(r.real(9), 4), r(r.real(9), "fd"), r(r.real(5), 2, (-1, 1))])
def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """The edges of the bins, evenly spaced from the smallest entry to the largest."""
    a, weights = _raveled(a, weights)
    return _edges(a, bins, range, weights)[0]


def _per_dimension(bins, limits, count):
    """The bins and the range of each dimension."""
    bins = [bins] * count if not isinstance(bins, list | tuple) and np.ndim(bins) == 0 else list(bins)
    limits = [None] * count if limits is None else list(limits)
    if len(bins) != count or len(limits) != count:
        raise ShapeError(
            f"a sample of {count} dimensions needs bins and range for each, and there are {len(bins)} and "
            f"{len(limits)}.  Give one number of bins for all, or a list of {count}."
        )
    return bins, limits


def _columns(sample):
    """The coordinates of the points, one array for each dimension."""
    if not hasattr(sample, "shape"):
        columns = [np.atleast_1d(operand(x)) for x in sample]
        return columns if columns[0].ndim == 1 else _columns(np.concatenate([x[None] for x in columns]))
    if sample.ndim == 2:
        return [sample[:, i] for i in range(sample.shape[1])]
    return [np.ravel(sample)]


def _grid(r):
    x, edges = r.between(0, 1, 9, 2), np.array([0.03, 0.49, 0.99])
    return [
        r(x, 3),
        r(x, (2, 3), weights=r.positive(9)),
        r(x, [edges, edges], density=True, weights=r.positive(9)),
        r(x, (2, edges), [(0.01, 0.9), None], True, r.positive(9)),
        r(x, [edges, edges], density=True),
        r([r.between(0, 1, 5)] * 3, 2, density=True),
    ]


@composite(np.histogramdd, sample=_grid)
def histogramdd(sample, bins=10, range=None, density=None, weights=None):
    """How many points, or which weights, are in each cell of a grid; and the edges along each dimension."""
    columns = _columns(sample)
    bins, limits = _per_dimension(bins, range, len(columns))
    # Unlike np.histogram, where limits are given the edges do not take the dtype of the sample.
    both = [
        _edges(x if limit is None else _NOTHING, b, limit, None)
        for x, b, limit in zip(columns, bins, limits, strict=True)
    ]
    found = [_bins_of(bare(x), plain) for x, (_, plain) in zip(columns, both, strict=True)]
    inside = np.logical_and.reduce([ok for _, ok in found])
    shape = [plain.size - 1 for _, plain in both]
    cells = np.ravel_multi_index([np.where(inside, number, 0) for number, _ in found], shape)
    weights = None if weights is None else operand(weights)
    n = _sums(cells, inside, weights, int(np.prod(shape)), np.dtype(float)).reshape(shape)
    edges = [recorded for recorded, _ in both]
    if density:
        total = np.sum(n)
        for i, edge in enumerate(edges):
            n = n / np.diff(edge).reshape([-1 if j == i else 1 for j in np.arange(len(shape))])
        n = n / total
    return n, edges


@composite(
    np.histogram2d,
    sample=lambda r: [
        r(r.between(0, 1, 9), r.between(0, 1, 9), 3),
        r(r.between(0, 1, 9), r.between(0, 1, 9), [2, np.array([0.03, 0.5, 0.99])], weights=r.positive(9)),
        r(r.between(0, 1, 9), r.between(0, 1, 9), np.array([0.03, 0.5, 0.8, 0.99]), density=True),
    ],
)
def histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    """How many points, or which weights, are in each cell of a plane grid; and both rows of edges."""
    x, y = operand(x), operand(y)
    if x.shape != y.shape:
        raise ShapeError(f"x and y must have the same length, and have shapes {x.shape} and {y.shape}.")
    if not isinstance(bins, int | np.integer) and len(bins) not in (1, 2):
        bins = [bins, bins]
    n, edges = histogramdd([x, y], bins, range, density, weights)
    return n, edges[0], edges[1]
