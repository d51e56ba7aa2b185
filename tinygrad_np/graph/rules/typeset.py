"""Rules as a reader writes them: from the lambda that computes a gradient to a line of mathematics.

The result is a template, in which inputs and metadata stand in brackets that no program contains: `g * ⟦y⟧`.
"""

from __future__ import annotations

import ast
import linecache
import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from types import CodeType, ModuleType
from typing import Any

from ..words import number

PACKAGE = __name__.partition(".")[0]
# What helpers of the package do, without their care for zeros, dtypes and speed.
MEANINGS = {
    "inverse_or_zero(x)": "1 / x",
    "infinite_at_zero(x)": "x",
    "product(a, b)": "a @ b",
    "taken(g, condition)": "where(condition, g, 0)",
    "conjugate(x)": "x",
    "bare(x)": "x",
    "_direction(x)": "sign(x)",
    "_wide(x)": "x",
    "_psi_step(a, b)": "psi(a + b) - psi(a)",
}
NUMBERS = {"LN2": "log(2)", "LN10": "log(10)", "ROOT_PI": "sqrt(pi)", "ROOT_TWO_PI": "sqrt(2 * pi)"}
ANGLES = {180 / math.pi: "180 / pi", math.pi / 180: "pi / 180"}
# Functions of the package that its users know.
KNOWN = {"sigmoid", "softmax", "log_softmax", "polygamma", "trigamma", "zeta"}


class _UnreadableError(Exception):
    """A rule that calls what its reader does not know."""


# -- finding the source -----------------------------------------------------------------------


@cache
def _functions(path: str, lines: tuple[str, ...]) -> dict[int, list[ast.Lambda]]:
    """The lambdas of a file, by the lines they begin on."""
    found: dict[int, list[ast.Lambda]] = {}
    for node in ast.walk(ast.parse("".join(lines), path)):
        if isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found


