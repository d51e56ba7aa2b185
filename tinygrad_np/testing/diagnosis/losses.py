"""Patterns of the gradient at the output: that of another loss, of softmax as if it were diagonal, of other labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from ...engine.tape import Node
from .case import Case, Finding, best
from .layers import class_axis, probabilities, sigmoid, softmax, targets, with_shifted_labels
from .network import Network


def other_loss(case: Case) -> Finding | None:
    """The gradient of another loss than the one recorded."""
    output = case.network.output
    if output is None:
        return None
    if _behind_output(case):
        return best(_losses(case, output, known_losses(case.network)))
    if case.node.shape == output.shape:
        return best(_losses(case, case.node, known_losses_of(case.network, case.network.values[case.node])))
    return None


def _behind_output(case: Case) -> bool:
    return case.node is case.network.output or case.network.output in case.network.reached_by(case.node)


def _losses(case: Case, at: Node, known: Sequence[tuple[str, np.ndarray]]) -> Iterator[Finding | None]:
    for title, g in known:
        if not np.allclose(g, case.network.gradients[at], rtol=1e-6, atol=0):
            text = f"this is the gradient of another loss than the one recorded: of {title}."
            yield case.finding("other_loss", text, case.with_gradient(at, g), at=at)


def known_losses_of(network: Network, p: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The gradients of well-known losses at the predictions themselves, each with its name."""
    m, found = network.samples or 1, []
    for y in targets(network):
        found += _squares("the predictions", p, y, m, lambda g: g)
        found.append(("the cross-entropy, -y / p over m", -y / p / m))
        found.append(("the binary cross-entropy, over m", (p - y) / (p * (1 - p)) / m))
    return found


def known_losses(network: Network) -> list[tuple[str, np.ndarray]]:
    """The gradients of well-known losses at the output, before its activation, each with its name."""
    return [found for y in targets(network) for found in _of_labels(network, y)]


def _of_labels(network: Network, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
    axis, m = class_axis(network), network.samples or 1
    assert network.output is not None
    z = network.values[network.output]
    s = sigmoid(z)
    found = [("the cross-entropy of a sigmoid, p - y over m", (s - y) / m)]
    found += _squares("a sigmoid", s, y, m, lambda g: g * s * (1 - s))
    t = np.tanh(z)
    found += _squares("tanh", t, y, m, lambda g: g * (1 - t * t))
    found += _squares("the output without activation", z, y, m, lambda g: g)
    if axis is not None and z.shape[axis] > 1:
        p = softmax(z, axis)
        jacobian = lambda g: p * (g - (g * p).sum(axis=axis, keepdims=True))
        found.append(("the cross-entropy of softmax, p - y over m", (p - y) / m))
        found += _squares("softmax", p, y, m, jacobian)
        found.append(("the binary cross-entropy of softmax's probabilities", jacobian((p - y) / (p * (1 - p))) / m))
    return found


def _squares(title, p, y, m, pull):  # type: ignore[no-untyped-def]
    """The squared errors in use: the mean over all entries, over samples, and its half."""
    squared = f"the squared error of {title}"
    return [
        (f"{squared}, mean over all entries", pull(2 * (p - y) / p.size)),
        (f"{squared}, summed over outputs", pull(2 * (p - y) / m)),
        (f"half {squared}, summed over outputs", pull((p - y) / m)),
    ]


def diagonal_softmax(case: Case) -> Finding | None:
    """p(1 - p) taken for the whole derivative of softmax."""
    output, axis = case.network.output, class_axis(case.network)
    if output is None or axis is None or output.shape[axis] < 2 or not _behind_output(case):
        return None
    p = softmax(case.network.values[output], axis)
    name = case.names.known(probabilities(case.network) or output) or "p"
    text = (
        f"softmax is treated as if each output depended only on its own logit, {name} * (1 - {name}): that is the "
        "diagonal of its Jacobian, and the rest is missing."
    )
    candidates = [case.with_gradient(output, g) for g in _through_diagonal(case, p)]
    return best(case.finding("diagonal_softmax", text, candidate, at=output) for candidate in candidates)


def _through_diagonal(case: Case, p: np.ndarray) -> Iterator[np.ndarray]:
    node, slope = probabilities(case.network), p * (1 - p)
    if node is not None:
        yield case.arriving(node) * slope
    for y in targets(case.network):
        m = case.network.samples or 1
        yield -y * (1 - p) / m
        yield (p - y) * slope / m


# -- labels -----------------------------------------------------------------------------------------


def label_off_by_one(case: Case) -> Finding | None:
    """The one-hot 1 is in the place of another class."""
    return best([_rolled(case, by, wrap) for by, wrap in product((1, -1), (True, False))]) or _moved_ones(case)


def _rolled(case: Case, by: int, wrap: bool) -> Finding | None:
    output = case.network.output
    again = with_shifted_labels(case.network, by, wrap)
    if again is None or output is None:
        return None
    at = output if _behind_output(case) else case.node
    g = again.gradients()[at]
    text = (
        f"the labels are off by one: each sample is compared with class {'k + 1' if by > 0 else 'k - 1'} instead of k."
    )
    return case.finding("label_off_by_one", text, case.with_gradient(at, g), at=at)


def _moved_ones(case: Case) -> Finding | None:
    """At the output itself: each wrong sample differs by one -1 and one +1, at its two classes."""
    axis = class_axis(case.network)
    if case.node is not case.network.output or axis is None or case.hand.shape != case.right.shape:
        return None
    for scale in case.scales:
        change = np.moveaxis((case.hand / scale - case.right) * (case.network.samples or 1), axis, -1)
        wrong = np.abs(change).max(axis=-1) > 1e-6
        rows = change[wrong]
        ones = np.sort(rows, axis=-1)
        expected = np.zeros(rows.shape[1:])
        expected[0], expected[-1] = -1, 1
        if len(rows) and len(expected) > 1 and np.allclose(ones, expected, atol=1e-6):
            first = np.flatnonzero(wrong)[0]
            text = (
                f"the labels of {len(rows)} of {wrong.size} samples are another class's: sample {first} is taken for "
                f"class {rows[0].argmin()} instead of {rows[0].argmax()}."
            )
            return Finding("label_off_by_one", text, case.line)
    return None
