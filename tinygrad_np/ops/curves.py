"""Functions of sampled curves: slopes, interpolation, phases; and sinc and the Bessel function i0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..engine.door import bare
from ..engine.op import composite, elementwise, linear, op
from ..errors import ShapeError
from .kinks import inverse_or_zero
from .reduce import along, operand
from .statistics import gathered, tallied

# -- np.gradient --------------------------------------------------------------------------------


def _undifferenced(g, axis, edge_order):
    """The transpose of np.gradient with unit spacing."""
    out = np.zeros(g.shape, g.dtype)
    g, view = np.moveaxis(g, axis, 0), np.moveaxis(out, axis, 0)
    inner = g[1:-1] / 2
    view[2:] += inner
    view[:-2] -= inner
    first, last = ([-1, 1], [-1, 1]) if edge_order == 1 else ([-1.5, 2, -0.5], [0.5, -2, 1.5])
    for k, weight in enumerate(first):
        view[k] += weight * g[0]
    for k, weight in enumerate(last, -len(last)):
        view[k] += weight * g[-1]
    return out


_unit_gradient: Any = linear(
    lambda f, axis, edge_order: np.gradient(f, axis=axis, edge_order=edge_order),
    name="gradient",
    fresh=True,
    transpose=lambda g, axis, edge_order: _unit_gradient_transposed(g, axis, edge_order),
)
_unit_gradient_transposed: Any = linear(
    lambda f, axis, edge_order: _undifferenced(f, axis, edge_order),
    name="gradient_transposed",
    fresh=True,
    transpose=lambda g, axis, edge_order: _unit_gradient(g, axis, edge_order),
)


def _uneven_gradient(f, x, axis, edge_order):
    """The slopes of parabolas through three neighbours each, from those of the lines between neighbours."""
    shape = [-1 if i == axis else 1 for i in range(f.ndim)]
    steps = (x[1:] - x[:-1]).reshape(shape)
    later, earlier = along(axis, slice(1, None)), along(axis, slice(-1))
    slopes = (f[later] - f[earlier]) / steps
    # How far each inner point is on the way between the middles of the two steps beside it.
    part = steps[earlier] / (steps[earlier] + steps[later])
    bend = slopes[later] - slopes[earlier]
    first, last = slopes[along(axis, slice(1))], slopes[along(axis, slice(-1, None))]
    if edge_order == 2:
        first = first - (bend * part)[along(axis, slice(1))]
        last = last + (bend * (1 - part))[along(axis, slice(-1, None))]
    return np.concatenate([first, slopes[earlier] + bend * part, last], axis=axis)


def _spacings(spacings, f, axes):
    """The spacing of each axis: a number, or the coordinates of its points."""
    if not spacings:
        return [1.0] * len(axes)
    given: list[Any] = [s if isinstance(s, int | float) else operand(s) for s in spacings]
    if len(given) == 1 and np.ndim(given[0]) == 0:
        return given * len(axes)
    if len(given) != len(axes):
        raise TypeError(
            f"np.gradient along {len(axes)} axes of shape {f.shape} takes no spacing, one number, or one spacing for "
            f"each axis, and got {len(given)}."
        )
    for s, axis in zip(given, axes, strict=True):
        if np.ndim(s) > 1 or (np.ndim(s) == 1 and len(s) != f.shape[axis]):
            raise ShapeError(
                f"the spacing of axis {axis} of shape {f.shape} is a number or {f.shape[axis]} coordinates in a row, "
                f"and this one has shape {np.shape(s)}."
            )
    return given


def _is_uneven(spacing):
    """Whether the slopes have to follow each coordinate: equal steps that nobody asks a gradient of need not."""
    if not np.ndim(spacing):
        return False
    # Not in whole numbers: unsigned ones would wrap around.
    steps = np.diff(bare(spacing) * 1.0)
    return getattr(spacing, "requires_grad", False) or not (steps == steps[0]).all()


def _gradients(r):
    f, g = r.real(3, 4), r.real(4, 5)
    return [
        r(r.real(6)),
        r(r.real(6), 0.5),
        r(r.real(6), r.positive()),
        r(r.real(6), edge_order=2),
        r(r.real(3), edge_order=2, axis=-1),
        r(r.real(2)),
        r(f),
        r(f, 0.5),
        r(f, 0.5, 2.0, axis=(1, 0), edge_order=2),
        r(g, np.array([0.0, 0.4, 1.1, 2.0]), axis=0),
        r(g, np.array([0.0, 0.4, 1.1, 2.0]), r.positive(), edge_order=2),
        r(g, np.array([0.0, 0.4, 0.7, 1.1, 2.0]), axis=-1, edge_order=2),
        r(r.real(4), np.array([0, 1, 3, 4])),
        r(r.real(4), np.array([0, 2, 4, 6])),
        r(r.integers(9, 5), 0.5),
        r(r.integers(3, 5), np.array([0.0, 0.6, 1.5, 2.3, 3.3])),
    ]


@composite(np.gradient, sample=_gradients)
def gradient(f, *varargs, axis=None, edge_order=1):
    """The slopes along each axis, by differences; also differentiable in the spacings."""
    f = operand(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient knows edges of order 1 and 2, not {edge_order!r}.")
    if any(f.shape[i] <= edge_order for i in axes):
        raise ValueError(
            f"np.gradient needs {edge_order + 1} entries along each axis of {axes}; f has shape {f.shape}."
        )
    dtype = f.dtype if f.dtype.kind in "fc" else np.dtype(float)
    f = f if f.dtype == dtype else np.astype(f, dtype)
    outs = []
    for i, spacing in zip(axes, _spacings(varargs, f, axes), strict=True):
        if _is_uneven(spacing):
            out = _uneven_gradient(f, spacing, i, edge_order)
        else:
            step = spacing if np.ndim(spacing) == 0 else spacing[1] - spacing[0]
            out = _unit_gradient(f, i, edge_order) / step
        outs.append(out if out.dtype == dtype else np.astype(out, dtype))
    return outs[0] if len(outs) == 1 else tuple(outs)


# -- np.interp ----------------------------------------------------------------------------------
# What is written here follows np.interp in the choice of the piece: at a knot the one to its right,
# at the last knot the one to its left.


def _pieces(x, xp):
    """The number of the piece of each x."""
    return np.clip(np.searchsorted(bare(xp), bare(x), "right") - 1, 0, xp.shape[0] - 2)


def _per_step(xp):
    """One over the length of each piece; equal knots make a jump, which has no slope."""
    return inverse_or_zero(xp[1:] - xp[:-1])


def _slopes(x, xp, fp, piece):
    """The slope of the curve at each x; 0 outside the closed range of the knots."""
    slope = gathered((fp[1:] - fp[:-1]) * _per_step(xp), piece)
    values, knots = bare(x), bare(xp)
    inside = (values >= knots[0]) & (values <= knots[-1])
    return slope if inside.all() else slope * inside


def _way(x, xp, piece):
    """How far each x is on the way along its piece."""
    return np.clip((x - gathered(xp, piece)) * gathered(_per_step(xp), piece), 0, 1)


def _to_knots(g, way, piece, length):
    """The parts of g for the two knots of each piece, added up for each knot."""
    right = g * way
    return tallied(g - right, piece, length) + tallied(right, piece + 1, length)


def _interp_x(g, x, xp, fp):
    return g * _slopes(x, xp, fp, _pieces(x, xp))


def _interp_xp(g, x, xp, fp, shape):
    piece = _pieces(x, xp)
    return _to_knots(-g * _slopes(x, xp, fp, piece), _way(x, xp, piece), piece, shape[0])


def _interp_fp(g, x, xp, shape):
    piece = _pieces(x, xp)
    return _to_knots(g, _way(x, xp, piece), piece, shape[0])


_interp = op(
    lambda x, xp, fp: np.interp(x, xp, fp),
    name="interp",
    fresh=True,
    x=_interp_x,
    xp=_interp_xp,
    fp=_interp_fp,
)


def _curves(r):
    xp, fp = np.array([-1.5, -0.4, 0.3, 1.2]), r.real(4)
    return [
        r(r.real(7), xp, fp),
        r(r.real(2, 3), xp, fp, left=0.5, right=-0.5),
        r(r.real(5), xp, fp, left=r.real(), right=r.real()),
        r(r.real(), xp, fp),
        r(0.4, xp, fp),
        r(r.real(5), xp, fp, period=1.7),
        r(r.real(5), xp[[2, 0, 3, 1]], fp, period=r.positive() + 3),
        r(r.real(3), np.array([0.1]), r.real(1)),
        r(r.real(0), xp, fp),
        r(r.real(4), np.array([-1, 0, 2]), np.array([1, 5, 2])),
    ]


def _wrapped(x, xp, fp, period):
    """Points and knots within one period, and one knot more at either end."""
    if not np.all(bare(period)):
        raise ValueError(f"period must be a non-zero value, not {bare(period)}.  Leave it away for a curve that ends.")
    period = abs(period)
    x, xp = np.remainder(x, period), np.remainder(xp, period)
    order = np.argsort(bare(xp))
    xp, fp = xp[order], fp[order]
    return x, np.concatenate([xp[-1:] - period, xp, xp[:1] + period]), np.concatenate([fp[-1:], fp, fp[:1]])


@composite(np.interp, sample=_curves)
def interp(x, xp, fp, left=None, right=None, period=None):
    """The piecewise linear curve through the knots; outside it is flat, and follows `left` and `right`."""
    x, xp, fp = operand(x), operand(xp), operand(fp)
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ShapeError(f"xp and fp are two rows of the same length, and have shapes {xp.shape} and {fp.shape}.")
    if period is not None:
        return _interp(*_wrapped(x, xp, fp, period))
    # A single knot has no piece: the curve is flat.
    out = _interp(x, xp, fp) if xp.shape[0] != 1 else fp[0] + np.zeros(x.shape)
    if left is not None:
        out = np.where(bare(x) < bare(xp)[0], left, out)
    if right is not None:
        out = np.where(bare(x) > bare(xp)[-1], right, out)
    return out


# -- np.unwrap ----------------------------------------------------------------------------------

_unwrap = op(
    lambda p, period, discont, axis: np.unwrap(p, discont, axis, period=period),
    name="unwrap",
    fresh=True,
    numbers=True,
    # What is added are whole periods, and how many does not change with the phases.
    p=lambda g: g,
    period=lambda g, p, period, out: g * np.rint((out - p) / period),
    jvps={"p": lambda t: t, "period": lambda t, p, period, out: t * np.rint((out - p) / period)},
)


@composite(
    np.unwrap,
    sample=lambda r: [
        r(4 * r.real(7)),
        r(3 * r.real(3, 4), axis=0),
        r(3 * r.real(3, 4), 5.0, -1),
        r(3 * r.real(6), period=2.5),
        r(3 * r.real(6), period=r.positive()),
    ],
)
def unwrap(p, discont=None, axis=-1, *, period=2 * math.pi):
    """Phases without jumps: whole periods are added."""
    return _unwrap(operand(p), period, bare(discont), axis)


# -- sinc ---------------------------------------------------------------------------------------


def _sinc_series(y, order):
    """The derivative of sin(y) / y from its power series, for |y| < order."""
    total = np.zeros_like(y)
    square = y * y
    first = (order + 1) // 2
    # Terms further on are below the rounding of the first.
    for m in range(first + 8 + 2 * order, first - 1, -1):
        total = total * square + (-1.0) ** m / ((2 * m + 1) * math.factorial(2 * m - order))
    return total * y ** (2 * first - order)


def _sinc_run(x, order):
    """The derivative of np.sinc of this order.

    With s = sin(y) / y and y = pi x, differentiating y s = sin(y) n times gives y s_n = sin_n(y) - n s_(n-1).
    Near 0 that cancels, and there the power series is used.
    """
    y = np.asarray(np.pi * x)
    near = np.abs(y) < order
    some = near.any()
    far = np.where(near, 1, y) if some else y
    waves = [np.sin(far), np.cos(far)]
    value = np.asarray(waves[0] / far)
    for n in range(1, order + 1):
        # The derivatives of sin are sin, cos, -sin, -cos; in place, as a new array costs more than the sum.
        value *= -n
        value += waves[n % 2] if n % 4 < 2 else -waves[n % 2]
        value /= far
    if some:
        value[near] = _sinc_series(y[near], order)
    value *= np.pi**order
    return value


_sinc_derivative: Any = elementwise(
    _sinc_run, name="sinc_derivative", x=lambda x, order: _sinc_derivative(x, order + 1)
)
elementwise(np.sinc, x=lambda x: _sinc_derivative(x, 1))


# -- i0 -----------------------------------------------------------------------------------------


def _bessel_series(x, order):
    """The power series of I_n(x), all of whose terms have the same sign (DLMF 10.25.2)."""
    quarter = x * x / 4
    largest = term = float(np.max(quarter, initial=0))
    total, count = 1.0 + term, 1
    while term > 1e-18 * total:
        count += 1
        term *= largest / (count * (count + order))
        total += term
    value = np.ones_like(x)
    for m in range(count, 0, -1):
        value = 1 + value * quarter / (m * (m + order))
    return value * (x / 2) ** order / math.factorial(order)


def _bessel_far(x, order):
    """The expansion of I_n(x) for large |x| (DLMF 10.40.1)."""
    size = np.abs(x)
    value = np.ones_like(x)
    for k in range(30, 0, -1):
        value = 1 - value * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * size)
    # exp(x) by itself would overflow before I_n(x) does.
    half = np.exp(size / 2)
    return np.sign(x) ** order * (half * (value / np.sqrt(2 * np.pi * size))) * half


def _bessel_run(x, order):
    far = np.abs(x) > 30 + order**2
    value = np.asarray(_bessel_series(np.where(far, 0, x), order))
    if far.any():
        value[far] = _bessel_far(np.asarray(x)[far], order)
    return value


# I_n' = (I_(n-1) + I_(n+1)) / 2 adds what has one sign; I_0 - I_1 / x would cancel near 0 (DLMF 10.29.1).
_bessel_i: Any = elementwise(
    _bessel_run,
    name="bessel_i",
    x=lambda x, order: (_bessel_i(x, abs(order - 1)) + _bessel_i(x, order + 1)) / 2,
)
elementwise(np.i0, x=lambda x: _bessel_i(x, 1), sample=(-9, 9))
