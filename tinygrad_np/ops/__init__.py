"""The derivative rules: one row per function, one file per family."""

from . import einsum, elementwise, index, join, kinks, linalg, losses, nn, products, reduce, running, shape

__all__ = [
    "einsum", "elementwise", "index", "join", "kinks", "linalg",
    "losses", "nn", "products", "reduce", "running", "shape",
]  # fmt: skip
