"""Picking entries: indexing, taking, sorting, diagonals and triangles.

The transpose of picking is scattering: zeros, with the gradients added where they were picked from.
The transpose of scattering is picking again, so derivatives of any order stay within this pair.
"""

from __future__ import annotations

import math
from types import EllipsisType, NoneType

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, constant, linear

# -- indexing and scattering ------------------------------------------------------------------

_BASIC = (int, slice, np.generic, NoneType, EllipsisType)
# Fewer values than this are added faster one by one than their positions are computed.
_FEW = 64


def _is_mask(part):
    return np.asarray(part).dtype.kind == "b"


def _scatter(values, index, into):
    parts = index if type(index) is tuple else (index,)
    arrays = [part for part in parts if not isinstance(part, _BASIC)]
    out = np.zeros(into, values.dtype)
    # Slices, numbers and masks pick no entry twice.
    if not arrays or all(map(_is_mask, arrays)):
        out[index] = values
    elif values.size < _FEW or values.ndim == 1:
        np.add.at(out, index, values)
    else:
        np.add.at(out.reshape(-1), _positions(parts, into), values.ravel())
    return out


def _positions(parts, shape):
    """Where the picked entries lie in the flattened array.

    np.add.at is fast with a row of positions, and slow (up to 5 times) with slices or several axes.
    Only the axes that the index reaches are looked up, the rest of a row follows by counting: for rows
    of a table that is its length, not its size.
    """
    reached = len(shape) if EllipsisType in map(type, parts) else sum(map(_axes_reached, parts))
    table = np.arange(math.prod(shape[:reached])).reshape(shape[:reached])
    rows = table[parts].reshape(-1, 1)
    row_length = math.prod(shape[reached:])
    return (rows * row_length + np.arange(row_length)).ravel()


def _axes_reached(part):
    """How many axes of the array one part of an index stands for."""
    if part is None:
        return 0
    return np.ndim(part) if _is_mask(part) else 1


scatter = linear(_scatter, transpose=lambda g, index: g[index], name="scatter")
getitem = linear(
    lambda x, index: x[index],
    transpose=lambda g, index, shape: scatter(g, index, shape),
    also=("getitem",),
    name="getitem",
    sample=lambda r: [
        r(r.real(3, 4), 1),
        r(r.real(3, 4), (-1, 2)),
        r(r.real(3, 4), (slice(None, None, -2), None, slice(1, 3))),
        r(r.real(2, 3, 4), (..., 1)),
        r(r.real(4), slice(2, 2)),
        r(r.real(), ()),
        r(r.real(3, 4), [0, 2, 0]),
        r(r.real(5, 30), r.integers(5, 2, 4)),
        r(r.real(3, 4), (np.array([0, 2, 2]), np.array([1, 3, 3]))),
        r(r.real(3, 4), (np.array([[0], [2]]), np.array([-1, 1, 1]))),
        r(r.real(2, 3, 4), (slice(None), np.array([0, 1, 1]), 2)),
        r(r.real(3, 2, 9), (np.array([0, 2, 2, 1]), slice(None), np.array([1, 3, 3, -1]))),
        r(r.real(3, 8, 4), (r.integers(3, 5), None, slice(None, None, 2))),
        r(r.real(3, 8, 4), (..., r.integers(4, 6))),
        r(r.real(3, 4), r.mask(3, 4)),
        r(r.real(4, 3), r.mask(4)),
        r(r.real(2, 3, 20), (r.mask(2, 3), r.integers(20, 1))),
        r(r.real(3, 3, 30), (r.mask(3, 3), slice(None), None)),
        r(r.real(4, 2, 3), (r.mask(4), 1, np.array([0, 2]))),
    ],
)
getitem.op.title = "Tensor[...]"


def _untake(g, shape, indices, axis, mode):
    """The transpose of np.take."""
    if axis is None:
        return _untake(g, (math.prod(shape),), indices, 0, mode).reshape(shape)
    axis %= len(shape)
    indices = np.asarray(indices)
    if mode == "wrap":
        indices = indices % shape[axis]
    elif mode == "clip":
        indices = np.clip(indices, 0, shape[axis] - 1)
    return scatter(g, (slice(None),) * axis + (indices,), shape)


def _untake_along(g, shape, indices, axis):
    """The transpose of np.take_along_axis."""
    if axis is None:
        return _untake_along(g, (math.prod(shape),), indices, 0).reshape(shape)
    index = list(np.ix_(*map(np.arange, shape)))
    index[axis] = indices
    return scatter(g, tuple(index), shape)


