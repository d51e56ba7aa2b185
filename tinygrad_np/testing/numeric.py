"""Numeric gradients: the independent truth that automatic ones are checked against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.door import bare
from ..errors import AutogradError, DtypeError, InPlaceError, NonFiniteError, RangeError, ShapeError
from .arguments import check_function, check_place

STEP = 1e-5
_EPS = float(np.finfo(float).eps)


class NumericGradient(NamedTuple):
    """What `numeric_grad(..., full=True)` gives: three arrays of one shape."""

    values: np.ndarray
    errors: np.ndarray
    kinks: np.ndarray


class Slope(NamedTuple):
    """A derivative along a line, how far it may be off, and whether the function has a corner or a jump there."""

    value: complex
    error: float
    kink: bool


def numeric_grad(
    f: Callable[..., Any],
    *arrays: Any,
    argnum: int = 0,
    entries: npt.ArrayLike | None = None,
    step: float | None = None,
    method: Literal["central", "complex"] = "central",
    full: bool = False,
) -> Any:
    """The gradient of `f(*arrays)`, one number, with respect to `arrays[argnum]`, by differences.

    `(f(x + h) - f(x - h)) / 2h` in float64, whatever the dtype, with `h = step * max(1, |x|)` per entry and
    `step` 1e-5; the error is about 1e-10 of the size of the gradient for smooth functions.  `entries` picks
    flat indices to look at (a big array has too many): the result then has one number for each.  At a complex
    entry x + iy it is df/dx + i df/dy, as `grad` gives it.

    `full=True` gives (values, errors, kinks): beside each derivative an estimate of its error, and whether the
    entry sits on a kink or a jump.  It takes five points: a smooth function is a parabola from near,
    and what is left beside one shrinks with the step; on a kink it does not.

    `method="complex"` is exact to rounding for functions made of analytic ones (Squire and Trapp 1998, Using
    Complex Variables to Estimate Derivatives of Real Functions): `f(x + ih).imag / h`, with an h so small
    that nothing is left of its square.  It is checked against a difference along one direction, because with
    abs, real or a comparison inside it would be wrong without a sign of it.

    Raises ShapeError or DtypeError if `f` gives anything but one real number or the array holds whole
    numbers, NonFiniteError at nan and inf, InPlaceError if `f` changes its arguments, RangeError if it is not
    analytic (with "complex"), and AutogradError if it gives another number when called again.

    >>> import numpy as np
    >>> from tinygrad_np.testing import numeric_grad
    >>> numeric_grad(lambda x: np.sum(x**2), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    >>> numeric_grad(lambda x: np.exp(x), 1.0, method="complex") - np.e
    np.float64(0.0)
    >>> numeric_grad(lambda x: np.sum(np.abs(x)), np.array([0.0, 2.0]), full=True).kinks
    array([ True, False])
    """
    check_function(f, "numeric_grad", arrays)
    check_place(argnum, "argnum", "numeric_grad, which takes one at a time,", len(arrays))
    differences = Differences(f, arrays, argnums=(argnum,))
    argnum = range(len(arrays))[argnum]
    x = differences.values[argnum]
    chosen = _chosen(entries, x)
    if method == "complex":
        slopes = _complex_slopes(differences, argnum, chosen)
    elif method == "central":
        look = differences.examined if full else differences.quotient
        slopes = [look(argnum, int(i), STEP if step is None else _positive(step)) for i in chosen]
    else:
        raise ValueError(
            f"method={method!r}: there are two ways to difference.  Write 'central', or 'complex' for analytic ones."
        )
    differences.check_arguments()
    shape = x.shape if entries is None else chosen.shape
    # The values of real functions of real entries are real: the imaginary parts are empty.
    values = np.array([s.value for s in slopes], x.dtype).reshape(shape)
    if not full:
        return values
    errors = np.array([s.error for s in slopes], float).reshape(shape)
    return NumericGradient(values, errors, np.array([s.kink for s in slopes], bool).reshape(shape))


def _positive(step: float) -> float:
    if not 0 < step < np.inf:
        raise RangeError(f"step={step}: a difference needs two points.  Give a small positive number, or none.")
    return step


def _chosen(entries: npt.ArrayLike | None, x: np.ndarray) -> np.ndarray:
    if entries is None:
        return np.arange(x.size)
    chosen = np.asarray(entries)
    if chosen.size and chosen.dtype.kind not in "iu":
        raise DtypeError(
            f"entries are flat indices into the {x.size} entries, whole numbers, and these have dtype {chosen.dtype}.  "
            "Write np.flatnonzero(mask) for a mask, np.ravel_multi_index for indices per axis."
        )
    if chosen.size and not (-x.size <= chosen.min() and chosen.max() < x.size):
        raise IndexError(
            f"entries reach from {chosen.min()} to {chosen.max()}, and the array of shape {x.shape} has {x.size}.  "
            "Give flat indices from 0 on."
        )
    return np.atleast_1d(chosen).astype(int)


# -- one derivative -----------------------------------------------------------------------------


def derivative(at: Callable[[float], float], h: float, size: float = 0.0) -> Slope:
    """The derivative of `at`, a function of one number, at 0.

    Where the five points do not fit a smooth curve, a closer look tells what is there: a corner of the
    function looks the same at any distance, fine detail gets smooth from near, and rounding from far.
    `size` is that of the numbers that are rounded on the way, where they are larger than the result.
    """
    first = _five_points(at, h, size)
    if first.wobble <= 1e-6 * first.steepest + first.rounding:
        return first.slope()
    as_small_as_rounding = first.wobble * h <= 1e-5 * first.highest
    if as_small_as_rounding:
        with suppress(NonFiniteError):  # so far away the function may not be defined
            coarser = _five_points(at, h * 64, size)
            if coarser.wobble <= first.wobble / 8:
                return coarser.slope()
    finer = min((_five_points(at, h / by, size) for by in (16, 64)), key=lambda points: points.slope().error)
    if finer.wobble <= first.wobble / 8 + finer.rounding:
        return finer.slope()
    return first.slope()._replace(kink=True)


class _FivePoints(NamedTuple):
    """What five evenly spaced values tell about the derivative in the middle."""

    value: float
    wobble: float  # what a parabola does not explain
    steepest: float
    highest: float
    rounding: float

    def slope(self) -> Slope:
        return Slope(self.value, self.wobble + self.rounding / 25, kink=False)


# No whole number: evenly spaced values of something rounded coarsely can lie on a line by chance.
_OUTER = 2.3


def _five_points(at: Callable[[float], float], h: float, size: float) -> _FivePoints:
    r = _OUTER
    values = [at(k * h) for k in (-r, -1, 0, 1, r)]
    a, b, c, d, e = values
    # Odd and even parts of a parabola through the inner points, compared with the outer ones.
    odd, even = (e - a) - r * (d - b), (a + e - 2 * c) - r**2 * (b + d - 2 * c)
    highest = max(size, *map(abs, values))
    # Between neighbours: over the whole way, what goes up and down again would count as flat.
    steepest = max(abs(c - b), abs(d - c), abs(b - a) / (r - 1), abs(e - d) / (r - 1)) / h
    wobble = max(abs(odd), abs(even)) / (2 * h)
    return _FivePoints((d - b) / (2 * h), wobble, steepest, highest, 100 * _EPS * highest / h)


# -- a function and its point -------------------------------------------------------------------


class Differences:
    """A function that gives one number, and the point around which it is looked at.

    `values`: the arguments, floating ones in float64.  Checks once that the function can be differenced.
    `size`: see `derivative`.
    """

    def __init__(
        self, f: Callable[..., Any], arrays: tuple, argnums: tuple[int, ...], name: str = "", labels: Sequence[str] = ()
    ) -> None:  # fmt: skip
        self.f, self.name = f, name or getattr(f, "__name__", type(f).__name__)
        self.labels = labels or [f"argument {i}" for i in range(len(arrays))]
        self.values = [wide(a) for a in arrays]
        for i in argnums:
            if not -len(arrays) <= i < len(arrays):
                raise IndexError(
                    f"argument {i} of a call with {len(arrays)} arguments: there is none.  Count from 0, up to "
                    f"{len(arrays) - 1}."
                )
            self.values[i] = self._movable(self.values[i], i % len(arrays))
        self.before = [v.copy() if isinstance(v, np.ndarray) else v for v in self.values]
        self.middle, self.size = self._at_the_point(), 0.0

    def _movable(self, value: Any, argnum: int) -> np.ndarray:
        array = np.asarray(value)
        if array.dtype.kind not in "fc":
            raise DtypeError(
                f"{self.labels[argnum]} of {self.name} has dtype {array.dtype} and shape {array.shape}: there is no "
                "derivative between whole numbers.  Make it floating, np.asarray(x, float), or name another argument."
            )
        # A copy, for it is written into.
        array = np.array(array, complex if array.dtype.kind == "c" else float)
        if not np.isfinite(array).all():
            where = np.argwhere(~np.isfinite(array))[0]
            raise NonFiniteError(
                f"{self.labels[argnum]} of {self.name} is {array[tuple(where)]} at {index(where)}: nothing can be said "
                "about the slope there.  Take a point of finite numbers."
            )
        return array

    def _at_the_point(self) -> float:
        middle = self.value()
        if not np.isfinite(middle):
            raise self._not_finite(middle, "at the point itself")
        self.check_arguments()
        again = self.value()
        if not abs(again - middle) <= 1e-10 * max(abs(middle), abs(again)) + 1e-13:
            raise AutogradError(
                f"{self.name} gave {middle:.17g} and then {again:.17g} at the same point: it draws random numbers, or "
                "uses something that it changes, and then differences say nothing about its slope.  Draw the numbers "
                "outside and pass them in, or seed a np.random.default_rng inside."
            )
        return middle

    def value(self) -> float:
        """`f` of the arguments as they are now, one number."""
        # Without warnings: what is not finite in the end is refused in words.
        with np.errstate(all="ignore"):
            out = bare(self.f(*self.values))
        try:
            number = np.asarray(out)
        except ValueError:  # rows of different lengths
            number = np.array(None)
        if number.dtype.kind not in "fiub":
            shown = "a complex number" if number.dtype.kind == "c" else f"{type(out).__name__} {str(out)[:40]!r}"
            raise DtypeError(
                f"a numeric gradient needs a function that gives one real number, and {self.name} gave {shown}.  "
                "Return the loss alone: np.sum(np.abs(z) ** 2) of complex numbers, a weighted sum of several results."
            )
        if number.size != 1:
            raise ShapeError(
                f"a numeric gradient needs a function that gives one number, and {self.name} gave shape "
                f"{number.shape}: {number.size} numbers have no one slope.  Sum them with weights, or use check_grad."
            )
        return float(number.reshape(()))

    def _not_finite(self, result: float, where: str) -> NonFiniteError:
        return NonFiniteError(
            f"{self.name} gave {result} {where}: a difference needs finite numbers on both sides.  The point lies at "
            "the edge of where the function is defined, or it overflows: take another point, or a smaller step=."
        )

    def check_arguments(self) -> None:
        """Raise InPlaceError if `f` has changed what it was given."""
        for i, (now, before) in enumerate(zip(self.values, self.before, strict=True)):
            if isinstance(now, np.ndarray) and not np.array_equal(now, before, equal_nan=now.dtype.kind in "fc"):
                where = np.argwhere(now != before)[0]
                raise InPlaceError(
                    f"{self.name} changed {self.labels[i]}: at {index(where)} stood {before[tuple(where)]}, and now "
                    f"{now[tuple(where)]}.  Each call then looks at another point.  Work on a copy, x = x.copy(), or "
                    "write x = x * 2 instead of x *= 2."
                )

    @contextmanager
    def _restored(self, argnum: int, i: int) -> Iterator[complex]:
        old = self.values[argnum].flat[i]
        try:
            yield old
        finally:
            self.values[argnum].flat[i] = old

    def _entry(self, argnum: int, i: int, t: complex) -> float:
        """The value with one entry moved by `t`."""
        x = self.values[argnum]
        with self._restored(argnum, i) as old:
            x.flat[i] = old + t
            result = self.value()
        if not np.isfinite(result):
            entry = f"entry {index(np.unravel_index(i, x.shape))} of {self.labels[argnum]}, {old},"
            raise self._not_finite(result, f"where {entry} is moved by {t:.1g}")
        return result

    def _units(self, argnum: int) -> tuple[complex, ...]:
        return (1.0, 1j) if self.values[argnum].dtype.kind == "c" else (1.0,)

    def quotient(self, argnum: int, i: int, step: float = STEP) -> Slope:
        """The central difference at a flat index: two points, and no estimate of the error."""
        h = step * max(1.0, abs(self.values[argnum].flat[i]))
        value: complex = 0.0
        for unit in self._units(argnum):
            above, below = self._entry(argnum, i, h * unit), self._entry(argnum, i, -h * unit)
            value += (above - below) / (2 * h) * unit
        return Slope(value, np.nan, kink=False)

    def examined(self, argnum: int, i: int, step: float = STEP) -> Slope:
        """The central difference at a flat index with its error, by five points."""
        h = step * max(1.0, abs(self.values[argnum].flat[i]))
        parts = [
            (derivative(lambda t, u=u: self._entry(argnum, i, t * u) if t else self.middle, h, self.size), u)  # type: ignore[misc]
            for u in self._units(argnum)
        ]
        return Slope(sum(s.value * u for s, u in parts), sum(s.error for s, _ in parts), any(s.kink for s, _ in parts))

    def along(self, argnum: int, direction: np.ndarray, step: float = STEP) -> Slope:
        """The derivative along a direction of one argument, by five points; `step` is in units of the direction."""
        here = self.values[argnum]

        def at(t: float) -> float:
            if not t:
                return self.middle
            self.values[argnum] = np.asarray(here + t * direction)
            try:
                result = self.value()
            finally:
                self.values[argnum] = here
            if not np.isfinite(result):
                raise self._not_finite(result, f"where {self.labels[argnum]} is moved by {t:.1g} along a direction")
            return result

        return derivative(at, step, self.size)


def index(where: Any) -> str:
    """Indices as one writes them: `[0, 2]`."""
    return f"[{', '.join(str(int(i)) for i in where)}]"


def wide(value: Any) -> Any:
    """A floating or complex array (or that of a tensor) as a new one in double precision; else the value itself."""
    value = bare(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return value.astype(complex if value.dtype.kind == "c" else float)
    return value


# -- the complex step ---------------------------------------------------------------------------


def _complex_slopes(differences: Differences, argnum: int, chosen: np.ndarray) -> list[Slope]:
    f, name, real = differences.f, differences.name, differences.values[argnum]
    if real.dtype.kind == "c":
        raise DtypeError(
            f"argument {argnum} of {name} is complex: its imaginary parts are taken, and the complex step needs them.  "
            "Write method='central'."
        )
    z = real.astype(complex)
    values = [*differences.values[:argnum], z, *differences.values[argnum + 1 :]]
    found = []
    for i in chosen:
        h = 1e-30 * max(1.0, abs(real.flat[i]))
        z.flat[i] = real.flat[i] + 1j * h
        found.append(_imaginary_part(f, values, name) / h)
        z.flat[i] = real.flat[i]
    _check_analytic(differences, argnum, chosen, np.array(found))
    return [Slope(value, 4 * _EPS * abs(value), kink=False) for value in found]


def _imaginary_part(f: Callable[..., Any], values: list[Any], name: str) -> float:
    try:
        with np.errstate(all="ignore"):
            out = np.asarray(bare(f(*values)))
    except TypeError as error:
        raise DtypeError(
            f"{name} does not take complex numbers: {error}.  The complex step needs functions that do: write "
            "method='central'."
        ) from error
    if out.dtype.kind != "c":
        raise DtypeError(
            f"{name} gave {out.dtype} for a complex argument: abs, real or a conversion to float inside it drops the "
            "imaginary part, where the complex step reads the derivative, and 0 would come out.  Write "
            "method='central', or sqrt(z * z) for abs."
        )
    return float(out.reshape(()).imag)


def _check_analytic(differences: Differences, argnum: int, chosen: np.ndarray, slopes: np.ndarray) -> None:
    if not chosen.size:
        return
    x = differences.values[argnum]
    weights = np.random.default_rng(0).uniform(0.5, 1.0, chosen.size) * np.maximum(1.0, np.abs(x.flat[chosen]))
    direction = np.zeros(x.shape)
    np.add.at(direction.reshape(-1), chosen, weights)
    central, claimed = differences.along(argnum, direction), float(np.dot(slopes, weights))
    allowed = 1e-5 * float(np.dot(np.abs(slopes), weights)) + 1e-5 * abs(central.value) + central.error
    if central.kink or not abs(central.value - claimed) <= allowed:
        raise RangeError(
            f"{differences.name} is not analytic here: along a direction the complex step says {claimed:.6g}, a "
            f"central difference {central.value:.6g}.  abs, conj, real, a comparison or a kink is inside, of which the "
            "imaginary part says nothing.  Write method='central'."
        )
