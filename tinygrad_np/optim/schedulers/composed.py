"""Schedules made of schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from ..optimizer import Optimizer
from .base import Scheduler, begin_again, check_optimizer, check_state


class Composed(Scheduler):
    """What SequentialLR and ChainedScheduler have in common: a list of schedulers of one optimizer."""

    def __init__(self, optimizer: Any, schedulers: Iterable[Scheduler]) -> None:
        kind = type(self).__name__
        self.schedulers = list(schedulers)
        if not self.schedulers:
            raise ValueError(f"{kind} got no schedulers, and has no rates of its own.  Give a list of them.")
        for scheduler in self.schedulers:
            if not isinstance(scheduler, Scheduler):
                raise TypeError(
                    f"{kind} got a {type(scheduler).__name__}, which cannot be stepped with the others: it is no "
                    "scheduler, or needs a metric.  Step it by itself."
                )
        optimizer = self.schedulers[0].optimizer if optimizer is None else optimizer
        check_optimizer(optimizer, kind)
        if any(scheduler.optimizer is not optimizer for scheduler in self.schedulers):
            raise ValueError(f"{kind} got schedulers of several optimizers.  Make all of them for one optimizer.")
        self.optimizer, self.last_epoch = optimizer, 0

    def last_lr(self) -> list[float]:
        """The rate of each group."""
        return [group["lr"] for group in self.optimizer.groups]

    get_last_lr = last_lr

    def state_dict(self) -> dict[str, Any]:
        """The count, and the states of the schedulers."""
        states = [scheduler.state_dict() for scheduler in self.schedulers]
        return {"scheduler": type(self).__name__, "last_epoch": self.last_epoch, "schedulers": states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned; ValueError if it was saved by other schedulers."""
        check_state(state, type(self).__name__, ("scheduler", "last_epoch", "schedulers"))
        if len(state["schedulers"]) != len(self.schedulers):
            raise ValueError(
                f"the saved state has {len(state['schedulers'])} schedulers, and this {type(self).__name__} has "
                f"{len(self.schedulers)}.  Make it of the schedulers it had."
            )
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            check_state(saved, type(scheduler).__name__, tuple(scheduler.state_dict()))
        for scheduler, saved in zip(self.schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        self.last_epoch = int(state["last_epoch"])


class SequentialLR(Composed):
    """One scheduler after another: the next takes over at each of `milestones`, with its own t = 0 there.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> annealing = optim.CosineAnnealingLR(optimizer, T_max=4)
    >>> scheduler = optim.SequentialLR(optimizer, [warm_up, annealing], milestones=[2])
    >>> rates = scheduler.last_lr()
    >>> for _ in range(4):
    ...     scheduler.step()
    ...     rates += scheduler.last_lr()
    >>> [round(rate, 3) for rate in rates]
    [0.5, 0.75, 1.0, 0.854, 0.5]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Iterable[Scheduler], milestones: Iterable[int]) -> None:
        super().__init__(optimizer, schedulers)
        self.milestones = list(milestones)
        if len(self.milestones) != len(self.schedulers) - 1 or self.milestones != sorted(self.milestones):
            raise ValueError(
                f"SequentialLR got milestones={self.milestones} for {len(self.schedulers)} schedulers.  Give one for "
                "each change, in order: one fewer than there are schedulers."
            )
        self.restart()

    def step(self) -> None:
        """Step the scheduler whose turn it is."""
        self.last_epoch += 1
        current = bisect_right(self.milestones, self.last_epoch)
        if current > 0 and self.milestones[current - 1] == self.last_epoch:
            self._start(current)
        else:
            self.schedulers[current].step()

    def restart(self) -> None:
        """Start with t = 0."""
        self.last_epoch = 0
        self._start(bisect_right(self.milestones, 0))

    def _start(self, current: int) -> None:
        begin_again(self.optimizer)
        self.schedulers[current].restart()


class ChainedScheduler(Composed):
    """All schedulers at every step, one after the other: those that multiply the rate multiply each other.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = optim.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = optim.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = optim.ChainedScheduler([warm_up, decay])
    >>> rates = scheduler.last_lr()
    >>> for _ in range(3):
    ...     scheduler.step()
    ...     rates += scheduler.last_lr()
    >>> rates
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Iterable[Scheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(optimizer, schedulers)

    def step(self) -> None:
        """Step all of them."""
        self.last_epoch += 1
        for scheduler in self.schedulers:
            scheduler.step()

    def restart(self) -> None:
        """Start with t = 0."""
        self.last_epoch = 0
        for scheduler in self.schedulers:
            scheduler.restart()
