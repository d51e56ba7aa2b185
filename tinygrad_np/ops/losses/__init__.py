"""Losses: stable at extreme inputs, and one op where that is faster than their parts.

All take `reduction`, which is "mean", "sum" or "none".  The mean of no losses is 0.  Predictions and targets are of
one shape, or it is a ShapeError: nothing is broadcast.
"""

from .binary import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    binary_focal,
    hinge,
    hinge_embedding,
    soft_margin,
)
from .classification import _softmax_minus_one_hot as _softmax_minus_one_hot
from .classification import class_index, cross_entropy, focal, multi_margin, nll_loss
from .ctc import ctc
from .distributions import gaussian_nll, kl_div, poisson_nll
from .embeddings import cosine_embedding, cosine_similarity, margin_ranking, triplet_margin
from .regression import huber, l1, mse, smooth_l1
from .shared import check_same_shape

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "binary_focal", "check_same_shape", "class_index",
    "cosine_embedding", "cosine_similarity", "cross_entropy", "ctc", "focal", "gaussian_nll", "hinge",
    "hinge_embedding", "huber", "kl_div", "l1", "margin_ranking", "mse", "multi_margin", "nll_loss", "poisson_nll",
    "smooth_l1", "soft_margin", "triplet_margin",
]  # fmt: skip
