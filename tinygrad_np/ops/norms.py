"""Norms of vectors and matrices, and the condition number.

Where a norm is 0 it has no direction, and its gradient is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.door import bare
from ..engine.op import composite, op
from ..errors import ShapeError
from .kinks import infinite_at_zero
from .reduce import axes_of, operand, spread

# -- vectors ------------------------------------------------------------------------------------


_norm2 = op(
    lambda x, axis=None, keepdims=False: np.linalg.norm(x, None, axis, keepdims),
    name="norm",
    fresh=True,
    x=lambda g, x, out, shape, axis, keepdims: conjugate(x) * spread(g / infinite_at_zero(out), shape, axis, keepdims),
    jvps={
        "x": lambda t, x, out, axis, keepdims: (
            np.sum(conjugate(x) * t, axis=axis, keepdims=keepdims) / infinite_at_zero(out)
        )
    },
)


def _norm_vjp(g, x, out, shape, ord, axis, keepdims):
    size = np.abs(x) / spread(infinite_at_zero(out), shape, axis, keepdims)
    # For ord < 1 the slope at an entry 0 is infinite: 0 is taken, as for sqrt.
    slope = np.sign(x) * np.where(x == 0, 1, size) ** (ord - 1)
    return slope * spread(g, shape, axis, keepdims)


_norm = op(lambda x, ord=2, axis=None, keepdims=False: np.linalg.norm(x, ord, axis, keepdims), name="norm", x=_norm_vjp)


def _largest(x, axis, keepdims=False):
    # Sizes are never below 0, which is also the norm of nothing.
    return np.max(x, axis=axis, keepdims=keepdims, initial=0)


def _vector_norm(x, ord, axis, keepdims):
    if ord is None or ord == 2:
        return _norm2(x, axis, keepdims)
    if isinstance(ord, str):
        raise ShapeError(f"np.linalg.norm with ord={ord!r} is for matrices, and axis={axis} of shape {x.shape} is one.")
    if abs(ord) == np.inf:
        return (_largest if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.astype(np.count_nonzero(x, axis=axis, keepdims=keepdims), bare(x).real.dtype)
    return _norm(np.abs(x) if x.dtype.kind == "c" else x, ord, axis, keepdims)


@composite(
    np.linalg.vector_norm,
    sample=lambda r: [
        r(r.real(2, 3)),
        r(r.real(2, 3), axis=0, ord=3, keepdims=True),
        r(r.real(2, 3), ord=1, keepdims=True),
        r(r.real(2, 3, 2), axis=(2, 0), ord=3),
        r(r.real(2, 3, 2), axis=(0, -1), keepdims=True),
        r(r.real()),
    ],
)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm of vectors along one axis or several together; without an axis, of all entries."""
    x = operand(x)
    axes = axes_of(axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    rows = np.transpose(x, [*rest, *axes]).reshape([x.shape[i] for i in rest] + [-1])
    result = _vector_norm(rows, ord, -1, False)
    return result.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else result


# -- matrices -----------------------------------------------------------------------------------


def _by_singular_values(x, ord, axes, keepdims):
    # Through abs, whose slope at 0 is 0: the singular values of a matrix that loses rank have a kink there.
    values = np.abs(np.linalg.svdvals(np.moveaxis(x, axes, (-2, -1))))
    reduce: Any = {"nuc": np.sum, 2: _largest, -2: np.min}[ord]
    result = reduce(values, axis=-1)
    return np.expand_dims(result, axes) if keepdims else result


def _matrix_norm(x, ord, axes, keepdims):
    if ord in (None, "fro", "f"):
        return _norm2(x, axes, keepdims)
    if ord in ("nuc", 2, -2):
        return _by_singular_values(x, ord, axes, keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise ShapeError(
            f"np.linalg.norm with ord={ord!r} is not defined for matrices, the axes {axes} of shape {x.shape}.  "
            "Use 'fro', 'nuc', 1, -1, 2, -2, np.inf or -np.inf, or one axis for the norm of vectors."
        )
    rows, columns = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(np.abs(x), axis=rows, keepdims=True)
    result = (_largest if ord > 0 else np.min)(sums, axis=columns, keepdims=True)
    return result if keepdims else np.squeeze(result, axis=axes)


@composite(
    np.linalg.matrix_norm,
    sample=lambda r: [
        r(r.real(2, 2, 3)),
        r(r.real(2, 3), ord=1, keepdims=True),
        *[r(r.real(2, 3, 2), ord=ord, keepdims=ord == 2) for ord in ("nuc", 2, -2, -1, np.inf, -np.inf)],
    ],
)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of the matrices in the last two axes."""
    x = operand(x)
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@composite(
    np.linalg.norm,
    sample=lambda r: [
        r(r.real(3)),
        r(r.real(2, 3)),
        r(r.real(2, 3, 2), keepdims=True),
        r(r.real(2, 3), axis=-1, keepdims=True),
        r(r.real(2, 3), axis=0),
        r(r.real(2, 3, 2), axis=(0, 2)),
        *[r(r.real(4), ord) for ord in (1, 2, 3, 0.5, -2, np.inf, -np.inf, 0)],
        *[r(r.real(2, 3), ord, axis=1, keepdims=True) for ord in (1, 2, 2.5, np.inf)],
        *[r(r.real(2, 3), ord) for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)],
        *[r(r.real(2, 3, 2), ord, axis=(-1, 0)) for ord in ("fro", 1, np.inf, "nuc", 2)],
        r(r.real(2, 3, 2), -2, (0, 1), True),
    ],
)
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors or matrices; where it is 0 its gradient is 0."""
    if ord is None:
        return _norm2(x, axis, keepdims)
    x = operand(x)
    axes = axes_of(axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ShapeError(f"np.linalg.norm with ord={ord!r} needs one axis or two, and got shape {x.shape}, axis={axis}.")


# -- condition numbers --------------------------------------------------------------------------


def _quotient(top, bottom):
    """top / bottom, and inf where bottom is 0: there the gradient is 0."""
    zero = bare(bottom) == 0
    return np.where(zero, np.inf, top / np.where(zero, 1, bottom))


@composite(
    np.linalg.cond,
    sample=lambda r: [
        r(r.real(3, 3)),
        r(r.real(2, 4, 3)),
        *[r(r.real(3, 3) + 3 * np.eye(3), p) for p in (1, -1, 2, np.inf, -np.inf, "fro", "nuc")],
        r(r.real(2, 2, 2), p=-2),
        r(r.real(2, 2, 2), p="fro"),
    ],
)
def cond(x, p=None):
    """The condition number: inf for a singular matrix, where the gradient is 0."""
    x = operand(x)
    if p is None or p in (2, -2):
        values = np.linalg.svdvals(x)
        # Equal values share, so that the gradient of the best matrix, cond 1, is 0.
        largest, smallest = np.max(values, axis=-1), np.min(values, axis=-1)
        return _quotient(smallest, largest) if p == -2 else _quotient(largest, smallest)
    singular = np.isinf(np.linalg.cond(bare(x), p))
    regular = np.where(singular[..., None, None], np.eye(x.shape[-1], dtype=x.dtype), x)
    axes = (x.ndim - 2, x.ndim - 1)
    result = _matrix_norm(regular, p, axes, False) * _matrix_norm(np.linalg.inv(regular), p, axes, False)
    return np.where(singular, np.inf, result)
