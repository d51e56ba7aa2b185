"""What all schedules of rates have in common: counting, writing, and leaving room for each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..optimizer import Optimizer


class Scheduler:
    """A rate that depends on the number of steps: a subclass says `rate(base, t)`.

    `base` is the rate of a group when its first scheduler was made (kept as `group["initial_lr"]`), t counts calls of
    `step()`.  Making a scheduler sets the rates for t = 0; `step()` is called after `optimizer.step()` and writes the
    next ones into `group["lr"]`.  `last_epoch`: the t to go on from, after loading the optimizer's state.

    Schedulers that multiply (`chains`) leave room for each other, as in PyTorch: if somebody else changed the rate
    since the last step, they go on from there.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> class Halving(optim.schedulers.Scheduler):
    ...     def rate(self, base, t):
    ...         return base / 2 ** t
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=0.1)
    >>> scheduler = Halving(optimizer)
    >>> scheduler.step()
    >>> optimizer.groups[0].lr
    0.05
    """

    chains = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer, type(self).__name__)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"last_epoch={last_epoch}, but group {number} has no 'initial_lr': where the schedule started is "
                    "not known.  Load the optimizer's state first, or leave last_epoch away."
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.groups]
        self.last_epoch: float = last_epoch + 1
        self.bases, self.written = list(self.base_lrs), list(self.base_lrs)
        if last_epoch == -1:
            self.restart()
        else:
            self.write()

    # -- what a subclass says -----------------------------------------------------------------

    def rate(self, base: float, t: Any) -> float:
        """The rate after `t` steps of a group that started from `base`."""
        raise NotImplementedError

    def floor(self) -> float:
        """The rate that multiplying leaves alone: it scales what lies above."""
        return 0.0

    def rates_of(self, bases: list[float]) -> list[float]:
        """The rate of each group."""
        return [self.rate(base, self.last_epoch) for base in bases]

    # -- what users call ----------------------------------------------------------------------

    def step(self) -> None:
        """Count one step, and write the rates it leads to."""
        check_groups(self.optimizer, len(self.bases), type(self).__name__)
        if self.chains:
            self.take_over()
        self.last_epoch += 1
        self.write()

    def last_lr(self) -> list[float]:
        """The rate this scheduler wrote last, for each group."""
        return list(self.written)

    get_last_lr = last_lr

    def state_dict(self) -> dict[str, Any]:
        """The count and the rates, as numbers and lists."""
        state = {"base_lrs": self.base_lrs, "bases": self.bases, "written": self.written}
        own = {"scheduler": type(self).__name__, "last_epoch": self.last_epoch}
        return {**own, **{key: list(value) for key, value in state.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned; the optimizer's own state holds the rates themselves.

        Raises ValueError, before anything is changed, if it was saved by another scheduler or for other groups.
        """
        check_state(state, type(self).__name__, tuple(self.state_dict()))
        lists = {key: [float(number) for number in state[key]] for key in ("base_lrs", "bases", "written")}
        groups = len(self.optimizer.groups)
        if any(len(numbers) != groups for numbers in lists.values()):
            raise ValueError(
                f"the saved state of {type(self).__name__} has rates for {len(lists['bases'])} groups, and the "
                f"optimizer has {groups}.  Make the optimizer with the groups it had."
            )
        self.last_epoch = whole(state["last_epoch"])
        self.base_lrs, self.bases, self.written = lists["base_lrs"], lists["bases"], lists["written"]

    # -- how it is done -----------------------------------------------------------------------

    def take_over(self) -> None:
        """Where somebody else changed the rate that was written: go on from the base that leads to it now."""
        low = self.floor()
        factor = self.rate(low + 1.0, self.last_epoch) - low
        for i, group in enumerate(self.optimizer.groups):
            if group["lr"] != self.written[i] and factor:
                self.bases[i] = low + (group["lr"] - low) / factor

    def write(self) -> None:
        """Write the rates of now."""
        self.written = self.rates_of(self.bases)
        for group, rate in zip(self.optimizer.groups, self.written, strict=True):
            group["lr"] = rate

    def restart(self) -> None:
        """Start with t = 0, from the rates as they are; one that does not chain, from those at the beginning."""
        self.last_epoch = 0
        self.bases = [group["lr"] for group in self.optimizer.groups] if self.chains else list(self.base_lrs)
        self.write()


def begin_again(optimizer: Optimizer) -> None:
    """Set all rates to those from before their first scheduler."""
    for group in optimizer.groups:
        group["lr"] = group["initial_lr"]


def check_groups(optimizer: Optimizer, known: int, kind: str) -> None:
    """Raise if groups were added to the optimizer since a scheduler of it was made."""
    if len(optimizer.groups) != known:
        raise ValueError(
            f"{kind} was made for {known} groups, and the optimizer has {len(optimizer.groups)} now: no rate is known "
            "for the others.  Make the scheduler after adding groups."
        )


def whole(number: Any) -> Any:
    """A count as an int; parts of a step stay a float."""
    return int(number) if float(number).is_integer() else float(number)


def check_optimizer(optimizer: Any, kind: str) -> None:
    """Raise unless it is an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{kind} got a {type(optimizer).__name__} to schedule, and only an optimizer has rates.  "
            f"Write {kind}(optimizer, ...)."
        )


def for_each_group(optimizer: Any, kind: str, name: str, value: Any) -> list[Any]:
    """The values in a list of them, or the one value for each group of the optimizer."""
    check_optimizer(optimizer, kind)
    groups = len(optimizer.groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(
            f"{kind} got {len(values)} values of {name} for {groups} groups.  Give one for each, or one for all."
        )
    return values


def check_state(state: Any, kind: str, keys: tuple[str, ...]) -> None:
    """Raise unless `state` was saved by a scheduler of this kind."""
    missing = [key for key in keys if key not in state] if isinstance(state, Mapping) else list(keys)
    if missing or str(state["scheduler"]) != kind:
        what = f"{missing[0]!r} is missing" if missing else f"it is one of {state['scheduler']}"
        raise ValueError(f"this is not a state of {kind}: {what}.  Give what {kind}.state_dict() returned.")
