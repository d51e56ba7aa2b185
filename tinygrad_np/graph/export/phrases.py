"""What exporters say in the same words: headings, names, shapes, sizes of gradients; without any escaping."""

from __future__ import annotations

from collections.abc import Collection

from ..parts import Arrow, Box, Group, Summary, View
from ..words import NAME, bars, cleaned, counted, duration, memory, size
from .colors import KINDS

LINE = 80
"""Longer lines of other text than names are cut."""
LEAVES = ("parameter", "data")


def heading(view: View, title: str | None = None) -> list[str]:
    """The title, then what was computed and how much there is of it on one line, then what is not shown."""
    kinds = [box.kind for box in view.boxes if not box.backward]
    last = shown(view.name) or KINDS[kinds[-1] if kinds else "result"]
    answer = last + (", " if view.answer.startswith("shape") else " = ") + cleaned(view.answer, LINE)
    given = shown(title)
    about = [*([answer] if given else []), *_counts(view)]
    return [given or answer, " · ".join(about), *(cleaned(note, 2 * LINE) for note in view.notes)]


def _counts(view: View) -> list[str]:
    whole = next((group for group in view.groups if group.id == 0), None)
    first = [box for box in view.boxes if box.same is None]
    ops = whole.ops if whole else sum(box.kind == "op" for box in first)
    learned = whole.parameters if whole else sum(box.size for box in first if box.kind == "parameter")
    found = [counted(n, what) for n, what in ((ops, "operation"), (learned, "parameter")) if n]
    return [*found, *([cleaned(", ".join(view.dtypes), LINE)] if view.dtypes else [])]


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
    what = "✗ first nan or inf" if box.first else "✗ nan or inf"
    if box.bad and box.kind == "folded":
        return f"{what} is in here"
    if box.bad:
        count = f": {box.value.bad:,} of its entries" if box.value is not None and box.value.bad else ""
        return what + count
    return "✗ from nan or inf" if box.tainted else ""


def used(box: Box) -> str:
    """How many ops use a leaf, if there are several."""
    return f"used by {box.uses} ops" if box.uses > 1 else ""


def extras(box: Box, show: Collection[str]) -> list[tuple[str, bool]]:
    """What `show` asks for, line by line, and whether it is about the gradient."""
    found = []
    if "histogram" in show:
        found += [(_bars(box.value), False)] if box.value and box.value.counts else []
        found += [(_bars(box.grad), True)] if box.grad and box.grad.counts else []
    if "bytes" in show and box.nbytes:
        found.append((memory(box.nbytes), False))
    if "saved" in show and box.saved:
        found.append((f"saved: {', '.join(f'{name} {memory(n)}' for name, n in box.saved)}", False))
    if "time" in show and box.seconds is not None:
        back = "" if box.back_seconds is None else f", {duration(box.back_seconds)} back"
        found.append((f"{duration(box.seconds)}{back}", False))
    if "source" in show and box.place:
        found.append((f"{box.place}  {box.code}", False))
    return found


def _bars(summary: Summary) -> str:
    return f"{size(summary.low)} {bars(summary.counts)} {size(summary.high)}"


def group_title(group: Group) -> str:
    """The heading of a group: its name, how often it comes, and what stands beside it."""
    times = f"× {group.count}" if group.count > 1 and "×" not in group.label else ""
    label = cleaned(group.label, LINE).strip() or group.kind
    return "  ".join(filter(None, [label, times, cleaned(group.detail, LINE)]))
