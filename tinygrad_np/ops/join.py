"""Several arrays to one and back: joining, splitting, repeating, padding."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..engine.door import converted
from ..engine.op import composite, linear, variadic
from ..errors import NoRuleError, ShapeError
from .index import scatter

# -- joining ----------------------------------------------------------------------------------


def _parts(g, shapes, axis):
    """The parts of a concatenation that came from each array."""
    if axis is None:
        ends = list(itertools.accumulate(map(math.prod, shapes)))
        return [part.reshape(shape) for part, shape in zip(np.split(g, ends[:-1]), shapes, strict=True)]
    return np.split(g, list(itertools.accumulate(shape[axis] for shape in shapes))[:-1], axis)


@variadic(kind="linear", vjp=_parts, public=np.concatenate)
def _concatenate(*arrays, axis=0):
    return np.concatenate(arrays, axis)


@variadic(kind="linear", vjp=lambda g, axis: np.unstack(g, axis=axis), public=np.stack)
def _stack(*arrays, axis=0):
    return np.stack(arrays, axis)


@composite(
    np.concatenate,
    np.concat,
    sample=lambda r: [
        r([r.real(2, 3), r.real(1, 3)]),
        r((r.real(2, 3), r.real(2, 0), r.real(2, 1)), -1),
        r([r.real(2, 3), r.real(), r.real(4)], axis=None),
        r([r.real(2), r.integers(5, 3)]),
        r(r.real(2, 3, 2), axis=1),
    ],
)
def concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """The arrays one after the other along an axis."""
    joined = _concatenate(*arrays, axis=axis)
    return joined if dtype is None else converted(joined, dtype, "np.concatenate", casting)


@composite(
    np.stack,
    sample=lambda r: [
        r([r.real(2, 3), r.real(2, 3)]),
        r([r.real(2, 3), r.real(2, 3)], -1),
        r((r.real(), r.real(), 1.5)),
        r(r.real(2, 3), axis=1),
    ],
)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """The arrays side by side along a new axis."""
    joined = _stack(*arrays, axis=axis)
    return joined if dtype is None else converted(joined, dtype, "np.stack", casting)


_ROWS = lambda r: [r([r.real(3), r.real(3)]), r((r.real(2, 3), r.real(2, 3))), r([r.real(2, 3, 4)] * 2)]


@composite(np.vstack, sample=lambda r: [*_ROWS(r), r([r.real(3), r.real(2, 3)])])
def vstack(tup, *, dtype=None, casting="same_kind"):
    """The arrays below each other, as rows."""
    return np.concatenate([np.atleast_2d(x) for x in tup], 0, dtype=dtype, casting=casting)


@composite(np.hstack, sample=lambda r: [*_ROWS(r), r([r.real(), r.real(2)])])
def hstack(tup, *, dtype=None, casting="same_kind"):
    """The arrays next to each other, as columns."""
    arrays = [np.atleast_1d(x) for x in tup]
    return np.concatenate(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@composite(np.dstack, sample=_ROWS)
def dstack(tup):
    """The arrays behind each other, along the third axis."""
    return np.concatenate([np.atleast_3d(x) for x in tup], 2)


@composite(np.column_stack, sample=lambda r: [*_ROWS(r), r([r.real(3), r.real(3, 2)])])
def column_stack(tup):
    """The arrays next to each other; one with a single axis is a column."""
    return np.concatenate([np.reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in tup], 1)


@composite(
    np.append,
    sample=lambda r: [r(r.real(2, 3), r.real(4)), r(r.real(2, 3), r.real(1, 3), axis=0), r(r.real(), 2.0)],
)
def append(arr, values, axis=None):
    """The values after those of `arr`; both are flattened without an axis."""
    return np.concatenate([arr, np.ravel(values) if axis is None else values], axis)


def _nesting(arrays):
    return 1 + max(map(_nesting, arrays), default=0) if isinstance(arrays, list) else 0


def _flattened(arrays):
    return [x for part in arrays for x in _flattened(part)] if isinstance(arrays, list) else [arrays]


@composite(
    np.block,
    sample=lambda r: [
        r([[r.real(2, 3), r.real(2, 1)], [r.real(1, 4)]]),
        r([r.real(2), 1.5, r.real()]),
        r([[[r.real(2, 1)]], [[r.real(2, 1)]]]),
        r(r.real(2)),
    ],
)
def block(arrays):
    """The matrix of blocks in nested lists: the innermost are joined along the last axis, and so on outwards."""
    depth = _nesting(arrays)
    ndim = max(depth, *map(np.ndim, _flattened(arrays)))

    def joined(part, level):
        if isinstance(part, list):
            return np.concatenate([joined(inner, level - 1) for inner in part], -level)
        return np.reshape(part, (1,) * (ndim - np.ndim(part)) + np.shape(part))

    return joined(arrays, depth)


# -- splitting --------------------------------------------------------------------------------
# An op with a result per piece: slices would make a full-size gradient for each of them.


def _disjoint(split):
    """`split`, refusing pieces that overlap: they are not the transpose of a concatenation."""

    def run(ary, indices_or_sections, axis=0):
        pieces = split(ary, indices_or_sections, axis)
        if sum(piece.shape[axis] for piece in pieces) != ary.shape[axis]:
            raise NoRuleError(
                f"np.{split.__name__} at {indices_or_sections!r} gives pieces that overlap, as the indices do not "
                "increase.  Write slices for such pieces: [x[:3], x[1:]]."
            )
        return pieces

    return run


def _pieces(r):
    return [r(r.real(6), 3), r(r.real(2, 6), [1, -2], axis=-1), r(r.real(4, 2), np.array([2, 2, 9]), axis=0)]


linear(np.split, run=_disjoint(np.split), results=True, sample=_pieces,
       transpose=lambda g, axis: np.concatenate(g, axis))  # fmt: skip
linear(np.array_split, run=_disjoint(np.array_split), results=True, sample=lambda r: [*_pieces(r), r(r.real(7), 3)],
       transpose=lambda g, axis: np.concatenate(g, axis))  # fmt: skip
linear(np.unstack, results=True, transpose=lambda g, axis: np.stack(g, axis=axis),
       sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=-1), r(r.real(3))])  # fmt: skip


def _split_along(function, axis, ndim):
    """Declare a function that splits along `axis`, for arrays with at least `ndim` axes."""

    def split(ary, indices_or_sections):
        if ary.ndim < ndim:
            raise ShapeError(
                f"np.{function.__name__} splits along axis {axis}, and this array has shape {ary.shape}.  "
                f"Give one with {ndim} axes or more."
            )
        return np.split(ary, indices_or_sections, min(axis, ary.ndim - 1))

    composite(function, sample=lambda r: [r(r.real(4, 4, 4), 2), r(r.real(2, 4, 4, 1), [1])])(split)


_split_along(np.hsplit, 1, 1)
_split_along(np.vsplit, 0, 2)
_split_along(np.dsplit, 2, 3)

# -- repeating --------------------------------------------------------------------------------


def _unrepeat(g, shape, repeats, axis):
    """The sum over the repetitions of each entry."""
    if axis is None:
        return _unrepeat(g, (math.prod(shape),), repeats, 0).reshape(shape)
    axis %= len(shape)
    counts = np.asarray(repeats)
    if counts.size == 1 and axis == len(shape) - 1:
        # A product with ones sums short rows several times faster than a reduction.
        return g.reshape((*shape, counts.item())) @ np.ones(counts.item(), g.dtype)
    if counts.size == 1:
        return g.reshape((*shape[: axis + 1], counts.item(), *shape[axis + 1 :])).sum(axis=axis + 1)
    sources = np.repeat(np.arange(shape[axis]), counts)
    return scatter(g, (slice(None),) * axis + (sources,), shape)


def _untile(g, shape, reps):
    """The sum over the tiles: g seen with an axis for the repetitions before each axis."""
    reps = (reps,) if np.ndim(reps) == 0 else tuple(reps)
    ndim = max(len(reps), len(shape))
    reps = (1,) * (ndim - len(reps)) + reps
    lengths = (1,) * (ndim - len(shape)) + shape
    tiles = g.reshape([n for pair in zip(reps, lengths, strict=True) for n in pair])
    return tiles.sum(axis=tuple(range(0, 2 * ndim, 2))).reshape(shape)


linear(
    np.repeat,
    fresh=True,
    transpose=lambda g, shape, repeats, axis: _unrepeat(g, shape, repeats, axis),
    sample=lambda r: [
        r(r.real(3, 4), 2),
        r(r.real(3, 4), 3, axis=-1),
        r(r.real(3, 4), [1, 0, 2], axis=0),
        r(r.real(3), np.array([2])),
        r(r.real(), 3),
    ],
)
linear(
    np.tile,
    transpose=lambda g, shape, reps: _untile(g, shape, reps),
    sample=lambda r: [
        r(r.real(3), 2),
        r(r.real(2, 3), (2, 1, 2)),
        r(r.real(1, 2, 3), (2,)),
        r(r.real(), (2, 2)),
        r(r.real(2), 0),
    ],
)
