"""Hypothesis strategies: arrays and tensors to check gradients on, for tests with `@given`.

Entries stay away from kinks and ties by construction, so that numeric gradients can be trusted and no example is
thrown away; examples shrink towards few axes, short axes and numbers such as 1 and 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from math import ceil, floor, isfinite, log2, prod
from typing import Any, TypeAlias

import numpy as np

from ..engine.tensor import Tensor
from ..errors import DtypeError, RangeError
from .networks import ACTIVATIONS, LAYOUTS, LOSSES, DenseNetwork

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as st_numpy
except ImportError as error:
    raise ImportError(
        "tinygrad_np.testing.strategies needs Hypothesis, which is not installed: pip install 'tinygrad_np[testing]'."
    ) from error

__all__ = ["arrays", "axes", "broadcastable", "indices", "matmul_pairs", "networks", "shapes", "tensors"]

Shape: TypeAlias = tuple[int, ...]
Strategy: TypeAlias = st.SearchStrategy[Any]

MARGIN = 1 / 64
"""How far entries stay away from `away_from`, `low` and `high`, as a share of `high - low`."""

DRAWN_ONE_BY_ONE = 64
"""Larger arrays are filled by a seeded generator: Hypothesis cannot make that many choices for one example."""


def shapes(min_dims: int = 0, max_dims: int = 3, min_side: int = 1, max_side: int = 3) -> st.SearchStrategy[Shape]:
    """Shapes, from 0-d on; `min_side=0` gives empty arrays too.

    >>> from hypothesis import find
    >>> from tinygrad_np.testing import strategies
    >>> find(strategies.shapes(), lambda shape: len(shape) == 2)
    (1, 1)
    """
    return st_numpy.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


# -- entries ----------------------------------------------------------------------------------


@lru_cache
def _magnitudes(
    count: int, low: float, high: float, away_from: tuple[float, ...], finest: float
) -> list[tuple[float, ...]]:
    """At least `count` numbers to draw from, simplest first, each beside its negative where that is allowed.

    Multiples of a power of two all over (low, high): exact in every floating dtype, and short to print.
    """
    margin = MARGIN * (high - low)
    ends = sorted({low, high, *(kink for kink in away_from if low < kink < high)})
    step = 2.0 ** floor(log2(high - low))
    while True:
        # Interval by interval, so that a narrow one among many kinks does not make the others huge.
        allowed = {
            k * step
            for left, right in pairwise(ends)
            for k in range(ceil((left + margin) / step), floor((right - margin) / step) + 1)
        }
        grouped = {abs(x): tuple(y for y in (abs(x), -abs(x)) if y in allowed) for x in allowed}
        if len(grouped) >= count or step / 2 < finest:
            return [grouped[x] for x in sorted(grouped, key=lambda x: (x.as_integer_ratio()[1], x))]
        step /= 2


def _pool(size: int, dtype: np.dtype, low: float, high: float, away_from: tuple[float, ...]) -> list[tuple[float, ...]]:
    info = np.finfo(dtype)
    low, high, largest = float(low), float(high), float(max(abs(low), abs(high)))
    if not (low < high and isfinite(high - low) and largest <= float(info.max)):
        raise RangeError(
            f"entries of {dtype} cannot be drawn between {low} and {high}.  Give low < high, both finite in that dtype."
        )
    # Twice as many as there are entries, so that the last one has a choice too.
    count = 2 * size + 8
    pool = _magnitudes(1 << count.bit_length(), low, high, away_from, float(info.eps) * largest)
    if len(pool) < max(1, size):
        raise RangeError(
            f"{size} distinct entries of {dtype} between {low} and {high}, away from {away_from}, cannot be had: there "
            f"is room for {len(pool)}.  Widen the interval, take a finer dtype, a smaller shape or distinct=False."
        )
    return pool


def _distinct(draw: Callable, size: int, pool: Sequence[tuple[float, ...]]) -> list[float]:
    """Entries of different magnitude: what has been taken is no longer offered, so nothing is ever rejected."""
    left, entries = list(pool), []
    for _ in range(size):
        both = left.pop(draw(st.integers(0, len(left) - 1)))
        entries.append(draw(st.sampled_from(both)))
    return entries


def _entries(draw: Callable, size: int, pool: Sequence[tuple[float, ...]], distinct: bool) -> list[float]:
    if size > DRAWN_ONE_BY_ONE:
        rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        chosen = rng.choice(len(pool), size, replace=not distinct)
        return [pool[i][rng.integers(len(pool[i]))] for i in chosen]
    if distinct:
        return _distinct(draw, size, pool)
    flat = [x for both in pool for x in both]
    return [draw(st.sampled_from(flat)) for _ in range(size)]


@st.composite
def arrays(
    draw: Callable,
    shape: int | Shape | Strategy | None = None,
    dtype: Any = np.float64,
    low: float = -2.0,
    high: float = 2.0,
    away_from: Sequence[float] = (0.0,),
    distinct: bool = True,
) -> np.ndarray:
    """Arrays of floating or complex numbers strictly between `low` and `high`.

    `shape` and `dtype` are values or strategies (default: `shapes()`, float64).  Entries keep 1/64 of `high - low`
    away from `low`, from `high` and from each number of `away_from`, where your function has its kinks.  With
    `distinct=True` no two have the same absolute value, so that `np.max`, `np.sort` and norms have no ties.
    Of complex numbers, real and imaginary parts are each drawn so.  Shrinks towards 1, 0.5 and short binary
    fractions; more than 64 entries come from a generator with a seed that is drawn.

    That holds for the entries only: sums and products of them may meet a kink.

    RangeError where there is no room for that many distinct entries; DtypeError for integers.

    >>> from hypothesis import find
    >>> from tinygrad_np.testing import strategies
    >>> find(strategies.arrays(shape=(2, 2)), lambda x: True)
    array([[1.  , 0.5 ],
           [1.5 , 0.25]])
    >>> find(strategies.arrays(shape=3, low=0, high=1, away_from=()), lambda p: p[0] > 0.5)
    array([0.75, 0.5 , 0.25])
    """
    shape = shapes() if shape is None else shape
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    kind = np.dtype(draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype)
    if kind.kind not in "fc":
        raise DtypeError(
            f"arrays and tensors draw floating or complex numbers, which can carry a gradient, not {kind}.  For labels "
            "and counts use hypothesis.extra.numpy.arrays."
        )
    size = prod(shape)
    pool = _pool(size if distinct else 0, kind, low, high, tuple(map(float, away_from)))
    values = np.array(_entries(draw, size, pool, distinct), kind)
    if kind.kind == "c":
        values += 1j * np.array(_entries(draw, size, pool, distinct), values.real.dtype)
    return values.reshape(shape)


def tensors(
    shape: int | Shape | Strategy | None = None,
    dtype: Any = np.float64,
    low: float = -2.0,
    high: float = 2.0,
    requires_grad: bool = True,
    away_from: Sequence[float] = (0.0,),
    distinct: bool = True,
    name: str | None = None,
) -> st.SearchStrategy[Tensor]:
    """Tensors with the entries of `arrays`, whose other arguments it takes.

    >>> from hypothesis import given
    >>> import numpy as np
    >>> from tinygrad_np.testing import strategies
    >>> @given(strategies.tensors())
    ... def test_abs(x):
    ...     np.sum(np.abs(x)).backward()
    ...     assert np.array_equal(x.grad.data, np.sign(x.data))
    >>> test_abs()
    """
    values = arrays(shape, dtype, low, high, away_from, distinct)
    return values.map(partial(Tensor, requires_grad=requires_grad, name=name))


# -- shapes that go together ------------------------------------------------------------------


def _within(draw: Callable, shape: Shape) -> Shape:
    """A shape that broadcasts to `shape`: without some leading axes, and with 1 in place of some sides."""
    kept = draw(st.integers(0, len(shape)))
    return tuple(draw(st.sampled_from(sorted({1, side}))) for side in shape[len(shape) - kept :])


@st.composite
def broadcastable(
    draw: Callable, n: int = 2, max_dims: int = 3, max_side: int = 3, **options: Any
) -> tuple[Tensor, ...]:
    """Tuples of `n` tensors whose shapes broadcast: 0-d, axes of size 1 and missing axes in every combination.

    `options` are those of `tensors`, but `shape`.

    >>> from hypothesis import find
    >>> import numpy as np
    >>> from tinygrad_np.testing import strategies
    >>> a, b = find(strategies.broadcastable(), lambda pair: pair[0].ndim == 1 and pair[1].shape == (2, 1))
    >>> a.shape, b.shape, np.add(a, b).shape
    ((1,), (2, 1), (2, 1))
    """
    together = draw(shapes(max_dims=max_dims, max_side=max_side))
    return tuple(draw(tensors(_within(draw, together), **options)) for _ in range(n))


@st.composite
def matmul_pairs(draw: Callable, max_dims: int = 2, max_side: int = 3, **options: Any) -> tuple[Tensor, Tensor]:
    """Pairs of tensors that `@` multiplies: vectors, matrices, batches of matrices, batches that broadcast.

    A batch has up to `max_dims` axes in front of those of the matrix; `options` are those of `tensors`, but `shape`.

    >>> from hypothesis import find
    >>> from tinygrad_np.testing import strategies
    >>> a, b = find(strategies.matmul_pairs(), lambda pair: pair[0].ndim == 3 and pair[1].ndim == 1)
    >>> a.shape, b.shape, (a @ b).shape
    ((1, 1, 1), (1,), (1, 1))
    """
    rows, inner, columns = (draw(st.integers(1, max_side)) for _ in range(3))
    batch = draw(shapes(max_dims=max_dims, max_side=max_side))
    # Most pairs are matrices on both sides: only these have batches that broadcast.
    vectors = draw(st.sampled_from(["both", "first", "second", *5 * ["none"]]))
    first = (inner,) if vectors in ("both", "first") else (*_within(draw, batch), rows, inner)
    second = (inner,) if vectors in ("both", "second") else (*_within(draw, batch), inner, columns)
    return draw(tensors(first, **options)), draw(tensors(second, **options))


# -- arguments --------------------------------------------------------------------------------


def axes(ndim: int, none: bool = True, tuples: bool = True) -> st.SearchStrategy[Any]:
    """What `axis=` takes for an array of `ndim` axes: None, an axis, counted from either end, or a tuple of several.

    `none=False` and `tuples=False` leave those out, for functions that take one axis only.

    >>> from hypothesis import find
    >>> from tinygrad_np.testing import strategies
    >>> find(strategies.axes(3), lambda axis: isinstance(axis, tuple) and len(axis) == 2)
    (0, 1)
    >>> find(strategies.axes(2, none=False, tuples=False), lambda axis: axis < 0)
    -1
    """
    if ndim == 0 and not none:
        raise RangeError("an array of 0 axes has none to choose.  Allow none=True, or draw arrays with min_dims=1.")
    choices: list[st.SearchStrategy[Any]] = [st.none()] if none else []
    if ndim:
        choices += [st.integers(0, ndim - 1), st.integers(1, ndim).map(lambda k: -k)]
        choices += [st_numpy.valid_tuple_axes(ndim, min_size=1)] if tuples else []
    return st.one_of(choices)


def _integers_of(axis_size: int, length: int) -> st.SearchStrategy[np.ndarray]:
    one = st.integers(-axis_size, axis_size - 1)
    return st.sampled_from([(length,), (1,), (2, length), (2, 1)]).flatmap(
        lambda shape: st.lists(one, min_size=prod(shape), max_size=prod(shape)).map(
            lambda flat: np.array(flat, np.intp).reshape(shape)
        )
    )


def _mask_of(shape: Shape, length: int) -> st.SearchStrategy[np.ndarray]:
    """A mask that picks `length` entries, or one where there are fewer: it then goes with arrays of that length."""
    size = prod(shape)
    picked = length if length <= size else 1
    return st.permutations(range(size)).map(lambda order: np.isin(np.arange(size), order[:picked]).reshape(shape))


def _axes_indexed(draw: Callable, sides: Shape, length: int, advanced: bool) -> list[Any]:
    """What stands in an index for these axes, each indexed in some way, with None in between."""
    rarely_none = st.sampled_from(([], [], [], [None]))
    parts: list[Any] = [*draw(rarely_none)]
    while sides:
        taken = 1
        kind = draw(st.sampled_from(("slice", "int", "array", "mask") if advanced else ("slice", "int")))
        if kind == "slice" or not sides[0]:
            parts.append(draw(st.slices(sides[0])))
        elif kind == "int":
            parts.append(draw(st.integers(-sides[0], sides[0] - 1)))
        elif kind == "array":
            parts.append(draw(_integers_of(sides[0], length)))
        else:
            nonempty = sides.index(0) if 0 in sides else len(sides)
            taken = draw(st.integers(1, nonempty))
            parts.append(draw(_mask_of(sides[:taken], length)))
        sides = sides[taken:]
        parts += draw(rarely_none)
    return parts


@st.composite
def indices(draw: Callable, shape: Shape, advanced: bool = True) -> Any:
    """What may stand in `x[...]` for an `x` of this shape, in every mixture that NumPy allows.

    Whole numbers, slices (some of them empty), Ellipsis and None; with `advanced=True` also arrays of whole numbers,
    with repetitions, and boolean masks over one or several axes, all of shapes that broadcast.

    >>> from hypothesis import find
    >>> import numpy as np
    >>> from tinygrad_np.testing import strategies
    >>> find(strategies.indices((2, 3)), lambda index: isinstance(index, np.ndarray) and index.shape == (2, 1))
    array([[0],
           [0]])
    >>> is_mask = lambda index: isinstance(index, np.ndarray) and index.dtype == bool
    >>> find(strategies.indices((2, 3)), lambda index: is_mask(index) and index.ndim == 2)
    array([[ True, False, False],
           [False, False, False]])
    """
    length = draw(st.integers(1, 3))
    first = draw(st.integers(0, len(shape)))
    parts = _axes_indexed(draw, shape[:first], length, advanced)
    if draw(st.booleans()):
        rest = draw(st.integers(first, len(shape)))
        parts += [Ellipsis, *_axes_indexed(draw, shape[rest:], length, advanced)]
    return parts[0] if len(parts) == 1 and not draw(st.booleans()) else tuple(parts)


# -- networks ---------------------------------------------------------------------------------


@st.composite
def networks(
    draw: Callable,
    max_layers: int = 3,
    activations: Sequence[str] = tuple(ACTIVATIONS),
    layouts: Sequence[str] = LAYOUTS,
    losses: Sequence[str] = tuple(LOSSES),
    dtype: Any = np.float64,
) -> DenseNetwork:
    """Small networks of dense layers, as a `DenseNetwork`: named parameters, data, `forward()` and `loss()`.

    One to `max_layers` layers (at most 4), an activation ("relu", "tanh", "sigmoid", "softplus"), a layout (samples in
    "rows" or in "columns") and a loss ("mse", "cross_entropy", "binary_cross_entropy").  The number of samples and
    the widths are different primes, so that a gradient of the wrong shape or off by such a factor cannot
    pass for the right one.  Pre-activations of hidden layers stay 0.1 away from the kink of relu.

    >>> from hypothesis import find, given
    >>> import numpy as np
    >>> from tinygrad_np.testing import numeric_grad, strategies
    >>> network = find(strategies.networks(), lambda network: "W2" in network.parameters)
    >>> network
    DenseNetwork(samples=2, widths=(3, 5, 7), activation='relu', layout='rows', objective='mse', dtype=float64, seed=0)
    >>> network.loss().backward()
    >>> W1 = network.parameters["W1"]
    >>> np.allclose(W1.grad.data, numeric_grad(lambda W1: network.loss(W1=W1), W1.data))
    True
    """
    layers = draw(st.integers(1, max_layers))
    primes = [2, 3, 5, 7, 11, 13]
    samples, *widths = [primes.pop(draw(st.integers(0, len(primes) - 1))) for _ in range(layers + 2)]
    activation, layout, objective = (draw(st.sampled_from(names)) for names in (activations, layouts, losses))
    kind = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    return DenseNetwork(samples, tuple(widths), activation, layout, objective, kind, seed=draw(st.integers(0, 2**16)))
