"""The same entries in another form: another shape, another order of axes or entries, another dtype."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.door import RULES, bare, find_tensors, is_tensor
from ..engine.op import composite, constant, linear
from ..errors import InPlaceError, NoRuleError

# `run` calls the method of the array where NumPy's function would only look for it: that search costs
# more than most of these do.

# -- another shape ----------------------------------------------------------------------------


def _known_order(order):
    if order not in ("C", "F"):
        raise NoRuleError(
            f"order={order!r} depends on how the array lies in memory, and the gradient would too.  Write order='C' "
            "(rows first, the default) or order='F' (columns first)."
        )
    return order


def _reshape(a, shape, order="C", *, copy=None):
    if order == "C" and copy is None:
        return a.reshape(shape)
    return np.reshape(a, shape, _known_order(order), copy=copy)


def _ravel(a, order="C"):
    return a.ravel(_known_order(order))


def _back_in(g, shape, order):
    return g.reshape(shape) if order == "C" else g.reshape(shape, order=order)


def _expand_dims(a, axis):
    if type(axis) is int and -a.ndim - 1 <= axis <= a.ndim:
        axis %= a.ndim + 1
        return a.reshape((*a.shape[:axis], 1, *a.shape[axis:]))
    return np.expand_dims(a, axis)


linear(
    np.reshape,
    run=_reshape,
    transpose=lambda g, shape, order: _back_in(g, shape, order),
    sample=lambda r: [
        r(r.real(3, 4), (2, 6)),
        r(r.real(3, 4), -1),
        r(r.real(2, 3, 2), (4, -1), order="F"),
        r(r.real(2, 3), shape=(3, 1, 2), copy=True),
        r(r.real(), (1, 1)),
        r(r.real(1, 1), ()),
        r(r.real(0, 3), (3, 0, 2)),
    ],
)
linear(
    np.ravel,
    run=_ravel,
    transpose=lambda g, shape, order: _back_in(g, shape, order),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(2, 3, 2), order="F"), r(r.real()), r(r.real(0, 2))],
)
linear(
    np.expand_dims,
    run=_expand_dims,
    transpose=lambda g, shape: g.reshape(shape),
    sample=lambda r: [
        r(r.real(3, 4), 0),
        r(r.real(3, 4), -1),
        r(r.real(3, 4), axis=(0, -1)),
        r(r.real(), 0),
    ],
)
linear(
    np.squeeze,
    run=lambda a, axis=None: a.squeeze(axis),
    transpose=lambda g, shape: g.reshape(shape),
    sample=lambda r: [
        r(r.real(1, 3, 1)),
        r(r.real(1, 3, 1), 0),
        r(r.real(1, 3, 1), axis=(0, -1)),
        r(r.real(1, 1)),
        r(r.real()),
    ],
)
linear(
    np.broadcast_to,
    # The walk sums a gradient over the axes that the forward pass broadcast.
    transpose=lambda g: g,
    sample=lambda r: [
        r(r.real(3, 1), (2, 3, 4)),
        r(r.real(), (2, 3)),
        r(r.real(3), (3,)),
        r(r.real(1, 3), shape=(0, 3)),
    ],
)
linear(np.copy, run=lambda a, order="K", subok=False: a.copy(order), transpose=lambda g: g,
       sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), order="F"), r(r.real())])  # fmt: skip


@composite(
    np.broadcast_arrays,
    sample=lambda r: [r(r.real(3, 1), r.real(4)), r(r.real(), r.integers(3, 2, 3)), r(r.real(2))],
)
def broadcast_arrays(*args, subok=False):
    """The arrays, each broadcast to the shape that all of them have together."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple([np.broadcast_to(x, shape) for x in args])


def _at_least(function, padded):
    """Declare a function that gives arrays the shape `padded(shape)`, alone or several at a time."""

    def one(x):
        return np.reshape(x, padded(x.shape)) if is_tensor(x) else function(x)

    def at_least(*arys):
        return one(arys[0]) if len(arys) == 1 else tuple(map(one, arys))

    composite(
        function,
        sample=lambda r: [r(r.real()), r(r.real(3)), r(r.real(2, 3)), r(r.real(2, 1, 3)), r(r.real(), r.real(2))],
    )(at_least)


