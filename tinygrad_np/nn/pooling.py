"""Pooling over one, two and three axes of space."""

from __future__ import annotations

from typing import Any

from ..ops.pooling import check_windows
from . import functional as F
from .module import Module


class _Pool(Module):
    """A function of windows, by the name of the class: MaxPool2d is max_pool2d."""

    axes: int
    function: str

    def _settings(self) -> dict[str, Any]:
        """What the function takes, by name."""
        return {name: value for name, value in vars(self).items() if name in _USUAL}

    def forward(self, x: Any) -> Any:
        """x (N, C, *space) to (N, C, *out)."""
        return getattr(F, self.function)(x, **self._settings())

    def extra_repr(self) -> str:
        """The window, and what is not usual."""
        first, *others = self._settings().items()
        return ", ".join([str(first[1]), *(f"{name}={value}" for name, value in others if value != _USUAL[name])])


_USUAL = {
    "kernel_size": None, "output_size": None, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False,
    "count_include_pad": True,
}  # fmt: skip


class _MaxPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
    ) -> None:
        check_windows(type(self).__name__, self.axes, kernel_size, stride, padding, dilation)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, ceil_mode


class _AvgPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        check_windows(type(self).__name__, self.axes, kernel_size, stride, padding)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad


class _AdaptivePool(_Pool):
    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size


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
    return type(name, (base,), {"axes": axes, "function": function, "__doc__": text, "__module__": __name__})


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
