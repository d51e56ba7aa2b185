"""How parameters start: functions that fill a tensor or an array in place, and return it.

PyTorch's names, without the underscore at their end.  `rng` is a generator or a seed; None is fresh entropy.  The gain
of a layer is what keeps the size of signals through its activation: see `calculate_gain`.

Weights are (outputs, inputs, *kernel), as those of Linear and of convolutions: an output is computed from
fan_in = inputs * kernel entries, and an entry goes into fan_out = outputs * kernel.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from ..engine.tensor import Tensor
from ..errors import DtypeError, InPlaceError, RangeError, ShapeError
from ..randomness import Randomness

Filled = TypeVar("Filled", Tensor, np.ndarray)

# -- the same for all entries --------------------------------------------------------------------


def uniform(tensor: Filled, a: float = 0.0, b: float = 1.0, *, rng: Randomness = None) -> Filled:
    """Uniform from a to b.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> bool((abs(init.uniform(np.empty(100), -0.1, 0.1, rng=0)) < 0.1).all())
    True
    """
    if not b >= a:
        raise RangeError(f"uniform takes an interval from a to b, and a={a} is above b={b}.  Swap them.")
    return _filled(tensor, lambda shape: np.random.default_rng(rng).uniform(a, b, shape))


def normal(tensor: Filled, mean: float = 0.0, std: float = 1.0, *, rng: Randomness = None) -> Filled:
    """Normal with this mean and standard deviation.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.normal(np.empty(10_000), 3.0, 0.01, rng=0).mean().round(2)
    np.float64(3.0)
    """
    _check_std("normal", std)
    return _filled(tensor, lambda shape: np.random.default_rng(rng).normal(mean, std, shape))


def trunc_normal(
    tensor: Filled, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, *, rng: Randomness = None
) -> Filled:
    """Normal, with what falls outside of a to b drawn again.

    `a` and `b` are values, not multiples of `std`.  (Robert, Simulation of truncated normal variables, 1995.)

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> bool((abs(init.trunc_normal(np.empty(100), std=0.02, a=-0.04, b=0.04, rng=0)) <= 0.04).all())
    True
    """
    _check_std("trunc_normal", std)
    if not b > a:
        raise RangeError(f"trunc_normal keeps what is from a to b, and a={a} is not below b={b}.")
    if std == 0:
        return constant(tensor, min(max(mean, a), b))
    generator = np.random.default_rng(rng)

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        x = _standard(generator, (a - mean) / std, (b - mean) / std, math.prod(shape))
        # Rounding may lead out again.
        return np.clip(mean + std * x, a, b).reshape(shape)

    return _filled(tensor, drawn)


def constant(tensor: Filled, val: float) -> Filled:
    """One value everywhere.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.constant(np.empty(3), 0.5)
    array([0.5, 0.5, 0.5])
    """
    return _filled(tensor, lambda shape: np.full(shape, val))


def zeros(tensor: Filled) -> Filled:
    """0 everywhere.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.zeros(np.ones(3))
    array([0., 0., 0.])
    """
    return constant(tensor, 0.0)


def ones(tensor: Filled) -> Filled:
    """1 everywhere.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.ones(np.empty(3))
    array([1., 1., 1.])
    """
    return constant(tensor, 1.0)


# -- with a structure ----------------------------------------------------------------------------


def eye(tensor: Filled) -> Filled:
    """1 on the diagonal of a matrix, else 0: a Linear layer that passes on its input.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.eye(np.empty((2, 3)))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    _check_axes("eye", tensor, (2, 2))
    return _filled(tensor, lambda shape: np.eye(*shape))


