"""Folding: each closed group of a View as one box, and the arrows in and out of it put together."""

from __future__ import annotations

from dataclasses import replace

from .parts import Arrow, Box, Group, View
from .words import counted


def folded(view: View) -> View:
    """What is to be drawn of `view`: closed groups are boxes of kind "folded", and what is inside is gone.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np.graph.view import view
    >>> x = tg.Tensor(1.0, requires_grad=True)
    >>> for _ in range(100):
    ...     x = x * 1.01 + 1
    >>> [box.text for box in folded(view(x)).boxes]
    ['', 'multiply *', 'add +', '× 99 more', '']
    """
    outermost = outermost_closed(view.groups)
    boxes: list[Box | int] = []
    shown: dict[int, int] = {}
    made: dict[int, int] = {}
    content: dict[int, list[Box]] = {}
    total = max((box.id for box in view.boxes), default=0) + 1
    for box in view.boxes:
        group = outermost[box.group]
        if group is None:
            shown[box.id] = box.id
            boxes.append(box)
            continue
        if group not in made:
            made[group], content[group] = total + len(made), []
            boxes.append(group)
        shown[box.id] = made[group]
        content[group].append(box)
    groups = [group for group in view.groups if outermost[group.id] is None]
    hidden = [view.groups[group] for group in made]
    notes = (*view.notes, *_note(hidden, view.groups[0].ops if view.groups else 0))
    drawn = [box if isinstance(box, Box) else _folded_box(made[box], view.groups[box], content[box]) for box in boxes]
    return replace(view, notes=notes, boxes=drawn, arrows=_merged(view.arrows, shown), groups=groups)


def _note(hidden: list[Group], ops: int) -> list[str]:
    """What was folded, in one line."""
    if not hidden:
        return []
    names = [group.detail if group.kind == "more" else group.label for group in hidden]
    names = list(dict.fromkeys(names))
    few = [*names[:3], "…"] if len(names) > 3 else names
    folded = sum(group.ops for group in hidden)
    return [f"folded: {folded:,} of {ops:,} operations ({', '.join(few)})"]


def outermost_closed(groups: list[Group]) -> list[int | None]:
    """For each group, the outermost closed group that it is in or is itself."""
    found: list[int | None] = []
    for group in groups:
        above = found[group.parent] if group.id else None
        found.append(group.id if above is None and group.closed else above)
    return found


def _folded_box(id: int, group: Group, boxes: list[Box]) -> Box:
    bad = any(box.bad for box in boxes)
    tainted = not bad and any(box.tainted for box in boxes)
    return Box(id, "folded", text=group.label, details=inside(group), group=group.parent, size=group.parameters,
               bad=bad, first=all(box.first for box in boxes), tainted=tainted, backward=boxes[0].backward)  # fmt: skip


def inside(group: Group) -> tuple[str, ...]:
    """What is in a group, in words: what the user says of it, and how much it is."""
    counts = [(group.ops, "operation"), (group.parameters, "parameter")]
    words = ", ".join(counted(n, what) for n, what in counts if n)
    return tuple(line for line in (group.detail, words) if line)


def _merged(arrows: list[Arrow], shown: dict[int, int]) -> list[Arrow]:
    """The arrows between what is drawn; those into or out of one folded box as one."""
    found: dict[tuple, Arrow] = {}
    for i, arrow in enumerate(arrows):
        source, target = shown[arrow.source], shown[arrow.target]
        if source == target:
            continue
        # What is said at an end stays where that end is drawn itself.
        part = arrow.part if source == arrow.source else ""
        role = arrow.role if target == arrow.target else ""
        whole = source == arrow.source and target == arrow.target
        key = (source, target, part, role, i if whole else None)
        moved = replace(arrow, source=source, target=target, part=part, role=role)
        found[key] = _together(found[key], moved) if key in found else moved
    return list(found.values())


def _together(a: Arrow, b: Arrow) -> Arrow:
    alike = (a.shape, a.dtype) == (b.shape, b.dtype)
    return replace(
        a, shape=a.shape if alike else None, dtype=a.dtype if alike else "", count=a.count + b.count,
        rms=a.rms if alike and a.rms == b.rms else None, needs_grad=a.needs_grad or b.needs_grad,
    )  # fmt: skip
