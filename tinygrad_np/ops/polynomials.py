"""Polynomials by their coefficients, the highest power first, and the convolutions they multiply by."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..engine.arrays import conjugate
from ..engine.door import bare, find_tensors
from ..engine.op import composite, multilinear, op
from ..errors import NoRuleError, ShapeError
from .linalg import adjoint
from .reduce import operand

# -- convolution --------------------------------------------------------------------------------


def _whole(g, n, m, mode):
    """A part of a convolution of n and m entries, with zeros where the whole has more."""
    if mode == "full":
        return g
    shorter = min(n, m)
    start = shorter - 1 if mode == "valid" else shorter - 1 - shorter // 2
    end = n + m - 1 - start - g.shape[0]
    return np.concatenate([np.zeros(start, g.dtype), g, np.zeros(end, g.dtype)])


def _unconvolve(g, other, shape, mode):
    """The gradient of one factor: `valid` leaves its length of the whole, slid along the other one."""
    other = other.reshape(-1)
    length = shape[0] if shape else 1
    whole = _whole(g, length, other.shape[0], mode)
    slope = np.convolve(whole, other[::-1], "valid")
    return slope if shape else slope.reshape(shape)


def _pairs(r):
    x, y, even = r.real(5), r.real(3), r.real(4)
    return [
        *[r(a, b, mode) for mode in ("full", "same", "valid") for a, b in [(x, y), (y, x), (x, even), (even, x)]],
        r(x, r.real(5)),
        r(x, r.real(5), mode="same"),
        r(x, r.real(1)),
    ]


multilinear(
    np.convolve,
    a=lambda g, v, shape, mode: _unconvolve(g, v, shape, mode),
    v=lambda g, a, shape, mode: _unconvolve(g, a, shape, mode),
    sample=lambda r: [*_pairs(r), r(r.real(), r.real(3)), r(r.real(), r.real())],
)


@composite(np.correlate, sample=lambda r: [*_pairs(r), r(r.real(5), r.real(2))])
def correlate(a, v, mode="valid"):
    """The products of `a` with `v`, conjugated, at every shift: a convolution with `v` reversed."""
    a, v = operand(a), operand(v)
    if a.ndim != 1 or v.ndim != 1:
        raise ShapeError(
            f"np.correlate slides one row along another, and got shapes {a.shape} and {v.shape}.  Pass a.ravel(), or "
            "correlate row by row."
        )
    if a.shape[0] >= v.shape[0]:
        return np.convolve(a, conjugate(v)[::-1], mode)
    # The shorter one slides, so that "same" leaves out the same entries as NumPy.
    return conjugate(np.convolve(v, conjugate(a)[::-1], mode))[::-1]


# -- values and powers --------------------------------------------------------------------------


def _vander_x(g, x, increasing):
    columns = g.shape[1]
    powers = np.arange(1, columns) if increasing else np.arange(columns - 1, 0, -1)
    g = g[:, 1:] if increasing else g[:, :-1]
    return np.sum(g * powers * np.vander(x, max(columns - 1, 0), increasing), axis=1)


op(
    np.vander,
    x=_vander_x,
    fresh=True,
    sample=lambda r: [r(r.real(4)), r(r.real(3), 5, increasing=True), r(r.real(3), 1), r(r.real(3), N=2)],
)


def _horner(p, x):
    value = np.zeros(x.shape, x.dtype)
    for coefficient in p:
        value = value * x + coefficient
    return value


def _polyval_p(g, x, shape):
    """The sums of g times each power of x; all powers at once would take much memory."""
    sums = [np.sum(g)] if shape[0] else []
    while len(sums) < shape[0]:
        g = g * x
        sums.append(np.sum(g))
    return np.stack(sums[::-1]) if sums else np.zeros(0, g.dtype)


_polyval = op(
    lambda p, x: np.polyval(p, x),
    name="polyval",
    fresh=True,
    p=_polyval_p,
    x=lambda g, p, x: g * np.polyval(np.polyder(p), x),
)


@composite(
    np.polyval,
    sample=lambda r: [
        r(r.real(4), r.real(5)),
        r(r.real(3), r.real(2, 3)),
        r(r.real(1), r.real(2)),
        r(r.real(3), r.real()),
        r([2, 0, 1], r.real(3)),
        r(r.real(3), 2),
        r(r.real(0), r.real(2)),
        r(r.real(3, 2), r.real(2)),
    ],
)
def polyval(p, x):
    """The value of a polynomial at each x."""
    if isinstance(x, np.poly1d):
        raise NoRuleError(
            f"np.polyval at a polynomial of order {x.order} would need coefficients that are tensors, and a poly1d "
            "holds plain numbers.  Write it with np.polymul and np.polyadd."
        )
    p, x = operand(p), operand(x)
    if p.ndim == 1:
        return _polyval(p, x)
    return _horner(p, x)


# -- arithmetic with coefficients ---------------------------------------------------------------


def _coefficients(a):
    return np.atleast_1d(operand(a))


def _sizes(r):
    return [r(r.real(3), r.real(3)), r(r.real(2), r.real(4)), r(r.real(4), r.real(1)), r(r.real(3), [1, 2, 3, 4]),
            r(r.real(), r.real(2))]  # fmt: skip


def _aligned(a1, a2):
    """The coefficients of two polynomials, with zeros in front of the shorter."""
    a1, a2 = _coefficients(a1), _coefficients(a2)
    missing = a2.shape[0] - a1.shape[0]
    if missing > 0:
        a1 = np.concatenate([np.zeros(missing, a1.dtype), a1])
    elif missing < 0:
        a2 = np.concatenate([np.zeros(-missing, a2.dtype), a2])
    return a1, a2


@composite(np.polyadd, sample=_sizes)
def polyadd(a1, a2):
    """The sum of two polynomials."""
    a1, a2 = _aligned(a1, a2)
    return a1 + a2


@composite(np.polysub, sample=_sizes)
def polysub(a1, a2):
    """The difference of two polynomials."""
    a1, a2 = _aligned(a1, a2)
    return a1 - a2


def _trimmed(a):
    """Without the zeros in front, as NumPy multiplies polynomials."""
    a = _coefficients(a)
    places = np.flatnonzero(bare(a))
    return a[places[0] :] if places.size else a[-1:]


@composite(np.polymul, sample=_sizes)
def polymul(a1, a2):
    """The product of two polynomials."""
    return np.convolve(_trimmed(a1), _trimmed(a2))


@composite(np.polydiv, sample=lambda r: [r(r.real(5), r.positive(3)), r(r.real(4), r.positive(4)),
                                         r(r.real(3), r.positive(1)), r(r.real(2), r.positive(3))])  # fmt: skip
def polydiv(u, v):
    """The quotient and the remainder of two polynomials, by long division."""
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    count = u.shape[0] - v.shape[0] + 1
    quotient, rest = [], u
    for _ in range(count):
        quotient.append(rest[0] / v[0])
        rest = np.concatenate([rest[1 : v.shape[0]] - quotient[-1] * v[1:], rest[v.shape[0] :]])
    if not quotient:
        quotient = [0 * (u[0] + v[0])]
    elif not rest.shape[0]:
        rest = 0 * u[:1]
    # NumPy drops leading entries that are zero but for rounding.
    values = bare(rest)
    start = 0
    while start < values.size - 1 and np.allclose(values[start], 0, rtol=1e-14):
        start += 1
    return np.stack(quotient), rest[start:]


@composite(np.polyder, sample=lambda r: [r(r.real(4)), r(r.real(4), 2), r(r.real(3), m=0), r(r.real(3), 3)])
def polyder(p, m=1):
    """The m-th derivative of a polynomial."""
    if int(m) < 0:
        raise ValueError(f"the order of a derivative is not negative, and m={m}.  np.polyint integrates.")
    p = operand(p)
    for _ in range(int(m)):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@composite(
    np.polyint,
    sample=lambda r: [
        r(r.real(3)),
        r(r.real(3), 2),
        r(r.real(3), k=r.real()),
        r(r.real(3), 2, r.real(2)),
        r(r.real(3), m=3, k=r.real(1)),
        r(r.real(3), 0),
    ],
)
def polyint(p, m=1, k=None):
    """The m-th integral of a polynomial; `k` are the constants, the first for the first integration."""
    if int(m) < 0:
        raise ValueError(f"the order of an integral is not negative, and m={m}.  np.polyder differentiates.")
    p, m = operand(p), int(m)
    k = np.zeros(m) if k is None else np.atleast_1d(operand(k))
    if k.shape[0] == 1:
        k = np.broadcast_to(k, (max(m, 1),))
    if k.shape[0] < m:
        raise ShapeError(f"k must hold one constant, or one for each of the {m} integrations, and has shape {k.shape}.")
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), k[i : i + 1]])
    return p


@composite(np.poly, sample=lambda r: [r(r.real(3)), r(r.real(1))])
def poly(seq_of_zeros):
    """The coefficients of the polynomial with these zeros, or the characteristic polynomial of a matrix."""
    zeros = np.atleast_1d(operand(seq_of_zeros))
    if zeros.ndim == 2:
        zeros = np.linalg.eigvals(zeros)
    zeros = np.astype(zeros, np.mintypecode([zeros.dtype.char]))
    coefficients = np.ones(1, zeros.dtype)
    for i in range(zeros.shape[0]):
        coefficients = np.convolve(coefficients, np.stack([np.ones((), zeros.dtype), -zeros[i]]))
    # Conjugate pairs multiply to a polynomial with real coefficients.
    values = bare(zeros)
    paired = values.dtype.kind == "c" and np.array_equal(np.sort(values), np.sort(values.conj()))
    return np.real(coefficients) if paired else coefficients


# -- fitting ------------------------------------------------------------------------------------


def _fit_b(g, a):
    """g times the pseudo-inverse, of full rank: conj is that of the adjoint system."""
    normal = np.matmul(a.mT, conjugate(a))
    return np.matmul(conjugate(a), np.linalg.solve(normal, g))


def _fit_a(g, a, b, out):
    back = _fit_b(g, a)
    rest = b - np.matmul(a, out)
    normal = np.matmul(a.mT, conjugate(a))
    inner = np.linalg.solve(normal, g)
    # A moves twice in the normal equations: as it is, and conjugated in front of what is left over.
    return np.matmul(conjugate(rest), adjoint(inner)) - np.matmul(back, out.mT)


_least_squares = op(
    lambda a, b, rcond: np.linalg.lstsq(a, b, rcond)[0],
    name="least_squares",
    a=_fit_a,
    b=_fit_b,
)


def _fits(r):
    x, y = r.real(7), r.real(7)
    return [
        r(x, y, 2),
        r(x, r.real(7, 2), 1),
        r(x, y, 1, w=r.positive(7)),
        r(x, y, 0),
        r(x, y, 2, cov=True),
        r(x, r.real(7, 2), 1, w=r.positive(7), cov="unscaled"),
    ]


@composite(np.polyfit, sample=_fits)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial that fits best, in the sense of least squares; with the covariance of its coefficients."""
    x, y = operand(x) + 0.0, operand(y) + 0.0
    # On plain numbers NumPy checks what it is given, and warns where points are too few or too alike.
    plain = np.polyfit(bare(x), bare(y), deg, rcond, full, bare(w), cov)
    if full and not any(t.requires_grad for t in find_tensors([x, y, w])):
        return plain
    if full:
        raise NoRuleError(
            f"np.polyfit(full=True) of {x.shape[0]} points returns the rank and the singular values of its system, and "
            "has no derivative rule here.  Leave full= away; the residuals are np.polyval(p, x) - y."
        )
    a, b = np.vander(x, int(deg) + 1), y if y.ndim == 2 else y[:, None]
    if w is not None:
        w = operand(w)[:, None]
        a, b = a * w, b * w
    # The fit does not depend on this scale, only the rounding does.
    scale = np.sqrt(np.sum(np.square(np.abs(bare(a))), axis=0))
    a = a / scale
    p = _least_squares(a, b, len(bare(x)) * np.finfo(x.dtype).eps if rcond is None else rcond)
    fitted = p / scale[:, None]
    fitted = fitted if y.ndim == 2 else fitted[:, 0]
    return (fitted, _covariance(a, b, p, scale, cov, y.ndim)) if cov else fitted


