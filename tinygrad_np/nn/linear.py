"""Layers of matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..randomness import Randomness
from . import functional as F
from .module import Module
from .parameters import check_sizes, draw_uniform, parameter


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
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
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


class Bilinear(Module):
    """x1 @ weight[k] @ x2 + bias[k] for each output k: `weight` is (out_features, in1_features, in2_features).

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.Bilinear(2, 3, 4, rng=0)
    >>> layer(np.ones((5, 2), np.float32), np.ones((5, 3), np.float32)).shape
    (5, 4)
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes("Bilinear", in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = parameter((out_features, in1_features, in2_features), dtype)
        self.bias = parameter((out_features,), dtype) if bias else None
        self.reset_parameters(np.random.default_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew."""
        draw_uniform(rng, 1 / math.sqrt(self.in1_features), self.weight, self.bias)

    def forward(self, x1: Any, x2: Any) -> Any:
        """x1 (..., in1_features) and x2 (..., in2_features) to (..., out_features)."""
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in1_features}, {self.in2_features}, {self.out_features}{bias}"
