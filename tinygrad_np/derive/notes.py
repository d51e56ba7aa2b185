"""Which rules of calculus a line of a derivation is, in a short phrase."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ..engine.tape import PROJECTION, Node
from ..graph.rules import gradient
from ..graph.rules.calls import Call, fitted
from ..graph.words import operand
from .expressions import Expr, common_factors
from .lines import Line
from .recognition import recognized
from .text import Text

Rule = tuple[Node, int]
"""An entry of the tape, and the input that its rule gives the gradient of."""
FULL = 2
"""So many rules are written out; of longer chains only the names are given."""
FUSED = (
    ({"softmax", "log"}, "softmax and cross-entropy together"),
    ({"exp", "sum", "divide", "log"}, "softmax and cross-entropy together"),
    ({"log_softmax"}, "softmax and cross-entropy together"),
    ({"sigmoid", "log"}, "sigmoid and binary cross-entropy together"),
)
"""Ops whose gradients cancel against each other, and what they are called together."""


def note(line: Line) -> str:
    """The rules that the gradient in `line` took, from the loss on, or from the gradient that it starts with.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.derive import derive
    >>> W, x = tg.Tensor(np.ones((3, 2)), requires_grad=True), np.ones((4, 3))
    >>> Z = x @ W
    >>> [note(line) for line in derive((Z ** 2).sum()).backward_lines]
    ['chain of sum, power and matmul']
    """
    rules = [_mended(rule) for rule in line.step.rules]
    found = _fused(line.expr, [_name(node) for node, _ in rules])
    if found is not None:
        return found
    parts = [_phrase(part, line) for part in _branches(rules, line.step.node)]
    counted = [(text, len(list(same))) for text, same in groupby(parts)]
    return "; plus ".join(text if n == 1 else f"{text} ({n} uses)" for text, n in counted) or "the loss itself: 1"


def operation(line: Line) -> Node:
    """The op whose rule the line ends with."""
    if not line.step.rules:
        return line.step.node
    node = line.step.rules[-1][0]
    return node.inputs[0] if node.rule is PROJECTION else node


# -- rules ----------------------------------------------------------------------------------------


def _mended(rule: Rule) -> Rule:
    """The rule with an input that gets a gradient."""
    node, i = rule
    return (node, i if i in node.rule.wanted else node.rule.wanted[0])


def _name(node: Node) -> str:
    seen = recognized([node]).get(node)
    return node.op_name if seen is None else seen.name


def _branches(rules: Sequence[Rule], target: Node) -> list[list[Rule]]:
    """A chain of rules for each use of `target`; each ends with the op that used it."""
    chains: list[list[Rule]] = []
    ended = True
    for node, i in rules:
        if ended:
            chains.append([])
        chains[-1].append((node, i))
        ended = node.inputs[i] is target
    return chains


def _fused(x: Expr, names: Sequence[str]) -> str | None:
    """Ops that cancel to a difference: softmax or sigmoid with the logarithm that follows."""
    called = next((words for ops, words in FUSED if ops <= set(names)), None)
    if called is None or len(x.terms) != 2:
        return None
    _, _, rest = common_factors(x)
    plain = [len(monomial) == 1 and abs(c) == 1 for monomial, c in rest.terms.items()]
    if not all(plain) or sum(rest.terms.values()) != 0:
        return None
    return f"{called}: they cancel to {Text().written(rest)[0]}"


# -- phrases --------------------------------------------------------------------------------------


def _phrase(chain: Sequence[Rule], line: Line) -> str:
    told = [(rule, _gradient(*rule)) for rule in chain]
    # What is only passed on needs no words, unless it is all there is.
    told = [(rule, text) for rule, text in told if text != "g"] or told[-1:]
    if len(told) > FULL:
        names = [name for name, _ in groupby(_name(node) for (node, _), _ in told)]
        return f"chain of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"chain of {names[0]}"
    return "; then ".join(_one(rule, text, line) for rule, text in told)


def _one(rule: Rule, text: str | None, line: Line) -> str:
    """One rule, with what the signature of the op calls its inputs."""
    node, i = rule
    name = _name(node)
    if text is None:
        return name
    if name != node.op_name:
        return f"{name}, written with exp: {SLOPES[name]}"
    inputs = _inputs(node)
    several = sum(isinstance(x, Node) for x in node.inputs) > 1
    about = f", with respect to {inputs[i]}" if several else ""
    base, axes = _unsummed(text, node, node.inputs[i])
    if not axes:
        return f"{name}{about}: {base}"
    called = line.name.removeprefix("d") if node.inputs[i] is line.step.node else inputs[i]
    over = "all axes" if len(axes) == len(node.shape) else _listed(axes)
    return f"{name}{about}: {base}, summed over {over}, along which {called} was broadcast"


SLOPES = {"sigmoid": "g * out * (1 − out)", "softmax": "out * (g − sum(g * out))"}
"""Of functions that are recognized where they are written with others."""


def _listed(axes: Sequence[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _inputs(node: Node) -> list[str]:
    """What the inputs are called: as in the signature of the op, and plain numbers by themselves."""

    names = [name.lstrip("_") for name in getattr(node.rule.op, "inputs", ())]
    if len(names) != len(node.inputs):
        names = [f"x{i + 1}" for i in range(len(node.inputs))] if len(node.inputs) > 1 else ["x"]
    return [
        name if isinstance(x, Node) or x is None else operand(x) for name, x in zip(names, node.inputs, strict=True)
    ]


def _gradient(node: Node, i: int) -> str | None:
    """What the rule computes, in the words of the pictures; None where those have none."""
    if _name(node) != node.op_name:
        return SLOPES[_name(node)]
    if node.rule is PROJECTION:
        return "g"

    try:
        return gradient(Call(node, tuple(_inputs(node))), i)
    except Exception:
        # Metadata may be anything, and a line without its rule is better than none.
        return None


def _unsummed(text: str, node: Node, source: Any) -> tuple[str, tuple[int, ...]]:
    """The gradient before it is summed to the shape of an input that was broadcast, and the axes of that sum."""

    if node.rule.op.kind != "elementwise" or source.shape == node.shape:
        return text, ()
    lead = len(node.shape) - len(source.shape)
    axes = tuple(a for a, n in enumerate(node.shape) if a < lead or (n != 1 and source.shape[a - lead] == 1))
    sign = "−" if text.startswith("−") else ""
    before, after = fitted("\0", node.shape, source.shape).split("\0")
    bare = text.removeprefix(sign)
    if not axes or not (bare.startswith(before) and bare.endswith(after)):
        return text, ()
    return sign + bare[len(before) : len(bare) - len(after)], axes
