"""What is drawn as one box: where too many boxes would be drawn, some branches of the tree of groups are closed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..parts import Box, Group
from .branch import Branch


def close(root: Branch, weights: dict[int, int], limit: int, depth: int | None) -> None:
    """Close what is deeper than `depth`, and then as much as it takes for at most `limit` boxes."""
    scopes = _scope_depths(root)
    level = _level(root, scopes, weights, limit) if depth is None else depth
    for branch, own in scopes.items():
        branch.closed |= branch.kind == "scope" and own > level
    while _hide_middle(root, weights, limit):
        pass


def _scope_depths(root: Branch) -> dict[Branch, int]:
    """How many scopes each branch is deep in, itself included."""
    found = {root: 0}
    for branch in root.inside():
        for item in branch.items:
            if isinstance(item, Branch):
                found[item] = found[branch] + (item.kind == "scope")
    return found


def _level(root: Branch, scopes: dict[Branch, int], weights: dict[int, int], limit: int) -> int:
    """Up to how many scopes deep all can be open with at most `limit` boxes; 0 if not even those."""
    # By depth: the boxes that stand in open scopes, closed blocks among them, and the scopes that could be closed.
    boxes: Counter[int] = Counter()
    closable: Counter[int] = Counter()
    for branch in _in_view(root):
        for item in branch.items:
            if not isinstance(item, Branch):
                boxes[scopes[branch]] += weights[item]
            elif item.closed:
                boxes[scopes[branch]] += 1
            elif item.kind == "scope":
                closable[scopes[item]] += 1
    total = 0
    deepest = max(scopes.values())
    for level in range(deepest + 1):
        total += boxes[level]
        # No scope is empty, so that deeper levels need no fewer boxes.
        if total + closable[level + 1] > limit:
            return max(level - 1, 0)
    return deepest


def _in_view(root: Branch) -> list[Branch]:
    """The branches that are not closed, nor in a closed one, from the outside in."""
    found, waiting = [], [root]
    while waiting:
        branch = waiting.pop()
        found.append(branch)
        waiting += [item for item in reversed(branch.items) if isinstance(item, Branch) and not item.closed]
    return found


def _hide_middle(root: Branch, weights: dict[int, int], limit: int) -> bool:
    """Put the middle of the longest branch in view that has one into a closed branch; False where none is needed."""
    in_view = _in_view(root)
    visible: dict[Branch, int] = {}
    drawn: dict[Branch, list[int]] = {}
    for branch in reversed(in_view):
        drawn[branch] = [
            weights[item] if not isinstance(item, Branch) else 1 if item.closed else visible[item]
            for item in branch.items
        ]
        visible[branch] = sum(drawn[branch])
    excess = visible[root] - limit
    if excess <= 0:
        return False
    for branch in sorted(in_view, key=lambda branch: -visible[branch]):
        sizes = np.array(drawn[branch], int)
        room = max(int(sizes.sum()) - excess - 1, 2)
        head = int(np.searchsorted(sizes.cumsum(), room // 2, side="right"))
        tail = len(sizes) - int(np.searchsorted(sizes[::-1].cumsum(), room - room // 2, side="right"))
        head, tail = max(head, 1), min(tail, len(sizes) - 1)
        if sizes[head:tail].sum() > 1:
            hidden = Branch("middle", "the middle of the graph", closed=True, items=branch.items[head:tail])
            branch.items[head:tail] = [hidden]
            return True
    return False


# -- as plain data ------------------------------------------------------------------------------


def numbered(root: Branch, leaves: dict[int, list[Box]]) -> tuple[list[Group], dict[int, int]]:
    """The tree as Groups, and the group of each op."""
    branches = list(root.inside())
    number = {branch: i for i, branch in enumerate(branches)}
    parent = {root: 0}
    group_of: dict[int, int] = {}
    for branch, own in number.items():
        for item in branch.items:
            if isinstance(item, Branch):
                parent[item] = own
            else:
                group_of[item] = own
    counts = _Counts(branches, parent, leaves)
    groups = [
        Group(i, parent[branch], branch.kind, branch.label, branch.detail, branch.count, counts.ops[i],
              counts.parameters[i], branch.closed)
        for i, branch in enumerate(branches)
    ]  # fmt: skip
    return groups, group_of


class _Counts:
    """How many ops and how many parameters are in each branch, in all depths: counted from the inside out."""

    def __init__(self, branches: list[Branch], parent: dict[Branch, int], leaves: dict[int, list[Box]]) -> None:
        self.ops = [0] * len(branches)
        self.parameters = [0] * len(branches)
        # In the other copies of a block, only what is used there for the first time counts.
        new = [0] * len(branches)
        learned = [_Learned() for _ in branches]
        for i in reversed(range(len(branches))):
            branch = branches[i]
            for op in [item for item in branch.items if not isinstance(item, Branch)]:
                self.ops[i] += 1
                for box in [box for box in leaves.get(op, ()) if box.kind == "parameter"]:
                    learned[i].add(box.id if box.same is None else box.same, box.size)
                    new[i] += box.size if box.same is None else 0
            self.parameters[i] = new[i] if branch.kind == "more" else learned[i].total
            if i:
                around = parent[branch]
                self.ops[around] += self.ops[i]
                new[around] += new[i]
                learned[around] = learned[around].joined(learned[i])


class _Learned:
    """Parameters by the number of their first box, with their sizes: each is counted once."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.total = 0

    def add(self, parameter: int, size: int) -> None:
        if parameter not in self.sizes:
            self.sizes[parameter] = size
            self.total += size

    def joined(self, other: _Learned) -> _Learned:
        """Both together, written into the larger one, so that deep trees take no longer than flat ones."""
        small, large = sorted([self, other], key=lambda learned: len(learned.sizes))
        for parameter, size in small.sizes.items():
            large.add(parameter, size)
        return large
