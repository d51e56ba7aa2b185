"""The gradients that a tape is known to have brought, and arrays summed up for pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.replay import owner_of, plain
from ...engine.tape import Node
from ...engine.walk import root_mean_square
from ..parts import Summary
from ..words import size, summary

BINS, PIXELS, SAMPLE = 16, 28, 10_000
"""Steps of a histogram, the longest side of an image, and of how many entries a histogram is made."""


def gradient(node: Node, owner: Any = None) -> Any:
    """The gradient that the last backward pass left: an array, or a float that is its root mean square, or None."""
    owner = owner_of(node) if owner is None else owner
    grad = plain(getattr(owner, "grad", None))
    if grad is not None:
        return np.asarray(grad)
    if node.trace is not None and node.trace.gradient is not None:
        grad = node.trace.gradient
    else:
        grad = node.cotangent
    # Inside the walk gradients of complex numbers are not conjugated.
    if isinstance(grad, list):
        return None  # of an op with several results, each of which shows its own
    return grad if grad is None or type(grad) is float else np.conj(plain(grad))


def contribution(node: Node, i: int) -> float | None:
    """The size of the gradient that went from an op to its input `i`, where it was noted."""
    noted = None if node.trace is None or node.trace.gradients is None else node.trace.gradients.get(i)
    return None if noted is None else magnitude(plain(noted))


def magnitude(grad: Any) -> float | None:
    """The root mean square of a gradient, as `gradient` gives it."""
    if grad is None or type(grad) is float:
        return grad
    grad = np.asarray(grad)
    return root_mean_square(grad) if grad.size else 0.0


def summarized(array: Any, detailed: bool = True) -> Summary | None:
    """An array, or the root mean square of one, in a few words and numbers; `detailed` with histogram and image."""
    array = plain(array)
    if array is None or isinstance(array, tuple | list):
        return None
    if type(array) is float:
        return Summary(f"RMS {size(array)}", array, bad=int(not math.isfinite(array)), nans=int(math.isnan(array)))
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        return Summary(f"{array.dtype} {array.shape}")
    shown = np.abs(array) if array.dtype.kind == "c" else array
    return Summary(
        summary(array),
        magnitude(array) if array.dtype.kind in "fc" else None,
        int(array.size - np.count_nonzero(np.isfinite(array))),
        int(np.count_nonzero(np.isnan(array))),
        *(_histogram(shown) if detailed else (0.0, 0.0, ())),
        _image(shown) if detailed else (),
    )


def _histogram(array: np.ndarray) -> tuple[float, float, tuple[int, ...]]:
    flat = array.reshape(-1)[:: max(1, array.size // SAMPLE)].astype(np.float64)
    flat = flat[np.isfinite(flat)]
    if flat.size < 2:
        return 0.0, 0.0, ()
    low, high = float(flat.min()), float(flat.max())
    if not 0 < high - low < math.inf:
        return low, high, ()
    counts = np.bincount(np.minimum(((flat - low) / (high - low) * BINS).astype(int), BINS - 1), minlength=BINS)
    return low, high, tuple(counts.tolist())


def _image(array: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The last two axes of the first example, from the smallest entry as 0 to the largest as 255."""
    if array.ndim == 0 or array.size < 2:
        return ()
    matrix = array.reshape(1, -1) if array.ndim == 1 else array[(0,) * (array.ndim - 2)]
    rows, columns = (max(1, -(-n // PIXELS)) for n in matrix.shape)
    matrix = matrix[::rows, ::columns].astype(np.float64)
    finite = np.isfinite(matrix)
    if not finite.any():
        return ()
    low, high = matrix[finite].min(), matrix[finite].max()
    scaled = np.where(finite, matrix, low) / 2 - low / 2
    half = high / 2 - low / 2
    return tuple(tuple(row) for row in (scaled * (255 / half if half else 0)).round().astype(int).tolist())
