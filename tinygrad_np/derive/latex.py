r"""Expressions as formulas in LaTeX.

Matrix products and numbers stand side by side, entries are multiplied with `\odot` and divided with a fraction bar,
and `[Z > 0]` is 1 where it is true and 0 elsewhere.  A sum sign reaches up to the next plus or minus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..engine.door import function_name
from .expressions import Atom, Call, Coefficient, Constant, Expr, Group, Monomial, Variable, common_factors
from .helpers import HELPERS, logsumexp, normal_density, normal_distribution, one_hot, sigmoid, softmax
from .notation import alone, axes, code, escaped, over, sizes, symbol
from .symbol import item
from .text import Text, means, reading_order

Written = tuple[str, int]
"""A formula, and how tightly it is bound."""
SUM, BIG, PRODUCT, MATRIX, POWER, ATOM = range(1, 7)
"""Looser ones need parentheses inside of tighter ones.  BIG: a sum sign, which takes all factors behind it."""
COMPARISONS = {
    np.greater: ">", np.greater_equal: r"\geq", np.less: "<", np.less_equal: r"\leq", np.equal: "=",
    np.not_equal: r"\neq",
}  # fmt: skip
NAMED = {
    np.exp: r"\exp", np.log: r"\log", np.sin: r"\sin", np.cos: r"\cos", np.tan: r"\tan", np.sinh: r"\sinh",
    np.cosh: r"\cosh", np.tanh: r"\tanh", np.arcsin: r"\arcsin", np.arccos: r"\arccos", np.arctan: r"\arctan",
    np.maximum: r"\max", np.minimum: r"\min", np.max: r"\max", np.min: r"\min", np.linalg.det: r"\det",
    np.mean: r"\operatorname{mean}", np.var: r"\operatorname{var}", np.std: r"\operatorname{std}",
    np.trace: r"\operatorname{tr}", sigmoid: r"\sigma", softmax: r"\operatorname{softmax}",
    logsumexp: r"\operatorname{logsumexp}", normal_distribution: r"\Phi", normal_density: r"\varphi",
}  # fmt: skip
SIGNS = {np.sum: r"\sum", np.prod: r"\prod"}
SILENT = {"keepdims", "dtype", "subok"}
"""Options that say how an array is laid out, and not what is computed."""


def latex(expr: Expr | Atom, name_of: Callable[[Variable], str] = symbol) -> str:
    r"""An expression as a formula.

    `name_of` gives the LaTeX of a variable.

    >>> import numpy as np
    >>> from .expressions import add, expression, power
    >>> A, Y = (expression(Variable(name, np.ones((3, 4)))) for name in ("A2", "Y"))
    >>> latex(power(add(A, Y, signs=(1, -1)), Fraction(2)))
    '\\left(A_{2} - Y\\right)^{2}'
    """
    formulas = Formulas(name_of)
    return formulas.array(expr)[0] if isinstance(expr, Expr) else formulas.atom(expr)[0]


NUMBER, SCALAR, ARRAY = range(3)
"""Kinds of factors, in the order they are read."""


@dataclass(frozen=True)
class Factor:
    """One part of a product."""

    written: Written
    kind: int

    @property
    def bound(self) -> int:
        """How tightly it is bound."""
        return self.written[1]


class Formulas:
    """Writes expressions."""

    def __init__(self, name_of: Callable[[Variable], str] = symbol) -> None:
        self.name_of = name_of

    def array(self, x: Expr) -> Written:
        """An expression, with ones where that alone gives it its shape."""
        written = self.written(x)
        if x.natural_shape() == x.shape or not x.terms:
            return written
        ones = rf"\mathbf{{1}}_{{{sizes(x.shape)}}}"
        if x.number is not None:
            return (ones, ATOM) if x.number == 1 else (f"{_wrapped(written, PRODUCT)} {ones}", PRODUCT)
        return rf"{ones} \odot {_wrapped(written, POWER)}", PRODUCT

    def written(self, x: Expr) -> Written:
        """The formula of the terms alone."""
        if not x.terms:
            return "0", ATOM
        if len(x.terms) > 1:
            common, content, rest = common_factors(x)
            return self._term(common, content, rest) if common or content != 1 else self._sum(x)
        ((monomial, c),) = x.terms.items()
        return self._term(monomial, c)

    def _sum(self, x: Expr) -> Written:
        """Terms with plus and minus between: those that are added first, a number last unless it is 1."""
        text = ""
        entries = sorted(x.terms.items(), key=lambda entry: (entry[1] < 0, not entry[0] and entry[1] != 1))
        for monomial, c in entries:
            sign = "-" if c < 0 else "+" if text else ""
            term = _wrapped(self._term(monomial, -c if c < 0 else c), BIG)
            text = f"{text} {sign} {term}" if text else f"{sign}{term}"
        return text, SUM

    # -- products -----------------------------------------------------------------------------

    def _term(self, monomial: Monomial, c: Coefficient, rest: Expr | None = None) -> Written:
        """A number times powers of atoms, and times a sum that is left over."""
        if not monomial and rest is None:
            return (f"-{alone(c)}", SUM) if c < 0 else (alone(c), ATOM)
        monomial, c = means(monomial, c)
        top, bottom = over(c)
        above = [self._factor(a, e) for a, e in sorted(monomial, key=reading_order) if e > 0]
        below = [self._factor(a, -e) for a, e in sorted(monomial, key=reading_order) if e < 0]
        if rest is not None:
            above.append(Factor(self._sum(rest), ARRAY if rest.natural_shape() else SCALAR))
        number = [Factor((top, ATOM), NUMBER)] if top != "1" or not above else []
        if bottom != "1":
            below.insert(0, Factor((bottom, ATOM), NUMBER))
        written = _fraction(number, above, below)
        return (f"-{_wrapped(written, BIG)}", SUM) if c < 0 else written

    def _factor(self, atom: Atom, e: Fraction) -> Factor:
        return Factor(self._power(atom, e), ARRAY if atom.shape else SCALAR)

    def _power(self, atom: Atom, e: Fraction) -> Written:
        base = self.atom(atom)
        if e == 1:
            return base
        if e == Fraction(1, 2):
            return rf"\sqrt{{{base[0]}}}", ATOM
        is_plain = base[1] == ATOM and not (isinstance(atom, Variable) and atom.is_gradient)
        return f"{base[0] if is_plain else _parenthesized(base[0])}^{{{e}}}", POWER

    # -- atoms --------------------------------------------------------------------------------

    def atom(self, atom: Atom) -> Written:
        """A variable, a call, numbers, or a sum in parentheses."""
        if isinstance(atom, Variable):
            return self.name_of(atom), ATOM
        if isinstance(atom, Group):
            return self.written(atom.inside)
        if isinstance(atom, Constant):
            return _constant(atom.value), ATOM
        assert isinstance(atom, Call)
        written = self._call(atom)
        return written if atom.index is None else (f"{_wrapped(written, ATOM)}_{{({atom.index + 1})}}", ATOM)

    def _call(self, c: Call) -> Written:
        special = SPECIAL.get(c.function)
        written = special(self, c) if special else None
        return self._function(c) if written is None else written

    def _function(self, c: Call) -> Written:
        """A function by its name; the axis as a subscript, other options behind the arguments."""
        name = NAMED.get(c.function)
        if name is None:
            called = c.function.__name__ if c.function in HELPERS else function_name(c.function)
            name = rf"\operatorname{{{escaped(called.rpartition('.')[2])}}}"
        options = {key: value for key, value in c.options.items() if key not in SILENT}
        below = axes(options.pop("axis", None))
        given = [self._argument(x) for x in c.args]
        given += [f"{code(key)} = {self._argument(x)}" for key, x in options.items()]
        return f"{name}{below}{_parenthesized(', '.join(given))}", ATOM

    def _argument(self, x: Any) -> str:
        if isinstance(x, Expr):
            return self.array(x)[0]
        if isinstance(x, list | tuple) and any(isinstance(part, Expr) for part in x):
            return ", ".join(map(self._argument, x))
        return code(Text().value(x))

    # -- calls with a notation of their own -----------------------------------------------------

    def _comparison(self, c: Call) -> Written:
        left, right = (self._argument(x) for x in c.args)
        return rf"\left[{left} {COMPARISONS[c.function]} {right}\right]", ATOM

    def _both(self, c: Call) -> Written:
        left, right = (self._argument(x) for x in c.args)
        return rf"\left[{left} \land {right}\right]", ATOM

    def _big(self, c: Call) -> Written | None:
        if len(c.args) > 1 or set(c.options) - {"axis", *SILENT}:
            return None
        inside = self.array(c.args[0])
        return f"{SIGNS[c.function]}{axes(c.options.get('axis'))} {_wrapped(inside, BIG)}", BIG

    def _matmul(self, c: Call) -> Written:
        left, right = c.args
        first = self._transposed_vector(left) if len(left.shape) == 1 else _wrapped(self.array(left), MATRIX)
        return f"{first} {_wrapped(self.array(right), POWER)}", MATRIX

    def _transposed_vector(self, x: Expr) -> str:
        return rf"{_wrapped(self.array(x), ATOM)}^\top"

    def _outer(self, c: Call) -> Written | None:
        if [len(x.shape) for x in c.args] != [1, 1]:
            return None
        return f"{_wrapped(self.array(c.args[0]), POWER)} {self._transposed_vector(c.args[1])}", MATRIX

    def _transpose(self, c: Call) -> Written | None:
        x, order = c.args
        n = len(order)
        if tuple(order) == (*range(n - 2), n - 1, n - 2):
            return rf"{_wrapped(self.array(x), ATOM)}^\top", POWER
        return None

    def _reshape(self, c: Call) -> Written:
        return rf"\operatorname{{reshape}}_{{{sizes(c.shape)}}}{_parenthesized(self.array(c.args[0])[0])}", ATOM

    def _item(self, c: Call) -> Written:
        return rf"{_wrapped(self.array(c.args[0]), ATOM)}\left[{code(Text()._index(c.args[1]))}\right]", ATOM

    def _absolute(self, c: Call) -> Written:
        return rf"\left|{self.array(c.args[0])[0]}\right|", ATOM

    def _inverse(self, c: Call) -> Written:
        return f"{_wrapped(self.array(c.args[0]), ATOM)}^{{-1}}", POWER

    def _solved(self, c: Call) -> Written:
        a, b = (self.array(x) for x in c.args)
        return f"{_wrapped(a, ATOM)}^{{-1}} {_wrapped(b, POWER)}", MATRIX

    def _raised(self, c: Call) -> Written:
        base, exponent = (self.array(x) for x in c.args)
        return f"{_wrapped(base, ATOM)}^{{{exponent[0]}}}", POWER

    def _log_of_sum(self, c: Call) -> Written:
        return rf"\log{_parenthesized(' + '.join(self._exponential(x) for x in c.args))}", ATOM

    def _exponential(self, x: Expr) -> str:
        return "1" if x.number == 0 else rf"\exp{_parenthesized(self.array(x)[0])}"

    def _log1p(self, c: Call) -> Written:
        return rf"\log{_parenthesized(f'1 + {_wrapped(self.array(c.args[0]), BIG)}')}", ATOM

    def _expm1(self, c: Call) -> Written:
        return f"{self._exponential(c.args[0])} - 1", SUM

    def _labels(self, c: Call) -> Written:
        return rf"\operatorname{{onehot}}{_parenthesized(self._argument(c.args[0]))}", ATOM

    def _einsum(self, c: Call) -> Written | None:
        if not isinstance(c.args[0], str) or c.options:
            return None
        subscripts = code(c.args[0]).replace("->", r"\to ")
        return rf"\operatorname{{einsum}}_{{{subscripts}}}{_parenthesized(self._argument(c.args[1:]))}", ATOM


SPECIAL: dict[Any, Callable[[Formulas, Call], Written | None]] = {
    **dict.fromkeys(COMPARISONS, Formulas._comparison),
    **dict.fromkeys(SIGNS, Formulas._big),
    np.bitwise_and: Formulas._both,
    np.matmul: Formulas._matmul,
    np.outer: Formulas._outer,
    np.transpose: Formulas._transpose,
    np.reshape: Formulas._reshape,
    item: Formulas._item,
    np.abs: Formulas._absolute,
    np.linalg.inv: Formulas._inverse,
    np.linalg.solve: Formulas._solved,
    np.power: Formulas._raised,
    np.logaddexp: Formulas._log_of_sum,
    np.log1p: Formulas._log1p,
    np.expm1: Formulas._expm1,
    one_hot: Formulas._labels,
    np.einsum: Formulas._einsum,
}
"""None where the function stands by its name after all."""


def _wrapped(written: Written, bound: int) -> str:
    return written[0] if written[1] >= bound else _parenthesized(written[0])


def _parenthesized(text: str) -> str:
    return rf"\left({text}\right)"


def _fraction(number: list[Factor], above: list[Factor], below: list[Factor]) -> Written:
    if not below:
        return _product(number + above)
    under = _product(below)[0]
    if any(factor.bound == BIG for factor in above) and not any(factor.kind == ARRAY for factor in below):
        # A sum sign is read best with the number in front of it.
        front = rf"\frac{{{_product(number)[0] if number else 1}}}{{{under}}}"
        return _product([Factor((front, POWER), NUMBER), *above])
    return rf"\frac{{{_product(number + above)[0]}}}{{{under}}}", POWER


def _product(factors: list[Factor]) -> Written:
    r"""Between two arrays stands `\odot`; a number stands beside what it multiplies."""
    if len(factors) == 1:
        return factors[0].written
    # A sum sign takes all that is behind it: one stands at the end, others in parentheses.
    last = [factor for factor in factors if factor.bound == BIG][-1:]
    factors = [*sorted((f for f in factors if f not in last), key=lambda factor: factor.kind), *last]
    one_array = sum(factor.kind == ARRAY for factor in factors) == 1
    text, before = "", NUMBER
    for factor in factors:
        # Beside numbers a product of matrices is one thing; beside another array it would be taken for three.
        is_open = factor in last or (factor.bound == MATRIX and one_array)
        part = factor.written[0] if is_open else _wrapped(factor.written, POWER)
        text += _between(before, factor.kind, part) + part if text else part
        before = factor.kind
    return text, BIG if factors[-1].bound == BIG else PRODUCT


def _between(before: int, kind: int, part: str) -> str:
    if before == kind == ARRAY:
        return r" \odot "
    # A name before a parenthesis would be read as a function.
    return r" \cdot " if before != NUMBER and part.startswith(r"\left(") else " "


def _constant(value: np.ndarray) -> str:
    """Numbers that stand in the text: the identity, else their list."""
    n = value.shape[0] if value.ndim == 2 else 0
    if n and value.shape == (n, n) and np.array_equal(value, np.eye(n)):
        return rf"\mathbf{{I}}_{{{n}}}"
    return rf"\left({code(Text().value(value))}\right)"
