"""Why a hand-written gradient is wrong: patterns of mistakes, each a small function from a Case to a Finding.

The order matters.  What comes first explains without doubt, and what explains every digit goes before what
needs a constant factor besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import activations, kinks, losses, permutations, places, ratios, shapes, updates
from .case import Case, Finding, equal, proportion

Pattern = Callable[[Case], Finding | None]

SHAPES: Sequence[Pattern] = (
    shapes.summed_over_everything, shapes.transposed_shape, shapes.keepdims, shapes.wrong_axis, shapes.not_reduced,
    shapes.broadcast_to_square,
)  # fmt: skip
"""For gradients of another shape."""

GROUPS: Sequence[Sequence[Pattern]] = (
    (places.not_finite,),
    (
        ratios.sign, ratios.batch_factor, ratios.entry_mean, ratios.factor_two, ratios.full_data_factor,
        ratios.accumulated,
    ),
    (kinks.kink_convention, places.all_zero),
    (
        permutations.transposed, permutations.reshaped,
        activations.activation_missing, activations.activation_twice, activations.derivative_at_activation,
        activations.activation_formula_at_z, activations.wrong_layer,
        losses.label_off_by_one, updates.weight_decay, losses.other_loss, losses.diagonal_softmax,
        updates.updated_weights, shapes.wrong_axis,
    ),
    (updates.changed_in_place,),
    (places.broadcast_back, places.some_rows),
)  # fmt: skip
"""For gradients of the right shape: the first group that explains anything is the answer."""


def diagnose(case: Case) -> list[Finding]:
    """The mistakes that explain a gradient, at most two; what fits no pattern is described."""
    if case.hand.shape != case.right.shape:
        return _of_other_shape(case)
    # The other patterns know real layers only.
    groups = GROUPS[:2] if np.iscomplexobj(case.hand) or np.iscomplexobj(case.right) else GROUPS
    for group in groups:
        found = _found(group, case)
        exact = [finding for finding in found if not finding.factor]
        if found:
            return (exact or found)[:2]
    return [unknown(case)]


def _found(patterns: Sequence[Pattern], case: Case) -> list[Finding]:
    with np.errstate(all="ignore"):
        found = (pattern(case) for pattern in patterns)
        return [finding for finding in found if finding is not None]


def _of_other_shape(case: Case) -> list[Finding]:
    found = _found(SHAPES, case)
    # A sum over an axis of length 1 is none: these two cannot be told apart there.
    alike = [finding for finding in found if finding.mistake in ("wrong_axis", "not_reduced")]
    if found:
        return alike[:2] if found[0] in alike else found[:1]
    text = f"{shapes.instead(case)}: a gradient has the shape of what it is the gradient of.  No known pattern."
    return [Finding("unknown", text, case.line)]


def unknown(case: Case) -> Finding:
    """What can be said of a gradient that fits no pattern: where, which direction, which length."""
    # In the user's own convention of 1/m: that it is m times autograd's is nothing to wonder at.
    hand = case.hand / (1.0 if case.node.is_leaf else case.scale)
    return Finding("unknown", f"no known pattern: {_described(hand, case)}", case.line)


def _described(hand: np.ndarray, case: Case) -> str:
    right = case.right
    lengths = float(np.linalg.norm(hand)), float(np.linalg.norm(right))
    if not lengths[1]:
        return f"the right one is 0, this one has norm {lengths[0]:.3g}."
    if np.iscomplexobj(hand) and equal(hand, right.conj(), case.tolerance):
        return "it is the complex conjugate of the right one."
    c = proportion(hand, right, case.tolerance)
    if c is not None and hand.size > 1:
        return f"it is {_number(c)} times the right one, everywhere{_meaning(c, case)}."
    cosine = float(np.vdot(right, hand).real) / (lengths[0] * lengths[1]) if lengths[0] else 0.0
    where = _where(hand, case)
    return f"{where} wrong; cosine to the right one {cosine:.4f}, norm {lengths[0] / lengths[1]:.4g} times its norm."


def _meaning(c: float, case: Case) -> str:
    """What the factor is as well: a number of the user's, such as a learning rate, or a count that is too small."""
    for name, value in case.data.items():
        if isinstance(value, float) and value and abs(abs(c) - abs(value)) < 1e-6 * abs(value):
            return f", and {name} is {value:g}"
    m = case.network.samples or 1
    count = m / c
    if 1 < count < m and abs(count - round(count)) < 1e-6 * count:
        return f", as if divided by {round(count)} where the batch holds {m} samples"
    return ""


def _number(c: float) -> str:
    """A factor, as the root of a whole number where it is one: attention divides by those."""
    for square, text in ((c * c, "{}sqrt({})"), (1 / (c * c), "{}1/sqrt({})")):
        whole = round(square)
        if 2 <= whole <= 10_000 and abs(square - whole) < 1e-5 * whole and round(whole**0.5) ** 2 != whole:
            return text.format("-" if c < 0 else "", whole)
    return f"{c:.5g}"


def _where(hand: np.ndarray, case: Case) -> str:
    wrong = np.abs(hand - case.right) > case.tolerance * np.max(np.abs(case.right))
    if not hand.ndim:
        return "it is"
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    shown = ", ".join(str(int(i)) for i in rows[:6]) + (" ..." if len(rows) > 6 else "")
    return f"{int(wrong.sum())} of {wrong.size} entries (rows {shown}) are"
