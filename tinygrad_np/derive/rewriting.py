"""Variables put in the place of what they are defined as, and the other way round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ..engine.door import rebuilt
from .expressions import (
    Atom,
    Call,
    Expr,
    Group,
    Monomial,
    Variable,
    add,
    expression,
    factored,
    multiply,
    power,
    scale,
    simplified,
)
from .functions import built_by

Replace = Callable[[Atom], Expr | None]


def rewritten(x: Expr, replace: Replace) -> Expr:
    """`x` with what `replace` gives for an atom in its place, also inside of others."""
    total = Expr({}, x.shape, x.dtype)
    for monomial, c in x.terms.items():
        term = Expr({frozenset(): c}, x.shape, x.dtype)
        for atom, e in sorted(monomial, key=lambda entry: entry[0].serial):
            term = multiply(term, power(_rewritten_atom(atom, replace), e))
        total = add(total, term)
    return Expr(total.terms, x.shape, x.dtype)


def _rewritten_atom(atom: Atom, replace: Replace) -> Expr:
    found = replace(atom)
    if found is not None:
        return found
    if isinstance(atom, Group):
        return rewritten(atom.inside, replace)
    if not isinstance(atom, Call) or not any(True for _ in atom.parts()):
        return expression(atom)
    args = _rewritten_value(atom.args, replace)
    options = _rewritten_value(atom.options, replace)
    if args == atom.args and options == atom.options:
        return expression(atom)
    like = np.broadcast_to(np.zeros((), atom.dtype), atom.shape)
    built = built_by(atom.function, like, args, options) if atom.index is None else None
    if built is not None:
        return Expr(built.terms, atom.shape, atom.dtype)
    fresh = Call(atom.function, args, options, like, atom.index)
    return replace(fresh) or expression(fresh)


def _rewritten_value(value: Any, replace: Replace) -> Any:
    if isinstance(value, Expr):
        return simplified(rewritten(value, replace))
    if isinstance(value, dict):
        return {key: _rewritten_value(v, replace) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return rebuilt(value, [_rewritten_value(v, replace) for v in value])
    return value


def inlined(x: Expr, definitions: Mapping[Variable, Expr]) -> Expr:
    """`x` with variables written out."""
    if not any(atom in definitions for atom in x.atoms()):
        return x
    return simplified(rewritten(x, lambda atom: definitions.get(atom)))  # type: ignore[call-overload]


class Definitions:
    """What variables of the forward pass are, to find them again in a gradient."""

    def __init__(self) -> None:
        self._calls: dict[Atom, Variable] = {}
        # By the youngest factor: of a long derivation only few are to be looked at.
        self._products: dict[Atom, list[tuple[Monomial, Any, Variable]]] = {}

    def define(self, variable: Variable) -> None:
        """Find this variable where its definition stands."""
        definition = variable.definition
        if definition is None or not definition.terms:
            return
        if isinstance(definition.atom, Call):
            self._calls.setdefault(definition.atom, variable)
        elif definition.number is None:
            monomial, c = factored(definition)
            if len(monomial) > 1 or any(isinstance(a, Group) for a, _ in monomial):
                youngest = max((a for a, _ in monomial), key=lambda a: a.serial)
                self._products.setdefault(youngest, []).insert(0, (monomial, c, variable))

    def folded(self, x: Expr) -> Expr:
        """`x` with the variables in place of their definitions."""
        x = rewritten(x, self._call)
        terms = Expr({}, x.shape, x.dtype)
        for monomial, c in x.terms.items():
            terms = add(terms, self._product(monomial, c, x))
        return Expr(terms.terms, x.shape, x.dtype)

    def _call(self, atom: Atom) -> Expr | None:
        found = self._calls.get(atom)
        return None if found is None else expression(found)

    def _product(self, monomial: Monomial, c: Any, x: Expr) -> Expr:
        for pattern, d, variable in [entry for a, _ in monomial for entry in self._products.get(a, ())]:
            times = _contained(pattern, monomial)
            if times and variable.shape == np.broadcast_shapes(*[a.shape for a, _ in pattern]):
                rest = multiply(
                    Expr({monomial: c}, x.shape, x.dtype),
                    power(Expr({pattern: Fraction(1)}, variable.shape, variable.dtype), Fraction(-times)),
                )
                found = multiply(rest, power(expression(variable), Fraction(times)))
                return Expr(scale(found, 1 / d**times).terms, x.shape, x.dtype)
        return Expr({monomial: c}, x.shape, x.dtype)


def _contained(pattern: Monomial, monomial: Monomial) -> int:
    """How often a product is in another; negative for its inverse."""
    powers = dict(monomial)
    ratios = [powers.get(a, Fraction(0)) / e for a, e in pattern]
    least = min(ratios, key=abs)
    if least == 0 or any((r > 0) != (least > 0) for r in ratios):
        return 0
    return int(least)
