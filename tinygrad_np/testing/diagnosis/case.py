"""What a pattern sees of one hand-written gradient, and what it says about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ...engine.tape import Node
from .factors import Factor, named_factors
from .formulas import Lines
from .layers import Activation
from .names import Names
from .network import Gradients, Network, Rule, Use


class Finding(NamedTuple):
    """A mistake that explains a gradient: its key, sentences for the reader, and the line to write instead.

    `factor` says what constant factor is wrong besides; "" where the mistake explains every digit.
    """

    mistake: str
    text: str
    correction: str | None = None
    factor: str = ""


@dataclass(frozen=True)
class Case:
    """One hand-written gradient that differs from autograd's, and all that may explain it.

    `hand` is the user's gradient and `right` autograd's, of one shape unless the shape is what is wrong.
    `given` are the user's own gradients nearer to the loss: `right` is then what follows from them, so that only
    the new mistake is left to explain.  `fine` are the nodes whose gradients are right: no mistake was made there.
    `scales` are factors that are no mistake here: an intermediate may be m times autograd's throughout, and
    `scale` is how many times the user's are.
    """

    name: str
    node: Node
    hand: np.ndarray
    right: np.ndarray
    network: Network
    names: Names
    activations: Sequence[Activation]
    tolerance: float
    lines: Lines
    given: Gradients = field(default_factory=dict)
    fine: Collection[Node] = ()
    scales: tuple[float, ...] = (1.0,)
    data: Mapping[str, Any] = field(default_factory=dict)
    hands: Mapping[Node, np.ndarray] = field(default_factory=dict)
    scale: float = 1.0

    @property
    def line(self) -> str | None:
        """The line to write for this gradient, if there is one that gives what is right."""
        return self._line(self.node)

    def line_at(self, node: Node) -> str | None:
        """The line to write at the node where the mistake is, which may be another one that the user has."""
        if node is self.node or node not in self.lines.own:
            return self.line
        line = self._line(node)
        return f"{self.names.gradient(node)} = {line}" if line else None

    def _line(self, node: Node) -> str | None:
        target = self.network.gradients[node] * (1.0 if node.is_leaf else self.scale)
        return self.lines.right(node, target, 10 * self.tolerance)

    @property
    def of(self) -> str:
        """What the gradient is of, as the user calls it."""
        return self.names.of(self.node)

    @property
    def uses(self) -> list[Use]:
        """The products and sums that the node goes into."""
        return self.network.uses(self.node)

    def arriving(self, node: Node) -> np.ndarray:
        """The gradient that arrives at a node nearer to the loss: what the user's own ones make of it."""
        return self.backward_to(node, {})

    @property
    def layers(self) -> list[Node]:
        """The pre-activations and activations on the tape, and what the user named, from the input on."""
        found = [node for x in self.activations for node in (x.before, x.after)]
        named = [node for node in self.names.nodes.values() if not node.is_leaf]
        output = [] if self.network.output is None else [self.network.output]
        return sorted({*found, *named, *output}, key=lambda node: node.born)

    @property
    def on_the_way(self) -> list[Node]:
        """The layers that the gradient comes through, the nearest first."""
        reached = self.network.reached_by(self.node)
        return [node for node in self.layers if node in reached and node.shape]

    def with_change(self, node: Node, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What this gradient would be, had the user changed the one at `node`."""
        return self.with_gradient(node, change(self.arriving(node)))

    def backward_to(self, node: Node, rules: Mapping[Node, Rule]) -> np.ndarray:
        """The gradient at any node, with other rules at some of those on the way."""
        if node in self.given and node is not self.node:
            return self.given[node]
        return self.network.backward(node, self.given, rules)

    def with_rules(self, rules: Mapping[Node, Rule]) -> np.ndarray:
        """What this gradient would be, had the user other rules at some nodes."""
        return self.backward_to(self.node, rules)

    def with_gradient(self, node: Node, g: np.ndarray) -> np.ndarray:
        """What this gradient would be, had the user the gradient `g` at a node."""
        if node is self.node:
            return g
        return self.network.backward(self.node, {**self.given, node: g}, {})

    def reshaped(self, hand: np.ndarray) -> Case:
        """The same case with the gradient in another shape."""
        return replace(self, hand=hand)

    def factors(self, c: float) -> list[Factor]:
        """What a constant factor may mean."""
        return named_factors(c, self.network, self.scales, self.data, self.tolerance)

    def factor(self, c: float) -> Factor | None:
        """What a constant factor most likely means; None for a number without a meaning here."""
        return next(iter(self.factors(c)), None)

    def agrees(self, candidate: np.ndarray) -> bool:
        """Whether the hand-written gradient is this array, to rounding."""
        return any(equal(self.hand, candidate * scale, self.tolerance) for scale in self.scales)

    def match(self, candidate: np.ndarray) -> Factor | None:
        """The constant by which the hand-written gradient is this array: one, or one that has a name."""
        if candidate.shape != self.hand.shape:
            return None
        if self.agrees(candidate):
            return Factor(1.0, "", "")
        c = proportion(self.hand, candidate, self.tolerance)
        factor = None if c is None else self.factor(c)
        # One number is proportional to every other: only the likeliest factor counts.
        return factor if self.hand.size > 1 or (factor and factor.mistake == "batch_factor") else None

    def finding(self, mistake: str, text: str, candidate: np.ndarray, at: Node | None = None) -> Finding | None:
        """A finding, if the hand-written gradient is the candidate, up to a factor that has a name.

        `at` is the node where the mistake was made, where that is another one.
        """
        factor = None if at is not self.node and at in self.fine else self.match(candidate)
        if factor is None:
            return None
        more = f"  Besides, it is {factor.words}." if factor.words else ""
        return Finding(mistake, text + more, self.line_at(at or self.node), factor.words)


def best(findings: Iterable[Finding | None]) -> Finding | None:
    """The first finding that explains every digit, else the first of all."""
    found = [finding for finding in findings if finding]
    return min(found, key=lambda finding: bool(finding.factor), default=None)


def equal(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays of one shape agree, relative to the largest entry of the second."""
    if a.shape != b.shape:
        return False
    top = np.max(np.abs(b), initial=0.0)
    return bool(np.max(np.abs(a - b), initial=0.0) <= tolerance * top)


def proportion(a: np.ndarray, b: np.ndarray, tolerance: float) -> float | None:
    """The c of a = c b, by least squares; None if there is none."""
    squares = float(np.vdot(b, b).real)
    if not squares or not np.isfinite(squares):
        return None
    c = float(np.vdot(b, a).real) / squares
    return c if c and equal(a, c * b, tolerance) else None
