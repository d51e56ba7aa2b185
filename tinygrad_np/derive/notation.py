"""Names, numbers and pieces of code, as LaTeX sets them in formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from .expressions import Coefficient, Variable, rational

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi",
    "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
}  # fmt: skip
CODE = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "_": r"\_", "$": r"\$", "%": r"\%", "#": r"\#", "&": r"\&",
    "^": r"\wedge ", "~": r"\sim ", " ": r"\ ",
}  # fmt: skip
SHORT = 16
"""Fractions with a larger denominator are easier to read as decimals, such as 1e-05."""


# -- names ----------------------------------------------------------------------------------------


def code(text: str) -> str:
    r"""A piece of code, upright, with nothing in it that LaTeX obeys.

    >>> code("x_hat{1}")
    '\\mathrm{x\\_hat\\{1\\}}'
    """
    return rf"\mathrm{{{escaped(text)}}}"


def escaped(text: str) -> str:
    """A text with nothing in it that LaTeX obeys."""
    return "".join(CODE.get(letter, letter) for letter in text)


def named(name: str) -> str:
    r"""A name of Python as one of mathematics: numbers and what follows an underscore as subscripts.

    >>> [named(name) for name in ("W2", "gamma", "h_prev", "Wq", "xhat", "loss", "_")]
    ['W_{2}', '\\gamma', 'h_{\\mathrm{prev}}', 'W_{q}', '\\hat{x}', '\\mathrm{loss}', '\\mathrm{\\_}']
    """
    first, *rest = [part for part in name.split("_") if part] or [name]
    match = re.fullmatch(r"([^\W\d]+?)(\d*)", first)
    if match is None:
        return code(name)
    base, number = match.groups()
    if len(base) == 2 and base[0].isupper() and base[1].islower() and not number and base not in GREEK:
        base, rest = base[0], [base[1], *rest]
    below = ", ".join(_letters(part) for part in [number, *rest] if part)
    return _letters(base) + (f"_{{{below}}}" if below else "")


def _letters(word: str) -> str:
    if word.isdigit() or (len(word) == 1 and word != "_"):
        return word
    if word in GREEK:
        return f"\\{word}"
    if len(word) == 4 and word.endswith("hat"):
        return rf"\hat{{{word[0]}}}"
    return code(word)


def symbol(variable: Variable) -> str:
    r"""The name of a variable; `dW` of a gradient is an upright d before the name.

    >>> import numpy as np
    >>> symbol(Variable("dW2", np.ones(3), is_gradient=True))
    '\\mathrm{d}W_{2}'
    """
    if variable.is_gradient and len(variable.name) > 1 and variable.name.startswith("d"):
        return rf"\mathrm{{d}}{named(variable.name[1:])}"
    return named(variable.name)


def symbols(variables: Iterable[Variable]) -> dict[Variable, str]:
    """Names for variables, no two alike: `W_1` beside `W1` is spelled out."""
    found: dict[Variable, str] = {}
    for variable in variables:
        text = symbol(variable)
        found[variable] = code(variable.name) if text in found.values() else text
    return found


# -- numbers --------------------------------------------------------------------------------------


def decimal(x: float) -> str:
    r"""A number that is not negative, in as many digits as it has.

    >>> decimal(0.5), decimal(1e-05), decimal(2.5e30), decimal(float("inf"))
    ('0.5', '10^{-5}', '2.5 \\cdot 10^{30}', '\\infty')
    """
    if x != x:
        return code("nan")
    if x == float("inf"):
        return r"\infty"
    digits, _, exponent = repr(float(x)).partition("e")
    digits = digits.removesuffix(".0")
    if not exponent:
        return digits
    power = f"10^{{{int(exponent)}}}"
    return power if digits == "1" else rf"{digits} \cdot {power}"


def over(c: Coefficient) -> tuple[str, str]:
    r"""A number, without its sign, as what stands above and below a fraction bar; "1" where nothing does.

    >>> over(Fraction(-2, 3)), over(0.75 ** 0.5), over(Fraction(1, 10**5))
    (('2', '3'), ('\\sqrt{3}', '2'), ('1', '100000'))
    """
    if isinstance(c, Fraction):
        return str(abs(c.numerator)), str(c.denominator)
    square = rational(c**2)
    if isinstance(square, Fraction) and max(square.numerator, square.denominator) <= 4096:
        return _root(square.numerator), _root(square.denominator)
    return decimal(abs(c)), "1"


def _root(n: int) -> str:
    whole = round(n**0.5)
    return str(whole) if whole**2 == n else rf"\sqrt{{{n}}}"


def alone(c: Coefficient) -> str:
    """A number that is a term by itself, without its sign."""
    top, bottom = over(c)
    if isinstance(c, Fraction) and c.denominator > SHORT:
        return decimal(abs(float(c)))
    return top if bottom == "1" else rf"\frac{{{top}}}{{{bottom}}}"


# -- metadata -------------------------------------------------------------------------------------


def axes(axis: Any) -> str:
    r"""What is summed over, as a subscript.

    >>> axes(0), axes((1, 2)), axes(None)
    ('_{\\mathrm{axis}\\,0}', '_{\\mathrm{axes}\\,1, 2}', '')
    """
    if axis is None:
        return ""
    if isinstance(axis, tuple | list):
        return rf"_{{\mathrm{{axes}}\,{', '.join(map(str, axis))}}}"
    return rf"_{{\mathrm{{axis}}\,{axis}}}"


def sizes(shape: Iterable[int]) -> str:
    r"""A shape: 3 × 4.

    >>> sizes((3, 4))
    '3 \\times 4'
    """
    return r" \times ".join(map(str, shape))
