"""Examples of a batch: arrays that hide their first axis.

A `Batched` looks like one example, and is all of them: what is done to it is done to every example, by
rules that `ops/batch/` fills in.  Its `value` may be an array, a tensor (so that a gradient flows
through) or the batch of an outer vmap; and a tensor may hold one as its data (so that a function of one
example is differentiated for all at once).  That is all there is to `vmap` of `grad`, `grad` of `vmap`,
and to Jacobians in one walk.

Each vmap has a level, and inner ones have higher levels.  Where several meet, the highest goes first:
to it everything lower is the same for all examples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import count
from typing import Any

import numpy as np

from ..errors import BatchError, LoopWarning, ShapeError
from .door import RULES, bare, function_name, is_tensor, rebuilt
from .watch import user_frame

levels = count(1)

# The functions written with others that are running, lest one that gives up on a batch call itself.
_composites: ContextVar[tuple] = ContextVar("tinygrad_np.composites", default=())
# The batch whose function is running, local to the context (thread, task).
running: ContextVar[Batched | None] = ContextVar("tinygrad_np.running", default=None)

BATCH_RULES: dict[Any, Callable[..., Any]] = {}
"""From a function (a ufunc and a method of it, an op's call) to what runs it on a batch."""


_Operators = np.lib.mixins.NDArrayOperatorsMixin


class Batched(_Operators):
    """One example to look at, all of them to compute with."""

    __slots__ = ("level", "value")

    def __init__(self, value: Any, level: int) -> None:
        self.value, self.level = value, level

    shape = property(lambda self: self.value.shape[1:])
    ndim = property(lambda self: self.value.ndim - 1)
    size = property(lambda self: int(np.prod(self.value.shape[1:])))
    dtype = property(lambda self: self.value.dtype)
    # Not None, so that the walk never adds into it: another gradient may share its value.
    base = property(lambda self: self)
    requires_grad = property(lambda self: getattr(self.value, "requires_grad", False))
    T = property(lambda self: np.transpose(self))
    mT = property(lambda self: np.matrix_transpose(self))
    real = property(lambda self: np.real(self))
    imag = property(lambda self: np.imag(self))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of one number of a batch")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over one number of a batch")
        return iter(np.unstack(self))

    def __getitem__(self, index: Any) -> Any:
        return self if type(index) is tuple and not index else _dispatch("getitem", (self, index), {})

    def __repr__(self) -> str:
        return f"Batched(one of {self.value.shape[0]} examples of shape {self.shape} and dtype {self.dtype})"

    def astype(self, dtype: Any, **options: Any) -> Any:
        """The same entries in another dtype."""
        return Batched(self.value.astype(dtype, **options), self.level)

    def copy(self) -> Any:
        """Another batch with the same values."""
        return Batched(self.value.copy(), self.level)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        """The same entries in another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **options)

    def transpose(self, *axes: Any) -> Any:
        """The axes permuted."""
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def detach(self) -> Any:
        """The examples without what they came from."""
        return bare(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'Batched' object has no attribute {name!r}")
        self._refuse()

    # -- NumPy's door -------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        target = options.pop("out", None)
        result = _dispatch(ufunc if method == "__call__" else (ufunc, method), inputs, options)
        if target is None:
            return result
        same = isinstance(target[0], Batched) and isinstance(result, Batched) and "where" not in options
        if not same or (result.shape, result.dtype) != (target[0].shape, target[0].dtype):
            raise BatchError(
                f"{function_name(ufunc)} of a batch can write into a batch of the same shape and dtype only.  Leave "
                "out= away: y = f(x)."
            )
        target[0].value, target[0].level = result.value, result.level
        return target[0]

    def __array_function__(self, function: Callable, types: Any, args: tuple, options: dict) -> Any:
        return _dispatch(function, args, options)

    # -- what has one answer, where each example has its own ----------------------------------

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise BatchError(
            f"something asked for the numbers of {self!r}: each example has its own.  A condition, a loop, float() and "
            "code that is not NumPy's see all examples at once."
        )

    # As for tensors: += makes a new one.
    __iadd__, __isub__, __imul__ = _Operators.__add__, _Operators.__sub__, _Operators.__mul__
    __itruediv__, __ipow__ = _Operators.__truediv__, _Operators.__pow__
    backward = register_hook = _refuse
    __array__ = __bool__ = __float__ = __int__ = __index__ = __complex__ = item = tolist = __setitem__ = _refuse


def _method(function: Callable) -> Callable:
    return lambda self, *args, **options: function(self, *args, **options)


_METHODS = (
    "sum prod mean var std max min all any argmax argmin argsort cumsum cumprod ravel squeeze swapaxes repeat take "
    "diagonal trace dot conj conjugate clip round nonzero"
)
for _method_name in _METHODS.split():
    setattr(Batched, _method_name, _method(getattr(np, _method_name)))


def level_of(value: Any) -> int:
    """The level of a batch, or of the batch that a tensor holds; 0 for all else."""
    if type(value) is Batched:
        return value.level
    return level_of(value.data) if is_tensor(value) else 0


def operands(values: Any) -> Iterator[Any]:
    """The batches and tensors among arguments, also inside lists, tuples and dicts."""
    for value in values.values() if isinstance(values, dict) else values:
        if type(value) is Batched or is_tensor(value):
            yield value
        elif isinstance(value, list | tuple | dict):
            yield from operands(value)


def _dispatch(function: Any, args: tuple, options: dict) -> Any:
    """Run a function on arguments of which at least one is a batch."""
    top, inner = _innermost((*args, *options.values()) if options else args)
    if inner is not None:
        return _on_tensors(inner, function, args, options)
    return run_batched(function, top, args, options)


_ATOMS = frozenset({np.ndarray, float, int, bool, complex, str, slice, type(None), type(Ellipsis), type})


def _innermost(values: Any) -> tuple[int, Any]:
    """The highest level among arguments, and a tensor that is on it, if one is."""
    top, tensor = 0, None
    for value in values:
        kind = type(value)
        if kind is Batched:
            level, inner = value.level, None
        elif kind in _ATOMS:
            continue
        elif kind is list or kind is tuple or kind is dict:
            level, inner = _innermost(value.values() if kind is dict else value)
        elif is_tensor(value):
            level, inner = level_of(value), value
        else:
            continue
        if level > top:
            top, tensor = level, inner
        elif level == top and inner is not None:
            tensor = inner
    return top, tensor


def _on_tensors(tensor: Any, function: Any, args: tuple, options: dict) -> Any:
    """The tensor was made inside the batch: it records, and comes back here with its data."""
    if isinstance(function, tuple):
        return tensor.__array_ufunc__(*function, *args, **options)
    if isinstance(function, np.ufunc):
        return tensor.__array_ufunc__(function, "__call__", *args, **options)
    return RULES[function](*args, **options)


def run_batched(function: Any, level: int, args: tuple, options: dict) -> Any:
    """Run a function on the batches of one level: by its rule, or those of what it is written with, or a loop."""
    rule = BATCH_RULES.get(function)
    if rule is None and getattr(function, "signature", 0) is None:
        rule = BATCH_RULES[function] = BATCH_RULES["elementwise"]  # a ufunc of entries
    if rule is not None:
        try:
            return wrapped(rule(function, level, args, options), level)
        except BatchError:
            pass  # not for these arguments
    known = RULES.get(function, function)
    op = getattr(known, "op", None)
    if rule is None and op is not None and op.kind == "elementwise":
        return wrapped(BATCH_RULES["elementwise"](function, level, args, options), level)
    is_composite = function in RULES and op is None and getattr(known, "kind", None) != "constant"
    if is_composite and function not in _composites.get():
        token = _composites.set((*_composites.get(), function))
        try:
            return known(*args, **options)
        except BatchError:
            pass  # its code asks for numbers
        finally:
            _composites.reset(token)
    if getattr(known, "kind", None) == "write" or (isinstance(function, tuple) and function[1] == "at"):
        raise BatchError(f"{_name(function)} would write each example into the same array.")
    warn_of_loop(f"{_name(function)} once per example: it has no rule for a batch.")
    return one_by_one(_callable(function), level, args, options)


def unbatched(value: Any) -> Any:
    """The array with all examples behind a batch, or behind a tensor; any other value as it is."""
    while isinstance(value, Batched) or is_tensor(value):
        value = value.value if isinstance(value, Batched) else value.data
    return value


def warn_of_loop(what: str) -> None:
    """Say that vmap runs something once per example, at the line of the user's code that did."""
    if running.get() is None:
        return
    _, depth = user_frame()
    warnings.warn(f"vmap runs {what}", LoopWarning, depth)


