"""Tables of vectors, and positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RangeError, ShapeError
from ..randomness import Randomness
from . import functional as F
from .module import Module
from .parameters import check_sizes, parameter


class Embedding(Module):
    """A vector for each number from 0 to `num_embeddings` - 1: the rows of `weight`, drawn normal.

    The row of `padding_idx` starts at 0 and gets no gradient.

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.Embedding(10, 3, rng=0)
    >>> layer, layer(np.array([[1, 2], [2, 9]])).shape
    (Embedding(10, 3), (2, 2, 3))
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise RangeError(
                f"padding_idx={padding_idx} is none of the {num_embeddings} rows of the table.  Give the number that "
                "stands for no word."
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = parameter((num_embeddings, embedding_dim), dtype)
        self.reset_parameters(np.random.default_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the rows anew."""
        self.weight.data[...] = rng.standard_normal(self.weight.shape)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, indices: Any) -> Any:
        """Whole numbers (...) to (..., embedding_dim)."""
        return F.embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class LearnedPositions(Module):
    """x plus a learned vector for each place: x is (..., length, features), with at most `max_length` places.

    The vectors are the rows of `weight`, drawn normal with deviation 0.02, as in GPT-2.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.LearnedPositions(16, 4, rng=0)(np.zeros((2, 10, 4), np.float32)).shape
    (2, 10, 4)
    """

    def __init__(
        self, max_length: int, features: int, *, rng: Randomness = None, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_sizes("LearnedPositions", max_length=max_length, features=features)
        self.max_length, self.features = max_length, features
        self.weight = parameter((max_length, features), dtype)
        self.reset_parameters(np.random.default_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw the vectors anew."""
        self.weight.data[...] = 0.02 * rng.standard_normal(self.weight.shape)

    def forward(self, x: Any) -> Any:
        """x with the vectors of its places added."""
        if x.ndim < 2 or x.shape[-2] > self.max_length or x.shape[-1] != self.features:
            raise ShapeError(
                f"LearnedPositions adds vectors of {self.features} features for up to {self.max_length} places, and x "
                f"has shape {x.shape}.  Cut longer sequences, or build it with a larger max_length."
            )
        return x + self.weight[: x.shape[-2]]

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.max_length}, {self.features}"


class SinusoidalPositions(Module):
    """x plus sines and cosines of the place, which need no learning: x is (..., length, features).

    (Vaswani et al., "Attention is all you need", 2017, section 3.5.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.SinusoidalPositions()(np.zeros((2, 4))).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]])
    """

    def forward(self, x: Any) -> Any:
        """x with the waves added."""
        if x.ndim < 2:
            raise ShapeError(f"SinusoidalPositions takes (..., length, features), and x has shape {x.shape}.")
        return x + F.sinusoidal_positions(*x.shape[-2:], x.dtype)
