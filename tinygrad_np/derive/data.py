"""The data of a derivation: arrays that it is given, found again among those that the user has names for."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..engine.tape import Node
from .expressions import Expr, Variable, expression
from .naming import Names, word
from .symbol import Symbol, as_expr, item

LARGE = 64
"""Indices and other metadata of more entries than this are data, also without a name."""

SHORT = 8
"""A single number of more characters than this was computed from something, and was not written by hand."""


class Data:
    """Data as variables, one for each array however often it is used.

    `unnamed` are those that the user has no name for; `numbers` stand in the text, although they were computed.
    """

    def __init__(self, names: Names, given: Mapping[str, Any]) -> None:
        self._names = names
        self._given = {
            name: value for name, value in given.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and word(name)
        }  # fmt: skip
        self._known: dict[Any, Variable] = {}
        self._kept: list[Any] = []  # identities stand for arrays only as long as these live
        self.unnamed: list[Variable] = []
        self.numbers: list[float] = []

    @property
    def variables(self) -> list[Variable]:
        """Those that were asked for."""
        return list(self._known.values())

    def forget(self) -> None:
        """Let go of arrays that the derivation has nothing to do with."""
        self._given, self._kept = {}, []

    def of_leaf(self, node: Node, value: np.ndarray) -> Expr:
        """The data of an entry on the tape."""
        if node.name and word(node.name):
            return expression(self._variable(("node", node.born), word(node.name), value))
        held = node.value() if isinstance(node.value, weakref.ref) else node.value
        found = self._named(value, held)
        if found is None and value.size <= 1:
            self.numbers += [float(x) for x in value.flat if len(repr(float(x))) > SHORT]
            return as_expr(value)
        return found or expression(self._without_name(value, value if held is None else held))

    def of_metadata(self, value: np.ndarray) -> Any:
        """An index, or other metadata: as data if it has a name or is large, else as it is."""
        found = self._named(value, value) if value.size > 1 and value.dtype.kind in "biuf" else None
        if found is None and value.size <= LARGE:
            return value
        return Symbol(found or expression(self._without_name(value, value)), value)

    def _named(self, value: np.ndarray, held: Any) -> Expr | None:
        for name, array in self._given.items():
            if array is held:
                return expression(self._of(name))
        # A tape may hold a copy.  But what is all zeros may be anybody's.
        if value.size < 2 or (value == value.flat[0]).all():
            return None
        same = [name for name, array in self._given.items() if _same(array, value)]
        if same:
            arrays = {id(self._given[name]) for name in same}
            return expression(self._of(same[0])) if len(arrays) == 1 else None
        return self._made(value)

    def _made(self, value: np.ndarray) -> Expr | None:
        """How it was made of other data that has a name."""
        for name, array in self._given.items():
            for shape, way in _ways(array):
                if shape == value.shape and _same(way(array), value):
                    return way(Symbol(expression(self._of(name)), array)).expr
        return None

    def _of(self, name: str) -> Variable:
        return self._variable(("given", name), word(name), self._given[name])

    def _without_name(self, value: np.ndarray, held: Any) -> Variable:
        self._kept.append(held)
        known = self._known.get(id(held))
        if known is None:
            known = self._variable(id(held), self._names.counted("X"), value)
            self.unnamed.append(known)
        return known

    def _variable(self, key: Any, name: str, value: np.ndarray) -> Variable:
        if key not in self._known:
            self._known[key] = Variable(self._names.give(name), value, is_input=True, is_data=True)
        return self._known[key]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)


def _ways(base: np.ndarray) -> list[tuple[tuple[int, ...], Callable[[Any], Any]]]:
    """What data is made of other data by before it comes to the tape, with the shape that it then has."""
    turned = base.shape[::-1]
    ways: list[tuple[tuple[int, ...], Callable[[Any], Any]]] = [(turned, lambda x: x.T)] if base.ndim > 1 else []
    if base.dtype.kind == "f":
        ways += [(base.shape, lambda x: 1 - x), (base.shape, lambda x: -x), (turned, lambda x: 1 - x.T)]
    if base.dtype.kind in "iu":
        ends = [((*base.shape, 1), (..., None)), ((1, *base.shape), (None,))]
        ways += [(shape, partial(item, index=index)) for shape, index in ends]
    if base.ndim > 1:
        ways += [(base.shape[1:], partial(item, index=i)) for i in range(len(base))]
    return ways
