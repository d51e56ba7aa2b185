"""Patterns of corners: a gradient that is another choice there than autograd's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .activations import on_the_way, through
from .case import Case, Finding, best
from .layers import Activation, slope_at

ENTRIES = 40
"""So many wrong entries are looked at from both sides."""


def kink_convention(case: Case) -> Finding | None:
    """Another derivative where the loss has a corner, such as of relu at exactly 0."""
    kinks = [kink for x in on_the_way(case) if np.any(x.z == 0) and (kink := _kink(case, x))]
    found = best(_at_kinks(case, kinks, share) for share in (1.0, 0.0, 0.5)) if kinks else None
    return found or _between_sides(case)


class Kink(NamedTuple):
    """An activation that has entries at its corner, and its slopes to the left and to the right of it."""

    activation: Activation
    left: float
    right: float


def _kink(case: Case, activation: Activation) -> Kink | None:
    left, right = activation.slope[activation.z < 0], activation.slope[activation.z > 0]
    if not (left.size and right.size):
        # All is 0, as at weights of zero.  Not otherwise: where a mask is data, it does not move with z.
        left, right = (
            slope_at(case.network, activation, np.full(activation.z.shape, step))[activation.z == 0]
            for step in (-1e-3, 1e-3)
        )
    if np.ptp(left) or np.ptp(right) or abs(left[0] - right[0]) <= 0.01 * max(abs(left[0]), abs(right[0])):
        return None
    return Kink(activation, float(left[0]), float(right[0]))


def _at_kinks(case: Case, kinks: list[Kink], share: float) -> Finding | None:
    """The slope at 0 is a share of the slope to the right, and the rest of that to the left."""
    slopes = [np.where(x.z == 0, (1 - share) * left + share * right, x.slope) for x, left, right in kinks]
    rules = {kink.activation.after: through(kink.activation, slope) for kink, slope in zip(kinks, slopes, strict=True)}
    first = kinks[0].activation
    at_zero = np.argwhere(first.z == 0)
    taken, ours = (float(slope[tuple(at_zero[0])]) for slope in (slopes[0], first.slope))
    if taken == ours:
        return None
    places = f"{len(at_zero)} entries of {case.names.of(first.before)} are" if len(at_zero) > 1 else "one entry is"
    text = (
        f"{places} exactly 0, where the {first.kind or 'activation'} has no derivative: yours takes {taken:g} there, "
        f"autograd {ours:g}.  Both are in use."
    )
    return case.finding("kink_convention", text, case.with_rules(rules), at=first.before)


# -- any corner ---------------------------------------------------------------------------------------


def _between_sides(case: Case) -> Finding | None:
    """All wrong entries lie between the slopes to the left and to the right: of a maximum with ties, for instance."""
    hand = case.hand / (1.0 if case.node.is_leaf else case.scale)
    if hand.shape != case.right.shape or hand.dtype.kind == "c" or not np.all(np.isfinite(hand)):
        return None
    top = np.max(np.abs(case.right), initial=0.0) or np.max(np.abs(hand), initial=0.0)
    wrong = np.flatnonzero(np.abs(hand - case.right) > case.tolerance * top)
    sides = []
    for i in map(int, wrong[:ENTRIES]):
        left, right = sorted(_sides(case, i))
        margin = 1e-3 * max(abs(left), abs(right))
        if right - left <= margin or not left - margin <= hand.flat[i] <= right + margin:
            return None
        sides.append((left, right))
    if not sides:
        return None
    index = [int(n) for n in np.unravel_index(wrong[0], hand.shape)]
    text = (
        f"{case.of} is on a kink of the loss, at {len(wrong)} of {hand.size} entries: at {index} the slope is "
        f"{sides[0][0]:.4g} on one side and {sides[0][1]:.4g} on the other, yours takes {hand.flat[wrong[0]]:.4g}, "
        f"autograd {case.right.flat[wrong[0]]:.4g}.  Both are in use."
    )
    return Finding("kink_convention", text)


def _sides(case: Case, i: int) -> tuple[float, float]:
    """The slopes of the loss to the left and to the right along one entry; nearly the same where it is smooth."""
    value = case.network.values[case.node]
    h = 1e-6 * max(1.0, float(np.max(np.abs(value))))

    def at(step: float) -> float:
        moved = value.astype(float)
        moved.flat[i] += step
        return float(case.network.moved({case.node: moved}).result.item())

    here = at(0.0)
    return (here - at(-h)) / h, (at(h) - here) / h
