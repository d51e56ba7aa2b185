"""Discrete Fourier transforms: linear, so each rule is a transpose, and each transpose is one transform more.

The matrix of a transform, exp(-2 pi i j k / n), is symmetric: fft and ifft are their own transposes.  The
one-sided transforms are transposed in pairs, rfft with hfft and irfft with ihfft.  They are so by
dL = Re(sum(g dz)), as a one-sided spectrum stands for its mirror image too, which makes these maps linear
over real numbers only.

`np.fft.fftfreq(n, d)` and `np.fft.rfftfreq(n, d)` need no rule: NumPy divides by d, and `/` has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..engine.op import composite, linear
from ..errors import ShapeError

_ADVICE = "The length n along the axis is at least 1, and norm is 'backward', 'ortho' or 'forward'."

# -- along one axis -----------------------------------------------------------------------------


def _resized(g: Any, shape: tuple[int, ...], axis: int) -> Any:
    """The transpose of fitting an axis to n entries: zeros for those cut off, none for those padded."""
    n, length = g.shape[axis], shape[axis]
    if n == length:
        return g
    axis %= len(shape)
    if n > length:
        return g[(slice(None),) * axis + (slice(length),)]
    zeros = np.zeros((*g.shape[:axis], length - n, *g.shape[axis + 1 :]), g.dtype)
    return np.concatenate([g, zeros], axis=axis)


def _bins(inner: float, n: int, axis: int, like: Any) -> np.ndarray:
    """A factor for each bin of the one-sided spectrum of n entries: `inner` for those with a mirror image.

    The zero frequency has none, and neither has the highest for an even n: 1.
    """
    factors = np.full(n // 2 + 1, inner, np.finfo(like.dtype).dtype)
    factors[0] = 1
    if n % 2 == 0:
        factors[-1] = 1
    axis %= like.ndim
    return factors.reshape((-1,) + (1,) * (like.ndim - axis - 1))


def _fft_back(g, shape, axis, norm):
    """y[k] = sum_j x[j] w[jk], with w[m] = exp(-2 pi i m / n):  dL/dx[j] = sum_k g[k] w[jk]."""
    return _resized(np.fft.fft(g, None, axis, norm), shape, axis)


def _ifft_back(g, shape, axis, norm):
    """As for fft, with exp(+2 pi i m / n) / n."""
    return _resized(np.fft.ifft(g, None, axis, norm), shape, axis)


def _rfft_back(g, shape, n, axis, norm):
    """y[k] = sum_j x[j] w[jk] for k <= n/2:  dL/dx[j] = Re(sum_k g[k] w[jk]).

    hfft counts each bin with a mirror image twice.
    """
    n = n or shape[axis]
    return _resized(np.fft.hfft(g * _bins(0.5, n, axis, g), n, axis, norm), shape, axis)


def _hfft_back(g, shape, axis, norm):
    """y[j] = Re(sum_k c[k] x[k] w[jk]), c[k] = 2 for bins with a mirror image:  dL/dx[k] = c[k] sum_j g[j] w[jk]."""
    spectrum = np.fft.rfft(g, None, axis, norm)
    return _resized(spectrum * _bins(2, g.shape[axis], axis, g), shape, axis)


def _irfft_back(g, shape, axis, norm):
    """As for hfft, with exp(+2 pi i m / n) / n."""
    spectrum = np.fft.ihfft(g, None, axis, norm)
    return _resized(spectrum * _bins(2, g.shape[axis], axis, g), shape, axis)


def _ihfft_back(g, shape, n, axis, norm):
    """As for rfft, with exp(+2 pi i m / n) / n."""
    n = n or shape[axis]
    return _resized(np.fft.irfft(g * _bins(0.5, n, axis, g), n, axis, norm), shape, axis)


def _lengths(r, draw):
    """Calls with even and odd lengths, cut off and padded, along each axis, scaled in each way."""
    return [
        r(draw(6)),
        r(draw(2, 5)),
        r(draw(5, 2), axis=0),
        r(draw(2, 5, 2), 5, axis=-2),
        r(draw(2, 6), n=4),
        r(draw(6, 2), 3, 0),
        r(draw(2, 4), n=7, norm="forward"),
        r(draw(4), 10, norm="backward"),
        r(draw(5), norm="ortho"),
        r(draw(4), 5, -1, "ortho"),
        r(draw(2, 4), norm="forward"),
        r(draw(2, 3), n=1),
        r(draw(2, 3), n=2),
        r(draw(2), norm=None),
        r(draw(0, 3)),
        r(draw(0, 2), n=3, axis=0),
    ]


_REAL = lambda r: _lengths(r, r.real)
_COMPLEX = lambda r: [*_lengths(r, r.complex), r(r.real(2, 5)), r(r.real(4), 3), r(r.real(3), n=6, norm="ortho")]
linear(np.fft.fft, transpose=_fft_back, fresh=True, advice=_ADVICE, sample=_COMPLEX)
linear(np.fft.ifft, transpose=_ifft_back, fresh=True, advice=_ADVICE, sample=_COMPLEX)
linear(np.fft.rfft, transpose=_rfft_back, fresh=True, advice=_ADVICE, sample=_REAL)
linear(np.fft.irfft, transpose=_irfft_back, fresh=True, advice=_ADVICE, sample=_COMPLEX)
linear(np.fft.hfft, transpose=_hfft_back, fresh=True, advice=_ADVICE, sample=_COMPLEX)
linear(np.fft.ihfft, transpose=_ihfft_back, fresh=True, advice=_ADVICE, sample=_REAL)

# -- along several axes -------------------------------------------------------------------------


def _stages(shape: tuple[int, ...], s: Any, axes: Any) -> list[tuple[int, int]]:
    """The length and the axis of each transform, as NumPy reads `s` and `axes`: -1 is the whole axis."""
    if axes is None:
        axes = range(-len(shape if s is None else s), 0)
    s = [-1] * len(axes) if s is None else s
    if len(s) != len(axes):
        raise ShapeError(
            f"s={tuple(s)} gives {len(s)} lengths, and axes={tuple(axes)} are {len(axes)} axes of shape {shape}.  Give "
            "one length for each axis; -1 is the whole axis."
        )
    axes = [normalize_axis_index(axis, len(shape)) for axis in axes]
    return [(shape[axis] if n == -1 else n, axis) for n, axis in zip(s, axes, strict=True)]


def _last_stage(shape: tuple[int, ...], s: Any, axes: Any) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """The stages before the one-sided transform, and that one: it is along the last of the axes."""
    stages = _stages(shape, s, axes)
    if not stages:
        raise ShapeError(
            f"a one-sided transform halves the last of its axes, and there are none in axes={axes} of shape {shape}.  "
            "Give at least one axis."
        )
    return stages[:-1], stages[-1]


def _transformed(function: Callable[..., Any], a: Any, stages: list[tuple[int, int]], norm: str | None) -> Any:
    for n, axis in stages:
        a = function(a, n, axis, norm)
    return a


def _fftn(a, s, axes, norm):
    return _transformed(np.fft.fft, a, _stages(a.shape, s, axes)[::-1], norm)


def _ifftn(a, s, axes, norm):
    return _transformed(np.fft.ifft, a, _stages(a.shape, s, axes)[::-1], norm)


def _rfftn(a, s, axes, norm):
    others, (n, axis) = _last_stage(a.shape, s, axes)
    return _transformed(np.fft.fft, np.fft.rfft(a, n, axis, norm), others[::-1], norm)


def _irfftn(a, s, axes, norm):
    others, (n, axis) = _last_stage(a.shape, s, axes)
    a = _transformed(np.fft.ifft, a, others, norm)
    # Without s the result is longer than the spectrum along the last axis, and irfft knows by how much.
    return np.fft.irfft(a, None if s is None else n, axis, norm)


def _axes(r, draw):
    """Calls for several axes: in other orders, cut off and padded, repeated."""
    return [
        r(draw(3, 4)),
        r(draw(2, 4, 3), norm="ortho"),
        r(draw(2, 3, 4), axes=(2, 0)),
        r(draw(4, 3, 2), axes=(0, -2), norm="forward"),
        r(draw(3, 4), s=(4, 3), axes=(0, 1)),
        r(draw(3, 4), (2, 6), (1, 0), "ortho"),
        r(draw(3, 5), s=(-1, 4), axes=(0, 1)),
        r(draw(3, 4), axes=[1]),
        r(draw(0, 2, 3), axes=(1, 2)),
        r(draw(3, 4), axes=[1, 1]),
        r(draw(4, 3), s=(3, 5, 2), axes=(0, 0, 1)),
    ]


def _for_axes(several: Callable[..., Any], two: Callable[..., Any], written: Callable[..., Any], sample: Any) -> None:
    """Declare a transform of any number of axes, by default all, and that of two, by default the last."""

    @composite(several, sample=sample)
    def transform(a, s=None, axes=None, norm=None, out=None):
        return written(a, s, axes, norm)

    @composite(two, sample=sample)
    def transform_two(a, s=None, axes=(-2, -1), norm=None, out=None):
        return written(a, s, axes, norm)


_COMPLEX_AXES = lambda r: [*_axes(r, r.complex), r(r.real(2, 3)), r(r.real(3, 2), s=(2, 4), axes=(0, 1))]
_for_axes(np.fft.fftn, np.fft.fft2, _fftn, _COMPLEX_AXES)
_for_axes(np.fft.ifftn, np.fft.ifft2, _ifftn, _COMPLEX_AXES)
_for_axes(np.fft.rfftn, np.fft.rfft2, _rfftn, lambda r: _axes(r, r.real))
_for_axes(np.fft.irfftn, np.fft.irfft2, _irfftn, _COMPLEX_AXES)

# -- the order of the frequencies ---------------------------------------------------------------

_SHIFTS = lambda r: [
    r(r.real(5)),
    r(r.complex(3, 4), axes=-1),
    r(r.real(2, 3, 5), (0, 2)),
    r(r.real(5, 2), axes=[0, 0]),
]
linear(np.fft.fftshift, transpose=lambda g, axes: np.fft.ifftshift(g, axes), fresh=True, sample=_SHIFTS)
linear(np.fft.ifftshift, transpose=lambda g, axes: np.fft.fftshift(g, axes), fresh=True, sample=_SHIFTS)