def dirac(tensor: Filled, groups: int = 1) -> Filled:
    """A convolution that passes on as many channels as there are outputs for: 1 in the middle of their kernels.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.dirac(np.empty((2, 2, 3)))[:, :, 1]
    array([[1., 0.],
           [0., 1.]])
    """
    _check_axes("dirac", tensor, (3, 5))
    outputs, inputs, *kernel = tensor.shape
    if groups < 1 or outputs % groups:
        raise RangeError(
            f"dirac takes groups that share the outputs evenly, and {groups} do not divide {outputs}, the first axis "
            f"of {tensor.shape}."
        )

    def identity(shape: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(shape)
        middle = out[(..., *[k // 2 for k in kernel])]
        for first in range(0, outputs, outputs // groups):
            middle[first : first + outputs // groups] = np.eye(outputs // groups, inputs)
        return out

    return _filled(tensor, identity)


def orthogonal(tensor: Filled, gain: float = 1.0, *, rng: Randomness = None) -> Filled:
    """Orthonormal rows, or columns if there are fewer of them, times `gain`; axes after the first count as one.

    Drawn evenly from all such matrices: Q of a matrix of normal numbers, with the signs of R's diagonal.
    (Saxe et al., Exact solutions to the nonlinear dynamics of learning, 2014; Mezzadri, How to generate random
    matrices from the classical compact groups, 2007.)

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> W = init.orthogonal(np.empty((3, 5)), rng=0)
    >>> np.allclose(W @ W.T, np.eye(3))
    True
    """
    _check_axes("orthogonal", tensor, (2, math.inf))

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = shape[0], math.prod(shape[1:])
        Q, R = np.linalg.qr(np.random.default_rng(rng).standard_normal((max(rows, columns), min(rows, columns))))
        Q *= np.where(np.diagonal(R) < 0, -gain, gain)
        return (Q if rows >= columns else Q.T).reshape(shape)

    return _filled(tensor, drawn)


def sparse(tensor: Filled, sparsity: float, std: float = 0.01, *, rng: Randomness = None) -> Filled:
    """A matrix of normal numbers of which a share `sparsity` of each column, rounded up, is 0.

    (Martens, Deep learning via Hessian-free optimization, 2010.)

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> (init.sparse(np.empty((10, 4)), 0.75, rng=0) == 0).sum(axis=0)
    array([8, 8, 8, 8])
    """
    _check_axes("sparse", tensor, (2, 2))
    _check_std("sparse", std)
    if not 0 <= sparsity <= 1:
        raise RangeError(f"sparse sets a share of each column to 0, and sparsity={sparsity} is none.  Give 0 to 1.")
    generator = np.random.default_rng(rng)

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        # As many ranks as are to be 0, in an order of its own in each column.
        ranks = generator.permuted(np.tile(np.arange(shape[0])[:, None], shape[1]), axis=0)
        return np.where(ranks < math.ceil(sparsity * shape[0]), 0, generator.normal(0, std, shape))

    return _filled(tensor, drawn)


# -- by the sizes of a layer ---------------------------------------------------------------------


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What weights are multiplied with, so that the activation after them keeps the size of signals.

    1 for "linear", convolutions ("conv1d" ...) and "sigmoid"; 5/3 for "tanh"; 3/4 for "selu"; sqrt(2) for "relu", and
    sqrt(2 / (1 + slope^2)) for "leaky_relu", with the slope as `param` (0.01 by default).

    >>> from tinygrad_np.nn import init
    >>> round(init.calculate_gain("leaky_relu", 0.2), 4)
    1.3868
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"there is no gain for nonlinearity={nonlinearity!r}.  It is one of leaky_relu, {', '.join(_GAINS)}; of "
            "others give the nearest."
        )
    return _GAINS[nonlinearity]


_GAINS = {
    **dict.fromkeys(["linear", "sigmoid"], 1.0),
    **dict.fromkeys([f"conv{transpose}{n}d" for transpose in ("", "_transpose") for n in (1, 2, 3)], 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def xavier_uniform(tensor: Filled, gain: float = 1.0, *, rng: Randomness = None) -> Filled:
    """Uniform within gain * sqrt(6 / (fan_in + fan_out)) of 0.

    Keeps the variance of signals and of gradients, as well as both can be.  (Glorot and Bengio, Understanding the
    difficulty of training deep feedforward neural networks, 2010, equation 16.)

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> bool((abs(init.xavier_uniform(np.empty((4, 2)), rng=0)) <= 1).all())
    True
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform", tensor)))
    return uniform(tensor, -bound, bound, rng=rng)


def xavier_normal(tensor: Filled, gain: float = 1.0, *, rng: Randomness = None) -> Filled:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)); see `xavier_uniform`.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.xavier_normal(np.empty((300, 100)), rng=0).std().round(2)
    np.float64(0.07)
    """
    return normal(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal", tensor))), rng=rng)


def kaiming_uniform(
    tensor: Filled, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Randomness = None
) -> Filled:
    """Uniform within gain * sqrt(3 / fan) of 0; see `kaiming_normal`.

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> bool((abs(init.kaiming_uniform(np.empty((4, 6)), rng=0)) <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming("kaiming_uniform", tensor, a, mode, nonlinearity)
    return uniform(tensor, -bound, bound, rng=rng)


def kaiming_normal(
    tensor: Filled, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Randomness = None
) -> Filled:
    """Normal with standard deviation gain / sqrt(fan).

    The gain is that of `nonlinearity`, with `a` the slope of leaky_relu.
    `mode="fan_in"` keeps the variance of signals, "fan_out" that of gradients.  (He et al., Delving deep into
    rectifiers, 2015, equations 10 and 14.)

    >>> import numpy as np
    >>> from tinygrad_np.nn import init
    >>> init.kaiming_normal(np.empty((300, 200)), nonlinearity="relu", rng=0).std().round(2)
    np.float64(0.1)
    """
    return normal(tensor, 0.0, _kaiming("kaiming_normal", tensor, a, mode, nonlinearity), rng=rng)


def _kaiming(name: str, tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name} has mode='fan_in' or 'fan_out', not {mode!r}.")
    fan = _fans(name, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


# -- helpers -------------------------------------------------------------------------------------


def _fans(name: str, tensor: Any) -> tuple[int, int]:
    """From how many entries an output is computed, and into how many an entry goes."""
    _check_axes(name, tensor, (2, math.inf))
    outputs, inputs, *kernel = tensor.shape
    if not tensor.size:
        raise ShapeError(f"{name} follows from the sizes of a layer, and a weight of shape {tensor.shape} has none.")
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _filled(tensor: Any, draw: Any) -> Any:
    """`tensor` with its entries from `draw(shape)`, written into its array."""
    if not isinstance(tensor, Tensor | np.ndarray):
        raise TypeError(
            f"init fills a tensor or an array in place, and a {type(tensor).__name__} cannot be written to.  Give "
            "the parameter itself, such as layer.weight."
        )
    if isinstance(tensor, Tensor) and not (tensor.node is None or tensor.is_leaf):
        raise InPlaceError(
            f"init writes into parameters, and {tensor.describe()} was computed from others: the tape has kept what it "
            "was.  Fill the leaf, or compute anew."
        )
    array = tensor.data if isinstance(tensor, Tensor) else tensor
    if array.dtype.kind not in "fc":
        raise DtypeError(f"init fills floating arrays, and this one of shape {array.shape} has dtype {array.dtype}.")
    array[...] = draw(array.shape)
    return tensor


def _check_axes(name: str, tensor: Any, axes: tuple[float, float]) -> None:
    least, most = axes
    if not least <= np.ndim(tensor) <= most:
        wanted = {least: f"{least} axes", math.inf: f"{least} axes or more"}.get(most, f"{least} to {most} axes")
        raise ShapeError(
            f"{name} fills weights (outputs, inputs, ...) of {wanted}, and this one has shape {np.shape(tensor)}.  "
            "For a bias take zeros, constant or uniform."
        )


def _check_std(name: str, std: float) -> None:
    if not std >= 0:
        raise RangeError(f"{name} has a standard deviation, std={std}, and none is below 0.")


def _standard(generator: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    """Standard normal numbers from low to high, by rejection: exact, with a third or more accepted on any interval."""
    if high < 0:
        return -_standard(generator, -high, -low, count)

    def from_tail(n: int) -> np.ndarray:
        # Exponential numbers, cut at high, that touch the density at low.
        x = low - np.log1p(generator.random(n) * math.expm1(-low * (high - low))) / low
        return x[generator.random(n) <= np.exp(-((x - low) ** 2) / 2)]

    def from_uniform(n: int) -> np.ndarray:
        x = generator.uniform(low, high, n)
        return x[generator.random(n) <= np.exp(-x * x / 2)]

    def from_normal(n: int) -> np.ndarray:
        x = generator.standard_normal(n)
        return x[(x >= low) & (x <= high)]

    draw = from_tail if low > 0.5 else from_uniform if high - low < 2 else from_normal
    parts, missing = [], count
    while missing > 0:
        parts.append(draw(missing + missing // 2 + 8)[:missing])
        missing -= len(parts[-1])
    return np.concatenate(parts) if parts else np.empty(0)
