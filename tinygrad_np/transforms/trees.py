"""Nested structures of arrays: dicts, lists, tuples, namedtuples and dataclasses, to any depth."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from ..engine.door import rebuilt
from ..errors import ShapeError


def _is_record(tree: Any) -> bool:
    return dataclasses.is_dataclass(tree) and not isinstance(tree, type)


def tree_map(f: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`f` on every leaf, in a structure like `tree`; with `others`, on the leaves that stand in the same place.

    Texts, functions and None are settings, not data: they stay as they are.

    >>> from tinygrad_np.transforms.trees import tree_map
    >>> tree_map(lambda x, y: x + y, {"w": 1.0, "b": [2.0]}, {"w": 10.0, "b": [20.0]})
    {'w': 11.0, 'b': [22.0]}
    """
    if hasattr(tree, "dtype"):
        return f(tree, *others)  # the most frequent case
    if isinstance(tree, dict):
        _check_alike(tree, others, lambda other: isinstance(other, dict) and other.keys() == tree.keys())
        result = copy.copy(tree)  # its class and what it knows besides
        result.update({key: tree_map(f, value, *[o[key] for o in others]) for key, value in tree.items()})
        return result
    if isinstance(tree, list | tuple):
        _check_alike(tree, others, lambda other: isinstance(other, list | tuple) and len(other) == len(tree))
        return rebuilt(tree, [tree_map(f, *branches) for branches in zip(tree, *others, strict=True)])
    if _is_record(tree):
        _check_alike(tree, others, lambda other: type(other) is type(tree))
        return _record_map(f, tree, others)
    return tree if is_setting(tree) else f(tree, *others)


def _record_map(f: Callable[..., Any], tree: Any, others: tuple) -> Any:
    # Not by calling the class: its __init__ may take other arguments, or check what it is given.
    result = copy.copy(tree)
    for field in dataclasses.fields(tree):
        branches = [getattr(t, field.name) for t in (tree, *others)]
        object.__setattr__(result, field.name, tree_map(f, *branches))
    return result


def _check_alike(tree: Any, others: tuple, alike: Callable[[Any], bool]) -> None:
    for other in others:
        if not alike(other):
            raise ShapeError(
                f"two structures do not match: {_outline(tree)} stands where the other has {_outline(other)}.  Give "
                "both the same keys, lengths and classes."
            )


def _outline(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict with keys {', '.join(map(repr, tree))}"
    return f"a {type(tree).__name__}" + (f" of length {len(tree)}" if isinstance(tree, list | tuple) else "")


def is_setting(leaf: Any) -> bool:
    """Whether a leaf is a text, a function or None."""
    return leaf is None or isinstance(leaf, str | bytes) or (callable(leaf) and not hasattr(leaf, "dtype"))


def tree_leaves(tree: Any) -> Iterator[Any]:
    """The leaves, in the order of `tree_map`.

    >>> from tinygrad_np.transforms.trees import tree_leaves
    >>> list(tree_leaves({"w": 1.0, "b": [2.0, (3.0,)]}))
    [1.0, 2.0, 3.0]
    """
    if hasattr(tree, "dtype"):
        yield tree
        return
    if isinstance(tree, dict):
        branches = list(tree.values())
    elif isinstance(tree, list | tuple):
        branches = list(tree)
    elif _is_record(tree):
        branches = [getattr(tree, field.name) for field in dataclasses.fields(tree)]
    else:
        if not is_setting(tree):
            yield tree
        return
    for branch in branches:
        yield from tree_leaves(branch)
