"""The functions of np.linalg: inverses, determinants, Cholesky, norms."""

from __future__ import annotations

import operator

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, constant, op
from ..errors import NoRuleError, ShapeError
from .products import product
from .reduce import axes_of, operand, spread


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


op(
    np.linalg.solve,
    a=_solve_a,
    b=lambda g, a, shape: _solve_transposed(a, g, len(shape) == 1),
    sample=lambda r: [
        *[r(a, r.real(a.shape[-1], 2)) for a in _squares(r)],
        *[r(a, r.real(a.shape[-1])) for a in _squares(r)],
        r(_squares(r)[1], r.real(2, 2, 3)),
        r(_squares(r)[0], r.real(2, 3, 2)),
    ],
)


def _cofactors_run(a):
    """det(a) * inv(a).T, from the singular values: also right where there is no inverse.

    With a = u @ diag(s) @ vh each singular value is replaced by the product of the others.
    """
    u, s, vh = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(vh)
    return (sign[..., None, None] * u.conj() * others[..., None, :]) @ vh.conj()


def _cofactors_vjp(g, a, out):
    inverse = np.linalg.inv(a)
    both = np.sum(g * out, axis=(-2, -1), keepdims=True) * inverse
    return (both - np.matmul(inverse, np.matmul(g, out.mT))).mT


_cofactors = op(_cofactors_run, name="cofactors", a=_cofactors_vjp)

# The first derivative of det is right for singular matrices too; the second needs an inverse.
op(
    np.linalg.det,
    a=lambda g, a: g[..., None, None] * _cofactors(a),
    sample=lambda r: [r(a) for a in _squares(r)],
)
op(
    np.linalg.slogdet,
    results=True,
    # The sign is constant: only the logarithm of the size has a cotangent to pull back.
    a=lambda g, a: g[1][..., None, None] * np.linalg.inv(a).mT,
    sample=lambda r: [r(a) for a in _squares(r)],
)


def _cholesky_vjp(g, out):
    """The rule of I. Murray, "Differentiation of the Cholesky decomposition" (2016), eq. 10."""
    n = out.shape[-1]
    lower = np.tri(n, dtype=out.dtype)
    middle = np.matmul(out.mT, g) * (lower - 0.5 * np.eye(n, dtype=out.dtype))
    right = np.linalg.solve(out.mT, middle).mT
    slope = np.linalg.solve(out.mT, right)
    # NumPy reads the lower triangle only: the entries above it have no influence.
    return (slope + slope.mT) * (lower - 0.5 * np.eye(n, dtype=out.dtype))


_lower_cholesky = op(lambda a: np.linalg.cholesky(a), name="cholesky", a=_cholesky_vjp)


@composite(
    np.linalg.cholesky,
    sample=lambda r: [r(x @ x.mT, upper=upper) for x in _squares(r) for upper in (False, True)],
)
def cholesky(a, /, *, upper=False):
    """The triangular factor; its gradient is in the triangle that NumPy reads, and zero in the other."""
    return _lower_cholesky(a.mT).mT if upper else _lower_cholesky(a)


constant(np.linalg.matrix_rank, sample=lambda r: [r(r.real(3, 3))])


# -- norms --------------------------------------------------------------------------------------


def _infinite_at_zero(out):
    """A norm as a divisor: at 0, where it has no direction, the gradient is 0."""
    return np.where(out == 0, np.inf, out)


_norm2 = op(
    lambda x, axis=None, keepdims=False: np.linalg.norm(x, None, axis, keepdims),
    name="norm",
    x=lambda g, x, out, shape, axis, keepdims: x * spread(g / _infinite_at_zero(out), shape, axis, keepdims),
    jvps={"x": lambda t, x, out, axis, keepdims: np.sum(x * t, axis=axis, keepdims=keepdims) / _infinite_at_zero(out)},
)


def _norm_vjp(g, x, out, shape, ord, axis, keepdims):
    size = np.abs(x) / spread(_infinite_at_zero(out), shape, axis, keepdims)
    # For ord < 1 the slope at an entry 0 is infinite: 0 is taken, as for sqrt.
    slope = np.sign(x) * np.where(x == 0, 1, size) ** (ord - 1)
    return slope * spread(g, shape, axis, keepdims)


_norm = op(lambda x, ord=2, axis=None, keepdims=False: np.linalg.norm(x, ord, axis, keepdims), name="norm", x=_norm_vjp)


def _vector_norm(x, ord, axis, keepdims):
    if ord == 2:
        return _norm2(x, axis, keepdims)
    if abs(ord) == np.inf:
        return (np.max if ord > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.astype(np.count_nonzero(x, axis=axis, keepdims=keepdims), x.dtype)
    return _norm(x, ord, axis, keepdims)


def _matrix_norm(x, ord, axes, keepdims):
    if ord in ("fro", "f"):
        return _norm2(x, axes, keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        if x.requires_grad:
            raise NoRuleError(
                f"np.linalg.norm with ord={ord!r} of matrices needs singular values, for which there is no derivative "
                f"rule here, and {x.describe()} requires grad.  Use ord='fro', 1 or np.inf, or t.detach()."
            )
        return np.linalg.norm(bare(x), ord, axes, keepdims)
    rows, columns = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(np.abs(x), axis=rows, keepdims=True)
    result = (np.max if ord > 0 else np.min)(sums, axis=columns, keepdims=True)
    return result if keepdims else np.squeeze(result, axis=axes)


@composite(
    np.linalg.norm,
    sample=lambda r: [
        r(r.real(3)),
        r(r.real(2, 3)),
        r(r.real(2, 3, 2), keepdims=True),
        r(r.real(2, 3), axis=-1, keepdims=True),
        r(r.real(2, 3), axis=0),
        r(r.real(2, 3, 2), axis=(0, 2)),
        *[r(r.real(4), ord) for ord in (1, 2, 3, 0.5, -2, np.inf, -np.inf)],
        *[r(r.real(2, 3), ord, axis=1, keepdims=True) for ord in (1, 2, 2.5, np.inf)],
        *[r(r.real(2, 3), ord) for ord in ("fro", 1, -1, np.inf, -np.inf)],
        *[r(r.real(2, 3, 2), ord, axis=(-1, 0)) for ord in ("fro", 1, np.inf)],
    ],
)
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors or matrices; where it is 0 its gradient is 0."""
    if ord is None:
        return _norm2(x, axis, keepdims)
    axes = axes_of(axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ShapeError(f"np.linalg.norm with ord={ord!r} needs one axis or two, and got shape {x.shape}, axis={axis}.")


@composite(
    np.linalg.vector_norm,
    sample=lambda r: [r(r.real(2, 3)), r(r.real(2, 3), axis=0, ord=3, keepdims=True), r(r.real(2, 3), ord=1)],
)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm of vectors; without an axis, of all entries."""
    if ord == 2:
        return _norm2(x, axis, keepdims)
    if axis is None:
        result = _vector_norm(x.reshape(-1), ord, 0, False)
        return result.reshape((1,) * x.ndim) if keepdims else result
    return _vector_norm(x, ord, axis, keepdims)


@composite(
    np.linalg.matrix_norm,
    sample=lambda r: [r(r.real(2, 2, 3)), r(r.real(2, 3), ord=1, keepdims=True)],
)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of the matrices in the last two axes."""
    return _matrix_norm(x, ord, (-2, -1), keepdims)


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
