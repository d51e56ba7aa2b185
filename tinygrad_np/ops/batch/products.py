"""Products, and functions of matrices."""

from __future__ import annotations

from string import ascii_letters

import numpy as np

from ...engine.batched import Batched
from ...errors import BatchError
from .. import einsum
from ..reduce import operand
from .arguments import aligned, is_batch, length, lengthened, rule, values
from .axes import entries


@rule(np.matmul)
def _matmul(function, level, args, options):
    a, b = args
    if options:
        raise BatchError("a product of batches takes no keywords.")
    a, b = (x if type(x) is Batched else operand(x) for x in (a, b))
    row, column = a.ndim == 1, b.ndim == 1
    # One matrix for the vectors of all examples: these are the rows of another matrix.
    if column and np.ndim(a) == 2 and not is_batch(a, level):
        return np.matmul(b.value, np.matrix_transpose(a))
    if row and np.ndim(b) == 2 and not is_batch(b, level):
        return np.matmul(a.value, b)
    # As matrices: the axis of the examples would turn a vector into one.
    a, b = a[None] if row else a, b[:, None] if column else b
    out = _matrices_product(a, b, level)
    out = out[..., 0, :] if row else out
    return out[..., 0] if column else out


def _matrices_product(a, b, level):
    if a.ndim == b.ndim == 2 and not is_batch(b, level):
        # One product instead of one for each example.
        n, m, k = a.value.shape
        return np.matmul(a.value.reshape(n * m, k), b).reshape(n, m, b.shape[1])
    ndim = max(a.ndim, b.ndim)
    return np.matmul(aligned(a, level, ndim), aligned(b, level, ndim))


@rule(np.dot)
def _dot(function, level, args, options):
    a, b = args
    if not np.ndim(a) or not np.ndim(b):
        return entries(np.multiply, level, args, {})
    if np.ndim(b) <= 2:
        return _matmul(np.matmul, level, args, {})
    return _tensordot(np.tensordot, level, (a, b, (-1, -2)), {})


@rule(np.tensordot)
def _tensordot(function, level, args, options):
    a, b, axes = (*args, options.get("axes", 2))[:3]
    ndims = np.ndim(a), np.ndim(b)
    if isinstance(axes, int | np.integer):
        axes = tuple(range(ndims[0] - axes, ndims[0])), tuple(range(axes))
    axes = [tuple(np.atleast_1d(ax) % ndim) for ax, ndim in zip(axes, ndims, strict=True)]
    one = list(ascii_letters[: ndims[0]])
    other = list(ascii_letters[ndims[0] : sum(ndims)])
    for i, j in zip(*axes, strict=True):
        other[j] = one[i]
    output = [x for x in one + other if (x in one) != (x in other)]
    return _summed([one, other], output, [a, b], level)


@rule(np.outer)
def _outer(function, level, args, options):
    return _summed(["a", "b"], "ab", [np.ravel(x) for x in args], level)


@rule(np.cross)
def _cross(function, level, args, options):
    if options or len(args) > 2:
        raise BatchError("np.cross has no rule for a batch with axes.")
    return entries(function, level, args, {})


@rule(np.einsum)
def _einsum(function, level, args, options):
    subscripts, *arrays = args
    subscripts = subscripts.replace(" ", "") if isinstance(subscripts, str) else ""
    # Its own code takes the diagonals: the rule of the op knows no label twice in one term.
    if (
        "->" not in subscripts
        or "." in subscripts
        or any(len(set(term)) < len(term) for term in subscripts.split("->")[0].split(","))
    ):
        raise BatchError("np.einsum of a batch needs the labels of every axis: its own code writes them out.")
    if unknown := options.keys() - {"optimize"}:
        raise BatchError(f"np.einsum of a batch has no rule for {unknown.pop()}=.")
    left, output = subscripts.split("->")
    return _summed(left.split(","), output, arrays, level, optimize=options.get("optimize", False))


def _summed(terms, output, arrays, level, **options):
    """np.einsum with one more label, for the examples."""
    used = {label for term in terms for label in term}
    new = next(label for label in ascii_letters if label not in used)
    terms = [new + "".join(t) if is_batch(x, level) else "".join(t) for t, x in zip(terms, arrays, strict=True)]
    subscripts = f"{','.join(terms)}->{new}{''.join(output)}"
    # Not np.einsum: whether to plan is decided by the size of the whole batch.
    return einsum._einsum(*values(arrays, level), subscripts=subscripts, **options)


# -- stacks of matrices ---------------------------------------------------------------------------


@rule(
    np.tril, np.triu, np.matrix_transpose, np.linalg.matrix_transpose, np.linalg.inv, np.linalg.det,
    np.linalg.slogdet, np.linalg.cholesky, np.linalg.eigh, np.linalg.eigvalsh, np.linalg.svd,
    np.linalg.svdvals, np.linalg.qr, np.linalg.pinv, np.linalg.matrix_power,
)  # fmt: skip
def _stacked(function, level, args, options):
    """Functions of the last two axes."""
    if args[0].ndim < 2:
        raise BatchError("a vector is another thing than a stack of them.")
    return function(*values(args, level), **options)


@rule(np.linalg.solve)
def _solve(function, level, args, options):
    a, b = args
    n = length(args, level)
    whole_b = lengthened(b, level, n)
    if np.ndim(b) == 1:
        column = whole_b.reshape((n, *[1] * (np.ndim(a) - 2), -1, 1))
        return function(lengthened(a, level, n), column)[..., 0]
    ndim = max(np.ndim(a), np.ndim(b))
    return function(aligned(a, level, ndim), aligned(b, level, ndim))
