"""From plain data about a tape to a graphviz graph: all that is layout, colour and escaping.

Labels are graphviz's HTML-like ones.  Every string in them goes through `escaped`, so that a name is
shown as text whatever it holds; boxes are called by number, never by name.
"""

from __future__ import annotations

import html
import unicodedata
from collections import Counter, defaultdict

import graphviz

from .render import Picture
from .view import Arrow, Box, View
from .words import cut

# Hues of Okabe and Ito (2008), which colour-blind readers tell apart: blue, orange, vermilion, and
# grey.  Borders and inks are darkened and fills lightened for contrast: text has 4.5:1 or more.
BORDERS = {"parameter": "#0072B2", "data": "#595959", "op": "#B07C00", "result": "#D55E00"}
FILLS = {"parameter": "#D6EAF8", "data": "#F2F2F2", "op": "#FFF3D6", "result": "#FBE9DF"}
INK, PALE, GRADIENT, LINE = "#1A1A1A", "#595959", "#A84300", "#7A7A7A"
KINDS = {"parameter": "parameter", "data": "data", "op": "operation", "result": "result"}

NAME, LINE_LENGTH = 40, 80
"""Longer names are cut, and so are longer lines of other text."""
MANY = 150
"""With more boxes than this, the layout is the quick one."""
# Not shown as they are: control and format characters (which turn the direction of the text around
# them), halves of surrogate pairs, and code points that XML does not have.
_UNSEEN = {"Cc", "Cf", "Cs", "Cn"}
_JOINERS = "\u200c\u200d"


def cleaned(text: str, length: int = NAME) -> str:
    """`text` on one line, without characters that are no text, of at most `length` characters."""
    return "".join(map(_visible, cut(text, length)))


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in _UNSEEN and character not in _JOINERS:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def escaped(text: str, length: int = NAME) -> str:
    """`text` as it is written inside an HTML-like label: shown, never obeyed."""
    # In such labels too graphviz puts its own text for \N and \G; two backslashes are one, shown.
    return html.escape(cleaned(text, length)).replace("\\", "\\\\")


def to_dot(view: View, title: str | None = None) -> Picture:
    """The graph for `view`; draws linear in the number of boxes."""
    quick = len(view.boxes) > MANY
    picture = Picture("tape", format="svg")
    picture.attr(
        "graph", rankdir="TB", nodesep="0.3", ranksep="0.3", pad="0.25", bgcolor="#FFFFFF", newrank="true",
        fontname="Helvetica", fontsize="12", fontcolor=INK, labelloc="t", labeljust="l", label=_heading(view, title),
        **({"splines": "line", "nslimit": "1", "nslimit1": "1", "mclimit": "0.1"} if quick else {}),
    )  # fmt: skip
    picture.attr("node", shape="plain", fontname="Helvetica", fontsize="11", fontcolor=INK)
    picture.attr("edge", fontname="Helvetica", fontsize="10", fontcolor=INK, color=LINE, arrowsize="0.65")
    for box in view.boxes:
        picture.node(str(box.id), _label(box), tooltip=_tooltip(box))
    sides = {} if quick else _sides(view)
    kinds = {box.id: box.kind for box in view.boxes}
    for arrow in view.arrows:
        _draw_arrow(picture, arrow, sides.get(arrow.source), from_op=kinds[arrow.source] == "op")
    return picture


# -- boxes ------------------------------------------------------------------------------------


def _font(text: str, color: str, size: int | None = None) -> str:
    points = f' POINT-SIZE="{size}"' if size else ""
    return f'<FONT COLOR="{color}"{points}>{text}</FONT>'


def _name(name: str | None) -> str:
    """The user's name, escaped; empty for none, and for one of which nothing can be seen."""
    text = escaped(name or "")
    return text if text.strip() else ""


def _label(box: Box) -> str:
    header = {"op": _op_header, "result": _result_header}.get(box.kind, _leaf_header)(box)
    rows = [f'<TR><TD COLSPAN="2">{line}</TD></TR>' for line in header]
    if box.kind != "result" and box.value is not None:
        rows.append(_row("value", escaped(box.value, LINE_LENGTH), INK))
    if box.grad is not None:
        rows.append(_row("grad", escaped(box.grad, LINE_LENGTH), GRADIENT))
    # Round or square corners tell what is learned from what is given, also in black and white.
    style = "" if box.kind == "data" else ' STYLE="ROUNDED"'
    width = 2 if box.kind == "result" else 1
    return (
        f'<<TABLE BORDER="{width}" COLOR="{BORDERS[box.kind]}" BGCOLOR="{FILLS[box.kind]}"{style} CELLBORDER="0" '
        f'CELLSPACING="0" CELLPADDING="3">{"".join(rows)}</TABLE>>'
    )


def _row(what: str, text: str, color: str) -> str:
    return (
        f'<TR><TD ALIGN="LEFT">{_font(what, PALE if color == INK else color)}</TD>'
        f'<TD ALIGN="RIGHT">{_font(text, color)}</TD></TR>'
    )


def _leaf_header(box: Box) -> list[str]:
    about = _font(f"{KINDS[box.kind]} · {_shape(box.shape, box.dtype)}", PALE)
    name = _name(box.name)
    return [f'<FONT POINT-SIZE="12"><B>{name}</B></FONT>  {about}' if name else about]


def _op_header(box: Box) -> list[str]:
    name = _name(box.name)
    title = f"<B>{escaped(box.text)}</B>"
    lines = [f"<B>{name}</B> {_font('=', PALE)} {title}" if name else title]
    return lines + [_font(escaped(line, LINE_LENGTH), PALE, 9) for line in box.details]


