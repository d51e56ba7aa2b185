"""Schedules that set the rate, whatever it was: warm restarts and the one-cycle policy."""

from __future__ import annotations

from math import cos, floor, pi

from ...counts import count
from ..optimizer import Optimizer
from .base import Scheduler, for_each_group


class CosineAnnealingWarmRestarts(Scheduler):
    """Half a cosine from base to `eta_min`, over and over: T_0 steps long at first, then each T_mult times longer.

        eta_min + (base - eta_min) * (1 + cos(pi * u / T)) / 2      u: steps since the last restart, T: until the next

    `step(epoch)` goes to that point, which may lie between two whole ones.
    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(3):
    ...     scheduler.step()
    >>> round(scheduler.last_lr()[0], 6)
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0, self.T_mult, self.eta_min = count("T_0", T_0), count("T_mult", T_mult), eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: float) -> float:
        """See the class."""
        length: float = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t -= length
            length *= self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * t / length)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Count one step, or go to `epoch`, and write the rates of there."""
        if epoch is None:
            return super().step()
        if not epoch >= 0:
            raise ValueError(f"step({epoch!r}) lies before the start of the schedule.  Give 0 or more, or nothing.")
        self.last_epoch = floor(epoch) if epoch == floor(epoch) else float(epoch)
        self.write()


class OneCycleLR(Scheduler):
    """The one-cycle policy: the rate rises to `max_lr` and falls to far below its start, the momentum does the reverse.

    The rate starts from max_lr / div_factor, is highest at t = pct_start * total_steps - 1, and ends, at
    t = total_steps - 1, with the start divided by final_div_factor.  Between two such points a and b, with u from
    0 to 1:

        b + (a - b) * (1 + cos(pi * u)) / 2     or, with anneal_strategy="linear",      a + (b - a) * u

    With `three_phase` it falls to its start as fast as it rose, and then to its end.  With `cycle_momentum` the
    momentum (or the first of the betas) goes from max_momentum to base_momentum at the highest rate, and back.
    `max_lr`, `base_momentum`, `max_momentum`: a number, or one for each group.  `total_steps`, or `epochs` and
    `steps_per_epoch`; stepping further than total_steps is an error.
    Smith and Topin, Super-convergence: very fast training of neural networks using large learning rates, 2019.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9)
    >>> scheduler = optim.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, div_factor=10.0)
    >>> rates = scheduler.last_lr()
    >>> for _ in range(9):
    ...     scheduler.step()
    ...     rates += scheduler.last_lr()
    >>> [round(rate, 3) for rate in rates]
    [0.1, 0.55, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.max_lrs = for_each_group(optimizer, "OneCycleLR", "max_lr", max_lr)
        highest = for_each_group(optimizer, "OneCycleLR", "max_momentum", max_momentum)
        lowest = for_each_group(optimizer, "OneCycleLR", "base_momentum", base_momentum)
        self.momenta = list(zip(highest, lowest, strict=True))
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy={anneal_strategy!r} is not known.  Give 'cos' or 'linear'.")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start={pct_start!r} is no part of the steps.  Give 0 to 1, as 0.3.")
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        self.anneal_strategy = anneal_strategy
        self.momentum = _cycled(optimizer) if cycle_momentum else None
        self.final_div_factor = final_div_factor
        rise = pct_start * self.total_steps - 1
        # Where each phase ends, and which of (start, highest, end) the rate has there.
        self.turns = [(rise, 1), (2 * rise, 0)] if three_phase else [(rise, 1)]
        self.turns.append((self.total_steps - 1, 2))
        if last_epoch == -1:
            for group, high in zip(optimizer.groups, self.max_lrs, strict=True):
                group["initial_lr"] = high / div_factor
        super().__init__(optimizer, last_epoch)

    def rates_of(self, bases: list[float]) -> list[float]:
        """See the class."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"step number {self.last_epoch} of a OneCycleLR of {self.total_steps}: the cycle is over.  "
                "Give total_steps as many as there will be."
            )
        rates = zip(bases, self.max_lrs, strict=True)
        return [self._between((base, high, base / self.final_div_factor)) for base, high in rates]

    def write(self) -> None:
        """Write the rates and the momenta of now."""
        super().write()
        if self.momentum is None:
            return
        for group, (high, low) in zip(self.optimizer.groups, self.momenta, strict=True):
            momentum = self._between((high, low, high))
            group[self.momentum] = (momentum, group["betas"][1]) if self.momentum == "betas" else momentum

    def _between(self, levels: tuple[float, float, float]) -> float:
        """Where a number is now that goes from the first of `levels` to the second, and in the end to the last."""
        begin, a = 0.0, levels[0]
        for end, level in self.turns:
            b = levels[level]
            if self.last_epoch <= end or end == self.turns[-1][0]:
                break
            begin, a = end, b
        # Once the cycle is over it stays where it ended; PyTorch's formula would go on to rates below 0.
        u = min((self.last_epoch - begin) / (end - begin), 1.0) if end != begin else 1.0
        return a + (b - a) * u if self.anneal_strategy == "linear" else b + (a - b) / 2 * (1 + cos(pi * u))


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return count("total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError(
            "OneCycleLR got neither total_steps nor epochs and steps_per_epoch, and plans the whole of training.  "
            "Give total_steps=epochs * len(loader)."
        )
    return count("epochs", epochs) * count("steps_per_epoch", steps_per_epoch)


def _cycled(optimizer: Optimizer) -> str:
    for name in ("betas", "momentum"):
        if name in optimizer.defaults:
            return name
    raise ValueError(
        f"OneCycleLR cycles the momentum, and {type(optimizer).__name__} has neither momentum nor betas.  "
        "Give cycle_momentum=False."
    )
