"""Training: a loop that people can read and replace, and what it needs around it.

The loop itself is `train_epoch` in loop.py, ten lines.  `fit` calls it once per epoch, and adds validation, schedules,
early stopping, checkpoints and a history.
"""

from .fitting import fit
from .history import History
from .loop import evaluate, predict, train_epoch
from .metrics import accuracy
from .stopping import EarlyStopping

__all__ = ["EarlyStopping", "History", "accuracy", "evaluate", "fit", "predict", "train_epoch"]
