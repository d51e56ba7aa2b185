"""The methods of ufuncs: reduce where it is no function of NumPy, outer, and at; the others are in `segments.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..engine.door import RULES, bare, converted, find_tensors, function_name, refuse_out
from ..errors import InPlaceError, NoRuleError
from .kinks import infinite_at_zero, inverse_or_zero
from .reduce import axes_of, operand, recorded_method, spread, ufunc_method

_hypot: Any = np.hypot
_ufunc: Any

# -- reduce: sums in disguise -------------------------------------------------------------------


def _reductions(r):
    return [
        r(r.real(3, 4)),
        r(r.real(3, 4), axis=(0, -1), keepdims=True),
        r(r.real(2, 3, 4), axis=None),
        r(r.real(2, 3), -1, initial=0.5),
        r(r.real(3, 4), axis=1, where=r.mask(3, 4), initial=-0.3),
        r(r.real(1)),
    ]


def _exponential_share(array, axis, initial, where, exponential):
    """Each entry's part in a sum of exponentials: its slope in the logarithm of the sum."""
    if where is not True:
        # Before the exponential: what the mask hides may be too large for it.
        array = np.where(where, array, -np.inf)
    initial = -np.inf if initial is np._NoValue or initial is None else initial
    top = np.max(bare(array), axis=axis, keepdims=True, initial=initial)
    # Where all entries are -inf, -inf - (-inf) would be nan.
    top = np.where(np.isfinite(top), top, 0)
    # Not exp(array - out): in single precision out has lost the digits that count.
    share = exponential(array - top)
    total = np.sum(share, axis=axis, keepdims=True) + exponential(initial - top)
    return share * inverse_or_zero(total)


