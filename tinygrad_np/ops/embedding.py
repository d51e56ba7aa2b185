"""Tables of vectors: rows picked by number, one-hot rows, positions, and bilinear forms."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.batched import unbatched
from ..engine.door import bare
from ..engine.op import composite, linear
from ..errors import RangeError, ShapeError
from .index import scatter
from .reduce import operand

# -- rows by number ---------------------------------------------------------------------------


def _sum_rows(rows, numbers, into):
    """Zeros of shape `into`, with each row added to the one of its number."""
    if numbers.size < 4 * into[0]:
        return scatter(rows, numbers, into)
    # Where numbers occur often, sums over rows that are sorted by them are faster than single additions.
    numbers = numbers.ravel()
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    out = np.zeros(into, rows.dtype)
    if found.size:
        out[found] = np.add.reduceat(rows.reshape(-1, into[1])[order], starts, 0)
    return out


# Each is the other's transpose.
_rows_at: Any = linear(
    lambda weight, numbers: weight[numbers],
    name="embedding",
    fresh=True,
    transpose=lambda g, numbers, shape: _summed_rows(g, numbers, shape),
)
_summed_rows: Any = linear(_sum_rows, name="summed_rows", fresh=True, transpose=lambda g, numbers: _rows_at(g, numbers))


def checked_numbers(name: str, numbers: Any, count: int) -> np.ndarray:
    """Whole numbers from 0 to count - 1 as an array, or an error that names those that are none."""
    numbers = operand(bare(numbers))
    if numbers.dtype.kind not in "iu" and numbers.size:
        raise TypeError(
            f"{name} takes whole numbers, and got shape {numbers.shape} of dtype {numbers.dtype}.  Turn what is "
            "meant as numbers into some: x.astype(int)."
        )
    numbers, every = numbers.astype(np.intp, copy=False), unbatched(numbers)
    if every.size and not (every.min() >= 0 and every.max() < count):
        outside = every[(every < 0) | (every >= count)]
        raise IndexError(
            f"{name} counts from 0 to {count - 1}, and {outside.size} of the numbers of shape {numbers.shape} are "
            f"outside, such as {outside[0]}.  Make the table larger, or keep one number for all that are unknown."
        )
    return numbers


@composite(
    sample=lambda r: [
        r(r.integers(5, 2, 3), r.real(5, 4)),
        r(r.integers(3, 30), r.real(3, 2)),
        r(np.array(1), r.real(3, 2)),
        r(np.zeros((0, 2), int), r.real(3, 2)),
    ]
)
def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """The rows of `weight` with these numbers: (...) to (..., features).

    The row of `padding_idx` gets no gradient.  Raises IndexError for a number that is no row, also for negative ones,
    and TypeError for what is not whole.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import embedding
    >>> embedding(np.array([2, 0]), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    array([[3., 3.],
           [1., 1.]])
    """
    if weight.ndim != 2:
        raise ShapeError(f"embedding takes rows from a table (entries, features), and weight has shape {weight.shape}.")
    numbers = checked_numbers("embedding", indices, weight.shape[0])
    rows = _rows_at(weight, numbers)
    if padding_idx is None:
        return rows
    padding = checked_numbers("embedding's padding_idx", padding_idx + (padding_idx < 0) * weight.shape[0], len(weight))
    return np.where((numbers == padding)[..., None], bare(rows), rows)


def one_hot(indices: Any, num_classes: int | None = None, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
    """A 1 at each number and 0 elsewhere: (...) to (..., num_classes); by default up to the largest number.

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import one_hot
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    if num_classes is None:
        num_classes = int(np.max(bare(indices), initial=-1)) + 1
    numbers = checked_numbers("one_hot", indices, num_classes)
    out = np.zeros((*numbers.shape, num_classes), dtype)
    np.put_along_axis(out, numbers[..., None], 1, axis=-1)
    return out


# -- positions --------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def sinusoidal_positions(length: int, features: int, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
    """A read-only table (length, features): row t has sin(t w) and cos(t w) in turn, w = 10000**(-2i / features).

    (Vaswani et al., "Attention is all you need", 2017, section 3.5.)

    >>> from tinygrad_np.nn.functional import sinusoidal_positions
    >>> sinusoidal_positions(2, 4).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    if features % 2 or features < 2:
        raise RangeError(f"sines and cosines come in pairs, and features={features} is not even.  Take {features + 1}.")
    frequencies = 10000.0 ** (-np.arange(0, features, 2) / features)
    angles = np.arange(length)[:, None] * frequencies
    table = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, features).astype(dtype)
    table.flags.writeable = False
    return table


# -- bilinear forms ---------------------------------------------------------------------------


@composite(
    sample=lambda r: [
        r(r.real(3, 2), r.real(3, 4), r.real(5, 2, 4), r.real(5)),
        r(r.real(2, 3, 2), r.real(2, 3, 4), r.real(1, 2, 4)),
        r(r.real(2), r.real(4), r.real(5, 2, 4)),
    ]
)
def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """x1 @ weight[k] @ x2 + bias[k] for each k: `weight` is (outputs, features of x1, features of x2).

    >>> import numpy as np
    >>> from tinygrad_np.nn.functional import bilinear
    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.eye(2)[None])
    array([11.])
    """
    if weight.ndim != 3 or x1.shape[-1:] != weight.shape[1:2] or x2.shape[-1:] != weight.shape[2:]:
        raise ShapeError(
            f"bilinear takes a weight (outputs, features of x1, features of x2), and shapes {x1.shape}, {x2.shape} "
            f"and {weight.shape} do not go together: the last axes of x1 and x2 are the last two of weight."
        )
    outputs, first, second = weight.shape
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ShapeError(
            f"bilinear takes pairs, and shapes {x1.shape} and {x2.shape} have different axes before the last.  "
            "Repeat the shorter one: np.broadcast_to(x, shape)."
        )
    halves = x1 @ np.transpose(weight, (1, 0, 2)).reshape((first, outputs * second))
    halves = halves.reshape((*x1.shape[:-1], outputs, second))
    out = (halves @ x2[..., None])[..., 0]
    return out if bias is None else out + bias
