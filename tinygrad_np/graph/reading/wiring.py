"""Where the inputs of each op come from: what makes two blocks of equal ops one structure, or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...engine.tape import PROJECTION, Node

SLOTS = 4
"""Inputs that are compared one by one; of ops with more, the rest together."""
_NOWHERE, _ANYWHERE = -1, 2**62


class Wiring:
    """The sources of all ops, each described twice: by how far back it is, and by which one it is.

    In the blocks of a row each input comes from as far back as in the block before, or from the very same place.
    Of leaves it counts what they are, and how far back they were used before.
    """

    def __init__(self) -> None:
        self._row_of_op: dict[Node, int] = {}
        self._row_of_box: dict[int, int] = {}
        self._entries: list[list[tuple[int, int, int, int]]] = []
        self._codes: dict[Any, int] = {}
        self._last_use: dict[Node, int] = {}
        self._likeness: list[Any] = []
        self._pass_start = 0
        self._table: np.ndarray | None = None

    def begin_pass(self) -> None:
        """What is added from now on belongs to another pass."""
        self._pass_start = len(self._entries)
        self._last_use = {}

    def add(self, node: Node, box: int, inputs: Iterable[Any], likeness: Any) -> None:
        """The next op, with the number of its box; numbers among the inputs are no sources."""
        row = len(self._entries)
        entries = [self._entry(x, row) for x in inputs if isinstance(x, Node)]
        if len(entries) > SLOTS:
            relative, absolute, kinds, sources = zip(*entries[SLOTS - 1 :], strict=True)
            rest = self._code(relative), self._code(absolute), self._code(kinds), max(sources)
            entries[SLOTS - 1 :] = [rest]
        self._entries.append(entries)
        self._likeness.append(likeness)
        self._row_of_op[node] = self._row_of_box[box] = row
        self._table = None

    def _entry(self, x: Node, row: int) -> tuple[int, int, int, int]:
        """How far back it is, which one it is, what kind of leaf, and the row of this pass that made it, or used it."""
        origin, part = (x.inputs[0], x.meta) if x.rule is PROJECTION else (x, None)
        if origin.is_leaf:
            last = self._last_use.get(origin, _NOWHERE)
            self._last_use[origin] = row
            kind = self._code((origin.requires_grad, origin.shape, origin.dtype))
            since = None if last == _NOWHERE else row - last
            return self._code((kind, since)), self._code(("leaf", origin)), kind, last
        source = self._row_of_op[origin]
        which = self._code(("op", source, part))
        if source < self._pass_start:
            # The passes run in opposite directions, so that no distance stays the same.
            return self._code(("other pass", self._likeness[source], part)), which, _NOWHERE, _NOWHERE
        return self._code(("back", row - source, part)), which, _NOWHERE, source

    def _code(self, thing: Any) -> int:
        return self._codes.setdefault(thing, len(self._codes))

    def _tables(self) -> np.ndarray:
        """Four numbers for each input of each op, as `_entry` gives them; what is missing is everywhere the same."""
        if self._table is None:
            width = max(map(len, self._entries), default=0)
            missing = (_NOWHERE,) * 4
            rows = [entries + [missing] * (width - len(entries)) for entries in self._entries]
            self._table = np.array(rows, np.int64).reshape(len(rows), width, 4).transpose(2, 0, 1).copy()
        return self._table

    def parted(self, blocks: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
        """A row of blocks, given by the boxes of their ops, cut where one is wired otherwise than the one before.

        The result has the first block and the number of blocks of each part.  Where a block takes what one before it
        has made, the first blocks may take anything from outside: a loop starts from what no step of it has made.
        """
        rows = np.array([[self._row_of_box[i] for i in block] for block in blocks])
        begins = rows.min(axis=1).tolist()
        differs, outside, taken = self._differences(rows)
        parts, start = [], 0
        for k in np.nonzero(differs)[0].tolist():
            if not outside[k] < begins[start] <= taken[k]:
                parts.append((start, k + 1 - start))
                start = k + 1
        return [*parts, (start, len(blocks) - start)]

    def _differences(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each two blocks that follow each other, whether any of their inputs are wired otherwise.

        Of those that are: the newest row that the first block takes them from, or would if it were wired as the
        second; and the oldest row that the second takes them from.
        """
        relative, absolute, kind, source = (table[rows] for table in self._tables())
        differs = (relative[1:] != relative[:-1]) & (absolute[1:] != absolute[:-1])
        lag = (rows[1:] - rows[:-1])[:, :, None]
        # A leaf can only be in place of a leaf of its kind.
        never = (source[1:] == _NOWHERE) | ((kind[1:] != _NOWHERE) & (kind[1:] != kind[:-1]))
        expected = np.where(never, _ANYWHERE, source[1:] - lag)
        # A leaf in place of a result is from outside, even if the block itself used it before.
        given = (kind[:-1] != _NOWHERE) & (kind[1:] == _NOWHERE)
        newest = np.maximum(expected, np.where(given, _NOWHERE, source[:-1]))
        each = (1, 2)
        return (
            differs.any(axis=each),
            np.where(differs, newest, _NOWHERE).max(axis=each, initial=_NOWHERE),
            np.where(differs, source[1:], _ANYWHERE).min(axis=each, initial=_ANYWHERE),
        )
