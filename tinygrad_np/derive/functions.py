"""What calls of NumPy's functions become in a derivation, where arithmetic can say it better.

Each function here takes what NumPy's takes, with expressions in place of arrays, and gives an expression, or
None where the call stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from .expressions import (
    ONE,
    Call,
    Expr,
    Variable,
    add,
    cost,
    expression,
    factored,
    multiply,
    number,
    power,
    scale,
    simplified,
)
from .sizes import count

Builder = Callable[..., Expr | None]
BUILDERS: dict[Any, Builder] = {}


B = TypeVar("B", bound=Builder)


def builds(*functions: Any) -> Callable[[B], B]:
    """What calls of these functions become."""

    def register(build: B) -> B:
        for function in functions:
            BUILDERS[function] = build
        return build

    return register


def built_by(function: Any, like: Any, args: tuple, options: dict[str, Any]) -> Expr | None:
    """What a call becomes; None where it stays a call, or has a keyword that arithmetic does not know."""
    build = BUILDERS.get(function)
    if build is None or (options.keys() & FOREIGN) or options.get("order", "C") not in ("C", None, "K"):
        return None
    return build(like, *args, **options)


FOREIGN = {"where", "initial", "dtype", "ddof", "correction"}


# -- arithmetic -----------------------------------------------------------------------------------

BUILDERS[np.add] = lambda like, x, y: simplified(add(x, y))
BUILDERS[np.subtract] = lambda like, x, y: simplified(add(x, y, signs=(1, -1)))
BUILDERS[np.negative] = lambda like, x: scale(x, Fraction(-1))
BUILDERS[np.positive] = BUILDERS[np.copy] = lambda like, x, *_, **__: x
BUILDERS[np.multiply] = lambda like, x, y: simplified(multiply(x, y))
BUILDERS[np.square] = lambda like, x: power(x, Fraction(2))
BUILDERS[np.reciprocal] = lambda like, x: power(x, Fraction(-1))
BUILDERS[np.sqrt] = lambda like, x: power(x, Fraction(1, 2))


@builds(np.divide)
def _divide(like: Any, x: Expr, y: Expr) -> Expr | None:
    return None if y.number == 0 else simplified(multiply(x, power(y, Fraction(-1))))


@builds(np.power)
def _power(like: Any, x: Expr, y: Expr) -> Expr | None:
    # Whole and half exponents only: others are functions.
    exponent = y.number
    if not isinstance(exponent, Fraction) or exponent.denominator > 2 or abs(exponent) > 8:
        return None
    return power(x, exponent) if exponent else number(1, like.shape, like.dtype)


# -- shapes ---------------------------------------------------------------------------------------


@builds(np.broadcast_to)
def _broadcast_to(like: Any, x: Expr, shape: Any, **_: Any) -> Expr:
    return Expr(x.terms, like.shape, x.dtype)


@builds(np.astype)
def _astype(like: Any, x: Expr, dtype: Any, **_: Any) -> Expr | None:
    # A mask counts as numbers wherever it is multiplied.
    same = x.dtype == like.dtype or x.dtype == bool or x.number is not None
    return Expr(x.terms, x.shape, like.dtype) if same else None


@builds(np.real, np.conj, np.conjugate)
def _real(like: Any, x: Expr) -> Expr | None:
    return x if x.dtype.kind != "c" else None


@builds(np.reshape)
def _reshape(like: Any, x: Expr, shape: Any = None, order: str = "C", copy: Any = None) -> Expr | None:
    if order != "C":
        return None
    if x.shape == like.shape:
        return x
    if not x.natural_shape():
        return Expr(x.terms, like.shape, x.dtype)
    inner = x.atom
    if isinstance(inner, Call) and inner.function is np.reshape and not inner.options:
        return _reshape(like, inner.args[0])
    if is_plain_sum(inner) or _leads_with_ones(like.shape, x.shape):
        return _expand_dims(like, x, None)
    return _outside(np.reshape, like, x, like.shape)


def _reshaped(like: Any, x: Expr) -> Expr:
    made = _reshape(like, x)
    assert made is not None  # in the order of the entries
    return made


def _leads_with_ones(shape: tuple[int, ...], old: tuple[int, ...]) -> bool:
    """Whether broadcasting puts in the new axes by itself."""
    extra = len(shape) - len(old)
    return extra >= 0 and shape == (1,) * extra + old


@builds(np.expand_dims)
def _expand_dims(like: Any, x: Expr, axis: Any) -> Expr:
    """Axes of length 1 put in: a sum keeps them from the start."""
    inner = x.atom
    if isinstance(inner, Call) and is_plain_sum(inner) and not inner.options.get("keepdims"):
        kept = np.sum(np.empty(inner.args[0].shape), axis=inner.options.get("axis"), keepdims=True).shape
        if kept == like.shape:
            return call(np.sum, like, inner.args[0], axis=inner.options.get("axis"), keepdims=True)
    if _leads_with_ones(like.shape, x.natural_shape()) or not x.natural_shape():
        return Expr(x.terms, like.shape, x.dtype)
    return _outside(np.reshape, like, x, like.shape)


@builds(np.transpose)
def _transpose(like: Any, x: Expr, axes: Any = None) -> Expr:
    order = tuple(range(len(x.shape))[::-1]) if axes is None else tuple(int(a) % len(x.shape) for a in axes)
    inner = x.atom
    if isinstance(inner, Call) and inner.function is np.transpose:
        order = tuple(inner.args[1][a] for a in order)
        x = inner.args[0]
    if order == tuple(range(len(order))) or len(order) < 2:
        return x
    if order == (1, 0) and isinstance(inner, Call) and inner.function is np.matmul:
        turned = _matmul(like, *[_turned(factor) for factor in reversed(inner.args)])
        if cost(turned) <= cost(x):
            return turned
    return _outside(np.transpose, like, x, order)


def _turned(x: Expr) -> Expr:
    return _transpose(np.broadcast_to(np.zeros((), x.dtype), x.shape[::-1]), x)


@builds(np.matrix_transpose)
def _matrix_transpose(like: Any, x: Expr) -> Expr:
    n = len(x.shape)
    return _transpose(like, x, (*range(n - 2), n - 1, n - 2))


@builds(np.swapaxes)
def _swapaxes(like: Any, x: Expr, axis1: int, axis2: int) -> Expr:
    order = list(range(len(x.shape)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _transpose(like, x, order)


@builds(np.moveaxis)
def _moveaxis(like: Any, x: Expr, source: Any, destination: Any) -> Expr:
    marked = np.moveaxis(np.empty(tuple(range(len(x.shape)))), source, destination)
    return _transpose(like, x, marked.shape)


# -- products and sums ------------------------------------------------------------------------------


@builds(np.matmul)
def _matmul(like: Any, x: Expr, y: Expr) -> Expr:
    """A number in a factor stands before the product."""
    (x, c), (y, d) = _without_number(x), _without_number(y)
    return scale(call(np.matmul, like, x, y), c * d)


@builds(np.dot)
def _dot(like: Any, x: Expr, y: Expr) -> Expr:
    if len(x.shape) in (1, 2) and len(y.shape) in (1, 2):
        return _matmul(like, x, y)
    return multiply(x, y) if not x.shape or not y.shape else call(np.dot, like, x, y)


@builds(np.sum)
def _sum(like: Any, x: Expr, axis: Any = None, keepdims: bool = False) -> Expr:
    """What is the same along the axes stands before the sum; of a sum of terms, each is summed if that is shorter."""
    axes = axes_of(axis, len(x.shape))
    axes = tuple(a for a in axes if x.shape[a] != 1) if keepdims else axes
    if not axes:
        return x
    inner = x.atom
    if isinstance(inner, Call) and is_plain_sum(inner) and inner.options.get("keepdims") and not keepdims:
        return _sum_of_sum(like, inner, axes)
    if len(x.terms) > 1:
        whole = _sum_of_term(like, simplified(x), axes, keepdims)
        apart = add(*[_sum_of_term(like, Expr({m: c}, x.shape, x.dtype), axes, keepdims) for m, c in x.terms.items()])
        return apart if cost(apart) < cost(whole) else whole
    return _sum_of_term(like, x, axes, keepdims)


def _sum_of_sum(like: Any, inner: Call, axes: tuple[int, ...]) -> Expr:
    """One sum over all axes of both; those that the first kept are put in again."""
    x: Expr = inner.args[0]
    every = tuple(sorted({*axes_of(inner.options.get("axis"), len(x.shape)), *axes}))
    total = np.broadcast_to(np.zeros((), x.dtype), tuple(n for a, n in enumerate(x.shape) if a not in every))
    return _reshaped(like, _sum(total, x, every))


def _sum_of_term(like: Any, x: Expr, axes: tuple[int, ...], keepdims: bool) -> Expr:
    monomial, c = factored(x)
    moving = frozenset((a, e) for a, e in monomial if _varies(a.shape, x.shape, axes))
    still = Expr({frozenset(monomial - moving): c}, like.shape, x.dtype)
    if not keepdims and any(a.shape for a, _ in still_atoms(still)):
        # Their axes are still there, and those of the sum are not.
        moving, still = monomial, Expr({ONE: c}, like.shape, x.dtype)
    inside = Expr({moving: Fraction(1)}, x.shape, x.dtype)
    if known := _known_sum(inside, axes):
        return multiply(number(known, like.shape, x.dtype), still)
    # Along axes that nothing varies on, a sum counts.
    natural = (1,) * (len(x.shape) - len(inside.natural_shape())) + inside.natural_shape()
    counted = tuple(a for a in axes if natural[a] == 1)
    still = multiply(still, count(x.shape[a] for a in counted))
    rest = tuple(a for a in axes if a not in counted)
    if counted:
        shape = tuple(1 if a in counted else n for a, n in enumerate(x.shape))
        inside = Expr(inside.terms, shape, x.dtype)
    if not rest and keepdims:
        return multiply(Expr(inside.terms, like.shape, x.dtype), still)
    if not rest and all(not a.shape for a, _ in moving):
        return multiply(Expr(inside.terms, like.shape, x.dtype), still)
    summed: Any = tuple(axes) if not keepdims else rest
    if len(summed) == len(x.shape) and not keepdims:
        summed = None
    elif len(summed) == 1:
        summed = summed[0]
    options = {"axis": summed, "keepdims": True} if keepdims else {"axis": summed}
    total = call(np.sum, like, inside, **options)
    return multiply(total, still)


def _known_sum(x: Expr, axes: tuple[int, ...]) -> float:
    """1 for data that holds shares of a whole along these axes, such as one-hot labels; else 0."""
    data = x.atom
    if not isinstance(data, Variable) or not data.is_data or data.value.size < 2:
        return 0.0
    if not np.allclose(data.value.sum(axis=axes), 1, rtol=0, atol=1e-6):
        return 0.0
    data.facts.add(axes)
    return 1.0


def still_atoms(x: Expr) -> list:
    """The atoms of all terms, with their exponents."""
    return [entry for monomial in x.terms for entry in monomial]


def _varies(shape: tuple[int, ...], whole: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Whether something of `shape` may differ along the axes of the `whole`."""
    offset = len(whole) - len(shape)
    return any(a >= offset and shape[a - offset] != 1 for a in axes)


