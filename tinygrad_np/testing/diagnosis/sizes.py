"""Which axes of a user's arrays go together, found by changing the length of some and seeing what still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from string import ascii_letters
from typing import Any

import numpy as np

Place = tuple[str, int]
"""An axis of an array, by the name of the array."""
TRIALS = 400
"""With so many tries without an answer, axes that are equally long count as one."""


def linked_axes(
    arrays: Mapping[str, Any],
    redrawn: Callable[[np.ndarray, tuple[int, ...]], np.ndarray],
    runs: Callable[[Mapping[str, Any]], bool],
) -> dict[str, str]:
    """A letter for each axis of each array, the same for those that must be equally long.

    `redrawn(array, shape)` is data of the same kind in another shape; `runs(arrays)` says whether the user's
    functions take these.  With three samples of three classes, only this tells which 3 is which.
    """
    plain = {name: value for name, value in arrays.items() if isinstance(value, np.ndarray)}
    lengths: dict[int, list[Place]] = {}
    for name, value in plain.items():
        for axis, n in enumerate(value.shape):
            lengths.setdefault(n, []).append((name, axis))

    def together(places: Sequence[Place]) -> bool:
        longer = {name: list(value.shape) for name, value in plain.items()}
        for name, axis in places:
            longer[name][axis] += 2
        changed = {name: redrawn(plain[name], tuple(longer[name])) for name in {name for name, _ in places}}
        return runs({**arrays, **changed})

    groups = [group for n, places in lengths.items() for group in ([places] if n == 1 else _split(places, together))]
    named = dict(zip(ascii_letters, groups, strict=False))
    found = {place: letter for letter, group in named.items() for place in group}
    if len(found) < sum(map(len, groups)):
        return {}  # more sizes than letters: nobody reads that
    return {name: "".join(found[name, axis] for axis in range(value.ndim)) for name, value in plain.items()}


def _split(places: list[Place], together: Callable[[Sequence[Place]], bool]) -> Iterator[list[Place]]:
    """Places of one length in the smallest groups that can be changed each by itself."""
    left = TRIALS
    while places:
        first, *others = places
        group = places
        for size in range(len(others)):
            for some in combinations(others, size):
                left -= 1
                if left < 0:
                    break
                if together([first, *some]):
                    group = [first, *some]
                    break
            if left < 0 or len(group) < len(places):
                break
        yield group
        places = [place for place in places if place not in group]
