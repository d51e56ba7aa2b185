"""What the arrays of a derivation are called: as their user calls them, else as a tutorial would."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..engine.tape import PROJECTION, Node
from ..engine.tensor import Tensor
from .helpers import HELPERS

LETTERS = {
    **dict.fromkeys(("linear", "affine", "matmul", "dot", "conv"), "Z"),
    **dict.fromkeys(("relu", "maximum", "tanh", "sigmoid", "softmax", "attention_weights"), "A"),
    **dict.fromkeys(("leaky_relu", "prelu", "elu", "celu", "selu", "gelu", "gelu_tanh", "silu", "mish"), "A"),
    **dict.fromkeys(("relu6", "hardtanh", "hardsigmoid", "hardswish", "softsign", "softplus"), "A"),
    "standardized": "N", "over_root_mean_square": "N", "scaled": "Y", "max_pool": "P", "avg_pool": "P",
    "exp": "E", "sum": "S", "mean": "M", "sqrt": "R", "log": "L",
}  # fmt: skip
"""The letters of tutorials."""
TAKEN = {
    "np", "math", "scipy", "m", "forward", "backward", "cache", "sliding_window_view",
    *(function.__name__ for function in HELPERS),
}  # fmt: skip


class Names:
    """A name for each entry of a tape, and for data; all different, and words of Python."""

    def __init__(self, nodes: Sequence[Node], root: Node, given: Mapping[str, Any]) -> None:
        self._root = root
        self._names: dict[Node, str] = {}
        self._counts: Counter[str] = Counter()
        self._used = set(TAKEN)
        self.by_user: set[Node] = set()
        tensors = {value.node.born: name for name, value in reversed(list(given.items())) if _is_recorded(value)}
        for node in nodes:
            name = node.name or tensors.get(node.born)
            # Data is named where it is found again.
            if name is not None and word(name) and (node.requires_grad or not node.is_leaf):
                self._names[node] = self.give(word(name))
                self.by_user.add(node)

    def of(self, node: Node) -> str:
        """Its name; one that its user did not name gets one when first asked for."""
        if node not in self._names:
            letter = "W" if node.is_leaf else letter_of(node)
            last = "loss" if node.shape == () else "out"
            self._names[node] = self.give(last) if node is self._root else self.give(self.counted(letter))
        return self._names[node]

    def give(self, name: str) -> str:
        """Take this name, or one like it that is free."""
        # d in front means a gradient, so two names that differ only there would meet.
        base, k = name, 1
        while not {name, f"d{name}", name.removeprefix("d")}.isdisjoint(self._used) or keyword.iskeyword(name):
            k += 1
            name = f"{base}_{k}"
        self._used |= {name, f"d{name}"}
        return name

    def counted(self, letter: str) -> str:
        """A letter with the next number that is free."""
        while True:
            self._counts[letter] += 1
            name = f"{letter}{self._counts[letter]}"
            if name not in self._used:
                return name


def word(name: str) -> str:
    """A name as a word of Python; empty if nothing is left.  Numbers that a path begins with go to its end.

    >>> word("layer1.W"), word("0.weight"), word("2.1.norm.bias"), word("?")
    ('layer1_W', 'weight0', 'norm_bias2_1', '')
    """
    path = re.fullmatch(r"((?:\d+\.)+)(.*\D)", name)
    name = f"{path[2]}{path[1][:-1]}" if path else name
    text = re.sub(r"\W+", "_", name) if re.search(r"[^\W_]", name) else ""
    return f"_{text}" if text[:1].isdigit() else text


def _is_recorded(value: Any) -> bool:
    return isinstance(value, Tensor) and value.node is not None


def letter_of(node: Node) -> str:
    """The letter that a tutorial would use for what an op gives: Z before an activation, A after it."""
    if node.rule is PROJECTION:
        return LETTERS.get(node.inputs[0].op_name, "T")
    terms = [x for x in node.inputs if isinstance(x, Node)]
    inner = [y for x in terms if x.op_name == "add" for y in x.inputs if isinstance(y, Node)]
    if node.op_name == "add" and any(x.op_name in ("matmul", "dot") for x in [*terms, *inner]):
        return "Z"
    return LETTERS.get(node.op_name, "T")
