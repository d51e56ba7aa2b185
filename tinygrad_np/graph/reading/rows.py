"""Rows of equal blocks, of ops and of scopes, put together in the tree of groups.

Equal are blocks of equal ops whose inputs come from corresponding places; of a row only the first block is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from .branch import Branch, more
from .wiring import Wiring

FEW = 40
"""Graphs of up to so many boxes are shown as they are, but for long rows of equal scopes."""
LONGEST, ROUNDS = 1000, 3
"""The most ops in a block that is looked for, and how often what is left between rows is searched again."""


def fold_rows(root: Branch, token_of: dict[int, Any], boxes: int, wiring: Wiring | None = None) -> None:
    """Put rows of equal blocks together, of ops and of scopes, in a tree of so many `boxes`.

    `token_of` has what makes two ops alike, `wiring` where their inputs come from.
    """
    numbers: dict[Any, int] = {}
    code_of: dict[Any, int] = {}
    # From the inside out: what is alike about two scopes is known when what they are in is searched.
    for branch in reversed(list(root.inside())):
        codes = [
            code_of[item] if isinstance(item, Branch) else numbers.setdefault(token_of[item], len(numbers))
            for item in branch.items
        ]
        # Of scopes, the name without its number and all that is inside.
        name = re.sub(r"\d+", "#", f"{branch.label}\n{branch.detail}")
        code_of[branch] = numbers.setdefault((name, branch.kind, tuple(codes)), len(numbers))
        branch.items = _Search(np.array(codes, int), branch.items, boxes > FEW, wiring).folded()


@dataclass
class _Search:
    """Looks for rows among some items, of which equal ones have equal codes."""

    codes: np.ndarray
    items: list[Any]
    many: bool
    wiring: Wiring | None

    def folded(self) -> list[Any]:
        """The items, with each row of equal blocks replaced by a branch."""
        found: list[tuple[int, int, int]] = []
        gaps = [(0, len(self.items))]
        for _ in range(ROUNDS):
            rows = [row for low, high in gaps for row in self._best(low, high)]
            if not rows:
                break
            found = sorted([*found, *rows])
            ends = [(start, start + period * copies) for start, period, copies in found]
            begins = [*(start for start, _ in ends), len(self.items)]
            gaps = list(zip([0, *(end for _, end in ends)], begins, strict=True))
        done, result = 0, []
        for start, period, copies in found:
            result += [*self.items[done:start], self._row(start, period, copies)]
            done = start + period * copies
        return [*result, *self.items[done:]]

    def _row(self, start: int, period: int, copies: int) -> Branch:
        """The branch of a row: what is in its first block, and the others in one that is closed."""
        blocks = [self.items[k : k + period] for k in range(start, start + period * copies, period)]
        inside = blocks[0]
        if period > 1:
            inside = _Search(self.codes[start : start + period], blocks[0], self.many, self.wiring).folded()
        others = more([_copy(block, k) for k, block in enumerate(blocks[1:], 2)])
        return Branch("repeat", f"× {copies}", "in a row, the first one open", copies, items=[*inside, others])

    def _best(self, low: int, high: int) -> list[tuple[int, int, int]]:
        """Start, length of a block and number of blocks of the rows between two places, none over another.

        Those that save most come first.
        """
        waiting = [
            (*_rank(low + start, period, copies), self.wiring is None)
            for period in range(1, min((high - low) // 3, LONGEST) + 1)
            for start, copies in _runs(self.codes[low:high], period)
            if self._worth_it(low + start, period, copies)
        ]
        heapify(waiting)
        free, chosen = np.ones(high - low, bool), []
        while waiting:
            _, period, start, copies, checked = heappop(waiting)
            span = slice(start - low, start - low + period * copies)
            if not free[span].all():
                continue
            if checked:
                free[span] = False
                chosen.append((start, period, copies))
                continue
            # To compare how blocks are wired takes longer, so it waits until the row is the best.
            for first, count in self._parts(start, period, copies):
                if self._worth_it(start + first * period, period, count):
                    heappush(waiting, (*_rank(start + first * period, period, count), True))
        return chosen

    def _parts(self, start: int, period: int, copies: int) -> list[tuple[int, int]]:
        """The first block and the number of blocks of each part of a row that is wired alike."""
        assert self.wiring is not None
        places = range(start, start + period * copies, period)
        return self.wiring.parted([list(Branch("", items=self.items[k : k + period]).ops()) for k in places])

    def _worth_it(self, start: int, period: int, copies: int) -> bool:
        """Whether a row is folded: four scopes always, of a large graph three, and there long rows of ops too."""
        if period == 1 and isinstance(self.items[start], Branch):
            return copies >= (3 if self.many else 4)
        return self.many and copies >= 4 and copies * period >= 8


def _rank(start: int, period: int, copies: int) -> tuple[int, int, int, int]:
    """A row, such that the better one is the smaller."""
    return -(copies - 1) * period, period, start, copies


def _runs(codes: np.ndarray, period: int) -> Iterator[tuple[int, int]]:
    """Where blocks of length `period` repeat, and how many times they stand there."""
    same = np.concatenate([[False], codes[:-period] == codes[period:], [False]])
    edges = np.flatnonzero(same[1:] != same[:-1])
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    long = lengths >= 2 * period
    yield from zip(starts[long].tolist(), (lengths[long] // period + 1).tolist(), strict=True)


def _copy(block: list[Any], k: int) -> Branch:
    """A block of a row as one branch."""
    alone = len(block) == 1 and isinstance(block[0], Branch)
    return block[0] if alone else Branch("copy", f"{k}", closed=True, items=block)
