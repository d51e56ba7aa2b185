"""Symbols: what rules are run with to see which formula they are.

A `Symbol` passes for an array.  It has an expression and an example, a real array, so that rules can ask for
shapes and dtypes and even look at numbers; every function of NumPy that it comes to makes a new symbol.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..engine.door import function_name, rebuilt
from .expressions import Call, Constant, Expr, expression, number
from .functions import built_by, call
from .sizes import Share, Size, in_samples, sized

BINARY = (np.dot, np.tensordot, np.outer, np.inner, np.kron, np.linalg.solve)
WORDLESS: set[Any] = {np.reshape, np.transpose, np.broadcast_to, np.astype, np.expand_dims, np.swapaxes, np.moveaxis,
                      np.einsum, np.squeeze, np.clip}  # fmt: skip
WRITES = {np.put, np.put_along_axis, np.copyto, np.place, np.putmask, np.fill_diagonal}
REDUCED = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}


looking: ContextVar[list[bool] | None] = ContextVar("tinygrad_np.looking", default=None)
"""Where it is noted that a rule has looked at numbers: with others it may be another formula."""


class Unreadable(Exception):
    """Something that is not a formula: a write into an array, a conversion to plain numbers."""


class Symbol(NDArrayOperatorsMixin):
    """An expression that passes for an array."""

    __hash__ = object.__hash__

    def __init__(self, expr: Expr, example: Any) -> None:
        self.expr, self.example = expr, np.asarray(example)

    shape = property(lambda self: sized(self.example.shape))
    ndim = property(lambda self: self.example.ndim)
    size = property(lambda self: math.prod(self.shape))
    dtype = property(lambda self: self.example.dtype)
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.matrix_transpose(self))
    real = property(lambda self: np.real(self))

    def call_of(self, op: Any, arrays: tuple, args: tuple, options: dict) -> Any:
        """What an op of this package gives that does not run on symbols."""
        return written(op, arrays, args, options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unreadable("the entries of an array are asked for")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "reduce" and ufunc in REDUCED:
            return reduced(REDUCED[ufunc], *inputs, **options)
        if method != "__call__":
            raise Unreadable(f"{ufunc.__name__}.{method} writes, or has no formula here")
        return applied(ufunc, inputs, options)

    def __array_function__(self, function: Callable, types: Any, args: tuple, options: dict) -> Any:
        return applied(function, args, options)

    def __getitem__(self, index: Any) -> Any:
        return applied(item, (self, index), {})

    def __len__(self) -> int:
        return len(self.example)

    def __bool__(self) -> bool:
        return self._looked(self.example)

    def min(self, axis: Any = None, **options: Any) -> Any:
        """The smallest entry."""
        return np.min(self, axis=axis, **options)

    def max(self, axis: Any = None, **options: Any) -> Any:
        """The largest entry."""
        return np.max(self, axis=axis, **options)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """As the method of an array; so are those below."""
        return np.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The mean."""
        return np.mean(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """Another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **options)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two axes swapped."""
        return np.swapaxes(self, axis1, axis2)

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Another dtype."""
        return applied(np.astype, (self, np.dtype(dtype)), {})

    def dot(self, other: Any) -> Any:
        """The product of matrices."""
        return np.dot(self, other)

    def copy(self, *_: Any) -> Any:
        """The same: nobody writes into it."""
        return self

    def conj(self) -> Any:
        """The complex conjugate."""
        return np.conj(self)

    def all(self) -> bool:
        """Whether all entries of the example are true, for rules that look."""
        return self._looked(self.example.all())

    def any(self) -> bool:
        """Whether one entry of the example is."""
        return self._looked(self.example.any())

    @staticmethod
    def _looked(answer: Any) -> bool:
        looks = looking.get()
        if looks is not None:
            looks.append(bool(answer))
        return bool(answer)


def item(x: Any, index: Any) -> Any:
    """An entry, or a part, of an array."""
    return x[index]


WORDLESS.add(item)


def is_last(index: Any, last: int | None) -> bool:
    """Whether an index is `..., last`: a part at the end of all axes, or an axis put in there."""
    return isinstance(index, tuple) and len(index) == 2 and index[0] is Ellipsis and index[1] is last


def reduced(function: Any, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """A reduction by a ufunc, as the function of NumPy."""
    if out is not None:
        raise Unreadable("out= writes")
    return applied(function, (x,), {"axis": axis, "keepdims": keepdims} if keepdims else {"axis": axis})


def applied(function: Any, args: tuple, options: Mapping[str, Any]) -> Any:
    """A function of symbols: its example computed, and its expression built."""
    if options.get("out") is not None or function in WRITES:
        raise Unreadable("a write into an array")
    given = {key: value for key, value in options.items() if not _is_default(key, value)}
    with np.errstate(all="ignore"):
        example = function(*examples(args), **examples(given))
    arrays = function.nin if isinstance(function, np.ufunc) else ARRAYS.get(function, 1)
    args, given = _by_name(function, args, given, arrays)
    read = tuple([as_expr(arg) if i < arrays else expressions(arg) for i, arg in enumerate(args)])
    named = expressions(given)
    if isinstance(example, tuple | list):
        calls = [Call(function, read, named, np.asarray(e), i) for i, e in enumerate(example)]
        return rebuilt(example, [Symbol(expression(c), e) for c, e in zip(calls, example, strict=True)])
    example = np.asarray(example)
    built = built_by(function, example, read, named) or call(function, example, *read, **named)
    return Symbol(Expr(built.terms, example.shape, example.dtype), example)


@cache
def _parameters(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _by_name(function: Any, args: tuple, options: dict, arrays: int) -> tuple[tuple, dict]:
    """Metadata by keyword, as they are read best; an index, a shape or an order of axes needs no word."""
    names = _parameters(function)
    if function in WORDLESS or len(args) <= arrays or len(args) > len(names):
        return args, options
    return args[:arrays], {**dict(zip(names[arrays:], args[arrays:], strict=False)), **options}


def _is_default(key: str, value: Any) -> bool:
    return value is np._NoValue or (value is None and key in ("dtype", "out")) or (key == "where" and value is True)


ARRAYS = {np.where: 3, np.take_along_axis: 2, **dict.fromkeys(BINARY, 2)}
"""How many arguments are arrays; of other functions the first, and whatever is a symbol."""


def expressions(value: Any) -> Any:
    """Arguments with the expressions of symbols in their place."""
    if isinstance(value, Symbol):
        return value.expr
    if isinstance(value, dict):
        return {key: expressions(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return rebuilt(value, [expressions(v) for v in value])
    return value


def as_expr(value: Any) -> Any:
    """A symbol, a number or a plain array as an expression; anything else as it is."""
    if isinstance(value, Symbol):
        return value.expr
    if isinstance(value, list | tuple):
        return expressions(value) if any(isinstance(v, Symbol) for v in value) else as_expr(np.asarray(value))
    if isinstance(value, Size | Share):
        return in_samples(value)
    if not isinstance(value, int | float | complex | np.generic | np.ndarray):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "iufb":
        raise Unreadable("numbers that are not real")
    if array.size and (array == array.flat[0]).all() and np.isfinite(array.flat[0]):
        kind = array.dtype if isinstance(value, np.ndarray | np.generic) else np.float16
        return number(array.flat[0], array.shape, kind)
    return expression(Constant(array))


def examples(value: Any) -> Any:
    """Arguments with the examples of symbols in their place."""
    if isinstance(value, Symbol):
        return value.example
    if isinstance(value, dict):
        return {key: examples(v) for key, v in value.items()}
    if isinstance(value, tuple | list):
        return rebuilt(value, [examples(v) for v in value])
    if isinstance(value, slice):
        return slice(examples(value.start), examples(value.stop), examples(value.step))
    # Only plain numbers of Python leave the dtype of arrays alone.
    if isinstance(value, Share):
        return float(value)
    return int(value) if isinstance(value, Size) else value


WRITTEN: dict[str, Callable[..., Any]] = {}
VARIADIC: dict[str, Callable[..., Any]] = {}
"""How ops that NumPy has no function for are written, by their name; those of any number of arrays apart."""
SIMPLER: dict[tuple[str, str], tuple[Callable[..., bool], Callable[..., Any]]] = {}
"""By op and input: where the first holds of the inputs, the second is the rule without what guards its edges.

Both are given the inputs and the metadata, and the rule g before them."""


def written(op: Any, arrays: tuple, args: tuple, options: dict) -> Any:
    """What an op computes, of symbols."""
    if op.name in VARIADIC:
        return VARIADIC[op.name](*arrays, **options)
    public = function_name(op.public).startswith(("np.", "scipy."))
    # Functions of scipy may have the name of another.
    name = op.title.removeprefix("tg.") if op.title.startswith("tg.special.") else op.name
    if name in WRITTEN and not public:
        return WRITTEN[name](*arrays, **dict(zip(op.metadata, args, strict=False)), **options)
    if not public:
        raise Unreadable(f"NumPy has no function for {op.title}")
    return applied(op.public, (*arrays, *args), options)
