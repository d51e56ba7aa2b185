"""Choosing among entries and arrays by conditions and numbers; leaving out and putting in."""

from __future__ import annotations

import numpy as np

from ..engine.door import bare, converted
from ..engine.op import composite
from ..errors import ShapeError
from .index import take_once
from .reduce import along, axes_of, operand


@composite(
    np.compress,
    sample=lambda r: [r([True, False, True], r.real(3, 4), 0), r(r.mask(4), r.real(3, 4), axis=-1),
                      r([False, True], r.real(3, 4))],
)  # fmt: skip
def compress(condition, a, axis=None):
    """The slices along the axis for which the condition holds."""
    condition = np.asarray(bare(condition))
    if condition.ndim != 1:
        raise ShapeError(
            f"np.compress takes a condition with one axis, one entry per slice, and this one has shape "
            f"{condition.shape}.  Write a[condition] for a mask over several axes."
        )
    return np.take(a, np.flatnonzero(condition), axis)


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
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"np.select takes a choice per condition, not {len(choicelist)} for {len(condlist)}.  Give the default "
            "apart."
        )
    for i, condition in enumerate(condlist):
        if np.asarray(bare(condition)).dtype != bool:
            raise TypeError(f"condition {i} of np.select is not boolean.  Write a comparison, as in x != 0.")
    chosen = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        chosen = np.where(condition, choice, chosen)
    return chosen


def _flat_without_axis(arr, axis):
    """NumPy's reading of a missing axis: that of the flattened array."""
    arr = operand(arr)
    return (np.ravel(arr), 0) if axis is None else (arr, axes_of(axis, arr.ndim)[0])


@composite(
    np.delete,
    sample=lambda r: [
        r(r.real(3, 4), 1, 0),
        r(r.real(3, 4), [0, -1, 0], axis=-1),
        r(r.real(3, 4), slice(2, 9, 3)),
        r(r.real(3, 4), r.mask(4), axis=1),
        r(r.real(3), []),
    ],
)
def delete(arr, obj, axis=None):
    """The array without some of its slices along the axis."""
    arr, axis = _flat_without_axis(arr, axis)
    return take_once(arr, along(axis, np.delete(np.arange(arr.shape[axis]), bare(obj))))


@composite(
    np.insert,
    sample=lambda r: [
        r(r.real(3, 4), 1, r.real(4), 0),
        r(r.real(3, 4), 2, r.real(3), axis=1),
        r(r.real(3, 4), -1, 0.5, axis=-1),
        r(r.real(3, 4), [1], r.real(3, 2), axis=1),
        r(r.real(3, 4), [0, 2, 2], r.real(3, 3), axis=1),
        r(r.real(3, 4), slice(0, 3, 2), r.real(2)),
        r(r.real(3, 4), r.mask(3), r.real(2, 1), axis=0),
        r(r.real(4), [3, -1, 0], r.real(3)),
        r(r.real(2), 1, r.real(3)),
    ],
)
def insert(arr, obj, values, axis=None):
    """The array with values put in before some of its slices along the axis."""
    arr, axis = _flat_without_axis(arr, axis)
    places = _places(bare(obj), arr.shape[axis])
    values = operand(values)
    values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
    if places.ndim == 0:
        values = np.moveaxis(values, 0, axis)
    count = values.shape[axis] if places.size == 1 else places.size
    block = np.broadcast_to(values, (*arr.shape[:axis], count, *arr.shape[axis + 1 :]))
    # NumPy itself says where each slice of the two goes, on their numbers.
    order = np.insert(np.arange(arr.shape[axis]), places, arr.shape[axis] + np.arange(count))
    both = np.concatenate([arr, converted(block, arr.dtype, "np.insert", "unsafe")], axis)
    return take_once(both, along(axis, order))


def _places(obj, length):
    if isinstance(obj, slice):
        return np.arange(length)[obj]
    obj = np.asarray(obj)
    return np.flatnonzero(obj) if obj.dtype.kind == "b" else obj.astype(int)
