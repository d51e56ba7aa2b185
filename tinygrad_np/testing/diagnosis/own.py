"""What follows from a gradient of the wrong shape, in plain NumPy: rules refuse such gradients, programs do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...engine.tape import Node
from .layers import Activation
from .network import Network, Use


def follow(
    node: Node, network: Network, activations: Sequence[Activation], hands: Mapping[Node, np.ndarray]
) -> list[np.ndarray]:
    """What the usual line for the gradient of `node` gives with the user's own gradients, where it runs at all."""
    found = []
    for make, arriving in _lines(node, network, activations, hands):
        try:
            found.append(make(arriving))
        # Shapes that do not go together: then the user's line was another one.
        except ValueError:
            continue
    return found


def _lines(
    node: Node, network: Network, activations: Sequence[Activation], hands: Mapping[Node, np.ndarray]
) -> Iterator[tuple]:
    for use in network.uses(node):
        arriving = _of_layer(use.node, network, hands)
        if arriving is not None and use.kind == "sum":
            yield (lambda g, use=use: g.sum(axis=use.batch, keepdims=len(use.node.shape) == len(node.shape))), arriving
        elif arriving is not None:
            other = network.values[use.other]  # type: ignore[index]
            yield (lambda g, use=use, other=other: _product(g, use, other)), arriving
    for x in activations:
        if x.before is node and x.after in hands:
            yield (lambda g, x=x: g * x.slope), hands[x.after]


def _product(g: np.ndarray, use: Use, other: np.ndarray) -> np.ndarray:
    found = g @ other.T if use.side == 0 else other.T @ g
    return found.T if use.flipped else found


def _of_layer(node: Node, network: Network, hands: Mapping[Node, np.ndarray]) -> np.ndarray | None:
    """The user's gradient at the result of a product or a sum, or at that with a bias added."""
    nodes = [node, *(user for user in network.users[node] if user.op_name == "add" and user.shape == node.shape)]
    return next((hands[at] for at in nodes if at in hands), None)