def _covariance(a, b, p, scale, cov, ndim):
    inverse = np.linalg.inv(np.matmul(a.mT, a)) / np.outer(scale, scale)
    factor = 1
    if cov != "unscaled":
        rest = b - np.matmul(a, p)
        factor = np.sum(np.real(rest * conjugate(rest)), axis=0) / (a.shape[0] - a.shape[1])
    return inverse * factor if ndim == 1 else inverse[:, :, None] * factor


# -- trimming -----------------------------------------------------------------------------------


@composite(
    np.trim_zeros,
    sample=lambda r: [
        r(np.array([1.0, 0, 2])),
        r(r.real(3), "b"),
        r(r.real(2, 3), axis=-1),
        r(r.integers(1, 4), axis=0),
    ],
)
def trim_zeros(filt, trim="fb", axis=None):
    """Without the zeros at the ends; their own gradient is zero."""
    filt = operand(filt)
    if trim.lower() not in ("f", "b", "fb", "bf"):
        raise ValueError(f"trim says which ends lose their zeros: 'f', 'b' or 'fb', not {trim!r}.")
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim)
    return filt[tuple([_span(bare(filt), i, trim.lower()) if i in axes else slice(None) for i in range(filt.ndim)])]


def _span(values, axis, trim):
    """The slice of one axis that holds all entries that are not zero."""
    used = np.flatnonzero(np.any(values, axis=tuple([i for i in range(values.ndim) if i != axis])))
    if not used.size:
        return slice(0, 0)
    return slice(used[0] if "f" in trim else None, used[-1] + 1 if "b" in trim else None)
