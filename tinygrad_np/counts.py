"""Arguments that count something: one check and one sentence for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import RangeError


def count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int, if it is a whole number of at least `least`; else TypeError or RangeError, with the `name`.

    >>> import numpy as np
    >>> from tinygrad_np.counts import count
    >>> count("epochs", np.int64(3))
    3
    >>> count("epochs", 2.5)
    Traceback (most recent call last):
    TypeError: epochs=2.5 counts something, and is no whole number.  Give an int of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} counts something, and is no whole number.  Give an int of at least {least}.")
    if value < least:
        raise RangeError(f"{name}={value!r} counts something, and is below {least}.  Give an int of at least {least}.")
    return int(value)
