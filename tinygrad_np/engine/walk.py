"""Walking the tape: newest to oldest for gradients, oldest to newest for tangents.

This file answers one question: how do gradients add up?  It knows no op and no Tensor.  With
`lift` the walk runs on tensors instead of arrays, so that the backward pass is itself recorded:
that is all there is to higher-order derivatives.

A cotangent `g` of a complex result z stands for dL = Re(sum(g dz)): not conjugated, so that rules are
the same for real and complex numbers.  Who shows a gradient to a user conjugates it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache, partial
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..errors import AutogradError, BackwardError, BatchError, RuleError
from .batched import for_each_example
from .door import bare
from .tape import PROJECTION, SMALL, Node, ancestors, held, recording

Lift = Callable[[Any, Node], Any]
"""Turns an array and the node it came from into a tensor, so that what is done to it is recorded."""

Entry = tuple[Node, Any, bool]
"""A node, its gradient so far, and whether that array is ours to add into."""


@lru_cache(maxsize=4096)
def broadcast_axes(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of `large` along which `small` was repeated: those it has as 1, and those it lacks."""
    extra = len(large) - len(small)
    if extra < 0 or any(m not in (1, n) for m, n in zip(small, large[extra:], strict=True)):
        raise RuleError(
            f"a rule gave a gradient of shape {large} for an input of shape {small}.  A rule gives one of the shape of "
            "its input, or of the result that the input was broadcast to."
        )
    stretched = tuple(i for i, n in enumerate(small, extra) if n == 1 and large[i] != 1)
    return stretched, tuple(range(extra))


def _put(heap: list[int], waiting: dict[int, Entry], entry: Entry) -> None:
    """Add to what waits at a node."""
    born = entry[0].born
    if born in waiting:
        waiting[born] = _add(waiting[born], entry[1])
    else:
        waiting[born] = entry
        heappush(heap, -born)


def _collect(heap: list[int], waiting: dict[int, Entry], node: Node, result: int, g: Any) -> None:
    """The cotangent of one result of an op with several waits among those of its siblings."""
    if node.born not in waiting:
        _put(heap, waiting, (node, [None] * len(node.shape), False))
    results = waiting[node.born][1]
    # A recorded backward pass makes more than one node for the same result.
    results[result] = g if results[result] is None else results[result] + g


def _add(entry: Entry, g: Any) -> Entry:
    """The first gradient is borrowed, the second added out of place, the rest in place."""
    node, total, ours = entry
    if ours:
        total += g
    else:
        total = total + g
    return node, total, True


