"""From plain data about a tape to a Mermaid flowchart, which GitHub shows in any Markdown file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from ..parts import Arrow, Box, Group, View
from ..words import cleaned
from .colors import BAD, BORDERS, FILLS, INK, KINDS, PAPER, SPOILED, SPOILED_FILL
from .phrases import LINE, coming_back, computed, extras, group_title, heading, shape, shown, title_of, troubles, words
from .text import Index

LONGEST = 50_000
"""Mermaid draws no text longer than this."""
WRAP = 600
"""Labels are wrapped only past so many pixels: each of their lines says one thing."""

STYLES = {
    **{kind: f"fill:{FILLS[kind]},stroke:{BORDERS[kind]}" for kind in KINDS},
    "tainted": f"fill:{SPOILED_FILL},stroke:{SPOILED},stroke-dasharray:5 4",
    "bad": f"fill:{PAPER},stroke:{BAD},stroke-width:5px",
}
STYLES["folded"] += ",stroke-width:4px"
STYLES["result"] += ",stroke-width:2px"
# Of each kind what opens and closes its shape: rounded ends, square, rounded corners, double sides.
SHAPES = {
    "parameter": ('(["', '"])'),
    "data": ('["', '"]'),
    "op": ('("', '")'),
    "result": ('[["', '"]]'),
    "folded": ('("', '")'),
}
GROUP = "fill:#8C96A514,stroke:#8C96A5"


def to_mermaid(view: View, title: str | None = None, show: Collection[str] = ()) -> str:
    """The graph as a Mermaid flowchart, to be put between ```` ```mermaid ```` and ```` ``` ````.

    Groups are subgraphs; arrows carry the shape and the size of the gradient coming back, and are dotted where
    none ever comes.  `title` stands above it instead of the tensor's name and value.  Mermaid draws up to
    50,000 characters and 500 arrows: where the text would be longer, labels leave out rules, details and values.

    >>> W, y = Box(0, "parameter", "W", shape=(3,)), Box(1, "op", shape=(3,), text="exp")
    >>> chart = to_mermaid(View("y", "shape (3,)", boxes=[W, y], arrows=[Arrow(0, 1, (3,), rms=0.5)]))
    >>> print(chart[chart.index("  box0") :])
      box0(["<b>W</b> parameter · (3,)"]):::parameter
      box1("<b>exp</b>"):::op
      box0 -->|"(3,)<br/>↑ 0.5"| box1
    """
    text = ""
    for left in _amounts():
        text = "\n".join(_Chart(view, title, left, show).lines()) + "\n"
        # Mermaid counts UTF-16 units, as JavaScript does.
        if len(text.encode("utf-16-le")) // 2 <= LONGEST:
            break
    return text


def _amounts() -> Iterator[frozenset[str]]:
    """What labels may say, from all to nothing but the names: rules go first, then details, values and formulas."""
    left = ["formula", "value", "details", "rules"]
    while True:
        yield frozenset(left)
        if not left:
            return
        left.pop()


# -- escaping ---------------------------------------------------------------------------------

# Mermaid, the Markdown and the HTML inside it read many characters as their own.  All ASCII punctuation is
# written as an entity, but where it is known to be text: operators between spaces, and points between digits.
_MARKS = re.compile(r"(?P<text>(?<= )[=@*+/-](?= )|(?<=\d)\.(?=\d))|[^A-Za-z0-9 ,()\u0080-\U0010FFFF]")
# These are read even where they are written as entities: a line break, icons and addresses, a formula, the two ends
# of an entity in Mermaid's own notation, and (up to version 11.9) links in Markdown.  A word joiner, which
# cannot be seen, comes between.
_PAIRS = re.compile(r"\\(?=n)|:(?=fa-|//)|\$(?=\$)|ﬂ(?=°)|¶(?=ß)|](?=[([])|www(?=\.)|\S(?=@\S)")
_JOINER = "\u2060"


def escaped(text: str, length: int = LINE) -> str:
    """`text` as it is written inside a Mermaid label: shown, never obeyed.

    >>> escaped('<b>"x"</b>'), escaped("x @ W"), escaped("0.50 ± 0.29")
    ('#60;b#62;#34;x#34;#60;#47;b#62;', 'x @ W', '0.50 ± 0.29')
    """
    parted = _PAIRS.sub(lambda found: found[0] + _JOINER, cleaned(text, length).strip())
    return _MARKS.sub(lambda found: found["text"] or f"#{ord(found[0])};", parted)


def _bold(text: str) -> str:
    return f"<b>{escaped(text, 2 * LINE)}</b>" if text else ""


def _lines(*lines: str) -> str:
    return "<br/>".join(line for line in lines if line)


# -- the chart --------------------------------------------------------------------------------


class _Chart:
    """Writes the lines of a flowchart, with labels that say what is in `left`."""

    def __init__(self, view: View, title: str | None, left: frozenset[str], show: Collection[str]) -> None:
        self.view, self.title, self.left, self.show = view, title, left, show
        self.index = Index(view)
        self.subgraphs = 0

    def lines(self) -> Iterator[str]:
        first, counts, *notes = heading(self.view, self.title)
        title = _yaml(" · ".join(filter(None, [first, counts])))
        yield from ("---", f"title: {title}", "config:", "  flowchart:", f"    wrappingWidth: {WRAP}", "---")
        yield "flowchart TD"
        styles = [_style(box) for box in self.view.boxes]
        for name in [name for name in STYLES if name in styles]:
            yield f"  classDef {name} {STYLES[name]},color:{INK}"
        if notes:
            yield f'  notes["{_lines(*(escaped(line, 2 * LINE) for line in notes))}"]'
            yield "  style notes fill:none,stroke:none"
        yield from self._nodes()
        for i in range(1, self.subgraphs + 1):
            yield f"  style group{i} {GROUP}"
        for arrow in self.view.arrows:
            yield "  " + self._arrow(arrow)

    def _nodes(self) -> Iterator[str]:
        """The boxes; those of a group inside its subgraph."""
        inside: dict[int, list[Box | Group]] = {0: []}
        for box in self.view.boxes:
            around = 0
            for group in self.index.path(box):
                if group.id not in inside:
                    inside[group.id] = []
                    inside[around].append(group)
                around = group.id
            inside[around].append(box)
        waiting = [iter(inside[0])]
        while waiting:
            item = next(waiting[-1], None)
            indent = "  " * len(waiting)
            if isinstance(item, Box):
                yield indent + self._node(item)
            elif item is not None:
                self.subgraphs += 1
                yield f'{indent}subgraph group{self.subgraphs}["{escaped(group_title(item))}"]'
                waiting.append(iter(inside[item.id]))
            else:
                waiting.pop()
                if waiting:
                    yield "  " * len(waiting) + "end"

    def _node(self, box: Box) -> str:
        start, end = SHAPES[box.kind]
        label = _lines(*self._leaf(box) if box.kind in ("parameter", "data") else self._computed(box))
        return f"box{box.id}{start}{label}{end}:::{_style(box)}"

    def _leaf(self, box: Box) -> list[str]:
        path = box.path if box.path != box.name else ""
        about = " · ".join(escaped(part) for part in (shown(path) or box.kind, shape(box)) if part)
        return [" ".join(filter(None, [_bold(shown(box.name)), about])), *self._numbers(box)]

    def _computed(self, box: Box) -> list[str]:
        if box.kind == "result":
            single = box.value is not None and box.shape == ()
            name = shown(box.name) or "result"
            first = _bold(f"{name} = {words(box.value)}") if single else f"{_bold(name)} {escaped(shape(box))}"
            return [first, *self._numbers(box, value=not single)]
        first, *formula = computed(box) if "formula" in self.left else [title_of(box)]
        lines = [_bold(first), *map(escaped, formula)]
        if "details" in self.left or box.kind == "folded":
            lines += [escaped(line) for line in box.details if line != box.formula]
        if "rules" in self.left:
            lines += map(escaped, box.rules)
        return [*lines, *self._numbers(box)]

    def _numbers(self, box: Box, value: bool = True) -> list[str]:
        """The lines for value and gradient, and for nan and inf."""
        found = [escaped(troubles(box))]
        if "value" in self.left:
            found += [f"value {escaped(box.value.text)}"] if value and box.value else []
            found += [f"grad {escaped(box.grad.text)}"] if box.grad else []
        if "details" in self.left:
            found += [escaped(line) for line, _ in extras(box, self.show)]
        return found

    def _arrow(self, arrow: Arrow) -> str:
        about = [arrow.part, arrow.role, shape(arrow), f"× {arrow.count}" if arrow.count > 1 else ""]
        label = _lines(" ".join(escaped(word) for word in about if word), escaped(coming_back(arrow)))
        line = "-->" if arrow.needs_grad else "-.->"
        return f"box{arrow.source} {line}" + (f'|"{label}"|' if label else "") + f" box{arrow.target}"


def _style(box: Box) -> str:
    return "bad" if box.bad else "tainted" if box.tainted else box.kind


def _yaml(text: str) -> str:
    """A string for the front matter, where Mermaid rewrites what looks like a tag before it reads the string."""
    return re.sub(r"[<>%`]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
