"""Arrays inside of dicts, lists and objects, each with a name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from .results import is_number

Leaf = Callable[[str, Any], Any]
DEEPEST = 4


def mapped(value: Any, leaf: Leaf, name: str, deep: int = DEEPEST) -> Any:
    """The same structure with `leaf(name, value)` in the place of each array and each number.

    Entries of a dict are named by their keys, those of a list by its name and their place, and attributes of an
    object of the script's own classes by themselves.  Everything else stays what it is.
    """
    if isinstance(value, np.ndarray) or is_number(value):
        return leaf(name, value)
    if deep and type(value) is dict:
        return {key: mapped(entry, leaf, str(key), deep - 1) for key, entry in value.items()}
    if deep and type(value) in (list, tuple):
        return type(value)(mapped(entry, leaf, f"{name}{i}", deep - 1) for i, entry in enumerate(value))
    if deep and _is_own_object(value):
        twin = copy.copy(value)
        twin.__dict__.update({key: mapped(entry, leaf, key, deep - 1) for key, entry in vars(value).items()})
        return twin
    return value


def arrays_in(values: Mapping[str, Any], deep: int = DEEPEST) -> dict[str, Any]:
    """Every array and Tensor, and every NumPy number, by name; of two of one name the one less deep."""
    found: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray | np.generic | Tensor):
            found[str(name)] = value
        elif deep and type(value) is dict:
            inside.update(arrays_in(value, deep - 1))
        elif deep and type(value) in (list, tuple):
            inside.update(arrays_in({f"{name}{i}": entry for i, entry in enumerate(value)}, deep - 1))
        elif deep and _is_own_object(value):
            inside.update(arrays_in(vars(value), deep - 1))
    return {**inside, **found}


def _is_own_object(value: Any) -> bool:
    return type(value).__module__ == "__main__" and hasattr(value, "__dict__") and not isinstance(value, type)
