"""Pooling over one, two and three axes of space."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class _Pool(Module):
    """A function of windows, by the name of the class: MaxPool2d is max_pool2d."""

    function: str

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, **options: Any) -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.options = options

    def forward(self, x: Any) -> Any:
        """x (N, C, *space) to (N, C, *out)."""
        return getattr(F, self.function)(x, self.kernel_size, self.stride, self.padding, **self.options)

    def extra_repr(self) -> str:
        """The window, and what is not usual."""
        words = {"stride": self.stride, "padding": self.padding or None, **self.options}
        return ", ".join([str(self.kernel_size), *(f"{n}={v}" for n, v in words.items() if v is not None)])


class _MaxPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> None:
        unusual = {n: v for n, v, usual in (("dilation", dilation, 1), ("ceil_mode", ceil_mode, False)) if v != usual}
        super().__init__(kernel_size, stride, padding, **unusual)


class _AvgPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        given = (("ceil_mode", ceil_mode, False), ("count_include_pad", count_include_pad, True))
        super().__init__(kernel_size, stride, padding, **{n: v for n, v, usual in given if v != usual})


class _AdaptivePool(Module):
    """As many windows per axis as asked for."""

    function: str

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        """x (N, C, *space) to (N, C, *output_size)."""
        return getattr(F, self.function)(x, self.output_size)

    def extra_repr(self) -> str:
        """How many windows."""
        return str(self.output_size)


_WINDOWED = """The {what} of each window of samples (N, C, *space), with {axes} of space.

    See `nn.functional.{function}`.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.{name}(2)(np.ones((2, 3, {four}))).shape
    (2, 3, {two})
    """


def _declared(base: type, name: str, function: str, what: str) -> Any:
    axes = int(name[-2])
    text = _WINDOWED.format(
        what=what, axes="one axis" if axes == 1 else f"{axes} axes", function=function, name=name,
        four=", ".join(["4"] * axes), two=", ".join(["2"] * axes),
    )  # fmt: skip
    return type(name, (base,), {"function": function, "__doc__": text, "__module__": __name__})


MaxPool1d, MaxPool2d, MaxPool3d = (
    _declared(_MaxPool, f"MaxPool{n}d", f"max_pool{n}d", "largest entry") for n in (1, 2, 3)
)
AvgPool1d, AvgPool2d, AvgPool3d = (_declared(_AvgPool, f"AvgPool{n}d", f"avg_pool{n}d", "mean") for n in (1, 2, 3))
AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d = (
    _declared(_AdaptivePool, f"AdaptiveAvgPool{n}d", f"adaptive_avg_pool{n}d", "mean") for n in (1, 2, 3)
)
AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d = (
    _declared(_AdaptivePool, f"AdaptiveMaxPool{n}d", f"adaptive_max_pool{n}d", "largest entry") for n in (1, 2, 3)
)
