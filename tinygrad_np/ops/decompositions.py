"""Factorisations of matrices: QR, singular values and vectors, eigenvalues and eigenvectors.

Singular vectors and eigenvectors are a choice: another phase, or another basis where values are equal,
is as right.  A loss that does not depend on the choice has a derivative, and it is the one given here.
Real vectors, and complex ones whose phase LAPACK fixes by making an entry real, may be used in any way;
a loss that depends on more than that is refused.

| where values are equal to rounding | gradient |
|---|---|
| symmetric functions of the values (sum, nuclear norm, sum of squares) | as anywhere |
| functions of the space that the vectors of equal values span, such as its projector | as anywhere |
| values and vectors together, such as u * f(s) @ vh, and second derivatives of functions not linear in s | refused |
| any other: 1 / (x_j - x_i) is taken as 0 | finite, without the turning among equal ones |

The third row: the chain rule needs how a loss changes when equal vectors turn *while* their values part,
and what the vectors and the values hand back separately does not tell.

In the comments a loss changes by dL = Re(tr(g.T dA)), and ^H is `adjoint`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.arrays import conjugate
from ..engine.door import bare
from ..engine.op import composite, op
from ..engine.tensor import constant
from ..errors import NoRuleError
from .kinks import inverse_or_zero
from .linalg import adjoint, certainly_zero, diagonal_matrix, into_triangle
from .reduce import operand

# -- what the rules share -----------------------------------------------------------------------


def _rounding(x):
    """What is 0 beside the entries of x: a few rounding errors of the largest, per vector."""
    size = np.abs(bare(x)).max(axis=-1, initial=0, keepdims=True)
    return 4 * x.shape[-1] * np.finfo(x.dtype).eps * size


def _reciprocal(x, rounding):
    """1 / x, and 0 where x is 0 to rounding: what does not depend on the basis has no share there."""
    return inverse_or_zero(np.where(np.abs(bare(x)) <= rounding, 0, x))


def _coupling(values):
    """1 / (x_j - x_i): how much vector i turns into vector j when the matrix changes."""
    gaps = values[..., None, :] - values[..., :, None]
    return _reciprocal(gaps, _rounding(values)[..., None])


def _depends(turn, scale):
    """Whether a loss changes along a direction in which the factorisation stays right."""
    turn, scale = np.abs(bare(turn)), np.abs(bare(scale))
    eps = np.finfo(turn.dtype).eps
    return bool(turn.size) and turn.max() > max(eps ** (1 / 3) * scale.max(), eps**0.5)


def _is_probe(g):
    return getattr(g, "requires_grad", False) and not bare(g).any()


def _refuse_mixture(values, g_values, g_vectors, also=False):
    """An error where equal values, or those where `also` holds, and vectors are used together."""
    x, g = bare(values), bare(g_values)
    equal = np.abs(x[..., None, :] - x[..., :, None]) <= _rounding(x)[..., None]
    shared = (equal.sum(axis=-1) > 1) | also
    if not shared.any() or all(map(certainly_zero, g_vectors)):
        return
    # Forward mode asks with cotangents of zeros that could become anything, for each result that is used.
    together = _is_probe(g_values) and any(map(_is_probe, g_vectors))
    together = together or (_depends(g * shared, g) and any(_depends(y, y) for y in g_vectors))
    # A symmetric function of the values treats equal ones alike.
    if together or _depends((g[..., None, :] - g[..., :, None]) * equal, g):
        raise NoRuleError(
            f"the loss uses vectors together with values, some of them equal ({x[shared].flat[0]:.6g}): the vectors "
            "are any basis then, and do not determine how the loss changes as the values part: no derivative.  Take "
            "the values from np.linalg.svdvals, eigvalsh or eigvals, use a function of the matrix itself (inv, pinv, "
            "slogdet, matrix_power), leave equal values out of the sum, or move the matrix a little."
        )


def _with_fixed_phase(g, v, entry, others=0):
    """The cotangent of complex vectors before LAPACK turned each so that one entry is real.

    `entry` is 1 at that entry of each column; `others` is what turns along, as sum(cotangent * vector).
    From dv = dy - i v * Im(dy[entry]) / v[entry].
    """
    if v.dtype.kind != "c":
        return g
    turns = np.sum(g * v, axis=-2) + others
    turn, real = np.imag(turns), np.sum(np.real(v) * entry, axis=-2)
    rounding = 8 * np.finfo(v.dtype).eps
    fixed = np.all((np.abs(np.imag(bare(v))) * entry).max(initial=0) < rounding < np.abs(bare(real)).min(initial=1))
    if not fixed and _depends(turn, turns):
        raise NoRuleError(
            f"the loss depends on the phase of complex vectors (shape {v.shape}), and which phase the factorisation "
            "gives them is not determined: no derivative.  Use what does not change with the phase, such as "
            "np.abs(v) or v @ np.conj(v).mT."
        )
    return g - 1j * entry * (turn * inverse_or_zero(real))[..., None, :]


def _row(v, row):
    """1 in one row, 0 elsewhere, in the shape of v."""
    at = np.zeros(v.shape[-2:])
    at[row : row + 1 or None] = 1
    return at


def _without_complement(g, q, k):
    """The cotangent of the first k columns of a unitary q, with that of the others folded in.

    The others span what is left: q^H q = 1 gives the part of their change along the first k, and no loss
    may depend on how they turn among themselves.
    """
    if q.shape[-1] == k:
        return g
    first, rest, g_rest = q[..., :k], q[..., k:], g[..., k:]
    if certainly_zero(g_rest):
        return g[..., :k]
    turns = np.matmul(g_rest.mT, rest)
    if _depends(turns - adjoint(turns), turns):
        raise NoRuleError(
            f"the loss depends on the last {q.shape[-1] - k} columns of a {q.shape[-1]} x {q.shape[-1]} factor one by "
            "one, and only the space they span is determined: no derivative.  Use full_matrices=False or "
            "mode='reduced', or the projector on that space, v @ np.conj(v).mT."
        )
    return g[..., :k] - conjugate(np.matmul(np.matmul(rest, g_rest.mT), first))


# -- QR -----------------------------------------------------------------------------------------


def _qr_vjp(g, out, shape):
    """The rule of S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2018)."""
    k = min(shape[-2:])
    q, r = out
    gq, gr = _without_complement(g[0], q, k), g[1][..., :k, :]
    q, r = q[..., :k], r[..., :k, :]
    if shape[-1] <= k:
        return _tall_qr_vjp(gq, gr, q, r)
    # The columns that do not fit into q are a = q @ r there.
    square, rest = r[..., :k], r[..., k:]
    gq = gq + conjugate(np.matmul(q, np.matmul(rest, gr[..., k:].mT)))
    left = _tall_qr_vjp(gq, gr[..., :k], q, square)
    return np.concatenate([left, np.matmul(conjugate(q), gr[..., k:])], axis=-1)


def _tall_qr_vjp(gq, gr, q, r):
    # q^H dq is skew and dr r^-1 triangular with a real diagonal: which splits q^H da r^-1 into the two.
    n = r.shape[-1]
    middle = np.matmul(r, gr.mT) - np.matmul(gq.mT, q)
    lower = middle * (np.tri(n, dtype=r.dtype) - 0.5 * np.eye(n, dtype=r.dtype))
    slope = gq + np.matmul(conjugate(q), (lower + adjoint(lower)).mT)
    return np.linalg.solve(r, slope.mT).mT


_qr = op(lambda a, mode="reduced": np.linalg.qr(a, mode), name="qr", results=True, a=_qr_vjp)


@composite(
    np.linalg.qr,
    sample=lambda r: [
        r(r.real(4, 3)),
        r(r.real(2, 3, 3), "complete"),
        r(r.real(2, 4), mode="complete"),
        r(r.real(2, 3, 2), mode="r"),
        r(r.real(2, 4)),
        r(r.real(1, 1)),
    ],
)
def qr(a, mode="reduced"):
    """The factors of a = q @ r, for mode 'r' the second alone; the first min(m, n) columns must be independent."""
    if mode in ("raw", "economic"):
        raise NoRuleError(
            f"np.linalg.qr with mode={mode!r} of shape {a.shape} has no derivative rule: it gives the reflectors "
            "of LAPACK.  Use mode='reduced', 'complete' or 'r', or t.detach()."
        )
    return _qr(a, "reduced").R if mode == "r" else _qr(a, mode)


# -- singular values ----------------------------------------------------------------------------


def _svd_vjp(g, out, shape):
    """The rule of Z.-Q. Wan and S.-X. Zhang, "Automatic differentiation for complex valued SVD" (2019).

    With x = u^H da v it splits by symmetry: u^H du = E * (x + x^H) / 2 + P * (x - x^H) / 2, where
    E_ij = 1 / (s_j - s_i) and P_ij = 1 / (s_i + s_j); v^H dv has the same with -P.
    """
    gu, gs, gvh = g
    u, s, vh = out
    k = s.shape[-1]
    if certainly_zero(gu) and certainly_zero(gvh):
        return np.matmul(conjugate(u[..., :k]) * gs[..., None, :], conjugate(vh[..., :k, :]))
    _refuse_mixture(s, gs, (gu, gvh), (shape[-1] != shape[-2]) & (bare(s) <= _rounding(s)))
    v = adjoint(vh)
    gu, gv = _without_complement(gu, u, k), _without_complement(adjoint(gvh), v, k)
    u, v = u[..., :k], v[..., :k]
    gu, gv = _svd_phase(gu, gv, u, v)
    along_u, along_v = np.matmul(u.mT, gu), np.matmul(v.mT, gv)
    turn = (along_u + along_v) * _coupling(s)
    sums = s[..., None, :] + s[..., :, None]
    twist = (along_u - along_v) * _reciprocal(sums, _rounding(s)[..., None])
    inner = (turn + adjoint(turn)) / 2 + (twist - adjoint(twist)) / 2 + diagonal_matrix(gs)
    left = np.matmul(conjugate(u), inner)
    inverse = _reciprocal(s, _rounding(s))
    if shape[-2] > k:
        left = left + (gu - np.matmul(conjugate(u), along_u)) * inverse[..., None, :]
    slope = np.matmul(left, v.mT)
    if shape[-1] > k:
        outside = adjoint(gv) - np.matmul(adjoint(along_v), v.mT)
        slope = slope + np.matmul(conjugate(u), inverse[..., :, None] * outside)
    return slope


def _svd_phase(gu, gv, u, v):
    # LAPACK makes the matrix bidiagonal first, which leaves the first entry of v real, or that of u if a is wide.
    if u.shape[-2] < v.shape[-2]:
        return _with_fixed_phase(gu, u, _row(u, 0), np.sum(gv * v, axis=-2)), gv
    return gu, _with_fixed_phase(gv, v, _row(v, 0), np.sum(gu * u, axis=-2))


_svd = op(lambda a, full_matrices=True: np.linalg.svd(a, full_matrices), name="svd", results=True, a=_svd_vjp)


def _hermitian_svd(a, vectors):
    """As NumPy does it: the eigenvalues without their signs, which go into the second factor."""
    values, u = np.linalg.eigh(a)
    signs = np.copysign(1.0, bare(values))
    order = np.argsort(np.abs(bare(values)))[..., ::-1]
    s = np.take_along_axis(np.abs(values), order, axis=-1)
    if not vectors:
        return s
    u, signs = (np.take_along_axis(x, order[..., None, :], axis=-1) for x in (u, signs[..., None, :]))
    return _svd_result(u, s, adjoint(u * signs))


_svd_result: Any = type(np.linalg.svd(np.eye(1)))


@composite(
    np.linalg.svd,
    sample=lambda r: [
        r(r.real(3, 3)),
        r(r.real(4, 2), full_matrices=False),
        r(r.real(2, 2, 3), False),
        r(r.real(2, 4, 3), compute_uv=False),
        r(r.real(3, 3), hermitian=True),
        r(r.real(2, 2), compute_uv=False, hermitian=True),
        r(r.real(1, 1)),
    ],
)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """a = u @ diag(s) @ vh; of the extra columns of full factors only the space they span is differentiated."""
    if hermitian:
        return _hermitian_svd(a, compute_uv)
    return _svd(a, full_matrices) if compute_uv else np.linalg.svdvals(a)


@composite(np.linalg.svdvals, sample=lambda r: [r(r.real(3, 3)), r(r.real(2, 4, 2)), r(r.real(2, 3))])
def svdvals(x, /):
    """The singular values, with the vectors that their gradient needs where one is wanted."""
    if operand(x).requires_grad:
        return _svd(x, False).S
    return constant(np.linalg.svdvals(bare(x)))


# -- eigenvalues of Hermitian matrices ----------------------------------------------------------


def _eigh_vjp(g, out, UPLO):
    """M. Giles, "Collected matrix derivative results" (2008): dw = diag(x) and v^H dv = E * x, with x = v^H da v."""
    gw, gv = g
    w, v = out
    lower = UPLO.upper() == "L"
    if certainly_zero(gv):
        slope = np.matmul(conjugate(v) * gw[..., None, :], v.mT)
    else:
        _refuse_mixture(w, gw, (gv,))
        # LAPACK makes the matrix tridiagonal first, which leaves the first (or last) entry of each vector real.
        gv = _with_fixed_phase(gv, v, _row(v, 0 if lower else -1))
        inner = np.matmul(v.mT, gv) * _coupling(w) + diagonal_matrix(gw)
        slope = np.matmul(np.matmul(conjugate(v), inner), v.mT)
    return into_triangle(slope, lower)


op(
    np.linalg.eigh,
    results=True,
    a=_eigh_vjp,
    sample=lambda r: [r(r.real(3, 3)), r(r.real(2, 3, 3), "U"), r(r.real(2, 2), UPLO="L"), r(r.real(1, 1))],
)


@composite(np.linalg.eigvalsh, sample=lambda r: [r(r.real(3, 3)), r(r.real(2, 3, 3), "U"), r(r.real(2, 2), UPLO="l")])
def eigvalsh(a, UPLO="L"):
    """The eigenvalues of Hermitian matrices; the gradient is in the triangle that NumPy reads."""
    if operand(a).requires_grad:
        return np.linalg.eigh(a, UPLO).eigenvalues
    return constant(np.linalg.eigvalsh(bare(a), UPLO))


# -- eigenvalues of general matrices ------------------------------------------------------------


def _eig_vjp(g, out):
    """As `_eigh_vjp`, with x = v^-1 da v, and with vectors of length 1 whose largest entry is real.

    The length: C. Boeddeker et al., "On the computation of complex-valued gradients" (2017).
    """
    gw, gv = g
    w, v = out
    _refuse_mixture(w, gw, (gv,))
    if certainly_zero(gv):
        return np.linalg.solve(v.mT, gw[..., :, None] * v.mT)
    real_entries = np.abs(bare(v)) * (np.imag(bare(v)) == 0)
    largest = np.arange(v.shape[-2])[:, None] == np.argmax(real_entries, axis=-2)[..., None, :]
    gv = _with_fixed_phase(gv, v, largest)
    # A vector cannot grow: what the loss would gain by that is taken out.
    gv = gv - conjugate(v) * np.real(np.sum(gv * v, axis=-2, keepdims=True))
    inner = np.matmul(v.mT, gv) * _coupling(w) + diagonal_matrix(gw)
    return np.linalg.solve(v.mT, np.matmul(inner, v.mT))


def _general(r):
    """Matrices with real eigenvalues and with complex ones."""
    mixed = np.array([[1.0, -2.0, 0.3], [1.5, 0.5, 0.2], [0.4, -0.7, 3.0]])
    return [np.diag([1.0, 2.0, 4.0]) + r.real(3, 3) / 8, mixed, np.stack([mixed, mixed + r.real(3, 3) / 5])]


op(np.linalg.eig, results=True, a=_eig_vjp, sample=lambda r: [*[r(a) for a in _general(r)], r(r.real(1, 1))])


@composite(np.linalg.eigvals, sample=lambda r: [*[r(a) for a in _general(r)], r(r.real(1, 1))])
def eigvals(a):
    """The eigenvalues of square matrices, in general complex."""
    if operand(a).requires_grad:
        return np.linalg.eig(a).eigenvalues
    return constant(np.linalg.eigvals(bare(a)))
