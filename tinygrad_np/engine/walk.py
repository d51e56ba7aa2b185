"""Walking the tape: newest to oldest for gradients, oldest to newest for tangents.

This file answers one question: how do gradients add up?  It knows no op and no Tensor.  With
`lift` the walk runs on tensors instead of arrays, so that the backward pass is itself recorded:
that is all there is to higher-order derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..errors import AutogradError, BackwardError
from .tape import PROJECTION, Node, ancestors, recording

Lift = Callable[[Any, Node], Any]
"""Turns an array and the node it came from into a tensor, so that what is done to it is recorded."""


def fit(g: Any, node: Node) -> Any:
    """`g` as a gradient of `node`: summed where the forward pass broadcast, in the node's dtype.

    The only place where gradients are un-broadcast and cast: rules do neither.
    """
    shape = node.shape
    if g.shape != shape:
        extra = g.ndim - len(shape)
        stretched = [i for i, n in enumerate(shape, extra) if n == 1 and g.shape[i] != 1]
        g = g.sum(axis=(*range(extra), *stretched)).reshape(shape)
    if g.dtype != node.dtype:
        # The cotangent of a real value is real: a real input only sees the real part.
        if g.dtype.kind == "c" and node.dtype.kind != "c":
            g = g.real
        g = g.astype(node.dtype)
    return g


def pull_back(
    roots: Iterable[tuple[Node, Any]],
    targets: Collection[Node] | None = None,
    lift: Lift | None = None,
    free: bool = False,
) -> dict[Node, Any]:
    """The gradients of `targets`, given the cotangents of `roots`; newest node first.

    Without `targets`, of every node that has an owner (leaves, and those told to retain theirs).
    No array returned is shared with another gradient, with a cotangent or with the forward pass.
    `free` drops what each node kept as soon as its rule has used it.
    """
    roots = list(roots)
    useful = None if targets is None else _useful([node for node, _ in roots], targets)
    found: dict[Node, Any] = {}
    heap: list[int] = []
    # By birth number: the node, its gradient so far, and whether that array is ours to add into.
    pending: dict[int, tuple[Node, Any, bool]] = {}
    for node, g in roots:
        if node.born in pending:
            pending[node.born] = _add(pending[node.born], g)
        else:
            pending[node.born] = (node, g, False)
            heappush(heap, -node.born)
    mode = recording.get()
    watch = None if isinstance(mode, bool) else mode
    node = current = None
    try:
        while heap or current:
            node, g, ours = current or pending.pop(-heappop(heap))
            current = None
            if (node.owner is not None) if targets is None else (node in targets):
                found[node] = g if ours else g.copy()
            rule = node.rule
            if rule is None:
                continue
            kept = node.kept
            if kept is None:
                raise _used_up(node)
            if not node.shape:
                node.cotangent = g
            inputs = node.inputs
            if rule is PROJECTION:
                _collect(pending, heap, node, g, useful)
                continue
            if useful is not None:
                rule = rule.only(tuple(i for i in rule.wanted if inputs[i] in useful))
            if lift is not None:
                kept = rule.lift(kept, node, lift)
            pulled = rule.pull(g, kept, node)
            if free:
                node.kept = None
            # At 10 MB an array it shows when these live on while the next rule allocates.
            kept = None
            if watch is not None:
                watch.pulled(node, pulled)
            for i, d in zip(rule.wanted, pulled):  # noqa: B905 (`strict` costs 5 %)
                parent = inputs[i]
                if d.shape != parent.shape or d.dtype is not parent.dtype:
                    d = fit(d, parent)
                waiting = (parent, d, d is not g and d.base is None)
                born = parent.born
                if (not heap or born > -heap[0]) and len(pulled) == 1:
                    # Newer than all that waits: go on with it, without a queue.
                    current = waiting
                elif born in pending:
                    pending[born] = _add(pending[born], d)
                else:
                    pending[born] = waiting
                    heappush(heap, -born)
            g = d = pulled = None
    except AutogradError:
        raise
    except Exception as error:
        raise BackwardError(_failed("backward", node, error)) from error
    return found


def push_forward(
    roots: Iterable[Node], tangents: dict[Node, Any], lift: Lift | None = None
) -> dict[Node, Any]:
    """The tangents of `roots`, given those of some of the nodes they came from; oldest node first.

    A root that does not depend on them is left out.
    """
    roots = list(roots)
    known = dict(tangents)
    node = None
    try:
        for node in ancestors(roots, since=min(node.born for node in tangents)):
            rule = node.rule
            if rule is None or node in known:
                continue
            moving = tuple(i for i in rule.wanted if node.inputs[i] in known)
            if not moving:
                continue
            if node.kept is None:
                raise _used_up(node)
            ts = tuple(known[node.inputs[i]] for i in moving)
            if rule is PROJECTION:
                known[node] = ts[0][node.meta]
                continue
            rule = rule.only(moving)
            kept = node.kept if lift is None else rule.lift(node.kept, node, lift)
            known[node] = rule.push(ts, kept, node)
    except AutogradError:
        raise
    except Exception as error:
        raise BackwardError(_failed("forward-mode", node, error)) from error
    return {node: known[node] for node in roots if node in known}


def _add(entry: tuple[Node, Any, bool], g: Any) -> tuple[Node, Any, bool]:
    """The first gradient is borrowed, the second added out of place, the rest in place."""
    node, total, ours = entry
    if ours:
        total += g
    else:
        total = total + g
    return node, total, True


def _collect(pending, heap, node, g, useful) -> None:
    """One result of an op with several: its cotangent waits among those of its siblings."""
    parent = node.inputs[0]
    if useful is not None and parent not in useful:
        return
    if parent.born not in pending:
        pending[parent.born] = (parent, [None] * len(parent.shape), False)
        heappush(heap, -parent.born)
    pending[parent.born][1][node.meta] = g


def _useful(roots: list[Node], targets: Collection[Node]) -> set[Node]:
    """The nodes through which a target is reached, the targets included."""
    useful: set[Node] = set()
    for node in ancestors(roots, since=min((t.born for t in targets), default=0)):
        if node in targets or any(type(i) is Node and i in useful for i in node.inputs):
            useful.add(node)
    return useful


def _used_up(node: Node) -> BackwardError:
    return BackwardError(
        f"this tape was already walked by backward(): {node.describe()} no longer has the arrays its "
        "rule needs.  They are dropped as the walk passes, to save memory.  Write "
        "backward(retain_graph=True) the first time, or compute the loss again."
    )


def _failed(way: str, node: Node, error: Exception) -> str:
    return (
        f"the {way} rule of {node.describe()} failed: {error}  "
        "Rules must work for every input their op accepts: please report this."
    )
