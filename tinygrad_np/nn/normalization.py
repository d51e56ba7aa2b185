"""Layers that give entries mean 0 and variance 1 along some axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tape import running_again
from ..engine.tensor import Tensor
from ..errors import RangeError, ShapeError
from . import functional as F
from .module import Module
from .parameters import check_sizes


class Normalization(Module):
    """A layer of normalization: its weight starts at 1, and its bias at 0."""

    weight: Tensor | None
    bias: Tensor | None

    def _make(self, shape: tuple[int, ...], affine: bool, bias: bool, dtype: npt.DTypeLike) -> None:
        self.weight = Tensor(np.ones(shape, dtype), requires_grad=True) if affine else None
        self.bias = Tensor(np.zeros(shape, dtype), requires_grad=True) if affine and bias else None

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Weight 1 and bias 0."""
        for p, value in ((self.weight, 1), (self.bias, 0)):
            if p is not None:
                p.data[...] = value

    def _settings(self, *sizes: Any, affine: str = "affine", **usual: Any) -> str:
        """The sizes, and those settings that are not as usual."""
        other = [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name) != value]
        if self.weight is None:
            other.append(f"{affine}=False")
        return ", ".join([*map(str, sizes), *other])


def _as_shape(layer: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    whole = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    check_sizes(layer, **{f"normalized_shape[{i}]": n for i, n in enumerate(whole)})
    return whole


def _shown(shape: tuple[int, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape


class LayerNorm(Normalization):
    """(x - mean) / √(variance + eps) * weight + bias over the last axes, those of `normalized_shape`.

    (Ba, Kiros & Hinton, "Layer normalization", 2016.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.LayerNorm(2)(np.array([[1.0, 3.0], [5.0, 5.0]], np.float32)).data.round(3)
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, *, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self.normalized_shape, self.eps = _as_shape("LayerNorm", normalized_shape), eps
        self._make(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, x: Any) -> Any:
        """x (..., *normalized_shape), normalized."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The shape, and what is not as usual."""
        bias = ", bias=False" if self.weight is not None and self.bias is None else ""
        return self._settings(_shown(self.normalized_shape), affine="elementwise_affine", eps=1e-5) + bias


class RMSNorm(Normalization):
    """x / √(mean(x²) + eps) * weight over the last axes; `eps` is the spacing of x's dtype at 1 unless given.

    (Zhang & Sennrich, "Root mean square layer normalization", 2019.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.RMSNorm(2)(np.array([3.0, 4.0], np.float32)).data.round(4)
    array([0.8485, 1.1314], dtype=float32)
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True, *,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self.normalized_shape, self.eps = _as_shape("RMSNorm", normalized_shape), eps
        self._make(self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, x: Any) -> Any:
        """x (..., *normalized_shape), divided by its size."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The shape, and what is not as usual."""
        return self._settings(_shown(self.normalized_shape), affine="elementwise_affine", eps=None)


class GroupNorm(Normalization):
    """Each sample's channels in `num_groups` groups, each with mean 0 and variance 1; then scaled by channel.

    x is (samples, num_channels, ...).  (Wu & He, "Group normalization", 2018.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.GroupNorm(2, 4)(np.array([[1.0, 3.0, 10.0, 30.0]], np.float32)).data.round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise RangeError(
                f"GroupNorm makes groups of equally many channels, and {num_channels} channels do not go into "
                f"{num_groups} groups.  Take a divisor of {num_channels}."
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self._make((num_channels,), affine, True, dtype)

    def forward(self, x: Any) -> Any:
        """x (samples, num_channels, ...), normalized."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes, and what is not as usual."""
        return self._settings(self.num_groups, self.num_channels, eps=1e-5)


class _BatchNorm(Normalization):
    axes: tuple[int, ...]
    """How many axes x may have."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, *, dtype: npt.DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self._make((num_features,), affine, True, dtype)
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Weight 1 and bias 0, and the running statistics as at the start."""
        super().reset_parameters(rng)
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer[...] = value

    def forward(self, x: Any) -> Any:
        """x (samples, num_features, ...), normalized."""
        if x.ndim not in self.axes:
            raise ShapeError(
                f"{type(self).__name__} takes arrays with {' or '.join(map(str, self.axes))} axes, samples and "
                f"channels first, and this one has shape {x.shape}.  Reshape it, or take another BatchNorm."
            )
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or self.running_mean is None, self._share(), self.eps,
        )  # fmt: skip

    def _share(self) -> float:
        """The share by which the running statistics move; without `momentum`, they are means over all batches."""
        if self.training and self.num_batches_tracked is not None and not running_again.get():
            self.num_batches_tracked += 1
            if self.momentum is None:
                return 1 / float(self.num_batches_tracked)
        return self.momentum or 0.0

    def extra_repr(self) -> str:
        """The size, and what is not as usual."""
        statistics = [] if self.running_mean is not None else ["track_running_stats=False"]
        return ", ".join([self._settings(self.num_features, eps=1e-5, momentum=0.1), *statistics])


class BatchNorm1d(_BatchNorm):
    """Each channel with mean 0 and variance 1 over the samples (and positions): (N, C) or (N, C, L).

    In training with the batch's own statistics, whose running means are kept in `running_mean` and `running_var`
    (over n - 1) and used in `eval()`.  (Ioffe & Szegedy, "Batch normalization", 2015.)

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.BatchNorm1d(2)
    >>> layer(np.array([[1.0, 10.0], [3.0, 30.0]], np.float32)).data.round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean
    array([0.2, 2. ], dtype=float32)
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for pictures (N, C, H, W).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.BatchNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
    (2, 3, 4, 4)
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes (N, C, D, H, W).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.BatchNorm3d(3)(np.ones((2, 3, 2, 4, 4), np.float32)).shape
    (2, 3, 2, 4, 4)
    """

    axes = (5,)


class _InstanceNorm(Normalization):
    axes: int

    def __init__(
        self, num_features: int, eps: float = 1e-5, affine: bool = False, *, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features, self.eps = num_features, eps
        self._make((num_features,), affine, True, dtype)

    def forward(self, x: Any) -> Any:
        """x (samples, num_features, ...), normalized."""
        if x.ndim != self.axes or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__} takes arrays with {self.axes} axes, of which the second has the "
                f"{self.num_features} channels, and this one has shape {x.shape}.  Reshape it."
            )
        return F.instance_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The size, and what is not as usual."""
        affine = ["affine=True"] if self.weight is not None else []
        return ", ".join([str(self.num_features), *([f"eps={self.eps}"] if self.eps != 1e-5 else []), *affine])


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample with mean 0 and variance 1: (N, C, L).

    Without weight and bias unless `affine`.  (Ulyanov et al., "Instance normalization", 2016.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.InstanceNorm1d(2)(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """

    axes = 3


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for pictures (N, C, H, W).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.InstanceNorm2d(3)(np.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    axes = 4
