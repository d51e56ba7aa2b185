"""The third vote: numeric differences of the recorded loss, which know neither the hand's formula nor autograd's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...engine.tape import Node
from ...errors import AutogradError
from ..numeric import Slope, derivative
from .network import Network

ENTRIES = 60
"""Entries looked at in all, in small networks."""
WORK = 2e8
"""In large ones so many that about this many numbers are computed."""


@dataclass
class Vote:
    """What differences say of one gradient: along a random direction and at some entries.

    `directions` are the directions, `slopes` the differences along them, `right` what autograd says of them.
    """

    directions: list[np.ndarray]
    slopes: list[Slope]
    right: list[float]
    scale: float

    @property
    def entries(self) -> int:
        """How many single entries were looked at."""
        return len(self.slopes) - 1

    @property
    def error(self) -> float:
        """How far autograd is from the differences, relative to the largest gradient."""
        smooth = [(s.value, r) for s, r in zip(self.slopes, self.right, strict=True) if not s.kink]
        return max((abs(s - r) for s, r in smooth), default=0.0) / (self.scale or 1.0)

    @property
    def agrees(self) -> bool:
        """Whether differences and autograd agree, as far as the differences are good."""
        return self._agree(self.right)

    def _agree(self, others: list[float]) -> bool:
        allowed = 1e-5 * self.scale
        pairs = [(s, o) for s, o in zip(self.slopes, others, strict=True) if not s.kink]
        return all(abs(s.value - o) <= allowed + 10 * s.error for s, o in pairs)

    def sides_with(self, hand: np.ndarray) -> bool:
        """Whether differences are with the hand-written gradient and against autograd."""
        if self.agrees or hand.shape != self.directions[0].shape:
            return False
        return self._agree([float(np.sum(hand * direction).real) for direction in self.directions])

    def accusation(self, name: str) -> str:
        """What is said where autograd is outvoted."""
        return (
            f"{name} agrees with numeric differences, and autograd's does not: a bug in tinygrad_np.  Please report "
            "it, with the loss."
        )

    def doubt(self, name: str) -> str:
        """What is said where differences disagree with autograd."""
        return (
            f"numeric differences disagree with autograd's {name} (by {self.error:.1e}): a kink near by, or a bad step."
        )


def poll(network: Network, nodes: Iterable[Node], seed: int) -> dict[Node, Vote]:
    """The differences for each of these nodes; none where the loss is not finite or moved numbers give no loss."""
    random = np.random.default_rng(seed)
    asked = [node for node in dict.fromkeys(nodes) if node.shape is not None and np.prod(node.shape)]
    size = sum(value.size for value in network.values.values())
    each = int(min(ENTRIES, WORK / (4 * size + 1))) // max(1, len(asked))
    found = {}
    for node in asked:
        if not np.all(np.isfinite(network.gradients[node])):
            continue
        try:
            found[node] = _vote(network, node, each, random)
        except AutogradError:
            continue
    return found


def _vote(network: Network, node: Node, entries: int, random: np.random.Generator) -> Vote:
    value, gradient = network.values[node], network.gradients[node]
    chosen = random.choice(value.size, min(entries, value.size), replace=False)
    directions = [random.normal(size=value.shape), *(_unit(value.shape, int(i)) for i in chosen)]
    directions[0] /= np.linalg.norm(directions[0]) or 1.0
    slopes = [_along(network, node, direction) for direction in directions]
    right = [float(np.sum(gradient * direction).real) for direction in directions]
    return Vote(directions, slopes, right, float(np.max(np.abs(gradient), initial=0.0)))


def _unit(shape: tuple[int, ...], i: int) -> np.ndarray:
    unit = np.zeros(shape)
    unit.flat[i] = 1.0
    return unit


def _along(network: Network, node: Node, direction: np.ndarray) -> Slope:
    """The slope of the loss along a direction of one node, leaf or intermediate."""
    value = network.values[node]
    h = 1e-5 * max(1.0, float(np.max(np.abs(value * direction))))

    def at(t: float) -> float:
        return float(network.moved({node: value + t * direction}).result.item())

    return derivative(at, h)
