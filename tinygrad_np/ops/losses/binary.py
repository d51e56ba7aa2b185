"""Losses of yes or no: labels from 0 to 1, or -1 and 1, for each entry."""

import numpy as np

from ...engine.batched import unbatched
from ...engine.door import bare
from ...engine.op import composite, elementwise, op
from ...errors import RangeError
from ..kinks import relu
from ..nn import floating, log_one_plus_exp, sigmoid, softplus
from .shared import (
    check_at_least,
    check_same_shape,
    check_shares,
    check_signs,
    mean_of,
    pair,
    reduced,
    weighted,
)

# -- cross-entropy ----------------------------------------------------------------------------


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.mask(3, 4), weight=r.positive(4)),
        r(r.real(3, 4), r.mask(3, 4) * 1.0, pos_weight=r.positive(4), reduction="sum"),
        r(r.real(5), r.between(0.1, 0.9, 5), pos_weight=np.array(2), reduction="none"),
    ]
)
def binary_cross_entropy_with_logits(z, y, *, weight=None, pos_weight=None, reduction="mean"):
    """The mean over all entries of -(y log p + (1 - y) log(1 - p)) with p = sigmoid(z), finite for every z.

    `y` has the shape of `z`.  Computed as max(z, 0) - z y + log(1 + exp(-|z|)); the gradient is
    (sigmoid(z) - y) / n.
    `weight` broadcasts to the losses; `pos_weight`, which broadcasts to them, too, counts what stands at y.
    `reduction` is "mean", "sum" or "none".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.binary_cross_entropy_with_logits(np.array([1000.0, -1000.0]), np.array([0.0, 0.0]))
    np.float64(500.0)
    """
    if weight is None and pos_weight is None and reduction == "mean":
        return _mean_with_logits(z, y)
    name = "binary_cross_entropy_with_logits"
    z, y = pair(name, z, y)
    check_shares(name, bare(y))
    if pos_weight is None:
        losses = softplus(z) - z * y
    else:
        # Each term for itself: the difference of large numbers would lose the digits of small losses.
        losses = weighted(name, y * softplus(-z), pos_weight) + (1 - y) * softplus(z)
    return reduced(name, weighted(name, losses, weight), reduction)


def _targets(y, dtype):
    """Targets as an array; whole numbers in the dtype of the predictions, which they must not widen."""
    y = np.asarray(y)
    return y.astype(dtype) if y.dtype.kind in "biu" and dtype.kind == "f" else y


def _with_logits_run(z, y):
    z = floating(z)
    y = _targets(y, z.dtype)
    check_same_shape("binary_cross_entropy_with_logits", z, y)
    check_shares("binary_cross_entropy_with_logits", y)
    return mean_of(log_one_plus_exp(z) - z * y, z.size)


_mean_with_logits = op(
    binary_cross_entropy_with_logits,
    run=_with_logits_run,
    fresh=True,
    z=lambda g, z, y: (sigmoid(z) - y) * (g * (1 / (z.size or 1))),
    y=lambda g, z: z * (g * (-1 / (z.size or 1))),
    sample=lambda r: [r(r.real(3, 4), r.mask(3, 4) * 1.0), r(r.real(5), np.array([0, 1, 1, 0, 1]))],
)


@composite(
    sample=lambda r: [
        r(r.between(0.1, 0.9, 3, 4), r.mask(3, 4), weight=r.positive(4)),
        r(r.between(0.1, 0.9, 5), r.between(0.1, 0.9, 5), reduction="none"),
    ]
)
def binary_cross_entropy(p, y, *, weight=None, reduction="mean"):
    """The mean over all entries of -(y log p + (1 - y) log(1 - p)), with 0 log 0 = 0.

    `p` are probabilities, else RangeError, and `y` has their shape.  Where p is 0 or 1 and y says
    otherwise, the loss and
    its gradient are infinite: `binary_cross_entropy_with_logits` stays finite.
    `weight` broadcasts to the losses; `reduction` is "mean", "sum" or "none".

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.binary_cross_entropy(np.array([1.0, 0.5]), np.array([1.0, 0.0])) == np.log(2) / 2
    np.True_
    """
    if weight is None and reduction == "mean":
        return _mean_of_entropies(p, y)
    name = "binary_cross_entropy"
    p, y = pair(name, p, y)
    check_shares(name, bare(y))
    return reduced(name, weighted(name, _entropies(p, y), weight), reduction)


def _surprise(p, y):
    """y log p + (1 - y) log(1 - p)."""
    every = unbatched(p)
    if every.size and (every.min() < 0 or every.max() > 1):
        raise RangeError(
            f"binary_cross_entropy takes probabilities, and got numbers from {every.min():.6g} to {every.max():.6g} in "
            f"shape {p.shape}.  Give it sigmoid(z), or the z themselves to binary_cross_entropy_with_logits."
        )
    return y * np.log(np.where(y == 0, 1, p)) + (1 - y) * np.log(np.where(y == 1, 1, 1 - p))


def _binary_cross_entropy_run(p, y):
    p = np.asarray(p)
    y = _targets(y, p.dtype)
    check_same_shape("binary_cross_entropy", p, y)
    check_shares("binary_cross_entropy", y)
    loss = _surprise(p, y)
    return -mean_of(loss, loss.size)


