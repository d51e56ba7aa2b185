"""Text as whole numbers, for models of characters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import RangeError


class Vocabulary:
    """Characters numbered from 0: text to an array of numbers, and back.

    Parameters
    ----------
    symbols : str
        The characters, each once, in the order of their numbers.

    Examples
    --------
    >>> vocabulary = Vocabulary("abc")
    >>> vocabulary.encode("cab")
    array([2, 0, 1])
    >>> vocabulary.decode([1, 1, 2])
    'bbc'
    >>> len(vocabulary), "b" in vocabulary
    (3, True)
    """

    def __init__(self, symbols: str):
        if len(set(symbols)) < len(symbols):
            twice = next(symbol for symbol in symbols if symbols.count(symbol) > 1)
            raise ValueError(
                f"{twice!r} is there twice: a character has one number.  Give each once; characters(text) does so."
            )
        self.symbols = symbols
        self._points = _code_points(symbols)
        self._order = np.argsort(self._points)
        self._sorted = self._points[self._order]

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self.symbols

    def __repr__(self) -> str:
        return f"Vocabulary({self.symbols!r})"

    def encode(self, text: str) -> np.ndarray:
        """The number of each character: an int64 array as long as the text.

        Raises ValueError for a character that is not in the vocabulary.

        Examples
        --------
        >>> Vocabulary("abc").encode("abba")
        array([0, 1, 1, 0])
        """
        points = _code_points(text)
        place = np.searchsorted(self._sorted, points)
        known = np.zeros(len(points), bool)
        inside = place < len(self)
        known[inside] = self._sorted[place[inside]] == points[inside]
        if not known.all():
            first = int(np.argmin(known))
            raise ValueError(
                f"{text[first]!r} (at {first}) is not in the vocabulary of {len(self)} characters, so that it has no "
                "number.  Make the vocabulary of all of the text, characters(text), or take the character out."
            )
        return self._order[place].astype(np.int64, copy=False)

    def decode(self, numbers: Any) -> str:
        """The text of these numbers.

        Raises RangeError for a number that no character has.

        Examples
        --------
        >>> Vocabulary("abc").decode(np.array([2, 1, 0]))
        'cba'
        """
        numbers = np.asarray(numbers, np.int64).ravel()
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise RangeError(
                f"numbers from {numbers.min()} to {numbers.max()} do not fit {len(self)} characters, counted from 0: "
                "they were made with another vocabulary.  Decode with the one that encoded."
            )
        return self._points[numbers].tobytes().decode("utf-32-le", "surrogatepass")


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def characters(text: str) -> Vocabulary:
    """The vocabulary of all characters of a text, in the order of their code points.

    Examples
    --------
    >>> vocabulary = characters("hello world")
    >>> vocabulary
    Vocabulary(' dehlorw')
    >>> vocabulary.decode(vocabulary.encode("world"))
    'world'
    """
    return Vocabulary("".join(sorted(set(text))))


def windows(sequence: Any, length: int, step: int = 1) -> np.ndarray:
    """All stretches of this length, one per row: a read-only view, whatever the length of the sequence.

    Parameters
    ----------
    sequence : (n, ...) array_like
    length : int
        Of a stretch.
    step : int
        From the start of one to the start of the next.

    Returns
    -------
    ((n - length) // step + 1, length, ...) array

    Raises
    ------
    RangeError
        The sequence is shorter than one stretch, or `length` or `step` are below 1.

    Examples
    --------
    What comes next, for each character of each stretch:

    >>> both = windows(np.arange(6), length=4)
    >>> x, y = both[:, :-1], both[:, 1:]
    >>> x
    array([[0, 1, 2],
           [1, 2, 3],
           [2, 3, 4]])
    >>> y
    array([[1, 2, 3],
           [2, 3, 4],
           [3, 4, 5]])
    """
    sequence = np.asarray(sequence)
    if length < 1 or step < 1:
        raise RangeError(f"length={length}, step={step}: both count positions; give whole numbers of at least 1.")
    if len(sequence) < length:
        raise RangeError(
            f"a sequence of {len(sequence)} has no stretch of {length}: it is too short.  Give a longer one, or a "
            "smaller length."
        )
    return np.moveaxis(sliding_window_view(sequence, length, axis=0), -1, 1)[::step]
