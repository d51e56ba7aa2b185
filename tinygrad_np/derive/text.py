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
from .expressions import Atom, Call, Coefficient, Constant, Expr, Group, Monomial, Variable, common_factors, rational
from .symbol import is_last, item
from .written import HELPERS, put, put_along_axis

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
    np.astype: "astype",
}


class Text:
    """Writes expressions; `sizes` finds a word for a number that is a size, such as `m`."""

    def __init__(self, sizes: Callable[[int], str | None] = lambda n: None) -> None:
        self.sizes = sizes

    def array(self, x: Expr) -> str:
        """An expression that has its shape and dtype when the text is computed."""
        if x.number is not None and not x.shape and x.dtype.kind == "f":
            return self.value(float(x.number))
        return self._array(x)[0]

    def _array(self, x: Expr) -> tuple[str, int]:
        text, bound = self.written(x)
        only_masks = x.dtype.kind == "f" and all(a.dtype == bool for m in x.terms for a, _ in m)
        if x.natural_shape() != x.shape:
            if x.number is not None:
                return f"np.full({x.shape}, {float(x.number)})", ATOM
            if not only_masks:
                return f"np.broadcast_to({text}, {x.shape})", ATOM
        if only_masks and x.terms and x.number is None:
            if x.natural_shape() != x.shape:
                return f"{self._wrap((text, bound), PRODUCT)} * np.ones({x.shape})", PRODUCT
            return f"1.0 * {self._wrap((text, bound), PRODUCT)}", PRODUCT
        return text, bound

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
        monomial, c = self._means(monomial, c)
        above = sorted([(a, e) for a, e in monomial if e > 0], key=reading_order)
        below = sorted([(a, -e) for a, e in monomial if e < 0], key=reading_order)
        factors = [self._power(a, e) for a, e in above] + ([last] if last else [])
        top, bottom = _over(c)
        masks = all(a.dtype == bool for a, _ in monomial) and monomial and last is None
        sign = "-" if c < 0 else ""
        if top != "1" or not factors or (masks and (in_sum or c < 0 or len(factors) > 1)):
            factors.insert(0, ("1.0" if masks and top == "1" else top, ATOM))
        # One number is divided by once: at the end, as a person would.
        single = len(factors) + len(below) + (bottom != "1") == 1
        text = factors[0][0] if single else " * ".join(self._wrap(f, POWER) for f in factors)
        for a, e in below:
            text += f" / {self._wrap(self._power(a, e), POWER)}"
        if bottom != "1":
            text += f" / {(bottom.isdigit() and self.sizes(int(bottom))) or bottom}"
        bound = factors[0][1] if single else PRODUCT
        return (
            (f"{sign}{self._wrap((text, bound), PRODUCT)}", PRODUCT if bound > SUM else bound)
            if sign
            else (text, bound)
        )

    @staticmethod
    def _means(monomial: Monomial, c: Coefficient) -> tuple[Monomial, Coefficient]:
        """A sum over n entries divided by n is their mean."""
        for atom, e in monomial:
            if isinstance(atom, Call) and atom.function is np.sum and e == 1 and isinstance(c, Fraction):
                summed: Expr = atom.args[0]
                n = math.prod(summed.shape) // max(1, math.prod(atom.shape))
                if n > 1 and c.denominator > 1 and abs(c * n) in (1, 2):
                    like = np.broadcast_to(np.zeros((), atom.dtype), atom.shape)
                    mean = Call(np.mean, atom.args, atom.options, like)
                    return (monomial - {(atom, e)}) | {(mean, e)}, c * n
        return monomial, c

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
            return _constant(atom.value), ATOM
        assert isinstance(atom, Call)
        text, bound = self._call(atom)
        return (f"{self._wrap((text, bound), ATOM)}[{atom.index}]", ATOM) if atom.index is not None else (text, bound)

    def _call(self, c: Call) -> tuple[str, int]:
        function, args = c.function, c.args
        if function in COMPARISONS:
            left, right = (self._wrap(self._given(x), SUM) for x in args)
            return f"({left} {COMPARISONS[function]} {right})", ATOM
        if function is np.matmul:
            return f"{self._wrap(self._given(args[0]), PRODUCT)} @ {self._wrap(self._given(args[1]), POWER)}", PRODUCT
        if function is np.transpose:
            return self._transposed(args[0], args[1])
        if function is item:
            index = args[1]
            if is_last(index, None) and len(args[0].shape) == 1:
                index = (slice(None), None)
            return f"{self._wrap(self._given(args[0]), ATOM)}[{self._index(index)}]", ATOM
        if function is np.reshape:
            given = [_shape(args[1], args[0].shape), *(f"{key}={self.value(x)}" for key, x in c.options.items())]
            return f"{self._wrap(self._given(args[0]), ATOM)}.reshape({', '.join(given)})", ATOM
        if function is np.where:
            return f"np.where({', '.join(self.written(x)[0] for x in args)})", ATOM
        if function is np.logical_not and args[0].dtype == bool:
            return f"(~{self._wrap(self._given(args[0]), ATOM)})", ATOM
        if isinstance(function, np.ufunc):
            return f"{function_name(function)}({', '.join(self.written(x)[0] for x in args)})", ATOM
        if function in METHODS:
            inside = self._wrap(self._given(args[0]), ATOM)
            options = {key: x for key, x in c.options.items() if key != "axis" or x is not None}
            return f"{inside}.{METHODS[function]}({self._arguments(args[1:], options)})", ATOM
        if function in (put, put_along_axis):
            return f"{function.__name__}({', '.join(map(self._argument, args))})", ATOM
        if function is sliding_window_view:
            return f"sliding_window_view({self._arguments(args, c.options)})", ATOM
        name = function.__name__ if function in HELPERS else function_name(function)
        return f"{name}({self._arguments(args, c.options)})", ATOM

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
            return _constant(x)
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


def _shape(new: tuple[int, ...], old: tuple[int, ...]) -> str:
    """A shape as the argument of reshape: -1 for what the axes in front become together."""
    if len(new) == 2 and len(old) > 2 and new[1] == old[-1]:
        return f"-1, {new[1]}"
    return ", ".join(map(str, new)) if isinstance(new, tuple) and new else str(new)


def _is_short(c: Coefficient) -> bool:
    return isinstance(c, Fraction) and c.denominator <= 16


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
    return str(math.isqrt(n)) if math.isqrt(n) ** 2 == n else f"np.sqrt({n})"


def _constant(value: np.ndarray) -> str:
    """Numbers that stand in the text."""
    if value.ndim == 2 and value.dtype.kind == "f" and value.shape[0] == value.shape[1]:
        n = value.shape[0]
        for text, known in ((f"np.eye({n})", np.eye(n)), (f"np.tri({n})", np.tri(n)), (f"np.tri({n}).T", np.tri(n).T)):
            if np.array_equal(value, known):
                return text
    if value.ndim == 1 and value.dtype.kind in "iu" and np.array_equal(value, np.arange(value.size)):
        return f"np.arange({value.size})"
    dtype = "" if value.dtype in (np.float64, np.int64) else f", np.{value.dtype.name}"
    if not value.size:
        return f"np.zeros({value.shape})"
    if not value.ndim:
        return _float(value) if value.dtype.kind == "f" else repr(value.item())
    return f"np.array({_named(repr(value.tolist()))}{dtype})"
