"""Reading layers off a tape: activations with their slopes, probabilities, and labels.

Nothing here depends on how a function was written: a sigmoid is known by its slope a(1 - a), softmax by columns
that add up to one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from ...engine.replay import Replay
from ...engine.tape import PROJECTION, Node
from .network import Network, sources

ACTIVATIONS = {"relu", "sigmoid", "tanh", "softplus", "maximum", "sin"}
"""Ops that are an activation by themselves, whatever comes after them."""


class Activation(NamedTuple):
    """A function of entries from `before` (z) to `after` (a), and its slope at each entry."""

    before: Node
    after: Node
    z: np.ndarray
    a: np.ndarray
    slope: np.ndarray

    @property
    def kind(self) -> str:
        """What function it is, by its slope; "" for any other."""
        # First, for where all is 0 relu and its slope fit the formula of a sigmoid as well.
        if np.allclose(self.a, np.maximum(self.z, 0), rtol=1e-12, atol=0) and np.all(self.slope == (self.z > 0)):
            return "relu"
        if np.allclose(self.slope, self.a * (1 - self.a), rtol=1e-6, atol=1e-12):
            return "sigmoid"
        if np.allclose(self.slope, 1 - self.a**2, rtol=1e-6, atol=1e-12):
            return "tanh"
        return ""


def activations(network: Network, named: Collection[Node]) -> list[Activation]:
    """The activations of a network, from the input on; nodes that the user named end one for sure."""
    origin = _origins(network)
    found = [_activation(network, origin[node], node) for node in _ends(network, origin, named)]
    return [activation for activation in found if not _linear(network, activation)]


def _origins(network: Network) -> dict[Node, Node]:
    """For each node the one it is a function of, entry by entry; itself where it is of several or of none."""
    origin: dict[Node, Node] = {}
    for node in network.nodes:
        if not node.requires_grad or node.is_leaf or not isinstance(node.shape, tuple):
            continue
        behind = {origin.get(i, i) for i in sources(node) if i.requires_grad}
        alone = len(behind) == 1 and _entry_by_entry(node)
        origin[node] = behind.pop() if alone else node
    return origin


def _entry_by_entry(node: Node) -> bool:
    """Whether all entries are made alike, from one entry each: no data, weights or masks of their own go in."""
    if node.rule is PROJECTION or (node.rule.op.kind != "elementwise" and node.op_name != "where"):
        return False
    moving = [i for i in sources(node) if i.requires_grad]
    still = [i for i in sources(node) if not i.requires_grad]
    return all(i.shape == node.shape for i in moving) and all(i.shape in ((), (1,)) or i.dtype == bool for i in still)


def _ends(network: Network, origin: dict[Node, Node], named: Collection[Node]) -> list[Node]:
    """The nodes that an activation ends at: named, of a known op, or the last of their chain."""
    found = []
    for node, start in origin.items():
        if node is start or node.shape == () or not _closed(network, start, node):
            continue
        leaves_chain = any(origin.get(user) is not start for user in network.users[node])
        # What comes after the last layer belongs to the loss.
        inside = network.output is None or node.born < network.output.born
        if node in named or node.op_name in ACTIVATIONS or (leaves_chain and inside):
            found.append(node)
    return found


def _closed(network: Network, start: Node, end: Node) -> bool:
    """Whether all that is between the two goes into the end, and nowhere else."""
    between = network.came_from(end) & network.reached_by(start)
    return all(user in between or user is end for node in between for user in network.users[node])


def _activation(network: Network, before: Node, after: Node) -> Activation:
    slope = network.slope(before, after)
    return Activation(before, after, network.values[before], network.values[after], slope)


def _linear(network: Network, activation: Activation) -> bool:
    """Whether it is a division by sqrt(d), or the like: the same slope at all entries, and elsewhere."""
    slope = activation.slope
    if slope.size and np.ptp(slope):
        return False
    points = (activation.z - 1.5, activation.z + 1.5, -activation.z)
    return all(np.allclose(slope_at(network, activation, z), slope, rtol=1e-9, atol=0) for z in points)


def slope_at(network: Network, activation: Activation, point: np.ndarray) -> np.ndarray:
    """The slope of an activation somewhere else than where the network was."""
    again = network.moved({activation.before: point})
    return network.slope(activation.before, activation.after, again)


# -- the loss ---------------------------------------------------------------------------------------


def after_output(network: Network) -> list[Node]:
    """What is computed from the last layer's result, up to the loss."""
    if network.output is None:
        return []
    reached = network.reached_by(network.output)
    return [node for node in network.nodes if node in reached]


