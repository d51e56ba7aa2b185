"""How close two gradients must be to count as equal, for each dtype."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from ..errors import DtypeError, RangeError, ShapeError


class Tolerance(NamedTuple):
    """What `np.allclose` calls `rtol` and `atol`; unpacks into the two numbers."""

    rtol: float
    atol: float


# A gradient is a sum over many roundings, and the two that are compared round differently: about a third
# of the digits of float32 are given to that.  In float64 it is the differences, good to 1e-10, that decide.
_ROUNDING = {2: Tolerance(2e-2, 1e-3), 4: Tolerance(2e-4, 1e-6), 8: Tolerance(1e-6, 1e-9)}


def tolerance(*of: Any, rtol: float | None = None, atol: float | None = None) -> Tolerance:
    """The tolerance for numbers of these dtypes (or arrays or tensors): the loosest decides.

    | dtype                          | rtol | atol |
    |--------------------------------|------|------|
    | float64, complex128 and longer | 1e-6 | 1e-9 |
    | float32, complex64             | 2e-4 | 1e-6 |
    | float16                        | 2e-2 | 1e-3 |

    Whole numbers and booleans are exact and do not count.  `rtol` and `atol` replace what the table says.
    Raises RangeError where they are negative or nan, DtypeError where they or what `of` holds are no numbers.

    >>> import numpy as np
    >>> from tinygrad_np.testing import tolerance
    >>> tolerance(np.float64, np.zeros(3, np.float32))
    Tolerance(rtol=0.0002, atol=1e-06)
    >>> tolerance("float64", rtol=1e-3)
    Tolerance(rtol=0.001, atol=1e-09)
    """
    widths = [_width(dtype) for dtype in map(_dtype_of, of) if dtype.kind in "fc"]
    table = _ROUNDING[min(widths, default=8)]
    chosen = Tolerance(table.rtol if rtol is None else rtol, table.atol if atol is None else atol)
    for name, value in chosen._asdict().items():
        if not isinstance(value, int | float | np.number):
            raise DtypeError(
                f"{name}={value!r} is no number, but of type {type(value).__name__}.  Give a number such as 1e-6, or "
                f"leave {name}= away for {getattr(table, name)}, as the dtype asks for."
            )
        if not 0 <= value < math.inf:
            raise RangeError(
                f"{name}={value}: a tolerance is a distance, and nothing is nearer than that.  Give a number from 0 "
                f"on, or leave {name}= away for {getattr(table, name)}, as the dtype asks for."
            )
    return chosen


def _dtype_of(of: Any) -> np.dtype:
    data = of.data if isinstance(of, Tensor) else of
    try:
        dtype = np.dtype(data) if isinstance(data, np.dtype | type | str) else np.asarray(data).dtype
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "fciub":
        raise DtypeError(
            f"tolerance() knows how exact numbers are, and {of!r} is none and no dtype of any.  Give a dtype "
            "(np.float32), an array or a Tensor."
        )
    return dtype


def _width(dtype: np.dtype) -> int:
    """The bytes of one real number, at most 8: a longer one is checked against float64."""
    return min(8, dtype.itemsize // (2 if dtype.kind == "c" else 1))


def scaled_error(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """How far `a` is from `b`: the largest |a - b|, divided by the largest |b|.

    Where `b` is all zero it is the largest |a|; nan or inf anywhere gives inf, nothing to compare gives 0.
    Raises ShapeError for different shapes: broadcasting would compare other entries than meant.

    >>> from tinygrad_np.testing import scaled_error
    >>> scaled_error([1.0, 99.0], [0.0, 100.0])
    0.01
    """
    x, y = (np.asarray(v.data if isinstance(v, Tensor) else v) for v in (a, b))
    if x.shape != y.shape:
        raise ShapeError(
            f"scaled_error compares entry by entry, and the shapes are {x.shape} and {y.shape}.  Give arrays of one "
            "shape."
        )
    wide = np.result_type(x, y, np.float64)
    x, y = x.astype(wide), y.astype(wide)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.inf
    with np.errstate(over="ignore"):  # the difference of two numbers near the largest
        distance, scale = np.max(np.abs(x - y), initial=0.0), np.max(np.abs(y), initial=0.0)
    return float(distance / scale if scale else distance)


def digits(error: float) -> str:
    """A relative error in words: "to 9.3 digits", or "to every digit" of float64.

    >>> from tinygrad_np.testing import digits
    >>> digits(5e-10), digits(0.0), digits(2.0)
    ('to 9.3 digits', 'to every digit', 'to no digit')
    """
    if error < 1e-16:
        return "to every digit"
    if not error < 1:  # nan too
        return "to no digit"
    return f"to {-math.log10(error):.1f} digits"
