"""From one node of a tape to its box: what it says, in words."""

from __future__ import annotations

import linecache
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ...engine.tape import Node
from ..parts import Box, Summary
from ..rules import backward_rules, formula
from ..rules.calls import Call
from ..words import argument, index, operand

SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "matmul": "@"}
_SAID = {"linear", "affine", "scaled", "entropies", "divergence", "attention_weights"}
"""Ops whose name says less than their formula."""
_SPARE = "hvwz"
"""What an input without a name is called where its parameter's name is taken."""


def op_box(
    node: Node, inputs: Sequence[Any], names: list[str], value: Summary | None, grad: Summary | None, out: Any
) -> Box:
    """The box of an op, without its place in the picture.

    `inputs` are nodes and numbers, `names` what they are called, `out` is the result if it is known.
    """
    op, trace = node.rule.op, node.trace
    several = has_parts(node)
    written = formula(node, names)
    # Which number stands where is said by the formula.
    said = (written,) if numbers(inputs) or op.name in _SAID else ()
    place, code = ("", "") if trace is None else source_line(trace.line)
    return Box(
        0, "op", node.name, "", () if several else node.shape, "" if several else str(node.dtype),
        f"{op.name} {SYMBOLS[op.name]}" if op.name in SYMBOLS else op.name,
        written, tuple(backward_rules(node, names)),
        (*said, *metadata(node), *broadcasts(node), *remarks(op, out)),
        None if several else value, None if several else grad, saved(node, names), place, code,
        None if trace is None else trace.seconds, None if trace is None else trace.back_seconds,
        nbytes=0 if several else nbytes(node.shape, node.dtype),
    )  # fmt: skip


def leaf_box(node: Node, value: Summary | None, grad: Summary | None) -> Box:
    """The box of a parameter or of data, without its place in the picture."""
    size = int(np.prod(node.shape))
    kind = "parameter" if node.requires_grad else "data"
    return Box(0, kind, node.name, "", node.shape, str(node.dtype), value=value, grad=grad, size=size,
               nbytes=nbytes(node.shape, node.dtype))  # fmt: skip


def has_parts(node: Node) -> bool:
    """Whether the node stands for several results, each with a projection."""
    return isinstance(node.dtype, tuple)


def nbytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """The bytes of an array."""
    return int(np.prod(shape)) * dtype.itemsize


def source_line(line: str | None) -> tuple[str, str]:
    """Where an op stands, as "mlp.py:12", and what is written there."""
    if not line:
        return "", ""
    path, _, row = line.rpartition(":")
    return f"{path.replace(chr(92), '/').rsplit('/', 1)[-1]}:{row}", linecache.getline(path, int(row)).strip()


# -- what the inputs are called -----------------------------------------------------------------


def likeness(node: Node, inputs: Sequence[Any]) -> tuple:
    """What two ops have in common that may stand for each other in a row of equal blocks."""
    name = "".join(character for character in node.name or "" if not character.isdigit())
    return (node.rule.op.name, *numbers(inputs), *metadata(node), node.shape, node.dtype, name)


def input_names(op: Any, inputs: Sequence[Any], others: Collection[str] = ()) -> list[str]:
    """What the inputs are called in a formula: by the user's names, else as in the op's signature.

    A name in `others` means something else, and is not given to an input that has none.  Of two inputs that the
    user gave one name, the first has it.
    """
    found: dict[Node, str] = {}
    for i, x in enumerate(inputs):
        # Of a path that ends as the signature does, such as fc1.weight, the beginning is beside the point.
        said = isinstance(x, Node) and (x.name or "").endswith(f".{_parameter(op, i, len(inputs))}")
        if isinstance(x, Node) and is_word(x.name) and not said and x.name not in found.values():
            found.setdefault(x, x.name)  # type: ignore[arg-type]
    taken, names = {*others, *found.values()}, []
    for i, x in enumerate(inputs):
        if not isinstance(x, Node):
            names.append("None" if x is None else operand(x))
            continue
        if x not in found:
            found[x] = _free(_parameter(op, i, len(inputs)), taken)
            taken.add(found[x])
        names.append(found[x])
    return names


def is_word(name: str | None) -> bool:
    """Whether a name can stand in a formula.

    >>> is_word("W1"), is_word("fc1.W"), is_word("two words"), is_word("x" * 30)
    (True, True, False, False)
    """
    # In a rule, g is the gradient that comes in, and out the result.
    return bool(name) and name not in ("g", "out") and re.fullmatch(r"[^\W\d][\w.]{,11}", name or "") is not None


def _parameter(op: Any, i: int, n: int) -> str:
    inputs = getattr(op, "inputs", ())
    if i < len(inputs):
        return inputs[i].lstrip("_")
    return "x" if n == 1 else f"x{i + 1}"


def _free(name: str, taken: set[str]) -> str:
    candidates = [name, *_SPARE, *(f"{name}_{k}" for k in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate not in taken)


# -- one line each ------------------------------------------------------------------------------


def numbers(inputs: Sequence[Any]) -> tuple:
    """The plain numbers among the inputs, with None in the places of the others."""
    found = tuple(None if isinstance(x, Node) else x for x in inputs)
    return found if any(x is not None for x in found) else ()


def metadata(node: Node) -> list[str]:
    """The metadata that differs from the defaults, by the names of the signature."""
    if not node.meta or node.rule.op.kind == "function":
        return []
    call = Call(node, ())
    if call.op.name == "getitem":
        return [f"[{index(value)}]" for value in call.given.values()]
    words = [f"{name}={argument(value)}" for name, value in call.given.items() if name not in call.at_default]
    return [", ".join(words)] if words else []


def broadcasts(node: Node) -> list[str]:
    """Which inputs an op of entries repeated."""
    if node.rule.op.kind != "elementwise":
        return []
    shapes = [x.shape for x in node.inputs if isinstance(x, Node) and x.shape not in ((), node.shape)]
    return [f"broadcast {shape} → {node.shape}" for shape in dict.fromkeys(shapes)]


def remarks(op: Any, out: Any) -> list[str]:
    """What is worth knowing of some ops: how many units of a relu are off."""
    if op.name != "relu" or out is None or not np.size(out):
        return []
    return [f"{np.mean(np.asarray(out) <= 0):.0%} of units are off"]


def saved(node: Node, names: list[str]) -> tuple[tuple[str, int], ...]:
    """The arrays that the backward pass needs, by name, with their bytes; also after it has freed them."""
    if node.rule.op.kind == "function":
        return ()  # it keeps its arguments, to run again
    found = []
    for name in node.rule.keep:
        i = node.rule.op.source(name) if name != "arrays" else None
        sources = enumerate(node.inputs) if name == "arrays" else [(i, node if i is None else node.inputs[i])]
        for k, source in sources:
            if isinstance(source, Node):
                found.append((name if k is None else names[k], _total(source)))
    return tuple(dict.fromkeys(found))


def _total(node: Node) -> int:
    if has_parts(node):
        return sum(nbytes(shape, dtype) for shape, dtype in zip(node.shape, node.dtype, strict=True))
    return nbytes(node.shape, node.dtype)
