"""From the steps of a derivation to the lines that are printed: which variables it takes, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .derivation import Reading, Step
from .expressions import Expr, Variable, cost
from .rewriting import inlined
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
        self.inputs = list(reading.inputs)
        self.by_user = {reading.names.of(node) for node in reading.names.by_user} | set(reading.names.arrays)

    def _line(self, step: Step, x: Expr) -> Line:
        asked: list[int] = []

        def word(n: int) -> str | None:
            if self.size is None or n != self.size[1]:
                return None
            asked.append(n)
            return "m"

        return Line(step.variable.name, Text(word).array(x), x, step, bool(asked))

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
    results = sorted((s for s in steps if s.node.is_leaf), key=lambda s: s.node.born)
    ordered: list[Step] = []
    known: set[Variable] = set()
    gradients = {s.variable for s in steps}
    for step in [None, *(s for s in steps if not s.node.is_leaf)]:
        if step is not None:
            ordered.append(step)
            known.add(step.variable)
        ready = [s for s in results if all(v in known or v not in gradients for v in variables([s.expr]))]
        ordered += ready
        results = [s for s in results if s not in ready]
    return ordered


def variables(expressions: Iterable[Expr], every: bool = False) -> Iterable[Variable]:
    """The variables in expressions; each as often as it occurs, if `every`."""
    found = [atom for x in expressions for atom in x.atoms() if isinstance(atom, Variable)]
    return found if every else dict.fromkeys(found)


def _batch_size(reading: Reading) -> tuple[str, int] | None:
    """How many samples there are, and where that can be read: the size that data has and no parameter."""
    learned = {n for v in reading.inputs if not v.is_data for n in v.shape}
    found: dict[int, str] = {}
    for variable in reading.inputs:
        for axis, n in enumerate(variable.shape):
            if variable.is_data and n > 1 and n not in learned:
                found.setdefault(n, f"{variable.name}.shape[{axis}]")
    return next(((place, n) for n, place in found.items()), None) if len(found) == 1 else None
