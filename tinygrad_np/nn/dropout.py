"""Layers that set entries to 0 at random in training, and pass everything on in `eval()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..ops.dropout import check_probability
from ..randomness import Randomness
from . import functional as F
from .module import Module


class _Dropout(Module):
    function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, *, rng: Randomness = None) -> None:
        check_probability(type(self).__name__, p)
        self.p = p
        self.rng = np.random.default_rng(rng)

    def forward(self, x: Any) -> Any:
        """x with entries dropped in training, else x itself."""
        return type(self).function(x, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        """The probability."""
        return str(self.p)


class Dropout(_Dropout):
    """Each entry 0 with probability `p`, else divided by 1 - p; x itself in `eval()`.

    (Srivastava et al., "Dropout", 2014, with the scaling in training instead of in use.)

    >>> import numpy as np, tinygrad_np as tg
    >>> layer = tg.nn.Dropout(0.5, rng=5)
    >>> layer(np.ones(8)), layer.eval()(np.ones(2))
    (array([2., 2., 0., 2., 0., 2., 2., 0.]), array([1., 1.]))
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """Whole channels 0 with probability `p`: x is (..., channels, length).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Dropout1d(0.5, rng=5)(np.ones((1, 3, 2))).ravel()
    array([2., 2., 2., 2., 0., 0.])
    """

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """Whole channels 0 with probability `p`: x is (..., channels, height, width).

    (Tompson et al., "Efficient object localization using convolutional networks", 2015.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Dropout2d(0.5, rng=5)(np.ones((1, 3, 1, 2))).ravel()
    array([2., 2., 2., 2., 0., 0.])
    """

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """Whole channels 0 with probability `p`: x is (..., channels, depth, height, width).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Dropout3d(0.5, rng=5)(np.ones((1, 3, 1, 1, 2))).ravel()
    array([2., 2., 2., 2., 0., 0.])
    """

    function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout for networks of `SELU`: mean and variance of entries with mean 0 and variance 1 stay.

    (Klambauer et al., "Self-normalizing neural networks", 2017.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.AlphaDropout(0.5, rng=5)(np.zeros(4)).round(4)
    array([ 0.7792,  0.7792, -0.7792,  0.7792])
    """

    function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels: x is (samples, channels, ...).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.FeatureAlphaDropout(0.5, rng=5)(np.zeros((1, 3, 1))).round(4).ravel()
    array([ 0.7792,  0.7792, -0.7792])
    """

    function = staticmethod(F.feature_alpha_dropout)
