"""Expressions: what a line of a derivation is made of, and the arithmetic that a person would do in the head.

An expression is a sum of terms.  A term is a number times powers of atoms, and an atom is a variable, a call of a
function, or a sum in parentheses.  So `a * b / b`, `x + x` and `-(-x)` need no rule: they are written down as `a`,
`2 * x` and `x` from the start.  A shape belongs to an expression, since `1` may stand for a whole array of ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

Coefficient = Fraction | float
Monomial = frozenset[tuple["Atom", Fraction]]
"""Powers of atoms; empty for a plain number."""
ONE: Monomial = frozenset()

serials = count()


class Atom:
    """What arithmetic does not look into; equal if it reads the same.

    `serial` counts atoms in the order they were made, which is a good one to read them in.
    """

    serial: int
    shape: tuple[int, ...]
    dtype: np.dtype
    key: tuple[Any, ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Atom) and self._hash == other._hash and self.key == other.key)

    def parts(self) -> Iterator[Expr]:
        """The expressions inside."""
        return iter(())


class Variable(Atom):
    """A name for an array: of an input, of a step of the forward pass, or of a gradient.

    `value` is an example of it; `definition` what it was computed as, None for inputs.  `is_data` says that it is
    given and not learned; then `facts` has the axes along which a derivation relied on sums of 1.
    """

    def __init__(
        self, name: str, value: np.ndarray, definition: Expr | None = None, is_input: bool = False,
        is_data: bool = False, is_gradient: bool = False, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.serial = next(serials)
        self.name, self.value, self.definition = name, value, definition
        self.is_input, self.is_data, self.is_gradient = is_input, is_data, is_gradient
        self.facts: set[tuple[int, ...]] = set()
        self.shape, self.dtype = value.shape, np.dtype(dtype or value.dtype)
        self.key = ("variable", self.serial)


class Constant(Atom):
    """An array of numbers that stands in the text itself."""

    def __init__(self, value: np.ndarray) -> None:
        self.serial = next(serials)
        self.value, self.shape, self.dtype = value, value.shape, value.dtype
        self.key = ("constant", value.shape, str(value.dtype), value.tobytes())


class Call(Atom):
    """A function of expressions; `index` says which of several results."""

    def __init__(
        self, function: Any, args: tuple, options: Mapping[str, Any], like: np.ndarray, index: int | None = None
    ) -> None:
        self.serial = next(serials)
        self.function, self.args, self.options, self.index = function, args, dict(options), index
        self.shape, self.dtype = like.shape, like.dtype
        self.key = ("call", function, _frozen(args), _frozen(self.options), index)

    def parts(self) -> Iterator[Expr]:
        """Its arguments that are expressions."""
        yield from _expressions((self.args, self.options))


class Group(Atom):
    """A sum in parentheses, as a factor."""

    def __init__(self, inside: Expr) -> None:
        self.serial = next(serials)
        self.inside, self.shape, self.dtype = inside, inside.natural_shape(), inside.dtype
        self.key = ("group", inside.key)

    def parts(self) -> Iterator[Expr]:
        """The sum."""
        yield self.inside


class Expr:
    """A sum of terms, of a shape and a dtype."""

    def __init__(self, terms: Mapping[Monomial, Coefficient], shape: tuple[int, ...], dtype: Any) -> None:
        self.terms = _ungrouped({monomial: c for monomial, c in terms.items() if c != 0})
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)

    @cached_property
    def key(self) -> tuple:
        """Equal for equal expressions, in whatever order their terms were added."""
        return (frozenset(self.terms.items()), self.shape)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.key == other.key

    @property
    def number(self) -> Coefficient | None:
        """The number that every entry is, if it is one."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(ONE) if len(self.terms) == 1 else None

    @property
    def atom(self) -> Atom | None:
        """The atom that this is, if it is nothing else."""
        if len(self.terms) != 1:
            return None
        ((monomial, c),) = self.terms.items()
        if c != 1 or len(monomial) != 1:
            return None
        ((atom, e),) = monomial
        return atom if e == 1 and atom.shape == self.shape else None

    def natural_shape(self) -> tuple[int, ...]:
        """The shape that the text has when it is computed."""
        return np.broadcast_shapes(*[atom.shape for monomial in self.terms for atom, _ in monomial])

    def atoms(self) -> Iterator[Atom]:
        """Every atom in it, also inside of others."""
        for monomial in self.terms:
            for atom, _ in monomial:
                yield atom
                for part in atom.parts():
                    yield from part.atoms()