@builds(np.mean)
def _mean(like: Any, x: Expr, axis: Any = None, keepdims: bool = False) -> Expr | None:
    n = count(x.shape[a] for a in axes_of(axis, len(x.shape)))
    return None if n.number == 0 else multiply(_sum(like, x, axis, keepdims), power(n, Fraction(-1)))


@builds(np.where)
def _where(like: Any, condition: Expr, x: Expr, y: Expr) -> Expr | None:
    plain = not x.natural_shape() and all(isinstance(a, Variable) and not a.shape for m in x.terms for a, _ in m)
    finite = plain and all(math.isfinite(c) for c in x.terms.values())
    if finite and y.number == 0 and condition.dtype == bool and not any(a.dtype.kind == "b" for a in x.atoms()):
        return Expr(multiply(condition, x).terms, like.shape, like.dtype)
    # What is not taken may be inf or nan, so no product with the condition takes its place.
    return x if x == y else None


@builds(np.logical_not)
def _logical_not(like: Any, x: Expr) -> Expr | None:
    return None if x.number is None else number(not x.number, like.shape, like.dtype)


# -- calls ------------------------------------------------------------------------------------------


def call(function: Any, like: Any, *args: Any, **options: Any) -> Expr:
    """A call that stays as it is; expressions among its arguments in their shortest form."""
    return expression(Call(function, args, options, like))


def _outside(function: Any, like: Any, x: Expr, *args: Any) -> Expr:
    """A call that only moves entries: numbers stand before it."""
    x, c = _without_number(x)
    return scale(call(function, like, x, *args), c)


def _without_number(x: Expr) -> tuple[Expr, Any]:
    if len(x.terms) != 1:
        return x, Fraction(1)
    ((monomial, c),) = x.terms.items()
    return (Expr({monomial: Fraction(1)}, x.shape, x.dtype), c) if monomial else (x, Fraction(1))


def is_plain_sum(atom: Any) -> bool:
    """Whether this is a sum of all entries along its axes, and not of some of them."""
    return isinstance(atom, Call) and atom.function is np.sum and atom.options.keys() <= {"axis", "keepdims"}


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction, counted from the front."""
    if axis is None or not ndim:
        return tuple(range(ndim))
    return tuple(int(a) % ndim for a in (axis if isinstance(axis, tuple | list) else (axis,)))
