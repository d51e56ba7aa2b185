"""Attention: weighted means of values, with weights from products of queries and keys."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..engine.door import bare
from ..engine.op import composite, op
from ..errors import DtypeError, ShapeError
from ..randomness import Randomness
from .dropout import dropout
from .nn import floating, softmax, softmax_slope


@lru_cache(maxsize=16)
def _not_later(queries: int, keys: int) -> np.ndarray:
    """True where a key stands at or before the place of the query."""
    allowed = np.tri(queries, keys, dtype=bool)
    allowed.flags.writeable = False
    return allowed


def _check(query: Any, key: Any, value: Any) -> None:
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(
            f"attention takes (..., length, features), and query, key and value have shapes {query.shape}, "
            f"{key.shape} and {value.shape}.  Write x[None] for a sequence of one."
        )
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"attention compares queries of {query.shape[-1]} features with keys of {key.shape[-1]}, and weighs "
            f"{value.shape[-2]} values by {key.shape[-2]} keys: query {query.shape}, key {key.shape}, value "
            f"{value.shape}.  Queries and keys need equally many features, keys and values the same length."
        )


@composite(
    sample=lambda r: [
        r(r.real(2, 3, 4), r.real(2, 5, 4), r.real(2, 5, 2)),
        r(r.real(3, 4), r.real(5, 4), r.real(5, 2), is_causal=True),
        r(r.real(3, 4), r.real(3, 4), r.real(3, 2), np.eye(3, dtype=bool)),
        r(r.real(3, 4), r.real(3, 4), r.real(3, 2), r.real(3, 3), scale=0.3),
    ]
)
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, *, rng: Randomness = None,
) -> Any:  # fmt: skip
    """softmax(query @ key.mT * scale) @ value: for each query the mean of the values, weighted by how its key fits.

    query is (..., L, E), key (..., S, E), value (..., S, V), the result (..., L, V); `scale` is 1 / √E unless given.
    `attn_mask`, broadcast to (..., L, S), is True where a key takes part, or numbers that are added to the scores.
    `is_causal` leaves only keys at the query's place and before.  A query for which no key is left gets zeros.
    Dropout of the weights is always on here if `dropout_p` is not 0.
    (Vaswani et al., "Attention is all you need", 2017.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import scaled_dot_product_attention
    >>> x = np.array([[1.0], [3.0], [5.0]])
    >>> scaled_dot_product_attention(np.zeros((3, 1)), x, x, is_causal=True)
    array([[1.],
           [2.],
           [3.]])
    """
    _check(query, key, value)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return dropout(weights, dropout_p, rng=rng) @ value


def attention_weights(query: Any, key: Any, attn_mask: Any = None, is_causal: bool = False, scale: Any = None) -> Any:
    """The weights (..., L, S) that `scaled_dot_product_attention` gives to the values."""
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    allowed = _not_later(query.shape[-2], key.shape[-2]) if is_causal else None
    if attn_mask is None:
        return _weights(query, key, scale, None, allowed)
    mask = bare(attn_mask)
    if mask.dtype.kind == "b":
        return _weights(query, key, scale, None, mask if allowed is None else allowed & mask)
    if mask.dtype.kind != "f":
        raise DtypeError(
            f"a mask is True where a key takes part, or numbers to add, and this one of shape {mask.shape} has "
            f"dtype {mask.dtype}.  Write mask.astype(bool)."
        )
    if not getattr(attn_mask, "requires_grad", False):
        return _weights(query, key, scale, mask, allowed)
    scores = (query * scale) @ key.mT + attn_mask
    return softmax(scores if allowed is None else np.where(allowed, scores, -np.inf))


# -- the weights as one op ----------------------------------------------------------------------


def _slope(g, out):
    """The gradient of the scores."""
    if type(g) is not np.ndarray or type(out) is not np.ndarray or g.dtype == np.float16:
        return softmax_slope(g, out, -1)
    slope = g - np.vecdot(g, out)[..., None]
    slope *= out
    return slope


def _weights_pull(g, query, key, out, scale):
    slope = _slope(g, out)
    return (slope @ key) * scale, (slope.mT @ query) * scale


@op(
    query=lambda g, key, out, scale: (_slope(g, out) @ key) * scale,
    key=lambda g, query, out, scale: (_slope(g, out).mT @ query) * scale,
    together=_weights_pull,
    fresh=True,
    jvps={
        "query": lambda t, key, out, scale: softmax_slope((t @ key.mT) * scale, out, -1),
        "key": lambda t, query, out, scale: softmax_slope((query @ t.mT) * scale, out, -1),
    },
    name="attention_weights",
    sample=lambda r: [
        r(r.real(2, 3, 4), r.real(2, 5, 4), 0.5),
        r(r.real(3, 4), r.real(2, 5, 4), 0.5, None, np.arange(20).reshape(4, 1, 1, 5) % 3 > 0),
        r(r.real(3, 4), r.real(5, 4), 0.5, None, np.tri(3, 5, dtype=bool)),
    ],
)
def _weights(query, key, scale, added=None, allowed=None):
    """softmax(query @ key.mT * scale + added) over the keys that are allowed; 0 for all where none is."""
    query, key = floating(query), floating(key)
    dtype = np.result_type(query, key)
    if dtype == np.float16:
        query, key = query.astype(np.float32), key.astype(np.float32)
    scores = np.matmul(query * scale, key.mT)
    # From here in place: with long sequences, these are the largest arrays.
    if added is not None:
        scores = _with_axes_of(scores, added)
        scores += added
    if allowed is not None:
        scores = _with_axes_of(scores, allowed)
        np.copyto(scores, -np.inf, where=~allowed)
    top = np.maximum.reduce(scores, -1, keepdims=True, initial=-np.inf)
    scores -= np.where(np.isfinite(top), top, 0)
    np.exp(scores, scores)
    scores /= np.maximum(np.add.reduce(scores, -1, keepdims=True), 1)
    return scores.astype(dtype, copy=False)


def _with_axes_of(scores, mask):
    """The scores, repeated where a mask has more than one value for them."""
    shape = np.broadcast_shapes(scores.shape, mask.shape)
    return scores if shape == scores.shape else np.array(np.broadcast_to(scores, shape))
