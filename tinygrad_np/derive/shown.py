"""A derivation as it is shown: a table for the terminal, one for a notebook, and a block of LaTeX."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Sequence

from ..engine.tape import PROJECTION, Node
from ..engine.tensor import attached
from ..graph.view import view
from .latex import latex
from .lines import Line, Lines
from .notation import symbols
from .notes import note, operation
from .sizes import samples

WIDTH = 100
"""Characters in a line of the terminal."""
CODE = 52
"""The widest column of code."""
GAP = "  "
FORMULA = re.compile(r"\S+(?: [-+*/@<>=−]+ \S+)+")
HEADINGS = ("backward", "shape", "rule")
LEGEND = "g: gradient of an op's result; out: that result; a, b, x, y: its inputs, by its signature"
CELL = "text-align:left;vertical-align:top;padding:2px 10px"


# -- LaTeX ----------------------------------------------------------------------------------------


def formulas(lines: Lines, chosen: Sequence[Line]) -> list[tuple[str, str]]:
    """The two sides of each line as LaTeX."""
    m = lines.reading.m
    steps = [*lines.forward, *lines.backward]
    every = [*([m] if m is not None else []), *lines.inputs, *(line.step.variable for line in steps)]
    names = symbols(dict.fromkeys(every))
    with samples(m):
        return [(names[line.step.variable], latex(line.expr, names.__getitem__)) for line in chosen]


def latex_block(lines: Lines, forward: bool = False) -> str:
    r"""The backward pass as an `align*` block, for a document with amsmath; with `forward` the forward pass before it.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np.derive import derive
    >>> W, x = tg.Tensor(np.ones((3, 2)), requires_grad=True), np.ones((4, 3))
    >>> Z = x @ W
    >>> print(latex_block(derive((Z ** 2).sum()).lines))
    \begin{align*}
    \mathrm{d}W &= 2 x^\top Z
    \end{align*}
    """
    chosen = [*(lines.forward if forward else []), *lines.backward]
    rows = [f"{left} &= {right}" for left, right in formulas(lines, chosen)]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


# -- the terminal ---------------------------------------------------------------------------------


def table(lines: Lines) -> str:
    """Each line of the backward pass with its shape and the rules it took, in at most 100 columns."""
    rows = [(f"{line.name} = {line.text}", str(line.shape), note(line)) for line in lines.backward]
    code = min(CODE, max(len(HEADINGS[0]), *(len(part) for row in rows for part in row[0].splitlines())))
    shape = min(20, max(len(row[1]) for row in [HEADINGS, *rows]))
    widths = (code, shape, WIDTH - code - shape - 2 * len(GAP))
    text = [_row(HEADINGS, widths), *(_row(row, widths) for row in rows)]
    below = [line for sentence in [*conditions(lines), LEGEND] for line in textwrap.wrap(sentence, WIDTH)]
    return "\n".join([*text, "", *below])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row; what is too wide for its column goes on below."""
    columns = [_wrapped(cell, width, is_code=not i) for i, (cell, width) in enumerate(zip(cells, widths, strict=True))]
    height = max(map(len, columns))
    filled = [[*column, *[""] * (height - len(column))] for column in columns]
    return "\n".join(
        GAP.join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()
        for parts in zip(*filled, strict=True)
    )


def _wrapped(text: str, width: int, is_code: bool) -> list[str]:
    if not is_code:
        # A formula among words stays on one line, if it fits on one.
        text = FORMULA.sub(lambda m: m[0].replace(" ", "\0") if len(m[0]) <= width else m[0], text)
    lines = textwrap.wrap(text, width, subsequent_indent="    " if is_code else "", break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def conditions(lines: Lines) -> list[str]:
    """What the derivation relied on besides the rules, one line each."""
    facts = [(v.name, axes) for v in lines.inputs for axes in sorted(v.facts)]
    read = ", ".join(sorted(lines.reading.looked))
    numbers = lines.reading.data.numbers
    fixed = lines.reading.m is None and any(v.is_data and v.shape for v in lines.inputs)
    return [
        *(f"{name} sums to 1 along {_axes(axes)}: the derivation relies on it" for name, axes in facts),
        *(f"{name} was computed outside of the tape, such as a mask: it is data here" for name in lines.unnamed),
        *([f"{numbers[0]:.6g} was computed outside of the tape: it stands as a number"] if numbers else []),
        *(["lengths stand as numbers: it is for arrays of these shapes"] if fixed else []),
        *([f"read for these numbers: {read}; where entries tie, or are 0, autograd's rule is another"] if read else []),
    ]


def _axes(axes: Sequence[int]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


# -- notebooks ------------------------------------------------------------------------------------


def _in_dollars(formula: str) -> str:
    """LaTeX in text, which notebooks typeset."""
    return html.escape(f"${formula}$")


def to_html(lines: Lines, graph: str | None = None, typeset: Callable[[str], str] = _in_dollars) -> str:
    """A table for a notebook: each line of the backward pass, its shape, its rules and its formula.

    With `graph`, the address of the page that `tg.draw(loss).save("graph.html")` wrote, each rule links to its op
    there.  `typeset` makes HTML of a formula in LaTeX; without it the formulas stand between dollar signs.
    """
    numbers = box_numbers(lines) if graph is not None else {}
    head = "".join(f'<th style="{CELL}">{name}</th>' for name in (*HEADINGS, "formula"))
    rows = []
    pairs = formulas(lines, lines.backward)
    for line, (left, right) in zip(lines.backward, pairs, strict=True):
        code = f'<code style="white-space:pre-wrap">{html.escape(f"{line.name} = {line.text}")}</code>'
        rule, number = html.escape(note(line)), numbers.get(operation(line))
        if number is not None:
            rule = f'<a href="{html.escape(f"{graph}#op-{number}")}">{rule}</a>'
        # No line breaks inside of a shape.
        shape = html.escape(str(line.shape).replace(" ", "\u00a0"))
        cells = (code, shape, rule, typeset(f"{left} = {right}"))
        rows.append("".join(f'<td style="{CELL}">{cell}</td>' for cell in cells))
    below = "".join(f"<p>{html.escape(text)}</p>" for text in [*conditions(lines), LEGEND])
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def box_numbers(lines: Lines) -> dict[Node, int]:
    """The number of each op's box in the picture of the loss: those of `tg.draw(loss).view`."""

    reading = lines.reading
    boxes = view(attached(reading.replay.tensors[reading.root].data, reading.root)).boxes
    ops = [node for node in reading.nodes if node.rule is not None and node.rule is not PROJECTION]
    numbers = [box.id for box in boxes if box.kind == "op"]
    return dict(zip(ops, numbers, strict=True))
