"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .group import Group
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    With the gradient g_t, plus weight_decay * p:

        b_t = momentum * b_(t-1) + (1 - dampening) * g_t        b_1 = g_1
        p  <- p - lr * b_t                                      or, with nesterov,
        p  <- p - lr * (g_t + momentum * b_t)

    and p <- p - lr * g_t without momentum.  Sutskever et al., On the importance of initialization and momentum in
    deep learning, 2013.  Raises RangeError if a number is out of range.

    >>> import numpy as np, tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> w = tg.Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     np.sum(w ** 2).backward()
    ...     optimizer.step()
    >>> w
    Tensor([ 0.46, -0.92], requires_grad=True)
    """

    arrays = ("momentum_buffer",)

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        numbers = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(parameters, **numbers, nesterov=nesterov, maximize=maximize)

    def check(self, group: Group) -> None:
        """Nesterov's step looks ahead along the momentum."""
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                f"nesterov=True with momentum={group['momentum']} and dampening={group['dampening']}: it looks ahead "
                "along an undamped momentum.  Give a momentum above 0, such as 0.9, and dampening=0."
            )

    def used(self, group: Group) -> tuple[str, ...]:
        """The buffer, if there is a momentum."""
        return self.arrays if group["momentum"] else ()

    def numbers(self, group: Group, step: int) -> tuple[Any, ...]:
        """The first gradient goes into the buffer undamped."""
        dampening = group["dampening"] if step > 1 else 0.0
        return group["lr"], group["momentum"], 1 - dampening if dampening else None, bool(group["nesterov"])

    def update(self, p: Any, g: Any, a: Any, b: Any, numbers: Any, momentum_buffer: Any = None) -> None:
        """See the class."""
        lr, momentum, undamped, nesterov = numbers
        direction = g
        if momentum_buffer is not None:
            momentum_buffer *= momentum
            momentum_buffer += g if undamped is None else np.multiply(g, undamped, out=a)
            direction = momentum_buffer
            if nesterov:
                direction = np.multiply(momentum_buffer, momentum, out=a)
                direction += g
        p -= np.multiply(direction, lr, out=a)
