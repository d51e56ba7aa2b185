"""Picking entries: indexing, taking, sorting, diagonals and triangles.

The transpose of picking is scattering: zeros, with the gradients added where they were picked from.
The transpose of scattering is picking again, so derivatives of any order stay within this pair.
"""

from __future__ import annotations

import math
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, constant, linear, op

# -- indexing and scattering ------------------------------------------------------------------

_BASIC = (int, slice, np.generic, NoneType, EllipsisType)
# Fewer values than this are added faster one by one than their positions are computed.
_FEW = 64
# Positions are computed this many at a time: big arrays of them cost more than the sums.
_BLOCK = 8192


def _is_mask(part):
    return np.asarray(part).dtype.kind == "b"


def _scatter(values, index, into):
    parts = index if type(index) is tuple else (index,)
    arrays = [part for part in parts if not isinstance(part, _BASIC)]
    out = np.zeros(into, values.dtype)
    # Slices, numbers and masks pick no entry twice.
    if not arrays or all(map(_is_mask, arrays)):
        out[index] = values
    elif values.size < _FEW:
        np.add.at(out, index, values)
    elif all(isinstance(part, int | np.integer) or _is_whole_numbers(part) for part in parts):
        _add_rows(out, _row_numbers(parts, into), values)
    elif _is_whole_numbers(parts[-1]) and all(type(part) is slice and part == slice(None) for part in parts[:-1]):
        _add_along(out, _counted_from_front(parts[-1], into[len(parts) - 1]), values, len(parts) - 1)
    else:
        np.add.at(out.reshape(-1), _positions(parts, into), values.ravel())
    return out


# np.add.at is fast with one array of positions, and slow (up to 5 times) with slices or several axes.


def _is_whole_numbers(part):
    return not isinstance(part, _BASIC) and np.asarray(part).dtype.kind in "iu"


def _counted_from_front(part, n):
    part = np.asarray(part)
    return np.where(part < 0, part + n, part) if part.size and part.min() < 0 else part


def _row_numbers(parts, shape):
    """Which rows are picked by whole numbers for each of the leading axes; a row is what lies behind those."""
    rows = 0
    for part, n in zip(parts, shape, strict=False):
        rows = rows * n + _counted_from_front(part, n)
    return rows


