"""Schedules that multiply the rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from math import cos, pi

from ...counts import count
from ..optimizer import Optimizer
from .base import Scheduler, for_each_group


class StepLR(Scheduler):
    """The rate times `gamma` every `step_size` steps: base * gamma ** (t // step_size).

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     scheduler.step()
    >>> scheduler.last_lr()
    [0.25]
    """

    chains = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = count("step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(Scheduler):
    """The rate times `gamma` at each of `milestones`: base * gamma ** (number of milestones <= t).

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(3):
    ...     scheduler.step()
    >>> scheduler.last_lr()
    [0.25]
    """

    chains = True

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return base * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(Scheduler):
    """The rate times `gamma` at every step: base * gamma ** t.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     scheduler.step()
    >>> scheduler.last_lr()
    [0.125]
    """

    chains = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return base * self.gamma**t


class ConstantLR(Scheduler):
    """A reduced rate at the start: base * factor for t < total_iters, then base.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.ConstantLR(optimizer, factor=0.5, total_iters=1)
    >>> scheduler.last_lr()
    [0.5]
    >>> scheduler.step()
    >>> scheduler.last_lr()
    [1.0]
    """

    chains = True

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR got factor={factor!r}, and starts from a part of the rate.  Give 0 to 1.")
        self.factor, self.total_iters = factor, count("total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return base * self.factor if t < self.total_iters else base


class LinearLR(Scheduler):
    """A factor that changes linearly, as for a warm-up, and then stays.

        base * (start_factor + (end_factor - start_factor) * min(t / total_iters, 1))

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.LinearLR(optimizer, start_factor=0.5, total_iters=4)
    >>> scheduler.step()
    >>> scheduler.last_lr()
    [0.625]
    """

    chains = True

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR got start_factor={start_factor!r} and end_factor={end_factor!r}: from a rate of 0 nothing "
                "would be learnt, and factors are parts of the rate.  Give 0 < start_factor <= 1, 0 <= end_factor <= 1."
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = count("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        if t >= self.total_iters:
            return base * self.end_factor
        return base * (self.start_factor + (self.end_factor - self.start_factor) * t / self.total_iters)


class PolynomialLR(Scheduler):
    """A rate that falls to 0 like a power: base * (1 - min(t / total_iters, 1)) ** power.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.PolynomialLR(optimizer, total_iters=4, power=2.0)
    >>> scheduler.step()
    >>> scheduler.last_lr()
    [0.5625]
    """

    chains = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = count("total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingLR(Scheduler):
    """A rate that falls from base to `eta_min` along half a cosine in `T_max` steps.

        eta_min + (base - eta_min) * (1 + cos(pi * t / T_max)) / 2

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.CosineAnnealingLR(optimizer, T_max=10)
    >>> for _ in range(10):
    ...     scheduler.step()
    >>> scheduler.last_lr()
    [0.0]
    """

    chains = True

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = count("T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        """See the class."""
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * t / self.T_max)) / 2

    def floor(self) -> float:
        """Only what lies above the lowest rate is annealed."""
        return self.eta_min


class LambdaLR(Scheduler):
    """A factor of your own: base * lr_lambda(t), with one function or one for each group.

    Functions are not saved with the state: give them again when going on.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> scheduler.step()
    >>> scheduler.last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | list, last_epoch: int = -1) -> None:
        self.lr_lambdas = for_each_group(optimizer, "LambdaLR", "lr_lambda", lr_lambda)
        super().__init__(optimizer, last_epoch)

    def rates_of(self, bases: list[float]) -> list[float]:
        """See the class."""
        return [base * own(self.last_epoch) for base, own in zip(bases, self.lr_lambdas, strict=True)]
