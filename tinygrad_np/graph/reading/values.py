"""The gradients that a tape is known to have brought, and arrays summed up for pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...engine.replay import owner_of, plain
from ...engine.tape import Node
from ...engine.walk import root_mean_square
from ..parts import Summary
from ..words import size, summary

BINS, PIXELS, MOST = 16, 28, 1_000_000
"""Steps of a histogram, the longest side of an image, and of how many entries a histogram is made at most."""

Uses = Sequence[tuple[Node, int]]
"""The ops of a tape that use a node, and in which place."""


# -- gradients --------------------------------------------------------------------------------


def came_back(node: Node, uses: Uses) -> Any:
    """The gradient that the last backward pass along this tape brought, as far as it was noted.

    An array, or a float that is its root mean square, or None.
    """
    if not node.is_leaf:
        noted = None if node.trace is None else node.trace.gradient
        grad = node.cotangent if noted is None else noted
    elif node.owner is not None and node.owner.hooks:
        grad = None if node.trace is None else node.trace.gradient
    else:
        # A leaf may be in many tapes: what was noted of it itself may be of another.
        parts = [part for part in (_noted(op, i) for op, i in uses) if part is not None]
        grad = sum(np.asarray(plain(part)) for part in parts) if parts else None
    # Of an op with several results, each shows its own.
    if grad is None or type(grad) is float or isinstance(grad, list):
        return grad if type(grad) is float else None
    # Inside the walk gradients of complex numbers are not conjugated.
    return np.conj(plain(grad))


def deposited(node: Node, owner: Any = None) -> Any:
    """The array in `.grad` of the tensor of a node, or None."""
    grad = plain(getattr(owner_of(node) if owner is None else owner, "grad", None))
    return None if grad is None else np.asarray(grad)


def accumulated(node: Node) -> bool:
    """Whether `.grad` is known to be the sum over several backward passes."""
    return bool(getattr(node.owner, "accumulated", False))


def walked(op: Node) -> bool:
    """Whether a backward pass has gone through an op."""
    return op.kept is None or op.cotangent is not None or (op.trace is not None and op.trace.gradient is not None)


def changed(leaf: Node) -> bool:
    """Whether the tensor of a leaf is known to hold other numbers by now than it was recorded with."""
    now, then = getattr(owner_of(leaf), "data", None), None if leaf.trace is None else leaf.trace.value
    if now is None or then is None:
        return False
    now, then = plain(now), plain(then)
    return now is not then and not np.array_equal(now, then, equal_nan=now.dtype.kind in "fc")


def contribution(node: Node, i: int) -> float | None:
    """The size of the gradient that went from an op to its input `i`, where it was noted."""
    noted = _noted(node, i)
    return None if noted is None else magnitude(plain(noted))


def _noted(node: Node, i: int) -> Any:
    return None if node.trace is None or node.trace.gradients is None else node.trace.gradients.get(i)


def magnitude(grad: Any) -> float | None:
    """The root mean square of a gradient, as `came_back` gives it."""
    if grad is None or type(grad) is float:
        return grad
    grad = np.asarray(grad)
    return root_mean_square(grad) if grad.size else 0.0


def gradient_summary(node: Node, brought: Any, owner: Any = None, detailed: bool = True) -> Summary | None:
    """The gradient of a node in words: what the last pass brought, and what `.grad` holds where that is another."""
    grad = deposited(node, owner)
    if grad is None:
        return summarized(brought, detailed)
    if brought is None:
        found = summarized(grad, detailed)
        more = ", summed over several backward passes" if accumulated(node) else ""
        return None if found is None else replace(found, text=found.text + more)
    if _same(brought, grad):
        return summarized(grad, detailed)
    found, held = summarized(brought, detailed), summarized(grad, False)
    if found is None or held is None:
        return found or held
    return replace(found, text=f"{found.text} in this pass; .grad: {held.text}")


def _same(brought: Any, grad: np.ndarray) -> bool:
    """Whether two gradients agree to the digits of their dtype; of a large one perhaps only the size is known."""
    close = 1e-2 if grad.dtype.itemsize <= 2 else 1e-4
    if type(brought) is float:
        found = magnitude(grad)
        return found is not None and (math.isclose(brought, found, rel_tol=close) or not math.isfinite(brought))
    scale = magnitude(grad) or 0.0
    with np.errstate(all="ignore"):
        return brought.shape == grad.shape and bool(
            np.allclose(brought, grad, rtol=close, atol=close * scale, equal_nan=True)
        )


# -- arrays -----------------------------------------------------------------------------------


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
        *(_image(shown) if detailed else ()),
    )


def _histogram(array: np.ndarray) -> tuple[float, float, tuple[int, ...]]:
    """The smallest and the largest entry, and how many entries are in each of equal steps between them."""
    flat = array.reshape(-1)
    finite = flat if np.isfinite(flat).all() else flat[np.isfinite(flat)]
    if finite.size < 2:
        return 0.0, 0.0, ()
    low, high = float(finite.min()), float(finite.max())
    if not 0 < high - low < math.inf:
        return low, high, ()
    sample = finite[:: _stride(array)].astype(np.float64)
    steps = np.minimum(((sample - low) / (high - low) * BINS).astype(int), BINS - 1)
    so_far = np.bincount(steps, minlength=BINS).cumsum()
    # Of a sample, counts that add up to all entries.
    counts = np.diff(np.round(so_far * (finite.size / sample.size)).astype(int), prepend=0)
    return low, high, tuple(counts.tolist())


def _stride(array: np.ndarray) -> int:
    """The distance of the entries in a sample of a large array, which comes by all its columns and all its rows."""
    stride = -(-array.size // MOST)
    while any(math.gcd(stride, n) > 1 for n in array.shape):
        stride += 1
    return stride


def _image(array: np.ndarray) -> tuple[tuple[tuple[int, ...], ...], float, float]:
    """The last two axes of the first example, from the smallest entry shown as 0 to the largest as 255, and these."""
    nothing = ((), 0.0, 0.0)
    if array.ndim == 0 or array.size < 2:
        return nothing
    matrix = array.reshape(1, -1) if array.ndim == 1 else array[(0,) * (array.ndim - 2)]
    rows, columns = (max(1, -(-n // PIXELS)) for n in matrix.shape)
    matrix = matrix[::rows, ::columns].astype(np.float64)
    finite = np.isfinite(matrix)
    if not finite.any():
        return nothing
    low, high = float(matrix[finite].min()), float(matrix[finite].max())
    scaled = np.where(finite, matrix, low) / 2 - low / 2
    half = high / 2 - low / 2
    image = (scaled * (255 / half if half else 0)).round().astype(int)
    return tuple(tuple(row) for row in image.tolist()), low, high
