"""The derivative rules: one row per function, one file per family."""

from . import complex, einsum, elementwise, index, join, kinks, linalg, losses, nn, products, reduce, running, shape
from . import decompositions, norms  # isort: skip
from . import fft  # isort: skip
from . import batch  # isort: skip

__all__ = [
    "complex", "einsum", "elementwise", "index", "join", "kinks", "linalg",
    "losses", "nn", "products", "reduce", "running", "shape",
]  # fmt: skip
