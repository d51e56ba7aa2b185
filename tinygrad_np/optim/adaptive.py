"""RMSprop, Adagrad and Adadelta: rates that adapt to the size of the gradients so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .group import Group
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop: the gradient over the root of its mean square.

    With the gradient g_t, plus weight_decay * p:

        v_t = alpha * v_(t-1) + (1 - alpha) * g_t ** 2
        p  <- p - lr * g_t / (sqrt(v_t) + eps)

    With `centered`, v_t less the square of the mean gradient takes its place; with `momentum` the steps are
    b_t = momentum * b_(t-1) + g_t / (sqrt(v_t) + eps).  Tieleman and Hinton, Lecture 6.5 of Neural networks for machine
    learning, 2012; Graves, Generating sequences with recurrent neural networks, 2013.  The state of a parameter is
    "square_avg" (v), "grad_avg" and "momentum_buffer" (b).  Raises RangeError if a number is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.RMSprop([w], lr=0.1)
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> np.round(w.data, 6)
    array([ 0., -1.])
    """

    arrays = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(parameters, **numbers, centered=centered, maximize=maximize)

    def used(self, group: Group) -> tuple[str, ...]:
        """The mean gradient if centered, the buffer if there is a momentum."""
        needed = True, group["centered"], group["momentum"] > 0
        return tuple(name for name, need in zip(self.arrays, needed, strict=True) if need)

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The weights of the old and of the new in the means, and the rest."""
        return group["lr"], group["alpha"], 1 - group["alpha"], group["eps"], group["momentum"]

    def update(
        self,
        p: Any,
        g: Any,
        a: Any,
        b: Any,
        numbers: Any,
        square_avg: Any,
        grad_avg: Any = None,
        momentum_buffer: Any = None,
    ) -> None:
        """See the class."""
        lr, old, new, eps, momentum = numbers
        mean_square(square_avg, g, old, new, a)
        variance = square_avg
        if grad_avg is not None:
            np.subtract(g, grad_avg, out=a)
            a *= new
            grad_avg += a
            np.multiply(grad_avg, grad_avg, out=a)
            variance = np.subtract(square_avg, a, out=a)
        np.sqrt(variance, out=a)
        a += eps
        direction = np.divide(g, a, out=a)
        if momentum_buffer is not None:
            momentum_buffer *= momentum
            momentum_buffer += a
            direction = momentum_buffer
        p -= np.multiply(direction, lr, out=a)


class Adagrad(Optimizer):
    """Adagrad: the gradient over the root of the sum of its squares.

    With the gradient g_t, plus weight_decay * p:

        s_t = s_(t-1) + g_t ** 2                                s_0 = initial_accumulator_value
        p  <- p - lr / (1 + (t - 1) * lr_decay) * g_t / (sqrt(s_t) + eps)

    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011.  The
    state of a parameter is "sum" (s).  Raises RangeError if a number is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adagrad([w], lr=0.1)
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    arrays = ("sum",)

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps}
        start = {"initial_accumulator_value": initial_accumulator_value}
        super().__init__(parameters, **numbers, **start, maximize=maximize)

    def fill(self, group: Group, name: str) -> float:
        """What the sum starts from."""
        return group["initial_accumulator_value"]

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The rate of this step, and eps."""
        return group["lr"] / (1 + (step - 1) * group["lr_decay"]), group["eps"]

    def update(self, p: Any, g: Any, a: Any, b: Any, numbers: Any, **arrays: Any) -> None:
        """See the class."""
        lr, eps = numbers
        # Not an argument of that name: it would hide the built-in function.
        squares = arrays["sum"]
        squares += np.multiply(g, g, out=a)
        np.sqrt(squares, out=a)
        a += eps
        np.divide(g, a, out=a)
        a *= lr
        p -= a


class Adadelta(Optimizer):
    """Adadelta: steps in the units of the parameters, from the ratio of two mean squares.

    With the gradient g_t, plus weight_decay * p:

        v_t = rho * v_(t-1) + (1 - rho) * g_t ** 2
        d_t = sqrt(u_(t-1) + eps) / sqrt(v_t + eps) * g_t
        u_t = rho * u_(t-1) + (1 - rho) * d_t ** 2
        p  <- p - lr * d_t

    Zeiler, ADADELTA: an adaptive learning rate method, 2012.  The state of a parameter is "square_avg" (v) and
    "acc_delta" (u).  Raises RangeError if a number is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adadelta([w])
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> np.round(w.data, 5)
    array([ 0.99684, -1.99684])
    """

    arrays = ("square_avg", "acc_delta")

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The weights of the old and of the new in the means, and the rest."""
        return group["lr"], group["rho"], 1 - group["rho"], group["eps"]

    def update(self, p: Any, g: Any, a: Any, b: Any, numbers: Any, square_avg: Any, acc_delta: Any) -> None:
        """See the class."""
        lr, old, new, eps = numbers
        mean_square(square_avg, g, old, new, a)
        np.add(square_avg, eps, out=a)
        np.sqrt(a, out=a)
        np.add(acc_delta, eps, out=b)
        np.sqrt(b, out=b)
        b /= a
        b *= g
        mean_square(acc_delta, b, old, new, a)
        b *= lr
        p -= b


def mean_square(mean: np.ndarray, values: np.ndarray, old: Any, new: Any, scratch: np.ndarray) -> None:
    """Move a running mean of squares on: `old * mean + new * values ** 2`, in place."""
    np.multiply(values, values, out=scratch)
    scratch *= new
    mean *= old
    mean += scratch
