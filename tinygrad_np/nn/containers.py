"""Modules that put others together, or do nothing that is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, Self

import numpy as np

from ..errors import ShapeError
from .module import Module


class Sequential(Module):
    """Modules (or functions) one after the other; or a dict of them by name.

    `model[0]` and `model["name"]` are layers, `model[:2]` is a Sequential of the same layers; `model[2] = layer` puts
    another in its place, and `model.append(layer)` one more after the last.

    >>> import numpy as np, tinygrad_np as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(4, 3, rng=0), tg.relu, tg.nn.Linear(3, 2, rng=1))
    >>> model(np.ones((5, 4), np.float32)).shape
    (5, 2)
    >>> sorted(model.state_dict())
    ['0.bias', '0.weight', '2.bias', '2.weight']
    >>> tg.nn.Sequential({"hidden": model[0], "act": np.tanh})["hidden"]
    Linear(4, 3)
    """

    def __init__(self, *layers: Callable[..., Any] | Mapping[str, Callable[..., Any]]) -> None:
        named: Any = enumerate(layers)
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = layers[0].items()
        self._names: tuple[str, ...] = ()
        for name, layer in named:
            self._put(str(name), layer)

    def _put(self, name: str, layer: Any) -> None:
        if isinstance(layer, type):
            raise TypeError(
                f"Sequential calls one layer after the other, and number {name} is the class {layer.__name__}, of "
                f"which there is no layer yet.  Write {layer.__name__}(...)."
            )
        if not callable(layer):
            raise TypeError(
                f"Sequential calls one layer after the other, and number {name} is {layer!r}, which cannot be "
                "called.  Give modules or functions, not a list: Sequential(*layers)."
            )
        if hasattr(Sequential, name) or name == "_names":
            raise ValueError(
                f"Sequential has something called {name!r} of its own, and a layer of that name would take its "
                "place.  Call the layer something else."
            )
        # As attributes of their own, so that names are "0.weight", as in PyTorch.
        vars(self)[name] = layer
        if name not in self._names:
            self._names += (name,)
        # So that pictures name the parts anew.
        self._scope = None

    def append(self, layer: Callable[..., Any]) -> Self:
        """Put a layer after the last one."""
        self._put(str(len(self)), layer)
        return self

    def forward(self, x: Any) -> Any:
        """The last layer's result."""
        for layer in self:
            x = layer(x)
        return x

    def __iter__(self) -> Iterator[Any]:
        return (vars(self)[name] for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Sequential({name: vars(self)[name] for name in self._names[index]})
        return vars(self)[index if index in self._names else self._name_at(index)]

    def __setitem__(self, index: int | str, layer: Callable[..., Any]) -> None:
        self._put(index if isinstance(index, str) and index in self._names else self._name_at(index), layer)

    def _name_at(self, index: Any) -> str:
        names = ", ".join(self._names) or "none"
        if isinstance(index, str):
            raise KeyError(f"this Sequential has no layer {index!r}.  Its layers are {names}.")
        if isinstance(index, bool) or not isinstance(index, int | np.integer):
            raise TypeError(
                f"a Sequential has no layer {index!r}.  Give a place, a slice, or one of the names {names}."
            )
        if not -len(self) <= index < len(self):
            raise IndexError(f"this Sequential has {len(self)} layers, and none at {index}.  Its layers are {names}.")
        return self._names[index]


class Residual(Module):
    """x + block(x), the skip connection of residual networks (He et al., 2016).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Residual(tg.relu)(np.array([-1.0, 2.0]))
    array([-1.,  4.])
    """

    def __init__(self, block: Callable[..., Any]) -> None:
        self.block = block

    def forward(self, x: Any) -> Any:
        """x + block(x)."""
        return x + self.block(x)


class Identity(Module):
    """What it is given, for a place where a layer may stand or not.

    >>> import tinygrad_np as tg
    >>> tg.nn.Identity()(3)
    3
    """

    def forward(self, x: Any) -> Any:
        """x itself."""
        return x


class Flatten(Module):
    """The axes from `start_axis` to `end_axis` as one: by default all but that of the samples.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Flatten()(np.ones((5, 3, 4))).shape
    (5, 12)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Any) -> Any:
        """x with these axes as one."""
        start, end = self.start_axis % x.ndim, self.end_axis % x.ndim
        # Not -1: it has no meaning where there are no samples.
        size = int(np.prod(x.shape[start : end + 1]))
        return x.reshape(*x.shape[:start], size, *x.shape[end + 1 :])

    def extra_repr(self) -> str:
        """Which axes, where not the usual ones."""
        return "" if (self.start_axis, self.end_axis) == (1, -1) else f"{self.start_axis}, {self.end_axis}"


class Unflatten(Module):
    """One axis as several of these sizes, of which one may be -1: what `Flatten` did, the other way round.

    Raises ShapeError for an axis that is not as long as the sizes make it.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Unflatten(1, (3, -1))(np.ones((5, 12))).shape
    (5, 3, 4)
    """

    def __init__(self, axis: int, sizes: Sequence[int]) -> None:
        self.axis, self.sizes = axis, tuple(sizes)
        if self.sizes.count(-1) > 1 or any(size < -1 for size in self.sizes):
            raise ShapeError(f"Unflatten cannot tell what sizes={self.sizes} are.  Leave at most one open, as -1.")

    def forward(self, x: Any) -> Any:
        """x with this axis as several."""
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError(f"Unflatten has no axis {self.axis} to part in shape {x.shape}.  Give another axis.")
        axis = self.axis % x.ndim
        return x.reshape(*x.shape[:axis], *self._sizes_of(x.shape[axis], x.shape), *x.shape[axis + 1 :])

    def _sizes_of(self, length: int, shape: tuple[int, ...]) -> tuple[int, ...]:
        # Not left to reshape: it cannot tell what -1 is where there are no samples.
        known = prod(size for size in self.sizes if size != -1)
        rest = length // max(known, 1)
        sizes = tuple(rest if size == -1 else size for size in self.sizes)
        if prod(sizes) != length:
            raise ShapeError(
                f"Unflatten parts axis {self.axis} into {self.sizes}, and in shape {shape} it is {length} long.  Give "
                "sizes whose product is that."
            )
        return sizes

    def extra_repr(self) -> str:
        """Which axis, and its sizes."""
        return f"{self.axis}, {self.sizes}"
