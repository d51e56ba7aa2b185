"""A derivation as a function to read and to run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np

from .expressions import Call, Variable
from .helpers import HELPERS, NEEDED
from .lines import Line, Lines, variables
from .shown import conditions, latex_block, table, to_html

WIDTH = 40
"""The column where comments begin, if lines are no longer."""
WIDEST = 96
"""Longer lines are broken."""


class Derivation:
    """The backpropagation of a loss, written out.

    `print` shows each line of the backward pass with the rule of calculus that it is; a notebook its formula too.
    `source` is a module with the functions `forward` and `backward`; `backward_lines` are the lines of the latter.
    `run()` runs it on the numbers of the tape and gives the loss and a dict of gradients, by the names of parameters.
    """

    def __init__(self, lines: Lines) -> None:
        self.lines: Lines = lines
        self.forward_lines: list[Line] = lines.forward
        self.backward_lines: list[Line] = lines.backward

    @property
    def parameters(self) -> list[str]:
        """The names of what requires grad."""
        return [v.name for v in self.lines.inputs if not v.is_data]

    @cached_property
    def source(self) -> str:
        """The text of a module with `forward` and `backward`, and the functions they need."""
        helpers, lines = self._helpers(), [*self.forward_lines, *self.backward_lines]
        imports = "import numpy as np"
        if any(re.search(r"\bmath\.", text) for text in [*helpers, *(line.text for line in lines)]):
            imports = "import math\n\n" + imports
        if any("sliding_window_view" in line.text for line in self.forward_lines):
            imports += "\nfrom numpy.lib.stride_tricks import sliding_window_view"
        if any("scipy.special." in line.text for line in lines):
            imports += "\nimport scipy.special"
        parts = [imports, *helpers, self._forward(), self._backward()]
        return "\n\n\n".join(parts) + "\n"

    def to_latex(self, forward: bool = False) -> str:
        """The backward pass, and the forward pass before it, as an `align*` block of LaTeX."""
        return latex_block(self.lines, forward)

    def to_html(self, graph: str | None = None) -> str:
        """A table of lines, shapes, rules and formulas; each rule a link into the page `graph` of `tg.draw`."""
        return to_html(self.lines, graph)

    def __str__(self) -> str:
        return table(self.lines)

    def _repr_html_(self) -> str:
        return self.to_html()

    # -- the text -----------------------------------------------------------------------------

    def _helpers(self) -> list[str]:
        calls = [a for line in [*self.forward_lines, *self.backward_lines] for a in line.expr.atoms()]
        used = [a.function for a in calls if isinstance(a, Call) and a.function in HELPERS]
        with_needed = dict.fromkeys(function for f in used for function in (*NEEDED[f], f))
        return [HELPERS[function] for function in with_needed]

    def _forward(self) -> str:
        given = _listed(self.lines.inputs)
        body = [*self._size(self.forward_lines), *self._facts(), *_commented(self.forward_lines)]
        result = f"return {self.forward_lines[-1].name}"
        cache = [v.name for v in self._cache()]
        return _function("forward", given, body, f"{result}, ({_listing(cache)})")

    def _backward(self) -> str:
        inputs = [v for v in self.lines.inputs if v in set(variables(x.expr for x in self.backward_lines))]
        size = self._size(self.backward_lines)
        if size and self.lines.size is not None:
            # The data that m is read off, although the backward pass does not need it else.
            inputs = [v for v in self.lines.inputs if v in inputs or v is self.lines.size[0]]
        cache = [v.name for v in self._cache()]
        body = [f"{_listing(cache)} = cache"] if cache else []
        body += [*size, *_commented(self.backward_lines)]
        gradients = ", ".join(f'"{line.name}": {line.name}' for line in self.backward_lines if line.step.node.is_leaf)
        return _function("backward", [*_listed(inputs), "cache"], body, f"return {{{gradients}}}")

    def _cache(self) -> list[Variable]:
        """What the backward pass needs of the forward pass."""
        used = set(variables(line.expr for line in self.backward_lines))
        return [line.step.variable for line in self.forward_lines if line.step.variable in used]

    def _size(self, lines: Iterable[Line]) -> list[str]:
        m = self.lines.reading.m
        if m is None or not any(line.uses_m for line in lines):
            return []
        place = str(m.value)
        if self.lines.size is not None:
            data, axis = self.lines.size
            place = f"{data.name}.shape[{axis}]"
        return [f"m = {place}".ljust(WIDTH) + f"  # {m.value}"]

    def _facts(self) -> list[str]:
        return [f"# {sentence}" for sentence in conditions(self.lines)]

    # -- running ------------------------------------------------------------------------------

    @cached_property
    def _module(self) -> dict[str, Any]:
        scope: dict[str, Any] = {}
        exec(compile(self.source, "<derivation>", "exec"), scope)
        return scope

    @property
    def forward(self) -> Callable[..., Any]:
        """The function of the source: `loss, cache = forward(...)`."""
        return self._module["forward"]

    @property
    def backward(self) -> Callable[..., Any]:
        """The function of the source: `gradients = backward(..., cache)`."""
        return self._module["backward"]

    def run(self) -> tuple[Any, dict[str, np.ndarray]]:
        """The loss and the gradients, by running the source on the numbers of the tape."""
        arrays = {v.name: v.value for v in self.lines.inputs}
        loss, cache = self.forward(**arrays)
        names = self.backward.__code__.co_varnames[: self.backward.__code__.co_argcount - 1]
        gradients = self.backward(*[arrays[name] for name in names], cache)
        return loss, {name[1:]: np.asarray(g) for name, g in gradients.items()}


def _listed(given: Iterable[Variable]) -> list[str]:
    """Data first, then parameters."""
    ordered = sorted(given, key=lambda v: not v.is_data)
    return [v.name for v in ordered]


def _listing(names: list[str]) -> str:
    return f"{names[0]}," if len(names) == 1 else ", ".join(names)


def _function(name: str, arguments: list[str], body: list[str], result: str) -> str:
    lines = [f"def {name}({', '.join(arguments)}):", *(f"    {line}" for line in [*body, result])]
    return "\n".join(lines)


def _commented(lines: Iterable[Line]) -> list[str]:
    """Lines of code with the shape as a comment; long sums with a line for each term."""
    text: list[str] = []
    for line in lines:
        whole = f"{line.name} = {line.text}"
        if len(whole) > WIDEST:
            first, *rest = broken(line.text)
            text += [f"{line.name} = {first}", *(f"    {part}" for part in rest[:-1])] if rest else []
            whole = rest[-1] if rest else whole
        text.append(whole.ljust(WIDTH) + f"  # {line.shape}")
    return text


def broken(text: str) -> list[str]:
    """A long text in lines, after the commas and before the signs that are outside of inner parentheses."""
    if text.endswith(")") and "(" in text and _closes(text, text.index("(")) == len(text) - 1:
        at = text.index("(")
        pieces = _pieces(text[at + 1 : -1], ", ")
        return [text[: at + 1], *(f"{piece}," for piece in pieces), ")"] if len(pieces) > 1 else [text]
    end = _closes(text, 0) if text.startswith("(") else -1
    inside = [piece.strip() for piece in _pieces(text[1:end], " + ", " - ")]
    if end > 0 and len(inside) > 1:
        # A sum that is divided, or multiplied.
        return ["(", *inside, text[end:]]
    pieces = _pieces(text, " + ", " - ")
    return ["(", *(piece.strip() for piece in pieces), ")"] if len(pieces) > 1 else [text]


def _closes(text: str, at: int) -> int:
    """Where the parenthesis at a place is closed."""
    depth = 0
    for i in range(at, len(text)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[i], 0)
        if depth == 0:
            return i
    return -1


def _pieces(text: str, *separators: str) -> list[str]:
    """`text` cut before each separator that is in no parentheses; commas fall away."""
    pieces, depth, begin = [], 0, 0
    for i, letter in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if depth == 0 and i > begin and any(text.startswith(s, i) for s in separators):
            pieces.append(text[begin:i])
            begin = i + 2 if separators == (", ",) else i
    return [*pieces, text[begin:]]
