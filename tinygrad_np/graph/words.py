"""Values, metadata and numbers in the few words that fit into a picture."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

SHORT = 40
"""The longest text for one piece of metadata."""
FEW = 6
"""Arrays of up to this many entries are written out."""


def number(value: Any) -> str:
    """One number, to five digits.

    >>> number(2.0), number(3), number(1 / 3)
    ('2', '3', '0.33333')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    return f"{value:.5g}"


def summary(array: Any) -> str:
    """An array in a few words: its entries if there are few, else mean ± standard deviation.

    Entries that are nan or infinite are counted, because then neither mean nor deviation says anything.

    >>> summary(np.array([3, 1, 4])), summary(np.zeros((3, 4)))
    ('[3 1 4]', 'all 0')
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return number(array[()])
    if array.size == 0:
        return "no entries"
    if array.size <= FEW:
        # Three digits of the largest are no digit of a small one: 1e-12 would read as 0.
        with np.printoptions(formatter={"float": lambda x: f"{x + 0:.3g}"}):
            return " ".join(str(array).split()).replace("[ ", "[").replace(" ]", "]")
    if array.dtype.kind == "b":
        return f"{array.mean():.0%} True"
    if bad := array.size - np.count_nonzero(np.isfinite(array)):
        return f"{bad} of {array.size} not finite"
    if (array == array.flat[0]).all():
        return f"all {number(array.flat[0])}"
    if array.dtype.kind in "iu":
        return f"{array.min()} to {array.max()}"
    # float16 sums overflow at 65,504.
    wide = array.astype(np.result_type(array.dtype, np.float64))
    with np.errstate(all="ignore"):
        return spread(wide.mean(), wide.std())


def spread(mean: Any, deviation: Any) -> str:
    """Mean ± deviation, the mean to the digits that mean something beside its deviation.

    >>> [spread(np.float64(m), d) for m, d in [(1.7e-18, 0.0204), (12.34, 1.5), (2e-9, 3e-9)]]
    ['0.000 ± 0.020', '12.3 ± 1.5', '2e-09 ± 3e-09']
    """
    if not 1e-4 <= deviation < 1e5 or abs(mean) >= 1e5:
        return f"{mean:.2g} ± {deviation:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    # Adding 0 turns -0.0, which is shown with its sign, into 0.0.
    return f"{mean.round(decimals) + 0:.{decimals}f} ± {deviation:.{decimals}f}"


def index(value: Any) -> str:
    """What stands between the brackets of `t[...]`.

    >>> index((slice(None), 0)), index(slice(1, None, 2))
    (':, 0', '1::2')
    """
    if isinstance(value, tuple):
        return cut(", ".join(map(index, value)) + ("," if len(value) == 1 else ""), SHORT)
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop)]
        return ":".join(ends if value.step is None else [*ends, str(value.step)])
    return "..." if value is Ellipsis else argument(value)


def argument(value: Any) -> str:
    """One piece of metadata: arrays by dtype and shape, functions by name, all else as Python writes it."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} {value.shape}"
    if isinstance(value, np.ndarray | np.generic | float):
        return number(value[()] if isinstance(value, np.ndarray) else value)
    if isinstance(value, slice) or value is Ellipsis:
        return index(value)
    if isinstance(value, list | tuple):
        # Past a few entries nothing fits anyway, and a list of indices may be very long.
        inside = ", ".join(map(argument, value[:SHORT])) + ("," if len(value) == 1 else "")
        return cut(f"({inside})" if isinstance(value, tuple) else f"[{inside}]", SHORT)
    if isinstance(value, type | np.dtype) or callable(value):
        return cut(getattr(value, "__name__", None) or str(value), SHORT)
    return cut(repr(value), SHORT)


def cut(text: str, length: int) -> str:
    """`text` of at most `length` characters, with an ellipsis where some were left out."""
    return text if len(text) <= length else text[: length - 1] + "…"
