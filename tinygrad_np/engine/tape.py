"""The tape: the nodes an output came from, in the order they were born.

A node holds arrays and other nodes, never tensors, so there are no reference cycles: memory goes
when the last reference goes.  Each node carries a running number, and an input is always born
before its output, so sorting by that number is all the topological order anyone needs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

import numpy as np

births = count(1)

SMALL = 256
"""Nodes hold on to values and gradients of up to so many entries, so that pictures can show them."""

# True, False, or a Watcher: the one piece of state, local to the context (thread, task).
recording: ContextVar[Any] = ContextVar("tinygrad_np.recording", default=True)

# Whether a function under checkpoint runs once more: what it changed besides its result, it has changed already.
running_again: ContextVar[bool] = ContextVar("tinygrad_np.running_again", default=False)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block (or inside the decorated function).

    >>> import numpy as np, tinygrad_np as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


class Owner(weakref.ref):
    """A weak reference to the tensor of a node, for those that want its gradient."""

    hooks: dict[int, Any] | None = None  # by birth number: what sees the gradient, or changes it
    retains = True  # whether the tensor gets the gradient as its .grad
    accumulated = False  # whether that .grad is the sum over several backward passes
    changed = 0  # the birth number that was next when the array of the tensor was last written into


def written(tensor: Any) -> None:
    """Note that the array of a leaf was written into, so that no rule takes its numbers for those that it was given."""
    if tensor.node is not None and tensor.node.owner is not None:
        tensor.node.owner.changed = next(births)


class Node:
    """One entry of the tape: what was computed, from which nodes, and what its rule kept.

    `inputs` holds a Node per array input, or the plain number where the input was one.
    `kept` is the tuple of arrays that the rule names; None once a backward pass has used it up.
    `shape` and `dtype` are those of the result (tuples of them for an op with several results).
    `owner` refers to the tensor that wants the gradient: of a leaf, after retain_grad(), or to its hooks.
    `trace` is what watchers noted, such as debug mode.
    `value` is the result where it is small, for pictures (of a large leaf a weak reference), and `cotangent` what
    backward() brought: the array where it is small, else its root mean square, a float.

    >>> import tinygrad_np as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> node = (x * 3.0).node
    >>> node.op_name, node.inputs[0].name, node.inputs[1], node.shape
    ('multiply', 'x', 3.0, (2,))
    """

    __slots__ = (
        "__weakref__", "born", "cotangent", "dtype", "inputs", "kept", "meta", "name", "owner",
        "requires_grad", "rule", "shape", "trace", "value",
    )  # fmt: skip

    born: int
    rule: Any
    inputs: tuple[Any, ...]
    kept: tuple[Any, ...] | None
    meta: Any
    shape: Any
    dtype: Any
    name: str | None
    owner: Owner | None
    requires_grad: bool
    trace: Any
    value: Any
    cotangent: Any

    @property
    def is_leaf(self) -> bool:
        """True where no op made this value: a parameter or data."""
        return self.rule is None

    @property
    def op_name(self) -> str:
        """The op that made this value, or what kind of leaf it is."""
        if self.rule is not None:
            return self.rule.op.name
        return "parameter" if self.requires_grad else "constant"

    def __repr__(self) -> str:
        return f"Node({self.describe()})"

    def describe(self) -> str:
        """The op with its result's shape, and where it was recorded if a watcher noted it."""
        name = f" {self.name!r}" if self.name else ""
        return f"`{self.op_name}`{name} of shape {self.shape}" + str(self.trace or "")


def held(array: Any) -> Any:
    """A small array as a node holds on to it: of a view a copy, for what lies behind may be large, or change."""
    if type(array) is not np.ndarray or array.size > SMALL:
        return None
    return array if array.base is None else array.copy()


def leaf(array: np.ndarray, requires_grad: bool = False, name: str | None = None) -> Node:
    """A node that no op made."""
    node = Node()
    node.born = next(births)
    node.rule = node.meta = node.owner = node.trace = node.cotangent = node.value = None
    node.inputs = node.kept = ()
    node.shape, node.dtype = array.shape, array.dtype
    node.requires_grad, node.name = requires_grad, name
    if type(array) is not np.ndarray:
        return node
    if array.size <= SMALL:
        node.value = array if array.base is None else array.copy()
    else:
        # To find the data again while its user has it, without keeping it for him.
        node.value = weakref.ref(array)
    return node


