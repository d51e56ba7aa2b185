"""The derivative rules: one row per function, one file per family."""

from . import (
    batch,
    choose,
    complex,
    creation,
    curves,
    decompositions,
    einsum,
    elementwise,
    fft,
    histograms,
    index,
    join,
    kinks,
    linalg,
    losses,
    mapping,
    methods,
    nn,
    norms,
    pad,
    polynomials,
    products,
    quantiles,
    reduce,
    running,
    segments,
    shape,
    sort,
    statistics,
)

__all__ = [
    "batch", "choose", "complex", "creation", "curves", "decompositions", "einsum", "elementwise", "fft",
    "histograms", "index", "join", "kinks", "linalg", "losses", "mapping", "methods", "nn", "norms", "pad",
    "polynomials", "products", "quantiles", "reduce", "running", "segments", "shape", "sort", "statistics",
]  # fmt: skip
