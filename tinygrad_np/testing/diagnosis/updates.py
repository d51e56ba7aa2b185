"""Patterns of what was done to the parameters or the arrays meanwhile."""

from __future__ import annotations

import numpy as np

from ...engine.tape import Node
from .case import Case, Finding, equal, proportion
from .network import Gradients, Rule


def updated_weights(case: Case) -> Finding | None:
    """The backward pass used weights that a training step had moved already."""
    products = _weights_on_the_way(case)
    if case.hand.shape != case.right.shape or case.hand.size < 2 or not products:
        return None
    choices = [[pair] for pair in products] + ([products] if len(products) > 1 else [])
    return next((found for choice in choices if (found := _updated(case, choice))), None)


def _weights_on_the_way(case: Case) -> list[tuple[Node, Node]]:
    """Products that the gradient comes through by way of a weight: the product, and the weight."""
    reached = case.network.reached_by(case.node) | {case.node}
    found = []
    for node in case.network.parameters:
        for use in case.network.uses(node):
            if use.kind == "product" and use.other in reached and len(node.shape) == len(use.node.shape) == 2:
                found.append((use.node, node))
    return found


def _updated(case: Case, choice: list[tuple[Node, Node]]) -> Finding | None:
    """Fit the learning rate; the gradient is a polynomial of it, of degree one for one weight."""
    for scale in case.scales:
        change = case.hand / scale - case.right
        rate = 0.0
        for _ in range(1 if len(choice) == 1 else 6):
            moved = case.with_rules(_with_rate(case, choice, rate))
            slope = (case.with_rules(_with_rate(case, choice, rate + 1e-6)) - moved) / 1e-6
            squares = float(np.vdot(slope, slope))
            if not squares:
                return None
            rate += float(np.vdot(slope, case.right + change - moved)) / squares
        candidate = case.with_rules(_with_rate(case, choice, rate))
        # The change is a small part of the gradient: it must itself be explained, not only the sum.
        if rate > 0 and equal(change, candidate - case.right, 1e3 * case.tolerance) and case.agrees(candidate):
            names = ", ".join(case.names.of(weight) for _, weight in choice)
            text = (
                f"{names} had been updated already (learning rate {rate:.4g}) when this was computed from it.  Compute "
                "all gradients first, then update."
            )
            return Finding("updated_weights", text, case.line)
    return None


def _with_rate(case: Case, choice: list[tuple[Node, Node]], rate: float) -> dict[Node, Rule]:
    return {node: _moved_rule(case, node, weight, rate) for node, weight in choice}


def _moved_rule(case: Case, node: Node, weight: Node, rate: float) -> Rule:
    """The rule of a product whose weight is `rate` times its gradient further on."""
    change = -rate * case.hands.get(weight, case.network.gradients[weight])
    use = next(u for u in case.network.uses(weight) if u.node is node)
    delta = change.T if use.flipped else change
    mine: Node = node.inputs[1 - use.side]

    def rule(g: np.ndarray) -> Gradients:
        step = case.network.step(node, g)
        return {**step, mine: step[mine] + (delta.T @ g if use.side == 0 else g @ delta.T)}

    return rule


def weight_decay(case: Case) -> Finding | None:
    """A multiple of the parameter too much, or too little."""
    if not case.node.is_leaf or case.hand.shape != case.right.shape or case.hand.size < 2:
        return None
    change, value = case.hand - case.right, case.network.values[case.node]
    c = proportion(change, value, 1e3 * case.tolerance)
    # Where the right one is a multiple of the parameter itself, every other multiple would be a decay.
    if c is None or proportion(case.right, value, 1e3 * case.tolerance) is not None:
        return None
    text = (
        f"{abs(c):.4g} * {case.of} is {'too much' if c > 0 else 'missing'}: a weight decay "
        f"{'that the loss does not have' if c > 0 else 'that the loss has'}."
    )
    sign = "-" if c > 0 else "+"
    return Finding("weight_decay", text, f"{case.name} {sign} {abs(c):.7g} * {case.of}")


def changed_in_place(case: Case) -> Finding | None:
    """An array that the loss was computed with holds other numbers now."""
    changed = [name for name, value in case.names.tensors.items() if _is_other(case, name, value)]
    changed += _other_data(case)
    if not changed:
        return None
    text = (
        f"{', '.join(changed)} {'do' if len(changed) > 1 else 'does'} not hold the numbers any more that the loss was "
        "computed with: something writes into it, such as Z[Z < 0] = 0 in a derivative.  Work on a copy."
    )
    return Finding("changed_in_place", text, case.line)


def _is_other(case: Case, name: str, value: object) -> bool:
    """Whether a value that the user gave differs from what the tape says it was."""
    node = case.names.nodes.get(name)
    array = getattr(value, "data", value) if not isinstance(value, np.ndarray) else value
    if node is None or not isinstance(array, np.ndarray) or array.shape != node.shape or array.dtype.kind not in "fc":
        return False
    return not equal(array.astype(float), case.network.values[node], 10 * case.tolerance)


def _other_data(case: Case) -> list[str]:
    """Data of the user that the loss did not use, beside data of the same shape that the user has not."""
    arrays = case.names.arrays
    leaves = [node for node in case.network.nodes if node.is_leaf and not node.requires_grad and len(node.shape) > 1]
    known = {(case.names.known(node) or "").removesuffix(".T") for node in leaves}
    strange = {tuple(sorted(node.shape)) for node in leaves if not case.names.known(node)}
    return [name for name, value in arrays.items() if name not in known and tuple(sorted(value.shape)) in strange]
