"""Convolutions, and transposed ones, over one, two and three axes of space."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RangeError
from ..ops.places import each, paddings
from ..randomness import Randomness
from . import functional as F
from .module import Module
from .parameters import check_sizes, draw_uniform, parameter

Sizes = int | tuple[int, ...]
MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""PyTorch's words for what stands around samples, and those of np.pad."""


class _Convolution(Module):
    """What all of them share: sizes, parameters and how they start."""

    axes: int
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, dilation: Sizes, groups: int,
        bias: bool, rng: Randomness, dtype: npt.DTypeLike,
    ) -> None:  # fmt: skip
        title = type(self).__name__
        check_sizes(title, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise RangeError(
                f"{title} splits channels into groups, and {groups} groups do not divide {in_channels} and "
                f"{out_channels} channels."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each(kernel_size, self.axes, "kernel_size", title)
        self.stride = each(stride, self.axes, "stride", title)
        self.dilation = each(dilation, self.axes, "dilation", title)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = parameter((first, second // groups, *self.kernel_size), dtype)
        self.bias = parameter((out_channels,), dtype) if bias else None
        self.reset_parameters(np.random.default_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Draw weight and bias anew, uniform within 1 / sqrt(what an output sums), as PyTorch does."""
        draw_uniform(rng, 1 / math.sqrt(math.prod(self.weight.shape[1:])), self.weight, self.bias)

    def extra_repr(self) -> str:
        """The channels, the kernel, and what is not usual."""
        usual: dict[str, Any] = {
            "stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros",
        }  # fmt: skip
        words = [str(self.in_channels), str(self.out_channels), f"kernel_size={_short(self.kernel_size)}"]
        given = {name: _short(vars(self)[name]) for name in usual if name in vars(self)}
        words += [f"{name}={value!r}" for name, value in given.items() if value != usual[name]]
        return ", ".join(words + ["bias=False"] * (self.bias is None))


def _short(sizes: Any) -> Any:
    """One number where all are equal."""
    return sizes[0] if isinstance(sizes, tuple) and len(set(sizes)) == 1 else sizes


class _Conv(_Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes | str = 0,
        dilation: Sizes = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, rng, dtype)
        if padding_mode not in MODES:
            raise RangeError(f"padding_mode is one of {', '.join(MODES)}, not {padding_mode!r}.")
        around = paddings(padding, self.kernel_size, self.stride, self.dilation, type(self).__name__)
        self.padding = padding if isinstance(padding, str) else tuple(before for before, _ in around)
        self.padding_mode = padding_mode

    def forward(self, x: Any) -> Any:
        """x (N, in_channels, *space) to (N, out_channels, *out)."""
        function = getattr(F, f"conv{self.axes}d")
        if self.padding_mode == "zeros":
            return function(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        around = paddings(self.padding, self.kernel_size, self.stride, self.dilation, type(self).__name__)
        x = np.pad(x, [(0, 0)] * (x.ndim - self.axes) + list(around), mode=MODES[self.padding_mode])
        return function(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1, padding: Sizes = 0,
        output_padding: Sizes = 0, groups: int = 1, bias: bool = True, dilation: Sizes = 1, *,
        rng: Randomness = None, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, rng, dtype)
        self.padding = each(padding, self.axes, "padding", type(self).__name__, least=0)
        self.output_padding = each(output_padding, self.axes, "output_padding", type(self).__name__, least=0)

    def forward(self, x: Any) -> Any:
        """x (N, in_channels, *space) to (N, out_channels, *out)."""
        function = getattr(F, f"conv_transpose{self.axes}d")
        return function(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class Conv1d(_Conv):
    """Convolution of samples (N, in_channels, L); `weight` is (out_channels, in_channels / groups, kernel).

    `padding` is a number of zeros, "same" or "valid"; `padding_mode` "zeros", "reflect", "replicate" or "circular".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Conv1d(3, 8, 5, rng=0)(np.ones((2, 3, 20), np.float32)).shape
    (2, 8, 16)
    """

    axes = 1


class Conv2d(_Conv):
    """Convolution of samples (N, in_channels, H, W); `weight` is (out_channels, in_channels / groups, kh, kw).

    `padding` is a number of zeros, "same" or "valid"; `padding_mode` "zeros", "reflect", "replicate" or "circular".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Conv2d(1, 8, 3, padding="same", rng=0)(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 8, 28, 28)
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution of samples (N, in_channels, D, H, W); `weight` is (out_channels, in_channels / groups, kd, kh, kw).

    `padding` is a number of zeros, "same" or "valid"; `padding_mode` "zeros", "reflect", "replicate" or "circular".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Conv3d(1, 4, (1, 3, 3), rng=0)(np.ones((2, 1, 5, 8, 8), np.float32)).shape
    (2, 4, 5, 6, 6)
    """

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The transpose of Conv1d; `weight` is (in_channels, out_channels / groups, kernel).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.ConvTranspose1d(3, 8, 4, stride=2, rng=0)(np.ones((2, 3, 10), np.float32)).shape
    (2, 8, 22)
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of Conv2d; `weight` is (in_channels, out_channels / groups, kh, kw).

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1, rng=0)
    >>> layer(np.ones((2, 8, 14, 14), np.float32)).shape
    (2, 1, 28, 28)
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of Conv3d; `weight` is (in_channels, out_channels / groups, kd, kh, kw).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.ConvTranspose3d(2, 4, 2, stride=2, rng=0)(np.ones((1, 2, 3, 4, 4), np.float32)).shape
    (1, 4, 6, 8, 8)
    """

    axes = 3