def ancestors(roots: Iterable[Node], since: int = 0, until: Collection[Node] = ()) -> list[Node]:
    """The nodes that `roots` came from, themselves included, oldest first.

    Nodes born before `since` are left out, with all that lies behind them; so is what lies behind `until`.
    """
    found = {id(node): node for node in roots}
    stack = list(found.values())
    while stack:
        reached = stack.pop()
        if reached in until:
            continue
        for node in reached.inputs:
            # A plain number among the inputs has no node.
            if type(node) is Node and id(node) not in found and node.born >= since:
                found[id(node)] = node
                stack.append(node)
    return sorted(found.values(), key=lambda node: node.born)


class _Projection:
    """The rule of a node that stands for one result of an op with several; `meta` says which."""

    name = "result"
    keep = ()
    wanted = (0,)

    @property
    def op(self) -> _Projection:
        return self


PROJECTION = _Projection()


class Tape:
    """The record behind a tensor: iterable, indexable, printable; entries oldest first.

    Iterating gives the `Node` of each entry; `print(tape)` shows one line per entry with its op,
    inputs, shape, dtype, which of its inputs (by the names in the op's signature) or `out` are
    kept for the backward pass, and the name that the user gave.

    >>> import tinygrad_np as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> print(tg.tape((w * w).sum()))
     #  op         inputs  shape  dtype    kept  name
     0  parameter          (2,)   float64        w
     1  multiply   w w     (2,)   float64  x y
     2  sum        %1      ()     float64
    """

    def __init__(self, roots: Iterable[Node]) -> None:
        self.nodes = ancestors(roots)
        self._index = {node.born: i for i, node in enumerate(self.nodes)}

    def filter(
        self,
        op: str | None = None,
        name: str | None = None,
        leaves: bool | None = None,
        requires_grad: bool | None = None,
        where: Callable[[Node], bool] | None = None,
    ) -> Tape:
        """The entries that meet all conditions, as a tape that keeps their numbers.

        `op` and `name` are patterns (`"log*"`), `leaves` and `requires_grad` True or False, `where` any
        function of a `Node`.

        >>> import tinygrad_np as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> print(tg.tape((w * w).sum()).filter(op="mul*"))
         #  op        inputs  shape  dtype    kept  name
         1  multiply  w w     (2,)   float64  x y
        >>> [node.name for node in tg.tape((w * w).sum()).filter(leaves=True)]
        ['w']
        """
        tests = [
            (op, lambda node: fnmatchcase(node.op_name, op or "")),
            (name, lambda node: fnmatchcase(node.name or "", name or "")),
            (leaves, lambda node: node.is_leaf is leaves),
            (requires_grad, lambda node: node.requires_grad is requires_grad),
            (where, lambda node: bool(where and where(node))),
        ]
        asked = [test for condition, test in tests if condition is not None]
        found = Tape([])
        found.nodes = [node for node in self.nodes if all(test(node) for test in asked)]
        found._index = self._index
        return found

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def label(self, value: Any) -> str:
        """What an input is called on this tape: its name, `%` and its line, or the number."""
        if not isinstance(value, Node):
            return f"{value:g}" if isinstance(value, float) else str(value)
        return value.name or f"%{self._index[value.born]}"

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [(" #", "op", "inputs", "shape", "dtype", "kept", "name")]
        rows += [self._row(self._index[node.born], node) for node in self.nodes]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def _row(self, i: int, node: Node) -> tuple[str, ...]:
        inputs = " ".join(self.label(value) for value in node.inputs)
        if node.kept is None:
            kept = "(freed)"
        else:
            kept = " ".join(node.rule.keep) if node.rule else ""
        return (f"{i:2d}", node.op_name, inputs, str(node.shape), str(node.dtype), kept, node.name or "")

    __repr__ = __str__
