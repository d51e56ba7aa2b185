"""Losses of vectors that should lie near or far from each other, and of scores that should be in order."""

import numpy as np

from ...engine.door import bare
from ...engine.op import composite
from ...errors import ShapeError
from ..kinks import relu
from .shared import check_at_least, check_signs, pair, plain, real, reduced


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.real(3, 4)),
        r(r.real(3, 4), r.real(1, 4), axis=0),
        r(r.real(5), r.real(5), axis=-1),
    ]
)
def cosine_similarity(a, b, axis=1, eps=1e-8):
    """The cosine of the angle between the vectors of a and b along `axis`; a and b broadcast.

    It is the product of the vectors over that of their lengths, each of at least `eps`; so that of a zero vector is
    0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import cosine_similarity
    >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([0.6])
    """
    a, b = real(a), real(b)
    # Lengths 1 first: products of large entries would overflow in half and single precision.
    return np.sum(_unit(a, axis, eps) * _unit(b, axis, eps), axis=axis)


def _unit(a, axis, eps):
    """The vectors with length 1; shorter ones than eps are divided by eps."""
    size = np.max(np.abs(bare(a)), axis=axis, keepdims=True, initial=0)
    # The scale cancels, so to the gradient it is a constant.
    scale = np.where(size > eps, size, 1)
    a = a / scale
    length = np.linalg.norm(a, axis=axis, keepdims=True)
    return a / np.maximum(length, eps / scale)


@composite(
    sample=lambda r: [
        r(r.real(4, 3), r.real(4, 3), np.array([1, -1, 1, -1])),
        r(r.real(3), r.real(3), np.array(1), reduction="sum"),
        r(r.real(4, 3), r.real(4, 3), np.array([1, -1, -1, -1]), margin=0.3, reduction="none"),
    ]
)
def cosine_embedding(a, b, y, *, margin=0.0, reduction="mean"):
    """The mean over pairs of 1 - cos where y is 1, and of max(0, cos - margin) where it is -1.

    cos is that of the angle between the vectors of a and b along the last axis; `y` has their shape without it.
    Raises ShapeError for other shapes, RangeError for labels that are not -1 or 1.  At the margin the gradient is 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import cosine_embedding
    >>> a, b = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [3.0, 4.0]])
    >>> cosine_embedding(a, b, np.array([1, -1]))
    np.float64(0.5)
    """
    a, b = pair("cosine_embedding", a, b)
    y = _labels("cosine_embedding", y, a.shape[:-1])
    cosine = cosine_similarity(a, b, -1)
    return reduced("cosine_embedding", np.where(y == 1, 1 - cosine, relu(cosine - margin)), reduction)


def _labels(name, y, shape):
    """Labels -1 and 1, one for each pair."""
    y = plain(y)
    if y.shape != shape:
        raise ShapeError(
            f"{name} takes one label for each pair, and labels of shape {y.shape} do not go with the {shape} pairs.  "
            "Reshape them."
        )
    check_signs(name, y)
    return y


def _distance(a, b, p, eps):
    # As PyTorch adds it: the distance of equal vectors then has a gradient.
    return np.linalg.norm(a - b + eps, p, axis=-1)


@composite(
    sample=lambda r: [
        r(r.real(4, 3), r.real(4, 3), r.real(4, 3)),
        r(r.real(4, 3), r.real(4, 3), r.real(4, 3), margin=0.5, p=3, swap=True, reduction="none"),
        r(r.real(3), r.real(3), r.real(3), p=1, reduction="sum"),
    ]
)
def triplet_margin(anchor, positive, negative, *, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """The mean over samples of max(0, d(anchor, positive) - d(anchor, negative) + margin).

    All three are of one shape, else ShapeError; d is the p-norm of the difference along the last axis, with `eps` added
    to each entry.  With `swap` the negative is that of anchor and positive which is nearer to it.  At the margin the
    gradient is 0.
    Source: Balntas et al., Learning local feature descriptors with triplets, 2016.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import triplet_margin
    >>> triplet_margin(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])).round(4)
    np.float64(4.0)
    """
    check_at_least("triplet_margin", "p", p, 0, open_end=True)
    anchor, positive = pair("triplet_margin", anchor, positive)
    anchor, negative = pair("triplet_margin", anchor, negative)
    near, far = _distance(anchor, positive, p, eps), _distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, _distance(positive, negative, p, eps))
    return reduced("triplet_margin", relu(near - far + margin), reduction)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.real(3, 4), np.where(r.mask(3, 4), 1, -1)),
        r(r.real(3), r.real(3), np.array([1, -1, 1]), margin=0.5, reduction="none"),
    ]
)
def margin_ranking(a, b, y, *, margin=0.0, reduction="mean"):
    """The mean over all entries of max(0, margin - y * (a - b)): a is to be above b where y is 1, below where it is -1.

    All are of one shape, else ShapeError; labels that are not -1 or 1 are a RangeError.  At the margin the gradient is
    0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import margin_ranking
    >>> margin_ranking(np.array([1.0, 1.0]), np.array([0.5, 0.5]), np.array([1, -1]))
    np.float64(0.25)
    """
    a, b = pair("margin_ranking", a, b)
    a, y = pair("margin_ranking", a, y)
    check_signs("margin_ranking", bare(y))
    return reduced("margin_ranking", relu(margin - y * (a - b)), reduction)
