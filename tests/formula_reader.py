"""Computes formulas in LaTeX as a mathematician reads them, for tests: it knows nothing of how they were written.

What is side by side is a product of matrices, or a multiple; `\\odot` multiplies entries; a sum sign reaches to the
next plus or minus.  A line that mixes products of matrices and of entries without parentheses is refused as unclear.
"""

import re

import numpy as np

SPACE = re.compile(r"\s*")
NUMBER = re.compile(r"\d+(\.\d+)?")
AXES = re.compile(r"_\{\\mathrm\{ax[ei]s\}\\,(-?\d+(?:, -?\d+)*)\}")
COMPARISONS = {
    ">": np.greater, r"\geq": np.greater_equal, "<": np.less, r"\leq": np.less_equal, r"\neq": np.not_equal,
    "=": np.equal,
}  # fmt: skip
FUNCTIONS = {
    r"\exp": np.exp, r"\log": np.log, r"\tanh": np.tanh, r"\sin": np.sin, r"\cos": np.cos,
    r"\sigma": lambda z: 1 / (1 + np.exp(-z)), r"\operatorname{tr}": np.trace,
}  # fmt: skip
REDUCTIONS = {r"\operatorname{mean}": np.mean, r"\operatorname{var}": np.var}


class UnclearError(ValueError):
    """A formula that can be read in more than one way, or in none."""


def value_of(formula, names):
    """The value of a formula; `names` gives that of each name, written as in the formula."""
    reader = Reader(formula, names)
    value = reader.sum()
    if reader.rest():
        raise UnclearError(f"left over: {reader.rest()!r} of {formula!r}")
    return value


class Reader:
    def __init__(self, text, names):
        self.text, self.at = text, 0
        self.names = sorted(names.items(), key=lambda entry: -len(entry[0]))

    def rest(self):
        return self.text[SPACE.match(self.text, self.at).end() :]

    def sees(self, *words):
        return self.rest().startswith(words)

    def takes(self, word):
        if not self.rest().startswith(word):
            return False
        self.at = len(self.text) - len(self.rest()) + len(word)
        return True

    def needs(self, word):
        if not self.takes(word):
            raise UnclearError(f"no {word!r} at {self.rest()[:40]!r} of {self.text!r}")

    def inside(self, closing, *, read=None):
        value = (read or self.sum)()
        self.needs(closing)
        return value

    def sum(self):
        total = -self.product() if self.takes("-") else self.product()
        while self.sees("+", "-"):
            total = total + self.product() if self.takes("+") else self._minus(total)
        return total

    def _minus(self, total):
        self.needs("-")
        return total - self.product()

    def product(self):
        total, signs = self.factor(), set()
        while True:
            if self.takes(r"\odot"):
                signs.add("entries")
                total = total * self.factor()
            elif self.takes(r"\cdot"):
                total = self._beside(total, self.factor(), set())
            elif not self.rest() or self.sees("+", "-", r"\right", "}", ",", *COMPARISONS):
                return total
            else:
                total = self._beside(total, self.factor(), signs)
            if len(signs) > 1:
                raise UnclearError(f"products of matrices and of entries without parentheses: {self.text!r}")

    def _beside(self, left, right, signs):
        if np.ndim(left) == 0 or np.ndim(right) == 0:
            return left * right
        signs.add("matrices")
        return left @ right

    def factor(self):
        value = self.base()
        while self.text.startswith(("^", r"\left[\mathrm{:", r"\left[\mathrm{0"), self.at):
            value = self._after(value)
        return value

    def _after(self, value):
        if self.takes(r"^\top"):
            return value if np.ndim(value) < 2 else np.swapaxes(value, -1, -2)
        if self.takes("^{"):
            text = self.text[self.at : self.text.index("}", self.at)]
            self.at += len(text) + 1
            top, _, bottom = text.partition("/")
            return value ** (int(top) / int(bottom or 1))
        self.needs(r"\left[")
        text = self.text[self.at : self.text.index(r"\right]", self.at)]
        self.at += len(text) + len(r"\right]")
        return eval(
            f"x[{text.removeprefix(chr(92) + 'mathrm{').removesuffix('}').replace(chr(92) + ' ', ' ')}]", {"x": value}
        )

    def base(self):
        if self.takes(r"\frac{"):
            top = self.inside("}{")
            return top / self.inside("}")
        if self.takes(r"\sqrt{"):
            return np.sqrt(self.inside("}"))
        if self.takes(r"\mathbf{1}_{"):
            return np.ones(self._sizes())
        for name, value in self.names:
            if self.takes(name):
                return value
        for word, function in FUNCTIONS.items():
            if self.takes(word):
                self.needs(r"\left(")
                return function(self.inside(r"\right)"))
        return self._axed() if self.sees(r"\sum", r"\max", r"\operatorname") else self._plain()

    def _plain(self):
        if self.takes(r"\left("):
            return self.inside(r"\right)")
        if self.takes(r"\left|"):
            return np.abs(self.inside(r"\right|"))
        if self.takes(r"\left["):
            left = self.sum()
            compare = next(function for sign, function in COMPARISONS.items() if self.takes(sign))
            return compare(left, self.inside(r"\right]")).astype(float)
        found = NUMBER.match(self.rest())
        if not found:
            raise UnclearError(f"what is {self.rest()[:40]!r} in {self.text!r}?")
        self.needs(found[0])
        return float(found[0])

    def _axed(self):
        if self.takes(r"\operatorname{reshape}_{"):
            shape = self._sizes()
            self.needs(r"\left(")
            return self.inside(r"\right)").reshape(shape)
        word = next(word for word in (r"\sum", r"\max", r"\operatorname{softmax}", *REDUCTIONS) if self.takes(word))
        axis = self._axes()
        # Where a sum is used, it is repeated along the axis again.
        options = {"axis": axis, "keepdims": axis is not None}
        if word == r"\sum":
            return np.sum(self.product(), **options)
        self.needs(r"\left(")
        first = self.sum()
        if self.takes(","):
            return np.maximum(first, self.inside(r"\right)"))
        self.needs(r"\right)")
        if word == r"\max":
            return np.max(first, **options)
        if word in REDUCTIONS:
            return REDUCTIONS[word](first, **options)
        e = np.exp(first - first.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    def _axes(self):
        found = AXES.match(self.text, self.at)
        if not found:
            return None
        self.at = found.end()
        axes = tuple(map(int, found[1].split(", ")))
        return axes if len(axes) > 1 else axes[0]

    def _sizes(self):
        text = self.text[self.at : self.text.index("}", self.at)]
        self.at += len(text) + 1
        return tuple(map(int, text.split(r" \times ")))
