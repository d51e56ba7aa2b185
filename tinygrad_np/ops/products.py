"""Products of vectors, matrices and arrays: matmul and its relatives, tensordot, outer, cross."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from ..engine.arrays import conjugate
from ..engine.op import composite, multilinear
from ..errors import ShapeError
from .reduce import operand

# -- matrix products ----------------------------------------------------------------------------


def product(a: Any, b: Any) -> Any:
    """`a @ b`, by the cheapest way in: for two small matrices `ndarray.dot` takes a third of the time."""
    if type(a) is not ndarray or type(b) is not ndarray:
        return np.matmul(a, b)
    axes = a.ndim
    if b.ndim == 2:
        if axes == 2 or axes == 1:
            return a.dot(b)
        if axes and a.flags.c_contiguous:
            # np.matmul would make one product for each matrix of the batch.
            return as_rows(a).dot(b).reshape((*a.shape[:-1], b.shape[1]))
    elif b.ndim == 1 and 0 < axes < 3:
        return a.dot(b)
    return np.matmul(a, b)


def as_rows(a):
    """All axes but the last in one."""
    return a if a.ndim == 2 else a.reshape((math.prod(a.shape[:-1]), a.shape[-1]))


def _matmul_a(g, b, shape):
    if b.ndim == 2 == len(shape):
        return product(g, b.T)
    if b.ndim == 1:
        return g[..., None] * b
    if len(shape) == 1:
        return np.matmul(b, g[..., None])[..., 0]
    return product(g, b.mT)


def _matmul_b(g, a, shape):
    if a.ndim == 2 and len(shape) < 3:
        return product(a.T, g)
    if len(shape) == 1 == a.ndim:
        return a * g
    if len(shape) == 1:
        return product(as_rows(np.atleast_2d(a)).T, g.reshape(-1))
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if len(shape) == 2:
        # One product of all rows, not one for each matrix of the batch and a sum over them.
        return product(as_rows(a).T, as_rows(g))
    return np.matmul(a.mT, g)


def _matrix_pairs(r):
    return [
        r(r.real(2, 3), r.real(3, 4)),
        r(r.real(3), r.real(3)),
        r(r.real(3), r.real(3, 2)),
        r(r.real(2, 3), r.real(3)),
        r(r.real(2, 2, 3), r.real(3, 4)),
        r(r.real(2, 2, 3), r.real(3)),
        r(r.real(2, 0), r.real(0, 3)),
        r(r.real(1, 1), r.real(1, 1)),
    ]


multilinear(
    np.matmul,
    also=(np.linalg.matmul,),
    advice="The first needs as many columns as the second has rows: transpose one with .T if that is what is meant.",
    run=product,
    a=_matmul_a,
    b=_matmul_b,
    sample=lambda r: [
        *_matrix_pairs(r),
        r(r.real(2, 3), r.real(4, 3, 2)),
        r(r.real(2, 1, 2, 3), r.real(4, 3, 2)),
        r(r.real(3), r.real(2, 3, 2)),
    ],
)


def _ndim(a):
    return a.ndim if hasattr(a, "ndim") else np.ndim(a)


def _dot_a(g, b, shape):
    if len(shape) == 2 == b.ndim:
        return product(g, b.T)
    if not shape or not b.ndim:
        return g * b
    if b.ndim < 3:
        return _matmul_a(g, b, shape)
    # The axes of the result are those of a but its last, then those of b but its last but one.
    axes = [*range(b.ndim - 2), b.ndim - 1]
    return np.tensordot(g, b, ([i - len(axes) for i in range(len(axes))], axes))


def _dot_b(g, a, shape):
    if len(shape) == 2 == a.ndim:
        return product(a.T, g)
    if not shape or not a.ndim:
        return a * g
    if len(shape) < 3:
        return _matmul_b(g, a, shape)
    axes = list(range(a.ndim - 1))
    return np.moveaxis(np.tensordot(a, g, (axes, axes)), 0, -2)


multilinear(
    np.dot,
    run=lambda a, b: a.dot(b),
    a=_dot_a,
    b=_dot_b,
    advice="The last axis of the first must be as long as the last but one of the second.",
    sample=lambda r: [
        *_matrix_pairs(r),
        r(r.real(), r.real(2, 3)),
        r(r.real(2, 3), 2.0),
        r(r.real(2, 3), r.real(2, 3, 4)),
        r(r.real(3), r.real(2, 3, 4)),
        r(r.real(2, 2, 3), r.real(2, 3, 2)),
    ],
)


@composite(
    np.inner,
    sample=lambda r: [
        r(r.real(3), r.real(3)),
        r(r.real(2, 3), r.real(4, 3)),
        r(r.real(2, 2, 3), r.real(3)),
        r(r.real(2), 1.5),
    ],
)
def inner(a, b):
    """The last axis of `a` with the last of `b`; numbers multiply."""
    return np.tensordot(a, b, (-1, -1)) if _ndim(a) and _ndim(b) else operand(a) * operand(b)


@composite(np.vdot, sample=lambda r: [r(r.real(2, 3), r.real(3, 2)), r(r.real(), r.real()), r(r.real(4), r.real(4))])
def vdot(a, b):
    """The sum of all products of entries, the first conjugated."""
    return np.matmul(conjugate(operand(a)).reshape(-1), operand(b).reshape(-1))


@composite(
    np.vecdot,
    np.linalg.vecdot,
    sample=lambda r: [r(r.real(2, 3), r.real(2, 3)), r(r.real(3), r.real(2, 3)), r(r.real(3), r.real(3))],
)
def vecdot(x1, x2, *, axis=-1):
    """The inner product of vectors along an axis, the first conjugated."""
    x1, x2 = (np.moveaxis(operand(x), axis, -1) for x in (x1, x2))
    return np.matmul(conjugate(x1)[..., None, :], x2[..., None])[..., 0, 0]


@composite(np.matvec, sample=lambda r: [r(r.real(2, 3), r.real(3)), r(r.real(2, 3), r.real(4, 3))])
def matvec(x1, x2):
    """Matrices times vectors, with broadcasting."""
    return np.matmul(x1, operand(x2)[..., None])[..., 0]


@composite(np.vecmat, sample=lambda r: [r(r.real(2), r.real(2, 3)), r(r.real(4, 2), r.real(2, 3))])
def vecmat(x1, x2):
    """Conjugated vectors times matrices, with broadcasting."""
    return np.matmul(conjugate(operand(x1))[..., None, :], x2)[..., 0, :]


@composite(np.outer, np.linalg.outer, sample=lambda r: [r(r.real(3), r.real(2)), r(r.real(1), r.real(4))])
def outer(a, b, out=None):
    """All products of an entry of `a` and an entry of `b`, as a matrix."""
    return operand(a).reshape((-1, 1)) * operand(b).reshape(-1)


@composite(
    np.kron,
    sample=lambda r: [r(r.real(2, 3), r.real(2, 2)), r(r.real(3), r.real(2, 2)), r(r.real(2, 1, 2), r.real(3))],
)
def kron(a, b):
    """Blocks of `b`, one for each entry of `a`."""
    a, b = operand(a), operand(b)
    n = max(a.ndim, b.ndim)
    left, right = ((1,) * (n - x.ndim) + x.shape for x in (a, b))
    blocks = a.reshape([k for m in left for k in (m, 1)]) * b.reshape([k for m in right for k in (1, m)])
    return blocks.reshape([m * k for m, k in zip(left, right, strict=True)])


_cross = multilinear(
    lambda a, b: np.cross(a, b),
    name="cross",
    a=lambda g, b: np.cross(b, g),
    b=lambda g, a: np.cross(g, a),
)


@composite(
    np.cross,
    sample=lambda r: [
        r(r.real(3), r.real(3)),
        r(r.real(2, 3), r.real(3)),
        r(r.real(3, 2), r.real(3, 2), axis=0),
        r(r.real(3, 2), r.real(2, 3), axisa=0, axisc=0),
    ],
)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The cross product of vectors of length 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(operand(a), axisa, -1), np.moveaxis(operand(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ShapeError(
            f"np.cross has a rule for vectors of length 3, and these have {a.shape[-1]} and {b.shape[-1]}.  "
            "For plane vectors write a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]."
        )
    return np.moveaxis(_cross(a, b), -1, axisc)


@composite(np.linalg.cross, sample=lambda r: [r(r.real(2, 3), r.real(2, 3)), r(r.real(3, 2), r.real(3, 2), axis=0)])
def _linalg_cross(x1, x2, /, *, axis=-1):
    return cross(x1, x2, axis=axis)


@composite(
    np.linalg.multi_dot,
    sample=lambda r: [
        r([r.real(2, 3), r.real(3, 4), r.real(4, 2)]),
        r([r.real(3), r.real(3, 4), r.real(4, 2), r.real(2)]),
        r([r.real(2, 3), r.real(3, 2)]),
    ],
)
def multi_dot(arrays, *, out=None):
    """The product of several matrices, in the order that takes the fewest multiplications."""
    arrays = [operand(a) for a in arrays]
    shapes = [(1, *a.shape) if a.ndim == 1 and i == 0 else a.shape for i, a in enumerate(arrays)]
    sizes = [shape[0] for shape in shapes] + [shapes[-1][1] if len(shapes[-1]) > 1 else 1]
    # Of every run of matrices from i to j (without j): its product, cheapest order, with the cost.
    best: dict[tuple[int, int], tuple[int, Any]] = {(i, i + 1): (0, None) for i in range(len(arrays))}
    for length in range(2, len(arrays) + 1):
        for i in range(len(arrays) - length + 1):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k, j][0] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j)
            )

    def multiplied(i, j):
        k = best[i, j][1]
        return arrays[i] if k is None else np.matmul(multiplied(i, k), multiplied(k, j))

    return multiplied(0, len(arrays))


# -- tensordot ----------------------------------------------------------------------------------


def _summed_axes(axes, ndim_a, ndim_b):
    """The axes that are summed over in `a` and in `b`, counted from the front."""
    if not isinstance(axes, int | np.integer):
        both = [[side] if isinstance(side, int | np.integer) else list(side) for side in axes]
    else:
        both = [list(range(ndim_a - axes, ndim_a)), list(range(axes))]
    return [i % ndim_a for i in both[0]], [i % ndim_b for i in both[1]]


def _free(ndim, summed):
    return [i for i in range(ndim) if i not in summed]


def _tensordot_a(g, b, shape, axes):
    summed_a, summed_b = _summed_axes(axes, len(shape), b.ndim)
    free = _free(len(shape), summed_a)
    slope = np.tensordot(g, b, (list(range(len(free), g.ndim)), _free(b.ndim, summed_b)))
    # What is left of b's axes comes in b's order; each belongs to an axis of a.
    order = free + [summed_a[summed_b.index(j)] for j in sorted(summed_b)]
    return np.transpose(slope, np.argsort(order))


def _tensordot_b(g, a, shape, axes):
    summed_a, summed_b = _summed_axes(axes, a.ndim, len(shape))
    free = _free(a.ndim, summed_a)
    slope = np.tensordot(a, g, (free, list(range(len(free)))))
    order = [summed_b[summed_a.index(i)] for i in sorted(summed_a)] + _free(len(shape), summed_b)
    return np.transpose(slope, np.argsort(order))


multilinear(
    np.tensordot,
    also=(np.linalg.tensordot,),
    a=_tensordot_a,
    b=_tensordot_b,
    sample=lambda r: [
        r(r.real(2, 3, 4), r.real(3, 4, 2)),
        r(r.real(2, 3), r.real(3, 4), 1),
        r(r.real(2, 3), r.real(4), axes=0),
        r(r.real(2, 3, 4), r.real(4, 5, 3), axes=([1, 2], [2, 0])),
        r(r.real(2, 3, 4), r.real(4, 2, 3), axes=((2, 0), (0, 1))),
        r(r.real(2, 3), r.real(4, 3), axes=(-1, 1)),
        r(r.real(2, 3), r.real(3, 2), axes=[[0, 1], [1, 0]]),
    ],
)
