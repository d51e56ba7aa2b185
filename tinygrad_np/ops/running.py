"""Running sums and products, differences, and reductions that skip nan."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.door import RULES, bare, converted
from ..engine.op import composite, linear, op
from .reduce import along, operand, ufunc_method

# -- running sums and products ------------------------------------------------------------------


def sum_from(g: Any, axis: int) -> Any:
    """From each entry the sum to the end: the transpose of a running sum."""
    # In half precision a sum of equal terms stops growing after 2048 of them.
    wide = np.float32 if g.dtype == np.float16 else None
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis, dtype=wide), axis)


def _accumulations(r):
    return [
        r(r.real(3, 4)),
        r(r.real(3, 4), axis=0),
        r(r.real(3, 4), -1),
        r(r.real(2, 3, 2), axis=1),
        r(r.real()),
        r(r.real(0, 2), axis=0),
        r(r.real(1)),
    ]


linear(
    np.cumsum,
    run=lambda a, axis=None, dtype=None, out=None: np.asarray(a).cumsum(axis, dtype),
    transpose=lambda g, shape, axis: sum_from(g, 0 if axis is None else axis).reshape(shape),
    sample=_accumulations,
)


def _shifted(x, width):
    """The entries `width` places further along the last axis, and zeros after the end."""
    zeros = np.zeros((*x.shape[:-1], width), x.dtype)
    return np.concatenate([x[..., width:], zeros], axis=-1)


def pulled_through(g: Any, factor: Any) -> Any:
    """The gradients s of running results along the last axis: s[i] = g[i] + factor[i] * s[i + 1].

    `factor[i]` is the derivative of result i + 1 with respect to result i.  The recurrence is solved in
    log(n) steps over windows of doubling width, without dividing, so that zeros do no harm.
    """
    if g.shape[-1] < 2:
        return g
    total, factor = g, np.concatenate([factor, np.zeros((*g.shape[:-1], 1), g.dtype)], axis=-1)
    width = 1
    while width < g.shape[-1]:
        total = total + factor * _shifted(total, width)
        factor = factor * _shifted(factor, width)
        width *= 2
    return total


def _cumprod_vjp(g, a, out, shape, axis):
    """d/da[i] = (product before i) * s[i], where s[i] = g[i] + a[i + 1] * s[i + 1]."""
    if not g.size:
        return g.reshape(shape)
    if axis is None:
        a, axis = a.reshape(-1), 0
    # Where no product is 0, or has lost digits on the way to 0, dividing is exact and takes one pass.
    if np.abs(bare(out)).min() > np.finfo(out.dtype).tiny:
        slope = sum_from(g * out, axis) / a
        # A view would be copied by the walk.
        return slope if slope.shape == shape else slope.reshape(shape)
    a, out, g = (np.moveaxis(x, axis, -1) for x in (a, out, g))
    before = np.concatenate([np.ones((*a.shape[:-1], 1), a.dtype), out[..., :-1]], axis=-1)
    return np.moveaxis(before * pulled_through(g, a[..., 1:]), -1, axis).reshape(shape)


op(
    np.cumprod,
    a=_cumprod_vjp,
    fresh=True,
    sample=lambda r: [
        *_accumulations(r),
        *[r(r.real(3, 4) * ([1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 1]), axis=axis) for axis in (1, 0, None)],
    ],
)


def _accumulate_as(ufunc, function):
    @ufunc_method(ufunc, "accumulate", sample=lambda r: [r(r.real(3, 4)), r(r.real(2, 3), -1), r(r.real(3), axis=0)])
    def accumulate(array, axis=0, dtype=None, out=None):
        return RULES[function](array, axis, dtype)


_accumulate_as(np.add, np.cumsum)
_accumulate_as(np.multiply, np.cumprod)


def _cumulative_as(function, running, start):
    @composite(
        function,
        sample=lambda r: [
            r(r.real(4)),
            r(r.real(3, 4), axis=0),
            r(r.real(3, 4), axis=-1, include_initial=True),
        ],
    )
    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        if axis is None and x.ndim > 1:
            raise ValueError(
                f"a running sum or product of an array of {x.ndim} axes, shape {x.shape}, needs to know along which.  "
                "Write axis=0."
            )
        axis = axis or 0
        result = running(x, axis=axis, dtype=dtype)
        if not include_initial:
            return result
        shape = list(result.shape)
        shape[axis] = 1
        return np.concatenate([np.full(shape, start, result.dtype), result], axis=axis)


_cumulative_as(np.cumulative_sum, np.cumsum, 0)
_cumulative_as(np.cumulative_prod, np.cumprod, 1)


# -- differences --------------------------------------------------------------------------------


def _edge(value, shape, axis):
    """What is joined on by prepend= or append=: a number stands for one entry per lane."""
    value = operand(value)
    return value if value.ndim else np.broadcast_to(value, (*shape[:axis], 1, *shape[axis + 1 :]))


@composite(
    np.diff,
    sample=lambda r: [
        r(r.real(5)),
        r(r.real(3, 4), axis=0),
        r(r.real(3, 4), 2),
        r(r.real(3, 4), n=0),
        r(r.real(3), n=4),
        r(r.real(3, 4), prepend=0.5, append=r.real(3, 2)),
        r(r.real(2, 3), axis=0, append=r.real()),
    ],
)
def diff(a, n=1, axis=-1, prepend=np._NoValue, append=np._NoValue):
    """The n-th differences of neighbours along an axis."""
    if n < 0:
        raise ValueError(f"np.diff takes differences n times, and n={n} is negative.  np.cumsum undoes one.")
    a = operand(a)
    if n == 0:
        return a
    axis %= a.ndim
    before = [_edge(prepend, a.shape, axis)] if prepend is not np._NoValue else []
    after = [_edge(append, a.shape, axis)] if append is not np._NoValue else []
    if before or after:
        a = np.concatenate([*before, a, *after], axis=axis)
    for _ in range(n):
        later, earlier = a[along(axis, slice(1, None))], a[along(axis, slice(-1))]
        a = later != earlier if a.dtype == bool else later - earlier
    return a


@composite(
    np.ediff1d,
    sample=lambda r: [r(r.real(2, 3)), r(r.real(4), r.real(2), 0.5), r(r.real(3), to_begin=r.real(1, 2))],
)
def ediff1d(ary, to_end=None, to_begin=None):
    """The differences of neighbours in the flat array."""
    ary = operand(ary).reshape(-1)
    parts = [to_begin, ary[1:] - ary[:-1], to_end]
    parts = [operand(part).reshape(-1) for part in parts if part is not None]
    return converted(np.concatenate(parts), ary.dtype, "np.ediff1d") if len(parts) > 1 else parts[0]


@composite(
    np.trapezoid,
    sample=lambda r: [
        r(r.real(5)),
        r(r.real(3, 4), axis=0, dx=0.5),
        r(r.real(3, 4), r.real(4)),
        r(r.real(3, 4), r.real(3), axis=0),
        r(r.real(3, 4), r.real(3, 4)),
    ],
)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral along an axis by the trapezoidal rule."""
    y = operand(y)
    axis %= y.ndim
    if x is not None:
        x = operand(x)
        dx = np.diff(x).reshape((-1,) + (1,) * (y.ndim - axis - 1)) if x.ndim == 1 else np.diff(x, axis=axis)
    sums = y[along(axis, slice(1, None))] + y[along(axis, slice(-1))]
    return np.sum(dx * sums / 2, axis=axis)


