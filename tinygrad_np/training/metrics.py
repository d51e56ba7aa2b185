"""Metrics: numbers that say how good a model is, and their means over the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..engine.tensor import Tensor
from ..errors import ShapeError

Metrics: TypeAlias = Mapping[str, Callable[[Any, Any], Any]]


def accuracy(output: Any, target: Any, axis: int = -1) -> float:
    """The share of samples whose class is right.

    `output`: scores or probabilities of the classes along `axis`; `target`: class numbers, without that axis, or one
    weight per class, such as one-hot, in the shape of `output`.  With one score per sample (a shape like that of the
    target, and no axis of classes, or of length 1), positive scores mean class 1, as for logits.

    >>> import numpy as np
    >>> from tinygrad_np.training import accuracy
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    >>> accuracy(np.array([3.0, -2.0, 0.5, 1.0]), np.array([1, 0, 1, 0]))
    0.75
    """
    output, target = np.asarray(bare(output)), np.asarray(bare(target))
    if output.shape == target.shape and (output.ndim <= 1 or output.shape[axis] == 1):
        return float(np.mean((output > 0) == (target > 0.5)))
    right = target.argmax(axis) if target.shape == output.shape else target
    classes = output.argmax(axis) if output.ndim else output
    if classes.shape != right.shape:
        raise ShapeError(
            f"accuracy() got an output of shape {output.shape}, with classes along axis {axis}, for a target of shape "
            f"{target.shape}: it needs {classes.shape}, or the output's.  Give axis=1 where the classes are there."
        )
    return float(np.mean(classes == right))


class Averages:
    """Sums over the samples of the batches of one epoch."""

    def __init__(self, metrics: Metrics | None, with_loss: bool = True) -> None:
        self.metrics = dict(metrics or {})
        self.sums = dict.fromkeys((["loss"] if with_loss else []) + list(self.metrics), 0.0)
        self.samples = 0

    def add(self, loss: Any, output: Any, target: Any) -> None:
        """Count one batch, with a loss and metrics that are means over its samples."""
        output, target = bare(output), bare(target)
        samples = len(target) if np.ndim(target) else 1
        self.samples += samples
        if "loss" in self.sums:
            self.sums["loss"] += samples * float(bare(loss))
        for name, metric in self.metrics.items():
            self.sums[name] += samples * _number(name, metric(output, target))

    def results(self, loader: Any) -> dict[str, float]:
        """The means.  Raises ValueError if there were no samples."""
        if not self.samples:
            raise ValueError(
                f"{type(loader).__name__} gave no batches: it is empty, or an iterator that was used up.  Give "
                "something that can be iterated over again for each epoch, as a DataLoader or a list."
            )
        return {name: total / self.samples for name, total in self.sums.items()}


def _number(name: str, value: Any) -> float:
    array = bare(value)
    if np.size(array) != 1 or np.asarray(array).dtype.kind not in "biuf":
        what = f"an array of shape {np.shape(array)}" if np.ndim(array) else repr(array)
        raise TypeError(
            f"the metric {name!r} returned {what}, and one number per batch is needed, to average over the epoch.  "
            "Return the mean over the samples, as float(np.mean(...))."
        )
    return float(np.asarray(array).item())


def bare(value: Any) -> Any:
    """The arrays of a tensor, or of a tuple, list or dict of them."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, Mapping):
        return {key: bare(item) for key, item in value.items()}
    return type(value)(map(bare, value)) if type(value) in (tuple, list) else value
