"""The right line of NumPy for a gradient, in the names and the layout of the user."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ...engine.tape import Node
from .layers import Activation, label_nodes, probabilities
from .names import Names, transposed
from .network import Network, Use

SLOPES = {"sigmoid": "{a} * (1 - {a})", "tanh": "(1 - {a}**2)", "relu": "({z} > 0)"}


def right_line(
    node: Node, network: Network, names: Names, activations: Sequence[Activation], m_times: bool
) -> str | None:
    """The line that computes the gradient of a node; None where it is not of a kind that has one.

    `m_times` says that the user's intermediate gradients are m times autograd's: 1/m then comes with the
    parameters.
    """
    if node is network.output:
        line = _at_output(network, names, activations, m_times)
        if line:
            return line
    for activation in activations:
        if node is activation.before:
            return _through(activation, network, names)
    uses = [use for use in network.uses(node) if not _is_penalty(use)]
    if len(uses) != 1:
        return None
    line = _sum(node, uses[0], names) if uses[0].kind == "sum" else _product(uses[0], names)
    return f"{line} / m" if line and m_times and node.is_leaf else line


def _is_penalty(use: Use) -> bool:
    return use.node.shape == ()


def gradient_name(node: Node, names: Names, guess: Node | None = None) -> str:
    """The name of the gradient that arrives at a layer's result, from the names around it if it has none."""
    found = names.gradient(node)
    if found:
        return found
    for user in names.network.users[node]:
        # W @ X has no name, and W @ X + b has.
        if user.op_name == "add" and user.shape == node.shape and names.gradient(user):
            return str(names.gradient(user))
    name = names.known(guess) if guess is not None else None
    digits = "".join(c for c in name or "" if c.isdigit())
    return f"dZ{digits}"


def _sum(node: Node, use: Use, names: Names) -> str:
    arriving = gradient_name(use.node, names, node)
    sign = "-" if use.node.op_name == "subtract" and use.side == 1 else ""
    if not node.shape:
        return f"{sign}{arriving}.sum()"
    kept = len(node.shape) == len(use.node.shape)
    axis = use.batch[0] if len(use.batch) == 1 else use.batch
    return f"{sign}{arriving}.sum(axis={axis}{', keepdims=True' if kept else ''})"


def _product(use: Use, names: Names) -> str | None:
    other = names.known(use.other) if use.other is not None else None
    if other is None or use.kind != "product" or len(use.other.shape) > 2:  # type: ignore[union-attr]
        return None
    arriving = gradient_name(use.node, names, use.other if use.other and not use.other.is_leaf else None)
    if arriving == "dZ":
        arriving = gradient_name(use.node, names, use.node.inputs[use.side])
    # (W X)ᵀ = Xᵀ Wᵀ: the gradient of a transposed operand is the transposed gradient.
    if use.flipped:
        return f"{other} @ {arriving}.T" if use.side == 0 else f"{arriving}.T @ {other}"
    return f"{arriving} @ {transposed(other)}" if use.side == 0 else f"{transposed(other)} @ {arriving}"


def _through(activation: Activation, network: Network, names: Names) -> str | None:
    slope = SLOPES.get(activation.kind)
    a, z = names.known(activation.after), names.known(activation.before)
    if slope is None or (("{a}" in slope and a is None) or ("{z}" in slope and z is None)):
        return None
    arriving = names.keys.get(activation.after)
    if arriving is None:
        uses = network.uses(activation.after)
        line = _product(uses[0], names) if len(uses) == 1 and uses[0].kind == "product" else None
        arriving = f"({line})" if line else f"d{a}" if a else None
    return None if arriving is None else f"{arriving} * {slope.format(a=a, z=z)}"


def _at_output(network: Network, names: Names, activations: Sequence[Activation], m_times: bool) -> str | None:
    """A - Y, where that is what softmax or sigmoid with their cross-entropies give."""
    assert network.output is not None
    ends = [probabilities(network), *(x.after for x in activations if x.before is network.output)]
    labels = [(node, network.values[node]) for node in label_nodes(network)]
    for end, (node, y) in product([end for end in ends if end is not None], labels):
        a, name = names.known(end), names.known(node)
        difference = (network.values[end] - y) / (network.samples or 1) if y.shape == end.shape else None
        if a and name and difference is not None and np.allclose(difference, network.gradients[network.output]):
            return f"{a} - {name}" if m_times else f"({a} - {name}) / m"
    return None
