"""What a recorded loss says of itself: every value and gradient, and backward passes with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...engine.replay import Replay
from ...engine.tape import PROJECTION, Node, ancestors
from ...engine.tensor import Tensor
from ...engine.walk import broadcast_axes, pull_back

Gradients = dict[Node, np.ndarray]
Rule = Callable[[np.ndarray], Gradients]
"""From the gradient at a node to those at nodes it came from."""

PRODUCTS = {"matmul", "dot"}
SUMS = {"add", "subtract"}


class Use(NamedTuple):
    """How a node enters the network: in a matrix product, added with broadcasting, or in tg.linear.

    `node` is the result, `other` the other operand of a product as it entered, `side` which operand the node
    is (0 or 1), `flipped` says that it entered transposed, and `batch` are the axes of the result over which
    the gradient is summed.
    """

    kind: str  # "product", "sum" or "linear"
    node: Node
    other: Node | None
    side: int
    flipped: bool
    batch: tuple[int, ...]


class Network:
    """A recorded loss, computed again in float64.

    `values` and `gradients` are by node of the tape; `users` are the nodes that a node goes into.
    `native` are the gradients in the dtype of the tape: how far they are from `gradients` is what rounding does.
    `leaves` are numbers for leaves other than those that their tensors hold now.
    """

    def __init__(self, loss: Tensor, leaves: Mapping[Node, Any] | None = None) -> None:
        self.loss, self.leaves = loss, dict(leaves or {})
        self.again = self.replayed({})
        self.nodes = self.again.nodes
        self.root: Node = loss.node
        self.values = {node: np.asarray(tensor.data) for node, tensor in self.again.tensors.items()}
        self.gradients = self.again.gradients()
        self.users: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source in sources(node):
                self.users[source].append(node)
        self.native = self.gradients if self._is_double() else Replay(loss, self.leaves).gradients()
        self._reached: dict[Node, set[Node]] = {}

    def _is_double(self) -> bool:
        return all(node.dtype in (np.float64, np.complex128) for node in self.nodes if node.requires_grad)

    def replayed(self, moved: Mapping[Node, Any]) -> Replay:
        """The loss computed again in float64, with other numbers at some nodes."""
        return Replay(self.loss, {**self.leaves, **moved}, dtype=np.float64)

    def moved(self, moved: Mapping[Node, Any]) -> Replay:
        """The same, but only what the moved nodes reach is computed: faster, and behind them are no gradients."""
        again = set().union(*map(self.reached_by, moved))
        kept = {node: value for node, value in self.values.items() if node not in again}
        return Replay(self.loss, {**kept, **moved}, dtype=np.float64)

    # -- backward passes --------------------------------------------------------------------------

    def step(self, node: Node, g: np.ndarray) -> Gradients:
        """What the rule of one node makes of the gradient `g` that arrives at it."""
        made_by = node.inputs[0] if node.rule is PROJECTION else node
        targets = {self.again.tensors[i].node: i for i in sources(made_by) if i.requires_grad}
        found = pull_back([(self.again.tensors[node].node, g)], targets)
        return {targets[new]: gradient for new, gradient in found.items()}

    def backward(self, target: Node, given: Mapping[Node, Any], rules: Mapping[Node, Rule]) -> np.ndarray:
        """The gradient at `target` of a backward pass with other gradients at some nodes, or other rules."""
        on_the_way = self.reached_by(target)
        found: Gradients = {self.root: np.ones(self.root.shape)}
        for node in reversed(self.nodes):
            if node is target:
                break
            if node in given:
                found[node] = given[node]
            if node not in found or node not in on_the_way or node.is_leaf:
                continue
            step = rules[node](found[node]) if node in rules else self.step(node, found[node])
            for source, part in step.items():
                found[source] = found[source] + part if source in found else part
        return found.get(target, np.zeros(target.shape))

    def moved_back(self, node: Node, g: np.ndarray, target: Node) -> np.ndarray:
        """What a change `g` of the gradient at `node` changes at `target`."""
        if node is target:
            return g
        new = self.again.tensors[target].node
        found = pull_back([(self.again.tensors[node].node, g)], {new})
        return found.get(new, np.zeros(target.shape))

    def slope(self, before: Node, after: Node, again: Replay | None = None) -> np.ndarray:
        """The derivative of one node by another that it is a function of, entry by entry."""
        tensors = (again or self.again).tensors
        ones = np.ones(after.shape, tensors[after].dtype)
        return pull_back([(tensors[after].node, ones)], {tensors[before].node})[tensors[before].node]

    def reached_by(self, node: Node) -> set[Node]:
        """The nodes that a node goes into, directly or by way of others."""
        if node not in self._reached:
            found, waiting = set(), [node]
            while waiting:
                for user in self.users[waiting.pop()]:
                    if user not in found:
                        found.add(user)
                        waiting.append(user)
            self._reached[node] = found
        return self._reached[node]

    def came_from(self, node: Node) -> set[Node]:
        """The nodes that a node was computed from."""
        return set(ancestors([node])) - {node}

    def size_of_terms(self, node: Node) -> float:
        """How large the terms are that the gradient of a node is a sum of, before they cancel."""
        size = 0.0
        for user in self.users[node]:
            if not user.requires_grad or not isinstance(user.shape, tuple):
                continue
            factors = [np.max(np.abs(self.values[i]), initial=0.0) for i in sources(user) if i is not node]
            arriving = np.max(np.abs(self.gradients[user]), initial=0.0)
            terms = max(1.0, prod(user.shape) / max(1, prod(node.shape)))
            size += float(arriving * max([1.0, *factors]) * terms)
        return size if np.isfinite(size) else 0.0

    # -- layers -----------------------------------------------------------------------------------

    def uses(self, node: Node) -> list[Use]:
        """Where a node is multiplied as a matrix, or added and broadcast; transposed or not."""
        found = []
        for user in self.users[node]:
            if user.op_name == "transpose" and len(node.shape) == 2 and user.meta is None:
                found += [use._replace(flipped=not use.flipped) for use in self.uses(user)]
            elif user.op_name in PRODUCTS and _of_layers(user):
                found += [_product(user, side) for side in (0, 1) if user.inputs[side] is node]
            elif user.op_name == "linear":
                found.append(_linear(user, user.inputs.index(node)))
            elif user.op_name in SUMS and node.shape != user.shape:
                stretched, extra = broadcast_axes(node.shape, user.shape)
                found.append(Use("sum", user, None, user.inputs.index(node), False, stretched + extra))
        return found

    @cached_property
    def parameters(self) -> list[Node]:
        """The leaves that require grad."""
        return [node for node in self.nodes if node.is_leaf and node.requires_grad]

    @cached_property
    def _layers(self) -> list[Use]:
        return [use for node in self.parameters for use in self.uses(node)]

    @cached_property
    def samples(self) -> int | None:
        """How many samples there are: what the gradients of the last layer's parameters are summed over."""
        last = max(self._layers, key=lambda use: use.node.born, default=None)
        return None if last is None else prod(last.node.shape[axis] for axis in last.batch)

    @cached_property
    def output(self) -> Node | None:
        """The last layer's result before its activation: the newest node that a parameter goes into."""
        found = [use.node for use in self._layers]
        return max(found, key=lambda node: node.born, default=None)

    @cached_property
    def output_batch(self) -> tuple[int, ...]:
        """The axes of the output that count samples."""
        return next((use.batch for use in self._layers if use.node is self.output), ())

    @cached_property
    def outputs(self) -> int:
        """How many numbers the network gives for one sample."""
        if self.output is None or not self.samples:
            return 1
        return max(1, prod(self.output.shape) // self.samples)

    @cached_property
    def sizes_coincide(self) -> bool:
        """Whether one number is two sizes here, or a size is 2: then factors and axes may be mistaken for others."""
        shapes = [node.shape for node in self.parameters]
        units = {n for shape in shapes for n in shape}
        return 2 in {self.samples, *units} or self.samples in units or any(len(set(s)) < len(s) for s in shapes)

    def place(self, node: Node) -> int:
        """Where the gradient of a node is complete in a backward pass: by it, reports are sorted from the loss back."""
        if node.is_leaf and self.users[node]:
            return min(user.born for user in self.users[node])
        return node.born


def sources(node: Node) -> list[Node]:
    """The inputs that are arrays, each once."""
    return list(dict.fromkeys(i for i in node.inputs if isinstance(i, Node)))


def _of_layers(user: Node) -> bool:
    """Whether a product is one of a layer: a matrix or a vector with samples in rows, columns or more axes."""
    left, right = user.inputs
    many = isinstance(left, Node) and isinstance(right, Node)
    return many and (len(right.shape) == 2 <= len(left.shape) or (len(left.shape), len(right.shape)) == (2, 1))


def _product(user: Node, side: int) -> Use:
    # The gradient of one operand is summed over the axes that only the other one has: they count samples, if
    # the operand is a parameter.
    mine = len(user.inputs[side].shape)
    axes = range(len(user.shape))
    batch = tuple(axes[1:] if side == 0 else axes[: len(axes) - mine + 1])
    return Use("product", user, user.inputs[1 - side], side, False, batch)


def _linear(user: Node, side: int) -> Use:
    """The use by tg.linear(x, w, b), in which parameters may stand in any place."""
    axes = tuple(range(len(user.shape)))
    bias = broadcast_axes(user.inputs[2].shape, user.shape) if side == 2 else ((), ())
    batch = {0: axes[-1:], 1: axes[:-1], 2: bias[0] + bias[1]}[side]
    return Use("linear", user, None, side, False, batch)
