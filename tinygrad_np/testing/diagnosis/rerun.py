"""Functions instead of arrays: call them twice, and again with other sizes, to tell causes apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...engine.tensor import Tensor
from ...errors import AutogradError
from .names import PREFIXES
from .sizes import linked_axes

PRIMES = (11, 7, 5, 13, 17, 19, 23, 29, 31, 37, 41, 43)
"""Sizes to try: no two equal, none a divisor or the double of another, and small."""


class Recorded(NamedTuple):
    """A loss recorded on tensors of some arrays, and the tensors by name, intermediates too."""

    loss: Any
    tensors: dict[str, Any]


class Called(NamedTuple):
    """What the user's backward function gave in one call, and which of its arguments it changed."""

    gradients: dict[str, Any]
    changed: list[str]


def call(hand: Callable[..., Any], arrays: Mapping[str, Any]) -> Called:
    """Call the user's function with copies of the arrays."""
    copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arrays.items()}
    found = hand(**copies)
    if not isinstance(found, Mapping):
        raise AutogradError(
            f"the hand-written function gave {type(found).__name__}, and a dict of gradients by name is needed.  End "
            'it with return {"dW1": dW1, "db1": db1}.'
        )
    changed = [n for n, v in arrays.items() if isinstance(v, np.ndarray) and not _same(v, copies[n])]
    # Copies: a function may go on adding to the arrays that it gave.
    return Called({name: _copied(value) for name, value in found.items()}, changed)


def _copied(value: Any) -> Any:
    return np.array(value.data if isinstance(value, Tensor) else value)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def record(loss: Callable[..., Any], arrays: Mapping[str, Any], wanted: Mapping[str, Any]) -> Recorded:
    """Record the user's loss on Tensors; those require grad that there is a hand-written gradient of."""
    if not callable(loss):
        raise AutogradError(
            f"`hand` is a function, and `loss` of type {type(loss).__name__} is none.  Give a function of the same "
            "arrays, loss(**tensors), so that both can be called with other numbers."
        )
    parameters = _parameters(arrays, wanted)
    tensors = {
        name: Tensor(value, requires_grad=name in parameters, name=name) if isinstance(value, np.ndarray) else value
        for name, value in arrays.items()
    }
    found = loss(**tensors)
    recorded, more = found if isinstance(found, tuple) else (found, {})
    return Recorded(recorded, {**tensors, **more})


def _parameters(arrays: Mapping[str, Any], wanted: Mapping[str, Any]) -> set[str]:
    """The arrays that a gradient is named after: W1 for "dW1" or "W1"."""
    stems = {key.removeprefix(p) for key in wanted for p in ("", *PREFIXES)}
    floating = {n for n, v in arrays.items() if isinstance(v, np.ndarray) and v.dtype.kind in "fc"}
    return stems & floating


# -- the same call twice -------------------------------------------------------------------------------


def grown(first: Called, second: Called) -> dict[str, float | None]:
    """Results that the second call gives otherwise: how many times the first's, or None for other numbers."""
    found: dict[str, float | None] = {}
    for name, value in first.gradients.items():
        other = second.gradients.get(name)
        if other is None or _same(value, other):
            continue
        times = next((n for n in (2.0, 3.0) if other.shape == value.shape and np.allclose(other, n * value)), None)
        found[name] = times
    return found


# -- other sizes ---------------------------------------------------------------------------------------


def at_prime_sizes(
    arrays: Mapping[str, Any], shapes: Mapping[str, str], random: np.random.Generator
) -> dict[str, Any] | None:
    """Arrays of other sizes, all different, with data of the same kind; None where sizes cannot be told."""
    sizes = _sizes(arrays, shapes)
    if len(sizes) > len(PRIMES):
        return None
    letters = [letter for letter in sizes if sizes[letter] != 1]
    chosen = {**dict.fromkeys(sizes, 1), **dict(zip(letters, PRIMES, strict=False))}
    return {
        name: _redrawn(value, _shape(name, value, shapes, chosen), min(PRIMES), random)
        if isinstance(value, np.ndarray)
        else value
        for name, value in arrays.items()
    }


def linked(
    arrays: Mapping[str, Any], runs: Callable[[Mapping[str, Any]], bool], random: np.random.Generator
) -> dict[str, str]:
    """A letter for each axis: those that must be equally long for the user's functions share one."""

    def other(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return _redrawn(value, shape, max(2, min(value.shape, default=2)), random)

    return linked_axes(arrays, other, runs)


def _sizes(arrays: Mapping[str, Any], shapes: Mapping[str, str]) -> dict[Any, int]:
    """The sizes that there are, by letter; without letters each size is one."""
    found: dict[Any, int] = {}
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray):
            continue
        letters = _letters(name, value, shapes)
        for letter, n in zip(letters, value.shape, strict=True):
            if found.setdefault(letter, n) != n:
                raise AutogradError(
                    f"shapes says that axis {letter!r} is {found[letter]} long, and in {name}, of shape {value.shape}, "
                    f"it is {n}.  Give different letters to sizes that need not be equal."
                )
    return found


def _letters(name: str, value: np.ndarray, shapes: Mapping[str, str]) -> tuple[Any, ...]:
    letters = shapes.get(name)
    if letters is None:
        return value.shape
    if len(letters) != value.ndim:
        raise AutogradError(
            f"shapes[{name!r}] is {letters!r}, with {len(letters)} axes, and the array has shape {value.shape}.  Give "
            "one letter for each axis."
        )
    return tuple("1" if n == 1 and letter == "1" else letter for letter, n in zip(letters, value.shape, strict=True))


def _shape(name: str, value: np.ndarray, shapes: Mapping[str, str], sizes: Mapping[Any, int]) -> tuple[int, ...]:
    return tuple(sizes[letter] for letter in _letters(name, value, shapes))


def _redrawn(value: np.ndarray, shape: tuple[int, ...], fewest: int, random: np.random.Generator) -> np.ndarray:
    """Data of another shape and of the same kind: one-hot, 0 and 1, whole numbers, positive, or normal.

    Whole numbers are labels, most likely: they stay below `fewest`, the smallest size that there is.
    """
    axis = one_hot_axis(value)
    if axis is not None:
        labels = random.permutation(np.arange(int(np.prod(shape)) // shape[axis]) % shape[axis])
        others = tuple(n for i, n in enumerate(shape) if i != axis)
        return np.moveaxis(np.eye(shape[axis])[labels.reshape(others)], -1, axis).astype(value.dtype)
    if value.size and np.all(np.isin(value, (0, 1))):
        return (np.zeros(shape) if not value.any() else random.integers(0, 2, shape)).astype(value.dtype)
    if value.dtype.kind in "iu":
        return random.integers(min(0, value.min()), max(1, min(fewest, value.max() + 1)), shape).astype(value.dtype)
    spread = float(np.sqrt(np.mean(np.abs(value) ** 2))) if value.size else 1.0
    drawn = spread * random.normal(size=shape)
    return (np.abs(drawn) if value.size and np.all(value >= 0) else drawn).astype(value.dtype)


def one_hot_axis(value: np.ndarray) -> int | None:
    """The axis along which there is one 1 and else 0.

    >>> one_hot_axis(np.eye(3)[[0, 2]]), one_hot_axis(np.ones((2, 2)))
    (1, None)
    """
    if value.ndim < 2 or not value.size or not np.all(np.isin(value, (0, 1))):
        return None
    # The identity is one-hot both ways; classes are then taken to be on the last axis.
    axes = [axis for axis in range(value.ndim) if value.shape[axis] > 1 and np.all(value.sum(axis=axis) == 1)]
    return axes[-1] if axes else None
