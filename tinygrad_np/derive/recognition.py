"""Sigmoid and softmax found where they are written with exponentials.

Their slopes are simpler than those of their parts, and what follows them may cancel against them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.tape import Node
from ..ops.nn import softmax_slope
from .symbol import Symbol


@dataclass
class Seen:
    """An entry that is a known function of an earlier one, whatever it was written with."""

    name: str
    source: Node
    pull: Callable[[Any, Symbol], Any]


def recognized(nodes: Sequence[Node]) -> dict[Node, Seen]:
    """The entries that are a sigmoid or a softmax of an earlier one."""
    found: dict[Node, Seen] = {}
    for node in nodes:
        if node.op_name == "divide":
            seen = _sigmoid(node) or _softmax(node)
            if seen is not None:
                found[node] = seen
    return found


def _op(node: Any, name: str) -> tuple | None:
    return node.inputs if isinstance(node, Node) and node.op_name == name else None


def _is(x: Any, number: float) -> bool:
    if isinstance(x, Node):
        return x.is_leaf and not x.requires_grad and x.shape == () and x.value is not None and float(x.value) == number
    return isinstance(x, int | float) and x == number


def _one_plus(node: Any) -> Any:
    """What is added to 1, or None."""
    terms = _op(node, "add")
    if terms is None:
        return None
    others = [x for x in terms if not _is(x, 1)]
    return others[0] if len(others) == 1 else None


def _sigmoid(node: Node) -> Seen | None:
    """1 / (1 + exp(-z)), or exp(z) / (1 + exp(z))."""
    top, bottom = node.inputs
    added = _one_plus(bottom)
    exponent = _op(added, "exp")
    if exponent is None:
        return None
    if _is(top, 1):
        z = _op(exponent[0], "negative")
        source = z[0] if z else None
    else:
        source = exponent[0] if top is added else None
    if not isinstance(source, Node) or source.shape != node.shape:
        return None
    return Seen("sigmoid", source, lambda g, out: g * ((1 - out) * out))


def _softmax(node: Node) -> Seen | None:
    """exp(z) / exp(z).sum(axis, keepdims=True), also with a maximum subtracted from z."""
    top, bottom = node.inputs
    exponent, total = _op(top, "exp"), _op(bottom, "sum")
    whole = isinstance(bottom, Node) and (bottom.meta is None or "where" not in bottom.meta[1])
    if exponent is None or total is None or not whole or total[0] is not top or len(bottom.shape) != len(node.shape):
        return None
    axes = tuple(a for a, n in enumerate(bottom.shape) if n != node.shape[a])
    source = exponent[0]
    shifted = _op(source, "subtract")
    if shifted is not None and _is_constant_along(shifted[1], axes, node.shape) and isinstance(shifted[0], Node):
        # The same for all entries of a distribution, it cancels, and so does its gradient.
        source = shifted[0]
    if not axes or not isinstance(source, Node) or source.shape != node.shape or not source.requires_grad:
        return None
    axis = axes[0] if len(axes) == 1 else axes
    return Seen("softmax", source, lambda g, out: softmax_slope(g, out, axis))


def _is_constant_along(x: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return isinstance(x, Node) and len(x.shape) == len(shape) and all(x.shape[a] == 1 for a in axes)
