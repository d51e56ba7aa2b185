"""The first nan or inf of a graph, and what it spoiled."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from .parts import Arrow, Box

UNKNOWN = "most values are gone after backward(): record inside tg.inspect() to see where the first nan or inf arose"


def faults(boxes: list[Box], arrows: list[Arrow]) -> tuple[list[Box], tuple[str, ...]]:
    """The boxes with the first bad one marked, and those it spoiled; and what cannot be said, and why.

    Numbers that are infinite on purpose, such as a mask of -inf, are none: the result is finite then.
    """
    answer = boxes[-1].value
    suspects = [box for box in boxes if box.value is not None and box.value.bad]
    on_purpose = answer is not None and not answer.bad
    suspects = [box for box in suspects if box.value and (box.value.nans or not on_purpose)]
    if suspects:
        return _marked(boxes, suspects[0].id, _spoiled(boxes, arrows, suspects[0].id)), _doubts(boxes, suspects[0])
    first = _first_bad_gradient(boxes, arrows)
    if first is None:
        return boxes, ()
    bad = {arrow.source for arrow in arrows if arrow.rms is not None and not math.isfinite(arrow.rms)}
    return _marked(boxes, first, bad, "its rule gave the first nan or inf of the backward pass"), ()


def _marked(boxes: list[Box], first: int, spoiled: set[int], detail: str = "") -> list[Box]:
    return [
        replace(
            box,
            bad=box.id == first,
            tainted=box.id != first and box.id in spoiled,
            details=(*box.details, detail) if detail and box.id == first else box.details,
        )
        for box in boxes
    ]


def _spoiled(boxes: list[Box], arrows: list[Arrow], first: int) -> set[int]:
    """What is computed from the first bad box, as far as it is not known to be finite."""
    targets: dict[int, list[int]] = defaultdict(list)
    for arrow in arrows:
        targets[arrow.source].append(arrow.target)
    sound = {box.id for box in boxes if box.value is not None and not box.value.bad}
    found: set[int] = set()
    waiting = list(targets[first])
    while waiting:
        at = waiting.pop()
        if at not in found and at not in sound:
            found.add(at)
            waiting.extend(targets[at])
    return found


def _doubts(boxes: list[Box], first: Box) -> tuple[str, ...]:
    """Whether an earlier box may have been bad already."""
    # The box of an op with several results has no value of its own.
    earlier = any(box.kind == "op" and box.dtype and box.value is None for box in boxes[: first.id])
    return (UNKNOWN,) if earlier else ()


def _first_bad_gradient(boxes: list[Box], arrows: list[Arrow]) -> int | None:
    """The op whose rule gave the first bad gradient: the newest with a bad arrow into it."""
    bad = [arrow.target for arrow in arrows if arrow.rms is not None and not math.isfinite(arrow.rms)]
    return max(bad, default=None)
