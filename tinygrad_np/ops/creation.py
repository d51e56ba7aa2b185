"""Making arrays: from nested lists, between two ends, on grids; and what NumPy would write in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.door import RULES, bare, find_tensors, is_tensor
from ..engine.op import composite, op
from ..engine.tensor import Tensor
from ..errors import InPlaceError, ShapeError
from .index import index_update

# NumPy's functions that make arrays of numbers come here where `like=` is a tensor: any will do.
_ANY = Tensor(0.0)

# -- from nested lists --------------------------------------------------------------------------


def array(nested: Any, dtype: npt.DTypeLike | None = None) -> Any:
    """One tensor of nested lists of tensors, arrays and numbers: what `np.array` is for numbers.

    NumPy would ask each tensor for a bare number, and so cut its gradient.  `np.array(nested, like=t)`, with
    any tensor t, comes here too.  Lists without tensors give a plain array; the dtype is the one that
    holds all entries, as in NumPy.  Lists that are not equally long raise ShapeError.

    >>> import tinygrad_np as tg
    >>> t = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> A = tg.array([t, [3.0, t[0]]])
    >>> A.data
    array([[1., 2.],
           [3., 1.]])
    """
    made = _joined(nested)
    return made if dtype is None else RULES["astype"](made, dtype)


def _joined(nested: Any) -> Any:
    if is_tensor(nested):
        return nested
    if not isinstance(nested, list | tuple) or next(find_tensors(nested), None) is None:
        return np.asarray(nested)
    rows = [_joined(part) for part in nested]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ShapeError(
            f"array() joins parts of one shape along a new axis, and these have shapes {sorted(shapes)}.  Make them "
            "equally long, or keep them in a list."
        )
    return np.stack(rows)


@composite(
    np.array,
    np.asarray,
    np.asanyarray,
    np.ascontiguousarray,
    np.asfortranarray,
    sample=lambda r: [
        r([r.real(2), [1.0, r.real()]], like=_ANY),
        r([[r.real(2, 2), r.real(2, 2)]], like=_ANY),
        r(r.real(3), like=_ANY, copy=True, ndmin=3),
        r([r.real(), 2], dtype=np.float32, like=_ANY),
        r([[1, 2], (3, 4)], like=_ANY),
    ],
)
def _array_like(object, dtype=None, *, copy=None, ndmin=0, order="K", subok=False, device=None):
    made = array(object, dtype)
    if copy is False and made is not object:
        raise ValueError("np.array(..., copy=False) cannot join a list without copying it.  Leave copy= away.")
    if not is_tensor(made):
        return np.array(made, ndmin=ndmin)
    if copy:
        made = np.copy(made)
    return made.reshape((1,) * (ndmin - made.ndim) + made.shape) if ndmin > made.ndim else made


def full(shape: Any, fill_value: Any, dtype: npt.DTypeLike | None = None) -> Any:
    """An array of this shape with `fill_value`, a number or what broadcasts to the shape, everywhere.

    `np.full` asks a tensor for its bare number; `np.full(shape, t, like=t)` comes here too.

    >>> import tinygrad_np as tg
    >>> t = tg.Tensor(2.0, requires_grad=True)
    >>> tg.full((2, 3), t).sum().backward()
    >>> t.grad
    Tensor(6.)
    """
    if not is_tensor(fill_value):
        fill_value = array(fill_value)
    filled = np.broadcast_to(fill_value, shape)
    if not is_tensor(filled):
        filled = filled.copy()
    return filled if dtype is None else RULES["astype"](filled, dtype)


@composite(np.full, sample=lambda r: [r((2, 3), r.real(), like=_ANY), r((2, 3), r.real(3), order="F", like=_ANY)])
def _full_like_tensor(shape, fill_value, dtype=None, order="C", *, device=None):
    return full(shape, fill_value, dtype)


@composite(
    np.arange,
    sample=lambda r: [r(r.real(), 3.1, like=_ANY), r(0, 3, r.positive(), like=_ANY), r(np.array(2.5), like=_ANY),
                      r(4, like=_ANY)],
)  # fmt: skip
def _arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Any = None) -> Any:
    """`np.arange(..., like=t)`: the count is that of NumPy, the values follow start and step."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    make: Any = np.arange
    values = make(*bare((start, stop, step)), dtype)
    if next(find_tensors([start, step]), None) is None:
        return values
    return RULES["astype"](start + step * np.arange(values.size), values.dtype)


# -- between two ends ---------------------------------------------------------------------------


def _weights(num, endpoint, ndim, dtype):
    """How far each of the samples is on its way from start to stop, with an axis per axis of the ends."""
    steps = num - 1 if endpoint else num
    return (np.arange(num) / max(steps, 1)).astype(dtype).reshape((-1,) + (1,) * ndim)


def _samples_first(g, num, endpoint, axis):
    g = np.moveaxis(g, axis, 0)
    return g, _weights(num, endpoint, g.ndim - 1, bare(g).real.dtype)


