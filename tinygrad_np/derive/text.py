"""Expressions as the text of NumPy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..engine.door import function_name
from .expressions import (
    ONE,
    Atom,
    Call,
    Coefficient,
    Constant,
    Expr,
    Group,
    Monomial,
    Variable,
    common_factors,
    rational,
)
from .functions import axes_of, is_plain_sum
from .helpers import HELPERS, avg_unpool, put, put_along_axis
from .sizes import count
from .symbol import is_last, item

SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4
"""How tightly a text is bound: looser ones need parentheses inside of tighter ones."""
COMPARISONS = {
    np.greater: ">", np.greater_equal: ">=", np.less: "<", np.less_equal: "<=", np.equal: "==", np.not_equal: "!=",
}  # fmt: skip
METHODS = {
    np.sum: "sum",
    np.max: "max",
    np.min: "min",
    np.prod: "prod",
    np.mean: "mean",
    np.var: "var",
    np.astype: "astype",
}


class Text:
    """Writes expressions; `m` is the variable for the number of samples, `used` says whether a shape took it."""

    def __init__(self, m: Variable | None = None) -> None:
        self.m, self.used = m, False

    def array(self, x: Expr) -> str:
        """An expression that has its shape and dtype when the text is computed."""
        if x.number is not None and not x.shape and x.dtype.kind == "f":
            return self.value(float(x.number))
        return self._array(x)[0]

    def _array(self, x: Expr) -> tuple[str, int]:
        text, bound = self.written(x)
        only_masks = bool(x.terms) and all(m and all(a.dtype == bool for a, _ in m) for m in x.terms)
        dtype = "" if x.dtype == np.float64 else f", {self.value(x.dtype)}"
        if x.natural_shape() != x.shape:
            if not any(a.shape or a.dtype == bool for m in x.terms for a, _ in m) and x.dtype.kind == "f":
                value = text if x.number is None else _float(x.number)
                return f"np.full({self.shape(x.shape)}, {value}{dtype})", ATOM
            text, bound = f"np.broadcast_to({text}, {self.shape(x.shape)})", ATOM
        if only_masks and x.dtype.kind == "f":
            if dtype:
                return f"{self._wrap((text, bound), ATOM)}.astype({dtype[2:]})", ATOM
            return f"1.0 * {self._wrap((text, bound), PRODUCT)}", PRODUCT
        return text, bound

    def shape(self, shape: tuple[int, ...]) -> str:
        """A shape, with m for the number of samples."""
        return f"({', '.join(map(self.size, shape))}{',' if len(shape) == 1 else ''})"

    def size(self, n: int) -> str:
        """A length, or m."""
        if self.m is None or n != self.m.value:
            return str(n)
        self.used = True
        return "m"

    def written(self, x: Expr) -> tuple[str, int]:
        """The text, and how tightly it is bound."""
        if not x.terms:
            return "0", ATOM
        if len(x.terms) > 1:
            common, c, rest = common_factors(x)
            if common or c != 1:
                return self._term(common, c, self._sum(rest))
            return self._sum(x)
        ((monomial, c),) = x.terms.items()
        return self._term(monomial, c)

    def _sum(self, x: Expr) -> tuple[str, int]:
        """Terms with plus and minus between; one that is added comes first."""
        entries = sorted(x.terms.items(), key=lambda entry: (entry[1] < 0, not entry[0] and any(x.terms)))
        # A number comes first where everything else is taken from it.
        numbers = [e for e in entries if not e[0]]
        if numbers and numbers[0][1] > 0 and (numbers[0][1] == 1 or all(c < 0 for m, c in entries if m)):
            entries = numbers + [e for e in entries if e[0]]
        parts: list[str] = []
        for monomial, c in entries:
            size: Coefficient = -c if c < 0 else c
            text = self._wrap(self._term(monomial, size, in_sum=True), PRODUCT)
            if not monomial and not _is_short(size):
                text = _float(size)
            parts.append(f"{'-' if c < 0 else '+'} {text}" if parts else f"{'-' if c < 0 else ''}{text}")
        return " ".join(parts), SUM

    def _term(
        self, monomial: Monomial, c: Coefficient, last: tuple[str, int] | None = None, in_sum: bool = False
    ) -> tuple[str, int]:
        """A number times powers: what is multiplied, then what is divided by."""
        monomial, c = means(monomial, c)
        above = sorted([(a, e) for a, e in monomial if e > 0], key=reading_order)
        below = sorted([(a, -e) for a, e in monomial if e < 0 and a is not self.m], key=reading_order)
        factors = [self._power(a, e) for a, e in above] + ([last] if last else [])
        top, bottom = _over(c)
        masks = all(a.dtype == bool for a, _ in monomial) and monomial and last is None
        sign = "-" if c < 0 else ""
        if top != "1" or not factors or (masks and (in_sum or c < 0 or len(factors) > 1)):
            factors.insert(0, ("1.0" if masks and top == "1" else top, ATOM))
        # One number is divided by once: at the end, as a person would.
        last_of_all = [bottom] * (bottom != "1") + [self._power(a, -e)[0] for a, e in monomial if a is self.m and e < 0]
        divisors = [self._wrap(self._power(a, e), POWER) for a, e in below]
        divisors += [f"({' * '.join(last_of_all)})" if len(last_of_all) > 1 else "".join(last_of_all)] * bool(
            last_of_all
        )
        single = len(factors) + len(divisors) == 1
        text = factors[0][0] if single else " * ".join(self._wrap(f, POWER) for f in factors)
        text = " / ".join([text, *divisors])
        bound = factors[0][1] if single else PRODUCT
        return (
            (f"{sign}{self._wrap((text, bound), PRODUCT)}", PRODUCT if bound > SUM else bound)
            if sign
            else (text, bound)
        )

    @staticmethod
    def _wrap(text: tuple[str, int], bound: int) -> str:
        return text[0] if text[1] >= bound else f"({text[0]})"

    def _power(self, atom: Atom, e: Fraction) -> tuple[str, int]:
        base = self.atom(atom)
        if e == 1:
            return base
        if e == Fraction(1, 2):
            return f"np.sqrt({base[0]})", ATOM
        if e.denominator == 2:
            return f"np.sqrt({base[0]}) ** {e.numerator}", POWER
        return f"{self._wrap(base, ATOM)} ** {e}", POWER

    # -- atoms --------------------------------------------------------------------------------

    def atom(self, atom: Atom) -> tuple[str, int]:
        """A variable, a call, numbers, or a sum in parentheses."""
        if isinstance(atom, Variable):
            return atom.name, ATOM
        if isinstance(atom, Group):
            return self.written(atom.inside)
        if isinstance(atom, Constant):
            return _constant(atom.value, self.size), ATOM
        assert isinstance(atom, Call)
        text, bound = self._call(atom)
        return (f"{self._wrap((text, bound), ATOM)}[{atom.index}]", ATOM) if atom.index is not None else (text, bound)

    def _call(self, c: Call) -> tuple[str, int]:
        function, args = c.function, c.args
        if function in COMPARISONS:
            left, right = (self._wrap(self._given(x), SUM) for x in args)
            return f"({left} {COMPARISONS[function]} {right})", ATOM
        if function is np.bitwise_and:
            return f"({' & '.join(self._wrap(self._given(x), ATOM) for x in args)})", ATOM
        if function is np.matmul:
            return f"{self._wrap(self._given(args[0]), PRODUCT)} @ {self._wrap(self._given(args[1]), POWER)}", PRODUCT
        if function is np.transpose:
            return self._transposed(args[0], args[1])
        if function is item:
            index = args[1]
            if is_last(index, None) and len(args[0].shape) == 1:
                index = (slice(None), None)
            return f"{self._wrap(self._given(args[0]), ATOM)}[{self._index(index)}]", ATOM
        if function is np.reshape and args[1] == (*args[0].shape, 1) and not c.options:
            index = f"[{':, ' * len(args[0].shape)}None]" if len(args[0].shape) < 2 else "[..., None]"
            return f"{self._wrap(self._given(args[0]), ATOM)}{index}", ATOM
        if function is np.reshape:
            given = [
                self._new_shape(args[1], args[0].shape),
                *(f"{key}={self.value(x)}" for key, x in c.options.items()),
            ]
            return f"{self._wrap(self._given(args[0]), ATOM)}.reshape({', '.join(given)})", ATOM
        if function is np.where:
            return f"np.where({self._broadcast(c)})", ATOM
        if function is np.logical_not and args[0].dtype == bool:
            return f"(~{self._wrap(self._given(args[0]), ATOM)})", ATOM
        if isinstance(function, np.ufunc):
            return f"{function_name(function)}({self._broadcast(c)})", ATOM
        # np.var has a keyword that the method lacks.
        if function in METHODS and "correction" not in c.options:
            inside = self._wrap(self._given(args[0]), ATOM)
            options = {key: x for key, x in c.options.items() if key != "axis" or x is not None}
            return f"{inside}.{METHODS[function]}({self._arguments(args[1:], options)})", ATOM
        if function in (put, put_along_axis, avg_unpool):
            *given, into = args
            return f"{function.__name__}({', '.join([*map(self._argument, given), self.shape(into)])})", ATOM
        if function is sliding_window_view:
            return f"sliding_window_view({self._arguments(args, c.options)})", ATOM
        name = function.__name__ if function in HELPERS else function_name(function)
        return f"{name}({self._arguments(args, c.options)})", ATOM

    def _new_shape(self, new: Any, old: tuple[int, ...]) -> str:
        """A shape as the argument of reshape: -1 for what the axes in front become together."""
        if not isinstance(new, tuple) or not new:
            return self.value(new)
        if len(new) == 2 and len(old) > 2 and new[1] == old[-1]:
            return f"-1, {self.size(new[1])}"
        return ", ".join(map(self.size, new))

    def _broadcast(self, c: Call) -> str:
        """Arguments that the function broadcasts itself, where that gives the shape that is meant."""
        enough = np.broadcast_shapes(*[x.natural_shape() for x in c.args]) == c.shape
        return ", ".join(self.written(x)[0] if enough or x.number is not None else self.array(x) for x in c.args)

    def _transposed(self, x: Expr, order: tuple[int, ...]) -> tuple[str, int]:
        inside, n = self._wrap(self._given(x), ATOM), len(order)
        if order == tuple(range(n))[::-1]:
            return f"{inside}.T", ATOM
        if order == (*range(n - 2), n - 1, n - 2):
            return f"{inside}.mT", ATOM
        return f"{inside}.transpose({', '.join(map(str, order))})", ATOM

    def _arguments(self, args: tuple, options: dict[str, Any]) -> str:
        given = [self._one(x) for x in args]
        return ", ".join(given + [f"{key}={self.value(x)}" for key, x in options.items()])

    def _one(self, x: Any) -> str:
        # A function may ask a number for its shape.
        alone = isinstance(x, Expr) and x.number is not None and not x.shape
        return f"np.array({self.array(x)})" if alone else self.value(x)

    def _given(self, x: Any) -> tuple[str, int]:
        return self._array(x) if isinstance(x, Expr) else (self.value(x), ATOM)

    def value(self, x: Any) -> str:
        """An argument: an expression, or metadata."""
        if isinstance(x, Expr):
            return self._array(x)[0]
        if isinstance(x, np.ndarray):
            return _constant(x, self.size)
        if isinstance(x, list | tuple):
            inside = ", ".join(map(self.value, x))
            return f"[{inside}]" if isinstance(x, list) else f"({inside}{',' if len(x) == 1 else ''})"
        if isinstance(x, np.dtype):
            return f"np.{x.name}"
        if isinstance(x, type) and issubclass(x, np.generic):
            return f"np.{x.__name__}"
        if isinstance(x, slice):
            return f"slice({self.value(x.start)}, {self.value(x.stop)}, {self.value(x.step)})"
        x = x.item() if isinstance(x, np.generic) else x
        return _float(x) if isinstance(x, float) else repr(x)

    def _argument(self, x: Any) -> str:
        """An argument that may be an index."""
        parts = x if isinstance(x, tuple) else (x,)
        return f"np.s_[{self._index(x)}]" if any(isinstance(p, slice) for p in parts) else self._one(x)

    def _index(self, index: Any) -> str:
        parts = index if isinstance(index, tuple) else (index,)
        return ", ".join(map(self._place, parts)) or "()"

    def _place(self, part: Any) -> str:
        if isinstance(part, slice):
            start, stop, step = ("" if x is None else self.value(x) for x in (part.start, part.stop, part.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return "..." if part is Ellipsis else self.value(part)


def _is_short(c: Coefficient) -> bool:
    return isinstance(c, Fraction) and c.denominator <= 16


def means(monomial: Monomial, c: Coefficient) -> tuple[Monomial, Coefficient]:
    """A sum over n entries divided by n is their mean."""
    for atom, e in monomial:
        if is_plain_sum(atom) and e == 1 and isinstance(c, Fraction):
            assert isinstance(atom, Call)
            summed: Expr = atom.args[0]
            lengths = [summed.shape[a] for a in axes_of(atom.options.get("axis"), len(summed.shape))]
            ((counted, n),) = count(lengths).terms.items() or ((ONE, Fraction(0)),)
            times = c * n
            entries = any(k > 1 for k in lengths)
            divided = dict(monomial)
            if any(divided.get(a) != -k for a, k in counted) or not entries or abs(times) not in (1, 2):
                continue
            if counted or c.denominator > 1:
                like = np.broadcast_to(np.zeros((), atom.dtype), atom.shape)
                mean = Call(np.mean, atom.args, atom.options, like)
                inverse = {(a, -k) for a, k in counted}
                return frozenset(monomial - {(atom, e)} - inverse) | {(mean, e)}, times
    return monomial, c


def reading_order(entry: tuple[Atom, Fraction]) -> tuple:
    """Products of matrices and gradients first, then variables, then other functions, then masks and sums."""
    atom, e = entry
    if isinstance(atom, Group) or atom.dtype == bool:
        return (3, atom.serial)
    if isinstance(atom, Call):
        return (0 if atom.function is np.matmul else 2, atom.serial)
    return (0 if isinstance(atom, Variable) and atom.is_gradient else 1 if e == 1 else 2, atom.serial)


def _over(c: Coefficient) -> tuple[str, str]:
    """A number, without its sign, as what is above and below a fraction bar."""
    if isinstance(c, Fraction):
        small = c.denominator.bit_count() == 1 and c.denominator <= 64 and abs(c.numerator) < 1000
        if (small and c.denominator > 2 and abs(c.numerator) != 1) or (c.denominator == 2 and abs(c.numerator) > 1):
            return repr(float(abs(c))), "1"
        if abs(c.numerator) <= 100 or c.denominator == 1:
            return str(abs(c.numerator)), str(c.denominator)
        return _float(abs(c)), "1"
    square = rational(float(c) ** 2)
    if isinstance(square, Fraction) and square.denominator <= 4096 and square.numerator <= 4096:
        return _root(square.numerator), _root(square.denominator)
    return _float(abs(c)), "1"


def _float(x: Any) -> str:
    return _named(repr(float(x)))


def _named(text: str) -> str:
    """Numbers that Python has no literal for, by NumPy's names."""
    return re.sub(r"\b(inf|nan)\b", r"np.\1", text)


