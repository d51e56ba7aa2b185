"""np.pad, in every mode: margins joined on, one axis after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.door import bare, find_tensors
from ..engine.op import composite, linear
from ..errors import NoRuleError
from .creation import array as joined
from .reduce import operand

# The keyword that each mode has, as NumPy names it.
_KEYWORDS = {
    "constant": ("constant_values",), "edge": (), "empty": (), "linear_ramp": ("end_values",), "wrap": (),
    "maximum": ("stat_length",), "mean": ("stat_length",), "median": ("stat_length",), "minimum": ("stat_length",),
    "reflect": ("reflect_type",), "symmetric": ("reflect_type",),
}  # fmt: skip
_STATISTICS: dict[str, Any] = {"maximum": np.max, "mean": np.mean, "median": np.median, "minimum": np.min}


def _pairs(value: Any, ndim: int) -> list[tuple[int, int]]:
    """Two whole numbers per axis, as NumPy reads `pad_width` and its kin."""
    if isinstance(value, dict):
        pairs = [(0, 0)] * ndim
        for axis, given in value.items():
            pairs[axis] = (given, given) if np.ndim(given) == 0 else tuple(given)
        return pairs
    return [tuple(pair) for pair in np.broadcast_to(value, (ndim, 2)).tolist()]


def _inside(g, shape, widths):
    return g[tuple([slice(before, before + n) for (before, _), n in zip(widths, shape, strict=True)])]


_zero_pad = linear(
    lambda array, widths: np.pad(array, widths) if array.ndim else array,
    transpose=lambda g, shape, widths: _inside(g, shape, widths),
    name="pad",
)


def _samples(r):
    both = ((1, 2), (3, 0))
    return [
        r(r.real(2, 3), 1),
        r(r.real(2, 3), ((1, 0), (0, 2))),
        r(r.real(2, 3), {-1: (1, 2)}),
        r(r.real(2, 3), (2, 1), constant_values=1.5),
        r(r.real(2, 3), both, "constant", constant_values=((1.0, 2.0), (3.0, 4.0))),
        r(r.real(2, 3), both, constant_values=r.real(2, 2)),
        r(r.real(2, 3), 1, constant_values=[r.real(), 2.0]),
        r(r.real(3), (4, 3), mode="edge"),
        r(r.real(2, 3), 5, mode="wrap"),
        r(r.real(2, 3), both, "reflect"),
        r(r.real(2, 3), 7, mode="symmetric"),
        r(r.real(2, 3), both, mode="reflect", reflect_type="odd"),
        r(r.real(3), (7, 8), mode="symmetric", reflect_type="odd"),
        r(r.real(2, 3), both, mode="linear_ramp"),
        r(r.real(2, 3), both, mode="linear_ramp", end_values=r.real(2, 2)),
        r(r.real(2, 3), 2, mode="linear_ramp", end_values=(1.0, -1.0)),
        *[r(r.real(3, 4), both, mode=mode) for mode in _STATISTICS],
        *[r(r.real(3, 4), both, mode=mode, stat_length=((1, 2), (2, 3))) for mode in _STATISTICS],
        r(r.real(3), 2, mode="maximum", stat_length=2),
    ]


@composite(np.pad, sample=_samples)
def pad(array, pad_width, mode="constant", **options):
    """The array with a margin; the gradient goes to the entries, and to the constants, that the margin is made of."""
    array = operand(array)
    _check(array, mode, options)
    widths = _pairs(bare(pad_width), array.ndim)
    if mode == "constant" and not any(t.requires_grad for t in find_tensors(options)):
        return _constant_pad(array, widths, bare(options.get("constant_values", 0)))
    if mode == "empty":
        # The margin may hold anything, so zeros are right.
        return _zero_pad(array, widths)
    even = options.get("reflect_type", "even") == "even"
    if mode in ("edge", "wrap") or (even and mode in ("reflect", "symmetric")):
        return _copies(array, widths, mode, options)
    margins = _margins_of(mode, array.ndim, options)
    for axis, (before, after) in enumerate(widths):
        first, last = margins(array, axis, before, after)
        array = np.concatenate([first, array, last], axis)
    return array


def _check(array, mode, options):
    """NumPy's own errors for what is no mode, or no keyword of it."""
    if callable(mode):
        raise NoRuleError(
            f"np.pad with a function as mode= writes into the vectors it is given, here of an array of shape "
            f"{array.shape}, and the tape cannot follow a write.  Join margins on: np.concatenate([left, x, right])."
        )
    if mode not in _KEYWORDS:
        raise ValueError(f"np.pad has no mode {mode!r}; it has {', '.join(_KEYWORDS)}.  'constant' is the default.")
    if unknown := set(options) - set(_KEYWORDS[mode]):
        raise ValueError(f"np.pad with mode={mode!r} has no keyword {unknown.pop()!r}.  Leave it away.")


