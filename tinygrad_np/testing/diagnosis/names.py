"""The user's names: which gradient is of which node, and what he calls the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from ...engine.tape import Node
from ...engine.tensor import Tensor
from ...errors import AutogradError, DtypeError
from .network import Network

PREFIXES = ("d", "d_", "grad_", "g_", "dL_d", "dL_", "delta_", "g")
"""What people put before a name for the gradient of it."""


class Names:
    """What the user calls the nodes of a tape, and the gradients of them.

    `nodes` is by name: of the tensors that he gave, or that are named on the tape.  `keys` is what he calls
    the gradient of a node.
    """

    def __init__(self, network: Network, tensors: Mapping[str, Any] | None) -> None:
        self.network = network
        self.nodes = _on_tape(network, tensors)
        self.by_node = {node: name for name, node in reversed(self.nodes.items())}
        self.arrays = {name: _plain(value) for name, value in (tensors or {}).items() if _is_plain(value)}
        self.tensors = dict(tensors or {})
        self.keys: dict[Node, str] = {}

    def of(self, node: Node) -> str:
        """The name of a node; for those without one, how it was made."""
        return self.known(node) or f"the result of `{node.op_name}` of shape {node.shape}"

    def known(self, node: Node) -> str | None:
        """The name of a node, also of data that the user has under a name, or has transposed; None without."""
        if node in self.by_node:
            return self.by_node[node]
        if node.name:
            return node.name
        if node.op_name == "transpose" and node.inputs[0] in self.by_node:
            return transposed(self.by_node[node.inputs[0]])
        return self._data(self.network.values.get(node)) if node.is_leaf else None

    def _data(self, value: Any) -> str | None:
        if value is None or not value.ndim:
            return None
        same = [name for name, array in self.arrays.items() if _equal(array, value)]
        turned = [transposed(name) for name, array in self.arrays.items() if value.ndim == 2 and _equal(array.T, value)]
        return next(iter([*same, *turned]), None)

    def gradient(self, node: Node) -> str | None:
        """What the user calls the gradient of a node, or would."""
        if node in self.keys:
            return self.keys[node]
        name = self.known(node)
        return None if name is None else f"d{name}"

    def find(self, key: str) -> Node:
        """The node that a gradient of this name is of: "dW1", "grad_W1" or "W1" for the tensor W1."""
        for name in (key, *(key.removeprefix(p) for p in PREFIXES if key.startswith(p))):
            if name in self.nodes:
                return self.nodes[name]
        raise AutogradError(self._unknown(key))

    def _unknown(self, key: str) -> str:
        for name in (key, *(key.removeprefix(p) for p in PREFIXES if key.startswith(p))):
            if isinstance(self.tensors.get(name), Tensor):
                return _not_on_tape(name, self.tensors[name])
        close = get_close_matches(key.removeprefix("d"), self.nodes, 2, 0.5) or []
        hint = f"  Did you mean {' or '.join(f'd{name}' for name in close)}?" if close else ""
        there = ", ".join(self.nodes) or 'none: name tensors with Tensor(..., name="W1") or give them in `tensors`'
        return (
            f"there is a gradient {key!r}, and no tensor to compare it with.  Tensors with names here: {there}.{hint}  "
            "Name the gradient after its tensor, d and then the name, or give the tensor in `tensors`, a dict by name."
        )


def transposed(name: str) -> str:
    """The name of the transpose.

    >>> transposed("X"), transposed("X.T")
    ('X.T', 'X')
    """
    return name.removesuffix(".T") if name.endswith(".T") else f"{name}.T"


def _plain(value: Any) -> np.ndarray:
    return value.data if isinstance(value, Tensor) else value


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad
    return isinstance(value, np.ndarray) and value.dtype != object


def _on_tape(network: Network, tensors: Mapping[str, Any] | None) -> dict[str, Node]:
    """Nodes of the tape that require grad, by the name of the tensor given or of the tape."""
    tape = set(network.nodes)
    given = {
        name: value.node for name, value in (tensors or {}).items() if isinstance(value, Tensor) and value.node in tape
    }
    named: dict[str, Node] = {}
    for node in network.nodes:
        # The last of several with one name, such as h in a loop, is not the one that everybody means.
        if node.name and node.name not in given:
            if node.name in named and tensors is None:
                named.pop(node.name)
            else:
                named[node.name] = node
    return {name: node for name, node in {**given, **named}.items() if node.requires_grad}


def _not_on_tape(name: str, tensor: Tensor) -> str:
    if not tensor.requires_grad:
        return (
            f"{tensor.describe()}, given as {name!r}, does not require grad, so autograd has no gradient to compare "
            "with.  Make it with Tensor(..., requires_grad=True) and record the loss again."
        )
    return (
        f"{tensor.describe()}, given as {name!r}, is not on the tape of this loss: the loss does not depend on it, or "
        "it was computed again after the loss.  Give the very tensors that the loss was computed from."
    )


def hand_written(hand: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The user's gradients as arrays; Tensors, lists and numbers are fine."""
    return {str(name): _numbers(str(name), value) for name, value in hand.items() if name != "loss"}


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value.data if isinstance(value, Tensor) else value)
    except ValueError as error:
        raise DtypeError(f"the gradient {name!r} is not one array: {error}  Make all rows equally long.") from None
    if array.dtype.kind not in "fciub":
        what = "None" if value is None else f"an array of dtype {array.dtype} and shape {array.shape}"
        raise DtypeError(
            f"the gradient {name!r} is {what}, and has to be numbers.  Give an array of floats of the shape of its "
            "tensor; np.asarray(x, float) says where the other things are."
        )
    return array


def names_of(items: Iterable[str]) -> str:
    """Names in a sentence.

    >>> names_of(["dW1"]), names_of(["dW1", "db1", "dZ1"])
    ('dW1', 'dW1, db1 and dZ1')
    """
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
