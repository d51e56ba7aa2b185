"""Python functions applied along axes, over pieces and entry by entry, and numbers taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..engine.door import RULES, bare, find_tensors, function_name
from ..engine.op import composite, elementwise
from ..errors import ShapeError
from .creation import array
from .index import index_update
from .reduce import operand

# -- along axes ---------------------------------------------------------------------------------


@composite(
    np.apply_along_axis,
    sample=lambda r: [
        r(np.sum, 0, r.real(3, 4)),
        r(np.sort, -1, r.real(2, 3, 4)),
        r(np.outer, 1, r.real(2, 3, 2), r.real(2)),
        r(lambda x, scale=1: np.cumsum(x)[1:] * scale, axis=0, arr=r.real(3, 2), scale=2.0),
        r(np.argmax, 1, r.real(3, 4)),
        r(np.mean, 0, r.real(4)),
    ],
)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """`func1d` of every row along the axis; its axes stand where that one stood."""
    arr = operand(arr)
    axis = normalize_axis_index(axis, arr.ndim)
    lanes = np.moveaxis(arr, axis, -1)
    if 0 in lanes.shape[:-1]:
        raise ValueError(
            f"np.apply_along_axis cannot be used when the other axes have no entries: shape {arr.shape}.  Write the "
            "result's shape yourself."
        )
    results = np.stack([func1d(lane, *args, **kwargs) for lane in np.unstack(lanes.reshape(-1, lanes.shape[-1]))])
    before, made = arr.ndim - 1, results.ndim - 1
    results = results.reshape(lanes.shape[:-1] + results.shape[1:])
    return np.moveaxis(results, range(before, before + made), range(axis, axis + made))


@composite(
    np.apply_over_axes,
    sample=lambda r: [
        r(np.sum, r.real(2, 3, 4), (0, -1)),
        r(np.cumsum, r.real(2, 3), [0, 1]),
        r(np.max, r.real(2, 3), 1),
    ],
)
def apply_over_axes(func, a, axes):
    """`func(a, axis)` over one axis after the other, each kept with length 1."""
    a = operand(a)
    ndim = a.ndim
    for axis in np.atleast_1d(axes).tolist():
        axis = axis + ndim if axis < 0 else axis
        result = func(a, axis)
        if result.ndim != ndim:
            result = np.expand_dims(result, axis)
        if result.ndim != ndim:
            raise ValueError(
                f"np.apply_over_axes keeps the number of axes, and {function_name(func)} made shape {result.shape} of "
                f"{a.shape} over axis {axis}.  Give a function that reduces the axis, or leaves it."
            )
        a = result
    return a


# -- over pieces --------------------------------------------------------------------------------


def _conditions(x, condlist):
    """The conditions as boolean arrays of the shape of `x`."""
    single = np.isscalar(condlist) or (not isinstance(condlist[0], list | np.ndarray) and x.ndim)
    return [np.asarray(condition, bool) for condition in ([condlist] if single else condlist)]


def _scaled(x, scale):
    return scale * x * x


@composite(
    np.piecewise,
    sample=lambda r: [
        r(np.array([-1.0, 0.5, 2.0]), [np.array([True, False, False]), np.array([False, False, True])],
          [lambda x: -x, np.sqrt]),
        r(np.array([[-1.0, 0.5], [2.0, -3.0]]), [np.array([[True, False], [False, False]])], [1.5, np.square]),
        r(np.array([1.0, 2.0]), np.array([[True, True], [False, True]]), [lambda x, p: x * p, lambda x, p: p], 3.0),
        r(np.array([1.0, 2.0]), [True, False], [_scaled, _scaled], scale=2.0),
        r(r.real(), [True], [np.exp, 0]),
        r(r.real(3), [np.zeros(3, bool)], [np.exp]),
    ],
)  # fmt: skip
def piecewise(x, condlist, funclist, *args, **kw):
    """Each function, or constant, of the entries where its condition holds; 0, or a last one, elsewhere.

    A function sees only its own entries, so a bad branch cannot spoil the gradient of the others.
    """
    x = operand(x)
    conditions = _conditions(x, bare(condlist))
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(np.broadcast_arrays(*conditions), axis=0))
    count = len(conditions)
    if len(funclist) != count:
        raise ValueError(
            f"np.piecewise with {count} conditions takes {count} or {count + 1} functions, not {len(funclist)}."
        )
    result = np.zeros(x.shape, x.dtype)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result = index_update(result, condition, function)
        elif condition.any():
            result = index_update(result, condition, function(x[condition], *args, **kw))
    return result


# -- entry by entry -----------------------------------------------------------------------------


class vectorize:
    """`np.vectorize` for functions of tensors: calls `f` for every entry of the broadcast arguments.

    `f` gets tensors of no axes (or, with a `signature` as "(n),(n)->()", of those it names) and may use what has a
    rule: `np.sin(x)`, not `math.sin(x)`, which raises DetachError.  `otypes`, `excluded` and `signature` mean
    what they mean in NumPy, and without tensors among the arguments NumPy's own class does the work.  It is a
    loop in Python: where `f` works on arrays as it is, call it on them.

    >>> import numpy as np, tinygrad_np as tg
    >>> step = tg.vectorize(lambda x, low: x if x > low else 0.1 * x)
    >>> tg.grad(lambda x: step(x, 1.0).sum())(np.array([0.5, 2.0]))
    array([0.1, 1. ])
    """

    def __init__(
        self,
        f: Callable[..., Any],
        otypes: Any = None,
        doc: str | None = None,
        excluded: Any = None,
        cache: bool = False,
        signature: str | None = None,
    ) -> None:
        self.f, self.otypes, self.signature = f, otypes, signature
        self.excluded = set() if excluded is None else set(excluded)
        self._numpys = np.vectorize(f, otypes, doc, excluded, cache, signature)
        self.__doc__ = f.__doc__ if doc is None else doc
        self.__name__ = getattr(f, "__name__", "vectorized")

    def __call__(self, *args: Any, **options: Any) -> Any:
        """The results of all calls, in one tensor, or in a tuple of them if `f` gives several."""
        if next(find_tensors([args, options]), None) is None:
            return self._numpys(*args, **options)
        places = [i for i in range(len(args)) if i not in self.excluded]
        words = [key for key in options if key not in self.excluded]
        arrays = [operand(array(v)) for v in [args[i] for i in places] + [options[key] for key in words]]

        def once(*values: Any) -> Any:
            positional, named = list(args), dict(options)
            for i, value in zip(places, values, strict=False):
                positional[i] = value
            named.update(zip(words, values[len(places) :], strict=True))
            return self.f(*positional, **named)

        return self._looped(once, arrays)

    def _looped(self, once: Callable[..., Any], arrays: list[Any]) -> Any:
        cores = self._core_counts(len(arrays))
        loops = [a.shape[: a.ndim - core] for a, core in zip(arrays, cores, strict=True)]
        loop = np.broadcast_shapes(*loops)
        if 0 in loop:
            raise ValueError(
                f"cannot call vectorize on arguments without entries: they broadcast to {loop}.  Give otypes=, or "
                "leave them out."
            )
        lanes = [_entries(a, loop, core) for a, core in zip(arrays, cores, strict=True)]
        results = [once(*values) for values in zip(*lanes, strict=True)]
        if not isinstance(results[0], tuple):
            return self._collected(results, loop, 0)
        return tuple(self._collected(list(column), loop, k) for k, column in enumerate(zip(*results, strict=True)))

    def _core_counts(self, count: int) -> list[int]:
        """How many axes of each argument the function takes at once."""
        if self.signature is None:
            return [0] * count
        groups = re.findall(r"\(([^)]*)\)", self.signature.split("->")[0])
        if len(groups) != count:
            raise ShapeError(f"the signature {self.signature!r} has {len(groups)} arguments, and {count} were given.")
        return [len([name for name in group.split(",") if name.strip()]) for group in groups]

    def _collected(self, results: list[Any], loop: tuple[int, ...], k: int) -> Any:
        stacked = array(results)
        stacked = stacked.reshape(loop + stacked.shape[1:])
        return stacked if self.otypes is None else RULES["astype"](stacked, self.otypes[k])


def _entries(a: Any, loop: tuple[int, ...], core: int) -> Any:
    """What each call gets of one argument."""
    inner = a.shape[a.ndim - core :]
    return np.unstack(np.broadcast_to(a, loop + inner).reshape((-1, *inner)))


# -- numbers taken apart ------------------------------------------------------------------------

_fraction = elementwise(lambda x: np.modf(x)[0], name="fraction", x=1)


@composite(np.modf, sample=lambda r: [r(r.real(3, 4)), r(r.real()), r(r.real(0))])
def modf(x):
    """The fractional part, which follows x, and the whole part, a plain array."""
    return _fraction(x), np.modf(bare(x))[1]


_mantissa = elementwise(
    lambda x: np.frexp(x)[0],
    name="mantissa",
    x=lambda x: np.ldexp(x.dtype.type(1), -np.frexp(bare(x))[1]),
)


@composite(np.frexp, sample=lambda r: [r(r.real(3, 4)), r(r.real()), r(r.real(0))])
def frexp(x):
    """The mantissa, x over a power of 2, and that power's exponent, a plain array."""
    return _mantissa(x), np.frexp(bare(x))[1]
