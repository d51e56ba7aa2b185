"""Methods that are NumPy's functions: they find their rule at the first call.

That is how operators can be methods of Tensor although ops make tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .door import RULES, bare, built
from .tape import recording


class late:
    """A method that stands for a NumPy function until it is first used, and then is its rule itself."""

    def __init__(self, function: Callable[..., Any], reflected: bool = False) -> None:
        self.function, self.reflected = function, reflected
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        rule = built(self.function)
        method = (lambda self, other: rule(other, self)) if self.reflected else rule
        setattr(owner, self.name, method)
        return getattr(owner if instance is None else instance, self.name)


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
