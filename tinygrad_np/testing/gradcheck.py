"""Numeric gradients: the independent truth that automatic ones are checked against."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..engine.door import bare
from ..errors import ShapeError


def numeric_grad(
    f: Callable[..., Any], *arrays: Any, argnum: int = 0, entries: np.ndarray | None = None, step: float = 1e-5
) -> np.ndarray:
    """The gradient of `f(*arrays)`, one number, with respect to `arrays[argnum]`, by central differences.

    `(f(x + h) - f(x - h)) / 2h` in float64, with `h = step * max(1, |x|)` per entry; the error is about
    1e-10 of the size of the gradient for smooth functions.  `entries` picks flat indices to look at
    (a big array has too many): the result then has one number for each.  At a complex entry x + iy it is
    df/dx + i df/dy, as `grad` gives it.

    >>> import numpy as np
    >>> from tinygrad_np.testing import numeric_grad
    >>> numeric_grad(lambda x: np.sum(x**2), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    """
    argnum = range(len(arrays))[argnum]
    values = [bare(a) for a in arrays]
    values[argnum] = np.array(values[argnum], complex if np.iscomplexobj(values[argnum]) else float)
    if np.size(bare(f(*values))) != 1:
        raise ShapeError(
            f"numeric_grad needs a function that gives one number, not shape {np.shape(bare(f(*values)))}."
        )
    x = values[argnum]
    chosen = np.arange(x.size) if entries is None else np.asarray(entries)
    units = (1, 1j) if x.dtype.kind == "c" else (1,)
    slopes = np.zeros(chosen.size, x.dtype)
    for (k, i), unit in product(enumerate(chosen), units):
        old = x.flat[i]
        h = step * max(1.0, abs(old))
        x.flat[i] = old + h * unit
        above = float(bare(f(*values)))
        x.flat[i] = old - h * unit
        below = float(bare(f(*values)))
        x.flat[i] = old
        slopes[k] += (above - below) / (2 * h) * unit
    return slopes.reshape(x.shape) if entries is None else slopes
