"""A model as a tree: what is found in the attributes of a module, also in containers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..engine.tensor import Tensor

Found = Iterator[tuple[str, Any]]


class Part:
    """What the tree is made of: every Module is one."""

    _kept: tuple[str, ...] = ()  # attributes that a call made: what it keeps to be looked at is no buffer


def held(part: Part) -> Found:
    """What the attributes of a part hold, by path, also in containers; nothing of what its parts hold."""
    return _inside(vars(part), "")


def _inside(values: Any, prefix: str) -> Found:
    for key, value in _items(values):
        yield f"{prefix}{key}", value
        if not isinstance(value, Part | Tensor):
            yield from _inside(value, f"{prefix}{key}.")


def _items(values: Any) -> list[tuple[Any, Any]]:
    """What a container holds; nothing of what is none."""
    # In a list of their own: another thread may set an attribute meanwhile.
    if isinstance(values, Mapping):
        return list(values.items())
    if isinstance(values, list | tuple | deque):
        return list(enumerate(values))
    if is_dataclass(values) and not isinstance(values, type):
        return [(field.name, getattr(values, field.name)) for field in fields(values)]
    unordered: Any = values if isinstance(values, set | frozenset) else ()
    if isinstance(values, np.ndarray) and values.dtype == object:
        unordered = values.flat
    if any(isinstance(value, Part | Tensor) for value in unordered):
        raise TypeError(
            f"a model found its parts or parameters in a {type(values).__name__}, where they have no names to be saved "
            "by.  Keep them in a list, a tuple, a dict or a dataclass."
        )
    return []


def walk(part: Part, prefix: str = "", around: frozenset[int] = frozenset()) -> Found:
    """The part itself, and all that it and the parts below hold, with paths, in the order of attributes.

    What is at several places is found at each of them.
    """
    yield prefix, part
    around |= {id(part)}
    for name, value in held(part):
        path = f"{prefix}.{name}" if prefix else name
        if not isinstance(value, Part):
            if is_parameter(value) or name.split(".")[0] not in part._kept:
                yield path, value
        # A part may know what it is a part of.
        elif id(value) not in around:
            yield from walk(value, path, around)


def children(part: Part) -> Found:
    """The parts that are not parts of parts."""
    return ((path, value) for path, value in held(part) if isinstance(value, Part))


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
    return ((path, value) for path, value in held(part) if is_parameter(value))


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
