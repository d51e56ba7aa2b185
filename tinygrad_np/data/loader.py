"""DataLoader: data in mini-batches, in a new order each epoch, prepared ahead if wished, and resumed exactly."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ..counts import count
from ..errors import RangeError, StateError
from ..randomness import Randomness, generator_state, restore_generator
from .sources import Batch, as_batch, source


@dataclass
class Position:
    """Where an epoch is: the number its random numbers all come from, and how many batches it has given."""

    seed: int
    batches: int


class DataLoader:
    """Mini-batches of arrays: iterate over it once per epoch.

    Parameters
    ----------
    *arrays : array_like
        Arrays of the same first length: a batch is the tuple of some rows of each (a tuple of one for one array).
        Or one dict of such arrays: a batch is a dict.  Or one sequence of samples (`__len__` and `__getitem__(int)`,
        as PyTorch's datasets have them), each a tuple, a dict, or one array or number: a batch is a tuple or a dict of
        them stacked.  A dataset with PyTorch's `__getitems__(indices)` is asked for all samples of a batch at once,
        and returns a list of samples, or the batch itself as a tuple or dict of arrays.
    batch_size : int
        Samples in a batch.
    shuffle : bool
        A new order at each epoch.  Without it, batches of arrays are read-only views of the data: nothing is copied.
    rng : numpy.random.Generator, int or None
        Where the orders, and the random numbers of `transform`, come from.  One number is drawn from it per epoch.
    drop_last : bool
        Leave out the last batch if it is smaller than the others.
    transform : callable, optional
        Called as `transform(*batch)`, or as `transform(batch)` with a dict, and returns a batch: for augmentation.
        If it has a parameter `rng`, it is given a generator of its own for each batch, the same in a repeated run.
    prefetch : int
        A background thread prepares up to this many batches ahead.  It helps where `transform` (or the reading of a
        sequence) takes time in which Python's lock is free: large NumPy work, files.  The batches are the same.

    Attributes
    ----------
    dataset
        The data: `len(loader.dataset)` is the number of samples, `loader.dataset[i]` one of them.

    Raises
    ------
    ShapeError
        Arrays of different first lengths, or samples of different shapes.
    RangeError
        A batch size below 1, a negative `prefetch`, or `drop_last` where that would drop the only batch.

    Examples
    --------
    >>> x, y = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 0])
    >>> loader = DataLoader(x, y, batch_size=2, shuffle=True, rng=0)
    >>> len(loader), len(loader.dataset)
    (3, 5)
    >>> for images, labels in loader:
    ...     print(images.shape, labels.shape)
    (2, 2) (2,)
    (2, 2) (2,)
    (1, 2) (1,)

    Stopped in the middle of an epoch, and gone on elsewhere:

    >>> batches = iter(loader)
    >>> _ = next(batches)
    >>> state = loader.state_dict()
    >>> left = list(batches)
    >>> other = DataLoader(x, y, batch_size=2, shuffle=True)
    >>> other.load_state_dict(state)
    >>> all(np.array_equal(a, b) for pair in zip(left, other) for a, b in zip(*pair))
    True
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        rng: Randomness = None,
        drop_last: bool = False,
        transform: Callable[..., Any] | None = None,
        prefetch: int = 0,
    ):
        self.dataset = source(arrays)
        self.batch_size = count("batch_size", batch_size)
        self.prefetch = count("prefetch", prefetch, 0)
        self.shuffle = shuffle
        self.rng = np.random.default_rng(rng)
        self.drop_last = drop_last
        self.transform = transform
        self._transform_takes_rng = transform is not None and takes_rng(transform)
        # None between epochs.
        self._position: Position | None = None
        self._resume = False
        samples = len(self.dataset)
        if drop_last and 0 < samples < self.batch_size:
            raise RangeError(
                f"{samples} samples make one batch, smaller than batch_size={batch_size}, and drop_last=True drops "
                f"it: none would be left.  Write drop_last=False, or a batch_size of at most {samples}."
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        samples = len(self.dataset)
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __repr__(self) -> str:
        return (
            f"DataLoader({len(self.dataset)} samples, {len(self)} batches of {self.batch_size}"
            f"{', shuffled' if self.shuffle else ''})"
        )

    def __iter__(self) -> Iterator[Any]:
        if not self._resume or self._position is None:
            self._position = Position(self._draw_seed(), 0)
        self._resume = False
        return self._epoch(self._position)

    def _draw_seed(self) -> int:
        needed = self.shuffle or self._transform_takes_rng
        return int(self.rng.integers(2**63)) if needed else 0

    def _epoch(self, position: Position) -> Iterator[Any]:
        order = np.random.default_rng(position.seed).permutation(len(self.dataset)) if self.shuffle else None
        wanted = range(position.batches, len(self))
        prepare = lambda k: self._batch(k, order, position.seed)
        for batch in ahead(prepare, wanted, self.prefetch) if self.prefetch else map(prepare, wanted):
            # Before the batch is given: who saves inside of the loop has used it.
            position.batches += 1
            yield batch
        # An iterator begun later has a position of its own, which stays.
        if self._position is position:
            self._position = None

    def _batch(self, k: int, order: np.ndarray | None, seed: int) -> Batch:
        start, stop = k * self.batch_size, min((k + 1) * self.batch_size, len(self.dataset))
        batch = self.dataset[slice(start, stop) if order is None else order[start:stop]]
        if self.transform is None:
            return batch
        # A generator per batch, so that a resumed epoch need not repeat the batches before.
        keywords = {"rng": np.random.default_rng((seed, k))} if self._transform_takes_rng else {}
        arguments = (batch,) if isinstance(batch, dict) else batch
        changed = self.transform(*arguments, **keywords)
        if changed is None:
            raise TypeError("the transform returned None where a batch was expected.  End it with `return x, y`.")
        return as_batch(changed)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, as numbers, strings and lists that `json.dumps` takes.

        Called inside of the loop, the batch at hand counts as used.  Of several epochs under way, this is the one begun
        last.

        Examples
        --------
        >>> loader = DataLoader(np.arange(6), batch_size=2)
        >>> for (x,) in loader:
        ...     print(loader.state_dict()["batches"])
        1
        2
        3
        """
        position = self._position
        return {
            "rng": generator_state(self.rng),
            "epoch_seed": None if position is None else position.seed,
            "batches": 0 if position is None else position.batches,
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state: the next `iter(loader)` gives the batches that were left of that epoch, bit for bit.

        Saved after the last batch, but inside of the loop, none were left: that `iter` is empty, the next a new epoch.

        Raises
        ------
        StateError
            The state is not a DataLoader's, or was saved within an epoch of other samples or batches.
        """
        expected = self.state_dict()
        if missing := sorted(expected.keys() - state.keys()):
            raise StateError(
                f"this is no state of a DataLoader: it has {', '.join(map(str, state)) or 'nothing'}, and "
                f"{', '.join(missing)} missing.  Give what loader.state_dict() returned."
            )
        for name in ("samples", "batch_size"):
            if state["epoch_seed"] is not None and state[name] != expected[name]:
                raise StateError(
                    f"the state was saved within an epoch with {name} {state[name]}, and this loader has "
                    f"{expected[name]}: the batches that were left do not exist here.  Make the loader as it was, or "
                    "save between epochs."
                )
        restore_generator(self.rng, state["rng"])
        self._resume = state["epoch_seed"] is not None
        self._position = Position(int(state["epoch_seed"]), int(state["batches"])) if self._resume else None


def ahead(prepare: Callable[[int], Batch], wanted: range, most: int) -> Iterator[Batch]:
    """`map(prepare, wanted)` in order, with up to `most` results prepared ahead by a thread."""
    waiting = iter(wanted)
    # Leaving the block, by whatever way, waits for the thread to end.
    with ThreadPoolExecutor(1, thread_name_prefix="DataLoader") as thread:
        coming = deque(thread.submit(prepare, k) for k in islice(waiting, most))
        try:
            while coming:
                batch = coming.popleft().result()
                coming.extend(thread.submit(prepare, k) for k in islice(waiting, 1))
                yield batch
        finally:
            for future in coming:
                future.cancel()


def takes_rng(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter `rng` that can be given by name."""
    try:
        parameter = inspect.signature(function).parameters.get("rng")
    except ValueError:
        # Some functions written in C do not tell.
        return False
    return parameter is not None and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