def _result_header(box: Box) -> list[str]:
    name, value = _name(box.name) or "result", escaped(box.value or "", LINE_LENGTH)
    if box.shape == ():
        return [f'<FONT POINT-SIZE="13"><B>{name} = {value}</B></FONT>']
    return [f'<FONT POINT-SIZE="13"><B>{name}</B></FONT>  {_font(_shape(box.shape, box.dtype), PALE)}', value]


def _shape(shape: tuple[int, ...], dtype: str) -> str:
    return str(shape) if dtype == "float64" else f"{shape} {dtype}"


def _tooltip(box: Box) -> str:
    """Where the op stands in the program, if debug mode knows; else what the box is.

    Names are left out: graphviz reads the escapes of a tooltip twice, so that some would be changed.
    """
    # Outside of HTML-like labels graphviz still reads entities such as &lt;.
    return graphviz.escape(cleaned(box.place or box.text or KINDS[box.kind]).replace("&", "&amp;"))


# -- arrows -----------------------------------------------------------------------------------


def _draw_arrow(picture: Picture, arrow: Arrow, side: str | None, from_op: bool) -> None:
    words = [_font(escaped(word), PALE) for word in (arrow.part, arrow.order) if word]
    label = f"<{' '.join([*words, _shape(arrow.shape, arrow.dtype)])}>"
    source, target = str(arrow.source), str(arrow.target)
    if side is None:
        # Heavy arrows are short and straight: the ops line up, and leaves stand around them.
        label = label.replace("<", "<&nbsp;", 1)
        picture.edge(source, target, label, weight="8" if from_op else "1")
        return
    with picture.subgraph() as row:
        row.attr(rank="same")
        if side == "left":
            row.edge(source, target, label)
        else:
            # On one rank, dot puts the tail of an arrow to the left of its head.
            row.edge(target, source, label, dir="back")


def _sides(view: View) -> dict[int, str]:
    """The leaves that stand beside the op they go into, so that the ops form a column.

    Such a leaf goes into one op only, which has another input from above.  It stands on the side where
    it is in the formula: W in `W @ x` left of the op, b in `h + b` right of it.
    """
    kinds = {box.id: box.kind for box in view.boxes}
    uses = Counter(arrow.source for arrow in view.arrows)
    into: dict[int, list[int]] = defaultdict(list)
    for arrow in view.arrows:
        into[arrow.target].append(arrow.source)
    sides: dict[int, str] = {}
    for sources in into.values():
        above = _from_above(sources, kinds)
        if above is None:
            continue
        taken = set()
        for i, source in enumerate(sources):
            side = "left" if i < above else "right"
            if i != above and kinds[source] != "op" and uses[source] == 1 and side not in taken:
                sides[source] = side
                taken.add(side)
    return sides


def _from_above(sources: list[int], kinds: dict[int, str]) -> int | None:
    """The one input that comes from above, so that there is room beside the op: the one that was
    computed, else the data among parameters.
    """
    found = [kinds[source] for source in sources]
    if "op" in found:
        return found.index("op") if found.count("op") == 1 else None
    return found.index("data") if {"data", "parameter"} <= set(found) else None


# -- heading ----------------------------------------------------------------------------------


def _heading(view: View, title: str | None) -> str:
    joined = ", " if view.answer.startswith("shape") else " = "
    answer = f"{_name(view.name) or KINDS[view.boxes[-1].kind]}{joined}{escaped(view.answer, LINE_LENGTH)}"
    given = _name(title)
    lines = [f'<FONT POINT-SIZE="17"><B>{given or answer}</B></FONT>']
    lines.append(_font(f"{answer} · {_counts(view)}" if given else _counts(view), PALE))
    rows = "".join(f'<TR><TD ALIGN="LEFT">{line}</TD></TR>' for line in lines)
    legend = f'<TR><TD ALIGN="LEFT">{_legend(view)}</TD></TR><TR><TD HEIGHT="6"></TD></TR>'
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}{legend}</TABLE>>'


def _counts(view: View) -> str:
    ops = sum(box.kind == "op" for box in view.boxes)
    learned = sum(box.size for box in view.boxes if box.kind == "parameter")
    dtypes = sorted({arrow.dtype for arrow in view.arrows} | {box.dtype for box in view.boxes if box.dtype})
    counted = [(ops, "operation"), (learned, "parameter")]
    words = [f"{n:,} {what}{'s' if n != 1 else ''}" for n, what in counted if n]
    return " · ".join([*words, ", ".join(dtypes)])


def _legend(view: View) -> str:
    """What the boxes mean, of those that occur."""
    found = {box.kind for box in view.boxes}
    cells = []
    for kind in [kind for kind in KINDS if kind in found]:
        style = "" if kind == "data" else ' STYLE="ROUNDED"'
        cells.append(f'<TD BORDER="1" COLOR="{BORDERS[kind]}" BGCOLOR="{FILLS[kind]}"{style}>{KINDS[kind]}</TD>')
    notes = ["arrow: shape"] if view.arrows else []
    if any(arrow.shape == () for arrow in view.arrows):
        notes[0] += ", () is a single number"
    if any(arrow.order for arrow in view.arrows):
        notes.append("1st, 2nd: order of inputs")
    if any(arrow.part for arrow in view.arrows):
        notes.append("[0], [1]: which result")
    if any("±" in f"{box.value}{box.grad}" for box in view.boxes):
        notes.append("mean ± standard deviation")
    if notes:
        cells.append(f"<TD>{_font(' · '.join(notes), PALE)}</TD>")
    if any(box.grad is not None for box in view.boxes):
        cells.append(f"<TD>{_font('grad: gradient of the result', GRADIENT)}</TD>")
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="2"><TR>{"".join(cells)}</TR></TABLE>'
