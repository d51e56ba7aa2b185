"""The right line of NumPy for a gradient, in the names and the layout of the user.

Each line comes with the numbers that it gives, and is handed on only where these are right: a skip connection, a
weight decay or 1/m in another place make the usual line a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ...engine.tape import Node
from .layers import Activation, label_nodes, probabilities
from .names import Names, transposed
from .network import Network, Use

SLOPES = {"sigmoid": "{a} * (1 - {a})", "tanh": "(1 - {a}**2)", "relu": "({z} > 0)"}
LONGEST = 80
"""Nobody reads a longer line."""


class Line(NamedTuple):
    """A line of NumPy, and what it gives."""

    text: str
    value: np.ndarray


class Lines:
    """The lines that can be written with what the user has.

    `own` are the gradients that he has under a name, as they are once they are right: some m times autograd's,
    where 1/m comes with the parameters.
    """

    def __init__(
        self, network: Network, names: Names, activations: Sequence[Activation], own: Mapping[Node, np.ndarray]
    ) -> None:
        self.network, self.names, self.activations, self.own = network, names, activations, own
        self.samples = network.samples or 1

    def right(self, node: Node, target: np.ndarray, tolerance: float) -> str | None:
        """A line that gives the gradient `target` of a node; None where none is found."""
        top = np.max(np.abs(target), initial=0.0)
        for text, value in self._of(node):
            close = value.shape == target.shape and np.max(np.abs(value - target), initial=0.0) <= tolerance * top
            if close and len(text) <= LONGEST:
                return text
        return None

    def _of(self, node: Node) -> Iterator[Line]:
        """Lines that may be right, and for a parameter the same divided by m."""
        for line in self._without_m(node):
            yield line
            if node.is_leaf and self.samples > 1:
                yield Line(f"{line.text} / {self._m()}", line.value / self.samples)

    def _m(self) -> str:
        """What to call the number of samples: the user's own m may be another."""
        m = self.names.tensors.get("m", self.samples)
        return "m" if isinstance(m, int | np.integer) and m == self.samples else str(self.samples)

    def _without_m(self, node: Node) -> Iterator[Line]:
        if node is self.network.output:
            yield from self._at_output()
        for activation in self.activations:
            if node is activation.before:
                yield from self._through(activation)
        uses = [use for use in self.network.uses(node) if use.node.shape]
        if len(uses) == 1:
            yield from self._sum(node, uses[0]) if uses[0].kind == "sum" else self._product(uses[0])

    # -- what arrives ---------------------------------------------------------------------------------

    def _arriving(self, node: Node) -> Iterator[Line]:
        """The gradient at a result: by its name, else as an expression of what has a name."""
        # W @ X has no name, and W @ X + b has.
        alike = [user for user in self.network.users[node] if user.op_name == "add" and user.shape == node.shape]
        for at in (node, *alike):
            if at in self.own:
                yield Line(str(self.names.gradient(at)), self.own[at])
                return
        for at in (node, *alike):
            for line in self._without_m(at):
                if len(line.text) < LONGEST:
                    yield Line(f"({line.text})", line.value)

    # -- kinds of lines -------------------------------------------------------------------------------

    def _sum(self, node: Node, use: Use) -> Iterator[Line]:
        sign = -1 if use.node.op_name == "subtract" and use.side == 1 else 1
        kept = len(node.shape) == len(use.node.shape)
        axis = use.batch[0] if len(use.batch) == 1 else use.batch
        along = f"axis={axis}{', keepdims=True' if kept else ''}" if node.shape else ""
        for name, g in self._arriving(use.node):
            total = g.sum(axis=axis, keepdims=kept) if node.shape else np.asarray(g.sum())
            yield Line(f"{'-' if sign < 0 else ''}{name}.sum({along})", sign * total)

    def _product(self, use: Use) -> Iterator[Line]:
        other = self.names.known(use.other) if use.other is not None else None
        if other is None or use.kind != "product" or len(use.other.shape) > 2:  # type: ignore[union-attr]
            return
        value = self.network.values[use.other]  # type: ignore[index]
        for name, g in self._arriving(use.node):
            if g.ndim != 2 and not (g.ndim == value.ndim - 1 == use.side == 1):
                continue
            # (W X)ᵀ = Xᵀ Wᵀ: the gradient of a transposed operand is the transposed gradient.
            if use.flipped and g.ndim == 2:
                one_sided = use.side == 0
                text = f"{other} @ {name}.T" if one_sided else f"{name}.T @ {other}"
                yield Line(text, value @ g.T if one_sided else g.T @ value)
            elif use.side == 0 and value.ndim == 2:
                yield Line(f"{name} @ {transposed(other)}", g @ value.T)
            elif use.side == 1:
                yield Line(f"{transposed(other)} @ {name}", value.T @ g)

    def _through(self, activation: Activation) -> Iterator[Line]:
        slope = SLOPES.get(activation.kind)
        a, z = self.names.known(activation.after), self.names.known(activation.before)
        if slope is None or (("{a}" in slope and a is None) or ("{z}" in slope and z is None)):
            return
        for name, g in self._arriving(activation.after):
            yield Line(f"{name} * {slope.format(a=a, z=z)}", g * activation.slope)

    def _at_output(self) -> Iterator[Line]:
        """A - Y and its multiples, which cross-entropies and squared errors give."""
        output, m = self.network.output, self._m()
        ends = [probabilities(self.network), *(x.after for x in self.activations if x.before is output), output]
        for end, label in product([end for end in ends if end is not None], label_nodes(self.network)):
            a, y = self.names.known(end), self.names.known(label)
            p, target = self.network.values[end], self.network.values[label]
            if not a or not y or p.shape != target.shape:
                continue
            difference = p - target
            yield Line(f"{a} - {y}", difference)
            counts = [(self.samples, m), (p.size, f"{a}.size")]
            if any(node.op_name == "mean" and np.prod(node.inputs[0].shape) == p.size for node in self.network.nodes):
                counts.reverse()  # with two outputs both are right, but only here
            for count, divisor in counts:
                yield Line(f"({a} - {y}) / {divisor}", difference / count)
                yield Line(f"2 * ({a} - {y}) / {divisor}", 2 * difference / count)
            yield Line(f"2 * ({a} - {y})", 2 * difference)
