"""The first nan or inf of a graph, and what it spoiled."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from ..parts import Arrow, Box

UNKNOWN = "not all values are kept: record inside tg.inspect() to see where the first nan or inf arose"


def faults(boxes: list[Box], arrows: list[Arrow]) -> tuple[list[Box], tuple[str, ...]]:
    """The boxes with the first bad one marked, and those it spoiled; and what cannot be said, and why.

    Numbers that are infinite on purpose, such as a mask of -inf, are none: what is computed from them is finite.
    """
    targets: dict[int, list[int]] = defaultdict(list)
    for arrow in arrows:
        targets[arrow.source].append(arrow.target)
    suspects = _suspects(boxes, targets)
    # What the forward pass spoils is no fault of the backward pass.
    suspects = [box for box in suspects if not box.backward] or suspects
    if suspects:
        first = suspects[0]
        sure = not _doubtful(boxes, first)
        marked = _marked(boxes, first.id, _spoiled(boxes, targets, first.id), sure=sure)
        return marked, () if sure else (UNKNOWN,)
    newest = _first_bad_gradient(arrows)
    if newest is None:
        return boxes, ()
    bad = {arrow.source for arrow in arrows if arrow.rms is not None and not math.isfinite(arrow.rms)}
    return _marked(boxes, newest, bad, "its rule gave the first nan or inf of the backward pass"), ()


def _suspects(boxes: list[Box], targets: dict[int, list[int]]) -> list[Box]:
    """The boxes with a nan, or with an inf that is not made finite later on."""
    harmful: dict[int, bool] = {}
    for box in reversed(boxes):
        value = box.value
        if value is not None and not value.bad:
            harmful[box.id] = False
        elif box.kind == "result":
            harmful[box.id] = value is not None
        else:
            harmful[box.id] = bool(value and value.nans) or any(harmful[target] for target in targets[box.id])
    return [box for box in boxes if box.value is not None and box.value.bad and harmful[box.id]]


def _marked(boxes: list[Box], first: int, spoiled: set[int], detail: str = "", sure: bool = True) -> list[Box]:
    return [
        replace(
            box,
            bad=box.id == first,
            first=sure or box.id != first,
            tainted=box.id != first and box.id in spoiled,
            details=(*box.details, detail) if detail and box.id == first else box.details,
        )
        for box in boxes
    ]


def _spoiled(boxes: list[Box], targets: dict[int, list[int]], first: int) -> set[int]:
    """What is computed from the first bad box, as far as it is not known to be finite."""
    sound = {box.id for box in boxes if box.value is not None and not box.value.bad}
    found: set[int] = set()
    waiting = list(targets[first])
    while waiting:
        at = waiting.pop()
        if at not in found and at not in sound:
            found.add(at)
            waiting.extend(targets[at])
    return found


def _doubtful(boxes: list[Box], first: Box) -> bool:
    """Whether an earlier box may have been bad already."""
    # The box of an op with several results has no value of its own.
    unknown = [box for box in boxes[: first.id] if box.value is None and box.kind != "result"]
    return any(box.dtype.startswith(("float", "complex")) for box in unknown)


def _first_bad_gradient(arrows: list[Arrow]) -> int | None:
    """The op whose rule gave the first bad gradient: the newest with a bad arrow into it."""
    bad = [arrow.target for arrow in arrows if arrow.rms is not None and not math.isfinite(arrow.rms)]
    return max(bad, default=None)
