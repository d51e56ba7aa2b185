"""Sorted entries, distinct entries and sets: the gradient goes back to where each entry stood."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.door import RULES, bare
from ..engine.op import composite, constant, linear
from .index import take_once
from .reduce import operand

# -- permutations -------------------------------------------------------------------------------
# No entry is picked twice, so the transpose can write where a general one would have to add.


def _put_back(a, order, axis):
    out = np.empty(a.shape, a.dtype)
    np.put_along_axis(out, order, a, axis)
    return out


_permuted = linear(
    lambda a, order, axis: np.take_along_axis(a, order, axis),
    transpose=lambda g, order, axis: _put_in_place(g, order, axis),
    name="permuted",
    fresh=True,
)
_put_in_place: Any = linear(_put_back, transpose=lambda g, order, axis: _permuted(g, order, axis), name="put_in_place")


def _rearranged(a, axis, order_of, sorted_as):
    """`a` in the order that `order_of(array, axis)` gives, or simply sorted where no gradient asks for an order."""
    if not getattr(a, "requires_grad", False):
        return sorted_as(bare(a), axis)
    if axis is None:
        a, axis = np.ravel(a), -1
    return _permuted(a, order_of(bare(a), axis), axis) if a.ndim else sorted_as(a.data, axis)


# -- sorting ------------------------------------------------------------------------------------


@composite(
    np.sort,
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(3, 4), 0),
        r(r.real(3, 4), axis=None),
        r(r.real(2, 3, 4), axis=1, kind="stable"),
        r(r.real(5), kind="heapsort"),
        r(r.real(5), stable=True),
        r(r.real(), axis=None),
        r(r.real(0)),
    ],
)
def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    """The entries in ascending order along the axis; the gradient goes back to where each one stood."""
    return _rearranged(
        operand(a),
        axis,
        lambda x, axis: np.argsort(x, axis, kind, order, stable=stable),
        lambda x, axis: np.sort(x, axis, kind, order, stable=stable),
    )


@composite(
    np.partition,
    sample=lambda r: [r(r.real(7), 3), r(r.real(4, 5), (1, 2), axis=0), r(r.real(2, 3), 2, axis=None)],
)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """The entries with those of rank `kth` in their sorted place, smaller before, larger behind."""
    return _rearranged(
        operand(a),
        axis,
        lambda x, axis: np.argpartition(x, kth, axis, kind, order),
        # By its order too: which entries come first among the smaller ones must not depend on requires_grad.
        lambda x, axis: np.take_along_axis(x, np.argpartition(x, kth, axis, kind, order), axis),
    )


@composite(np.sort_complex, sample=lambda r: [r(r.real(5)), r(r.complex(2, 4))])
def sort_complex(a):
    """The entries in ascending order along the last axis, as complex numbers."""
    a = np.sort(operand(a))
    return a if a.dtype.kind == "c" else RULES["astype"](a, np.result_type(a.dtype, np.complex128))


# -- distinct entries ---------------------------------------------------------------------------


@composite(
    np.unique,
    sample=lambda r: [
        r(r.real(3, 4)),
        r(np.array([2.0, 1.0, 3.0]), return_index=True, return_inverse=True, return_counts=True),
        r(r.real(2, 3), False, True),
        r(r.real(2, 3), return_counts=True, axis=1),
        r(r.real(3, 2), axis=0),
        r(r.real(4), return_index=True, equal_nan=False),
        r(r.real()),
        r(r.real(0)),
    ],
)
def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, **options):
    """The distinct entries, ascending; the gradient goes to the first of those that are equal."""
    _, index, *others = np.unique(bare(ar), True, return_inverse, return_counts, axis, **options)
    values = np.take(ar, index, axis) if axis is not None else take_once(np.ravel(ar), index)
    results = (values, index, *others) if return_index else (values, *others)
    return results if len(results) > 1 else values


def _distinct(function):
    """Declare one of the functions of the array API standard: its values are picked entries."""

    def picked(x, /):
        found = function(bare(x))
        several = isinstance(found, tuple)
        values = found.values if several else found
        _, index = np.unique(bare(x), return_index=True, equal_nan=False)
        # NumPy promises no order here; this is where each of its values stands among the sorted ones.
        rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
        entries = take_once(np.ravel(x), index[rank])
        return found._replace(values=entries) if several else entries

    # The order of unique_values of complex numbers jumps about with their last digits.
    sizes = [()] if function is np.unique_values else [(2, 3), (4,), ()]
    composite(function, sample=lambda r: [r(r.real(*size)) for size in sizes])(picked)


for _function in (np.unique_values, np.unique_counts, np.unique_inverse, np.unique_all):
    _distinct(_function)

# -- sets ---------------------------------------------------------------------------------------

_A, _B = np.array([3.0, 1.0, 2.0, 5.0]), np.array([[2.0, 7.0], [5.0, 2.0]])


@composite(np.union1d, sample=lambda r: [r(r.real(4), r.real(2, 3)), r(_A, np.array([4.0, 6.0]))])
def union1d(ar1, ar2):
    """The distinct entries of both, ascending."""
    return np.unique(np.concatenate([ar1, ar2], axis=None))


@composite(np.intersect1d, sample=lambda r: [r(_A, np.array([9.0, 8.0])), r(r.real(3), r.positive(4) + 2, True)])
def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """The entries of the first that are in the second too, ascending."""
    _, first, second = np.intersect1d(bare(ar1), bare(ar2), assume_unique, True)
    values = take_once(np.ravel(ar1), first)
    return (values, first, second) if return_indices else values


@composite(np.setdiff1d, sample=lambda r: [r(r.real(3, 2), r.positive(4) + 2), r(r.real(4), r.positive(2) + 2, True)])
def setdiff1d(ar1, ar2, assume_unique=False):
    """The entries of the first that are not in the second."""
    values = np.ravel(ar1) if assume_unique else np.unique(ar1)
    return np.extract(np.isin(bare(values), bare(ar2), assume_unique=True, invert=True), values)


@composite(np.setxor1d, sample=lambda r: [r(r.real(4), r.real(3) / 7), r(r.real(4), r.positive(2) + 2, True)])
def setxor1d(ar1, ar2, assume_unique=False):
    """The entries that are in one of the two only, ascending."""
    parts = [np.ravel(x) if assume_unique else np.unique(x) for x in (ar1, ar2)]
    values = np.sort(np.concatenate(parts))
    plain = bare(values)
    differs = np.concatenate([[True], plain[1:] != plain[:-1], [True]])
    return np.extract(differs[1:] & differs[:-1], values) if plain.size else values


# -- where entries are --------------------------------------------------------------------------

constant(np.argsort, np.lexsort, sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=0)])
constant(np.argpartition, sample=lambda r: [r(r.real(7), 3), r(r.real(3, 5), 2, axis=0)])
constant(np.searchsorted, np.digitize, sample=lambda r: [r(np.array([-1.0, 0.0, 1.0]), np.array([-1.0, 0.0, 1.0]))])
constant(np.isin, sample=lambda r: [r(np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0]))])
