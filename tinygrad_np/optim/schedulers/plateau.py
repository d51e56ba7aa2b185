"""A rate that falls when nothing gets better."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from ...counts import count
from ...engine.tensor import Tensor
from ..optimizer import Optimizer
from .base import check_groups, check_state, for_each_group


class ReduceLROnPlateau:
    """The rate times `factor` once a metric has not got better for more than `patience` steps.

    `mode`: whether "min" or "max" is better.  Better is, for "min", a metric below best * (1 - threshold), or with
    threshold_mode="abs" below best - threshold; for "max" above best * (1 + threshold) or best + threshold.
    After a change, `cooldown` steps do not count; no rate goes below `min_lr` (one, or one for each group),
    and changes of at most `eps` are not made.

    >>> import tinygrad_np as tg
    >>> from tinygrad_np import optim
    >>> optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     scheduler.step(loss)
    >>> scheduler.last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.min_lrs = for_each_group(optimizer, "ReduceLROnPlateau", "min_lr", min_lr)
        if not 0 <= factor < 1:
            raise ValueError(f"factor={factor!r} does not reduce a rate.  Give one in [0, 1), as 0.1.")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"mode={mode!r} with threshold_mode={threshold_mode!r} is not known.  "
                "Give 'min' or 'max', and 'rel' or 'abs'."
            )
        self.optimizer, self.mode, self.factor = optimizer, mode, factor
        self.patience, self.cooldown = count("patience", patience, 0), count("cooldown", cooldown, 0)
        self.threshold, self.threshold_mode, self.eps = threshold, threshold_mode, eps
        self.last_epoch = 0
        self.best = inf if mode == "min" else -inf
        self.cooldown_counter = self.num_bad_epochs = 0

    def step(self, metrics: Any) -> None:
        """Count one step with this metric (a number, or a tensor of one), and reduce the rates if it is time."""
        check_groups(self.optimizer, len(self.min_lrs), "ReduceLROnPlateau")
        metric = float(metrics.detach() if isinstance(metrics, Tensor) else metrics)
        self.last_epoch += 1
        better = self._better(metric)
        self.best = metric if better else self.best
        self.num_bad_epochs = 0 if better else self.num_bad_epochs + 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            wanted = self.best * (1 + sign * self.threshold)
        else:
            wanted = self.best + sign * self.threshold
        return sign * metric > sign * wanted

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.groups, self.min_lrs, strict=True):
            reduced = max(group["lr"] * self.factor, least)
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced

    def last_lr(self) -> list[float]:
        """The rate of each group."""
        return [group["lr"] for group in self.optimizer.groups]

    get_last_lr = last_lr

    def state_dict(self) -> dict[str, Any]:
        """The counts and the best metric so far."""
        counts = {"cooldown_counter": self.cooldown_counter, "num_bad_epochs": self.num_bad_epochs}
        return {"scheduler": "ReduceLROnPlateau", "last_epoch": self.last_epoch, "best": self.best, **counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict()` returned; the optimizer's own state holds the rates themselves."""
        check_state(state, "ReduceLROnPlateau", tuple(self.state_dict()))
        self.best = float(state["best"])
        self.last_epoch = int(state["last_epoch"])
        self.cooldown_counter, self.num_bad_epochs = int(state["cooldown_counter"]), int(state["num_bad_epochs"])