def _logarithmic(ufunc, exponential):
    """Declare `ufunc.reduce` for the logarithm of a sum of exponentials."""

    def run(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        return ufunc.reduce(array, axis, dtype, None, bool(keepdims), initial, where)

    def pulled(g, array, shape, axis, keepdims, initial, where):
        return spread(g, shape, axis, keepdims) * _exponential_share(array, axis, initial, where, exponential)

    def pushed(t, array, axis, keepdims, initial, where):
        return np.sum(t * _exponential_share(array, axis, initial, where, exponential), axis=axis, keepdims=keepdims)

    recorded_method(ufunc, "reduce", run, _reductions, array=pulled, jvps={"array": pushed})


_logarithmic(np.logaddexp, np.exp)
_logarithmic(np.logaddexp2, np.exp2)


def _hypot_reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
    return _hypot.reduce(array, axis, dtype, None, bool(keepdims), initial, where)


def _hypot_vjp(g, array, out, shape, axis, keepdims, where):
    slope = spread(g, shape, axis, keepdims) * (array / spread(infinite_at_zero(out), shape, axis, keepdims))
    return slope if where is True else np.where(where, slope, 0)


recorded_method(np.hypot, "reduce", _hypot_reduce, _reductions, array=_hypot_vjp)


def _skipping_extreme(ufunc, regular, extreme, worst):
    """Declare `fmax.reduce` or `fmin.reduce`: the extreme one of the entries that are not nan."""

    @ufunc_method(ufunc, "reduce", sample=_reductions)
    def reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        array = operand(array)
        if dtype is not None:
            array = converted(array, dtype, f"np.{ufunc.__name__}.reduce", "unsafe")
        missing = np.isnan(bare(array))
        if not missing.any():
            return RULES[regular, "reduce"](array, axis, None, None, keepdims, initial, where)
        options = {} if where is True else {"where": where}
        if initial is not np._NoValue:
            options["initial"] = initial
        else:
            # A lane of nothing but nan keeps them, and so its result is nan.
            missing = missing & ~missing.all(axis=axis, keepdims=True)
        return extreme(np.where(missing, worst, array), axis=axis, keepdims=keepdims, **options)


_skipping_extreme(np.fmax, np.maximum, np.max, -np.inf)
_skipping_extreme(np.fmin, np.minimum, np.min, np.inf)


# -- reduce and accumulate, one entry after the other -------------------------------------------


def _along_first(array, axis, dtype, ufunc, name):
    """The array with the one axis in front."""
    array = operand(array)
    if dtype is None and ufunc is np.float_power:
        dtype = np.result_type(array.dtype, np.float64)
    array = array if dtype is None else np.astype(array, dtype)
    axes = axes_of(axis, array.ndim)
    if len(axes) != 1:
        raise NoRuleError(
            f"np.{ufunc.__name__}.{name} over axes {axis} of an array of shape {array.shape}: its result depends on "
            "the order of the entries, so it takes one axis.  Reduce one axis after the other."
        )
    return np.moveaxis(array, axes[0], 0), axes[0]


def _step_by_step(ufunc):
    """Declare reduce and accumulate of a ufunc that has no shorter way than applying it again and again."""
    name = ufunc.__name__

    @ufunc_method(
        ufunc,
        "reduce",
        # Along the last axis NumPy's own power.reduce and arctan2.reduce are wrong: power gives 4 for [2, 3, 2].
        sample=lambda r: [r(r.positive(3, 4)), r(r.positive(2, 3), -2, keepdims=True),
                          r(r.positive(2, 3), axis=0, initial=2.5)],
    )  # fmt: skip
    def reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        array, axis = _along_first(array, axis, dtype, ufunc, "reduce")
        if where is not True:
            raise NoRuleError(
                f"np.{name}.reduce(..., where=...) has no derivative rule here.  Write the entries to leave out as "
                "ones that change nothing: np.where(mask, x, 1) or 0."
            )
        entries = list(np.unstack(array))
        if initial is not np._NoValue and initial is not None:
            entries.insert(0, array.dtype.type(initial))
        if not entries:
            raise ValueError(
                f"np.{name}.reduce of shape {array.shape} has no entries along the axis and no initial=.  Write "
                "initial=."
            )
        result = functools.reduce(ufunc, entries)
        return np.expand_dims(result, axis) if keepdims else result

    _accumulate_step_by_step(ufunc)


def _accumulate_step_by_step(ufunc):
    @ufunc_method(
        ufunc,
        "accumulate",
        sample=lambda r: [r(r.positive(3, 4)), r(r.positive(2, 3), -1), r(r.positive(1), axis=0)],
    )
    def accumulate(array, axis=0, dtype=None, out=None):
        array, axis = _along_first(array, axis, dtype, ufunc, "accumulate")
        if not array.shape[0]:
            return np.moveaxis(array, 0, axis)
        results = list(np.unstack(array))
        for i in range(1, len(results)):
            results[i] = ufunc(results[i - 1], results[i])
        return np.stack(results, axis)


for _ufunc in (np.power, np.float_power, np.remainder, np.fmod, np.arctan2, np.copysign, np.heaviside, np.nextafter):
    _step_by_step(_ufunc)


def _first_and_rest(ufunc, total, running):
    """Declare reduce and accumulate of subtract or divide: the first entry, less or over all the others."""

    @ufunc_method(
        ufunc,
        "reduce",
        sample=lambda r: [r(r.positive(3, 4)), r(r.positive(2, 3), -1, keepdims=True), r(r.positive(1)),
                          r(r.positive(2, 3), axis=0, initial=2.5),
                          r(r.positive(2, 3), axis=1, initial=2.5, where=r.mask(2, 3))],
    )  # fmt: skip
    def reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=np._NoValue, where=True):
        mask = True if where is True else np.moveaxis(np.broadcast_to(where, np.shape(array)), axis, 0)
        array, axis = _along_first(array, axis, dtype, ufunc, "reduce")
        if initial is not np._NoValue and initial is not None:
            result = ufunc(array.dtype.type(initial), total(array, axis=0, where=mask))
        elif where is not True or not array.shape[0]:
            raise ValueError(
                f"np.{ufunc.__name__}.reduce of no entries, or with where=, has no first value.  Write initial=."
            )
        else:
            result = ufunc(array[0], total(array[1:], axis=0))
        return np.expand_dims(result, axis) if keepdims else result

    @ufunc_method(
        ufunc,
        "accumulate",
        sample=lambda r: [r(r.positive(3, 4)), r(r.positive(2, 3), -1), r(r.positive(1, 2), axis=0)],
    )
    def accumulate(array, axis=0, dtype=None, out=None):
        array, axis = _along_first(array, axis, dtype, ufunc, "accumulate")
        rest = ufunc(array[:1], running(array[1:], axis=0))
        return np.moveaxis(np.concatenate([array[:1], rest]), 0, axis)