def _log_or_zero(p):
    """log(p), and 0 where p is 0: an infinite slope in y of a loss that is finite."""
    return np.log(np.where(p == 0, 1, p))


def _over(y, p):
    """y / p, and 0 where y is 0 whatever p is."""
    return y / np.where(y == 0, 1, p)


_mean_of_entropies = op(
    binary_cross_entropy,
    run=_binary_cross_entropy_run,
    fresh=True,
    p=lambda g, p, y: (_over(1 - y, 1 - p) - _over(y, p)) * (g * (1 / (p.size or 1))),
    y=lambda g, p: (_log_or_zero(1 - p) - _log_or_zero(p)) * (g * (1 / (p.size or 1))),
    sample=lambda r: [
        r(r.between(0.1, 0.9, 3, 4), r.mask(3, 4).astype(int)),
        r(r.between(0.1, 0.9, 5), np.array([0, 1, 1, 0, 1])),
        r(r.between(0.1, 0.9, 5), r.between(0.1, 0.9, 5)),
    ],
)


@elementwise(
    p=lambda p, y: _over(1 - y, 1 - p) - _over(y, p),
    y=lambda p: _log_or_zero(1 - p) - _log_or_zero(p),
)
def _entropies(p, y):
    return -_surprise(p, y)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.mask(3, 4)),
        r(r.real(5), r.between(0.1, 0.9, 5), alpha=None, gamma=1.5, reduction="sum"),
        r(r.real(4), r.mask(4) * 1.0, gamma=0, reduction="none"),
    ]
)
def binary_focal(z, y, *, alpha=0.25, gamma=2.0, reduction="mean"):
    """Binary cross-entropy that entries which are right already hardly count in: times (1 - p)**gamma.

    p is what sigmoid(z) gives to the label: sigmoid(z) y + (1 - sigmoid(z)) (1 - y).  `alpha` weighs the label 1, and
    1 - alpha the label 0; None weighs both alike.  `gamma` below 0 is a RangeError.
    Source: Lin et al., Focal loss for dense object detection, 2017.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import binary_focal
    >>> binary_focal(np.array([0.0, 1000.0]), np.array([1.0, 1.0])).round(6)
    np.float64(0.021661)
    """
    check_at_least("binary_focal", "gamma", gamma, 0)
    z, y = pair("binary_focal", z, y)
    check_shares("binary_focal", bare(y))
    missed = sigmoid(z) * (1 - y) + sigmoid(-z) * y
    losses = (softplus(z) * (1 - y) + softplus(-z) * y) * missed**gamma
    if alpha is not None:
        losses = losses * (alpha * y + (1 - alpha) * (1 - y))
    return reduced("binary_focal", losses, reduction)


# -- labels -1 and 1 --------------------------------------------------------------------------


@composite(sample=lambda r: [r(r.real(3, 4), np.where(r.mask(3, 4), 1, -1)), r(r.real(2), np.array([1, -1]), margin=2)])
def hinge(scores, y, *, margin=1.0, reduction="mean"):
    """The mean over all entries of max(0, margin - y * scores): the loss of a support vector machine.

    `y` has the shape of `scores`, and its entries are -1 or 1, else RangeError.  At the margin the gradient is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import hinge
    >>> hinge(np.array([0.25, 0.25, 2.0]), np.array([1, -1, 1])).round(6)
    np.float64(0.666667)
    """
    scores, y = pair("hinge", scores, y)
    check_signs("hinge", bare(y))
    return reduced("hinge", relu(margin - y * scores), reduction)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), np.where(r.mask(3, 4), 1, -1)),
        r(r.real(3), np.array([1, -1, -1]), margin=0.3, reduction="none"),
    ]
)
def hinge_embedding(distances, y, *, margin=1.0, reduction="mean"):
    """The mean over all entries of the distance where y is 1, and of max(0, margin - distance) where it is -1.

    `y` has the shape of `distances`, and its entries are -1 or 1, else RangeError.  At the margin the gradient is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import hinge_embedding
    >>> hinge_embedding(np.array([0.25, 0.25]), np.array([1, -1]))
    np.float64(0.5)
    """
    distances, y = pair("hinge_embedding", distances, y)
    y = bare(y)
    check_signs("hinge_embedding", y)
    return reduced("hinge_embedding", np.where(y == 1, distances, relu(margin - distances)), reduction)


@composite(sample=lambda r: [r(r.real(3, 4), np.where(r.mask(3, 4), 1, -1)), r(r.real(2), np.array([1, -1]))])
def soft_margin(scores, y, *, reduction="mean"):
    """The mean over all entries of log(1 + exp(-y * scores)), finite for every score.

    `y` has the shape of `scores`, and its entries are -1 or 1, else RangeError.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import soft_margin
    >>> soft_margin(np.array([1000.0, 1000.0]), np.array([1, -1]))
    np.float64(500.0)
    """
    scores, y = pair("soft_margin", scores, y)
    check_signs("soft_margin", bare(y))
    return reduced("soft_margin", softplus(-y * scores), reduction)
