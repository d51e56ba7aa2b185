"""What all losses have in common: checks of their arguments, and reductions."""

import math

import numpy as np

from ...engine.batched import unbatched
from ...engine.door import bare
from ...errors import RangeError, ShapeError
from ..nn import floating
from ..reduce import operand


def check_same_shape(name, p, y):
    """Refuse to compare arrays of different shapes entry by entry."""
    # (m, 1) against (m,) would broadcast to (m, m) and give a wrong loss without a word.
    if p.shape != y.shape:
        raise ShapeError(
            f"{name} compares entry by entry, and shapes {p.shape} and {y.shape} differ: broadcasting them "
            "would average the wrong pairs.  Reshape one of them."
        )


def real(x):
    """What is no array yet as one, and whole numbers as floating ones."""
    return x if hasattr(x, "dtype") and x.dtype.kind == "f" else floating(x)


def like(x, p):
    """Labels, weights and whatever else belongs to p in its dtype, unless they are tensors or single already."""
    x = operand(x)
    if x.dtype == p.dtype or (x.dtype.kind == "f" and hasattr(x, "requires_grad")):
        return x
    return np.astype(x, p.dtype)


def plain(labels):
    """Labels that need no gradient, as an array."""
    return operand(bare(labels))


def pair(name, p, y):
    """Two arrays of the same shape to compare entry by entry, else ShapeError."""
    p = real(p)
    y = operand(y)
    check_same_shape(name, p, y)
    return p, y if y.dtype.kind == "f" else np.astype(y, p.dtype)


def weighted(name, losses, weight):
    """The losses times weights, which broadcast to them and do not make them larger."""
    if weight is None:
        return losses
    weight = like(weight, losses)
    if losses.ndim < weight.ndim or any(
        n not in (1, m) for n, m in zip(weight.shape[::-1], losses.shape[::-1], strict=False)
    ):
        raise ShapeError(
            f"{name} has a loss for each entry of shape {losses.shape}, and weights of shape {weight.shape} do not "
            "broadcast to it.  Give one weight for each entry, or one for each entry of the last axes."
        )
    return losses * weight


def reduced(name, losses, reduction):
    """The mean or the sum of the losses, or all of them; the mean of no losses is 0."""
    if reduction == "none":
        return losses
    if reduction == "sum" or (reduction == "mean" and not losses.size):
        return np.sum(losses)
    if reduction == "mean":
        return np.mean(losses)
    raise wrong_reduction(name, reduction)


def wrong_reduction(name, reduction, known=("mean", "sum", "none")):
    """The error for a reduction that the loss does not have."""
    choices = " or ".join(f'"{word}"' for word in known)
    return ValueError(
        f"{name} adds up its losses by reduction={choices}, and not {reduction!r}.  Write one of these, or "
        'reduction="none" and your own function of all losses.'
    )


def mean_of(values, n):
    """Their sum over n, in at least single precision: half overflows at 65,504."""
    if values.dtype == np.float16:
        return np.float16(np.add.reduce(values, None, np.float32) / (n or 1))
    return np.add.reduce(values, None) / (n or 1)


def samples(shape, axis):
    """How many samples a mean over all axes but the class axis is over."""
    return max(1, math.prod(shape) // max(1, shape[axis]))


def check_signs(name, y):
    """Refuse labels that are not -1 or 1."""
    every = np.asarray(unbatched(y))
    wrong = every[np.abs(every) != 1]
    if wrong.size:
        raise RangeError(
            f"{name} takes labels -1 and 1, and among those of shape {y.shape} is {wrong[0]}.  Write 2 * y - 1 for "
            "labels 0 and 1."
        )


def check_shares(name, y):
    """Refuse labels that are far from 0 to 1: the loss would have no minimum."""
    y = unbatched(y)
    # A little beyond is rounding, or the step of a finite difference.
    if y.size and (y.min() < -0.05 or y.max() > 1.05):
        raise RangeError(
            f"{name} takes labels from 0 to 1, and those of shape {y.shape} go from {y.min():.6g} to {y.max():.6g}.  "
            "Write (y + 1) / 2 for labels -1 and 1, or cross_entropy for more than two classes."
        )


def check_at_least(name, what, value, low, open_end=False):
    """Refuse a parameter below its bound."""
    if not (value > low if open_end else value >= low):
        raise RangeError(
            f"{name} needs {what} {'above' if open_end else 'of at least'} {low}, and got {what}={value}: the loss "
            "would have no minimum, or divide by 0.  Leave it away for the usual one."
        )
