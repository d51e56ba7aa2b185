"""Dropout: entries set to 0 at random in training, and the others scaled so that the mean stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.batched import Batched
from ..engine.door import bare
from ..errors import RangeError
from ..randomness import Randomness

# What selu goes to far below 0: -1.0507 * 1.6733.
_SATURATED = -1.7580993408473766


def check_probability(name: str, p: float) -> None:
    """Refuse what is no share."""
    if not 0 <= p <= 1:
        raise RangeError(f"{name} sets a share of the entries to 0, and p={p!r} is none.  Give a number from 0 to 1.")


def _kept(x: Any, p: float, rng: Randomness, axes: int) -> np.ndarray:
    """1 where entries stay, drawn at once for the last `axes` axes, in x's dtype (or float64 for whole numbers)."""
    shape = (*x.shape[: x.ndim - axes], *[1] * axes)
    kept = _uniform(bare(x), np.random.default_rng(rng), shape) >= p
    return kept.astype(x.dtype if x.dtype.kind in "fc" else float)


def _uniform(like: Any, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Uniform numbers; under `vmap` others for each example, as in a loop over them."""
    if isinstance(like, Batched):
        examples = bare(like.value)
        return Batched(_uniform(examples, rng, (examples.shape[0], *shape)), like.level)
    return rng.random(shape, np.float32)


def _without(name: str, x: Any, p: float, rng: Randomness, axes: int) -> Any:
    check_probability(name, p)
    if x.ndim < axes + bool(axes):
        raise RangeError(
            f"{name} drops channels, the axis before the last {axes}, and x of shape {x.shape} has none.  Write "
            "dropout(x) to drop single entries."
        )
    if p == 1:
        # Not a product with 0, which would be nan for infinite entries.
        return np.where(np.zeros((), bool), x, 0)
    mask = _kept(x, p, rng, axes)
    mask *= 1 / (1 - p)
    return x * mask


def dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """Each entry 0 with probability `p`, else divided by 1 - p; x itself where not `training` or p is 0.

    (Srivastava et al., "Dropout", 2014, with the scaling in training instead of in use.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import dropout
    >>> dropout(np.ones(8), 0.5, rng=5)
    array([2., 2., 0., 2., 0., 2., 2., 0.])
    """
    check_probability("dropout", p)
    return _without("dropout", x, p, rng, 0) if training and p else x


def dropout1d(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """Whole channels 0 with probability `p`: x is (..., channels, length).

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import dropout1d
    >>> dropout1d(np.ones((1, 3, 2)), 0.5, rng=5)
    array([[[2., 2.],
            [2., 2.],
            [0., 0.]]])
    """
    check_probability("dropout1d", p)
    return _without("dropout1d", x, p, rng, 1) if training and p else x


def dropout2d(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """Whole channels 0 with probability `p`: x is (..., channels, height, width).

    (Tompson et al., "Efficient object localization using convolutional networks", 2015.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import dropout2d
    >>> dropout2d(np.ones((1, 3, 1, 2)), 0.5, rng=5).ravel()
    array([2., 2., 2., 2., 0., 0.])
    """
    check_probability("dropout2d", p)
    return _without("dropout2d", x, p, rng, 2) if training and p else x


def dropout3d(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """Whole channels 0 with probability `p`: x is (..., channels, depth, height, width).

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import dropout3d
    >>> dropout3d(np.ones((1, 3, 1, 1, 2)), 0.5, rng=5).ravel()
    array([2., 2., 2., 2., 0., 0.])
    """
    check_probability("dropout3d", p)
    return _without("dropout3d", x, p, rng, 3) if training and p else x


def _alpha_dropout(name: str, x: Any, p: float, rng: Randomness, axes: int) -> Any:
    check_probability(name, p)
    if p == 1:
        return _without(name, x, p, rng, 0)
    kept = _kept(x, p, rng, axes)
    # What is dropped becomes the value that selu saturates at; the scale and the shift keep mean 0 and variance 1.
    scale = ((1 - p) * (1 + p * _SATURATED**2)) ** -0.5
    return x * (kept * scale) + ((1 - kept) * (scale * _SATURATED) - scale * _SATURATED * p)


def alpha_dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """Dropout for networks of `selu`: mean and variance of entries with mean 0 and variance 1 stay.

    (Klambauer et al., "Self-normalizing neural networks", 2017.)

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import alpha_dropout
    >>> alpha_dropout(np.zeros(4), 0.5, rng=5).round(4)
    array([ 0.7792,  0.7792, -0.7792,  0.7792])
    """
    check_probability("alpha_dropout", p)
    return _alpha_dropout("alpha_dropout", x, p, rng, 0) if training and p else x


def feature_alpha_dropout(x: Any, p: float = 0.5, training: bool = True, *, rng: Randomness = None) -> Any:
    """`alpha_dropout` of whole channels: x is (samples, channels, ...).

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import feature_alpha_dropout
    >>> feature_alpha_dropout(np.zeros((1, 3, 2)), 0.5, rng=5).round(4)[0]
    array([[ 0.7792,  0.7792],
           [ 0.7792,  0.7792],
           [-0.7792, -0.7792]])
    """
    check_probability("feature_alpha_dropout", p)
    return _alpha_dropout("feature_alpha_dropout", x, p, rng, max(0, x.ndim - 2)) if training and p else x