def label_nodes(network: Network) -> list[Node]:
    """The data that the loss compares the output with, such as one-hot labels."""
    found = []
    for node in after_output(network):
        for source in sources(node):
            if source.is_leaf and not source.requires_grad and source.shape and source not in found:
                found.append(source)
    return found


def class_axis(network: Network) -> int | None:
    """The axis of the output that counts its numbers, and not samples."""
    if network.output is None:
        return None
    axes = [axis for axis in range(len(network.output.shape)) if axis not in network.output_batch]
    return axes[0] if len(axes) == 1 else None


def targets(network: Network) -> list[np.ndarray]:
    """The labels in the shape of the output, one-hot where they are whole numbers."""
    axis = class_axis(network)
    if network.output is None or axis is None:
        return []
    shape = network.output.shape
    found = []
    for node in label_nodes(network):
        value = network.values[node]
        if value.shape == shape and value.dtype != bool:
            found.append(value)
        elif value.dtype.kind in "iu" and value.ndim == 1 and len(shape) == 2 and value.size == shape[1 - axis]:
            found.append(np.moveaxis(np.eye(shape[axis])[value], -1, axis))
        elif value.size == np.prod(shape) and value.ndim <= 2:
            found.append(value.reshape(shape))
    return found


def with_shifted_labels(network: Network, by: int, wrap: bool) -> Replay | None:
    """The loss of labels that are all moved by one class, around the end or past it; None without classes."""
    axis = class_axis(network)
    if axis is None or network.output is None or network.output.shape[axis] < 2:
        return None
    changed = dict(_shifted_labels(network, by, wrap, axis))
    return network.replayed(changed) if changed else None


def shifted_losses(network: Network) -> list[float]:
    """The values of the loss for labels that are off by one class."""
    found = [with_shifted_labels(network, by, wrap) for by in (1, -1) for wrap in (True, False)]
    return [float(again.result.item()) for again in found if again is not None]


def _shifted_labels(network: Network, by: int, wrap: bool, axis: int) -> Iterator[tuple[Node, np.ndarray]]:
    """The labels of all samples moved by one class, around the end or past it."""
    assert network.output is not None
    shape = network.output.shape
    for node in label_nodes(network):
        value = network.values[node]
        if value.shape == shape and value.dtype != bool:
            moved = np.roll(value, by, axis)
            if not wrap:
                edge = [slice(None)] * value.ndim
                edge[axis] = slice(0, 1) if by > 0 else slice(-1, None)
                # 1 - Y is data as well, where the loss has it.
                moved[tuple(edge)] = 1 if value.mean() > 0.5 else 0
            yield node, moved
        elif value.dtype.kind in "iu" and value.ndim == len(shape) - 1:
            yield node, (value + by) % shape[axis] if wrap else np.clip(value + by, 0, shape[axis] - 1)


def probabilities(network: Network) -> Node | None:
    """The softmax of the output, if the tape has it: entries that add up to one for each sample."""
    axis = class_axis(network)
    if network.output is None or axis is None or network.output.shape[axis] < 2:
        return None
    for node in after_output(network):
        value = network.values.get(node)
        if value is None or value.shape != network.output.shape or not node.requires_grad:
            continue
        if np.all(value >= 0) and np.allclose(value.sum(axis=axis), 1, rtol=1e-6):
            return node
    return None


def softmax(z: np.ndarray, axis: int) -> np.ndarray:
    """Softmax along an axis."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), without overflow."""
    return np.where(z >= 0, 1, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z)))