def _ungrouped(terms: dict[Monomial, Coefficient]) -> dict[Monomial, Coefficient]:
    """A lone sum in parentheses without them."""
    if len(terms) != 1:
        return terms
    ((monomial, c),) = terms.items()
    if len(monomial) != 1:
        return terms
    ((atom, e),) = monomial
    return {m: c * d for m, d in atom.inside.terms.items()} if isinstance(atom, Group) and e == 1 else terms


def _frozen(value: Any) -> Any:
    """A hashable stand-in for the arguments of a call."""
    if isinstance(value, dict):
        return tuple((key, _frozen(v)) for key, v in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, slice):
        return ("slice", _frozen(value.start), _frozen(value.stop), _frozen(value.step))
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), value.tobytes())
    return value.key if isinstance(value, Expr) else (type(value).__name__, value)


def _expressions(value: Any) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, dict):
        yield from _expressions(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for v in value:
            yield from _expressions(v)


# -- making ---------------------------------------------------------------------------------------


def rational(number: Any) -> Coefficient:
    """A number as a fraction, if it is a plain one such as 1/7; else as it is."""
    number = float(number)
    if not np.isfinite(number):
        return number
    near = Fraction(number).limit_denominator(10**7)
    return near if abs(float(near) - number) <= 1e-15 * abs(number) else number


def number(value: Any, shape: tuple[int, ...] = (), dtype: Any = np.float64) -> Expr:
    """A number, as all entries of an array of this shape."""
    return Expr({ONE: rational(value)}, shape, dtype)


def expression(atom: Atom) -> Expr:
    """An atom as an expression."""
    return Expr({_only(atom): Fraction(1)}, atom.shape, atom.dtype)


def _only(atom: Atom, e: Fraction = Fraction(1)) -> Monomial:
    return frozenset([(atom, e)])


# -- arithmetic -----------------------------------------------------------------------------------


def add(*summands: Expr, signs: Iterable[int] = ()) -> Expr:
    """Their sum, like terms together."""
    terms: dict[Monomial, Coefficient] = {}
    for sign, summand in zip(list(signs) or [1] * len(summands), summands, strict=True):
        for monomial, c in summand.terms.items():
            terms[monomial] = terms.get(monomial, Fraction(0)) + sign * c
    return Expr(terms, np.broadcast_shapes(*[s.shape for s in summands]), np.result_type(*[s.dtype for s in summands]))


def scale(x: Expr, c: Coefficient) -> Expr:
    """A number times an expression."""
    return Expr({monomial: c * d for monomial, d in x.terms.items()}, x.shape, x.dtype)


def multiply(x: Expr, y: Expr) -> Expr:
    """Their product; a sum stays a factor in parentheses."""
    shape, dtype = np.broadcast_shapes(x.shape, y.shape), np.result_type(x.dtype, y.dtype)
    (m, c), (n, d) = factored(x), factored(y)
    return Expr({_merged(m, n): c * d}, shape, dtype) if c and d else Expr({}, shape, dtype)


def power(x: Expr, exponent: Fraction) -> Expr:
    """A power with a constant exponent; the square root of a square is left alone."""
    m, c = factored(x)
    whole = exponent.denominator == 1
    if not whole and m and not (len(m) == 1 and c == 1 and all(e == 1 or e.denominator > 1 for _, e in m)):
        m, c = _only(Group(x)), Fraction(1)
    if not c and exponent < 0:
        raise ZeroDivisionError("a power of zero")
    raised = c ** int(exponent) if whole else rational(float(c) ** float(exponent))
    return Expr({frozenset((a, e * exponent) for a, e in m): raised}, x.shape, x.dtype)


def factored(x: Expr) -> tuple[Monomial, Coefficient]:
    """As one term: with more than one, their common factors times the rest in parentheses."""
    if not x.terms:
        return ONE, Fraction(0)
    if len(x.terms) == 1:
        ((monomial, c),) = x.terms.items()
        return monomial, c
    common, c, rest = common_factors(x)
    return _merged(common, _only(Group(rest))), c


def common_factors(x: Expr) -> tuple[Monomial, Coefficient, Expr]:
    """Atoms and a number that divide every term, and what is left when they are taken out."""
    monomials = list(x.terms)
    shared = dict(monomials[0])
    for monomial in monomials[1:]:
        powers = dict(monomial)
        shared = {a: _smaller(e, powers[a]) for a, e in shared.items() if a in powers}
    shared = {a: e for a, e in shared.items() if e}
    common = frozenset(shared.items())
    content = _content(x.terms.values())
    inverse = frozenset((a, -e) for a, e in common)
    rest = {_merged(monomial, inverse): c / content for monomial, c in x.terms.items()}
    return common, content, Expr(rest, x.shape, x.dtype)


def _smaller(a: Fraction, b: Fraction) -> Fraction:
    if a > 0 and b > 0:
        return min(a, b)
    return max(a, b) if a < 0 and b < 0 else Fraction(0)


def _content(coefficients: Iterable[Coefficient]) -> Coefficient:
    """What to take out of a sum: a number if that leaves fewer numbers to read, and the sign if all share it."""
    found = list(coefficients)
    sign = 1 if any(c > 0 for c in found) else -1
    sizes = [abs(c) for c in found]
    fractions = [s for s in sizes if isinstance(s, Fraction)]
    if len(fractions) < len(sizes):
        return sign * found[0] * (1 if found[0] > 0 else -1) if len(set(sizes)) == 1 else Fraction(sign)
    common = Fraction(math.gcd(*[s.numerator for s in fractions]), math.lcm(*[s.denominator for s in fractions]))
    left, before = sum(s != common for s in sizes), sum(s != 1 for s in sizes)
    # Of a mean and what it is taken from, one would get a factor so that the other loses its own.
    better = left < before and (left == 0 or common.denominator == 1)
    return sign * (common if better else Fraction(1))


def _merged(m: Monomial, n: Monomial) -> Monomial:
    powers = dict(m)
    for atom, e in n:
        powers[atom] = powers.get(atom, Fraction(0)) + e
    return frozenset((a, e) for a, e in powers.items() if e)


def expanded(x: Expr) -> Expr:
    """Every product of sums multiplied out, one after the other, so that what can cancel does."""
    total = Expr({}, x.shape, x.dtype)
    for monomial, c in x.terms.items():
        group = _next_group(monomial)
        if group is None:
            total = add(total, Expr({monomial: c}, x.shape, x.dtype))
        else:
            rest = Expr({_merged(monomial, _only(group, Fraction(-1))): c}, x.shape, x.dtype)
            total = add(total, expanded(_distributed(rest, group.inside)))
    return Expr(total.terms, x.shape, x.dtype)


def _next_group(monomial: Monomial) -> Group | None:
    """A sum among the factors, of a small whole power; first one that divides by another factor."""
    groups = [atom for atom, e in monomial if isinstance(atom, Group) and e in (1, 2, 3)]
    groups.sort(key=lambda group: group.serial)
    factors = dict(monomial)
    for group in groups:
        if any(e < 0 and factors.get(atom, 0) > 0 for m in group.inside.terms for atom, e in m):
            return group
    return groups[0] if groups else None


def _distributed(x: Expr, y: Expr) -> Expr:
    terms: dict[Monomial, Coefficient] = {}
    for m, c in x.terms.items():
        for n, d in y.terms.items():
            product = _merged(m, n)
            terms[product] = terms.get(product, Fraction(0)) + c * d
    return Expr(terms, np.broadcast_shapes(x.shape, y.shape), np.result_type(x.dtype, y.dtype))


def cost(x: Expr) -> int:
    """How much there is to read: one for each name, number, operation and function."""
    if len(x.terms) < 2:
        return sum(_cost_of_term(monomial, c) for monomial, c in x.terms.items())
    common, c, rest = common_factors(x)
    inside = len(rest.terms) - 1 + sum(_cost_of_term(monomial, d) for monomial, d in rest.terms.items())
    return inside + (_cost_of_term(common, c) + 1 if common or abs(c) != 1 else 0)


def _cost_of_term(monomial: Monomial, c: Coefficient) -> int:
    numbers = int(abs(c) != 1 or not monomial)
    atoms = sum(_cost_of_atom(atom) + (abs(e) != 1) for atom, e in monomial)
    return numbers + atoms + max(0, numbers + len(monomial) - 1)


def _cost_of_atom(atom: Atom) -> int:
    inside = sum(cost(part) for part in atom.parts())
    return inside if isinstance(atom, Group) else 1 + inside


def simplified(x: Expr) -> Expr:
    """`x` or `x` multiplied out, whichever is shorter."""
    if not any(isinstance(atom, Group) for monomial in x.terms for atom, _ in monomial):
        return x
    flat = expanded(x)
    return flat if cost(flat) < cost(x) else x
