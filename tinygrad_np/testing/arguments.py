"""What `numeric_grad` and `check_grad` are given: a function, and a point to look at it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DtypeError


def check_function(f: Any, check: str, arrays: tuple) -> None:
    """Raise DtypeError unless `f` is a function and there is a point to look at it."""
    if not callable(f):
        swapped = "  The function stands first" if any(map(callable, arrays)) else ""
        raise DtypeError(
            f"{check} takes a function and then the arrays to call it with, and the first is of type "
            f"{type(f).__name__}.{swapped or '  It has to be called at other points'}: write {check}(f, x)."
        )
    if not arrays:
        name = getattr(f, "__name__", type(f).__name__)
        raise DtypeError(
            f"{check} has nothing to differentiate {name} with respect to: it was given no arrays, and a slope is that "
            f"at a point.  Give the arrays to call it with after it: write {check}(f, x) or {check}(f, x, y)."
        )


def check_place(place: Any, option: str, of: str, count: int) -> None:
    """Raise DtypeError for what is no place of an argument; `of`: what it is an argument of, in words."""
    if isinstance(place, bool) or not isinstance(place, int | np.integer):
        raise DtypeError(
            f"{option}: {place!r} is of type {type(place).__name__}, and the arguments of {of} are named by their "
            f"places: the first is 0, and the last {count - 1}.  Give a whole number."
        )
