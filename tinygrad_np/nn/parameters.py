"""What layers have in common when they are built: parameters, how they are drawn, and checks of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.tensor import Tensor
from ..errors import RangeError


def parameter(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Tensor:
    """A parameter still to be drawn."""
    return Tensor(np.zeros(shape, dtype), requires_grad=True)


def check_sizes(layer: str, **sizes: Any) -> None:
    """Refuse sizes of a layer that are no whole numbers above zero."""
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise RangeError(f"{layer} takes {name} as a whole number above 0, not {size!r}.")


def draw_uniform(rng: np.random.Generator, bound: float, *parameters: Tensor | None) -> None:
    """Fill parameters from (-bound, bound), in place; in the order given."""
    for p in parameters:
        if p is not None:
            p.data[...] = rng.uniform(-bound, bound, p.shape)