linear(
    np.take,
    transpose=lambda g, shape, indices, axis, mode: _untake(g, shape, indices, axis, mode),
    sample=lambda r: [
        r(r.real(3, 4), [0, 5, 5]),
        r(r.real(3, 4), 1, axis=0),
        r(r.real(3, 4), r.integers(4, 2, 3), axis=-1),
        r(r.real(3, 4), [-1, 7, 3], 0, mode="wrap"),
        r(r.real(3, 4), [-1, 7, 3], axis=1, mode="clip"),
        r(r.real(30, 40), r.integers(30, 5), axis=0),
        r(r.real(), 0),
    ],
)
linear(
    np.take_along_axis,
    transpose=lambda g, shape, indices, axis: _untake_along(g, shape, indices, axis),
    sample=lambda r: [
        r(r.real(3, 4), r.integers(3, 2, 4), 0),
        r(r.real(3, 4), r.integers(4, 3, 2), axis=-1),
        r(r.real(3, 4), r.integers(12, 5), axis=None),
        r(r.real(1, 4), r.integers(4, 3, 2), axis=1),
        r(r.real(3, 4), r.integers(4, 1, 2), axis=1),
    ],
)


@composite(
    np.compress,
    sample=lambda r: [r([True, False, True], r.real(3, 4), 0), r(r.mask(4), r.real(3, 4), axis=-1),
                      r([False, True], r.real(3, 4))],
)  # fmt: skip
def compress(condition, a, axis=None):
    """The slices along the axis for which the condition holds."""
    return np.take(a, np.flatnonzero(bare(condition)), axis)


@composite(np.extract, sample=lambda r: [r(r.mask(3, 4), r.real(3, 4)), r([1, 0, 2], r.real(3))])
def extract(condition, arr):
    """The entries for which the condition holds, in one row."""
    return np.take(arr, np.flatnonzero(bare(condition)))


@composite(
    np.choose,
    sample=lambda r: [
        r(r.integers(3, 4), [r.real(4), r.real(1), r.real()]),
        r(np.array([-1, 5, 1]), r.real(2, 3), mode="wrap"),
        r(np.array([[-1], [5], [1]]), [r.real(3, 2), r.real(2)], mode="clip"),
    ],
)
def choose(a, choices, out=None, mode="raise"):
    """For each entry of `a`, the entry in that place of the choice with that number."""
    which, *arrays = np.broadcast_arrays(bare(a), *choices)
    last = len(arrays) - 1
    if mode == "raise" and np.any((which < 0) | (which > last)):
        raise ValueError(
            f"np.choose picks among {len(arrays)} choices, numbered 0 to {last}, and `a` has entries from "
            f"{which.min()} to {which.max()}.  Pass mode='clip' or mode='wrap', or correct `a`."
        )
    which = which % len(arrays) if mode == "wrap" else np.clip(which, 0, last)
    return np.take_along_axis(np.stack(arrays), which[None], 0)[0]


@composite(
    np.select,
    sample=lambda r: [r([r.mask(4), r.mask(4)], [r.real(4), r.real(3, 4)], r.real()), r([r.mask(3)], [r.real(3)])],
)
def select(condlist, choicelist, default=0):
    """For each place, the first choice whose condition holds there."""
    chosen = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        chosen = np.where(condition, choice, chosen)
    return chosen


@composite(
    np.delete,
    sample=lambda r: [r(r.real(3, 4), 1, 0), r(r.real(3, 4), [0, -1], axis=-1), r(r.real(3, 4), slice(2, 9, 3))],
)
def delete(arr, obj, axis=None):
    """The array without some of its slices along the axis."""
    length = np.size(arr, axis)
    return np.take(arr, np.delete(np.arange(length), bare(obj)), axis)


@composite(
    np.insert,
    sample=lambda r: [
        r(r.real(3, 4), 1, r.real(4), 0),
        r(r.real(3, 4), 2, r.real(3), axis=1),
        r(r.real(3, 4), -1, 0.5, axis=-1),
        r(r.real(3, 4), [1], r.real(3, 2), axis=1),
        r(r.real(3, 4), [0, 2, 2], r.real(3, 3), axis=1),
        r(r.real(3, 4), slice(0, 3, 2), r.real(2)),
        r(r.real(2), 1, r.real(3)),
    ],
)
def insert(arr, obj, values, axis=None):
    """The array with values put in before some of its slices along the axis."""
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis %= arr.ndim
    places = np.arange(arr.shape[axis])[obj] if isinstance(obj, slice) else np.asarray(bare(obj))
    values = np.reshape(values, (1,) * (arr.ndim - np.ndim(values)) + np.shape(values))
    if places.ndim == 0:
        values = np.moveaxis(values, 0, axis)
    count = values.shape[axis] if places.size == 1 else places.size
    block = np.broadcast_to(values, (*arr.shape[:axis], count, *arr.shape[axis + 1 :]))
    # NumPy itself says where each slice of the two goes, on their numbers.
    order = np.insert(np.arange(arr.shape[axis]), places, arr.shape[axis] + np.arange(count))
    return np.take(np.concatenate([arr, block], axis, dtype=arr.dtype), order, axis)


