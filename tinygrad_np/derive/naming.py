"""What the arrays of a derivation are called: as their user calls them, else as a tutorial would."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.tape import Node
from ..engine.tensor import Tensor

LITERAL = 1
"""Data of up to so many entries without a name stand as numbers in the text."""
LETTERS = {
    "relu": "A", "tanh": "A", "sigmoid": "A", "softmax": "A", "linear": "Z", "matmul": "Z", "dot": "Z", "exp": "E",
    "sum": "S", "mean": "M", "sqrt": "R", "log": "L", "maximum": "A",
}  # fmt: skip
TAKEN = {"np", "m", "forward", "backward", "cache", "sigmoid", "softmax", "logsumexp", "one_hot", "put"}


class Names:
    """A name for each entry of a tape; all different, and words of Python."""

    def __init__(
        self, nodes: Sequence[Node], root: Node, given: Mapping[str, Any], value: Callable[[Node], np.ndarray]
    ) -> None:
        self._root = root
        self._names: dict[Node, str] = {}
        self._counts: Counter[str] = Counter()
        self._used = set(TAKEN)
        self.by_user: set[Node] = set()
        known = _known(given)
        self.arrays = {_word(name): value for name, value in given.items() if _is_data(value)}
        self._literal = {n for n in nodes if n.is_leaf and not n.requires_grad and np.prod(n.shape) <= LITERAL}
        for node in nodes:
            name = node.name or known.get(node.born) or (known.get(_content(value(node))) if node.is_leaf else None)
            if name is not None and _word(name):
                self._literal.discard(node)
                self.by_user.add(node)
                if node.is_leaf and not node.requires_grad:
                    self._names[node] = _word(name)  # an entry for each use of the same data
                    self._used.add(_word(name))
                else:
                    self._give(node, _word(name))

    def of(self, node: Node) -> str:
        """Its name; one that its user did not name gets one when first asked for."""
        if node not in self._names:
            self._give(node, self._sensible(node))
        return self._names[node]

    def is_literal(self, node: Node) -> bool:
        """Whether a leaf stands as a number in the text."""
        return node in self._literal

    def _give(self, node: Node, name: str) -> None:
        # d in front means a gradient, so two names that differ only there would meet.
        base, k = name, 1
        while name in self._used or f"d{name}" in self._used or keyword.iskeyword(name):
            k += 1
            name = f"{base}_{k}"
        self._used |= {name, f"d{name}"}
        self._names[node] = name

    def _sensible(self, node: Node) -> str:
        if node is self._root:
            return "loss" if node.shape == () else "out"
        letter = ("W" if node.requires_grad else "X") if node.is_leaf else letter_of(node)
        while True:
            self._counts[letter] += 1
            name = f"{letter}{self._counts[letter]}"
            if name not in self._used:
                return name


def _word(name: str) -> str:
    """A name as a word of Python: `layer1.W` is `layer1_W`; empty if nothing is left."""
    word = re.sub(r"\W+", "_", name).strip() if name.strip("_") else ""
    return f"_{word}" if word[:1].isdigit() else word


def _known(given: Mapping[str, Any]) -> dict[Any, str]:
    """Names by the birth of a tensor's node, or by what an array holds."""
    found: dict[Any, str] = {}
    for name, value in given.items():
        if isinstance(value, Tensor) and value.node is not None:
            found.setdefault(value.node.born, name)
        elif _is_data(value):
            found.setdefault(_content(value), name)
    return found


def _is_data(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size > LITERAL and value.dtype.kind in "biuf"


def _content(array: np.ndarray) -> tuple:
    """What tells an array from others.  Not its identity: a tape may hold a copy."""
    return array.shape, array.dtype.str, hash(array.tobytes())


def letter_of(node: Node) -> str:
    """The letter that a tutorial would use for what an op gives: Z before an activation, A after it."""
    terms = [x for x in node.inputs if isinstance(x, Node)]
    inner = [y for x in terms if x.op_name == "add" for y in x.inputs if isinstance(y, Node)]
    if node.op_name == "add" and any(x.op_name in ("matmul", "dot") for x in [*terms, *inner]):
        return "Z"
    return LETTERS.get(node.op_name, "T")