def _root(n: int) -> str:
    # NumPy's root of a number is in double precision, and would take arrays in single precision along.
    return str(math.isqrt(n)) if math.isqrt(n) ** 2 == n else f"math.sqrt({n})"


def _constant(value: np.ndarray, size: Callable[[int], str]) -> str:
    """Numbers that stand in the text."""
    if value.ndim == 2 and value.dtype.kind == "f" and value.shape[0] == value.shape[1]:
        n = value.shape[0]
        for text, known in ((f"np.eye({n})", np.eye(n)), (f"np.tri({n})", np.tri(n)), (f"np.tri({n}).T", np.tri(n).T)):
            if np.array_equal(value, known):
                return text
    if value.ndim == 1 and value.dtype.kind in "iu" and np.array_equal(value, np.arange(value.size)):
        return f"np.arange({size(value.size)})"
    if value.ndim == 2 and value.dtype == bool and np.array_equal(value, np.tri(*value.shape, dtype=bool)):
        return f"np.tri({', '.join(map(size, dict.fromkeys(value.shape)))}, dtype=bool)"
    dtype = "" if value.dtype in (np.float64, np.int64) else f", np.{value.dtype.name}"
    if not value.size:
        return f"np.zeros({value.shape}{'' if value.dtype == np.float64 else f', np.{value.dtype.name}'})"
    if not value.ndim:
        return _float(value) if value.dtype.kind == "f" else repr(value.item())
    return f"np.array({_named(repr(value.tolist()))}{dtype})"
