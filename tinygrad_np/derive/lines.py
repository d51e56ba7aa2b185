"""From the steps of a derivation to the lines that are printed: which variables it takes, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .derivation import Reading, Step
from .expressions import Expr, Variable, cost
from .rewriting import inlined
from .sizes import samples
from .text import Text

SHORT = 16
"""What is used once stands inside the line that uses it, if it costs no more to read than so many atoms."""


@dataclass(frozen=True)
class Line:
    """A line of a derivation: the name it defines, the text of NumPy, the expression, and the step it comes from."""

    name: str
    text: str
    expr: Expr
    step: Step
    uses_m: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what it defines."""
        return self.step.variable.shape


class Lines:
    """The forward and the backward pass as lines; `inputs` are what they start from, in the order of the tape."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        with samples(reading.m):
            self._write(reading)
        self.inputs = list(reading.inputs)
        self.unnamed = [v.name for v in reading.data.unnamed]

    def _write(self, reading: Reading) -> None:
        """The lines, with names for their variables."""
        self.kept = self._needed()
        forward = self._inlined(reading.forward)
        steps = [*(step for step, _ in forward), *reading.backward]
        # In the order of the forward pass, so that they are counted through it.
        for step in sorted(steps, key=lambda step: step.node.born):
            sign = "d" if step.variable.is_gradient else ""
            step.variable.name = f"{sign}{reading.names.of(step.node)}"
        self.size = _batch_size(reading)
        self.forward = [self._line(step, x) for step, x in forward]
        self.backward = [self._line(step, step.expr) for step in _ordered(reading.backward)]

    def _line(self, step: Step, x: Expr) -> Line:
        text = Text(self.reading.m)
        written = text.array(x)
        if step.node.is_leaf and x.number is not None and not x.shape and x.dtype != np.float64:
            written = f"np.{x.dtype}({written})"  # inside of a line, a number takes the dtype of the arrays there
        return Line(step.variable.name, written, x, step, text.used or self.reading.m in set(x.atoms()))

    def _needed(self) -> set[Variable]:
        """Steps of the forward pass that the backward pass uses, or that their user named."""
        used = set(variables(step.expr for step in self.reading.backward))
        named = {s.variable for s in self.reading.forward if s.node in self.reading.names.by_user}
        return used | named | {self.reading.variables[self.reading.root]}

    def _inlined(self, steps: list[Step]) -> list[tuple[Step, Expr]]:
        """The steps that remain, with the others written out in them."""
        uses = Counter(v for step in steps for v in variables([step.expr], every=True))
        away: dict[Variable, Expr] = {}
        remaining = []
        for step in steps:
            x = inlined(step.expr, away)
            short = cost(x) <= (SHORT if uses[step.variable] <= 1 else 1)
            if step.variable not in self.kept and short:
                away[step.variable] = x
            else:
                remaining.append((step, x))
        return remaining


def _ordered(steps: list[Step]) -> list[Step]:
    """The gradients of parameters right after what they are computed from, the weights of a layer before its bias."""
    place = {step.variable: i for i, step in enumerate(s for s in steps if not s.node.is_leaf)}

    def order(step: Step) -> tuple[int, int, int]:
        if not step.node.is_leaf:
            return place[step.variable], 0, 0
        return max((place[v] for v in variables([step.expr]) if v in place), default=-1), 1, step.node.born

    return sorted(steps, key=order)


def variables(expressions: Iterable[Expr], every: bool = False) -> Iterable[Variable]:
    """The variables in expressions; each as often as it occurs, if `every`."""
    found = [atom for x in expressions for atom in x.atoms() if isinstance(atom, Variable)]
    return found if every else dict.fromkeys(found)


def _batch_size(reading: Reading) -> tuple[Variable, int] | None:
    """Data whose length is the number of samples, and along which axis."""
    for variable in reading.inputs:
        for axis, n in enumerate(variable.shape):
            if reading.m is not None and variable.is_data and n == reading.m.value:
                return variable, axis
    return None
