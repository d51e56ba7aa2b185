"""Why the user's own loss is another number than the recorded one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...engine.tape import Node
from ..tolerance import tolerance
from .case import Finding
from .factors import named_factors
from .layers import after_output, class_axis, shifted_losses, sigmoid, softmax, targets
from .names import Names
from .network import Network, sources


def same_loss(a: float, b: float, network: Network) -> bool:
    """Whether two losses agree, as far as the dtype of the tape allows."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= _tolerance(network) * max(abs(a), abs(b), 1e-12)


def _tolerance(network: Network) -> float:
    return tolerance(network.root.dtype).rtol


def changed_data(network: Network, names: Names) -> Finding | None:
    """The loss computed again from what the tensors hold is another one: something wrote into them."""
    recorded, again = float(network.loss.item()), float(network.values[network.root].item())
    if same_loss(again, recorded, network):
        return None
    suspects = _changed_leaves(network, names)
    text = (
        f"{' or '.join(suspects) or 'a tensor'} does not hold the numbers any more that the loss was computed with (it "
        f"was {recorded:.6g}, and is {again:.6g} with the numbers of now): something writes into the array, such as an "
        "update with -=, or Z[Z < 0] = 0 in a derivative.  Work on copies, and update after comparing."
    )
    return Finding("changed_in_place", text)


def _changed_leaves(network: Network, names: Names) -> list[str]:
    """The inputs of the oldest node that would be another one now."""
    for node in network.nodes:
        recorded = node.value if isinstance(node.value, np.ndarray) else None
        again = network.values.get(node)
        if node.is_leaf or recorded is None or again is None or recorded.shape != again.shape:
            continue
        if not np.allclose(again, recorded, rtol=_tolerance(network), equal_nan=True):
            return [name for name in map(names.known, sources(node)) if name]
    return []


def other_value(yours: float, network: Network) -> Finding:
    """The likeliest reason for another loss."""
    recorded = float(network.loss.item())
    text = f"your loss is {yours:.6g}, the recorded one {recorded:.6g}"
    if not math.isfinite(yours):
        return Finding("not_finite", f"{text}: the logarithm of 0, 0 * inf or an overflow.{_extreme(network)}")
    factor = (
        next(iter(named_factors(yours / recorded, network, (1.0,), {}, _tolerance(network))), None)
        if recorded
        else None
    )
    if factor:
        return Finding(factor.mistake, f"{text}: it is {factor.words}.")
    for mistake, words, value in _others(network):
        if same_loss(yours, value, network):
            return Finding(mistake, f"{text}: {words}.")
    return Finding("unknown", f"{text}, {yours / recorded if recorded else math.inf:.4g} times it: no known pattern.")


def _extreme(network: Network) -> str:
    """How far the output reaches, where that overflows or rounds to 0 or 1."""
    if network.output is None:
        return ""
    top = float(np.max(np.abs(network.values[network.output]), initial=0.0))
    limit = np.log(np.finfo(network.output.dtype).max)
    return f"  The last layer's output reaches {top:.3g}; exp overflows at {limit:.0f}."


def _others(network: Network) -> Iterator[tuple[str, str, float]]:
    yield from (
        ("label_off_by_one", "that is with labels that are off by one class", v) for v in shifted_losses(network)
    )
    for y in targets(network):
        for title, p in _predictions(network):
            for name, terms in _terms(p, y):
                for over, value in (
                    (" over the samples", np.sum(terms) / (network.samples or 1)),
                    ("", np.mean(terms)),
                ):
                    yield (
                        "other_loss",
                        f"that is the {name} of {title}, mean{over or ' over all entries'}",
                        float(value),
                    )
            yield from _squared_up(p, y, network)


def _squared_up(p: np.ndarray, y: np.ndarray, network: Network) -> Iterator[tuple[str, str, float]]:
    m = network.samples or 1
    if p.size != m:
        return
    words = f"labels of shape ({m},) and predictions of shape ({m}, 1) were broadcast to ({m}, {m})"
    for _, terms in _terms(p.reshape(m, 1), y.reshape(1, m)):
        yield "broadcast_to_square", words, float(np.sum(terms) / m)
        yield "broadcast_to_square", words, float(np.mean(terms))


def _predictions(network: Network) -> list[tuple[str, np.ndarray]]:
    assert network.output is not None
    z, axis = network.values[network.output], class_axis(network)
    found = [("a sigmoid", sigmoid(z)), ("tanh", np.tanh(z)), ("the output itself", z)]
    if axis is not None and z.shape[axis] > 1:
        found.append(("softmax", softmax(z, axis)))
    named: list[Node] = [node for node in after_output(network) if node.name and node.shape == z.shape]
    return found + [(str(node.name), network.values[node]) for node in named]


def _terms(p: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [
        ("squared error", (p - y) ** 2),
        ("half squared error", (p - y) ** 2 / 2),
        ("absolute error", np.abs(p - y)),
        ("cross-entropy", -np.where(y == 0, 0, y * np.log(p))),
        ("binary cross-entropy", -np.where(y == 0, 0, y * np.log(p)) - np.where(y == 1, 0, (1 - y) * np.log(1 - p))),
    ]
