"""Methods that are NumPy's functions: they look their rule up in the table, which is filled later.

That is how operators can be methods of Tensor although ops make tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .door import RULES, bare
from .tape import recording


def late(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    """A method that runs the rule of a NumPy function; `settle` puts the rule itself in its place."""

    @wraps(function)
    def method(self: Any, *args: Any, **options: Any) -> Any:
        return _settled(function, reflected)(self, *args, **options)

    method.late = (function, reflected)  # type: ignore[attr-defined]
    return method


def settle(cls: type) -> None:
    """Replace the late methods of a class by the rules, once there are some: one call less per operator."""
    for name, method in list(vars(cls).items()):
        if hasattr(method, "late") and method.late[0] in RULES:
            setattr(cls, name, _settled(*method.late))


def _settled(function: Callable[..., Any], reflected: bool) -> Callable[..., Any]:
    rule = RULES[function]
    return (lambda self, other: rule(other, self)) if reflected else rule


def in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    """`t += v`: a new tensor bound to the same name, as for a number.

    Only a parameter inside no_grad() is updated in its own array: there the new tensor would have
    lost requires_grad, and what is meant is the step of an optimizer.
    """

    def method(self: Any, other: Any) -> Any:
        if recording.get() or not (self.requires_grad and self.is_leaf):
            return RULES[ufunc](self, other)
        ufunc(self.data, bare(other), out=self.data, casting="same_kind")
        return self

    return method