def _constant_pad(array, widths, values):
    padded = _zero_pad(array, widths)
    if not np.any(values):
        return padded
    margin = np.pad(np.zeros(array.shape, array.dtype), widths, constant_values=values)
    return padded + margin


def _copies(array, widths, mode, options):
    """Margins of copied entries: NumPy itself says which, on their numbers."""
    for axis, (before, after) in enumerate(widths):
        if before or after:
            picks = np.pad(np.arange(array.shape[axis]), (before, after), mode, **options)
            array = _copied(array, picks, before, axis)
    return array


def _fold(values, picks, before, axis, length):
    """Every row of a margin added to the row that it is a copy of."""
    rows = np.moveaxis(values, axis, 0)
    out = np.array(values[(slice(None),) * axis + (slice(before, before + length),)])
    into = np.moveaxis(out, axis, 0)
    for i in (*range(before), *range(before + length, len(picks))):
        into[picks[i]] += rows[i]
    return out


_copied = linear(
    lambda array, picks, before, axis: np.take(array, picks, axis),
    transpose=lambda g, picks, before, axis, shape: _folded(g, picks, before, axis, shape[axis]),
    name="pad",
    fresh=True,
)
_folded: Any = linear(
    _fold, transpose=lambda g, picks, before, axis: _copied(g, picks, before, axis), name="fold", fresh=True
)


# -- margins ------------------------------------------------------------------------------------
# Each gives what stands before and after the array along one axis.


def _margins_of(mode, ndim, options):
    if mode in ("constant", "linear_ramp"):
        ends = joined(options.get("constant_values" if mode == "constant" else "end_values", 0))
        ends = np.broadcast_to(ends, (ndim, 2))
        ramp = _ramps if mode == "linear_ramp" else _constants
        return lambda array, axis, before, after: ramp(array, axis, before, after, ends[axis])
    if mode in _STATISTICS:
        lengths = options.get("stat_length")
        lengths = [(None, None)] * ndim if lengths is None else _pairs(lengths, ndim)
        return lambda array, axis, before, after: _statistics(array, axis, before, after, mode, lengths[axis])
    return lambda array, axis, before, after: _odd_copies(array, axis, before, after, mode)


def _part(array, axis, start, stop):
    return array[(slice(None),) * axis + (slice(start, stop),)]


def _repeated(entry, array, axis, width):
    """One slice, `width` times."""
    shape = list(array.shape)
    shape[axis] = width
    return np.broadcast_to(np.astype(operand(entry), array.dtype), shape)


def _constants(array, axis, before, after, ends):
    return _repeated(ends[0], array, axis, before), _repeated(ends[1], array, axis, after)


def _ramps(array, axis, before, after, ends):
    first, last = (_part(array, axis, *at)[(slice(None),) * axis + (0,)] for at in ((0, 1), (-1, None)))
    rising = np.linspace(ends[0], first, before, endpoint=False, axis=axis)
    falling = np.flip(np.linspace(ends[1], last, after, endpoint=False, axis=axis), axis)
    return tuple(np.astype(ramp, array.dtype) for ramp in (rising, falling))


def _statistics(array, axis, before, after, mode, lengths):
    statistic, length = _STATISTICS[mode], array.shape[axis]
    first, last = (length if n is None else min(n, length) for n in lengths)
    if not (first and last) and mode in ("maximum", "minimum"):
        raise ValueError(
            f"np.pad with mode={mode!r} needs a stat_length above 0, not {lengths}.  Leave it away to use all entries."
        )
    left = statistic(_part(array, axis, 0, first), axis=axis, keepdims=True)
    right = statistic(_part(array, axis, length - last, None), axis=axis, keepdims=True)
    return _repeated(left, array, axis, before), _repeated(right, array, axis, after)


def _odd_copies(array, axis, before, after, mode):
    """Margins mirrored at the edges: twice the edge minus an entry."""
    length = array.shape[axis]
    repeated = 0 if mode == "symmetric" else 1
    if max(before, after) > length - repeated:
        return _odd_copies_of_copies(array, axis, before, after, mode)
    left = np.flip(_part(array, axis, repeated, before + repeated), axis)
    stop = length - repeated
    right = np.flip(_part(array, axis, stop - after, stop), axis)
    return 2 * _part(array, axis, 0, 1) - left, 2 * _part(array, axis, length - 1, length) - right


def _odd_copies_of_copies(array, axis, before, after, mode):
    """Margins wider than the array are mirrored several times.

    That is linear in the entries of a lane, and NumPy tells the matrix by what it does to the unit vectors.
    """
    length = array.shape[axis]
    matrix = np.pad(np.eye(length, dtype=array.dtype), ((before, after), (0, 0)), mode, reflect_type="odd")
    lanes = np.moveaxis(array, axis, 0)
    flat = lanes.reshape(length, -1)
    rows = [part @ flat for part in (matrix[:before], matrix[before + length :])]
    return tuple([np.moveaxis(part.reshape(-1, *lanes.shape[1:]), 0, axis) for part in rows])
