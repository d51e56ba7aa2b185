"""Activations as modules, by PyTorch's names; the functions themselves are in `nn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from . import functional as F
from .function import Function
from .module import Module
from .parameters import check_sizes

# -- of straight pieces -----------------------------------------------------------------------


class ReLU(Function):
    """max(x, 0).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    function = staticmethod(F.relu)


class ReLU6(Function):
    """min(max(x, 0), 6).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.ReLU6()(np.array([-1.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """

    function = staticmethod(F.relu6)


class LeakyReLU(Function):
    """x above 0, negative_slope * x below.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(negative_slope=negative_slope)


class PReLU(Module):
    """x above 0, weight * x below, with a learned weight: one for all, or one for each channel (axis 1).

    (He et al., "Delving deep into rectifiers", 2015.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.PReLU()(np.array([-1.0, 2.0], np.float32)).data
    array([-0.25,  2.  ], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: npt.DTypeLike = np.float32) -> None:
        check_sizes("PReLU", num_parameters=num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Tensor(np.full(num_parameters, init, dtype), requires_grad=True)

    def reset_parameters(self, rng: np.random.Generator) -> None:
        """Set the weights to where they started."""
        self.weight.data[...] = self.init

    def forward(self, x: Any) -> Any:
        """x, or weight * x where it is below 0."""
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """How many weights."""
        return str(self.num_parameters)


class Hardtanh(Function):
    """x between min_val and max_val, and these beyond.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Hardtanh()(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """

    function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__(min_val=min_val, max_val=max_val)


class Hardsigmoid(Function):
    """x / 6 + 1/2, within 0 and 1.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Hardsigmoid()(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """

    function = staticmethod(F.hardsigmoid)


class Hardswish(Function):
    """x * hardsigmoid(x).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Hardswish()(np.array([-4.0, 0.0, 4.0]))
    array([-0.,  0.,  4.])
    """

    function = staticmethod(F.hardswish)


class Hardshrink(Function):
    """x where it is farther than lambd from 0, else 0.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Hardshrink()(np.array([-1.0, 0.3]))
    array([-1.,  0.])
    """

    function = staticmethod(F.hardshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)


class Softshrink(Function):
    """x moved towards 0 by lambd, and 0 where it is nearer.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Softshrink()(np.array([-1.0, 0.3]))
    array([-0.5,  0. ])
    """

    function = staticmethod(F.softshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)


class Threshold(Function):
    """x above the threshold, else value.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Threshold(1.0, 0.0)(np.array([0.5, 2.0]))
    array([0., 2.])
    """

    function = staticmethod(F.threshold)

    def __init__(self, threshold: float, value: float) -> None:
        super().__init__(threshold=threshold, value=value)


# -- of exponentials --------------------------------------------------------------------------


class ELU(Function):
    """x above 0, alpha * (exp(x) - 1) below (Clevert et al., 2016).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.ELU()(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class CELU(Function):
    """x above 0, alpha * (exp(x / alpha) - 1) below (Barron, 2017).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.CELU(2.0)(np.array([-2.0, 2.0])).round(4)
    array([-1.2642,  2.    ])
    """

    function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class SELU(Function):
    """1.0507 times x above 0 and 1.6733 * (exp(x) - 1) below, which keep mean 0 and variance 1.

    (Klambauer et al., "Self-normalizing neural networks", 2017.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.SELU()(np.array([-1.0, 1.0])).round(4)
    array([-1.1113,  1.0507])
    """

    function = staticmethod(F.selu)


class Sigmoid(Function):
    """1 / (1 + exp(-x)).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Sigmoid()(np.array([0.0, 1000.0]))
    array([0.5, 1. ])
    """

    function = staticmethod(F.sigmoid)


class LogSigmoid(Function):
    """log(1 / (1 + exp(-x))), without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.LogSigmoid()(np.array([0.0, -1000.0])).round(4)
    array([-6.931e-01, -1.000e+03])
    """

    function = staticmethod(F.logsigmoid)


class Tanh(Function):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Tanh()(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7616])
    """

    function = staticmethod(F.tanh)


class Softplus(Function):
    """log(1 + exp(x)), without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Softplus()(np.array([0.0, 1000.0])).round(4)
    array([6.931e-01, 1.000e+03])
    """

    function = staticmethod(F.softplus)


class Softsign(Function):
    """x / (1 + |x|).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Softsign()(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """

    function = staticmethod(F.softsign)


class Tanhshrink(Function):
    """x - tanh(x).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Tanhshrink()(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.2384])
    """

    function = staticmethod(F.tanhshrink)


class GELU(Function):
    """x * Φ(x) with the normal distribution function Φ, or its approximation with tanh, `approximate="tanh"`.

    (Hendrycks & Gimpel, "Gaussian error linear units", 2016.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.GELU()(np.array([-1.0, 1.0])).round(4)
    array([-0.1587,  0.8413])
    """

    function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class SiLU(Function):
    """x / (1 + exp(-x)), also called swish.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.SiLU()(np.array([-1.0, 1.0])).round(4)
    array([-0.2689,  0.7311])
    """

    function = staticmethod(F.silu)


class Mish(Function):
    """x * tanh(log(1 + exp(x))) (Misra, 2019).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Mish()(np.array([-1.0, 1.0])).round(4)
    array([-0.3034,  0.8651])
    """

    function = staticmethod(F.mish)


# -- along an axis ----------------------------------------------------------------------------


class Softmax(Function):
    """exp(x) / sum(exp(x)) along the axis.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Softmax()(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """

    function = staticmethod(F.softmax)

    def __init__(self, axis: int | tuple[int, ...] = -1) -> None:
        super().__init__(axis=axis)


class Softmin(Softmax):
    """exp(-x) / sum(exp(-x)) along the axis.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.Softmin()(np.array([0.0, 1000.0]))
    array([1., 0.])
    """

    function = staticmethod(F.softmin)


class LogSoftmax(Softmax):
    """The logarithm of softmax along the axis, without overflow.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.LogSoftmax()(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """

    function = staticmethod(F.log_softmax)


class GLU(Function):
    """The first half along the axis times the sigmoid of the second (Dauphin et al., 2017).

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.GLU()(np.array([2.0, 4.0, 0.0, 1000.0]))
    array([1., 4.])
    """

    function = staticmethod(F.glu)

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)
