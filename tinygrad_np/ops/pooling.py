"""Pooling: the largest entry of each window, or the mean.

One slice of the samples at a time has, for every window, the entry at one place of it: there are as many slices as a
window has entries, and nothing is copied.  Axes lie in memory as they do in what is given.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from ..engine.op import linear, op
from ..errors import RangeError, ShapeError
from .places import each
from .reduce import operand


def _lengths(space, kernel, stride, dilation):
    """How many windows there are along each axis."""
    sizes = zip(space, kernel, stride, dilation, strict=True)
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)


def _slices(shape, kernel, stride, dilation):
    """For each place of a window, the index of the entries that all windows have there."""
    lengths = _lengths(shape[-len(kernel) :], kernel, stride, dilation)
    for index in product(*map(range, kernel)):
        starts = (i * d for i, d in zip(index, dilation, strict=True))
        yield (..., *(slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, lengths, stride, strict=True)))


# -- the largest ---------------------------------------------------------------------------------


def _shares(x, top, kernel, stride, dilation):
    """For each slice, its index and where the largest entries are in it; and how many share each window."""
    found = [(index, x[index] == top) for index in _slices(x.shape, kernel, stride, dilation)]
    count = np.zeros_like(top, dtype=np.min_scalar_type(len(found)))
    for _, mask in found:
        count += mask.view(np.uint8)
    # No entry equals nan.
    return found, np.maximum(count, 1, out=count)


@op(
    x=lambda g, x, out, kernel, stride, dilation: _max_unpool(g, x, out, kernel, stride, dilation),
    jvps={"x": lambda t, x, out, kernel, stride, dilation: _pool_at_largest(t, x, out, kernel, stride, dilation)},
    sample=lambda r: [
        r(r.real(2, 3, 6), kernel=(2,), stride=(2,), dilation=(1,)),
        r(r.real(2, 5, 6), kernel=(2, 3), stride=(1, 2), dilation=(2, 1)),
    ],
)
def max_pool(x, kernel=(2,), stride=(2,), dilation=(1,)):
    """The largest entry of each window of the last axes; entries that tie share the gradient equally."""
    first, *others = _slices(x.shape, kernel, stride, dilation)
    out = x[first].copy(order="K")
    for index in others:
        np.maximum(out, x[index], out=out)
    return out


# Which entries are largest does not change with any of them, away from ties.
@op(
    y=lambda g, x, top, kernel, stride, dilation: _pool_at_largest(g, x, top, kernel, stride, dilation),
    x=None,
    top=None,
)
def _max_unpool(y, x, top, kernel, stride, dilation):
    """What each window has, given to its largest entries in equal shares."""
    found, count = _shares(x, top, kernel, stride, dilation)
    if count.max(initial=1) > 1:
        y = y / count.astype(y.dtype)
    out = np.zeros_like(x, dtype=y.dtype)
    apart = stride == kernel and set(dilation) == {1}
    for index, mask in found:
        if apart:
            np.multiply(y, mask, out=out[index])
        else:
            out[index] += y * mask
    return out


@op(
    t=lambda g, x, top, kernel, stride, dilation: _max_unpool(g, x, top, kernel, stride, dilation),
    x=None,
    top=None,
)
def _pool_at_largest(t, x, top, kernel, stride, dilation):
    """The mean over the places where each window has its largest entry."""
    found, count = _shares(x, top, kernel, stride, dilation)
    return sum(t[index] * mask for index, mask in found) / count.astype(t.dtype)


# -- the mean ------------------------------------------------------------------------------------


@linear(
    transpose=lambda g, shape, kernel, stride: avg_unpool(g, shape, kernel, stride),
    sample=lambda r: [
        r(r.real(2, 3, 6), kernel=(2,), stride=(2,)),
        r(r.real(2, 5, 6), kernel=(2, 3), stride=(1, 2)),
    ],
)
def avg_pool(x, kernel=(2,), stride=(2,)):
    """The mean of each window of the last axes."""
    first, *others = _slices(x.shape, kernel, stride, (1,) * len(kernel))
    out = x[first].copy(order="K")
    for index in others:
        out += x[index]
    out *= 1 / math.prod(kernel)
    return out


@linear(
    transpose=lambda g, kernel, stride: avg_pool(g, kernel, stride),
    sample=lambda r: [
        r(r.real(2, 3, 3), shape=(2, 3, 6), kernel=(2,), stride=(2,)),
        r(r.real(2, 4, 2), shape=(2, 5, 6), kernel=(2, 3), stride=(1, 2)),
    ],
)
def avg_unpool(y, shape=(), kernel=(2,), stride=(2,)):
    """What each window has, given to its entries in equal shares."""
    out = np.zeros_like(y, shape=shape)
    share = y * (1 / math.prod(kernel))
    for index in _slices(shape, kernel, stride, (1,) * len(kernel)):
        out[index] += share
    return out


# -- PyTorch's names -----------------------------------------------------------------------------


def check_windows(title, axes, kernel_size, stride, padding, dilation=1):
    """Kernel, stride, padding and dilation, one number per axis, or RangeError."""
    kernel = each(kernel_size, axes, "kernel_size", title)
    stride = kernel if stride is None else each(stride, axes, "stride", title)
    padding = each(padding, axes, "padding", title, least=0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise RangeError(
            f"{title} takes padding up to half of the kernel {kernel}, not {padding}: there would be windows of "
            "nothing but padding.  Pad with np.pad."
        )
    return kernel, stride, padding, each(dilation, axes, "dilation", title)


def _settings(title, axes, x, kernel_size, stride, padding, dilation=1):
    """The samples as an array, and what `check_windows` gives, if the windows fit."""
    x = operand(x)
    if x.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{title} takes samples (N, C, *space) with {axes} axes of space, not shape {x.shape}.  Give images "
            "without channels one by x[:, None]."
        )
    kernel, stride, padding, dilation = check_windows(title, axes, kernel_size, stride, padding, dilation)
    padded = tuple(n + 2 * p for n, p in zip(x.shape[-axes:], padding, strict=True))
    if min(_lengths(padded, kernel, stride, dilation)) < 1:
        raise ShapeError(
            f"{title} has windows of shape {kernel}, and none fits into samples of shape {x.shape}.  Take smaller "
            "windows, or larger samples."
        )
    return x, kernel, stride, padding, dilation


def _least(dtype):
    """What no entry is below."""
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _padded(x, padding, more, value):
    """`x` with this value around its last axes, and after them also as many as `more` says."""
    if not any(padding) and not any(more):
        return x
    around = [(p, p + m) for p, m in zip(padding, more, strict=True)]
    return np.pad(x, [(0, 0)] * (x.ndim - len(padding)) + around, constant_values=value)


def _further(x, kernel, stride, padding, dilation, ceil_mode):
    """How much has to be padded after each axis so that no entry is left over, with ceil_mode."""
    if not ceil_mode:
        return (0,) * len(kernel)
    more = []
    for n, k, s, p, d in zip(x.shape[-len(kernel) :], kernel, stride, padding, dilation, strict=True):
        count = -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1
        # A window that starts in the padding after the end has nothing to see.
        count -= (count - 1) * s >= n + p
        more.append(max(0, (count - 1) * s + d * (k - 1) + 1 - n - 2 * p))
    return tuple(more)


def _max_pool(axes):
    title = f"max_pool{axes}d"

    def function(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        x, kernel, stride, padding, dilation = _settings(title, axes, x, kernel_size, stride, padding, dilation)
        more = _further(x, kernel, stride, padding, dilation, ceil_mode)
        return max_pool(_padded(x, padding, more, _least(x.dtype)), kernel, stride, dilation)

    return _named(function, title, _MAX, axes)


def _avg_pool(axes):
    title = f"avg_pool{axes}d"

    def function(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        x, kernel, stride, padding, _ = _settings(title, axes, x, kernel_size, stride, padding)
        x, dilation = _floating(x), (1,) * axes
        more = _further(x, kernel, stride, padding, dilation, ceil_mode)
        out = avg_pool(_padded(x, padding, more, 0), kernel, stride)
        if not any(more) and (count_include_pad or not any(padding)):
            return out
        # Which part of each window counts.
        inside = np.ones(x.shape[-axes:], x.dtype)
        inside = _padded(inside, padding, (0,) * axes, float(count_include_pad))
        return out / avg_pool(_padded(inside, (0,) * axes, more, 0), kernel, stride)

    return _named(function, title, _AVERAGE, axes)


def _windows_for(n, size):
    """Where the windows of an adaptive pool start and end."""
    i = np.arange(size)
    return i * n // size, -(-(i + 1) * n // size)


def _adaptive(axes, kind):
    title = f"adaptive_{kind}_pool{axes}d"

    def function(x, output_size):
        x = operand(x)
        # None keeps the length of an axis.
        sizes = output_size if isinstance(output_size, tuple | list) else (output_size,) * axes
        given = [n if size is None else size for n, size in zip(x.shape[-axes:], sizes, strict=False)]
        x, *_ = _settings(title, axes, x, 1, None, 0)
        sizes = each(given if len(sizes) == axes else sizes, axes, "output_size", title)
        for axis, size in zip(range(x.ndim - axes, x.ndim), sizes, strict=True):
            x = _ADAPTIVE[kind](x, axis, size)
        return x

    return _named(function, title, _ADAPTIVE_TEXT[kind], axes)


def _floating(x):
    return x if x.dtype.kind == "f" else x.astype(float)


def _average_along(x, axis, size):
    x = _floating(x)
    starts, ends = _windows_for(x.shape[axis], size)
    places = np.arange(x.shape[axis])[:, None]
    weights = ((places >= starts) & (places < ends)) / (ends - starts)
    return np.moveaxis(np.moveaxis(x, axis, -1) @ weights.astype(x.dtype), -1, axis)


def _largest_along(x, axis, size):
    starts, ends = _windows_for(x.shape[axis], size)
    index = starts[:, None] + np.arange((ends - starts).max())
    inside = index < ends[:, None]
    seen = np.take(np.moveaxis(x, axis, -1), np.minimum(index, ends[:, None] - 1), axis=-1)
    return np.moveaxis(np.max(seen, axis=-1, where=inside, initial=_least(x.dtype)), -1, axis)


_ADAPTIVE = {"avg": _average_along, "max": _largest_along}


def _named(function, title, text, axes):
    function.__name__ = function.__qualname__ = title
    function.__doc__ = text.format(title=title, four=", ".join(["4"] * axes), two=", ".join(["2"] * axes))
    return function


_MAX = """The largest entry of each window of samples (N, C, *space); entries that tie share the gradient equally.

    The windows lie beside each other unless `stride` says how far apart; with `ceil_mode` the last may reach over
    the end.  Padding is never the largest.  Raises ShapeError for a window that does not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import {title}
    >>> {title}(np.ones((2, 3, {four})), 2).shape
    (2, 3, {two})
    """

_AVERAGE = """The mean of each window of samples (N, C, *space).

    The windows lie beside each other unless `stride` says how far apart; with `ceil_mode` the last may reach over
    the end.  Zeros that `padding` adds count, unless count_include_pad=False.
    Raises ShapeError for a window that does not fit.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import {title}
    >>> {title}(np.ones((2, 3, {four})), 2).shape
    (2, 3, {two})
    """

_ADAPTIVE_TEXT = {
    kind: f"""The {what} of each of `output_size` windows per axis, of nearly equal lengths, that cover the samples.

    `output_size` is one number, or one per axis, None for the length of that axis.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import {{title}}
    >>> {{title}}(np.ones((2, 3, {{four}})), 2).shape
    (2, 3, {{two}})
    """
    for kind, what in (("avg", "mean"), ("max", "largest entry"))
}

max_pool1d, max_pool2d, max_pool3d = map(_max_pool, (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = map(_avg_pool, (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (_adaptive(axes, "avg") for axes in (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (_adaptive(axes, "max") for axes in (1, 2, 3))