_at_least(np.atleast_1d, lambda shape: shape or (1,))
_at_least(np.atleast_2d, lambda shape: (1,) * (2 - len(shape)) + shape)
_at_least(np.atleast_3d, lambda shape: {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}.get(len(shape), shape))


@composite(np.resize, sample=lambda r: [r(r.real(2, 3), (4, 4)), r(r.real(5), 3), r(r.real(), (2, 2))])
def resize(a, new_shape):
    """The entries in a new shape, repeated from the start where they run out."""
    shape = (new_shape,) if np.ndim(new_shape) == 0 else tuple(new_shape)
    size = math.prod(shape)
    if not np.size(a):
        return np.zeros(shape, a.dtype)
    return np.take(np.ravel(a), np.arange(size) % np.size(a)).reshape(shape)


# -- axes in another order --------------------------------------------------------------------


def _transpose(a, axes=None):
    return a.T if axes is None else a.transpose(axes)


def _inverse(axes):
    """The axes that undo a transposition: where each axis went."""
    axes = (axes,) if isinstance(axes, int) else axes
    inverse = [0] * len(axes)
    for place, axis in enumerate(axes):
        inverse[axis] = place
    return inverse


linear(
    np.transpose,
    run=_transpose,
    also=(np.permute_dims,),
    transpose=lambda g, axes: g.T if axes is None else g.transpose(_inverse(axes)),
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(2, 3, 4), (1, 2, 0)),
        r(r.real(2, 3, 4), axes=[-1, 0, 1]),
        r(r.real()),
    ],
)
linear(np.matrix_transpose, run=lambda x: x.mT, transpose=lambda g: g.mT,
       sample=lambda r: [r(r.real(3, 4)), r(r.real(2, 3, 4)), r(r.real(0, 2))])  # fmt: skip
linear(
    np.swapaxes,
    run=lambda a, axis1, axis2: a.swapaxes(axis1, axis2),
    transpose=lambda g, axis1, axis2: g.swapaxes(axis1, axis2),
    sample=lambda r: [r(r.real(3, 4), 0, 1), r(r.real(2, 3, 4), 0, axis2=-1)],
)
linear(
    np.moveaxis,
    transpose=lambda g, source, destination: np.moveaxis(g, destination, source),
    sample=lambda r: [
        r(r.real(2, 3, 4), 0, -1),
        r(r.real(2, 3, 4), (0, 2), (1, 0)),
        r(r.real(2, 3, 4), source=-1, destination=0),
    ],
)


@composite(np.rollaxis, sample=lambda r: [r(r.real(2, 3, 4), 2), r(r.real(2, 3, 4), 0, 3), r(r.real(2, 3, 4), -2, -1)])
def rollaxis(a, axis, start=0):
    """The axis moved back until it lies before `start`."""
    # NumPy's own function works out the order, on an array that has an axis per axis and no entries.
    places = np.rollaxis(np.empty(range(a.ndim)), axis, start).shape
    return np.transpose(a, places)


_BOTH_AXES = lambda r: [r(r.real(3, 4)), r(r.real(2, 3, 4))]
linear(np.flipud, transpose=lambda g: np.flipud(g), sample=_BOTH_AXES)
linear(np.fliplr, transpose=lambda g: np.fliplr(g), sample=_BOTH_AXES)
linear(
    np.flip,
    transpose=lambda g, axis: np.flip(g, axis),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), -1), r(r.real(2, 3, 4), axis=(0, 2)), r(r.real())],
)
linear(
    np.rot90,
    transpose=lambda g, k, axes: np.rot90(g, -k, axes),
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), 2), r(r.real(2, 3, 4), k=-1, axes=(2, 0))],
)
linear(
    np.roll,
    fresh=True,
    transpose=lambda g, shift, axis: np.roll(g, np.negative(shift), axis),
    sample=lambda r: [
        r(r.real(3, 4), 5),
        r(r.real(3, 4), -1, axis=0),
        r(r.real(3, 4), (1, 2), axis=(0, -1)),
        r(r.real(3, 4), 2, (0, 1)),
        r(r.real(0), 1),
    ],
)

# -- windows ----------------------------------------------------------------------------------


