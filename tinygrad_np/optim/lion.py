"""Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .group import Group
from .optimizer import Optimizer


class Lion(Optimizer):
    """Lion: the sign of a mean gradient, so that every entry moves by lr.

    With the gradient g_t:

        p  <- p - lr * (sign(b1 * m_(t-1) + (1 - b1) * g_t) + weight_decay * p)
        m_t = b2 * m_(t-1) + (1 - b2) * g_t

    Chen et al., Symbolic discovery of optimization algorithms, 2023; the paper recommends a rate 3 to 10 times smaller
    than Adam's and a decay as much larger.  The state of a parameter is "exp_avg" (m).  Raises RangeError if a number
    is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Lion([w], lr=0.1)
    >>> np.sum(w ** 2).backward()
    >>> optimizer.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    arrays = ("exp_avg",)
    decoupled_decay = True

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The rate, and the weights of the gradient in both means."""
        beta1, beta2 = group["betas"]
        return group["lr"], 1 - beta1, 1 - beta2

    def update(self, p: Any, g: Any, a: Any, b: Any, numbers: Any, exp_avg: Any) -> None:
        """See the class."""
        lr, new1, new2 = numbers
        change = np.subtract(g, exp_avg, out=a)
        np.multiply(change, new1, out=b)
        b += exp_avg
        np.sign(b, out=b)
        b *= lr
        p -= b
        change *= new2
        exp_avg += change
