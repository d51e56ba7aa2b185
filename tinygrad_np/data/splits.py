"""Splitting samples into parts, and labels as one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import RangeError, ShapeError
from ..randomness import Randomness
from .sources import same_length


def random_split(
    *arrays: Any, lengths: Sequence[float], rng: Randomness = None, stratify: Any = None
) -> list[tuple[np.ndarray, ...]]:
    """The samples, shuffled and dealt out to parts: training and test data, for example.

    PyTorch's `random_split` for arrays, and scikit-learn's `train_test_split` with a tuple of arrays per part.

    Parameters
    ----------
    *arrays : array_like
        Arrays of the same first length n.
    lengths : sequence
        How large each part is: whole numbers that add up to n, or fractions that add up to 1.  Fractions are rounded
        down; the samples left over go one each to the first parts.
    rng : numpy.random.Generator, int or None
        Where the order comes from.
    stratify : array_like, optional
        A label per sample: every part then has the same share of each label, up to a sample or two.

    Returns
    -------
    list of tuple
        One tuple per part, with these rows of each array.

    Raises
    ------
    ShapeError
        Arrays, or labels to stratify by, of different first lengths.
    RangeError
        Lengths that are negative or do not add up.

    Examples
    --------
    >>> x, y = np.arange(10) / 10, np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    >>> (x_train, y_train), (x_test, y_test) = random_split(x, y, lengths=[0.5, 0.5], rng=0, stratify=y)
    >>> np.bincount(y_train), np.bincount(y_test)
    (array([3, 2]), array([3, 2]))
    """
    parts = tuple(np.asarray(array) for array in arrays)
    samples = same_length(dict(enumerate(parts)))
    ends = np.cumsum(_sizes(lengths, samples))[:-1]
    generator = np.random.default_rng(rng)
    order = generator.permutation(samples)
    if stratify is not None:
        order = order[_spread(np.asarray(stratify), order)]
    indices = np.split(order, ends)
    if stratify is not None:
        indices = [generator.permutation(index) for index in indices]
    return [tuple(array[index] for array in parts) for index in indices]


def _sizes(lengths: Sequence[float], samples: int) -> list[int]:
    given = list(lengths)
    if not given or any(length < 0 for length in given):
        raise RangeError(f"lengths={given}: a part cannot have fewer than 0 samples, and there must be a part.")
    if all(isinstance(length, int | np.integer) for length in given) and sum(given) == samples:
        return [int(length) for length in given]
    if not np.isclose(sum(given), 1):
        raise RangeError(
            f"lengths={given} add up to {sum(given):g}, but each of the {samples} samples goes to one part.  Give "
            f"whole numbers that add up to {samples} (one part may be the unwanted), or fractions that add up to 1."
        )
    # Rounded before it is rounded down: 0.7 * 10 can be 6.999999999999999.
    sizes = [int(np.floor(round(length * samples, 6))) for length in given]
    for i in range(samples - sum(sizes)):
        sizes[i % len(sizes)] += 1
    return sizes


def _spread(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Positions in `order`, such that in any stretch of them every label has its share."""
    if labels.shape != order.shape:
        raise ShapeError(
            f"stratify has shape {labels.shape} for {len(order)} samples: it holds one label per sample.  Give an "
            f"array of shape ({len(order)},)."
        )
    _, kind, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    by_label = np.argsort(kind, kind="stable")
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # The j-th of m samples of a label stands at (j + 1/2)/m of the way.
    place = (rank + 0.5) / np.repeat(counts, counts)
    return by_label[np.argsort(place, kind="stable")]


def one_hot(labels: Any, classes: int | None = None, dtype: Any = np.float32) -> np.ndarray:
    """A 1 at the place of each label, and 0 elsewhere: labels of shape (...) give (..., classes).

    Parameters
    ----------
    labels : array_like of int
        Labels from 0 to classes - 1.
    classes : int, optional
        Default: the largest label plus 1.
    dtype : data-type
        Of the result.

    Raises
    ------
    TypeError
        Labels that are no whole numbers.
    RangeError
        A label outside of 0 to classes - 1.

    Examples
    --------
    >>> one_hot([2, 0], classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.size == 0 and labels.dtype == np.float64:
        # An empty list is no list of floats.
        labels = labels.astype(np.intp)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"labels of dtype {labels.dtype} do not count classes: give whole numbers, for example with "
            "np.unique(labels, return_inverse=True)[1]."
        )
    if classes is None:
        classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise RangeError(
            f"labels from {labels.min()} to {labels.max()} do not fit {classes} classes, counted from 0.  Subtract the "
            "first label, or give more classes."
        )
    result = np.zeros((*labels.shape, classes), dtype)
    np.put_along_axis(result, labels[..., None].astype(np.intp), 1, axis=-1)
    return result
