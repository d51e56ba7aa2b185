"""A function with its settings as a module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .module import Module


class Function(Module):
    """Calls `function` with the settings that its `__init__` was given, which are attributes.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.nn.function import Function
    >>> class Clip(Function):
    ...     function = staticmethod(np.clip)
    ...     def __init__(self, min=0.0, max=1.0):
    ...         super().__init__(min=min, max=max)
    >>> Clip(max=2.0), Clip(max=2.0)(np.array([-1.0, 3.0]))
    (Clip(min=0.0, max=2.0), array([0., 2.]))
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, **settings: Any) -> None:
        known = inspect.signature(type(self).function).parameters
        for name in settings:
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no setting {name!r}: it calls {type(self).function.__name__}"
                    f"({', '.join(known)}).  Leave it away."
                )
        vars(self).update(settings)
        self._settings = tuple(settings)

    def forward(self, *inputs: Any) -> Any:
        """The function of the inputs."""
        if not self._settings:
            return type(self).function(*inputs)
        return type(self).function(*inputs, **{name: getattr(self, name) for name in self._settings})

    def extra_repr(self) -> str:
        """The settings that are not the function's own."""
        usual = inspect.signature(type(self).function).parameters
        given = [(name, getattr(self, name)) for name in self._settings]
        return ", ".join(f"{name}={_shown(value)}" for name, value in given if not _same(value, usual[name].default))


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and not isinstance(a, np.ndarray) and a == b


def _shown(value: Any) -> str:
    return f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
