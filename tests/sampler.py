"""Arguments for the op table: what `sample=` beside a rule is made from."""

from typing import Any

import numpy as np


class Call:
    """One call of an op: its positional and keyword arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args, self.options = args, options

    def __repr__(self) -> str:
        def short(value: Any) -> str:
            if isinstance(value, np.ndarray):
                return f"{value.dtype}{list(value.shape)}"
            if isinstance(value, list | tuple):
                return f"({', '.join(map(short, value))})"
            # The address of a function is another one in each process.
            return value.__name__ if callable(value) and hasattr(value, "__name__") else repr(value)

        words = [short(v) for v in self.args] + [f"{k}={short(v)}" for k, v in self.options.items()]
        return ", ".join(words)


class Sampler:
    """Random arrays that stay away from kinks and ties, unless asked for them.

    `r.real(3, 4)` has distinct entries in (-2, 2), none near 0; `r(x, axis=0)` is a call.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *args: Any, **options: Any) -> Call:
        return Call(*args, **options)

    def between(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Distinct entries, evenly spaced over (low, high) and shuffled."""
        size = int(np.prod(shape))
        values = low + (high - low) * (np.arange(size) + self.rng.uniform(0.3, 0.7, size)) / max(size, 1)
        return np.reshape(self.rng.permutation(values), shape)

    def real(self, *shape: int) -> np.ndarray:
        """Distinct entries in (-2, 2), none nearer to 0 than 0.05."""
        values = self.between(-1.95, 1.95, *shape)
        return np.asarray(values + 0.05 * np.sign(values))

    def complex(self, *shape: int) -> np.ndarray:
        """Real and imaginary parts as those of `real`."""
        return self.real(*shape) + 1j * self.real(*shape)

    def positive(self, *shape: int) -> np.ndarray:
        """Distinct entries in (0.5, 2.5)."""
        return self.between(0.5, 2.5, *shape)

    def integers(self, high: int, *shape: int) -> np.ndarray:
        """Whole numbers from 0 to high - 1, with repetitions."""
        return self.rng.integers(0, high, shape)

    def mask(self, *shape: int) -> np.ndarray:
        """True and False, both present where there are two entries."""
        return self.rng.permutation(np.arange(int(np.prod(shape))) % 2 == 0).reshape(shape)
