"""Losses for scripts that have none of their own, and names that mean predictions and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import AutogradError

LABELS = ("y", "labels", "label", "targets", "target", "ytrue", "onehoty", "yonehot", "yonehotencoded", "t", "ytrain")
PREDICTIONS = ("yhat", "ypred", "pred", "preds", "prediction", "predictions", "output", "outputs", "out", "al", "probs",
               "probabilities", "a", "p", "o", "yp")  # fmt: skip


def is_label(name: str) -> bool:
    """Whether an argument of this name takes the labels."""
    return _bare(name) in LABELS


def is_prediction(name: str) -> bool:
    """Whether an argument of this name takes what the network gives."""
    return _bare(name) in PREDICTIONS


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def label_among(known: Mapping[str, Any]) -> str | None:
    """The name under which there are labels."""
    found = [name for name in known if is_label(name) and hasattr(known[name], "shape")]
    return min(found, key=lambda name: LABELS.index(_bare(name)), default=None)


def cross_entropy(A: Any, Y: Any, units: set[int]) -> Any:
    """The mean over samples of -log of the probability of the label; classes are where `A` adds up to 1."""
    sums = [np.allclose(np.sum(A.data, axis=axis), 1, atol=1e-4) for axis in range(A.ndim)]
    if A.ndim != 2 or sum(sums) != 1:
        raise AutogradError(
            "cross_entropy takes probabilities that add up to 1 along one axis, and those of the forward function, of "
            f"shape {A.shape}, add up to 1 along {sum(sums)} of its axes.  Give the loss as a function: --loss NAME."
        )
    classes = sums.index(True)
    samples = A.shape[1 - classes]
    return -np.sum(_one_hot(A, Y, classes) * np.log(A)) / samples


def _one_hot(A: Any, Y: Any, classes: int) -> Any:
    if Y.shape == A.shape:
        return Y
    labels = np.asarray(getattr(Y, "data", Y)).ravel()
    if labels.size != A.shape[1 - classes]:
        raise AutogradError(
            f"labels of shape {Y.shape} do not go with predictions of shape {A.shape}: there has to be one for each "
            "sample, or a one-hot array of the shape of the predictions."
        )
    one_hot = np.eye(A.shape[classes], dtype=A.dtype)[labels.astype(int)]
    return one_hot if classes == 1 else one_hot.T


def binary_cross_entropy(A: Any, Y: Any, units: set[int]) -> Any:
    """-(y log a + (1 - y) log(1 - a)): the mean over samples; several outputs of a sample are added up."""
    Y = _as_predictions(A, Y)
    return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / _samples(A, units)


def squared_error(A: Any, Y: Any, units: set[int]) -> Any:
    """The mean over all entries of (a - y)²."""
    return np.mean((A - _as_predictions(A, Y)) ** 2)


def _as_predictions(A: Any, Y: Any) -> Any:
    if Y.shape != A.shape and np.size(Y) != A.size:
        raise AutogradError(
            f"labels of shape {Y.shape} do not go with predictions of shape {A.shape}: they are compared entry by "
            "entry.  Give labels of the same shape, or the loss as a function: --loss NAME."
        )
    return Y.reshape(A.shape)


def _samples(A: Any, units: set[int]) -> int:
    """How many samples predictions are of: the size that no parameter has, and where that leaves two, the larger."""
    sizes = [size for size in A.shape if size not in units]
    return max(sizes or A.shape or (1,))


LOSSES = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
}
