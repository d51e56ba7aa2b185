"""From plain data about a tape to text for a terminal: an indented tree, and the tape as a table."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable

from ..parts import Arrow, Box, Group, View
from ..words import NAME, cleaned, duration, memory
from .colors import KINDS
from .phrases import (
    LEAVES,
    LINE,
    coming_back,
    computed,
    extras,
    group_title,
    heading,
    shape,
    shown,
    title_of,
    troubles,
    used,
    words,
)  # fmt: skip

LEFT = 56
"""The widest first column of the tree; of what is wider, the other columns stand on the next line."""
WIDTH = 110
"""Backward rules that do not fit into so many columns stand below each other."""
Row = str | tuple[str, ...]
"""A line of the tree: one text, or its columns."""


def to_text(view: View, title: str | None = None, show: Collection[str] = ()) -> str:
    """The graph as an indented tree, one line for each op: what it computed, and below it the leaves it used.

    Ops stand below each other in the order they were computed, and only scopes and leaves are indented.
    An op takes the one above it, unless it says `← %1, %3`: the numbers of other ops.  The columns are
    shape (with the dtype if it is not float64), value, gradient and backward rule; those without any entry
    are left out.  `title` stands above it instead of the tensor's name and value.

    >>> W, op, y = Box(0, "parameter", "W", shape=(3,)), Box(1, "op", shape=(3,), text="exp"), Box(2, "result", "y")
    >>> print(to_text(View("y", "shape (3,)", boxes=[W, op, y], arrows=[Arrow(0, 1), Arrow(1, 2)])))
    y, shape (3,)
    1 operation
    <BLANKLINE>
                       shape
    %1 exp             (3,)
       └─ W parameter  (3,)
    → y
    """
    rows = _Tree(view, show).rows()
    return "\n".join([*heading(view, title), *_legend(view, rows), "", *_aligned(_HEADER, rows, LEFT)]) + "\n"


def to_table(view: View, title: str | None = None, show: Collection[str] = ()) -> str:
    """The tape as a table: one line for each leaf and each op, in the order they were computed.

    `title` stands above it instead of the tensor's name and value.  Columns without any entry are left out.

    >>> W, op, y = Box(0, "parameter", "W", shape=(3,)), Box(1, "op", shape=(3,), text="exp"), Box(2, "result", "y")
    >>> print(to_table(View("y", "shape (3,)", boxes=[W, op, y], arrows=[Arrow(0, 1), Arrow(1, 2)])))
    y, shape (3,)
    1 operation
    <BLANKLINE>
        op         name  inputs  shape
        parameter  W             (3,)
    %1  exp              W       (3,)
        result     y     %1
    """
    index = Index(view)
    rows: list[Row] = [_table_row(box, index, show) for box in view.boxes if box.same is None]
    return "\n".join([*heading(view, title), "", *_aligned(_TABLE, rows, WIDTH)]) + "\n"


class Index:
    """The boxes of a view by number, and the arrows by the box they leave or reach."""

    def __init__(self, view: View) -> None:
        self.boxes = {box.id: box for box in view.boxes}
        self.groups = {group.id: group for group in view.groups if group.id}
        self.into: dict[int, list[Arrow]] = defaultdict(list)
        self.out: dict[int, list[Arrow]] = defaultdict(list)
        for arrow in view.arrows:
            self.into[arrow.target].append(arrow)
            self.out[arrow.source].append(arrow)
        computed = [box.id for box in view.boxes if box.kind not in (*LEAVES, "result")]
        self.numbers = {box: f"%{i}" for i, box in enumerate(computed, 1)}

    def path(self, box: Box) -> list[Group]:
        """The groups around a box, the outermost first."""
        found: dict[int, Group] = {}
        at = box.group
        while at in self.groups and at not in found:
            found[at] = self.groups[at]
            at = found[at].parent
        return list(found.values())[::-1]

    def called(self, arrow: Arrow) -> str:
        """What comes along an arrow, as a reader finds it in the text: `%3`, `%3[0]`, or the name of a leaf."""
        source = self.boxes[arrow.source]
        if source.id not in self.numbers:
            return shown(source.path or source.name) or f"{source.kind} {shape(source)}"
        part = cleaned(arrow.part, NAME)
        return self.numbers[source.id] + (f".{part}" if part and not part.startswith("[") else part)

    def gradient(self, box: Box) -> str:
        """The gradient of a box: in words where it was kept, else its size on the way back."""
        if box.grad is not None and box.same is None:
            return words(box.grad)
        return ", ".join(dict.fromkeys(filter(None, map(coming_back, self.out[box.id]))))


# -- the tree ---------------------------------------------------------------------------------

_HEADER = ("", "shape", "value", "gradient", "backward")


class _Tree:
    """Writes the rows of the tree; knows which op and which groups the last one was in."""

    def __init__(self, view: View, show: Collection[str]) -> None:
        self.view, self.index, self.show = view, Index(view), show
        self.above: int | None = None
        self.open: list[Group] = []
        self.begun: set[int] = set()

    def rows(self) -> list[Row]:
        used = {arrow.source for arrow in self.view.arrows}
        found: list[Row] = []
        backward = False
        for box in self.view.boxes:
            if box.kind in LEAVES and box.id in used:
                continue  # It stands below the op that uses it.
            if box.backward and not backward:
                found += ["", *([] if self.index.path(box) else ["backward pass"])]
            backward = box.backward
            found += self._enter(box)
            found += self._box("│  " * len(self.open), box)
            self.above = box.id
        return found

    def _enter(self, box: Box) -> list[Row]:
        """The headings of the groups that begin at a box."""
        path = self.index.path(box)
        shared = 0
        while shared < min(len(path), len(self.open)) and path[shared] is self.open[shared]:
            shared += 1
        self.open = path
        found: list[Row] = []
        for depth, group in enumerate(path[shared:], shared):
            again = " (continued)" if group.id in self.begun else ""
            self.begun.add(group.id)
            found.append("│  " * depth + group_title(group) + again)
        return found

    def _box(self, before: str, box: Box) -> list[Row]:
        leaves = {a.source: a for a in self.index.into[box.id] if self.index.boxes[a.source].kind in LEAVES}
        rules = [cleaned(rule, LINE) for rule in box.rules]
        below = [self._leaf(leaf, _taken(rules, self.index.boxes[leaf.source])) for leaf in leaves.values()]
        about = [self._details(self.index.boxes[leaf.source]) for leaf in leaves.values()]
        number = self.index.numbers.get(box.id, "→" if box.kind == "result" else "")
        columns = (shape(box), words(box.value), self.index.gradient(box))
        first = (before + " ".join(filter(None, [number, self._said(box)])), *columns)
        inner = before + " " * (len(number) + 1)
        found = [
            *_with_rules(first, rules, inner),
            *(f"{inner}{'│' if below else ' '}  {line}" for line in self._details(box)),
        ]
        for i, (row, lines) in enumerate(zip(below, about, strict=True), 1):
            last = i == len(below)
            found.append((f"{inner}{'└─' if last else '├─'} {row[0]}", *row[1:]))
            found += [f"{inner}{' ' if last else '│'}     {line}" for line in lines]
        return found

    def _details(self, box: Box) -> list[str]:
        """The lines below that of a box: what went wrong, what is to be known of an op, and what was asked for."""
        details = box.details if box.kind == "op" else ()
        return [
            *([troubles(box)] if box.bad else []),
            *(cleaned(line, LINE) for line in details if line != box.formula),
            *(cleaned(line, LINE) for line, _ in extras(box, self.show if box.same is None else ())),
        ]

    def _said(self, box: Box) -> str:
        """The first column of a box: what it is, what was computed, from which other ops, and what went wrong."""
        if box.kind in (*LEAVES, "result"):
            title = (shown(box.name) if box.kind == "result" else "") or _leaf_title(box)
            return "  ".join(filter(None, [title, "" if box.bad else troubles(box)]))
        if box.kind == "folded":
            parts = ["▸ " + " · ".join([title_of(box), *(cleaned(line, LINE) for line in box.details)])]
        else:
            parts = computed(box)
        inputs = [arrow for arrow in self.index.into[box.id] if arrow.source in self.index.numbers]
        if any(arrow.source != self.above or arrow.part for arrow in inputs):
            parts.append("← " + ", ".join(dict.fromkeys(map(self.index.called, inputs))))
        return "  ".join(filter(None, [*parts, "" if box.bad else troubles(box)]))

    def _leaf(self, arrow: Arrow, rule: str) -> tuple[str, ...]:
        box = self.index.boxes[arrow.source]
        # The formula tells which input is which, if there is one.
        role = f", {arrow.role}" if arrow.role and not self.index.boxes[arrow.target].formula else ""
        said = "  ".join(filter(None, [_leaf_title(box) + role, "" if box.bad else troubles(box)]))
        value = words(box.value) if box.same is None else ""
        return (said, shape(box), value, self.index.gradient(box) or coming_back(arrow), rule)


def _leaf_title(box: Box) -> str:
    several = "again" if box.uses > 1 and box.same is not None else used(box)
    return ", ".join(filter(None, [" ".join(filter(None, [shown(box.name), KINDS[box.kind]])), several]))


def _taken(rules: list[str], leaf: Box) -> str:
    """The rule for the gradient of a leaf, taken out of those of its op."""
    start = f"d{shown(leaf.name)} = "
    found = next((rule for rule in rules if leaf.name and rule.startswith(start)), "")
    if found:
        rules.remove(found)
    return found


def _with_rules(first: tuple[str, ...], rules: list[str], inner: str) -> list[Row]:
    """The line of an op with its rules: beside each other if they are short, else on lines of their own."""
    joined = "; ".join(rules)
    if len(joined) <= WIDTH // 3:
        return [(*first, joined)]
    return [(*first, rules[0]), *((inner.rstrip(" "), "", "", "", rule) for rule in rules[1:])]


_LEGEND = {
    "±": "mean ± standard deviation",
    "↑": "↑ size (RMS) of the gradient coming back",
    "Σ": "Σ summed over all uses",
    "←": "← inputs, where they are not just the line above",
}


def _legend(view: View, rows: list[Row]) -> list[str]:
    """What the signs mean, of those that occur."""
    found = "\n".join(row if isinstance(row, str) else "\n".join(row) for row in rows)
    notes = [meaning for sign, meaning in _LEGEND.items() if sign in found]
    if any(box.rules for box in view.boxes):
        notes.append("g is the gradient of the op's result")
    return [" · ".join(notes)] if notes else []


# -- the table --------------------------------------------------------------------------------

_TABLE = ("", "op", "name", "inputs", "shape", "dtype", "value", "gradient", "formula", "backward", "kept", "line",
          "time", "time back", "bytes", "histogram", "")  # fmt: skip


def _table_row(box: Box, index: Index, show: Collection[str]) -> tuple[str, ...]:
    """The columns of one box; "" in all that it has not."""
    folded = [cleaned(line, LINE) for line in box.details] if box.kind == "folded" else []
    return (
        index.numbers.get(box.id, ""),
        " · ".join([cleaned(box.text, LINE), *folded]) if box.text else KINDS[box.kind],
        shown(box.path or box.name),
        ", ".join(map(index.called, index.into[box.id])),
        str(box.shape) if shape(box) else "",
        cleaned(box.dtype, NAME),
        words(box.value),
        index.gradient(box),
        cleaned(box.formula, LINE),
        "; ".join(cleaned(rule, LINE) for rule in box.rules),
        ", ".join(f"{cleaned(name, NAME)} {memory(nbytes)}" for name, nbytes in box.saved),
        cleaned(box.place, NAME),
        "" if box.seconds is None else duration(box.seconds),
        "" if box.back_seconds is None else duration(box.back_seconds),
        *(", ".join(line for line, _ in extras(box, {name} & {*show})) for name in ("bytes", "histogram")),
        troubles(box),
    )


# -- alignment --------------------------------------------------------------------------------


def _aligned(header: tuple[str, ...], rows: list[Row], widest: int) -> Iterable[str]:
    """The rows below their header, as lines whose columns begin below each other; without empty columns."""
    columns = [row for row in rows if not isinstance(row, str)]
    # A column is there if any row has an entry in it.
    used = [i for i in range(len(header)) if i == 0 or any(row[i] for row in columns)]
    widths = {}
    for i in used:
        cells = [_width(row[i]) for row in (header, *columns)]
        widths[i] = max(width for width in cells if i or width <= widest)
    for row in (header, *rows):
        if isinstance(row, str):
            yield row
        elif _width(row[0]) > widths[0] and any(row[1:]):
            yield from (row[0], _line([("", widths[0]), *((row[i], widths[i]) for i in used[1:])]))
        else:
            yield _line([(row[i], widths[i]) for i in used])


def _line(cells: list[tuple[str, int]]) -> str:
    return "  ".join(text + " " * (width - _width(text)) for text, width in cells).rstrip()


def _width(text: str) -> int:
    """The columns that a terminal gives to a text."""
    if text.isascii():
        return len(text)
    marks = sum(bool(unicodedata.combining(character)) for character in text)
    return len(text) - marks + sum(unicodedata.east_asian_width(character) in "WF" for character in text)
