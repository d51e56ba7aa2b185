"""The tree of groups while it is made: its items are ops, by number, and other branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

MORE = "of the same structure"
"""What stands beside folded blocks that have no names."""


@dataclass(eq=False, slots=True)
class Branch:
    """A group while it is made."""

    kind: str
    label: str = ""
    detail: str = ""
    count: int = 1
    closed: bool = False
    items: list[Any] = field(default_factory=list)

    def inside(self) -> Iterator[Branch]:
        """The branch and all below it, from the outside in."""
        waiting = [self]
        while waiting:
            branch = waiting.pop()
            yield branch
            waiting += [item for item in reversed(branch.items) if isinstance(item, Branch)]

    def ops(self) -> Iterator[int]:
        """The ops in all depths."""
        waiting = self.items[::-1]
        while waiting:
            item = waiting.pop()
            if isinstance(item, Branch):
                waiting += item.items[::-1]
            else:
                yield item


def grown(ops: Sequence[int], scopes: Sequence[Any]) -> Branch:
    """The tree of the ops `ops`, given the innermost scope of each."""
    root = Branch("root")
    branch_of: dict[Any, Branch] = {None: root}
    for i, scope in zip(ops, scopes, strict=True):
        _branch(scope, branch_of).items.append(i)
    return root


def _branch(scope: Any, branch_of: dict[Any, Branch]) -> Branch:
    """The branch of a scope, new where it is met for the first time."""
    waiting = []
    while scope not in branch_of:
        waiting.append(scope)
        scope = scope.parent
    branch = branch_of[scope]
    for scope in reversed(waiting):
        inner = branch_of[scope] = Branch("scope", scope.name, scope.detail)
        branch.items.append(inner)
        branch = inner
    return branch


def more(copies: list[Branch]) -> Branch:
    """Blocks of a row that are not shown, closed."""
    names = [copy.label for copy in (copies[0], copies[-1]) if copy.kind != "copy"]
    detail = " … ".join(dict.fromkeys(names)) or MORE
    for copy in copies:
        copy.closed = True
    return Branch("more", f"× {len(copies)} more", detail, len(copies), closed=True, items=copies)


def open_to(root: Branch, op: int) -> None:
    """Open the branches that an op is in: of a row, the one block that has it."""
    around, *way = _way(root, op) or [root]
    for i, branch in enumerate(way):
        if branch.kind == "more":
            _take_out(around, branch, way[i + 1])
        else:
            branch.closed = False
            around = branch


def _way(root: Branch, op: int) -> list[Branch]:
    """The branches around an op, the outermost first; none if it is not in the tree."""
    around: dict[Branch, Branch] = {}
    home = None
    for branch in root.inside():
        around |= {item: branch for item in branch.items if isinstance(item, Branch)}
        home = branch if op in branch.items else home
    way = []
    while home is not None:
        way.append(home)
        home = around.get(home)
    return way[::-1]


def _take_out(around: Branch, folded: Branch, block: Branch) -> None:
    """One block of a row in a place of its own, between those that stay folded."""
    k, place = folded.items.index(block), around.items.index(folded)
    before, after = folded.items[:k], folded.items[k + 1 :]
    around.items[place : place + 1] = [
        *([more(before)] if before else []), block, *([more(after)] if after else []),
    ]  # fmt: skip
    if block.kind == "copy":
        block.label = f"block {block.label}"
    around.detail = "in a row, the first one open and the one with the first nan or inf"
