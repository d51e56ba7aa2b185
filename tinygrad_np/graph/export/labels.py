"""What stands in the boxes and beside the arrows of a graphviz picture, as its HTML-like labels.

Every string goes through `escaped`, so that a name is shown as text whatever it holds.
"""

from __future__ import annotations

import html
import math
from collections.abc import Collection

import graphviz

from ..parts import Arrow, Box, Group, View
from ..words import NAME, cleaned
from .colors import BAD, BORDERS, FILLS, GRADIENT, INK, KINDS, PALE, PAPER
from .phrases import LINE, coming_back, extras, heading, shape, shown, used


def escaped(text: str, length: int = NAME) -> str:
    """`text` as it is written inside an HTML-like label: shown, never obeyed."""
    # In such labels too graphviz puts its own text for \N and \G; two backslashes are one, shown.
    return html.escape(cleaned(text, length)).replace("\\", "\\\\")


def font(text: str, color: str, size: int | None = None) -> str:
    """Escaped text in a colour."""
    points = f' POINT-SIZE="{size}"' if size else ""
    return f'<FONT COLOR="{color}"{points}>{text}</FONT>'


def shown_name(name: str | None) -> str:
    """The user's name, escaped; empty for none, and for one of which nothing can be seen."""
    return escaped(shown(name))


# -- boxes ------------------------------------------------------------------------------------


def leaf_label(box: Box, show: Collection[str], usual: str) -> str:
    """A parameter or data: name, path and shape above, value and gradient below."""
    name = shown_name(box.name)
    where = escaped(box.path) if box.path and box.path != box.name else KINDS[box.kind]
    about = f"{where} · {escaped(shape(box, '' if 'dtype' in show else usual))}"
    header = font(about, PALE)
    if name:
        header = f'<FONT POINT-SIZE="12"><B>{name}</B></FONT>  {header}'
    if used(box):
        header += font(f"  · {used(box)}", PALE)
    rows = [f'<TR><TD COLSPAN="2" ALIGN="LEFT" BGCOLOR="{FILLS[box.kind]}">{header}</TD></TR>']
    if box.value is not None:
        rows.append(_row("value", escaped(box.value.text, LINE), INK))
    if box.grad is not None:
        rows.append(_row("grad", escaped(box.grad.text, LINE), GRADIENT))
    if box.kind == "data" and not box.backward:
        rows.append(f'<TR><TD COLSPAN="2" ALIGN="LEFT">{font("no gradient (constant)", PALE, 9)}</TD></TR>')
    for line, color in extra_lines(box, show):
        rows.append(f'<TR><TD COLSPAN="2" ALIGN="LEFT">{font(escaped(line, LINE), color, 9)}</TD></TR>')
    # Round or square corners tell what is learned from what is given, also in black and white.
    style = "" if box.kind == "data" else ' STYLE="ROUNDED"'
    border, color = (3, BAD) if box.bad else (1, BORDERS[box.kind])
    return (
        f'<<TABLE BORDER="{border}" COLOR="{color}" BGCOLOR="{PAPER}"{style} CELLBORDER="0" CELLSPACING="0" '
        f'CELLPADDING="3">{"".join(rows)}</TABLE>>'
    )


def _row(what: str, text: str, color: str) -> str:
    return (
        f'<TR><TD ALIGN="LEFT">{font(what, PALE if color == INK else color)}</TD>'
        f'<TD ALIGN="RIGHT">{font(text, color)}</TD></TR>'
    )


def op_label(box: Box, show: Collection[str]) -> str:
    """An op, or a folded group: what it is, its metadata, its backward rule."""
    name = shown_name(box.name)
    title = f"<B>{escaped(box.text)}</B>"
    lines = [f"<B>{name}</B> {font('=', PALE)} {title}" if name else title]
    lines += [font(escaped(line, LINE), PALE, 9) for line in box.details]
    if box.value is not None:
        look = BAD if box.value.bad else INK
        lines.append(f"{font('value', PALE, 9)} {font(escaped(box.value.text, LINE), look, 9)}")
    if box.grad is not None and (box.shape == () or box.name or box.grad.bad):
        lines.append(font(f"grad {escaped(box.grad.text, LINE)}", BAD if box.grad.bad else GRADIENT, 9))
    lines += [font(escaped(line, LINE), GRADIENT, 9) for line in _paired(box.rules)]
    lines += [font(escaped(line, LINE), color, 9) for line, color in extra_lines(box, show)]
    if "dtype" in show and box.dtype:
        lines.append(font(f"{box.shape} {escaped(box.dtype)}", PALE, 9))
    return _stacked(lines)


