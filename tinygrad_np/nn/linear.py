"""Layers of matrix products, and tables of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from ..errors import RangeError
from . import functional as F
from .module import Module, RandomState


def parameter(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Tensor:
    """A parameter still to be drawn."""
    return Tensor(np.zeros(shape, dtype), requires_grad=True)


def check_sizes(layer: str, **sizes: Any) -> None:
    """Refuse sizes of a layer that are no whole numbers above zero."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise RangeError(f"{layer} takes {name} as a whole number above 0, not {size!r}.")


class Linear(Module):
    """x @ weight.T + bias over the last axis: `weight` is (out_features, in_features), `bias` (out_features,).

    Both start uniform within 1 / sqrt(in_features) of 0, as in PyTorch.

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.Linear(4, 3, rng=0)
    >>> layer, layer(np.ones((5, 4), np.float32)).shape
    (Linear(4, 3), (5, 3))
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *,
        rng: RandomState = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = parameter((out_features, in_features), dtype)
        self.bias = parameter((out_features,), dtype) if bias else None
        self.reset_parameters(np.random.default_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew."""
        draw_uniform(rng, 1 / math.sqrt(self.in_features), self.weight, self.bias)

    def forward(self, x: Any) -> Any:
        """x (..., in_features) to (..., out_features)."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


def draw_uniform(rng: np.random.Generator, bound: float, *parameters: Tensor | None) -> None:
    """Fill parameters from (-bound, bound), in place; in the order given."""
    for p in parameters:
        if p is not None:
            p.data[...] = rng.uniform(-bound, bound, p.shape)
