"""What a backward function returns: which value is the gradient of what, and which is no gradient at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.tensor import Tensor
from ...errors import AutogradError

SKIPPED = "-"
"""Stands in --names for a result that is no gradient."""


class Result(NamedTuple):
    """One returned number or array.  `name`: its key, its variable or what --names says; `said`: not its variable."""

    name: str | None
    value: Any
    said: bool

    def bases(self) -> list[str]:
        """Of what it could be the gradient, the likeliest first."""
        if self.name is None:
            return []
        return [*sorted(bases(self.name)), *([self.name] if self.said else [])]


def bases(name: str) -> set[str]:
    """Of what an array could be the gradient, by its name.

    >>> sorted(bases("dW1")), sorted(bases("grad_b")), sorted(bases("W1_grad")), sorted(bases("A1"))
    (['W1'], ['b'], ['W1'], [])
    """
    before = re.fullmatch(r"(?:d_?|grad_?|delta_?)(\w+)", name)
    after = re.fullmatch(r"(\w+?)_?(?:grad|gradient)s?", name)
    return {match[1] for match in (before, after) if match}


def is_number(value: Any) -> bool:
    """Whether a value is a single number, as a parameter `b = 0` is; True and False are none."""
    return isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)


def results(returned: Any, local: Mapping[str, Any], chosen: Sequence[str], function: str) -> list[Result]:
    """The returned numbers and arrays; `chosen` is --names, `local` the variables that the function ended with."""
    if isinstance(returned, Mapping):
        if missing := [name for name in chosen if name not in returned]:
            raise AutogradError(
                f"{function}() returns a dict with the keys {', '.join(map(str, returned))}, and --names has "
                f"{missing[0]}.  Give the keys of the gradients that are to be compared."
            )
        entries = [(key, value) for key, value in returned.items() if not chosen or key in chosen]
        return [_own_name(Result(name, value, said=True), local) for name, value in _leaves(entries)]
    values = list(returned) if isinstance(returned, tuple | list) else [returned]
    if not chosen:
        found = [Result(name, value, said=name is not None) for name, value in _leaves([(None, returned)])]
        return [_own_name(result, local) for result in found]
    if len(chosen) != len(values):
        raise AutogradError(
            f"{function}() returns {len(values)} values, and --names has {len(chosen)}: {', '.join(chosen)}.  Give "
            f"one name for each, in their order, and {SKIPPED} for what is no gradient."
        )
    pairs = [pair for pair in zip(chosen, values, strict=True) if pair[0] != SKIPPED]
    return [Result(name, value, said=True) for name, value in _leaves(pairs)]


def _leaves(entries: Sequence[tuple[Any, Any]]) -> Iterator[tuple[str | None, Any]]:
    """Every number and array in dicts and lists, under its key, or as what a list is called and its place there."""
    for name, value in entries:
        if (isinstance(value, np.ndarray | Tensor) and value.dtype != bool) or is_number(value):
            yield None if name is None else str(name), value
        elif isinstance(value, Mapping):
            yield from _leaves(list(value.items()))
        elif isinstance(value, list | tuple):
            keys = getattr(value, "_fields", [None if name is None else f"{name}{i}" for i in range(len(value))])
            yield from _leaves(list(zip(keys, value, strict=True)))


def _own_name(result: Result, local: Mapping[str, Any]) -> Result:
    """The result under the name of the variable that it was; a key stays, unless the variable tells more.

    `return {"W1": W1}` gives the parameter back, and `return {"W1": dW1}` its gradient.
    """
    same = [name for name, value in local.items() if value is result.value]
    gradients = [name for name in same if bases(name)]
    if result.name is None:
        return result._replace(name=next(iter([*gradients, *same]), None))
    if result.name in same and not bases(result.name):
        return result._replace(said=False)
    return result


def is_update(value: Any, parameters: Mapping[str, Any], gradients: Mapping[str, Any], rates: Sequence[float]) -> bool:
    """Whether a value is `W - rate * dW`, a parameter after its step, with a gradient that is compared anyhow."""
    for name, gradient in gradients.items():
        before = parameters.get(name)
        if before is None or not np.shape(value) == np.shape(before) == np.shape(gradient):
            continue
        step, slope = np.subtract(before, value).ravel(), np.ravel(gradient)
        if not slope.any():
            if not step.any():
                return True
            continue
        rate = float(np.dot(step, slope) / np.dot(slope, slope))
        # Any two numbers have a ratio: only a rate that is known means something there.
        known = step.size > 1 or any(np.isclose(rate, other) for other in rates)
        if rate > 0 and known and np.allclose(step, rate * slope, atol=1e-12):
            return True
    return False