def _from_start(g, num, endpoint, axis):
    g, weights = _samples_first(g, num, endpoint, axis)
    return np.sum(g * (1 - weights), axis=0)


def _from_stop(g, num, endpoint, axis):
    g, weights = _samples_first(g, num, endpoint, axis)
    return np.sum(g * weights, axis=0)


_linspace = op(
    lambda start, stop, num=50, endpoint=True, dtype=None, axis=0: np.linspace(
        start, stop, num, endpoint, dtype=dtype, axis=axis
    ),
    name="linspace",
    numbers=True,
    start=lambda g, num, endpoint, axis: _from_start(g, num, endpoint, axis),
    stop=lambda g, num, endpoint, axis: _from_stop(g, num, endpoint, axis),
)


def _is_integer(dtype):
    return dtype is not None and np.dtype(dtype).kind not in "fc"


def _ends(r):
    return [
        r(r.positive() / 3, r.positive(), 4),
        r(r.positive(3) / 3, 0.5, num=5, endpoint=False),
        r(r.positive(2, 1) / 3, r.positive(3) / 3, 4, axis=-1),
        r(r.positive(2), r.positive(2) / 3, 1, axis=1),
        r(r.positive(2), r.positive(2) / 3, 0),
    ]


@composite(np.linspace, sample=lambda r: [*_ends(r), r(r.real(2), r.real(), 6, retstep=True),
                                      r(r.real(2), r.real(2), 3, axis=1, dtype=np.float32)])  # fmt: skip
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """`num` evenly spaced samples from start to stop."""
    num = bare(num)
    if _is_integer(dtype):
        return np.linspace(bare(start), bare(stop), num, endpoint, retstep, dtype, axis)
    samples = _linspace(start, stop, num, endpoint, dtype, axis)
    if not retstep:
        return samples
    steps = num - 1 if endpoint else num
    return samples, (np.subtract(stop, start) / steps if steps > 0 else np.nan)


