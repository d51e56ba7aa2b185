"""Methods of ufuncs along an axis: accumulate, and reduceat over segments."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.door import RULES, bare
from ..engine.op import linear, op
from .index import scatter
from .kinks import infinite_at_zero
from .reduce import along, operand, recorded_method, ufunc_method
from .running import pulled_through

_ufunc: Any

# -- accumulate ---------------------------------------------------------------------------------


def _accumulations(r):
    return [r(r.real(3, 4)), r(r.real(2, 3, 4), axis=1), r(r.real(3, 5), -1), r(r.real(1)), r(r.real(0, 2))]


def _smooth_accumulate(ufunc, slopes):
    """Declare `ufunc.accumulate` by `slopes(entry, result)`: how a result follows an entry, or a result before it."""

    def run(array, axis=0, dtype=None, out=None):
        return ufunc.accumulate(array, axis, dtype)

    def pulled(g, array, out, axis):
        array, out, g = (np.moveaxis(x, axis, -1) for x in (array, out, g))
        factor = slopes(out[..., :-1], out[..., 1:])
        first = np.ones((*array.shape[:-1], min(1, array.shape[-1])), array.dtype)
        entry = np.concatenate([first, slopes(array[..., 1:], out[..., 1:])], axis=-1)
        return np.moveaxis(entry * pulled_through(g, factor), -1, axis)

    recorded_method(ufunc, "accumulate", run, _accumulations, array=pulled)


def _below(x, out):
    """x - out, where -inf is as far below -inf as below any number."""
    return x - np.where(np.isneginf(bare(out)), 0, out)


_smooth_accumulate(np.logaddexp, lambda x, out: np.exp(_below(x, out)))
_smooth_accumulate(np.logaddexp2, lambda x, out: np.exp2(_below(x, out)))
_smooth_accumulate(np.hypot, lambda x, out: x / infinite_at_zero(out))


def _runs(array, out):
    """Which entries equal the extreme one so far, and where a new extreme starts."""
    leads = (array == out) | (np.isnan(array) & np.isnan(out))
    changed = (out[..., 1:] != out[..., :-1]) & ~(np.isnan(out[..., 1:]) & np.isnan(out[..., :-1]))
    first = np.ones((*out.shape[:-1], min(1, out.shape[-1])), bool)
    return leads, np.concatenate([first, changed], axis=-1)


def _extreme_vjp(g, array, out, axis):
    array, out = (np.moveaxis(bare(x), axis, -1) for x in (array, out))
    g = np.moveaxis(g, axis, -1)
    leads, new = _runs(array, out)
    starts = np.flatnonzero(new)
    if starts.size == np.count_nonzero(leads):
        if starts.size:
            g = scatter(np.add.reduceat(np.ravel(g), starts), new, g.shape)
        return np.moveaxis(g, -1, axis)
    # How many tie for the extreme so far: each has an equal share in it.
    ties = np.cumsum(leads).reshape(leads.shape)
    lengths = np.diff(starts, append=leads.size)
    count = ties - np.repeat(ties.reshape(-1)[starts] - 1, lengths).reshape(leads.shape)
    factor = np.where(new, 0, np.where(leads, (count - 1) / count, 1)).astype(array.dtype)
    return np.moveaxis((leads / count).astype(array.dtype) * pulled_through(g, factor[..., 1:]), -1, axis)


def _extreme_accumulate(ufunc):
    def run(array, axis=0, dtype=None, out=None):
        return ufunc.accumulate(array, axis, dtype)

    recorded_method(ufunc, "accumulate", run, _accumulations, array=_extreme_vjp)


for _ufunc in (np.maximum, np.minimum, np.fmax, np.fmin):
    _extreme_accumulate(_ufunc)

# -- reduceat -----------------------------------------------------------------------------------


def _segments(indices, length):
    """Where each segment of reduceat starts, and how many entries it has."""
    starts = np.asarray(indices)
    lengths = np.append(starts[1:], length) - starts
    return starts, np.where(lengths > 0, lengths, 1)


def _members(indices, length):
    """The index of the entries that the segments are made of, one segment after the other, and the lengths."""
    starts, lengths = _segments(indices, length)
    if lengths.sum() == length - starts[0] and np.all(starts[1:] > starts[:-1]):
        return slice(int(starts[0]), None), lengths
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths - starts, lengths), lengths


def _sum_at_vjp(g, shape, indices, axis):
    axis %= len(shape)
    if not np.size(indices):
        return np.zeros(shape, g.dtype)
    members, lengths = _members(indices, shape[axis])
    return scatter(np.repeat(g, lengths, axis), along(axis, members), shape)


def _extreme_at_vjp(g, array, out, shape, indices, axis):
    axis %= len(shape)
    if not np.size(indices):
        return np.zeros(shape, g.dtype)
    members, lengths = _members(indices, shape[axis])
    leads = bare(array)[along(axis, members)] == np.repeat(bare(out), lengths, axis)
    ends = np.cumsum(lengths)
    count = np.add.reduceat(leads, ends - lengths, axis, int)
    share = np.repeat(g / np.maximum(count, 1), lengths, axis)
    return scatter(np.where(leads, share, 0), along(axis, members), shape)


def _reduceat_samples(r):
    return [
        r(r.real(6), [0, 2, 3]),
        r(r.real(6), [1, 4]),
        r(r.real(3, 7), np.array([5, 1, 1, 3]), axis=-1),
        r(r.real(4, 2), [1, 3], axis=0),
        r(r.real(30, 20), np.arange(0, 30, 4), 0),
    ]


# Without the ufunc's own method as `run`, forward mode would call the door again.
_sum_at = linear(
    lambda array, indices, axis=0, dtype=None, out=None: np.add.reduceat(array, indices, axis, dtype),
    transpose=lambda g, shape, indices, axis: _sum_at_vjp(g, shape, indices, axis),
    name="add.reduceat",
)
ufunc_method(np.add, "reduceat", sample=_reduceat_samples)(
    lambda array, *args, **options: _sum_at(array, *args, **options)
)


def _extreme_reduceat(ufunc):
    def run(array, indices, axis=0, dtype=None, out=None):
        return ufunc.reduceat(array, indices, axis, dtype)

    recorded_method(ufunc, "reduceat", run, _reduceat_samples, array=_extreme_at_vjp)


for _ufunc in (np.maximum, np.minimum, np.fmax, np.fmin):
    _extreme_reduceat(_ufunc)


def _divided_by_entry(g, array, out, shape, indices, axis):
    axis %= len(shape)
    members, lengths = _members(indices, shape[axis])
    at = along(axis, members)
    return scatter(np.repeat(g * out, lengths, axis) / array[at], at, shape)


_product_at = op(
    lambda array, indices, axis=0, dtype=None, out=None: np.multiply.reduceat(array, indices, axis, dtype),
    name="multiply.reduceat",
    array=_divided_by_entry,
)


def _tiny(array):
    """What a product must exceed for its gradient to follow from a division by its factors."""
    return np.finfo(array.dtype).tiny if array.dtype.kind in "fc" else 0


def _reduceat_by_pieces(ufunc):
    """Declare `ufunc.reduceat` as one reduction per segment."""

    @ufunc_method(
        ufunc,
        "reduceat",
        sample=lambda r: [r(r.positive(6), [0, 2, 3]), r(r.positive(3, 4), np.array([2, 1, 1, 3]), axis=-1),
                          r(r.positive(4, 2), [1, 3], axis=0)],
    )  # fmt: skip
    def reduceat(array, indices, axis=0, dtype=None, out=None):
        array = operand(array)
        axis %= array.ndim
        starts, lengths = _segments(bare(indices), array.shape[axis])
        if not starts.size or starts.min() < 0 or starts.max() >= array.shape[axis]:
            # NumPy's own result without segments, or its own error.
            return ufunc.reduceat(bare(array), starts, axis, dtype)
        if ufunc is np.multiply and np.abs(ufunc.reduceat(bare(array), starts, axis)).min() > _tiny(array):
            return _product_at(array, starts, axis, dtype)
        if np.all(starts[1:] > starts[:-1]):
            pieces = np.split(array, starts, axis)[1:]
        else:
            pieces = [array[along(axis, slice(i, i + n))] for i, n in zip(starts, lengths, strict=True)]
        return np.stack([RULES[ufunc, "reduce"](piece, axis, dtype) for piece in pieces], axis)


for _ufunc in (np.multiply, np.subtract, np.divide, np.logaddexp, np.logaddexp2):
    _reduceat_by_pieces(_ufunc)
