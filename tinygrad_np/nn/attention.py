"""Layers of attention, and the blocks that transformers are stacked from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from ..errors import DtypeError, RangeError, ShapeError
from ..ops.attention import attention_weights
from ..ops.dropout import check_probability
from ..randomness import Randomness
from . import functional as F
from .linear import Linear
from .module import Module
from .parameters import check_sizes, draw_uniform, parameter


class MultiheadAttention(Module):
    """Attention in `num_heads` parts of the features: returns the result and the weights, as PyTorch's does.

    query is (N, L, embed_dim), key (N, S, kdim) and value (N, S, vdim); without `key`, the queries are compared with
    each other, and without `value`, values are what keys are made from.  The result is (N, L, embed_dim).  N may be
    absent, or several axes.  Unlike PyTorch's, samples are on the first axis: `batch_first=False` puts it second.

    Masks are as in PyTorch: `attn_mask` (L, S), (N * num_heads, L, S) or what broadcasts to (N, num_heads, L, S), and
    `key_padding_mask` (N, S), are True where a key takes *no* part, or numbers that are added to the scores.
    A query for which no key is left gets only the bias, where PyTorch gives nan.

    (Vaswani et al., "Attention is all you need", 2017, section 3.2.2.)

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.MultiheadAttention(8, 2, rng=0)
    >>> out, weights = layer(np.ones((5, 3, 8), np.float32), is_causal=True)
    >>> out.shape, weights.data[0].round(2)
    ((5, 3, 8), array([[1.  , 0.  , 0.  ],
           [0.5 , 0.5 , 0.  ],
           [0.33, 0.33, 0.33]], dtype=float32))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = True, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        check_sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        check_probability("MultiheadAttention", dropout)
        if embed_dim % num_heads:
            raise RangeError(
                f"MultiheadAttention gives each head equally many features, and embed_dim={embed_dim} does not go "
                f"into {num_heads} heads.  Take a multiple of {num_heads}."
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim, self.batch_first = kdim, vdim, batch_first
        if kdim == vdim == embed_dim:
            self.in_proj_weight = parameter((3 * embed_dim, embed_dim), dtype)
        else:
            self.q_proj_weight = parameter((embed_dim, embed_dim), dtype)
            self.k_proj_weight = parameter((embed_dim, kdim), dtype)
            self.v_proj_weight = parameter((embed_dim, vdim), dtype)
        self.in_proj_bias = parameter((3 * embed_dim,), dtype) if bias else None
        self.rng = rng = np.random.default_rng(rng)
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=rng, dtype=dtype)
        self.reset_parameters(rng)

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the weights anew, uniform by Glorot & Bengio's bound; biases are 0, also that of `out_proj`."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if name in vars(self):
                weight = getattr(self, name)
                draw_uniform(rng, (6 / sum(weight.shape)) ** 0.5, weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                bias.data[...] = 0

    def forward(
        self, query: Any, key: Any = None, value: Any = None, key_padding_mask: Any = None, need_weights: bool = True,
        attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The result, and the weights (N, L, S), or (N, num_heads, L, S) without averaging, or None if not needed."""
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = self._parts(query, key, value)
        mask = self._mask(attn_mask, key_padding_mask, q)
        weights = F.dropout(attention_weights(q, k, mask, is_causal), self.dropout, self.training, rng=self.rng)
        out = np.swapaxes(weights @ v, -2, -3)
        out = self.out_proj(out.reshape((*out.shape[:-2], self.embed_dim)))
        if self._swaps(query):
            out = np.swapaxes(out, 0, 1)
        if not need_weights:
            return out, None
        return out, np.mean(weights, axis=-3) if average_attn_weights else weights

    def attention_weights(
        self, query: Any, key: Any = None, key_padding_mask: Any = None, attn_mask: Any = None, is_causal: bool = False
    ) -> Any:
        """Where each query looks: the weights (N, num_heads, L, S), as they are without dropout.

        >>> import numpy as np, tinygrad_np as tg
        >>> layer = tg.nn.MultiheadAttention(8, 2, rng=0)
        >>> layer.attention_weights(np.ones((5, 3, 8), np.float32)).shape
        (5, 2, 3, 3)
        """
        q, k = self._parts(query, query if key is None else key)
        return attention_weights(q, k, self._mask(attn_mask, key_padding_mask, q), is_causal)

    def _swaps(self, query: Any) -> bool:
        return not self.batch_first and query.ndim > 2

    def _parts(self, *inputs: Any) -> list[Any]:
        """Queries and keys, and values if they are given, (N, heads, length, features of a head)."""
        self._check(inputs)
        if self._swaps(inputs[0]):
            inputs = tuple(np.swapaxes(x, 0, 1) for x in inputs)
        return [self._heads(x) for x in self._projected(inputs)]

    def _check(self, inputs: tuple[Any, ...]) -> None:
        widths = (self.embed_dim, self.kdim, self.vdim)
        if any(x.ndim < 2 or x.shape[-1] != n for x, n in zip(inputs, widths, strict=False)):
            shapes = ", ".join(str(x.shape) for x in inputs)
            raise ShapeError(
                f"this MultiheadAttention takes (..., length, features) with {self.embed_dim} features of queries, "
                f"{self.kdim} of keys and {self.vdim} of values, and got shapes {shapes}.  Put the features last, or "
                "build it with other embed_dim, kdim and vdim."
            )

    def _projected(self, inputs: tuple[Any, ...]) -> list[Any]:
        bias: Any = self.in_proj_bias
        weights: list[Any]
        if "in_proj_weight" not in vars(self):
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        elif len(inputs) == 3 and inputs[0] is inputs[1] is inputs[2]:
            return np.split(F.linear(inputs[0], self.in_proj_weight, bias), 3, axis=-1)
        else:
            weights = np.split(self.in_proj_weight, 3)  # type: ignore[call-overload]
        biases = [None] * 3 if bias is None else np.split(bias, 3)
        return [F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=False)]

    def _heads(self, x: Any) -> Any:
        """(..., length, features) to (..., heads, length, features of a head)."""
        return np.swapaxes(x.reshape((*x.shape[:-1], self.num_heads, self.embed_dim // self.num_heads)), -2, -3)

    def _mask(self, attn_mask: Any, key_padding_mask: Any, q: Any) -> Any:
        """Both masks as one for the scores: True where a key takes part, or numbers to add."""
        masks = []
        if attn_mask is not None:
            mask = _as_mask("attn_mask", attn_mask)
            if mask.ndim == 3:
                mask = mask.reshape((-1, self.num_heads, *mask.shape[1:]))
            masks.append(mask)
        if key_padding_mask is not None:
            masks.append(_as_mask("key_padding_mask", key_padding_mask)[..., None, None, :])
        if not masks:
            return None
        if all(mask.dtype.kind == "b" for mask in masks):
            return ~(masks[0] | masks[-1])
        return sum(_added(mask, q.dtype) for mask in masks)

    def extra_repr(self) -> str:
        """The sizes, and what is not as usual."""
        usual = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim, "batch_first": True}
        other = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.embed_dim}, {self.num_heads}", *other])


def _as_mask(name: str, mask: Any) -> np.ndarray:
    mask = mask.data if isinstance(mask, Tensor) else np.asarray(mask)
    if mask.dtype.kind not in "bf":
        raise DtypeError(
            f"{name} is True where a key takes no part, or numbers to add to the scores, and this one of shape "
            f"{mask.shape} has dtype {mask.dtype}.  Write mask.astype(bool)."
        )
    return mask


def _added(mask: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A mask as numbers to add to the scores."""
    return np.where(mask, -np.inf, 0).astype(dtype) if mask.dtype.kind == "b" else mask.astype(dtype, copy=False)