def source_of(rule: Callable[..., Any]) -> ast.expr | None:
    """The expression that a lambda computes, or None where its source is not at hand or is another by now."""
    code = getattr(rule, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return None
    scope = rule.__globals__  # type: ignore[attr-defined]
    modules = [name for name in code.co_names if isinstance(scope.get(name), ModuleType)]
    try:
        found = _functions(code.co_filename, tuple(linecache.getlines(code.co_filename, scope)))
        same = [node for node in found.get(code.co_firstlineno, []) if _computes(node, code, modules)]
    except (SyntaxError, ValueError):
        return None
    return same[0].body if same else None


def _computes(node: ast.Lambda, code: CodeType, modules: list[str]) -> bool:
    """Whether the lambda is what was compiled: several may begin on a line, and files change."""
    # A call of a module's function compiles to other instructions than one of a method.
    imports: list[ast.stmt] = [ast.Import([ast.alias(name)]) for name in modules]
    module = ast.Module([*imports, ast.Expr(node)], [])
    compiled = compile(ast.fix_missing_locations(module), code.co_filename, "exec")
    return any(_essence(part) == _essence(code) for part in compiled.co_consts if isinstance(part, CodeType))


def _essence(code: CodeType) -> tuple[Any, ...]:
    constants = [_essence(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, constants


# -- making it readable -----------------------------------------------------------------------


class _Readable(ast.NodeTransformer):
    """Helpers of the package replaced by what they mean, variables by their places in the template."""

    def __init__(self, variables: Collection[str], scope: Mapping[str, Any]) -> None:
        self.variables, self.scope = variables, scope
        # A helper of the user's may have the name of one of the package.
        self.ours = scope.get("__name__", PACKAGE).partition(".")[0] == PACKAGE

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.variables:
            return ast.Name(f"⟦{node.id}⟧")
        if self.ours and node.id in NUMBERS:
            return ast.parse(NUMBERS[node.id], mode="eval").body
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if self._module(node.value) is not None:
            return ast.Name(node.attr)
        return ast.Attribute(self.visit(node.value), "T" if node.attr == "mT" else node.attr)

    def _module(self, node: ast.expr) -> ModuleType | None:
        """The module that an expression like `np.linalg` stands for."""
        found = None
        if isinstance(node, ast.Name) and node.id not in self.variables:
            found = self.scope.get(node.id)
        elif isinstance(node, ast.Attribute):
            found = getattr(self._module(node.value), node.attr, None)
        return found if isinstance(found, ModuleType) else None

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [self.visit(a) for a in node.args]
        keywords = [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]
        if isinstance(node.func, ast.Name):
            return self._function(node.func.id, arguments, keywords)
        function = self.visit(node.func)
        if isinstance(function, ast.Attribute):
            # Methods as functions: g.sum() is sum(g).
            return ast.Call(ast.Name(function.attr), [function.value, *arguments], keywords)
        return ast.Call(function, arguments, keywords)

    def _function(self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> ast.expr:
        meaning = _meanings().get(name) if self.ours else None
        if meaning and len(arguments) == len(meaning[0]):
            return _filled(meaning[1], dict(zip(meaning[0], arguments, strict=True)))
        called = self.scope.get(name)
        home = getattr(called, "__module__", None) or ""
        if name not in KNOWN and (name.startswith("_") or home.partition(".")[0] == PACKAGE):
            raise _UnreadableError(name)
        return ast.Call(ast.Name(name), arguments, keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        return _product_or_same(ast.BinOp(self.visit(node.left), node.op, self.visit(node.right)))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        return negated(operand) if isinstance(node.op, ast.USub) else ast.UnaryOp(node.op, operand)


@cache
def _meanings() -> dict[str, tuple[list[str], ast.expr]]:
    table = {}
    for call, meaning in MEANINGS.items():
        pattern = ast.parse(call, mode="eval").body
        assert isinstance(pattern, ast.Call)
        table[ast.unparse(pattern.func)] = [ast.unparse(a) for a in pattern.args], ast.parse(meaning, mode="eval").body
    return table


class _Fill(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def _filled(expression: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    # A copy, as the transformer changes what it visits.
    return _Fill(values).visit(ast.parse(ast.unparse(expression), mode="eval").body)


# -- algebra: few signs and parentheses -------------------------------------------------------

_PRODUCTS = (ast.Mult, ast.Div, ast.MatMult)


def negated(e: ast.expr) -> ast.expr:
    """-e, with the sign at the first factor."""
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        return e.operand
    if isinstance(e, ast.BinOp) and isinstance(e.op, _PRODUCTS):
        return ast.BinOp(negated(e.left), e.op, e.right)
    return ast.UnaryOp(ast.USub(), e)


def times(a: ast.expr, b: ast.expr) -> ast.expr:
    """a * b, with the factors of b one after the other, and its sign in front."""
    if _is_one(b):
        return a
    if isinstance(b, ast.UnaryOp) and isinstance(b.op, ast.USub):
        return negated(times(a, b.operand))
    if isinstance(b, ast.BinOp) and isinstance(b.op, ast.Mult | ast.Div):
        return ast.BinOp(times(a, b.left), b.op, b.right)
    # Numbers stand in front.
    return ast.BinOp(b, ast.Mult(), a) if isinstance(b, ast.Constant) else ast.BinOp(a, ast.Mult(), b)


def _is_one(e: ast.expr) -> bool:
    return isinstance(e, ast.Constant) and e.value == 1


def _product_or_same(e: ast.BinOp) -> ast.expr:
    if not isinstance(e.op, ast.Mult):
        return e
    minus = isinstance(e.left, ast.UnaryOp) and isinstance(e.left.op, ast.USub)
    left = e.left.operand if minus and isinstance(e.left, ast.UnaryOp) else e.left
    if isinstance(left, ast.Name | ast.Attribute) and ast.unparse(left) == ast.unparse(e.right):
        square = ast.BinOp(left, ast.Pow(), ast.Constant(2))
        return negated(square) if minus else square
    return e


# -- templates --------------------------------------------------------------------------------


@cache
def template(text: str, variables: tuple[str, ...], slope: bool) -> str:
    """The template of an expression in NumPy's words; a slope is what g is multiplied with.

    >>> template("y * x ** (y - 1)", ("x", "y"), True)
    'g * ⟦y⟧ * ⟦x⟧ ** (⟦y⟧ − 1)'
    """
    return _typeset(_Readable(variables, {}).visit(ast.parse(text, mode="eval").body), slope)


def template_of(rule: Any, slope: bool) -> str | None:
    """The template of a rule, a number or a lambda, or None if it cannot be read."""
    if not callable(rule):
        return _typeset(ast.parse(ANGLES.get(rule) or f"{rule:.5g}", mode="eval").body, slope)
    expression = source_of(rule)
    if expression is None:
        return None
    code = rule.__code__
    variables = set(code.co_varnames[: code.co_argcount]) - {"g", "out"}
    copied = ast.parse(ast.unparse(expression), mode="eval").body
    try:
        return _typeset(_Readable(variables, rule.__globals__).visit(copied), slope)
    except _UnreadableError:
        return None


def _typeset(expression: ast.expr, slope: bool) -> str:
    if slope:
        expression = times(ast.Name("g"), expression)
    text = ast.unparse(ast.fix_missing_locations(expression)).replace("-", "−")
    text = re.sub(r"\.T\b", "ᵀ", text)
    return re.sub(r" \*\* ([23])\b(?!\.)", lambda m: "²³"[int(m[1]) - 2], text)


def fill(text: str, fields: Mapping[str, str], left_out: Collection[str] = ()) -> str:
    """The template with its fields; keywords that are `left_out`, being at their defaults, are not written.

    >>> fill("sum(g * ⟦x⟧, axis=⟦axis⟧)", {"x": "W", "axis": "0"}), fill("sum(g, axis=⟦axis⟧)", {}, {"axis"})
    ('sum(g * W, axis=0)', 'sum(g)')
    """
    for name in left_out:
        text = text.replace(f", {name}=⟦{name}⟧", "")
    return re.sub(r"(−?)⟦(\w+)⟧([²³]| \*\*)?", lambda m: _placed(m, fields), text)


def _placed(match: re.Match[str], fields: Mapping[str, str]) -> str:
    before, name, after = match[1], match[2], match[3] or ""
    value = fields.get(name, match[0][len(before) : len(match[0]) - len(after)])
    if value.startswith("-") and (before or after):
        value = f"({value})"
    return before + value + after


_SUM = re.compile(r"(?:(?<=\()|(?<=, ))(-?\d[\d.]*) ([−+]) (\d[\d.]*)(?=[,)])")
_FACTOR = re.compile(r"(?<=[(,] )1 \* |(?<=\()1 \* | / 1(?=[),])")
_LONE = re.compile(r"(?<![\w)\]])\((\d[\d.]*)\)")


def folded(text: str) -> str:
    """Sums of two numbers that stand by themselves, worked out, and factors and divisors of 1 left away.

    >>> folded("x ** (2.5 − 1) / kn(1 + 1, x)")
    'x ** 1.5 / kn(2, x)'
    >>> folded("where(x > 0, 1, 1 * exp(x / 1))")
    'where(x > 0, 1, exp(x))'
    """
    text = _SUM.sub(lambda m: number(float(m[1]) + (float(m[3]) if m[2] == "+" else -float(m[3]))), text)
    return _LONE.sub(r"\1", _FACTOR.sub("", text))
