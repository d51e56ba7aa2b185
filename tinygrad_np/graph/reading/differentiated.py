"""The backward pass of a tensor as a tape of its own, recorded for a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...engine.tape import Node, ancestors, recording
from ...engine.tensor import Tensor, as_tensor, attached, lifted
from ...engine.walk import pull_back
from ...engine.watch import Watcher, trace_of
from ...errors import BackwardError


@dataclass
class BackwardPass:
    """Its ops, oldest first; the op of the forward pass whose rule each is part of; the gradients it ends in; and
    what it starts from.
    """

    nodes: list[Node] = field(default_factory=list)
    origin: dict[Node, Node] = field(default_factory=dict)
    gradients: list[tuple[Node, Tensor]] = field(default_factory=list)
    seed: Node | None = None


class _Mirror(Watcher):
    """Notes which rule is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[Node, Node] = {}
        self.at: Node | None = None

    def pulling(self, node: Node, g: Any) -> None:
        self.at = node

    def recorded(self, node: Node, out: Any) -> None:
        trace_of(node).value = out
        if self.at is not None:
            self.origin[node] = self.at


def differentiated(nodes: Iterable[Node]) -> set[Node]:
    """The inputs of some nodes that were differentiated, also those that required grad for a transform alone."""
    return {node.inputs[i] for node in nodes if node.rule is not None for i in node.rule.wanted}


def backward_pass(tensor: Tensor) -> BackwardPass:
    """Record how the gradient of each leaf is computed, from a cotangent of ones.

    Nothing of the tape of `tensor` is changed: no gradient is deposited, and hooks are not called.
    Raises BackwardError if nothing requires grad, or if the tape was used up by backward().
    """
    root = tensor.node
    if root is None or not root.requires_grad:
        raise BackwardError(
            f"draw(..., backward=True) shows how gradients are computed, and {tensor.describe()} does not depend on "
            "anything that requires grad.  Make the parameters with Tensor(..., requires_grad=True)."
        )
    forward = ancestors([root])
    if any(node.kept is None for node in forward):
        raise BackwardError(
            "draw(..., backward=True) needs what the rules kept, and backward() has dropped it.  Draw before "
            "backward(), or call loss.backward(retain_graph=True)."
        )
    # As if it required grad: what is computed from it alone is recorded too.
    seed = Tensor(np.ones(tensor.shape, tensor.dtype), requires_grad=True, name=f"d{root.name or 'out'}")
    moving = {root, *differentiated(forward)}
    leaves = [node for node in forward if node.is_leaf and node in moving]
    mirror = _Mirror()
    token = recording.set(mirror)
    try:
        # No node is as young as `since`, so no hook of the user is called.
        found = pull_back([(root, seed)], set(leaves), lift=lifted, since=2**63)
    finally:
        recording.reset(token)
    gradients = [(node, _original(as_tensor(found[node]))) for node in leaves if node in found]
    roots = [gradient.node for _, gradient in gradients if gradient.node is not None]
    return BackwardPass(ancestors(roots, since=seed.node.born), mirror.origin, gradients, seed.node)


def _original(gradient: Tensor) -> Tensor:
    """The gradient as its rule gave it: the walk hands out copies of those that others share."""
    node = gradient.node
    return attached(gradient.data, node.inputs[0]) if node is not None and node.op_name == "copy" else gradient