@composite(np.logspace, sample=lambda r: [*_ends(r), r(r.real(2), 1.5, 4, True, r.positive()),
                                          r(r.real(), 1.5, 4, base=r.positive(3), axis=-1)])  # fmt: skip
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """base ** samples, for evenly spaced samples from start to stop."""
    if _is_integer(dtype):
        return np.logspace(bare(start), bare(stop), num, endpoint, bare(base), dtype, axis)
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (np.reshape(x, (1,) * (ndim - np.ndim(x)) + np.shape(x)) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    samples = np.power(base, _linspace(start, stop, num, endpoint, None, axis))
    return samples if dtype is None else RULES["astype"](samples, dtype)


_geomspace = op(
    lambda start, stop, num=50, endpoint=True, dtype=None, axis=0: np.geomspace(
        start, stop, num, endpoint, dtype, axis
    ),
    name="geomspace",
    numbers=True,
    # Each sample is start**(1 - w) * stop**w, with the weights of linspace.
    start=lambda g, start, out, num, endpoint, axis: _from_start(g * out, num, endpoint, axis) / start,
    stop=lambda g, stop, out, num, endpoint, axis: _from_stop(g * out, num, endpoint, axis) / stop,
)


@composite(np.geomspace, sample=lambda r: [*_ends(r), r(-r.positive(3), -r.positive(), 4)])
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` samples from start to stop, each a constant multiple of the one before."""
    if _is_integer(dtype):
        return np.geomspace(bare(start), bare(stop), num, endpoint, dtype, axis)
    return _geomspace(start, stop, num, endpoint, dtype, axis)


@composite(
    np.meshgrid,
    sample=lambda r: [
        r(r.real(3), r.real(2)),
        r(r.real(3), r.real(2), r.real(4), indexing="ij"),
        r(r.real(3), r.real(2), r.real(), sparse=True, copy=False),
        r(r.real(2, 2)),
    ],
)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """A coordinate array for each axis of the grid that the rows span."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"np.meshgrid has indexing='xy' or 'ij', not {indexing!r}.  'ij' keeps the order of the axes.")
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = [1, 0]
    grids = [
        np.reshape(x, (1,) * place + (-1,) + (1,) * (len(xi) - 1 - place)) for x, place in zip(xi, places, strict=True)
    ]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


# -- r_ and c_ ----------------------------------------------------------------------------------


class Joiner:
    """What stands behind `r_` and `c_`: joins what is written between brackets, as NumPy's namesakes do.

    >>> import tinygrad_np as tg
    >>> t = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> tg.r_[0.0, t, 3:5].data
    array([0., 1., 2., 3., 4.])
    >>> tg.c_[t, t].shape
    (2, 2)
    """

    def __init__(self, name: str, axis: int, ndmin: int, trans1d: int) -> None:
        self.name, self.settings = name, (axis, ndmin, trans1d)

    def __getitem__(self, key: Any) -> Any:
        parts = list(key) if isinstance(key, tuple) else [key]
        axis, ndmin, trans1d = self.settings
        if isinstance(parts[0], str):
            axis, ndmin, trans1d = self._directive(parts.pop(0))
        joined = [_placed(part, ndmin, trans1d) for part in parts]
        # Python numbers take the dtype of the arrays beside them.
        weak = [p if type(p) in (int, float, complex) else j.dtype for p, j in zip(parts, joined, strict=True)]
        return np.concatenate(joined, axis, dtype=np.result_type(*weak))

    def _directive(self, text: str) -> tuple[int, int, int]:
        try:
            given = tuple(map(int, text.split(",")))
        except ValueError:
            raise ValueError(
                f"tg.{self.name}[{text!r}, ...] would make a matrix or has an unknown directive.  Write up to three "
                "whole numbers, as in '0,2': the axis, the least number of axes, and where they go."
            ) from None
        return given + self.settings[len(given) :]  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"tg.{self.name}"


def _placed(part: Any, ndmin: int, trans1d: int) -> Any:
    """One part with at least `ndmin` axes; those it had stand from `trans1d` on."""
    if isinstance(part, slice):
        part = _row(part)
        return _with_axes(part, ndmin, trans1d if ndmin > 1 else -1)
    if not is_tensor(part):
        part = np.asarray(part)
    return _with_axes(part, ndmin, trans1d)


def _row(part: slice) -> Any:
    start, step = (0 if part.start is None else part.start), (1 if part.step is None else part.step)
    if isinstance(step, complex):
        return np.linspace(start, part.stop, int(abs(step)))
    return _arange(start, part.stop, step)


def _with_axes(x: Any, ndmin: int, trans1d: int) -> Any:
    missing = ndmin - x.ndim
    if missing <= 0:
        return x
    before = missing if trans1d == -1 else trans1d if trans1d >= 0 else trans1d + missing + 1
    return x.reshape((1,) * before + x.shape + (1,) * (missing - before))


r_ = Joiner("r_", 0, 1, -1)
c_ = Joiner("c_", -1, 2, 0)

# -- writes -------------------------------------------------------------------------------------


def _refuse_writing(function, instead):
    """Declare a function that writes into its first argument: it works where nothing is recorded."""

    def write(*args, **options):
        wanting = next((t for t in find_tensors([args, options]) if t.requires_grad), None)
        if wanting is None:
            return function(*bare(args), **bare(options))
        raise InPlaceError(
            f"np.{function.__name__} writes into its first argument, of shape {np.shape(args[0]) if args else ()}, and "
            f"{wanting.describe()} requires grad: the tape cannot follow a write.  Write {instead} for a new tensor."
        )

    # Neither differentiable nor constant: there is no result to check.
    write.kind = "write"  # type: ignore[attr-defined]
    RULES[function] = write


_refuse_writing(np.put, "tg.index_update(t.ravel(), index, values).reshape(t.shape)")
_refuse_writing(np.put_along_axis, "tg.put_along_axis(t, indices, values, axis)")
_refuse_writing(np.place, "np.where(mask, value, t), or tg.index_update(t, mask, values)")
_refuse_writing(np.putmask, "np.where(mask, values, t)")
_refuse_writing(np.fill_diagonal, "np.where(np.eye(*t.shape, dtype=bool), value, t)")
_refuse_writing(np.copyto, "np.where(mask, source, t), or tg.full(shape, t) for one value everywhere")


@composite(
    sample=lambda r: [
        r(r.real(3, 4), np.array([[0, 2], [1, 3], [3, 0]]), r.real(3, 2), axis=1),
        r(r.real(3, 4), np.array([[2]]), r.real(), 0),
        r(r.real(2, 3), np.array([5, 0]), r.real(2), axis=None),
    ]
)
def put_along_axis(t: Any, indices: Any, values: Any, axis: int | None = -1) -> Any:
    """A copy of `t` with `values` put where `indices` points along the axis: `np.put_along_axis` without the write.

    Shapes as in NumPy's.  Of entries written twice the last counts, as in `index_update`.

    >>> import numpy as np, tinygrad_np as tg
    >>> t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> tg.put_along_axis(t, np.array([[0], [1]]), 0.0, axis=1).data
    array([[0., 2.],
           [3., 0.]])
    """
    indices = np.asarray(bare(indices))
    if axis is None:
        flat = index_update(np.ravel(t), indices, values)
        return flat.reshape(np.shape(t))
    shape = np.shape(t)
    axis %= len(shape)
    if indices.ndim != len(shape):
        raise ShapeError(
            f"put_along_axis of shape {shape} takes indices with {len(shape)} axes, and these have shape "
            f"{indices.shape}.  Give them the missing axes: np.expand_dims(indices, {axis})."
        )
    index: list[Any] = list(np.ix_(*map(np.arange, shape)))
    index[axis] = indices
    return index_update(t, tuple(index), values)
