"""From a tape to plain data about its picture: which boxes, which arrows, what they say.

Nothing here draws, and nothing of the tape is changed, freed or kept alive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine.tape import PROJECTION, Node
from ..engine.tensor import Tensor, tape
from ..errors import AutogradError
from .words import argument, index, number, summary

SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@"}
# The order of the inputs does not matter, so the picture need not tell it.
SYMMETRIC = {"add", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2"}


@dataclass(frozen=True, slots=True)
class Box:
    """A parameter, a piece of data, an operation or the result.

    `name` is the user's.  `text` is the op, with its symbol if it has one; `details` are the formula
    with its plain numbers, the metadata and what it broadcasts, one line each.  `value` and `grad` are in words, None
    where they are not known; `place` is the line of the program, known in debug mode.
    """

    id: int
    kind: str
    name: str | None
    shape: tuple[int, ...]
    dtype: str
    text: str = ""
    details: tuple[str, ...] = ()
    value: str | None = None
    grad: str | None = None
    place: str | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way from one box into another.

    `order` is "1st", "2nd" ... where the order of the inputs matters; `part` says which result of an
    op with several it is, by its name or its number in brackets.
    """

    source: int
    target: int
    shape: tuple[int, ...]
    dtype: str
    order: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """All that a picture of one tensor shows.  The boxes are in the order they were computed."""

    name: str | None
    answer: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def view(tensor: Tensor) -> View:
    """What a picture of `tensor` shows: every leaf and every op that it came from, once.

    Raises AutogradError for anything but a Tensor.

    >>> import tinygrad_np as tg
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> [(box.kind, box.name, box.text) for box in view(a * 3).boxes]
    [('parameter', 'a', ''), ('op', None, 'multiply'), ('result', None, '')]
    """
    if not isinstance(tensor, Tensor):
        raise AutogradError(
            f"draw() shows how a Tensor was computed, and got {type(tensor).__name__}.  Give it the result of a "
            "computation on tensors: draw(loss).  Only Tensor(..., requires_grad=True) and what is computed from "
            "it has a graph."
        )
    nodes = list(tape(tensor))
    root = nodes[-1]
    seen = View(root.name, summary(tensor.data) if tensor.data.size == 1 else f"shape {tensor.shape}")
    number_of = {id(node): i for i, node in enumerate(nodes)}
    for i, node in enumerate(nodes):
        if node.rule is PROJECTION:
            continue
        seen.boxes.append(_leaf_box(i, node, tensor if node is root else _owner(node)) if node.is_leaf
                          else _op_box(i, node, named=node is not root))  # fmt: skip
        seen.arrows.extend(_arrows(i, node, number_of))
    if not root.is_leaf:
        end = len(nodes)
        grad = _grad(root, tensor)
        seen.boxes.append(
            Box(end, "result", root.name, tensor.shape, str(tensor.dtype), value=summary(tensor.data), grad=grad)
        )
        seen.arrows.append(_arrow(root, end, "", number_of))
    return seen


# -- boxes ------------------------------------------------------------------------------------


def _owner(node: Node) -> Any:
    return None if node.owner is None else node.owner()


def _leaf_box(i: int, node: Node, owner: Any) -> Box:
    # What the tensor holds now: an optimizer writes into it, and the node's number stays behind.
    value = node.value if owner is None else owner.data
    return Box(
        i, "parameter" if node.requires_grad else "data", node.name, node.shape, str(node.dtype),
        value=None if value is None else summary(value), grad=_grad(node, owner), size=int(np.prod(node.shape)),
    )  # fmt: skip


