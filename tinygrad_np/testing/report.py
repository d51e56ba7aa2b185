"""The result of comparing hand-written gradients with autograd's, as an object, as text and as HTML."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import NamedTuple

from .diagnosis.case import Finding

WIDTH = 100
"""Lines of the text report are at most so long."""

MARKS = {"ok": "✓", "WRONG": "✗", "consequence": "↳"}
"""Beside the word, for those who do not see the color."""


class Row(NamedTuple):
    """One compared gradient: its name, "ok", "WRONG" or "consequence", and what is to be said of it."""

    name: str
    status: str
    text: str
    correction: str | None = None


@dataclass
class Comparison:
    """What `compare_grads` found: a report to print, with its parts for programs.

    `rows` has one row for each compared gradient, from the loss backwards; `findings` has, for each wrong one, the
    mistakes that explain it, at most two; `loss` says whether the losses agree, `numeric` what the numeric
    check of autograd says, and `notes` what else was noticed.

    >>> report = Comparison([Row("dW1", "ok", "to 15.9 digits")], loss="loss 0.6931")
    >>> report.ok, report.first_wrong
    (True, None)
    >>> print(report)
    gradients: 1 of 1 agree with autograd  (loss 0.6931)
      ok     dW1  to 15.9 digits
    """

    rows: list[Row]
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    loss: str = ""
    numeric: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees."""
        return all(row.status == "ok" for row in self.rows)

    @property
    def first_wrong(self) -> str | None:
        """The wrong gradient that is nearest to the loss: the one to mend first."""
        return next((row.name for row in self.rows if row.status == "WRONG"), None)

    @property
    def why(self) -> str:
        """Why the first wrong one is wrong, in sentences; "" if all are right."""
        return next((_sentences(row) for row in self.rows if row.status == "WRONG"), "")

    # -- text -----------------------------------------------------------------------------------

    def __str__(self) -> str:
        lines = [self._heading(), *self._right(), *self._wrong()]
        for text in filter(None, (*self.notes, self.numeric)):
            lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    __repr__ = __str__

    def _heading(self) -> str:
        compared = [row for row in self.rows if row.name != "loss"]
        agree = sum(row.status == "ok" for row in compared)
        says = f"gradients: {agree} of {len(compared)} agree with autograd" if compared else "gradients: not compared"
        return f"{says}  ({self.loss})" if self.loss else says

    def _right(self) -> list[str]:
        """Gradients that agree, those of which the same is said in one line."""
        together: dict[str, list[str]] = {}
        for row in self.rows:
            if row.status == "ok":
                together.setdefault(row.text, []).append(row.name)
        lines = []
        for text, names in together.items():
            lines += _wrapped("ok", "  ".join(names), text, WIDTH)
        return lines

    def _wrong(self) -> list[str]:
        rows = [row for row in self.rows if row.status != "ok"]
        width = max((len(row.name) for row in rows), default=0)
        lines = []
        for row in rows:
            word = "WRONG" if row.status == "WRONG" else "then"
            lines += _wrapped(word, row.name.ljust(width), row.text, WIDTH)
            if row.correction:
                lines.append(f"{' ' * (11 + width)}Use {row.correction}")
        return lines

    # -- HTML -----------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """The report as a table, for notebooks."""
        cell = '<td style="text-align:left;vertical-align:top">{}</td>'
        lines = [f"<p>{html.escape(self._heading())}</p>", "<table>"]
        lines.append("<tr>" + "".join(f'<th style="text-align:left">{h}</th>' for h in HEADINGS) + "</tr>")
        for row in self.rows:
            color = "inherit" if row.status == "ok" else "#b00020"
            status = f'<span style="color:{color}">{MARKS[row.status]} {row.status}</span>'
            line = f"<code>{html.escape(row.correction)}</code>" if row.correction else ""
            cells = [f"<code>{html.escape(row.name)}</code>", status, html.escape(row.text), line]
            lines.append("<tr>" + "".join(map(cell.format, cells)) + "</tr>")
        lines.append("</table>")
        said = [*self.notes, self.numeric]
        return "\n".join([*lines, *(f"<p>{html.escape(text)}</p>" for text in said if text)])


HEADINGS = ("gradient", "", "why", "write instead")


def _sentences(row: Row) -> str:
    return f"{row.text}  Use {row.correction}" if row.correction else row.text


def _wrapped(word: str, name: str, text: str, width: int) -> list[str]:
    """A row of the report; what does not fit goes below the text, or below the names where those are many."""
    start = f"  {word:<5}  {name}  "
    indent = " " * (len(start) if len(start) < 40 else 9)
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False) or [start]
