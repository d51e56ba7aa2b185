"""Reading a tape: a box for each op, one for each leaf beside each op that uses it, and the arrows between."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ...engine.replay import known_values
from ...engine.scopes import scopes_of
from ...engine.tape import PROJECTION, Node
from ...engine.tensor import Tensor
from ..parts import Arrow, Box, Summary
from .boxes import input_names, is_word, leaf_box, likeness, op_box
from .differentiated import BackwardPass, differentiated
from .values import (
    accumulated,
    came_back,
    changed,
    contribution,
    deposited,
    gradient_summary,
    magnitude,
    summarized,
    walked,
)  # fmt: skip
from .wiring import Wiring

DETAILED = 2000
"""Histograms and images are made for tapes of up to so many entries."""


class Reader:
    """Boxes and arrows, made in the order of the tape.

    `op_of` has, for the box of each op and of each leaf beside it, the box of the op; `scope_of` and `likeness_of`
    the innermost scope of each op's box, and what makes it like another; `wiring` where their inputs come from.
    `seed` is what the backward pass starts from.
    """

    def __init__(self, tensor: Tensor, forward: list[Node], back: BackwardPass) -> None:
        nodes = [*forward, *back.nodes]
        self.tensor, self.seed = tensor, back.seed
        self.boxes: list[Box] = []
        self.arrows: list[Arrow] = []
        self.op_of: dict[int, int] = {}
        self.scope_of: dict[int, Any] = {}
        self.likeness_of: dict[int, tuple] = {}
        self.wiring = Wiring()
        self.leaf_at: dict[int, Node] = {}
        """The node that the box of a leaf is of."""
        self.gradient_of: dict[int, Node] = {}
        """The parameter of each result of the backward pass."""
        self.same_as: dict[int, Node] = {}
        """Nodes by the id of their array: who they are that came into the backward pass as bare arrays."""
        self._detailed = len(nodes) <= DETAILED
        self._transposed: dict[Any, str] = {}
        self._known = known_values(nodes, tensor)
        self._differentiated = differentiated(forward)
        # Nodes may have gradients of another tensor, which is computed from some of them too.
        root = forward[-1]
        self._came_back = root.is_leaf or walked(root)
        # Where gradients come from that are added up for each node.
        self._uses: dict[Node, list[tuple[Node, int]]] = defaultdict(list)
        for node in forward:
            for i, x in enumerate(node.inputs):
                if isinstance(x, Node):
                    self._uses[x].append((node, i))
        self._scope_at: dict[Node, Any] = dict(scopes_of(forward))
        # A rule is at work where its op is.
        self._scope_at |= {node: self._scope_at.get(origin) for node, origin in back.origin.items()}
        self._scopes: dict[Node, list[Any]] = {}
        self._names = {node.name for node in nodes if node.name and is_word(node.name)}
        self._number: dict[Node, int] = {}
        self._first: dict[Node, int] = {}
        self._summaries: dict[Node, tuple[Summary | None, Summary | None]] = {}

    def remember_arrays(self, nodes: Iterable[Node]) -> None:
        """Let bare arrays that come later be known for those of `nodes`."""
        known = [(node, self._known[node]) for node in nodes if node in self._known]
        self.same_as = {id(array): node for node, array in known}
        self._transposed = {
            _layout(np.transpose(array)): node.name for node, array in known if node.name and node.shape[1:]
        }

    def leaves(self) -> dict[int, list[Box]]:
        """The leaves beside each op, by the number of its box."""
        found = defaultdict(list)
        for box in self.boxes:
            if box.kind in ("parameter", "data") and box.id in self.op_of:
                found[self.op_of[box.id]].append(box)
        return found

    # -- boxes --------------------------------------------------------------------------------

    def read(self, node: Node, backward: bool = False, details: tuple[str, ...] = ()) -> None:
        """The box of an op, after those of the leaves it uses, and the arrows into it; nothing for a leaf."""
        if node.rule is None or node.rule is PROJECTION:
            return
        scope = self._scope_at.get(node)
        inputs = [self._inlined(self._who(x)) if isinstance(x, Node) else x for x in node.inputs]
        sources = [x for x in inputs if isinstance(x, Node)]
        beside = {x: self.add_leaf(x, scope, backward) for x in dict.fromkeys(sources) if x.is_leaf}
        names = input_names(node.rule.op, inputs, self._names)
        box = op_box(node, inputs, names, *self.summary(node), self._known.get(node))
        if node is self.tensor.node:
            # The box of the result has them.
            box = replace(box, name=None, value=None, grad=None)
        if backward:
            box = replace(box, backward=True, rules=(), details=(*details, *box.details))
        number = self._number[node] = self._add(box)
        self.scope_of[number] = scope
        self.likeness_of[number] = likeness(node, inputs)
        self.wiring.add(node, number, inputs, self.likeness_of[number])
        for i in (number, *beside.values()):
            self.op_of[i] = number
        for i, x in enumerate(inputs):
            if isinstance(x, Node):
                # One input that has no name needs none on its arrow.
                role = names[i] if len(sources) > 1 and x.name != names[i] else ""
                rms, total = (None, False) if backward or not self._came_back else self._brought(x, node, i)
                self.arrows.append(self._arrow(x, number, role, beside, rms, total))

    def _brought(self, source: Node, target: Node, i: int) -> tuple[float | None, bool]:
        """The size of the gradient from input `i` of an op in the last pass, and whether it is that of several uses."""
        own = contribution(target, i)
        if own is not None:
            return own, False
        uses = self._uses.get(source, ())
        found = magnitude(came_back(source, uses))
        if found is None and walked(target) and not accumulated(source):
            found = magnitude(deposited(source))
        return found, found is not None and len(uses) > 1

    def add_leaf(self, node: Node, scope: Any = None, backward: bool = False) -> int:
        """The box of a leaf for one of its uses; its number."""
        box = leaf_box(node, *self.summary(node))
        if node in self._differentiated or node is self.seed:
            # The seed requires grad, but is a leaf of the drawn backward pass alone.
            box = replace(box, kind="data" if node is self.seed else "parameter")
        if box.kind == "parameter":
            self._scopes.setdefault(node, []).append(scope)
        number = self._add(replace(box, name=self._leaf_name(node), same=self._first.get(node), backward=backward))
        self._first.setdefault(node, number)
        self.leaf_at[number] = node
        return number

    def uses(self) -> dict[int, int]:
        """For each box of a leaf, how many there are of that leaf in its pass."""
        passes = {number: (node, self.boxes[number].backward) for number, node in self.leaf_at.items()}
        counts = Counter(passes.values())
        return {number: counts[use] for number, use in passes.items()}

    def paths(self) -> dict[int, str]:
        """The path of each parameter: the scopes that all its uses are in, and its name."""
        path_of = {node: _path(scopes, node.name) for node, scopes in self._scopes.items()}
        return {number: path_of[node] for number, node in self.leaf_at.items() if path_of.get(node)}

    def add_gradient(self, parameter: Node, gradient: Tensor) -> None:
        """The box of a gradient that the backward pass ends in, and the arrow into it."""
        if gradient.node is not None:
            self.gradient_of[len(self.boxes)] = parameter
            self.add_result(gradient.node, gradient, f"d{parameter.name}" if parameter.name else None, backward=True)

    def add_result(self, node: Node, result: Tensor, name: str | None, backward: bool = False) -> None:
        """The box of a result, called `name`, and the arrow into it."""
        # Inside the backward pass gradients of complex numbers are not conjugated; what users see is.
        value, grad = self.summary(node) if result is self.tensor else (summarized(np.conj(result.data)), None)
        beside = {node: self.add_leaf(node, None, backward)} if node.is_leaf else {}
        box = Box(0, "result", name, "", result.shape, str(result.dtype), value=value, grad=grad)
        number = self._add(replace(box, nbytes=result.nbytes, backward=backward))
        arrow = self._arrow(node, number, "", beside, None if grad is None else grad.rms)
        self.arrows.append(arrow)
        if backward and arrow.source in self.op_of:
            self.op_of[number] = self.op_of[arrow.source]

    def _add(self, box: Box) -> int:
        number = len(self.boxes)
        self.boxes.append(replace(box, id=number))
        return number

    def summary(self, node: Node) -> tuple[Summary | None, Summary | None]:
        """Value and gradient of a node, in words."""
        if node not in self._summaries:
            owner = self.tensor if node is self.tensor.node else None
            brought = came_back(node, self._uses.get(node, ())) if self._came_back else None
            grad = gradient_summary(node, brought, owner, self._detailed)
            value = summarized(self._known.get(node), self._detailed)
            if value is not None and node.is_leaf and changed(node):
                value = replace(value, text=f"{value.text}, changed since it was recorded")
            self._summaries[node] = value, grad
        return self._summaries[node]

    def _who(self, node: Node) -> Node:
        """The node itself; of a bare array in the backward pass, the node whose array it is."""
        if not self.same_as or not node.is_leaf or node.name or node not in self._known:
            return node
        return self.same_as.get(id(self._known[node]), node)

    def _leaf_name(self, node: Node) -> str | None:
        """The name of a leaf; of a bare array in the backward pass that is another one transposed, that one's."""
        whose = self._transposed.get(_layout(self._known[node])) if node in self._known else None
        return node.name if node.name or whose is None else f"{whose}ᵀ"

    def _inlined(self, node: Node) -> Any:
        """A single number that has no name stands in the formula; any other node as it is."""
        if node.is_leaf and not node.requires_grad and node.shape == () and not node.name and node in self._known:
            return np.asarray(self._known[node])[()]
        return node

    # -- arrows -------------------------------------------------------------------------------

    def _arrow(
        self, source: Node, target: int, role: str, beside: dict[Node, int], rms: float | None, total: bool = False
    ) -> Arrow:
        """An arrow from `source`; one result of an op with several comes from the op itself."""
        origin, part = source, ""
        if source.rule is PROJECTION:
            origin, several = source.inputs[0], len(source.inputs[0].shape) > 1
            part = source.name or (f"[{source.meta}]" if several else "")
        start = beside[origin] if origin in beside else self._number[origin]
        return Arrow(
            start, target, source.shape, str(source.dtype), role, part, rms, total,
            needs_grad=source.requires_grad or source in self._differentiated,
        )  # fmt: skip


def _layout(array: Any) -> tuple:
    """Which memory an array shows, and how."""
    about = np.asarray(array).__array_interface__
    return about["data"][0], about["shape"], about["strides"] or np.asarray(array).strides


def _path(scopes: list[Any], name: str | None) -> str:
    """What is common to the scopes around the uses of a parameter, and its name."""
    chains = [_chain(scope) for scope in scopes]
    common = []
    for level in zip(*chains, strict=False):
        if any(scope is not level[0] for scope in level):
            break
        common.append(level[0])
    if not common or not name:
        return ""
    around = ".".join(scope.name for scope in common)
    path = common[-1].path
    # Names may have been given with their path, as those in models are.
    if path and name.startswith(f"{path}."):
        return name
    return name if name.startswith(f"{around}.") else f"{around}.{name}"


def _chain(scope: Any) -> list[Any]:
    """A scope and those around it, the outermost first."""
    found: list[Any] = []
    while scope is not None:
        found.append(scope)
        scope = scope.parent
    return found[::-1]
