"""The functions of np.linalg: inverses, determinants, Cholesky, least squares.

In the comments a loss changes by dL = Re(tr(g.T dA)), and ^H is `adjoint`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.door import bare
from ..engine.op import composite, constant, op
from .products import product
from .reduce import operand

# -- what the rules share -----------------------------------------------------------------------


def certainly_zero(g):
    """Whether a cotangent is zero for good, as that of a result which is not used."""
    return type(g) is np.ndarray and not g.any()


def adjoint(a):
    """The matrices conjugated and transposed."""
    return conjugate(a).mT


def diagonal_matrix(values):
    """Matrices with these diagonals, and zeros elsewhere."""
    return values[..., None, :] * np.eye(values.shape[-1], dtype=values.dtype)


def _triangle(a, lower):
    """1 in a triangle and 1/2 on its diagonal: what it gives added to its adjoint has everything once."""
    n = a.shape[-1]
    ones = np.tri(n, dtype=a.dtype)
    return (ones if lower else ones.T) - 0.5 * np.eye(n, dtype=a.dtype)


def into_triangle(slope, lower):
    """The gradient of a Hermitian matrix of which NumPy reads one triangle: all of it is there, none in the other."""
    return (slope + adjoint(slope)) * _triangle(slope, lower)


def read_lower(a):
    """The Hermitian matrix that NumPy sees when it reads the lower triangle."""
    half = a * _triangle(a, lower=True)
    return half + adjoint(half)


def _squares(r):
    """Matrices that are far from singular."""
    return [r.real(*shape) + 5 * np.eye(shape[-1]) for shape in [(3, 3), (2, 2, 2), (1, 1)]]


@composite(np.linalg.matrix_power, sample=lambda r: [r(a / 5, n) for a in _squares(r) for n in (0, 1, 2, 5, -2)])
def matrix_power(a, n):
    """The n-th power of square matrices, by squaring; negative powers are those of the inverse."""
    a, n = operand(a), operator.index(n)
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) + 0 * a
    if n < 0:
        return matrix_power(np.linalg.inv(a), -n)
    half = matrix_power(a, n // 2) if n > 1 else None
    if half is None:
        return a
    return np.matmul(np.matmul(half, half), a) if n % 2 else np.matmul(half, half)


# -- inverses and determinants ------------------------------------------------------------------

op(
    np.linalg.inv,
    fresh=True,
    a=lambda g, out: -product(product(out.mT, g), out.mT),
    jvps={"a": lambda t, out: -product(product(out, t), out)},
    sample=lambda r: [r(a) for a in _squares(r)],
)


def _solve_transposed(a, g, vector):
    """The solution of a.T x = g, where g is vectors or matrices."""
    return np.linalg.solve(a.mT, g[..., None])[..., 0] if vector else np.linalg.solve(a.mT, g)


def _solve_a(g, a, out, shape):
    # Only where b is a single vector has the solution fewer axes than the matrices.
    vector = out.ndim < len(shape)
    back = _solve_transposed(a, g, vector)
    return -back[..., :, None] * out[..., None, :] if vector else -np.matmul(back, out.mT)


def _solve_both(g, a, out, shape):
    vector = out.ndim < len(shape)
    back = _solve_transposed(a, g, vector)
    return (-back[..., :, None] * out[..., None, :] if vector else -np.matmul(back, out.mT)), back


op(
    np.linalg.solve,
    fresh=True,
    together=_solve_both,
    a=_solve_a,
    b=lambda g, a, shape: _solve_transposed(a, g, len(shape) == 1),
    sample=lambda r: [
        *[r(a, r.real(a.shape[-1], 2)) for a in _squares(r)],
        *[r(a, r.real(a.shape[-1])) for a in _squares(r)],
        r(_squares(r)[1], r.real(2, 2, 3)),
        r(_squares(r)[0], r.real(2, 3, 2)),
    ],
)


def _accurate_inverse(a):
    """The inverse, or None where a matrix is so near to singular that products with it lose their digits."""
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return None
    size, inverse_size = (np.abs(x).sum(axis=-2).max(axis=-1, initial=0) for x in (a, inverse))
    return inverse if (size * inverse_size).max(initial=0) < np.finfo(a.dtype).eps ** (-1 / 3) else None


def _rotated(a):
    """The factors of a = u @ diag(s) @ v^H, and the determinant of u @ v^H."""
    u, s, vh = np.linalg.svd(a)
    return (np.linalg.det(u) * np.linalg.det(vh))[..., None, None], u, s, adjoint(vh)


def _cofactors_run(a, det):
    """det(a) * inv(a).T, also where there is no inverse: then by products of all singular values but one."""
    if (inverse := _accurate_inverse(a)) is not None:
        return det[..., None, None] * inverse.mT
    sign, u, s, v = _rotated(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(axis=-1)
    return (sign * u.conj() * others[..., None, :]) @ v.mT


def _cofactor_changes_run(a, t):
    """How the cofactors change with a along t; without an inverse, by products of all singular values but two."""
    if (inverse := _accurate_inverse(a)) is not None:
        x = inverse @ t
        change = np.trace(x, 0, -2, -1)[..., None, None] * inverse - x @ inverse
        return np.linalg.det(a)[..., None, None] * change.mT
    sign, u, s, v = _rotated(a)
    left_out = np.eye(s.shape[-1], dtype=bool)
    pairs = left_out[:, None, :] | left_out[None, :, :]
    others = np.where(pairs, 1, s[..., None, None, :]).prod(axis=-1) * ~left_out
    turned = adjoint(u) @ t @ v
    diagonal = np.sum(others * np.diagonal(turned, axis1=-2, axis2=-1)[..., None, :], axis=-1)
    return sign * u.conj() @ (diagonal_matrix(diagonal) - others * turned.mT) @ v.mT


def _cofactor_changes_vjp(g, a, t):
    """The third derivative of the determinant along g and t, from that of det(a + t) = det(a) det(1 + inv(a) t)."""
    if _accurate_inverse(bare(a)) is None:
        raise np.linalg.LinAlgError("the third derivative of det needs a matrix that is not nearly singular")
    inverse = np.linalg.inv(a)
    x, y = np.matmul(inverse, g), np.matmul(inverse, t)
    trace_x, trace_y = (np.trace(z, 0, -2, -1)[..., None, None] for z in (x, y))
    xy, yx = np.matmul(x, y), np.matmul(y, x)
    both = (trace_x * trace_y - np.trace(xy, 0, -2, -1)[..., None, None]) * inverse
    slope = both + np.matmul(xy + yx - trace_y * x - trace_x * y, inverse)
    return np.linalg.det(a)[..., None, None] * slope.mT


# The second derivative is symmetric: it is its own transpose.
_cofactor_changes: Any = op(
    _cofactor_changes_run, name="cofactors", a=_cofactor_changes_vjp, t=lambda g, a: _cofactor_changes(a, g)
)
_cofactors = op(
    _cofactors_run,
    name="cofactors",
    a=lambda g, a: _cofactor_changes(a, g),
    jvps={"a": lambda t, a: _cofactor_changes(a, t)},
)

# The first and the second derivative of det are right for singular matrices too; the third needs an inverse.
op(
    np.linalg.det,
    a=lambda g, a, out: g[..., None, None] * _cofactors(a, bare(out)),
    sample=lambda r: [*[r(a) for a in _squares(r)], r(np.outer(r.real(3), r.real(3)) + np.diag([1.0, 0, 0]))],
)


def _slogdet_vjp(g, a, out):
    # d log(det) = tr(inv(a) da): its real part is the change of the logarithm, its imaginary part turns the sign.
    size = g[1] if a.dtype.kind != "c" else g[1] + np.imag(g[0] * out[0]) * 1j
    return size[..., None, None] * np.linalg.inv(a).mT


op(np.linalg.slogdet, results=True, a=_slogdet_vjp, sample=lambda r: [r(a) for a in _squares(r)])


def _lower_inverse_run(a):
    """The inverse of lower triangular matrices, block by block: NumPy's own takes no note of the zeros."""
    n = a.shape[-1]
    if n <= 32:
        return np.linalg.inv(a)
    first, last = _lower_inverse_run(a[..., : n // 2, : n // 2]), _lower_inverse_run(a[..., n // 2 :, n // 2 :])
    inverse = np.zeros_like(a)
    inverse[..., : n // 2, : n // 2], inverse[..., n // 2 :, n // 2 :] = first, last
    inverse[..., n // 2 :, : n // 2] = -last @ a[..., n // 2 :, : n // 2] @ first
    return inverse


_lower_inverse = op(_lower_inverse_run, name="inv", a=lambda g, out: -product(product(out.mT, g), out.mT))


def _cholesky_vjp(g, out):
    """The rule of I. Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10."""
    inverse = _lower_inverse(out)
    middle = product(out.mT, g) * _triangle(out, lower=True)
    return into_triangle(product(product(inverse.mT, middle), conjugate(inverse)), lower=True)


_lower_cholesky = op(lambda a: np.linalg.cholesky(a), name="cholesky", a=_cholesky_vjp)


@composite(
    np.linalg.cholesky,
    sample=lambda r: [r(x @ x.mT, upper=upper) for x in _squares(r) for upper in (False, True)],
)
def cholesky(a, /, *, upper=False):
    """The triangular factor; its gradient is in the triangle that NumPy reads, and zero in the other."""
    return adjoint(_lower_cholesky(adjoint(operand(a)))) if upper else _lower_cholesky(a)


constant(np.linalg.matrix_rank, sample=lambda r: [r(r.real(3, 3))])


# -- pseudo-inverse and least squares -----------------------------------------------------------


def _pinv_vjp(g, a, out):
    """G. Golub and V. Pereyra (1973), eq. 4.12, for matrices of constant rank.

    dp = -p da p + p p^H da^H (1 - a p) + (1 - p a) da^H p^H p.
    """
    middle = np.matmul(out, g.mT)
    direct = np.matmul(middle, out)
    outside = np.matmul(g.mT - np.matmul(a, middle), np.matmul(out, adjoint(out)))
    inside = np.matmul(adjoint(out), middle - np.matmul(direct, a))
    return conjugate(outside + inside) - direct.mT


_pinv = op(
    lambda a, rcond=None, hermitian=False, rtol=np._NoValue: np.linalg.pinv(a, rcond, hermitian, rtol=rtol),
    name="pinv",
    a=_pinv_vjp,
)


@composite(
    np.linalg.pinv,
    sample=lambda r: [
        r(r.real(4, 2)),
        r(r.real(2, 2, 3), 1e-10),
        r(_squares(r)[0], rtol=1e-10),
        r(r.real(3, 2), rtol=None),
        r(r.real(3, 3) / 2 + np.diag([4, 5, -5]), hermitian=True),
        r(r.real(0, 2)),
    ],
)
def pinv(a, rcond=None, hermitian=False, *, rtol=np._NoValue):
    """The pseudo-inverse; its derivative is that among matrices of the same rank."""
    a = read_lower(operand(a)) if hermitian else a
    return _pinv(a, rcond, hermitian) if rtol is np._NoValue else _pinv(a, rcond, hermitian, rtol=rtol)


def _cutoff(rcond, shape):
    """Below which part of the largest singular value LAPACK takes one as zero."""
    # NumPy computes in double precision, whatever the dtype.
    eps = float(np.finfo(float).eps)
    if rcond is None:
        return eps * max(shape)
    return float(rcond) if rcond >= 0 else eps


def _lstsq_a(g, a, b, out, rcond):
    """As `_pinv_vjp`, for the product with b."""
    slope, x = g[0], out[0]
    p = np.linalg.pinv(a, _cutoff(rcond, a.shape))
    back = np.matmul(p.mT, slope)
    outside = np.matmul(b - np.matmul(a, x), np.matmul(back.mT, adjoint(p)))
    inside = np.matmul(np.matmul(adjoint(p), x), slope.mT - np.matmul(back.mT, a))
    total = conjugate(outside + inside) - np.matmul(back, x.mT)
    if certainly_zero(g[1]):
        return total
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return total + np.matmul(conjugate(u) * g[1], conjugate(vh))


_lstsq = op(
    lambda a, b, rcond=None: np.linalg.lstsq(a, b, rcond)[::3],
    name="lstsq",
    results=True,
    a=_lstsq_a,
    b=lambda g, a, rcond: np.matmul(np.linalg.pinv(a, _cutoff(rcond, a.shape)).mT, g[0]),
)


@composite(
    np.linalg.lstsq,
    sample=lambda r: [
        r(r.real(4, 2), r.real(4)),
        r(r.real(5, 3), r.real(5, 2), rcond=1e-8),
        r(r.real(2, 4), r.real(2)),
        r(r.real(3, 3), r.real(3, 2), -1),
    ],
)
def lstsq(a, b, rcond=None):
    """The solution of least squares, the sums of squared residuals, the rank (a number), the singular values."""
    a, b = operand(a), operand(b)
    x, s = _lstsq(a, b[:, None] if b.ndim == 1 else b, rcond)
    rank = np.int32(np.count_nonzero(bare(s) > _cutoff(rcond, a.shape) * bare(s).max(initial=0)))
    solution = x[:, 0] if b.ndim == 1 else x
    if rank < a.shape[1] or a.shape[0] <= a.shape[1]:
        return solution, np.array([], s.dtype), rank, s
    rest = np.abs((b[:, None] if b.ndim == 1 else b) - np.matmul(a, x))
    return solution, np.sum(rest * rest, axis=0), rank, s


# -- tensors as matrices ------------------------------------------------------------------------


@composite(np.linalg.tensorinv, sample=lambda r: [r(r.real(4, 6, 8, 3)), r(r.real(6, 2, 3), ind=1)])
def tensorinv(a, ind=2):
    """The inverse with respect to tensordot: the first `ind` axes against the others."""
    a = operand(a)
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv of shape {a.shape} needs ind > 0, how many axes lead; got ind={ind}.")
    lead, rest = a.shape[:ind], a.shape[ind:]
    return np.linalg.inv(a.reshape(math.prod(rest), -1)).reshape(rest + lead)


@composite(
    np.linalg.tensorsolve,
    sample=lambda r: [
        r(r.real(2, 3, 6), r.real(2, 3)),
        r(r.real(2, 3, 2, 3) + 5 * np.eye(6).reshape(2, 3, 2, 3), r.real(2, 3)),
        r(r.real(2, 4, 2), r.real(4), axes=(0,)),
    ],
)
def tensorsolve(a, b, axes=None):
    """The x with tensordot(a, x, x.ndim) = b; `axes` of a are moved to its end first."""
    a, b = operand(a), operand(b)
    for axis in axes or ():
        a = np.moveaxis(a, axis, -1)
    shape = a.shape[b.ndim :]
    size = math.prod(shape)
    if a.size != size**2:
        raise np.linalg.LinAlgError(
            f"np.linalg.tensorsolve needs as many equations as unknowns, and a of shape {a.shape} with b of shape "
            f"{b.shape} has {a.size // size if size else 0} for {size}: the first axes of a must be those of b."
        )
    return np.linalg.solve(a.reshape(size, size), b.reshape(-1)).reshape(shape)


# -- other names --------------------------------------------------------------------------------


@composite(np.linalg.trace, sample=lambda r: [r(r.real(2, 3, 3)), r(r.real(3, 3), offset=1)])
def trace(x, /, *, offset=0, dtype=None):
    """The sum of a diagonal of the matrices in the last two axes."""
    return np.trace(x, offset, -2, -1, dtype)


@composite(np.linalg.diagonal, sample=lambda r: [r(r.real(2, 3, 3)), r(r.real(3, 4), offset=-1)])
def diagonal(x, /, *, offset=0):
    """A diagonal of the matrices in the last two axes."""
    return np.diagonal(x, offset, -2, -1)


@composite(np.linalg.matrix_transpose, sample=lambda r: [r(r.real(2, 3)), r(r.real(2, 2, 3))])
def matrix_transpose(x, /):
    """The last two axes swapped."""
    return np.matrix_transpose(x)
