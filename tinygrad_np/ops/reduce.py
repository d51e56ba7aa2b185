"""Functions that reduce along axes: sums, products, means, spreads, and the methods of ufuncs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.call import as_array
from ..engine.door import RULES, bare, converted, is_batch
from ..engine.op import composite, constant, linear, op
from ..engine.tensor import Tensor
from .kinks import taken

# Bound once: two look-ups less in the most frequent reductions.
_add_reduce: Any = np.add.reduce
_multiply_reduce: Any = np.multiply.reduce

_SMALL = 4096
"""Up to this many entries, filling an array is cheaper than making a broadcast view of one."""


# -- spreading: the transpose of every sum -----------------------------------------------------


def _spread(a, to, axis=None, keepdims=False):
    if axis is not None and not keepdims:
        a = a.reshape(_kept_shape(to, axis))
    if math.prod(to) > _SMALL:
        return np.broadcast_to(a, to)
    out = np.empty(to, a.dtype)
    out[...] = a
    return out


_recorded_spread = linear(
    _spread,
    transpose=lambda g, axis, keepdims: np.sum(g, axis=axis, keepdims=keepdims),
    sample=lambda r: [
        r(r.real(), (2, 3)),
        r(r.real(3), (2, 3), 0),
        r(r.real(2, 1, 1), (2, 3, 4), (-1, 1), True),
        r(r.real(1, 1), (80, 60), keepdims=True),
    ],
)


def spread(a: Any, to: tuple[int, ...], axis: Any = None, keepdims: bool = False) -> Any:
    """What was reduced over `axis`, repeated along it: the transpose of `np.sum`, of shape `to`.

    Small results are arrays of their own, big ones read-only broadcast views.

    >>> import numpy as np
    >>> from tinygrad_np.ops.reduce import spread
    >>> spread(np.array([1.0, 2.0]), (2, 3), axis=1)
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    # Most rules of this file call it: on arrays it must not pay for what recording needs.
    plain = isinstance(a, np.ndarray | np.generic)
    return _spread(a, to, axis, keepdims) if plain else _recorded_spread(a, to, axis, keepdims)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The reduced axes, counted from the front."""
    if axis is None or not ndim:
        return tuple(range(ndim))
    return tuple([i % ndim for i in (axis if isinstance(axis, tuple) else (axis,))])


def along(axis: int, part: Any) -> tuple:
    """The index of a part of one axis, and of all that lies on the others."""
    return (slice(None),) * axis + (part,)


def _kept_shape(shape, axis):
    """`shape` with length 1 along the reduced axes."""
    if type(axis) is int and shape:
        axis %= len(shape)
        return (*shape[:axis], 1, *shape[axis + 1 :])
    axes = axes_of(axis, len(shape))
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def operand(value: Any) -> Any:
    """A tensor as it is, anything else as an array that can stand beside one."""
    return value if isinstance(value, Tensor) else as_array(value)


# -- sums ---------------------------------------------------------------------------------------


def _sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
    if where is True and initial is np._NoValue:
        return _add_reduce(a, axis, dtype, None, bool(keepdims))
    return _add_reduce(a, axis, dtype, None, bool(keepdims), initial, where)


def _sum_vjp(g, shape, axis, keepdims, where):
    g = spread(g, shape, axis, keepdims)
    return g if where is True else taken(g, where)


def _reductions(r):
    """Calls of anything with axis=, keepdims= and where=."""
    return [
        r(r.real(3, 4)),
        r(r.real(3, 4), axis=0),
        r(r.real(3, 4), -1, keepdims=True),
        r(r.real(2, 3, 4), axis=(0, -1)),
        r(r.real(2, 3, 4), axis=(2, 0), keepdims=True),
        r(r.real(2, 3), axis=None, keepdims=True),
        r(r.real(2, 4), axis=1, where=r.mask(2, 4)),
        r(r.real(3, 2), where=np.array([[True], [False], [True]])),
    ]


def _with_single_entries(r):
    return [*_reductions(r), r(r.real()), r(r.real(1, 1), axis=0)]


def _large_too(r):
    return [*_with_single_entries(r), r(r.real(70, 60), axis=1), r(r.real(70, 60))]


# Not `linear`: with initial= it is affine, and forward mode must not add `initial` to a tangent.
op(
    np.sum,
    run=_sum,
    a=_sum_vjp,
    jvps={
        "a": lambda t, axis, dtype, keepdims, where: np.sum(t, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    },
    sample=lambda r: [
        *_large_too(r),
        r(r.real(3, 4), axis=1, initial=2.0),
        r(r.real(3), dtype=np.float32),
        r(r.real(0, 3), axis=0),
        r(r.real(0)),
    ],
)


def _mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    if where is not True or dtype is not None or a.dtype.char not in "fdFD" or not a.size:
        return np.mean(a, axis, dtype, keepdims=keepdims, where=where)
    total = _add_reduce(a, axis, None, None, bool(keepdims))
    return total / (a.size // total.size)


def _count(shape, axis, keepdims, where):
    """How many entries go into each result: a number, or an array of them where a mask decides."""
    if where is True and axis is None:
        return math.prod(shape)
    if where is True:
        return math.prod([shape[i] for i in axes_of(axis, len(shape))])
    return _add_reduce(np.broadcast_to(where, shape), axis, int, None, bool(keepdims))


def _at_least(count, least):
    return max(count, least) if isinstance(count, int) else np.maximum(count, least)


def _mean_vjp(g, shape, axis, keepdims, where):
    # A factor, as the count itself can be too large for float16; a lane without entries has no gradient.
    return _sum_vjp(g * (1 / _at_least(_count(shape, axis, keepdims, where), 1)), shape, axis, keepdims, where)


linear(np.mean, run=_mean, transpose=_mean_vjp, sample=_large_too)


@composite(
    np.average,
    sample=lambda r: [
        r(r.real(3, 4)),
        r(r.real(3, 4), weights=r.positive(3, 4)),
        r(r.real(3, 4), 1, r.positive(4), True),
        r(r.real(2, 3, 4), axis=(2, 0), weights=r.positive(4, 2), keepdims=True),
        r(r.real(3, 4), axis=0, returned=True),
        r(r.real(2, 3), axis=1, weights=[1, 2, 3], returned=True),
    ],
)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """The mean, or with weights the weighted one."""
    a = operand(a)
    if weights is None:
        result = np.mean(a, axis=axis, keepdims=keepdims)
        total = np.full(result.shape, a.size / result.size, result.dtype)
    else:
        weights = aligned_weights(operand(weights), a.shape, axis)
        dtype = np.result_type(a.dtype, weights.dtype, *([] if a.dtype.kind in "fc" else [float]))
        total = np.sum(np.broadcast_to(weights, a.shape), axis=axis, keepdims=keepdims, dtype=dtype)
        if not bare(total).all():
            raise ZeroDivisionError(
                f"np.average over axis {axis} of shape {a.shape}: weights sum to zero, so there is no mean.  Leave "
                "such lanes away."
            )
        result = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (result, total) if returned else result


def aligned_weights(weights, shape, axis):
    """Weights for some axes, in a shape that broadcasts against all of them."""
    if weights.shape == shape:
        return weights
    axes = axes_of(axis, len(shape))
    if axis is None or weights.shape != tuple([shape[i] for i in axes]):
        raise ValueError(
            f"weights of shape {weights.shape} do not fit axis {axis} of shape {shape}.  Give one per entry, or per "
            "entry of it."
        )
    return weights.transpose(np.argsort(axes)).reshape([n if i in axes else 1 for i, n in enumerate(shape)])


# -- variance and standard deviation ------------------------------------------------------------


def _centred(a, axis, where, mean):
    deviation = a - (np.mean(a, axis=axis, keepdims=True, where=where) if mean is None else mean)
    return deviation if where is True else np.where(where, deviation, 0)


def _freedom(shape, axis, keepdims, where, ddof, correction):
    """What the sum of squares is divided by."""
    ddof = ddof if correction is None else correction
    count = _count(shape, axis, keepdims, where)
    return np.maximum(count - ddof, 0) if ddof else count


def _var_vjp(g, a, shape, axis, ddof, keepdims, where, mean, correction):
    slope = 2 * g / _freedom(shape, axis, keepdims, where, ddof, correction)
    return spread(slope, shape, axis, keepdims) * conjugate(_centred(a, axis, where, mean))


def _var_jvp(t, a, shape, axis, ddof, keepdims, where, mean, correction):
    total = np.sum(t * conjugate(_centred(a, axis, where, mean)), axis=axis, keepdims=keepdims)
    return 2 * total / _freedom(shape, axis, keepdims, where, ddof, correction)


def _divisor(a, out, axis, keepdims, where, mean):
    """The standard deviation, and infinity for lanes of equal entries: their gradient is then 0."""
    values, flat = bare(a), bare(out) == 0
    if mean is None:
        # Three times 0.1 has a deviation of 1e-17 by rounding; only comparing tells that it is 0.
        options = {"axis": axis, "keepdims": keepdims, "where": where}
        flat = flat | (np.max(values, initial=-np.inf, **options) == np.min(values, initial=np.inf, **options))
    return np.where(flat, np.inf, out)


def _std_vjp(g, a, out, shape, axis, ddof, keepdims, where, mean, correction):
    g = g / (2 * _divisor(a, out, axis, keepdims, where, mean))
    return _var_vjp(g, a, shape, axis, ddof, keepdims, where, mean, correction)


def _std_jvp(t, a, out, shape, axis, ddof, keepdims, where, mean, correction):
    variance = _var_jvp(t, a, shape, axis, ddof, keepdims, where, mean, correction)
    return variance / (2 * _divisor(a, out, axis, keepdims, where, mean))


def _spreads(r):
    x = r.real(2, 3)
    return [
        *_reductions(r),
        r(r.real(3, 4), axis=0, ddof=1),
        r(r.real(3, 4), axis=1, correction=1, keepdims=True),
        r(r.real(3, 4), axis=1, ddof=1, where=np.array([True, True, False, True])),
        r(x, axis=1, mean=x.mean(axis=1, keepdims=True).tolist()),
    ]


op(np.var, a=_var_vjp, fresh=True, jvps={"a": _var_jvp}, sample=_spreads)
op(np.std, a=_std_vjp, fresh=True, jvps={"a": _std_jvp}, sample=_spreads)


# -- products -----------------------------------------------------------------------------------


def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
    return _multiply_reduce(a, axis, dtype, None, bool(keepdims), initial, where)


def _others(x):
    """For each entry the product of all others along the last axis.

    Dividing the product by the entry would fail at zeros; so what comes before is multiplied by what
    comes after.
    """
    if not x.shape[-1]:
        return x
    ones = np.ones((*x.shape[:-1], 1), x.dtype)
    before = np.concatenate([ones, np.cumprod(x[..., :-1], axis=-1)], axis=-1)
    after = np.cumprod(x[..., :0:-1], axis=-1)[..., ::-1]
    return before * np.concatenate([after, ones], axis=-1)


def _prod_vjp(g, a, out, shape, axis, keepdims, initial, where):
    # Where no product is 0, nor has lost digits on the way to 0, dividing is exact and takes one pass.
    sizes = np.abs(bare(out))
    if (
        where is True
        and out.size
        and not is_batch(sizes)
        and np.finfo(out.dtype).tiny < sizes.min()
        and sizes.max() < np.inf
    ):
        return spread(g * out, shape, axis, keepdims) / a
    axes = axes_of(axis, len(shape))
    order = [i for i in range(len(shape)) if i not in axes] + list(axes)
    lanes = np.transpose(a if where is True else np.where(where, a, 1), order)
    flat = lanes.reshape((*lanes.shape[: len(shape) - len(axes)], math.prod([shape[i] for i in axes])))
    slope = np.transpose(_others(flat).reshape(lanes.shape), np.argsort(order))
    if initial is not None:
        slope = slope * initial
    return _sum_vjp(g, shape, axis, keepdims, where) * slope


op(
    np.prod,
    run=_prod,
    a=_prod_vjp,
    fresh=True,
    sample=lambda r: [
        *_with_single_entries(r),
        r(r.real(3, 4), axis=1, initial=2.0),
        r(r.real(0, 3), axis=0),
        *[r(r.real(3, 4) * ([1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 1]), axis=axis) for axis in (1, 0, None)],
    ],
)


# -- methods of ufuncs --------------------------------------------------------------------------


def ufunc_method(ufunc: np.ufunc, method: str, sample: Any) -> Any:
    """Declare what runs `ufunc.reduce(...)`, `.accumulate(...)` or `.outer(...)` on tensors."""

    def register(written):
        RULES[ufunc, method] = composite(getattr(ufunc, method), sample=sample)(written)
        return written

    return register


def recorded_method(ufunc: np.ufunc, method: str, run: Any, sample: Any, **rules: Any) -> None:
    """Declare a method of a ufunc that has a rule of its own: `run` computes it, the others are as for `op`."""
    recorded = op(run, name=f"{ufunc.__name__}.{method}", **rules)
    ufunc_method(ufunc, method, sample=sample)(lambda array, *args, **options: recorded(array, *args, **options))


def _reduce_as(ufunc, function):
    """`ufunc.reduce` is a function of NumPy, except that its axis is 0 by default."""

    @ufunc_method(
        ufunc,
        "reduce",
        sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=None, keepdims=True), r(r.real(2, 3), -1, initial=1.5)],
    )
    def reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        options = {"initial": initial} if initial is not np._NoValue else {}
        if dtype is not None:
            array = converted(operand(array), dtype, f"np.{ufunc.__name__}.reduce", "unsafe")
        if where is not True:
            options["where"] = where
        return RULES[function](array, axis, keepdims=keepdims, **options)


_reduce_as(np.add, np.sum)
_reduce_as(np.multiply, np.prod)
_reduce_as(np.maximum, np.max)
_reduce_as(np.minimum, np.min)


# -- without derivatives ------------------------------------------------------------------------

constant(
    np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.all, np.any, np.count_nonzero,
    sample=lambda r: [r(r.real(3, 4)), r(r.real(3, 4), axis=-1, keepdims=True)],
)  # fmt: skip
