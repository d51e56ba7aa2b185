"""The derivative rules: one row per function, one file per family."""

from ..engine.late import settle
from ..engine.tensor import Tensor
from . import einsum, elementwise, index, join, kinks, linalg, losses, nn, products, reduce, running, shape

__all__ = [
    "einsum", "elementwise", "index", "join", "kinks", "linalg",
    "losses", "nn", "products", "reduce", "running", "shape",
]  # fmt: skip

settle(Tensor)
