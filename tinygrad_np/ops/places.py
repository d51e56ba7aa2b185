"""Where the weights of a convolution meet the samples, and the three ways to contract them, on plain arrays."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import RangeError, ShapeError

BLOCK = 1 << 16
"""About how many entries of columns are made at a time, so that they are still in the cache when they are used."""


class Places:
    """Where the weights of a convolution meet the samples.

    Inside, samples are (channels, *space, samples): what the next place or the next sample needs lies beside it in
    memory, so that columns are copied in long runs, and no result has to be transposed for the next layer.
    Users see (samples, channels, *space), as a view.
    """

    def __init__(self, space, kernel, stride, padding, dilation):
        self.space, self.kernel, self.stride, self.dilation = space, kernel, stride, dilation
        self.before = tuple(before for before, _ in padding)
        self.padded = tuple(n + before + after for n, (before, after) in zip(space, padding, strict=True))
        self.extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        self.out = tuple((n - e) // s + 1 for n, e, s in zip(self.padded, self.extent, stride, strict=True))
        if min(self.out) < 1:
            raise ShapeError(
                f"a kernel of shape {kernel}{_unless(dilation, 1, 'dilation')} does not fit into samples of shape "
                f"{space}{_unless(padding, (0, 0), 'padding')}.  Pad more, or take a smaller kernel."
            )
        self.size = math.prod(kernel)

    def enter(self, x, dtype):
        """Samples (N, C, *space) as padded ones (C, *padded, N), contiguous."""
        x = np.moveaxis(x, 0, -1)
        if self.padded == self.space:
            return np.ascontiguousarray(x, dtype)
        out = np.zeros((x.shape[0], *self.padded, x.shape[-1]), dtype)
        out[self._inside()] = x
        return out

    def leave(self, x):
        """Padded samples (C, *padded, N) as (N, C, *space), a view."""
        return np.moveaxis(x[self._inside()], -1, 0)

    def _inside(self):
        return (slice(None), *(slice(b, b + n) for n, b in zip(self.space, self.before, strict=True)))

    def windows(self, x, writeable=False):
        """What each weight meets, a view: (C, *kernel, *out, N)."""
        axes = len(self.kernel)
        found = sliding_window_view(x, self.extent, tuple(range(1, 1 + axes)), writeable=writeable)
        steps = [slice(None, None, s) for s in (*self.stride, 1, *self.dilation)]
        order = (0, *range(2 + axes, 2 + 2 * axes), *range(1, 2 + axes))
        return found[(slice(None), *steps)].transpose(order)

    def blocks(self, channels, samples):
        """Slices of the first axis of the output, each with the slice of the flat places that it covers."""
        line = math.prod(self.out[1:]) * samples
        step = max(1, BLOCK // max(1, channels * self.size * line))
        for start in range(0, self.out[0], step):
            stop = min(start + step, self.out[0])
            yield slice(start, stop), slice(start * line, stop * line)


def _unless(values, usual, name):
    return f", {name} {values}" if any(value != usual for value in values) else ""


def _rows(windows, block, groups):
    """A block of what `Places.windows` gave, as columns (groups, weights, places)."""
    axes = (windows.ndim - 2) // 2
    part = windows[(slice(None),) * (1 + axes) + (block,)]
    return part.reshape(groups, part.shape[0] // groups * math.prod(part.shape[1 : 1 + axes]), -1)


def _grouped(a, groups):
    """The first axis split into groups, and the others in one."""
    return a.reshape(groups, a.shape[0] // groups, math.prod(a.shape[1:]))


# -- the three contractions ----------------------------------------------------------------------


def outputs_of(x, w, at, groups):
    """Samples and weights to outputs (O, *out, N)."""
    dtype = np.result_type(x, w)
    windows, weights = at.windows(at.enter(x, dtype)), _grouped(w, groups)
    out = np.empty((w.shape[0], *at.out, x.shape[0]), dtype)
    flat = _grouped(out, groups)
    for block, places in at.blocks(x.shape[1], x.shape[0]):
        np.matmul(weights, _rows(windows, block, groups), out=flat[:, :, places])
    return out


def inputs_of(y, w, at, groups):
    """Outputs and weights to samples (N, C, *space)."""
    flat, weights = _grouped(np.ascontiguousarray(np.moveaxis(y, 0, -1)), groups), _grouped(w, groups).mT
    channels, samples = w.shape[1] * groups, y.shape[0]
    out = np.zeros((channels, *at.padded, samples), np.result_type(y, w))
    windows = at.windows(out, writeable=True)
    for block, places in at.blocks(channels, samples):
        # A product of a column and a row is quicker entry by entry.
        columns = (np.multiply if flat.shape[1] == 1 else np.matmul)(weights, flat[:, :, places])
        columns = columns.reshape(channels, *at.kernel, block.stop - block.start, *at.out[1:], samples)
        for index in product(*map(range, at.kernel)):
            # Windows lie over each other: those of one weight at a time do not.
            met = windows[(slice(None), *index, block)]
            np.add(met, columns[(slice(None), *index)], out=met)
    return at.leave(out)


def weights_of(x, y, at, groups):
    """Samples and outputs to weights (O, C / groups, *kernel)."""
    dtype = np.result_type(x, y)
    windows = at.windows(at.enter(x, dtype))
    flat = _grouped(np.ascontiguousarray(np.moveaxis(y, 0, -1)), groups)
    out = np.zeros((groups, x.shape[1] // groups * at.size, flat.shape[1]), dtype)
    for block, places in at.blocks(x.shape[1], x.shape[0]):
        # The wide matrix first: the other way round takes half as long again.
        out += np.matmul(_rows(windows, block, groups), flat[:, :, places].mT)
    return out.mT.reshape(y.shape[1], x.shape[1] // groups, *at.kernel)


# -- settings ------------------------------------------------------------------------------------


def each(value, axes, name, title, least=1):
    """A whole number for each axis, from one number or from one per axis."""
    values = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value,) * axes
    if len(values) != axes or not all(isinstance(v, int | np.integer) and v >= least for v in values):
        raise RangeError(
            f"{title} takes {name} as a whole number from {least} on, or as {axes} of them, not {value!r}."
        )
    return tuple(int(v) for v in values)


def paddings(padding, kernel, stride, dilation, title):
    """Zeros before and after each axis."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding == "same":
        if set(stride) != {1}:
            raise RangeError(f"{title} keeps the size with padding='same' only for stride 1, not {stride}.")
        both = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((n // 2, n - n // 2) for n in both)
    if isinstance(padding, str):
        raise RangeError(f"{title} takes padding as whole numbers, 'same' or 'valid', not {padding!r}.")
    return tuple((n, n) for n in each(padding, len(kernel), "padding", title, least=0))
