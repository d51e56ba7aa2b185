"""Methods that are NumPy's functions: they find their rule at the first call.

That is how operators can be methods of Tensor although ops make tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .door import RULES, bare
from .tape import recording


class late:
    """A method that stands for a NumPy function until it is first used, and then is its rule itself."""

    def __init__(self, function: Callable[..., Any], reflected: bool = False) -> None:
        self.function, self.reflected = function, reflected
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if self.function not in RULES:
            raise AttributeError(f"{owner.__name__} has no method {self.name!r}: {self.function!r} has no rule")
        rule = RULES[self.function]
        method = (lambda self, other: rule(other, self)) if self.reflected else rule
        setattr(owner, self.name, method)
        _settled.setdefault(self.function, []).append((owner, self))
        return getattr(owner if instance is None else instance, self.name)


_settled: dict[Any, list[tuple[type, late]]] = {}


def unsettle(function: Any) -> None:
    """Let the methods of a function find their rule anew: it has been declared again."""
    for owner, method in _settled.pop(function, []):
        setattr(owner, method.name, method)


def in_place(ufunc: np.ufunc) -> Callable[..., Any]:
    """`t += v`: a new tensor bound to the same name, as for a number.

    Only a parameter inside no_grad() is updated itself: there a new tensor would have lost
    requires_grad, and what is meant is the step of an optimizer.
    """

    def method(self: Any, other: Any) -> Any:
        if recording.get() or not (self.requires_grad and self.is_leaf):
            return RULES[ufunc](self, other)
        # Into a new array: a graph recorded before still needs the old values.
        self.data = ufunc(self.data, bare(other)).astype(self.dtype, casting="same_kind", copy=False)
        return self

    return method


COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)


def comparison(ufunc: np.ufunc) -> Callable[..., Any]:
    """A comparison, unless the other side has its own way with arrays, such as `pytest.approx`."""

    def method(self: Any, other: Any) -> Any:
        if getattr(other, "__array_ufunc__", method) is None:
            return NotImplemented
        return RULES[ufunc](self, other)

    return method
