"""Inspection: every value, gradient, time and source line of what is recorded, for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .door import bare
from .profile import Profile, measuring
from .tape import PROJECTION, Node
from .walk import fit
from .watch import caller, trace_of, watching


class Inspection(Profile):
    """Notes on each node what a picture can show of it."""

    _arguments: tuple = ()

    def recorded(self, node: Node, out: Any) -> None:
        """Note the value, the line of the program, and the time it took."""
        super().recorded(node, out)
        trace = trace_of(node)
        trace.line, trace.value = caller(), out
        if node.rule is PROJECTION:
            return
        # The function of a checkpoint is no op.
        trace.seconds = None if node.rule.op.kind == "function" else self.latest
        for x, argument in zip(node.inputs, self._arguments, strict=False):
            if isinstance(x, Node) and x.is_leaf:
                trace_of(x).value = argument
        self._arguments = ()

    def ran(self, args: tuple) -> None:
        """Keep the arguments until the op is recorded: data that nothing else holds is shown too."""
        self._arguments = args

    def pulling(self, node: Node, g: Any) -> None:
        """Note the gradient that came back."""
        trace_of(node).gradient = _copied(g)
        super().pulling(node, g)

    def pulled(self, node: Node, wanted: tuple[int, ...], gradients: tuple) -> None:
        """Note what goes on to each input, and the time of the rule."""
        super().pulled(node, wanted, gradients)
        trace = trace_of(node)
        trace.back_seconds = self.latest
        # Copies, for the walk adds what comes from elsewhere into these arrays.
        trace.gradients = {i: fit(bare(d), node.inputs[i]).copy() for i, d in zip(wanted, gradients, strict=True)}

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        """Note the gradients of leaves, also where they are returned and not put into .grad."""
        super().walked(roots, found)
        for node, gradient in found.items():
            trace_of(node).gradient = _copied(gradient)


def _copied(g: Any) -> Any:
    """A gradient that nobody writes into later; none of an op with several results."""
    return None if isinstance(g, list) else bare(g).copy()


@contextmanager
def inspect() -> Iterator[None]:
    """Note what pictures can show beyond the graph: every value and gradient, times, lines of the program.

    Slower, and what is recorded inside the block keeps all its arrays: for looking at one step, not for
    training.

    >>> import numpy as np, tinygrad_np as tg
    >>> x = tg.Tensor([1.0, 4.0], requires_grad=True, name="x")
    >>> with tg.inspect():
    ...     y = np.sum(np.sqrt(x) * 3)
    ...     y.backward()
    >>> [box.value.text for box in tg.draw(y).view.boxes if box.value]
    ['[1 4]', '[1 2]', '[3 6]', '9']
    """
    with watching(Inspection) as inspection, measuring(inspection):
        yield
