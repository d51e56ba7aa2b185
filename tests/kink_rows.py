"""What the rows of the table of kinks are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

UNCHECKED = object()
"""For second derivatives that no float can hold on the way."""


@dataclass(frozen=True)
class Check:
    """The gradient of sum(f), by hand: an array per input, or the error raised.

    `second` is the gradient of the sum of the gradients, the row sums of the Hessian; None asks for any finite one.
    `dtypes` are those, besides double precision, that NumPy has the function for; `warns` is for values without sense.
    """

    f: Callable[..., Any]
    arrays: tuple
    gives: Any
    second: Any = None
    dtypes: str = "fe"
    warns: bool = False


@dataclass(frozen=True)
class Row:
    call: str
    where: str
    gradient: str
    why: str
    checks: tuple[Check, ...]


def check(f, *arrays, gives, second=None, dtypes="fe", warns=False):
    return Check(f, arrays, gives, second, dtypes, warns)


def row(call, where, gradient, why, *checks):
    return Row(call, where, gradient, why, checks)


def single(f, *arrays, gives, second=None):
    """A check of what NumPy has in single precision, but not in half."""
    return Check(f, arrays, gives, second, "f")