_first_and_rest(np.subtract, np.sum, np.cumsum)
_first_and_rest(np.divide, np.prod, np.cumprod)

# -- outer --------------------------------------------------------------------------------------


def _outer_of(ufunc):
    """Declare `ufunc.outer`: every entry of one array with every entry of the other."""

    def outer(a, b, **options):
        a, b = operand(a), operand(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b, **options)

    sample = lambda r: [
        r(r.positive(2, 3), r.positive(4)),
        r(r.positive(3), 2.0),
        r(r.positive(), r.positive(2)),
    ]
    whole_second = ufunc in (np.ldexp,)
    ufunc_method(ufunc, "outer", sample=(lambda r: [r(r.real(3), r.integers(4, 2))]) if whole_second else sample)(outer)


for _ufunc in (
    np.add, np.subtract, np.multiply, np.divide, np.power, np.float_power, np.maximum, np.minimum, np.fmax, np.fmin,
    np.logaddexp, np.logaddexp2, np.hypot, np.arctan2, np.remainder, np.fmod, np.copysign, np.heaviside, np.nextafter,
    np.ldexp, np.divmod,
):  # fmt: skip
    _outer_of(_ufunc)

# -- at -----------------------------------------------------------------------------------------

_INSTEAD = {
    np.add: "tg.index_add(t, index, values)",
    np.subtract: "tg.index_add(t, index, -values)",
}


def _refuse_at(ufunc):
    """Declare `ufunc.at`: a write, so it works on what is not recorded only."""
    name = f"np.{ufunc.__name__}"
    others = "t[index], values" if ufunc.nin == 2 else "t[index]"
    instead = _INSTEAD.get(ufunc, f"tg.index_update(t, index, {name}({others})) where no index is repeated")

    def at(a: Any, indices: Any, *b: Any) -> None:
        wanting = next((t for t in find_tensors([a, indices, *b]) if t.requires_grad), None)
        if wanting is None:
            return ufunc.at(bare(a), bare(indices), *bare(b))
        raise InPlaceError(
            f"{name}.at writes into its first argument, of shape {np.shape(a)}, and {wanting.describe()} requires "
            f"grad: the tape cannot follow a write.  Write t = {instead}, or pass t.data to write into a parameter."
        )

    RULES[ufunc, "at"] = at


_UFUNCS = {value for value in vars(np).values() if isinstance(value, np.ufunc)}
for _ufunc in _UFUNCS:
    _refuse_at(_ufunc)

# -- without derivatives ------------------------------------------------------------------------


def _plain_methods(ufunc):
    """Declare the methods of a ufunc whose results have no derivative: they give plain arrays."""
    for method in ("reduce", "accumulate", "reduceat", "outer"):
        RULES[ufunc, method] = _on_arrays(getattr(ufunc, method))


def _on_arrays(method):
    def call(*args, **options):
        refuse_out(function_name(method), options)
        return method(*bare(args), **bare(options))

    return call


for _ufunc in (
    np.logical_and, np.logical_or, np.logical_xor, np.equal, np.not_equal, np.less, np.less_equal, np.greater,
    np.greater_equal, np.floor_divide,
):  # fmt: skip
    _plain_methods(_ufunc)