def result_label(box: Box, show: Collection[str], usual: str) -> str:
    """What everything led to: name and value, and its gradient."""
    name = shown_name(box.name) or "result"
    value = escaped(box.value.text if box.value else "", LINE)
    if box.shape == ():
        lines = [f'<FONT POINT-SIZE="13"><B>{name} = {value}</B></FONT>']
    else:
        about = font(escaped(shape(box, "" if "dtype" in show else usual)), PALE)
        lines = [f'<FONT POINT-SIZE="13"><B>{name}</B></FONT>  {about}', value]
    if box.grad is not None:
        lines.append(font(f"grad = {escaped(box.grad.text, LINE)}", GRADIENT))
    lines += [font(escaped(line, LINE), color, 9) for line, color in extra_lines(box, show)]
    return _stacked(lines)


def _paired(rules: Collection[str]) -> list[str]:
    """Two short rules on one line."""
    together = "   ".join(rules)
    return [together] if rules and len(together) <= 44 else list(rules)


def _stacked(lines: list[str]) -> str:
    rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines if line)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>'


def extra_lines(box: Box, show: Collection[str]) -> list[tuple[str, str]]:
    """What is wrong with a bad box, and what `show` asks for, with its colour."""
    found = []
    what = "first nan or inf" if box.first else "nan or inf"
    if box.bad and box.value is not None and box.value.bad:
        found.append((f"{what}: {box.value.bad:,} of {math.prod(box.shape):,} entries", BAD))
    if box.bad and box.kind == "folded":
        found.append((f"{what} is in here", BAD))
    return found + [(line, GRADIENT if back else PALE) for line, back in extras(box, show)]


def tooltip(box: Box) -> str:
    """Where the op stands in the program, if that is known; else what the box is.

    Names are left out: graphviz reads the escapes of a tooltip twice, so that some would be changed.
    """
    # Outside of HTML-like labels graphviz still reads entities such as &lt;.
    words = f"{box.place}  {box.code}" if box.place else box.text or KINDS[box.kind]
    return graphviz.escape(cleaned(words, LINE).replace("&", "&amp;"))


# -- arrows and frames ------------------------------------------------------------------------


def arrow_label(arrow: Arrow, sign: str, usual: str) -> str:
    """The shape, and under it the size of the gradient that comes back; `sign` is its direction."""
    words = [font(escaped(word), PALE) for word in (arrow.part, arrow.role) if word]
    lines = [" ".join([*words, escaped(shape(arrow, usual))])]
    if arrow.rms is not None:
        lines.append(font(coming_back(arrow, sign), GRADIENT, 9))
    return f"<{''.join(f'&nbsp;{line}<BR ALIGN={chr(34)}LEFT{chr(34)}/>' for line in lines if line)}>"


def frame_label(group: Group) -> str:
    """The name of a group, and what stands beside it."""
    detail = escaped(group.detail, LINE)
    return f"<<B>{shown_name(group.label) or 'scope'}</B>{f'  {detail}' if detail else ''}>"


# -- heading ----------------------------------------------------------------------------------


def heading_label(view: View, title: str | None) -> str:
    """The answer, what is in the picture, and what its signs mean."""
    first, *others = [escaped(line, 4 * LINE) for line in heading(view, title)]
    lines = [f'<FONT POINT-SIZE="17"><B>{first}</B></FONT>', *(font(line, PALE) for line in others)]
    rows = "".join(f'<TR><TD ALIGN="LEFT">{line}</TD></TR>' for line in lines)
    legend = f'<TR><TD ALIGN="LEFT">{_legend(view)}</TD></TR><TR><TD HEIGHT="6"></TD></TR>'
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}{legend}</TABLE>>'


def _legend(view: View) -> str:
    """What boxes and signs mean, of those that occur."""
    found = {box.kind for box in view.boxes}
    cells = []
    for kind in [kind for kind in KINDS if kind in found]:
        style = "" if kind == "data" else ' STYLE="ROUNDED"'
        cells.append(f'<TD BORDER="1" COLOR="{BORDERS[kind]}" BGCOLOR="{FILLS[kind]}"{style}>{KINDS[kind]}</TD>')
    notes = []
    if any(box.rules for box in view.boxes):
        notes.append(font("dx = …: backward rule, g comes in", GRADIENT))
    if any(arrow.rms is not None for arrow in view.arrows):
        summed = ", Σ over all uses" if any(arrow.total for arrow in view.arrows) else ""
        notes.append(font(f"↑ 0.03: gradient coming back (RMS{summed})", GRADIENT))
    plain = []
    if any(arrow.role for arrow in view.arrows):
        plain.append("x, y on arrows: what rules call the inputs")
    if any(arrow.part for arrow in view.arrows):
        plain.append("[0], [1]: which result")
    if any("±" in s.text for box in view.boxes for s in (box.value, box.grad) if s):
        plain.append("mean ± standard deviation")
    notes += [font(" · ".join(plain), PALE)] if plain else []
    cells += [f"<TD>{note}</TD>" for note in notes]
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="2"><TR>{"".join(cells)}</TR></TABLE>'