def _overlap_add(windows, length, axis):
    """The sum of windows that overlap, each from its place along the axis on."""
    count, width = windows.shape[axis], windows.shape[-1]
    out = np.zeros((*windows.shape[:axis], length, *windows.shape[axis + 1 : -1]), windows.dtype)
    before = (slice(None),) * axis
    # One pass per place in the window or per window, whichever are fewer.
    if width <= count:
        for i in range(width):
            out[(*before, slice(i, i + count))] += windows[..., i]
    else:
        windows = np.moveaxis(windows, -1, axis + 1)
        for i in range(count):
            out[(*before, slice(i, i + width))] += windows[(*before, i)]
    return out


_windows = linear(
    lambda x, width, axis: np.lib.stride_tricks.sliding_window_view(x, width, axis),
    transpose=lambda g, shape, axis: _overlapped(g, shape[axis], axis),
    name="windows",
    fresh=True,
)
_overlapped: Any = linear(
    _overlap_add,
    transpose=lambda g, shape, axis: _windows(g, shape[-1], axis),
    name="overlap_add",
)


@composite(
    np.lib.stride_tricks.sliding_window_view,
    sample=lambda r: [
        r(r.real(6), 3),
        r(r.real(6), 5),
        r(r.real(3, 4), (2, 3)),
        r(r.real(3, 4), 2, axis=-1),
        r(r.real(3, 4, 2), (2, 2), axis=(1, 0)),
        r(r.real(7), (2, 3), axis=(0, 0)),
        r(r.real(4, 2), window_shape=4, axis=0),
        r(r.real(), ()),
    ],
)
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """All windows of a shape, read-only; the gradient of an entry is the sum over those it lies in."""
    if writeable:
        raise InPlaceError(
            f"sliding_window_view(..., writeable=True) of shape {np.shape(x)}: writes into a window would reach its "
            "neighbours, and the tape cannot follow a write.  Leave writeable= away, and make new tensors."
        )
    widths = (window_shape,) if np.ndim(window_shape) == 0 else tuple(window_shape)
    axes = range(x.ndim) if axis is None else (axis,) if np.ndim(axis) == 0 else axis
    if len(widths) != len(axes):
        raise ValueError(
            f"sliding_window_view takes a width per axis: {widths} do not fit axes {tuple(axes)}.  Name as many axes "
            "as widths in axis=."
        )
    ndim = x.ndim
    for width, i in zip(widths, axes, strict=True):
        x = _windows(x, width, range(ndim)[i])
    return x


# -- another dtype ----------------------------------------------------------------------------

_cast = linear(lambda x, dtype, **options: x.astype(dtype, **options), transpose=lambda g: g, name="astype")


@composite(
    np.astype,
    sample=lambda r: [r(r.real(3, 4), np.float64), r(r.positive(3), np.int64)],
)
def astype(x, dtype, **options):
    """`x` in another dtype; a plain array if that dtype cannot carry a gradient."""
    if np.dtype(dtype).kind in "fc":
        return _cast(x, dtype, **options)
    return bare(x).astype(dtype, **options)


# The method of a tensor and the engine find it by this name: NumPy's function of it is newer.
RULES["astype"] = RULES[np.astype]


# -- about an array ---------------------------------------------------------------------------

_ONE = lambda r: [r(r.real(2, 3)), r(r.real())]
_TWO = lambda r: [r(r.real(2), r.real(2))]
constant(np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.isrealobj, np.iscomplexobj, sample=_ONE)
constant(np.empty_like, sample=lambda r: [r(r.real(0, 3))])
constant(np.may_share_memory, np.shares_memory, np.result_type, sample=_TWO)
constant(np.can_cast, sample=lambda r: [r(r.real(2), np.float32)])
constant(np.array_repr, np.array_str, np.array2string, sample=_ONE)


@composite(np.full_like, sample=lambda r: [r(r.real(2, 3), 2.5), r(r.real(2), r.real()), r(r.real(2, 3), r.real(3))])
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """An array of one value with the shape and dtype of `a`; the gradient goes to the value."""
    a = bare(a)
    if next(find_tensors((fill_value,)), None) is None:
        return np.full_like(a, fill_value, dtype, order, shape=shape)
    filled = np.broadcast_to(fill_value, np.shape(a) if shape is None else shape)
    return RULES["astype"](filled, np.asarray(a).dtype if dtype is None else dtype)
