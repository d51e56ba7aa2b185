"""Which ops of a tape belong together: the user's scopes, and blocks that come several times in a row.

A tree is made of the ops in the order they were computed.  Where too many boxes would be drawn, some
branches of it are closed: each is then drawn as one box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..parts import Box, Group

FEW = 40
"""Graphs of up to so many boxes are shown as they are, but for long rows of equal scopes."""
LONGEST, ROUNDS = 1000, 3
"""The most ops in a block that is looked for, and how often what is left between rows is searched again."""


@dataclass(eq=False, slots=True)
class Branch:
    """A group while it is made: its items are ops, by number, and other branches."""

    kind: str
    label: str = ""
    detail: str = ""
    count: int = 1
    closed: bool = False
    items: list[Any] = field(default_factory=list)

    def inside(self) -> Iterator[Branch]:
        """The branch and all below it, from the outside in."""
        yield self
        for item in self.items:
            if isinstance(item, Branch):
                yield from item.inside()

    def ops(self) -> Iterator[int]:
        """The ops in all depths."""
        for item in self.items:
            if isinstance(item, Branch):
                yield from item.ops()
            else:
                yield item


def grown(ops: Sequence[int], scopes: Sequence[Any]) -> Branch:
    """The tree of the ops `ops`, given the innermost scope of each."""
    root = Branch("root")
    branch_of: dict[Any, Branch] = {None: root}
    for i, scope in zip(ops, scopes, strict=True):
        _branch(scope, branch_of).items.append(i)
    return root


def fold_rows(root: Branch, token_of: dict[int, Any], boxes: int) -> None:
    """Put rows of equal blocks together, of ops and of scopes, in a tree of so many `boxes`.

    `token_of` has what makes two ops alike.
    """
    many = boxes > FEW
    # From the inside out, so that rows inside a scope are known when scopes are compared.
    for branch in reversed(list(root.inside())):
        branch.items = _rows([_token(item, token_of) for item in branch.items], branch.items, many)


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


def _token(item: Any, token_of: dict[int, Any]) -> Any:
    """What makes two items alike; of scopes, the name without its number and all that is inside."""
    if not isinstance(item, Branch):
        return token_of[item]
    name = re.sub(r"\d+", "#", f"{item.label}\n{item.detail}")
    return (name, item.kind, item.count, tuple(_token(inner, token_of) for inner in item.items))


# -- rows of equal blocks -----------------------------------------------------------------------


def _rows(tokens: list[Any], items: list[Any], many: bool) -> list[Any]:
    """The items, with each row of equal blocks replaced by a branch."""
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(token, len(numbers)) for token in tokens], int)
    found: list[tuple[int, int, int]] = []
    gaps = [(0, len(items))]
    for _ in range(ROUNDS):
        rows = [row for low, high in gaps for row in _best_rows(codes, low, high, items, many)]
        if not rows:
            break
        found = sorted([*found, *rows])
        ends = [(start, start + period * copies) for start, period, copies in found]
        gaps = list(zip([0, *(end for _, end in ends)], [*(start for start, _ in ends), len(items)], strict=True))
    done, result = 0, []
    for start, period, copies in found:
        end = start + period * copies
        result += [*items[done:start], _row(tokens[start:end], items[start:end], period, many)]
        done = end
    return [*result, *items[done:]]


def _row(tokens: list[Any], items: list[Any], period: int, many: bool) -> Branch:
    """The branch of a row: what is in its first block, and the others in one that is closed."""
    first, *others = [items[k : k + period] for k in range(0, len(items), period)]
    inside = _rows(tokens[:period], first, many) if period > 1 else first
    copies = len(others) + 1
    return Branch("repeat", f"× {copies}", "in a row, the first one open", copies, items=[*inside, _others(others)])


def _best_rows(codes: np.ndarray, low: int, high: int, items: list[Any], many: bool) -> list[tuple[int, int, int]]:
    """Start, length of a block and number of blocks of the rows between two places, none over another.

    Those that save most come first.
    """
    candidates = [
        ((copies - 1) * period, low + start, period, copies)
        for period in range(1, min((high - low) // 3, LONGEST) + 1)
        for start, copies in _runs(codes[low:high], period)
        if _worth_it(items[low + start], period, copies, many)
    ]
    free, chosen = np.ones(high - low, bool), []
    for _, start, period, copies in sorted(candidates, key=lambda row: (-row[0], row[2], row[1])):
        span = slice(start - low, start - low + period * copies)
        if free[span].all():
            free[span] = False
            chosen.append((start, period, copies))
    return chosen


def _runs(codes: np.ndarray, period: int) -> Iterator[tuple[int, int]]:
    """Where blocks of length `period` repeat, and how many times they stand there."""
    same = np.concatenate([[False], codes[:-period] == codes[period:], [False]])
    edges = np.flatnonzero(same[1:] != same[:-1])
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    long = lengths >= 2 * period
    yield from zip(starts[long].tolist(), (lengths[long] // period + 1).tolist(), strict=True)


def _worth_it(first: Any, period: int, copies: int, many: bool) -> bool:
    """Whether a row is folded: four scopes always, of a large graph three, and there long rows of ops too."""
    if period == 1 and isinstance(first, Branch):
        return copies >= (3 if many else 4)
    return many and copies >= 4 and copies * period >= 8


def _others(blocks: list[list[Any]]) -> Branch:
    """The copies after the first, closed."""
    names = [block[0].label for block in (blocks[0], blocks[-1]) if isinstance(block[0], Branch)]
    detail = " … ".join(dict.fromkeys(names)) if len(blocks[0]) == 1 and names else "of the same structure"
    more = Branch("more", f"× {len(blocks)} more", detail, len(blocks), closed=True)
    for k, block in enumerate(blocks, 2):
        if len(block) == 1 and isinstance(block[0], Branch):
            block[0].closed = True
            more.items.append(block[0])
        else:
            more.items.append(Branch("copy", f"{k}", closed=True, items=block))
    return more


# -- what to close ------------------------------------------------------------------------------


def close(root: Branch, weights: dict[int, int], limit: int, depth: int | None) -> None:
    """Close what is deeper than `depth`, and then as much as it takes for at most `limit` boxes."""
    levels = _depths(root)
    deepest = max(levels.values(), default=0)
    for level in range(deepest, -1, -1) if depth is None else [depth]:
        if depth is None and visible(root, weights) <= limit:
            break
        for branch, own in levels.items():
            branch.closed |= own > level
    while visible(root, weights) > limit and _hide_middle(root, weights, limit):
        pass


def _depths(root: Branch, depth: int = 0) -> dict[Branch, int]:
    """How many scopes deep each scope is: 1 for the outermost."""
    found: dict[Branch, int] = {}
    for item in root.items:
        if isinstance(item, Branch):
            own = depth + (item.kind == "scope")
            if item.kind == "scope":
                found[item] = own
            found |= _depths(item, own)
    return found


def visible(branch: Branch, weights: dict[int, int]) -> int:
    """How many boxes are drawn of what is inside."""
    return sum(_drawn(item, weights) for item in branch.items)


def _drawn(item: Any, weights: dict[int, int]) -> int:
    if not isinstance(item, Branch):
        return weights[item]
    return 1 if item.closed else visible(item, weights)


def _hide_middle(root: Branch, weights: dict[int, int], limit: int) -> bool:
    """Put the middle of the longest branch in view that has one into a closed branch; False if there is none."""
    in_view = [root, *(branch for branch in _open(root) if branch.kind != "middle")]
    excess = visible(root, weights) - limit
    for branch in sorted(in_view, key=lambda branch: -visible(branch, weights)):
        sizes = np.array([_drawn(item, weights) for item in branch.items])
        room = max(int(sizes.sum()) - excess - 1, 2)
        head = int(np.searchsorted(sizes.cumsum(), room // 2, side="right"))
        tail = len(sizes) - int(np.searchsorted(sizes[::-1].cumsum(), room - room // 2, side="right"))
        head, tail = max(head, 1), min(tail, len(sizes) - 1)
        if sizes[head:tail].sum() > 1:
            hidden = Branch("middle", "the middle of the graph", closed=True, items=branch.items[head:tail])
            branch.items[head:tail] = [hidden]
            return True
    return False


def _open(branch: Branch) -> Iterator[Branch]:
    for item in branch.items:
        if isinstance(item, Branch) and not item.closed:
            yield item
            yield from _open(item)


# -- as plain data ------------------------------------------------------------------------------


def numbered(root: Branch, leaves: dict[int, list[Box]]) -> tuple[list[Group], dict[int, int]]:
    """The tree as Groups, and the group of each op."""
    groups: list[Group] = []
    group_of: dict[int, int] = {}

    def number(branch: Branch, parent: int) -> int:
        own = len(groups)
        inside = list(branch.ops())
        learned: dict[int, int] = {}
        for box in (box for i in inside for box in leaves.get(i, ()) if box.kind == "parameter"):
            # A leaf used in several places is one parameter; in the other copies of a block, only what is new counts.
            if box.same is None or branch.kind != "more":
                learned[box.id if box.same is None else box.same] = box.size
        groups.append(
            Group(own, parent, branch.kind, branch.label, branch.detail, branch.count, len(inside),
                  sum(learned.values()), branch.closed)
        )  # fmt: skip
        for item in branch.items:
            if isinstance(item, Branch):
                number(item, own)
            else:
                group_of[item] = own
        return own

    number(root, 0)
    return groups, group_of