# -- sorting ----------------------------------------------------------------------------------


def _rearranged(a, order, axis):
    return np.take(a, order) if axis is None else np.take_along_axis(a, order, axis)


@composite(
    np.sort,
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(3, 4), 0),
        r(r.real(3, 4), axis=None),
        r(r.real(2, 3, 4), axis=1, kind="stable"),
        r(r.real(5), stable=True),
        r(r.real(0)),
    ],
)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """The entries in ascending order along the axis; the gradient goes back to where each one stood."""
    return _rearranged(a, np.argsort(bare(a), axis, kind, order, stable=stable), axis)


@composite(
    np.partition,
    sample=lambda r: [r(r.real(7), 3), r(r.real(4, 5), (1, 2), axis=0), r(r.real(2, 3), 2, axis=None)],
)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """The entries with those of rank `kth` in their sorted place, smaller before, larger behind."""
    return _rearranged(a, np.argpartition(bare(a), kth, axis, kind, order), axis)


@composite(
    np.unique,
    sample=lambda r: [
        r(r.real(3, 4)),
        r(np.array([2.0, 1.0, 3.0]), return_index=True, return_inverse=True, return_counts=True),
        r(r.real(3, 2), axis=0),
    ],
)
def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, **options):
    """The distinct entries, ascending; the gradient goes to the first of those that are equal."""
    _, index, *others = np.unique(bare(ar), True, return_inverse, return_counts, axis, **options)
    values = np.take(ar, index, axis)
    results = (values, index, *others) if return_index else (values, *others)
    return results if len(results) > 1 else values


# -- diagonals and triangles ------------------------------------------------------------------


@linear(transpose=lambda g, offset, axis1, axis2: np.diagonal(g, offset, axis1, axis2), name="put_diagonal")
def _put_diagonal(values, into, offset, axis1, axis2):
    """Zeros of shape `into`, with the values on a diagonal."""
    out = np.zeros(into, values.dtype)
    steps = np.arange(values.shape[-1])
    matrices = np.moveaxis(out, (axis1, axis2), (-2, -1))
    matrices[..., steps + max(-offset, 0), steps + max(offset, 0)] = values
    return out


linear(
    np.diagonal,
    transpose=lambda g, shape, offset, axis1, axis2: _put_diagonal(g, shape, offset, axis1, axis2),
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(4, 3), -1),
        r(r.real(2, 3, 4), offset=1, axis1=-1, axis2=0),
        r(r.real(2, 3), 5),
    ],
)
_diagonal_matrix = linear(lambda v, k=0: np.diag(v, k), transpose=lambda g, k: np.diagonal(g, k), name="diag")


@composite(np.diag, sample=lambda r: [r(r.real(3)), r(r.real(3), k=-1), r(r.real(3, 4), 1), r(r.real(4, 3))])
def diag(v, k=0):
    """The diagonal of a matrix, or the matrix with this diagonal."""
    return _diagonal_matrix(v, k) if np.ndim(v) == 1 else np.diagonal(v, k)


@composite(np.diagflat, sample=lambda r: [r(r.real(2, 2)), r(r.real(), 1)])
def diagflat(v, k=0):
    """The matrix whose diagonal has all the entries."""
    return _diagonal_matrix(np.ravel(v), k)


@composite(
    np.trace,
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 3), -1), r(r.real(2, 3, 4), 1, axis1=1, axis2=-1)],
)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """The sum of a diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


_TRIANGLES = lambda r: [r(r.real(3, 4)), r(r.real(2, 3, 3), -1), r(r.real(3, 4), k=1), r(r.real(3))]
linear(np.tril, transpose=lambda g, k: np.tril(g, k), sample=_TRIANGLES)
linear(np.triu, transpose=lambda g, k: np.triu(g, k), sample=_TRIANGLES)

# -- where entries are ------------------------------------------------------------------------

constant(np.argsort, np.lexsort, sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=0)])
constant(np.argpartition, sample=lambda r: [r(r.real(7), 3), r(r.real(3, 5), 2, axis=0)])
constant(np.searchsorted, np.digitize, sample=lambda r: [r(np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 0.0, 1.0]))])
constant(np.nonzero, np.argwhere, np.flatnonzero, sample=lambda r: [r(r.real(3, 4)), r(r.mask(5))])
constant(np.isin, sample=lambda r: [r(np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0]))])
constant(np.ix_, sample=lambda r: [r([0, 2], r.mask(3))])
constant(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, sample=lambda r: [r(r.real(3, 3))])
