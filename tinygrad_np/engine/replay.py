"""Recording a tape again: from its leaves, perhaps with other numbers in them.

A tape holds only what its rules need, and after backward() not even that.  Who wants to see every value, to
move a leaf and look what comes out, or to walk a tape that is used up, runs its ops once more.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import AutogradError
from .arrays import conjugate
from .batched import Batched
from .tape import PROJECTION, Node, ancestors, recording
from .tensor import Tensor, constant
from .walk import pull_back
from .watch import Watcher


def known_values(nodes: Iterable[Node], root: Tensor) -> dict[Node, Any]:
    """The values that are still at hand: of leaves, of small results, and what is kept for the backward pass."""
    found: dict[Node, Any] = {}
    for node in nodes:
        if node.trace is not None and node.trace.value is not None:
            found[node] = node.trace.value
        elif node.value is not None:
            found[node] = node.value() if isinstance(node.value, weakref.ref) else node.value
        if node.kept and node.rule.op.kind != "function":
            found.update(_kept_values(node))
    for node in nodes:
        # What a tensor holds now: an optimizer may have given it another array.
        owner = owner_of(node)
        if owner is not None:
            found[node] = owner.data
    if root.node is not None:
        found[root.node] = root.data
    return {node: plain(value) for node, value in found.items() if value is not None}


def _kept_values(node: Node) -> Iterable[tuple[Node, Any]]:
    for name, value in zip(node.rule.keep, node.kept or (), strict=True):
        if name == "arrays":
            pairs: Any = zip(node.inputs, value, strict=True)
        else:
            i = node.rule.op.source(name)
            pairs = [(node if i is None else node.inputs[i], value)]
        yield from [(source, value) for source, value in pairs if isinstance(source, Node)]


def plain(value: Any) -> Any:
    """A value as an array; inside vmap that of the first example."""
    while type(value) is Batched:
        value = value.value[0]
    return value.data if isinstance(value, Tensor) else value


def owner_of(node: Node) -> Any:
    """The tensor that a leaf, or a node that retains its gradient, belongs to; None if it is gone."""
    return None if node.owner is None else node.owner()


class Replay:
    """The tape behind a tensor, recorded again.

    `nodes` are those of the tape, oldest first, and `tensors` has the new tensor of each, of which leaves
    require grad as before; the tape itself is not touched, nor are its tensors.  `values` are numbers for some
    nodes other than their own: a leaf, or any other, which then becomes one.  `dtype` is the floating dtype to
    compute in.
    Raises AutogradError where the numbers of a leaf are gone, or for functions under `checkpoint`.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np.engine.replay import Replay
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> y = x * x * x
    >>> y.backward()
    >>> Replay(y, {x.node: 3.0}).result
    Tensor(27., op=multiply)
    """

    def __init__(self, root: Tensor, values: Mapping[Node, Any] | None = None, dtype: Any = None) -> None:
        if root.node is None:
            raise AutogradError(f"{root.describe()} came from nothing that was recorded: there is nothing to replay.")
        self.nodes = ancestors([root.node])
        given = values or {}
        known = {**known_values(self.nodes, root), **given}
        token = recording.set(True)
        try:
            results: dict[Node, Any] = {}
            for node in self.nodes:
                as_leaf = node.is_leaf or node in given
                results[node] = self._leaf(node, known, dtype) if as_leaf else self._again(node, results)
        finally:
            recording.reset(token)
        self.tensors: dict[Node, Tensor] = {node: value for node, value in results.items() if isinstance(value, Tensor)}
        self.result = self.tensors[root.node]

    def _leaf(self, node: Node, known: Mapping[Node, Any], dtype: Any) -> Tensor:
        if node not in known:
            user = next(n for n in self.nodes if any(i is node for i in n.inputs))
            raise AutogradError(
                f"the data of shape {node.shape} that {user.describe()} was given is gone: nothing holds it any more. "
                "Keep a variable for it, or make it a Tensor with a name."
            )
        value = np.asarray(known[node])
        wider = dtype is not None and value.dtype.kind == "f"
        value = value.astype(dtype if wider else value.dtype)
        if not node.requires_grad:
            return constant(value)
        return Tensor(value, requires_grad=True, name=node.name)

    @staticmethod
    def _again(node: Node, results: Mapping[Node, Any]) -> Any:
        if node.rule is PROJECTION:
            return results[node.inputs[0]][node.meta]
        op = node.rule.op
        if op.kind == "function":
            raise AutogradError(
                f"{node.describe()} is a function under checkpoint or custom_gradient, whose steps are not on the "
                "tape.  Call it without."
            )
        args, options = node.meta or ((), {})
        return op.call(*[results[i] if isinstance(i, Node) else i for i in node.inputs], *args, **options)

    def gradients(self) -> dict[Node, np.ndarray]:
        """The gradient that comes back to each node, from a gradient of ones at the result; zeros where none does."""
        root: Any = self.result.node
        leaves: Any = {self.tensors[n].node for n in self.nodes if n.is_leaf and n.requires_grad}
        seen = _Gradients([tensor.node for tensor in self.tensors.values()])
        token = recording.set(seen)
        try:
            reached = pull_back([(root, np.ones(root.shape, root.dtype))], leaves, prune=False)
        finally:
            recording.reset(token)
        found = {**seen.found, **reached}
        gradients = {}
        for node, tensor in self.tensors.items():
            if node.requires_grad:
                g = found.get(tensor.node)
                gradients[node] = np.zeros(tensor.shape, tensor.dtype) if g is None else conjugate(g)
        return gradients


class _Gradients(Watcher):
    """What a walk brings to the nodes it passes."""

    def __init__(self, nodes: Iterable[Any]) -> None:
        super().__init__()
        self.found: dict[Any, Any] = {}
        self.results: dict[Node, list[Node]] = {}
        for node in nodes:
            if node is not None and node.rule is PROJECTION:
                self.results.setdefault(node.inputs[0], []).append(node)

    def pulling(self, node: Node, g: Any) -> None:
        if not isinstance(g, list):
            self.found[node] = g.copy()  # a rule may hand on what it was given
            return
        for result in self.results[node]:
            self.found[result] = g[result.meta]