def _op_box(i: int, node: Node, named: bool) -> Box:
    op, owner = node.rule.op, _owner(node)
    formula = _numbers(node)
    text = f"{op.name} {SYMBOLS[op.name]}" if op.name in SYMBOLS and not formula else op.name
    details = (*formula, *_metadata(node), *_broadcasts(node))
    several = _has_parts(node)
    value = owner.data if owner is not None else node.value
    place = None if node.trace is None else node.trace.line.replace("\\", "/").split("/")[-1]
    return Box(
        i, "op", node.name if named else None, () if several else node.shape, "" if several else str(node.dtype), text,
        details, None if several or value is None else summary(value), None if several else _grad(node, owner), place,
    )  # fmt: skip


def _has_parts(node: Node) -> bool:
    """Whether the node stands for several results, each with a projection."""
    return isinstance(node.dtype, tuple)


def _grad(node: Node, owner: Any) -> str | None:
    """The gradient that the last backward pass left, if it left one."""
    grad = getattr(owner, "grad", None)
    if grad is None:
        grad = None if node.cotangent is None else np.conj(node.cotangent)
    if grad is None:
        return None
    return summary(grad.data if isinstance(grad, Tensor) else grad)


def _numbers(node: Node) -> list[str]:
    """The plain numbers among the inputs, in their places: `2 - □`, and `(□, 0)` of a function."""
    plain = [not isinstance(x, Node) for x in node.inputs]
    if not any(isinstance(x, int | float) for x in node.inputs):
        return []
    words = ["None" if x is None else number(x) if p else _slot(x) for p, x in zip(plain, node.inputs, strict=True)]
    symbol = SYMBOLS.get(node.rule.op.name)
    return [f" {symbol} ".join(words) if symbol else f"({', '.join(words)})"]


def _slot(node: Node) -> str:
    """What stands for an input in a formula: its name if it is a word, else an empty slot."""
    return node.name if node.name and len(node.name) <= 12 and node.name.isprintable() else "□"


def _metadata(node: Node) -> list[str]:
    """The metadata that differs from the defaults, by the names of the signature."""
    if node.meta is None:
        return []
    op, (args, options) = node.rule.op, node.meta
    given = {**dict(zip(op.metadata, args, strict=False)), **options}
    if op.name == "getitem":
        return [f"[{index(value)}]" for value in given.values()]
    words = [f"{name}={argument(value)}" for name, value in given.items() if not _is_default(value, op, name)]
    return [", ".join(words)] if words else []


def _is_default(value: Any, op: Any, name: str) -> bool:
    default = op.metadata.get(name)
    if value is default or value is np._NoValue:
        return True
    # Arrays compare entry by entry, so only plain values are compared.
    return isinstance(value, bool | int | float | str) and type(value) is type(default) and value == default


def _broadcasts(node: Node) -> list[str]:
    if node.rule.op.kind != "elementwise":
        return []
    shapes = [x.shape for x in node.inputs if isinstance(x, Node) and x.shape not in ((), node.shape)]
    return [f"broadcast {shape} → {node.shape}" for shape in dict.fromkeys(shapes)]


# -- arrows -----------------------------------------------------------------------------------


def _arrows(i: int, node: Node, number_of: dict[int, int]) -> list[Arrow]:
    ordered = sum(isinstance(x, Node) for x in node.inputs) > 1 and node.rule.op.name not in SYMMETRIC
    return [
        _arrow(source, i, _ordinal(k) if ordered else "", number_of)
        for k, source in enumerate(node.inputs)
        if isinstance(source, Node)
    ]


def _arrow(source: Node, target: int, order: str, number_of: dict[int, int]) -> Arrow:
    """An arrow from the box of `source`; one result of an op with several comes from the op itself."""
    origin, part = source, ""
    if source.rule is PROJECTION:
        origin, part = source.inputs[0], source.name or f"[{source.meta}]"
    return Arrow(number_of[id(origin)], target, source.shape, str(source.dtype), order, part)


def _ordinal(i: int) -> str:
    """The place of an input, as a reader counts.

    >>> [_ordinal(i) for i in (0, 1, 2, 3, 10, 20)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st']
    """
    n = i + 1
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