def _callable(function: Any) -> Callable[..., Any]:
    """What runs a function on arrays and on tensors alike."""
    if isinstance(function, tuple):
        return getattr(*function)
    return RULES[function] if isinstance(function, str) else function


def _name(function: Any) -> str:
    if isinstance(function, str):
        return function
    if isinstance(function, tuple):
        return f"np.{function[0].__name__}.{function[1]}"
    op = getattr(function, "op", None)
    return op.title if op is not None else function_name(function)


def one_by_one(function: Callable[..., Any], level: int, args: Any, options: dict) -> Any:
    """The results of a function for each example, stacked."""
    n = next(x.value.shape[0] for x in operands((args, options)) if type(x) is Batched and x.level == level)
    if not n:
        raise BatchError(f"{_name(function)} runs once per example: no result, and no shape, for 0 examples.")
    return _stacked([function(*example(args, level, i), **example(options, level, i)) for i in range(n)], level)


def example(value: Any, level: int, i: int) -> Any:
    """One example of what is batched on a level, also inside lists, tuples and dicts."""
    if type(value) is Batched and value.level == level:
        # A copy of an array, for the function may write into it.
        one = value.value[i]
        return one.copy() if isinstance(one, np.ndarray) else one
    if isinstance(value, dict):
        return {key: example(v, level, i) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)([example(v, level, i) for v in value])
    return value


