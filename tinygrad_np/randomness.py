"""What random numbers come from; the state of a generator as plain numbers and lists, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import StateError

Randomness = np.random.Generator | int | None
"""What `rng=` takes: a generator, a seed for one, or None for fresh entropy."""


def plain(value: Any) -> Any:
    """The same, with lists for arrays and Python's numbers for NumPy's: what `json.dumps` takes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of a generator, ready for JSON.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = generator_state(rng)
    >>> first = rng.random()
    >>> restore_generator(rng, state)
    >>> rng.random() == first
    True
    """
    return plain(rng.bit_generator.state)


def restore_generator(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a generator into a state that `generator_state` gave; StateError if that was of another kind."""
    kind, own = state.get("bit_generator"), type(rng.bit_generator).__name__
    if kind != own:
        raise StateError(
            f"this is the state of a {kind} generator, but the one to be restored is a {own}: their numbers have "
            f"nothing in common.  Make it with np.random.Generator(np.random.{kind}()) before restoring it."
        )
    rng.bit_generator.state = state
