"""Patterns of gradients with the right numbers in other places, and of operands that were turned the wrong way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engine.tape import Node
from .case import Case, Finding, best, equal
from .network import Gradients, Use


def transposed(case: Case) -> Finding | None:
    """A square gradient transposed, or a square matrix that was not transposed on the way."""
    right = case.right
    if right.ndim == 2 and right.shape[0] == right.shape[1] and not equal(right, right.T, case.tolerance):
        text = "it is the transpose of the right one; being square, it raises no shape error."
        found = case.finding("transposed", text, right.T)
        if found:
            return found
    return best(_turned_wrong(case, "transposed"))


def reshaped(case: Case) -> Finding | None:
    """reshape where .T is meant, or rows in another order."""
    return best(
        [_reshape_of_right(case), *_turned_wrong(case, "reshaped"), _in_other_places(case), *_reshaped_before(case)]
    )


def _reshape_of_right(case: Case) -> Finding | None:
    right = case.right
    if right.ndim != 2 or min(right.shape) < 2:
        return None
    text = "it is a reshape of the transpose: reshape keeps the order of the numbers, .T turns rows into columns."
    found = case.finding("reshaped", text, right.T.reshape(right.shape))
    return found or case.finding("reshaped", text, right.reshape(right.shape[::-1]).T)


def _reshaped_before(case: Case) -> Iterator[Finding | None]:
    """The same done to the gradient of a layer that this one comes through."""
    for node in case.on_the_way:
        if len(node.shape) == 2 and min(node.shape) > 1:
            name = case.names.gradient(node) or "the gradient of a layer before"
            text = f"{name} is a reshape of its transpose, and this comes from it: reshape keeps the order of numbers."
            candidate = case.with_change(node, lambda g: g.T.reshape(g.shape))
            yield case.finding("reshaped", text, candidate, at=node)


def _in_other_places(case: Case) -> Finding | None:
    hand, right = case.hand.ravel(), case.right.ravel()
    if hand.shape != right.shape or hand.dtype.kind == "c":
        return None
    same = any(equal(np.sort(hand), np.sort(right * scale), case.tolerance) for scale in case.scales)
    if not same or np.ptp(right) <= 10 * case.tolerance * np.max(np.abs(right)):
        return None
    return Finding("reshaped", f"the right numbers, but in other places{_moved(case)}.", case.line)


def _moved(case: Case) -> str:
    """Which rows or columns changed places, if whole ones did."""
    for axis, what in ((0, "rows"), (1, "columns")):
        if case.right.ndim != 2 or case.right.shape[axis] > 200:
            continue
        hand, right = np.moveaxis(case.hand, axis, 0), np.moveaxis(case.right, axis, 0)
        order = [_place_of(row, right, case) for row in hand]
        if None not in order and len(set(order)) == len(order):
            return f": {what} {order[:12]}{' ...' if len(order) > 12 else ''} instead of 0, 1, 2 ..."
    return ""


def _place_of(row: np.ndarray, rows: np.ndarray, case: Case) -> int | None:
    near = [any(equal(row, r * s, 10 * case.tolerance) for s in case.scales) for r in rows]
    return int(np.argmax(near)) if any(near) else None


# -- operands of products on the way back ------------------------------------------------------------


def _turned_wrong(case: Case, mistake: str) -> Iterator[Finding | None]:
    """Products whose gradient used an operand as it is, or reshaped, instead of transposed."""
    reached = case.network.reached_by(case.node)
    for node in case.network.nodes:
        on_the_way = [i for i in node.inputs if i is case.node or i in reached]
        if node.op_name not in ("matmul", "dot") or len(node.shape) != 2 or not on_the_way:
            continue
        for side in (0, 1):
            mine, other = node.inputs[side], node.inputs[1 - side]
            if mine in on_the_way and len(other.shape) == 2:
                yield _with_operand(case, Use("product", node, other, side, False, ()), mine, mistake)


def _with_operand(case: Case, use: Use, mine: Node, mistake: str) -> Finding | None:
    value = case.network.values[use.other]  # type: ignore[index]
    square = value.shape[0] == value.shape[1]
    if mistake == "transposed" and not square:
        return None
    turned = value if mistake == "transposed" else value.reshape(value.shape[::-1])
    if equal(turned, value.T, case.tolerance):
        return None
    name = case.names.known(use.other) or "the other factor"  # type: ignore[arg-type]
    text = (
        f"{name} is used as it is, where its transpose belongs; being square, it raises no shape error."
        if mistake == "transposed"
        else f"{name}.reshape(...) is used where {name}.T is meant: reshape keeps the order of the numbers."
    )

    def rule(g: np.ndarray) -> Gradients:
        # The other factor keeps its gradient: a weight that is used at each step needs them all.
        return {**case.network.step(use.node, g), mine: g @ turned if use.side == 0 else turned @ g}

    candidate = case.with_rules({use.node: rule})
    return case.finding(mistake, text, candidate, at=mine)