def _stacked(results: list[Any], level: int) -> Any:
    first = results[0]
    if isinstance(first, tuple | list):
        return rebuilt(first, [_stacked(list(each), level) for each in zip(*results, strict=True)])
    if isinstance(first, np.ndarray | np.generic | Batched | int | float | complex) or is_tensor(first):
        return Batched(stack(results), level)
    return first


def stack(results: list[Any], axis: int = 0) -> Any:
    """The results of all examples as one array."""
    shapes = sorted({np.shape(r) for r in results})
    if len(shapes) > 1:
        raise ShapeError(
            f"the examples of a batch give results of different shapes, {' and '.join(map(str, shapes))}, which make "
            "no array. Write np.where(mask, x, 0) for x[mask], so that every example keeps its shape."
        )
    return np.stack(results, axis=axis)


def wrapped(result: Any, level: int) -> Any:
    """Whole batches as examples."""
    if type(result) is np.ndarray:
        return Batched(result, level)
    if isinstance(result, tuple | list):
        return rebuilt(result, [wrapped(r, level) for r in result])
    if isinstance(result, np.ndarray | np.generic | Batched) or is_tensor(result):
        return Batched(result, level)
    return result


def repeated(value: Any, like: Batched) -> Batched:
    """What is the same for all examples, as a batch."""
    return Batched(np.broadcast_to(value, (like.value.shape[0], *np.shape(value))), like.level)


def as_example(value: Any) -> Any:
    """A value as what it is inside of a running vmap: one example, although all may be the same."""
    batch = running.get()
    return value if batch is None or level_of(value) >= batch.level else repeated(value, batch)


def at_one_level(out: Batched, inputs: tuple) -> tuple | None:
    """Inputs with outer tensors as batches, if some are: on this level they are values like any other."""
    if all(not is_tensor(x) or level_of(x) == out.level for x in inputs):
        return None
    return tuple([repeated(x, out) if is_tensor(x) and level_of(x) < out.level else x for x in inputs])


def for_each_example(direction: Callable[..., Any], moved: Any, kept: tuple, node: Any) -> Any:
    """Pull or push the examples of a batch one after the other, where a rule is written for arrays only."""
    found = list(operands((moved, kept, node.meta or ())))
    level = max(map(level_of, found))
    if any(type(x) is not Batched and level_of(x) == level for x in found) or list(operands((node.meta or (),))):
        raise BatchError(f"the rule of {node.describe()} works on one example only.")
    warn_of_loop(f"the derivative of {node.rule.op.title} once per example: it is written for arrays.")
    return one_by_one(lambda g, kept: direction(g, kept, node), level, (moved, kept), {})
