"""The derivative rules: one row per function, one file per family."""

from ..engine.tensor import settle
from . import einsum, elementwise, index, join, kinks, linalg, nn, products, reduce, running, shape

__all__ = [
    "einsum", "elementwise", "index", "join", "kinks", "linalg", "nn", "products", "reduce", "running", "shape",
]  # fmt: skip

settle()