@lru_cache(maxsize=256)
def _row_summing(shape: tuple[int, ...], large: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """A row of ones whose product with a small matrix sums what a bias was broadcast to, if that is the case."""
    if len(large) == 2 and shape == (1, large[1]) and large[0] * large[1] < 4096:
        return np.ones((1, large[0]), dtype)
    return None


def fit(g: Any, node: Node) -> Any:
    """`g` as a gradient of `node`: summed where the forward pass broadcast, in the node's dtype.

    The only place where gradients are un-broadcast and cast: rules do neither.
    """
    shape, large = node.shape, g.shape
    if large != shape:
        ones = _row_summing(shape, large, g.dtype) if type(g) is np.ndarray else None
        if ones is not None:
            # A third of what the call of a reduction costs.
            g = ones.dot(g)
        else:
            stretched, extra = broadcast_axes(shape, large)
            if stretched:
                g = np.add.reduce(g, stretched, keepdims=True)
            if extra:
                g = np.add.reduce(g, extra)
    return g if g.dtype == node.dtype else cast(g, node.dtype)


def cast(g: Any, dtype: np.dtype) -> Any:
    """`g` in another dtype; of a complex gradient for a real input, the part along the real axis."""
    if g.dtype.kind == "c" and dtype.kind != "c":
        g = np.real(g)
    return g if g.dtype == dtype else g.astype(dtype)


def pull_back(
    roots: Sequence[tuple[Node, Any]],
    targets: Collection[Node] | None = None,
    lift: Lift | None = None,
    free: bool = False,
    prune: bool = True,
    since: int = 0,
) -> dict[Node, Any]:
    """The gradients of `targets`, given the cotangents of `roots`.

    Without `targets`, of every node that has an owner (leaves, and those told to retain theirs).  The
    gradient of a target is that of a variable of its own: the walk ends there.
    No array returned is shared with another gradient, with a cotangent or with the forward pass.
    With `prune`, only what leads to a target is walked.  `free` drops what each node kept as soon as its
    rule has used it.  The hooks of nodes born before `since` are left to the walk that this one is part of.
    """
    useful = None if targets is None or not prune else _useful([node for node, _ in roots], targets)
    mode = recording.get()
    watch = None if mode is True or mode is False else mode
    special = useful is not None or lift is not None or watch is not None
    # What waits for its turn: birth numbers (negative, for the newest first), and entries by them.
    heap: list[int] = []
    waiting: dict[int, Entry] = {}
    for root, g in roots:
        _put(heap, waiting, (root, g, False))
    found: dict[Node, Entry] = {}
    node: Any = None
    current: Entry | None = None
    in_hook = in_rule = False
    try:
        while current is not None or heap:
            node, g, ours = current or waiting.pop(-heappop(heap))
            current = None
            rule = node.rule
            owner = node.owner
            if owner is not None and owner.hooks and rule is not None and node.born >= since:
                in_hook = True
                g, ours = hooked(node, g), False
                in_hook = False
            if (owner is not None and owner.retains) if targets is None else node in targets:
                # A leaf that is a root too may have been reached already.
                found[node] = _add(found[node], g) if node in found else (node, g, ours and rule is None)
                if targets is not None:
                    continue  # what lies behind one target is not moved by it: another may be there
            if rule is None:
                continue
            kept = node.kept
            if kept is None:
                raise _used_up(node)
            if targets is None and type(g) is not list:
                seen = g if lift is None else bare(g)
                small = type(seen) is np.ndarray and seen.base is None and seen.size <= SMALL
                node.cotangent = seen if small else _seen(seen)
                if node.trace is not None:
                    node.trace.gradient = node.trace.gradients = None  # of an earlier pass
            inputs = node.inputs
            if rule is PROJECTION:
                if useful is None or inputs[0] in useful:
                    _collect(heap, waiting, inputs[0], node.meta, g)
                continue
            if special:
                if watch is not None:
                    watch.pulling(node, g)
                    in_rule = True
                if useful is not None:
                    rule = rule.only(tuple(i for i in rule.wanted if inputs[i] in useful))
                if lift is not None:
                    kept = rule.lift(kept, node, lift)
            try:
                pulled = rule.pull(g, kept, node)
            except BatchError:
                pulled = for_each_example(rule.pull, g, kept, node)
            if watch is not None:
                in_rule = False
                watch.pulled(node, rule.wanted, pulled)
            if free:
                node.kept = None
            for i, d in zip(rule.wanted, pulled):  # noqa: B905 (`strict` costs 5 %)
                parent = inputs[i]
                if d.shape != parent.shape or d.dtype is not parent.dtype:
                    d = fit(d, parent)
                entry = (parent, d, rule.fresh and d is not g and d.base is None)
                if parent.rule is None:
                    if parent.owner is not None and parent.owner.changed > node.born:
                        _check_numbers(node, parent, kept)
                    # A leaf has nothing behind it, so it need not wait for its turn.
                    found[parent] = _add(found[parent], d) if parent in found else entry
                elif current is None and (not heap or parent.born > -heap[0]):
                    # Newer than all that waits: next, without passing through the queue.
                    current = entry
                else:
                    if current is not None and parent.born >= current[0].born:
                        _put(heap, waiting, current)
                        current = None
                    _put(heap, waiting, entry)
            # At 10 MB an array it shows when these live on while the next rule allocates.
            g = d = seen = pulled = entry = kept = None  # type: ignore[assignment]
    except Exception as error:
        if watch is not None and in_rule:
            watch.failed(node)
        if in_hook or isinstance(error, AutogradError):
            raise  # the user's own
        raise BackwardError(_failed("backward", node, error)) from error
    # The gradient of a leaf is complete only here.
    for node, g, _ in list(found.values()):
        if node.rule is None and node.born >= since and node.owner is not None and node.owner.hooks:
            found[node] = node, hooked(node, g), False
    gradients = {node: g if ours else g.copy() for node, g, ours in found.values()}
    if watch is not None:
        watch.walked(roots, gradients)
    return gradients


def _check_numbers(node: Node, leaf: Node, kept: Any) -> None:
    """Raise if a rule needed the array of a leaf that was written into since the op was recorded."""
    tensor = leaf.owner() if leaf.owner is not None else None
    # An op with any number of arrays keeps them in a tuple.
    arrays = [array for part in kept for array in (part if type(part) is tuple else (part,))]
    if tensor is None or not any(bare(array) is bare(tensor) for array in arrays):
        return
    raise BackwardError(
        f"{tensor.describe()} was written into (by an optimizer's step, load_state_dict() or the like) after "
        f"{node.describe()} had used it, and the gradient needs the numbers from then.  Call backward() of all losses "
        "before step(), or compute the loss again after it."
    )


def _seen(g: Any) -> Any:
    """What pictures show of a gradient: a small array itself, of a large one the size."""
    if type(g) is not np.ndarray:
        return g if isinstance(g, np.generic) else None
    return held(g) if g.size <= SMALL else root_mean_square(g)


def root_mean_square(g: np.ndarray) -> float:
    """The size of a gradient; nan or inf if an entry is."""
    if g.dtype.itemsize > 2 and (flat := g.ravel(order="K")).base is not None:
        total = float(np.vdot(flat, flat).real)
        # Squares that leave the range of the dtype, or its full precision, before the numbers do are looked at below.
        if total > flat.size * _least_square(g.dtype) and total < math.inf:
            return math.sqrt(total / flat.size)
    # What a broadcast view repeats need not be read again.
    flat = g[tuple([slice(None) if step else slice(1) for step in g.strides])].ravel(order="K")
    top = float(np.abs(flat).max())
    if not 0 < top < math.inf:
        return top
    flat = flat.astype(np.result_type(flat, np.float64)) / top
    return top * math.sqrt(np.vdot(flat, flat).real / flat.size)


@lru_cache
def _least_square(dtype: np.dtype) -> float:
    """The smallest square of this dtype that has all its digits left after a sum."""
    info = np.finfo(dtype)
    return float(info.tiny / info.eps)


def hooked(node: Node, g: Any) -> Any:
    """The gradient of a node as its hooks leave it."""
    for hook in list(node.owner.hooks.values()):  # type: ignore[union-attr]
        g = hook(g, node)
    return g


def push_forward(
    roots: Iterable[Node], tangents: dict[Node, Any], lift: Lift | None = None, since: int = 0
) -> dict[Node, Any]:
    """The tangents of `roots`, given those of some of the nodes they came from; oldest node first.

    A root that does not depend on them is left out; nothing born before `since` is moved.
    """
    roots = list(roots)
    if not tangents:
        return {}
    known = dict(tangents)
    node: Any = None
    try:
        nodes = ancestors(roots, since=max(since, min(node.born for node in tangents)))
        used: dict[Node, list[int]] = {}
        for node in nodes:
            if node.rule is PROJECTION:
                used.setdefault(node.inputs[0], []).append(node.meta)
        for node in nodes:
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
            push = partial(rule.push, used=used.get(node, ()))
            try:
                t = push(ts, kept, node)
            except BatchError:
                t = for_each_example(push, ts, kept, node)
            known[node] = t if rule.op.results else _spread(t, node)
    except AutogradError:
        raise
    except Exception as error:
        raise BackwardError(_failed("forward-mode", node, error)) from error
    return {node: known[node] for node in roots if node in known}


def _spread(t: Any, node: Node) -> Any:
    """`t` as a tangent of `node`: broadcast as the forward pass did, in the node's dtype."""
    if t.shape != node.shape:
        t = np.broadcast_to(t, node.shape)
    return t if t.dtype == node.dtype else cast(t, node.dtype)


def _useful(roots: list[Node], targets: Collection[Node]) -> set[Node]:
    """The nodes through which a target is reached, the targets included."""
    useful: set[Node] = set()
    for node in ancestors(roots, since=min((t.born for t in targets), default=0), until=targets):
        if node in targets or any(type(i) is Node and i in useful for i in node.inputs):
            useful.add(node)
    return useful


def _used_up(node: Node) -> BackwardError:
    return BackwardError(
        f"this tape was already walked by backward(), at {node.describe()}: what its rules had kept is dropped "
        "as the walk passes, to save memory.  Write backward(retain_graph=True) the first time, or compute the loss "
        "again.  Where a step goes on from a state of the step before it, cut there: state = state.detach()."
    )


def _failed(way: str, node: Node, error: Exception) -> str:
    if isinstance(error, np.linalg.LinAlgError):
        return f"{node.describe()} has no derivative of this order here: {error}.  Check for singular matrices."
    return (
        f"the {way} rule of {node.describe()} failed: {error}  "
        "Rules must work for every input their op accepts: please report this."
    )