@composite(np.ptp, sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=0), r(r.real(3, 4), 1, keepdims=True)])
def ptp(a, axis=None, out=None, keepdims=False):
    """The largest entry minus the smallest."""
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# -- skipping nan -------------------------------------------------------------------------------


def _whole(r):
    return [
        r(r.real(3, 4)),
        r(r.real(3, 4), axis=0),
        r(r.real(3, 4), axis=-1, keepdims=True),
        r(r.real(2, 3, 4), axis=(0, 2)),
    ]


def _filled(a, value):
    """Without nan before the function sees it: behind it, nan times a zero slope would be nan."""
    return np.where(np.isnan(a), value, a)


@composite(np.nansum, sample=_whole)
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    """The sum of the entries that are not nan."""
    return np.sum(_filled(a, 0), axis=axis, dtype=dtype, keepdims=keepdims, **options)


@composite(np.nanprod, sample=_whole)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    """The product of the entries that are not nan."""
    return np.prod(_filled(a, 1), axis=axis, dtype=dtype, keepdims=keepdims, **options)


def _skipping(function, reduction):
    """A mean or a spread over the entries that are not nan."""

    @composite(function, sample=_whole)
    def skipping(a, axis=None, dtype=None, out=None, *args, where=True, **options):
        present = ~np.isnan(bare(a)) & where
        return reduction(_filled(a, 0), axis, dtype, None, *args, where=present, **options)


_skipping(np.nanmean, np.mean)
_skipping(np.nanvar, np.var)
_skipping(np.nanstd, np.std)


def _skipping_extreme(function, reduction, worst):
    @composite(function, sample=_whole)
    def skipping(a, axis=None, out=None, keepdims=False, **options):
        missing = np.isnan(bare(a))
        # A lane of nothing but nan keeps them, and so its result is nan.
        missing = missing & ~missing.all(axis=axis, keepdims=True)
        return reduction(np.where(missing, worst, a), axis=axis, keepdims=keepdims, **options)


_skipping_extreme(np.nanmax, np.max, -np.inf)
_skipping_extreme(np.nanmin, np.min, np.inf)
