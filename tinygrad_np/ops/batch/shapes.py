"""Functions that move, join and pick entries."""

from __future__ import annotations

import math
from types import EllipsisType, NoneType

import numpy as np

from ...engine.batched import Batched
from ...errors import BatchError
from .. import index, pad
from .arguments import aligned, bound, is_batch, length, lengthened, rule, shifted

# -- shapes ---------------------------------------------------------------------------------------


@rule(np.reshape)
def _reshape(function, level, args, options):
    call = bound(function, args, options)
    if call.get("order", "C") != "C":
        raise BatchError("np.reshape has no rule for a batch with order= other than 'C'.")
    a, shape = call["a"], call["shape"]
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if -1 in shape:
        known = -math.prod(shape)
        shape = tuple([a.size // known if s == -1 else s for s in shape])
    if math.prod(shape) != a.size:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {shape}")
    return np.reshape(a.value, (a.value.shape[0], *shape))


@rule(np.ravel)
def _ravel(function, level, args, options):
    call = bound(function, args, options)
    return _reshape(np.reshape, level, (call["a"], (-1,)), {"order": call.get("order", "C")})


@rule(np.transpose, np.permute_dims)
def _transpose(function, level, args, options):
    a, axes = args[0], (*args[1:], *options.values())
    axes = axes[0] if axes and axes[0] is not None else tuple(range(a.ndim))[::-1]
    return np.transpose(a.value, (0, *shifted(tuple(axes), a.ndim)))


@rule(np.swapaxes, np.moveaxis)
def _two_axes(function, level, args, options):
    a, one, other = bound(function, args, options).values()
    return function(a.value, shifted(one, a.ndim), shifted(other, a.ndim))


@rule(pad._zero_pad)
def _zero_pad(function, level, args, options):
    array, widths = args
    return function(array.value, [(0, 0), *widths])


@rule(np.expand_dims)
def _expand_dims(function, level, args, options):
    a, axis = bound(function, args, options).values()
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return function(a.value, shifted(tuple(axes), a.ndim + len(axes)))


@rule(np.squeeze)
def _squeeze(function, level, args, options):
    call = bound(function, args, options)
    a, axis = call["a"], call.get("axis")
    if axis is None:
        axis = tuple([i for i, n in enumerate(a.shape) if n == 1])
    return function(a.value, shifted(axis, a.ndim))


@rule(np.broadcast_to)
def _broadcast_to(function, level, args, options):
    a, shape = bound(function, args, options).values()
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return np.broadcast_to(aligned(a, level, len(shape)), (a.value.shape[0], *shape))


@rule(np.diagonal, np.trace)
def _diagonal(function, level, args, options):
    call = bound(function, args, options)
    a = call.pop("a")
    axes = {name: shifted(call.pop(name, k), a.ndim) for k, name in enumerate(("axis1", "axis2"))}
    return function(a.value, **axes, **call)


@rule(np.flipud, np.fliplr)
def _flipped(function, level, args, options):
    return np.flip(args[0].value, 1 if function is np.flipud else 2)


@rule(np.atleast_1d, np.atleast_2d, np.atleast_3d)
def _at_least(function, level, args, options):
    if len(args) != 1:
        raise BatchError(f"np.{function.__name__} has no rule for a batch of several arrays.")
    shape = function(np.broadcast_to(np.zeros(()), args[0].shape)).shape
    return args[0].value.reshape((args[0].value.shape[0], *shape))


@rule(index._put_diagonal)
def _put_diagonal(function, level, args, options):
    values_, into, offset, axis1, axis2 = bound(function, args, options).values()
    n, ndim = values_.value.shape[0], len(into)
    return function(values_.value, (n, *into), offset, shifted(axis1, ndim), shifted(axis2, ndim))


# -- joining and splitting ------------------------------------------------------------------------


@rule(np.concatenate, np.concat, np.stack)
def _joined(function, level, args, options):
    call = bound(function, args, options)
    first, arrays = next(iter(call.items()))
    n = length([arrays], level)
    whole = [lengthened(x, level, n) for x in arrays]
    axis = call.pop("axis", 0)
    call.pop(first)
    if axis is None:
        return function([x.reshape(n, -1) for x in whole], axis=1, **call)
    return function(whole, axis=shifted(axis, whole[0].ndim - (function is not np.stack)), **call)


@rule(np.split, np.array_split)
def _split(function, level, args, options):
    call = bound(function, args, options)
    ary = call["ary"]
    return function(ary.value, call["indices_or_sections"], shifted(call.get("axis", 0), ary.ndim))


@rule(np.unstack)
def _unstack(function, level, args, options):
    return function(args[0].value, axis=shifted(options.get("axis", 0), args[0].ndim))


# -- picking entries ------------------------------------------------------------------------------

_SCALAR = (int, np.integer)


@rule("getitem", index.getitem)
def _getitem(function, level, args, options):
    x, where = args
    if not is_batch(where, level):
        whole = x.value[_with_examples(where)]
        return np.moveaxis(whole, _examples_axis(where), 0)
    # An index of its own for each example.
    if not is_batch(x, level):
        return x[where.value]
    rows = np.arange(where.value.shape[0]).reshape((-1, *[1] * where.ndim))
    if where.dtype.kind == "b":
        raise BatchError("a mask picks another number of entries from each example.")
    return x.value[rows, where.value]


@rule(index.scatter)
def _scatter(function, level, args, options):
    values_, where, into = args
    if is_batch(where, level):
        raise BatchError("entries are put to places of their own in each example.")
    whole = np.moveaxis(values_.value, 0, _examples_axis(where))
    return index.scatter(whole, _with_examples(where), (values_.value.shape[0], *into))


def _parts(where):
    parts = where if isinstance(where, tuple) else (where,)
    if any(type(part) is Batched for part in parts):
        raise BatchError("an index of one's own for each example has no rule among others.")
    return parts


def _with_examples(where):
    return (slice(None), *_parts(where))


def _examples_axis(where):
    """Where the axis of the examples ends up: behind those of index arrays that do not stand together."""
    parts = _parts(where)
    if not any(not isinstance(p, (*_SCALAR, slice, NoneType, EllipsisType)) for p in parts):
        return 0
    picking = [i for i, p in enumerate(parts) if not isinstance(p, slice | NoneType | EllipsisType)]
    if picking == list(range(picking[0], picking[-1] + 1)):
        return 0
    arrays = [np.asarray(parts[i]) for i in picking]
    return np.broadcast(*[x if x.dtype.kind != "b" else x.nonzero()[0] for x in arrays]).ndim
