"""A model as a tree: what is found in the attributes of a module, also in lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor

Found = Iterator[tuple[str, Any]]


class Part:
    """What the tree is made of: every Module is one."""


def walk(part: Part, prefix: str = "") -> Found:
    """The part itself, and every part, tensor, array and generator below, with its path, in the order of attributes.

    What is at several places is found at each of them.
    """
    yield prefix, part
    yield from _below(vars(part), prefix, {id(part)})


def _below(values: Any, prefix: str, around: set[int]) -> Found:
    for key, value in _items(values):
        path = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Part | Tensor | np.ndarray | np.random.Generator):
            yield path, value
        # A part may know what it is a part of.
        if id(value) not in around and isinstance(value, Part | Mapping | list | tuple):
            yield from _below(vars(value) if isinstance(value, Part) else value, path, around | {id(value)})


def _items(values: Any) -> Any:
    return values.items() if isinstance(values, Mapping) else enumerate(values)


def inside(part: Part) -> Found:
    """The parts that are not parts of parts."""
    return _nearest(vars(part), "")


def _nearest(values: Any, prefix: str) -> Found:
    for key, value in _items(values):
        if isinstance(value, Part):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping | list | tuple):
            yield from _nearest(value, f"{prefix}{key}.")


def once(found: Found) -> Found:
    """Each thing where it is found first."""
    seen = set()
    for path, value in found:
        if id(value) not in seen:
            seen.add(id(value))
            yield path, value


def is_parameter(value: Any) -> bool:
    """Whether this attribute is trained, or could be."""
    # What a module computed, and keeps, is no parameter of it: where it is not recorded, it has no node.
    return isinstance(value, Tensor) and value.node is not None and value.is_leaf and value.dtype.kind in "fc"


def is_buffer(value: Any) -> bool:
    """Whether this attribute is saved with the model, but not trained."""
    if isinstance(value, Tensor):
        return value.node is not None and value.is_leaf and value.dtype.kind not in "fc"
    return isinstance(value, np.ndarray) and value.dtype.kind in "fciub"


def entries(part: Part) -> Found:
    """What is saved of a model: parameters and buffers by path, shared ones under each of their paths."""
    return ((path, value) for path, value in walk(part) if is_parameter(value) or is_buffer(value))


def own_parameters(part: Part) -> Found:
    """The parameters of a part that are not those of its parts."""
    return ((path, value) for path, value in _not_in_parts(vars(part), "") if is_parameter(value))


def _not_in_parts(values: Any, prefix: str) -> Found:
    for key, value in _items(values):
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping | list | tuple):
            yield from _not_in_parts(value, f"{prefix}{key}.")


def array_of(value: Any) -> np.ndarray:
    """The array of a tensor, or the array itself."""
    return value.data if isinstance(value, Tensor) else value


def nodes_of(out: Any) -> list[Any]:
    """The nodes of what a module returns."""
    if isinstance(out, Tensor):
        return [] if out.node is None else [out.node]
    if isinstance(out, Mapping):
        return nodes_of(list(out.values()))
    return [node for item in out for node in nodes_of(item)] if isinstance(out, list | tuple) else []
