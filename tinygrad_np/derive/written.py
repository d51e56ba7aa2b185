"""Ops that NumPy has no function for, written with those it has.

Given arrays these compute what the op does; given symbols they say how.  What takes more than a line stands as a
function of its own above the derivation: see `helpers`; `layers` has the ops of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .expressions import Call, Expr
from .functions import BUILDERS, builds, call
from .helpers import avg_unpool, inverse_or_zero, logsumexp, one_hot, overlap_add, put, put_along_axis, sigmoid, softmax
from .layers import LAYERS, SLOPES
from .symbol import SIMPLER, VARIADIC, WORDLESS, WRITTEN, Unreadable, applied, is_last, item


def _call(function: Any) -> Callable[..., Any]:
    return lambda *args, **options: applied(function, args, options)


def _log_softmax(z: Any, axis: Any = -1) -> Any:
    return z - applied(logsumexp, (z,), {"axis": axis, "keepdims": True})


def _samples(shape: tuple[int, ...], axis: int) -> int:
    # The mean of no losses is 0, and not 0 / 0.
    return math.prod(shape) // shape[axis] if math.prod(shape) else 1


def _mean(losses: Any) -> Any:
    return losses.mean() if losses.size else losses.sum()


def _cross_entropy(logits: Any, labels: Any, axis: int = -1) -> Any:
    if np.shape(labels) != logits.shape:
        labels = applied(one_hot, (labels, logits.shape[axis], axis), {})
    return -(labels * _log_softmax(logits, axis)).sum() / _samples(logits.shape, axis)


def _softmax_minus_one_hot(x: Any, labels: Any, axis: int) -> Any:
    return applied(softmax, (x, axis), {}) - applied(one_hot, (labels, x.shape[axis], axis), {})


def _spread(a: Any, to: Any, axis: Any = None, keepdims: bool = False) -> Any:
    if axis is not None and not keepdims:
        a = np.expand_dims(a, axis)
    return np.broadcast_to(a, to)


def _norm(x: Any, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Any:
    if ord not in (2, None):
        return np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))


def _clip(a: Any, a_min: Any, a_max: Any) -> Any:
    return np.clip(a, a_min, a_max)


@builds(item)
def _item(like: Any, x: Any, index: Any) -> Any:
    """Of an array of one number every part is that number."""
    if x.number is not None or not x.natural_shape():
        return Expr(x.terms, like.shape, x.dtype)
    product = x.atom
    if is_last(index, 0) and isinstance(product, Call) and product.function is np.matmul:
        column = product.args[1].atom
        if isinstance(column, Call) and column.function is item and is_last(column.args[1], None):
            vector = column.args[0]
            # A vector as a column, and back.
            return call(np.matmul, like, product.args[0], vector) if len(vector.shape) == 1 else None
    return None


@builds(put)
def _put(like: Any, values: Any, index: Any, shape: Any) -> Any:
    """Where an index only put in axes, they are taken out again."""
    parts = index if isinstance(index, tuple) else (index,)
    only_axes = all(p is None or p is Ellipsis or (isinstance(p, slice) and p == slice(None)) for p in parts)
    return BUILDERS[np.reshape](like, values, shape) if only_axes else None


WORDLESS.update({put, put_along_axis, one_hot, avg_unpool})

VARIADIC.update(
    {
        "einsum": lambda *arrays, subscripts, **_: applied(np.einsum, (subscripts, *arrays), {}),
        "concatenate": lambda *arrays, axis=0: applied(np.concatenate, (list(arrays),), {"axis": axis}),
        "stack": lambda *arrays, axis=0: applied(np.stack, (list(arrays),), {"axis": axis}),
    }
)


def _pad(array: Any, widths: Any = None, **_: Any) -> Any:
    if widths is None:
        raise Unreadable("this mode of np.pad has no short formula")
    return np.pad(array, widths)


WRITTEN.update(
    {
        **LAYERS,
        "relu": lambda x: np.maximum(x, 0),
        "sigmoid": _call(sigmoid),
        "softplus": lambda x: np.logaddexp(x, 0),
        "special.softplus": lambda x: np.logaddexp(x, 0),
        "softmax": lambda x, axis=-1: applied(softmax, (x, axis), {}),
        "log_softmax": _log_softmax,
        "logsumexp": _call(logsumexp),
        "linear": lambda x, w, b=None: x @ w if b is None else x @ w + b,
        "mse": lambda p, y: _mean((p - y) ** 2),
        "binary_cross_entropy": lambda p, y: -_mean(y * np.log(p) + (1 - y) * np.log(1 - p)),
        "binary_cross_entropy_with_logits": lambda z, y: _mean(np.logaddexp(z, 0) - z * y),
        "cross_entropy": _cross_entropy,
        "softmax_minus_one_hot": _softmax_minus_one_hot,
        # Where the numbers at hand have no 0 in them, the formula is the plain one.
        "inverse_or_zero": lambda x: 1 / x if x.all() else applied(inverse_or_zero, (x,), {}),
        "where": lambda condition, x, y: np.where(condition, x, y),
        "clip": _clip,
        "spread": _spread,
        "norm": _norm,
        "pad": _pad,
        "cross": lambda a, b: np.cross(a, b),
        "getitem": lambda x, index: applied(item, (x, index), {}),
        "take_once": lambda a, index: applied(item, (a, index), {}),
        "scatter": lambda values, index, into: applied(put, (values, index, into), {}),
        "put_once": lambda values, index, into: applied(put, (values, index, into), {}),
        "diag": lambda v, k=0: np.diag(v, k),
        "cholesky": lambda a: np.linalg.cholesky(a),
        "inv": lambda a: np.linalg.inv(a),
        "astype": lambda x, dtype, **_: np.astype(x, np.dtype(dtype)),
        "windows": lambda x, width, axis: np.lib.stride_tricks.sliding_window_view(x, width, axis),
        "overlap_add": lambda windows, length, axis: applied(overlap_add, (windows, length, axis), {}),
        "permuted": lambda a, order, axis: np.take_along_axis(a, order, axis),
        "put_in_place": lambda a, order, axis: applied(put_along_axis, (a, order, axis, a.shape), {}),
    }
)


def _inside(p: Any) -> bool:
    return bool((p.example > 0).all() and (p.example < 1).all())


def _one_of_each_lane(arr: Any, indices: Any, axis: int | None = -1) -> bool:
    return axis is not None and indices.shape == np.expand_dims(np.take(arr.example, 0, axis), axis).shape


def _put_in_lanes(g: Any, arr: Any, indices: Any, axis: int = -1) -> Any:
    return applied(put_along_axis, (g, indices, axis, arr.shape), {})


SIMPLER.update(
    {
        **SLOPES,
        ("binary_cross_entropy", "p"): (
            lambda p, y: _inside(p),
            lambda g, p, y: ((1 - y) / (1 - p) - y / p) * (g / p.size),
        ),
        ("take_along_axis", "arr"): (
            _one_of_each_lane,
            _put_in_lanes,
        ),
    }
)