def _add_rows(out, rows, values):
    """Add each row of `values` to the row of `out` with that number."""
    rows, flat = rows.ravel(), out.reshape(-1)
    width = values.size // rows.size
    if width == 1:
        np.add.at(flat, rows, values.ravel())
        return
    values = values.reshape(rows.size, width)
    step = max(1, _BLOCK // width)
    for start in range(0, rows.size, step):
        positions = rows[start : start + step, None] * width + np.arange(width)
        np.add.at(flat, positions.ravel(), values[start : start + step].ravel())


def _add_along(out, picks, values, axis):
    """Add `values` to the entries of `out` with the numbers `picks` along one axis."""
    lanes, n = math.prod(out.shape[:axis]), out.shape[axis]
    into, values = out.reshape(lanes, -1), values.reshape(lanes, -1)
    step = min(lanes, max(1, _BLOCK // values.shape[1]))
    rows = np.arange(step)[:, None] * n + picks.ravel()
    for start in range(0, lanes, step):
        part = into[start : start + step]
        _add_rows(part, rows[: len(part)], values[start : start + step])


def _positions(parts, shape):
    """Where the picked entries lie in the flattened array, for any index.

    Only the axes that the index reaches are looked up, the rest of a row follows by counting.
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


scatter = linear(_scatter, transpose=lambda g, index: g[index], name="scatter", fresh=True)
getitem = linear(
    lambda x, index: x[index],
    transpose=lambda g, index, shape: scatter(g, index, shape),
    also=("getitem",),
    name="getitem",
    fresh=True,
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
        r(r.real(3, 8, 4), (r.integers(3, 30), slice(None), r.integers(4, 30) - 4)),
        r(r.real(3, 8, 4), (slice(None), r.integers(8, 5, 6) - 8)),
        r(r.real(3, 8, 4), (r.integers(3, 30), -1)),
        r(r.real(3, 8, 4), (..., r.integers(4, 6))),
        r(r.real(3, 4), r.mask(3, 4)),
        r(r.real(4, 3), r.mask(4)),
        r(r.real(2, 3, 20), (r.mask(2, 3), r.integers(20, 1))),
        r(r.real(3, 3, 30), (r.mask(3, 3), slice(None), None)),
        r(r.real(4, 2, 3), (r.mask(4), 1, np.array([0, 2]))),
    ],
)
getitem.op.title = "Tensor[...]"


# -- picking nothing twice ---------------------------------------------------------------------


def _put_once(values, index, into):
    out = np.zeros(into, values.dtype)
    out[index] = values
    return out


# For an index that is known to pick no entry twice: its transpose needs no sums.
take_once = linear(
    lambda a, index: a[index],
    transpose=lambda g, index, shape: put_once(g, index, shape),
    name="take_once",
    fresh=True,
)
put_once: Any = linear(_put_once, transpose=lambda g, index: take_once(g, index), name="put_once")

# -- writing, out of place --------------------------------------------------------------------


def _last_written(index, shape, picked):
    """Where values of shape `picked`, put to `index`, are still there after all are written."""
    owner = np.empty(shape, int)
    numbers = np.arange(math.prod(picked)).reshape(picked)
    owner[index] = numbers
    return owner[index] == numbers


def _index_update(t, values, index):
    out = np.array(t)
    out[index] = values
    return out


def _update_vjp(g, index):
    picked = g[index]
    parts = index if type(index) is tuple else (index,)
    if all(isinstance(part, _BASIC) or _is_mask(part) for part in parts):
        return picked
    return np.where(_last_written(index, g.shape, picked.shape), picked, 0)


_recorded_update = op(
    _index_update,
    name="index_update",
    t=lambda g, index: index_update(g, index, 0),
    values=lambda g, index: _update_vjp(g, index),
)


_UPDATES = lambda r: [
    r(r.real(3, 4), 1, r.real(4)),
    r(r.real(3, 4), (slice(None), -1), 2.0),
    r(r.real(3, 4), (..., slice(1, 3)), r.real(3, 1)),
    r(r.real(3, 4), r.mask(3, 4), r.real(6)),
    r(r.real(3, 4), r.mask(3, 4), r.real()),
    r(r.real(5), [3, 0, 3], r.real(3)),
    r(r.real(3, 4), (np.array([0, 2, 0]), np.array([1, 3, 1])), r.real(3)),
    r(r.real(3, 4), r.integers(3, 6), r.real(6, 1)),
    r(r.real(), (), r.real()),
    r(r.real(3, 4), (slice(None), slice(2, 2)), r.real()),
]


@composite(sample=_UPDATES)
def index_update(t: Any, index: Any, values: Any) -> Any:
    """A copy of `t` with `t[index] = values`: the write that the tape can follow.

    `index` is anything that indexes an array, and `values` broadcast to the shape of `t[index]`, else
    ShapeError.  The gradient of `t` is zero where it was written over.  Where an index occurs twice, the
    last value stays, as in NumPy, and only it has a gradient.

    >>> import tinygrad_np as tg
    >>> t = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> u = tg.index_update(t, slice(0, 2), t[2] * 10)
    >>> u.sum().backward()
    >>> t.grad
    Tensor([ 0.,  0., 21.])
    """
    return _recorded_update(t, values, index)


@composite(sample=_UPDATES)
def index_add(t: Any, index: Any, values: Any) -> Any:
    """A copy of `t` with `values` added at `index`: `np.add.at` without the write.

    `values` broadcast to the shape of `t[index]`.  Where an index occurs twice, both values are added.

    >>> import numpy as np, tinygrad_np as tg
    >>> totals = tg.index_add(np.zeros(3), [0, 2, 2], tg.Tensor([1.0, 10.0, 100.0]))
    >>> totals.data
    array([  1.,   0., 110.])
    """
    shape = np.shape(t)
    picked = np.broadcast_to(False, shape)[bare(index)].shape
    return t + scatter(np.broadcast_to(values, picked), index, shape)


# -- taking -----------------------------------------------------------------------------------


def _untake(g, shape, indices, axis, mode):
    """The transpose of np.take."""
    if axis is None and len(shape) != 1:
        return _untake(g, (math.prod(shape),), indices, 0, mode).reshape(shape)
    axis = axis or 0
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
    fresh=True,
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
    fresh=True,
    transpose=lambda g, shape, indices, axis: _untake_along(g, shape, indices, axis),
    sample=lambda r: [
        r(r.real(3, 4), r.integers(3, 2, 4), 0),
        r(r.real(3, 4), r.integers(4, 3, 2), axis=-1),
        r(r.real(3, 4), r.integers(12, 5), axis=None),
        r(r.real(1, 4), r.integers(4, 3, 2), axis=1),
        r(r.real(3, 4), r.integers(4, 1, 2), axis=1),
    ],
)


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
    if np.ndim(v) not in (1, 2):
        raise ValueError(f"np.diag takes one or two axes, not shape {np.shape(v)}.  Write np.diagonal for more.")
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

constant(np.nonzero, np.argwhere, np.flatnonzero, sample=lambda r: [r(r.real(3, 4)), r(r.mask(5))])
constant(np.ix_, sample=lambda r: [r([0, 2], r.mask(3))])
constant(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, sample=lambda r: [r(r.real(3, 3))])
