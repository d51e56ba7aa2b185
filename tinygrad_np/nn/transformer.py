"""The layers that transformers are stacked from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..randomness import Randomness
from . import functional as F
from .attention import MultiheadAttention
from .containers import Sequential
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

_ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": F.relu, "gelu": F.gelu}


def _activation(given: str | Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(given, str):
        if given not in _ACTIVATIONS:
            raise ValueError(
                f"activation={given!r} is not known by name.  Write {' or '.join(map(repr, _ACTIVATIONS))}, or give "
                "the function itself, such as tg.nn.functional.silu."
            )
        return _ACTIVATIONS[given]
    return given


class TransformerEncoderLayer(Module):
    """Self-attention and a network of two layers, each with a skip connection and a LayerNorm.

    The norm comes after the sum as in the paper, or with `norm_first` before the block, which is easier to train.
    Masks are those of `MultiheadAttention`; unlike in PyTorch, samples are on the first axis unless
    `batch_first=False`.  (Vaswani et al., "Attention is all you need", 2017, section 3.1; Xiong et al., "On layer
    normalization in the transformer architecture", 2020.)

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, rng=0)
    >>> layer(np.ones((5, 3, 8), np.float32)).shape
    (5, 3, 8)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[..., Any] = "relu", layer_norm_eps: float = 1e-5, batch_first: bool = True,
        norm_first: bool = False, bias: bool = True, *, rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(rng)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rng=rng, dtype=dtype
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=rng, dtype=dtype)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout, rng=rng), Dropout(dropout, rng=rng)
        self.norm_first, self.activation = norm_first, _activation(activation)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """src (N, L, d_model) to the same shape."""
        masks = src_key_padding_mask, src_mask, is_causal
        if self.norm_first:
            src = src + self._attend(self.norm1(src), *masks)
            return src + self._feed(self.norm2(src))
        src = self.norm1(src + self._attend(src, *masks))
        return self.norm2(src + self._feed(src))

    def attention_weights(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        """Where each place of src looks: the weights (N, nhead, L, L), as they are without dropout."""
        x = self.norm1(src) if self.norm_first else src
        return self.self_attn.attention_weights(
            x, key_padding_mask=src_key_padding_mask, attn_mask=src_mask, is_causal=is_causal
        )

    def _attend(self, x: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        out, _ = self.self_attn(x, key_padding_mask=padding, attn_mask=mask, is_causal=is_causal, need_weights=False)
        return self.dropout1(out)

    def _feed(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerBlock(Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): the block that language models are stacked from.

    `hidden` is the width between the two layers of the mlp, 4 times `features` unless given; with `causal`, each
    place sees only itself and those before it.  (Radford et al., "Language models are unsupervised multitask
    learners", 2019.)

    >>> import numpy as np, tinygrad_np as tg
    >>> block = tg.nn.TransformerBlock(8, 2, causal=True, rng=0)
    >>> x = np.ones((5, 3, 8), np.float32)
    >>> x[:, 2] = 2
    >>> bool(np.all(block(x).data[:, 0] == block(x[:, :1]).data[:, 0]))
    True
    """

    def __init__(
        self, features: int, heads: int, hidden: int | None = None, dropout: float = 0.0, causal: bool = False,
        activation: Callable[..., Any] = F.gelu, *, rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(rng)
        hidden = 4 * features if hidden is None else hidden
        self.causal = causal
        self.norm1 = LayerNorm(features, dtype=dtype)
        self.attention = MultiheadAttention(features, heads, dropout, rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng=rng)
        self.norm2 = LayerNorm(features, dtype=dtype)
        self.mlp = Sequential(
            Linear(features, hidden, rng=rng, dtype=dtype), activation, Linear(hidden, features, rng=rng, dtype=dtype),
            Dropout(dropout, rng=rng),
        )  # fmt: skip

    def forward(self, x: Any, key_padding_mask: Any = None) -> Any:
        """x (N, L, features) to the same shape; `key_padding_mask` (N, L) is True where no word stands."""
        attended, _ = self.attention(
            self.norm1(x), key_padding_mask=key_padding_mask, is_causal=self.causal, need_weights=False
        )
        x = x + self.dropout(attended)
        return x + self.mlp(self.norm2(x))

    def attention_weights(self, x: Any, key_padding_mask: Any = None) -> Any:
        """Where each place of x looks: the weights (N, heads, L, L), as they are without dropout.

        A hook has the inputs of each block of a model: `found.append(block.attention_weights(*inputs))`.
        """
        return self.attention.attention_weights(self.norm1(x), None, key_padding_mask, is_causal=self.causal)

    def extra_repr(self) -> str:
        """Whether each place sees only those before it."""
        return "causal=True" if self.causal else ""
