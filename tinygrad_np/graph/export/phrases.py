"""What exporters say in the same words: headings, names, shapes, sizes of gradients; without any escaping."""

from __future__ import annotations

from ..parts import Arrow, Box, Group, Summary, View
from ..words import NAME, cleaned, counted, size
from .colors import KINDS

LINE = 80
"""Longer lines of other text than names are cut."""
LEAVES = ("parameter", "data")


def heading(view: View, title: str | None = None, usual: str = "") -> list[str]:
    """The title, then what was computed and how much there is of it on one line, then what is not shown.

    Where other dtypes than the `usual` one stand beside their boxes, only that one is said here; else all are.
    """
    last = shown(view.name) or (KINDS[view.boxes[-1].kind] if view.boxes else "result")
    answer = last + (", " if view.answer.startswith("shape") else " = ") + cleaned(view.answer, LINE)
    given = shown(title)
    about = [*([answer] if given else []), *_counts(view, usual)]
    return [given or answer, " · ".join(about), *(cleaned(note, 2 * LINE) for note in view.notes)]


def _counts(view: View, usual: str) -> list[str]:
    whole = next((group for group in view.groups if group.id == 0), None)
    first = [box for box in view.boxes if box.same is None]
    ops = whole.ops if whole else sum(box.kind == "op" for box in first)
    learned = whole.parameters if whole else sum(box.size for box in first if box.kind == "parameter")
    dtypes = [usual] if usual else sorted({box.dtype for box in view.boxes if box.dtype})
    found = [counted(n, what) for n, what in ((ops, "operation"), (learned, "parameter")) if n]
    return [*found, *([cleaned(", ".join(dtypes), LINE)] if dtypes else [])]


def shown(name: str | None) -> str:
    """A name; empty for none, and for one of which nothing can be seen."""
    return cleaned(name or "", NAME).strip()


def words(summary: Summary | None) -> str:
    """An array in a few words; empty for none."""
    return "" if summary is None else cleaned(summary.text, LINE)


def shape(thing: Box | Arrow, usual: str = "float64") -> str:
    """The shape, with the dtype if it is not the `usual` one; empty where there are several."""
    if thing.shape is None or (not thing.dtype and not thing.shape):
        return ""
    return f"{thing.shape}" if thing.dtype in ("", usual) else f"{thing.shape} {cleaned(thing.dtype, NAME)}"


def coming_back(arrow: Arrow, sign: str = "↑") -> str:
    """The size of the gradient that comes back along an arrow, whose direction is the sign; empty if none does."""
    return "" if arrow.rms is None else f"{sign} {'Σ ' if arrow.total else ''}{size(arrow.rms)}".strip()


def title_of(box: Box) -> str:
    """What an op or a folded group is called: its name if the user gave one, and the op."""
    return " = ".join(filter(None, [shown(box.name) if box.kind == "op" else "", cleaned(box.text, LINE)]))


def computed(box: Box) -> list[str]:
    """The op and its formula; the formula alone where it begins with the op, as in `relu(x)`."""
    formula = cleaned(box.formula, LINE)
    if box.text and formula.startswith(f"{box.text}("):
        return [" = ".join(filter(None, [shown(box.name), formula]))]
    return [title_of(box), formula]


def troubles(box: Box) -> str:
    """The words for a box with nan or infinite entries, or computed from one."""
    if box.bad:
        count = f": {box.value.bad:,} of its entries" if box.value is not None and box.value.bad else ""
        return f"✗ first nan or inf{count}"
    return "✗ from nan or inf" if box.tainted else ""


def group_title(group: Group) -> str:
    """The heading of a group: its name, how often it comes, and what stands beside it."""
    times = f"× {group.count}" if group.count > 1 and "×" not in group.label else ""
    label = cleaned(group.label, LINE).strip() or group.kind
    return "  ".join(filter(None, [label, times, cleaned(group.detail, LINE)]))
