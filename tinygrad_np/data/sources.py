"""What a DataLoader takes its samples from: arrays side by side, a dict of them, or a sequence of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError

Batch = tuple[Any, ...] | dict[str, Any]


def same_length(arrays: Mapping[Any, np.ndarray]) -> int:
    """The length of the first axis, the same in all; the keys name the arrays in the message if it is not."""
    for key, array in arrays.items():
        if array.ndim == 0:
            what = f"a {type(array[()]).__name__}" if array.dtype == object else f"the single number {array}"
            raise ShapeError(
                f"array {key!r} is {what}: samples are counted along the first axis, and it has none.  Give arrays "
                "whose first axis runs over the samples, and options by name, as batch_size=32."
            )
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shapes = ", ".join(f"{key!r}: {array.shape}" for key, array in arrays.items())
        raise ShapeError(
            f"arrays of {sorted(set(lengths.values()))} samples do not go together (shapes {shapes}): sample i is row "
            "i of each.  Cut the longer ones, or move the axis of the samples to the front."
        )
    return next(iter(lengths.values()), 0)


def rows(array: np.ndarray, index: int | slice | np.ndarray) -> Any:
    """These rows of an array: a read-only view for a slice, a copy for an array of indices."""
    if isinstance(index, slice):
        view = array[index]
        # Else `batch /= 255` would change the data for the next epoch.
        view.flags.writeable = False
        return view
    if isinstance(index, np.ndarray) and array.flags.c_contiguous:
        # Up to six times as fast as array[index], but of any other layout `take` copies the whole array first.
        return array.take(index, axis=0)
    return array[index]


class Arrays:
    """Arrays side by side: sample i is the tuple of the i-th rows."""

    def __init__(self, arrays: Sequence[Any]):
        self.arrays = tuple(np.asarray(array) for array in arrays)
        self._length = same_length(dict(enumerate(self.arrays)))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice | np.ndarray) -> tuple[Any, ...]:
        return tuple([rows(array, index) for array in self.arrays])


class Columns:
    """Arrays by name: sample i is the dict of the i-th rows."""

    def __init__(self, arrays: Mapping[str, Any]):
        self.arrays = {name: np.asarray(array) for name, array in arrays.items()}
        self._length = same_length(self.arrays)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice | np.ndarray) -> dict[str, Any]:
        return {name: rows(array, index) for name, array in self.arrays.items()}


class Samples:
    """A sequence of samples, asked for one by one, or many at once if it has PyTorch's `__getitems__`."""

    def __init__(self, samples: Any):
        self.samples = samples
        self._many = getattr(samples, "__getitems__", None)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int | slice | np.ndarray) -> Batch:
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        if not isinstance(index, np.ndarray):
            return self.samples[index]
        if self._many is None:
            return collate([self.samples[i] for i in index.tolist()])
        found = self._many(index.tolist())
        return collate(found) if isinstance(found, list) else as_batch(found)


def collate(samples: Sequence[Any]) -> Batch:
    """A batch of samples that are tuples, dicts, or one array or number each.

    Examples
    --------
    >>> x, y = collate([(0.5, 1), (1.5, 0)])
    >>> x, y
    (array([0.5, 1.5]), array([1, 0]))
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {name: _stack([sample[name] for sample in samples], name) for name in first}
    if isinstance(first, tuple | list):
        if len({len(sample) for sample in samples}) > 1:
            raise ShapeError(
                f"samples of {sorted({len(sample) for sample in samples})} parts do not make one batch: each of its "
                "arrays holds the same part of every sample.  Give every sample the same parts."
            )
        return tuple([_stack(part, i) for i, part in enumerate(zip(*samples, strict=True))])
    return (_stack(samples, 0),)


def _stack(values: Sequence[Any], name: object) -> np.ndarray:
    arrays = [np.asarray(value) for value in values]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ShapeError(
            f"part {name!r} of the samples has shapes {', '.join(map(str, shapes))}: one array holds only equal "
            "shapes.  Pad or cut the samples to one shape before they are batched."
        )
    return np.stack(arrays)


def as_batch(value: Any) -> Batch:
    """What a transform returned, as a batch: a tuple or a dict."""
    if isinstance(value, dict | tuple):
        return value
    return tuple(value) if isinstance(value, list) else (value,)


def source(data: Sequence[Any]) -> Arrays | Columns | Samples:
    """The source for what DataLoader was given."""
    if len(data) == 1:
        (only,) = data
        if isinstance(only, Mapping):
            return Columns(only)
        if isinstance(only, tuple) and only and all(isinstance(array, np.ndarray) for array in only):
            raise TypeError(
                f"DataLoader() got one tuple of {len(only)} arrays, which could also be {len(only)} samples.  Write "
                "DataLoader(x, y, ...) for arrays side by side; samples are given as a list."
            )
        if not hasattr(only, "__array__") and hasattr(only, "__getitem__") and hasattr(only, "__len__"):
            return Samples(only)
    if not data:
        raise TypeError("DataLoader() has nothing to load: give arrays, a dict of arrays, or a sequence of samples.")
    return Arrays(data)
