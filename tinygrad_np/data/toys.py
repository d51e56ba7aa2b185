"""Small data sets made on the spot: three letters, and points in the plane that a straight line does not part."""

from __future__ import annotations

import numpy as np

from ..errors import RangeError
from ..randomness import Randomness

LETTERS = {
    "A": "001100 010010 111111 100001 100001",
    "B": "011110 010010 011110 010010 011110",
    "C": "011110 010000 010000 010000 011110",
}


def letters(copies: int = 1, noise: float = 0.0, rng: Randomness = None) -> tuple[np.ndarray, np.ndarray]:
    """The letters A, B, C, drawn on 5 rows of 6 pixels.

    Parameters
    ----------
    copies : int
        How often each letter is there.
    noise : float
        The probability with which each pixel is flipped.
    rng : numpy.random.Generator, int or None

    Returns
    -------
    X : (3 * copies, 30) float64 array
        Pixels of 0 or 1, a letter per row, A B C A B C and so on.
    y : (3 * copies,) int64 array
        0, 1 or 2.

    Examples
    --------
    >>> X, y = letters()
    >>> print(X[0].reshape(5, 6).astype(int))
    [[0 0 1 1 0 0]
     [0 1 0 0 1 0]
     [1 1 1 1 1 1]
     [1 0 0 0 0 1]
     [1 0 0 0 0 1]]
    >>> y
    array([0, 1, 2])
    """
    drawn = np.array([[int(pixel) for pixel in rows.replace(" ", "")] for rows in LETTERS.values()])
    X = np.tile(drawn, (copies, 1))
    flipped = np.random.default_rng(rng).random(X.shape) < noise
    return (X ^ flipped).astype(np.float64), np.tile(np.arange(3), copies)


def _points(
    samples: int, classes: int, noise: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where on its curve each sample is (0 to 1, evenly), its label, and how far it is off."""
    if samples < 0 or classes < 1:
        raise RangeError(f"samples={samples}, classes={classes}: give 0 or more samples, and 1 or more classes.")
    # Labels in turns, so that every stretch of the samples has all of them.
    rank, y = np.divmod(np.arange(samples), classes)
    counts = np.bincount(y, minlength=classes)
    along = rank / np.maximum(counts - 1, 1)[y]
    return along, y, noise * generator.standard_normal((samples, 2))


def spirals(
    samples: int = 300, classes: int = 2, noise: float = 0.02, turns: float = 1.0, rng: Randomness = None
) -> tuple[np.ndarray, np.ndarray]:
    """Points on spirals that wind around each other, one spiral per class, within the unit circle.

    Parameters
    ----------
    samples : int
        Points in all.
    classes : int
    noise : float
        Standard deviation of each coordinate.
    turns : float
        How often a spiral goes around the middle.
    rng : numpy.random.Generator, int or None

    Returns
    -------
    X : (samples, 2) float64 array
    y : (samples,) int64 array
        Labels, in turns: 0 1 0 1 and so on.

    Examples
    --------
    >>> X, y = spirals(6, classes=3, noise=0)
    >>> np.hypot(*X.T).round(3), y
    (array([0.1, 0.1, 0.1, 1. , 1. , 1. ]), array([0, 1, 2, 0, 1, 2]))
    """
    along, y, off = _points(samples, classes, noise, np.random.default_rng(rng))
    # Not from the very middle, where all of them would meet.
    radius = 0.1 + 0.9 * along
    angle = 2 * np.pi * (turns * along + y / classes)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) + off, y


def moons(samples: int = 200, noise: float = 0.1, rng: Randomness = None) -> tuple[np.ndarray, np.ndarray]:
    """Points on two half circles that reach into each other.

    The upper one is around (0, 0), the lower one around (1, 0.5), both of radius 1.  Parameters and result are as of
    `spirals`.

    Examples
    --------
    >>> X, y = moons(6, noise=0)
    >>> X.round(2) + 0
    array([[ 1. ,  0. ],
           [ 0. ,  0.5],
           [ 0. ,  1. ],
           [ 1. , -0.5],
           [-1. ,  0. ],
           [ 2. ,  0.5]])
    """
    along, y, off = _points(samples, 2, noise, np.random.default_rng(rng))
    upper = np.stack([np.cos(np.pi * along), np.sin(np.pi * along)], axis=1)
    return np.where(y[:, None] == 0, upper, [1, 0.5] - upper) + off, y


def circles(
    samples: int = 200, noise: float = 0.05, factor: float = 0.5, rng: Randomness = None
) -> tuple[np.ndarray, np.ndarray]:
    """Points on a circle of radius 1 (label 0) and on one of radius `factor` (label 1) inside of it.

    Parameters and result as of `spirals`.

    Examples
    --------
    >>> X, y = circles(8, noise=0)
    >>> np.hypot(*X.T)
    array([1. , 0.5, 1. , 0.5, 1. , 0.5, 1. , 0.5])
    """
    _, y, off = _points(samples, 2, noise, np.random.default_rng(rng))
    # Not to the end of the circle, where it begins again.
    angle = 2 * np.pi * (np.arange(samples) // 2) / np.maximum(np.bincount(y, minlength=2), 1)[y]
    radius = np.where(y == 0, 1, factor)
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) + off, y


def blobs(
    samples: int = 200, classes: int = 3, spread: float = 0.5, rng: Randomness = None
) -> tuple[np.ndarray, np.ndarray]:
    """Clouds of points, normal around one centre per class; the centres are evenly placed on a circle of radius 2.

    `spread` is the standard deviation of each coordinate; the others, and the result, are as of `spirals`.

    Examples
    --------
    >>> X, y = blobs(4, classes=2, spread=0)
    >>> X.round(2) + 0
    array([[ 2.,  0.],
           [-2.,  0.],
           [ 2.,  0.],
           [-2.,  0.]])
    """
    _, y, off = _points(samples, classes, spread, np.random.default_rng(rng))
    angle = 2 * np.pi * y / classes
    return 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + off, y
