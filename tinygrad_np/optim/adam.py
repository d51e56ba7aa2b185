"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

import numpy as np

from .group import Group
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam: each entry's step is its mean gradient over the root of its mean square gradient.

    With the gradient g_t, plus weight_decay * p:

        m_t = b1 * m_(t-1) + (1 - b1) * g_t
        v_t = b2 * v_(t-1) + (1 - b2) * g_t ** 2
        p  <- p - lr * (m_t / (1 - b1 ** t)) / (sqrt(v_t / (1 - b2 ** t)) + eps)

    With `amsgrad` the largest v so far takes the place of v_t.  Kingma and Ba, Adam: a method for stochastic
    optimization, 2015; Reddi et al., On the convergence of Adam and beyond, 2018.  The state of a parameter is
    "exp_avg" (m), "exp_avg_sq" (v) and "max_exp_avg_sq".  Raises RangeError if a number is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.Adam([w], lr=0.1)
    >>> for _ in range(200):
    ...     optimizer.zero_grad()
    ...     np.sum((w - 3) ** 2).backward()
    ...     optimizer.step()
    >>> np.round(w.data, 2)
    array([3., 3.])
    """

    arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, **numbers, amsgrad=amsgrad, maximize=maximize)

    def used(self, group: Group) -> tuple[str, ...]:
        """All with amsgrad, else two."""
        return self.arrays if group["amsgrad"] else self.arrays[:2]

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The corrections of both means moved out of the arrays, into the rate and eps."""
        beta1, beta2 = group["betas"]
        new1 = 1 - beta1
        correction = sqrt(1 - beta2**step)
        rate = group["lr"] * correction / (1 - beta1**step)
        return beta1, new1, beta2, (1 - beta2) / new1**2, group["eps"] * correction, rate

    def update(
        self,
        p: Any,
        g: Any,
        a: Any,
        b: Any,
        numbers: Any,
        exp_avg: Any,
        exp_avg_sq: Any,
        max_exp_avg_sq: Any = None,
    ) -> None:
        """See the class."""
        beta1, new1, beta2, new2_of_square, eps, rate = numbers
        new = np.multiply(g, new1, out=a)
        exp_avg *= beta1
        exp_avg += new
        # Not g * g: what was just written is squared in half the time.
        new *= new
        new *= new2_of_square
        exp_avg_sq *= beta2
        exp_avg_sq += new
        if max_exp_avg_sq is not None:
            exp_avg_sq = np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
        np.sqrt(exp_avg_sq, out=a)
        a += eps
        np.divide(exp_avg, a, out=a)
        a *= rate
        p -= a


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters, instead of adding to their gradients.

        p <- p * (1 - lr * weight_decay), then Adam's step

    Loshchilov and Hutter, Decoupled weight decay regularization, 2019.  Arguments, state and errors are those of Adam.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> np.sum(w * [0.0, 1.0]).backward()
    >>> optimizer.step()
    >>> w
    Tensor([ 0.95, -2.  ], requires_grad=True)
    """

    decoupled_decay = True

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
