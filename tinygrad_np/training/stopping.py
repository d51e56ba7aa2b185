"""Early stopping: training ends when nothing gets better."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from ..counts import count


class EarlyStopping:
    """Stop once a number has not got better for `patience` epochs in a row.

    `monitor`: a column of the history, such as "val_loss" or "val_accuracy".  `mode`: whether "min" or "max" is better;
    needed unless the name ends in "loss", where less is better.  Better means by more than `min_delta`; nan never is.
    With `restore_best`, the model is given back as it was after its best epoch, also when all epochs were run; until
    then, and in checkpoints, a copy of it is kept.  `best` and `best_epoch` say what was reached.
    Prechelt, Early stopping - but when?, 1998.

    >>> from tinygrad_np.training import EarlyStopping
    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.update(epoch, loss) for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.1], 1)]
    [False, False, False, True]
    >>> stopping.best_epoch, stopping.best
    (2, 2.0)
    """

    def __init__(
        self,
        patience: int,
        monitor: str = "val_loss",
        restore_best: bool = True,
        *,
        mode: str | None = None,
        min_delta: float = 0.0,
    ) -> None:
        if mode is None and monitor.endswith("loss"):
            mode = "min"
        if mode not in ("min", "max"):
            raise ValueError(
                f"EarlyStopping(monitor={monitor!r}, mode={mode!r}) does not say whether less or more is better.  "
                'Give mode="min" or mode="max".'
            )
        if not min_delta >= 0:
            raise ValueError(f"min_delta={min_delta!r} would call worse numbers better.  Give 0 or more.")
        self.patience, self.monitor, self.restore_best = count("patience", patience), monitor, restore_best
        self.mode, self.min_delta = mode, min_delta
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: fit() does so before the first epoch."""
        self.best: float = inf if self.mode == "min" else -inf
        self.best_epoch = 0
        self.waited = 0
        self.best_state: Any = None

    @property
    def stopped(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience

    def update(self, epoch: int, value: float, weights: Callable[[], Any] = lambda: None) -> bool:
        """Count one epoch with this number; if it is the best, keep what `weights()` returns.  Returns `stopped`."""
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, epoch, 0
            self.best_state = weights() if self.restore_best else None
        else:
            self.waited += 1
        return self.stopped

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far."""
        seen = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return {**seen, "monitor": self.monitor, "best_state": self.best_state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict()` returned; starts anew if that looked at another number."""
        self.reset()
        if state["monitor"] == self.monitor:
            self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
            self.best_state = state["best_state"]
