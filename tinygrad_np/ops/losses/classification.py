"""Losses of scores for classes, of which one is right."""

import math

import numpy as np

from ...engine.batched import unbatched
from ...engine.door import bare
from ...engine.op import composite, op
from ...errors import RangeError, ShapeError
from ..nn import exponentials, floating, log_softmax, softmax, softmax_slope
from ..reduce import operand
from .shared import check_at_least, like, mean_of, plain, real, reduced, samples


def class_index(labels, shape, axis, name="cross_entropy"):
    """Whole-number labels with the class axis back in, as an index for `take_along_axis`."""
    index = np.expand_dims(labels, axis)
    expected = list(shape)
    expected[axis] = 1
    fits = index.shape == tuple(expected)
    if labels.dtype.kind not in "iu" or not fits:
        weights = ", or one weight per class" if name == "cross_entropy" else ""
        raise ShapeError(
            f"{name} takes whole-number labels without the class axis{weights}: scores of shape {shape} with classes "
            f"on axis {axis} do not go with labels of shape {labels.shape}, dtype {labels.dtype}.  "
            + _way_to_labels(labels, shape, axis)
        )
    every = unbatched(labels)
    if every.size and not (every.min() >= 0 and every.max() < shape[axis]):
        ignored = f", or leave samples out by ignore_index={every.min()}" if every.min() < 0 else ""
        raise IndexError(
            f"labels from {every.min()} to {every.max()} do not fit {shape[axis]} classes, counted from 0.  Subtract "
            f"the first label, or give the scores a row or column for each class{ignored}."
        )
    return index


def _way_to_labels(labels, shape, axis):
    """What to write instead of labels that do not fit."""
    without = [(*shape[:i], *shape[i + 1 :]) for i in range(len(shape))]
    if labels.shape == without[axis]:
        return "Write labels.astype(int)."
    if labels.shape in without:
        return f"If the classes are on axis {without.index(labels.shape)}, say so: axis={without.index(labels.shape)}."
    if labels.size == math.prod(without[axis]):
        return f"Write labels.reshape{without[axis]}."
    return f"Give labels of shape {without[axis]}."


# -- cross-entropy ----------------------------------------------------------------------------


@composite(
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5), weight=np.array([1, 2, 4]), label_smoothing=0.1),
        r(r.real(3, 5), np.array([0, -100, 2, 1, 0]), axis=0, ignore_index=-100, reduction="sum"),
        r(r.real(4, 3), r.integers(3, 4), ignore_index=1, weight=np.array([1, 2, 4])),
        r(r.real(2, 3), r.positive(2, 3), weight=np.array([1, 2, 4]), label_smoothing=0.1),
        r(r.real(2, 3, 4), r.integers(3, 2, 4), axis=1, reduction="none"),
    ]
)
def cross_entropy(logits, labels, axis=-1, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """The mean over samples of -log softmax(logits) at the label: softmax and its loss as one stable op.

    `logits` has the classes along `axis`; `labels` are whole numbers (the shape of `logits` without
    that axis) or one weight per class (the shape of `logits`, such as one-hot).
    `weight` has a number for each class, and the mean is then over the weights of the labels.  Samples whose label is
    `ignore_index` do not count; if none counts, the mean is 0.  `label_smoothing` from 0 to 1 is the part of each
    label that is shared by all classes.  `reduction` is "mean", "sum" or "none".
    The gradient of the mean is (softmax(logits) - onehot(labels)) / m.  (Bishop, PRML, 2006, section 4.3.4.)
    Raises ShapeError for other labels, IndexError for a label that is no class.

    >>> import numpy as np, tinygrad_np as tg
    >>> z = tg.Tensor([[2.0, 1.0], [0.0, 3.0]], requires_grad=True)
    >>> tg.cross_entropy(z, np.array([0, 1])).backward()
    >>> np.allclose(z.grad.data, (tg.softmax(z.data) - np.eye(2)) / 2)
    True
    """
    if weight is None and ignore_index is None and not label_smoothing and reduction == "mean":
        return _mean_cross_entropy(logits, labels, axis)
    logits = real(logits)
    labels = operand(labels)
    if not 0 <= label_smoothing <= 1:
        raise RangeError(
            f"cross_entropy shares label_smoothing={label_smoothing} of each label among all classes, and a part is "
            "from 0 to 1.  The usual one is 0.1."
        )
    scores = log_softmax(logits, axis)
    if labels.shape == logits.shape:
        return _of_shares(scores, labels, axis, weight, ignore_index, label_smoothing, reduction)
    return _at_labels("cross_entropy", scores, labels, axis, weight, ignore_index, label_smoothing, reduction)


# An op, because the recorded backward pass has no other way to subtract 1 in place.
@op(
    x=lambda g, x, axis: softmax_slope(g, softmax(x, axis), axis),
    jvps={"x": lambda t, x, axis: softmax_slope(t, softmax(x, axis), axis)},
)
def _softmax_minus_one_hot(x, labels, axis):
    p = softmax(x, axis)
    if p.ndim == 2 and axis in (-1, 1):
        # A fraction of the cost of the general way, which matters for small batches.
        p[np.arange(len(p)), labels] -= 1
        return p
    index = np.expand_dims(labels, axis)
    np.put_along_axis(p, index, np.take_along_axis(p, index, axis) - 1, axis)
    return p


def _cross_entropy_pull(g, logits, labels, axis):
    scale = g * (1 / samples(logits.shape, axis))
    if labels.shape != logits.shape:
        return _softmax_minus_one_hot(logits, labels, axis) * scale
    # The weights of a sample need not add up to 1.
    return (softmax(logits, axis) * labels.sum(axis=axis, keepdims=True) - labels) * scale


def _cross_entropy_run(logits, labels, axis=-1):
    logits, labels = floating(logits), np.asarray(labels)
    m = samples(logits.shape, axis)
    if labels.shape == logits.shape:
        # A class of weight 0 does not count, even where its probability is 0.
        scores = np.where(labels == 0, 0, log_softmax(logits, axis))
        return -mean_of(scores * labels, m)
    index = class_index(labels, logits.shape, axis)
    _, total, top = exponentials(logits, axis)
    if logits.ndim == 2 and axis in (-1, 1):
        picked = logits[np.arange(len(logits)), labels][:, None]
    else:
        picked = np.take_along_axis(logits, index, axis)
    loss = np.log(total) + top - picked
    return mean_of(loss.astype(logits.dtype, copy=False), m)


_mean_cross_entropy = op(
    cross_entropy,
    run=_cross_entropy_run,
    fresh=True,
    logits=lambda g, logits, labels, axis: _cross_entropy_pull(g, logits, labels, axis),
    labels=lambda g, logits, axis: log_softmax(logits, axis) * (g * (-1 / samples(logits.shape, axis))),
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5)),
        r(r.real(3, 5), r.integers(3, 5), axis=0),
        r(r.real(5, 3), np.eye(3)[r.integers(3, 5)]),
        r(r.real(2, 3, 4), r.integers(3, 2, 4), axis=1),
        r(r.real(3), r.integers(3)),
    ],
)


@composite(
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5)),
        r(r.real(3, 5), np.array([0, -100, 2, 1, 0]), axis=0, ignore_index=-100, weight=np.array([1, 2, 4])),
        r(r.real(2, 3, 4), r.integers(3, 2, 4), axis=1, reduction="none"),
        r(r.real(3), r.integers(3), reduction="sum"),
    ]
)
def nll_loss(log_probabilities, labels, axis=-1, *, weight=None, ignore_index=None, reduction="mean"):
    """The mean over samples of minus the logarithm of the probability of the label, which is given.

    `log_probabilities` has the classes along `axis`, such as `log_softmax` gives; `labels` are whole numbers, of its
    shape without that axis.  `weight`, `ignore_index` and `reduction` are those of `cross_entropy`, and so are the
    errors.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import nll_loss
    >>> nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0])).round(6)
    np.float64(1.039721)
    """
    scores = real(log_probabilities)
    return _at_labels("nll_loss", scores, labels, axis, weight, ignore_index, 0, reduction)


def _class_weights(name, weight, scores, axis):
    """A number for each class, of the dtype of the scores."""
    weight = like(weight, scores)
    if weight.shape != (scores.shape[axis],):
        raise ShapeError(
            f"{name} takes one weight for each class, and scores of shape {scores.shape} with classes on axis {axis} "
            f"do not go with weights of shape {weight.shape}.  Give a vector of {scores.shape[axis]}."
        )
    return weight


def _along(weight, ndim, axis):
    """A vector laid along one of the axes."""
    shape = [1] * ndim
    shape[axis] = -1
    return np.reshape(weight, shape)


def _at_labels(name, scores, labels, axis, weight, ignore_index, smoothing, reduction):
    """Minus the scores at the labels, by weight."""
    labels = plain(labels)
    counts = None if ignore_index is None else labels != ignore_index
    index = class_index(labels if counts is None else np.where(counts, labels, 0), scores.shape, axis, name)
    losses = -np.take_along_axis(scores, index, axis)
    share = None
    if weight is not None:
        weight = _class_weights(name, weight, scores, axis)
        share = np.take(weight, index)
    if counts is not None:
        counts = np.expand_dims(counts, axis)
        share = np.astype(counts, scores.dtype) if share is None else np.where(counts, share, 0)
    if share is not None:
        # What does not count may be infinite.
        losses = np.where(share == 0, 0, losses) * share
    if smoothing:
        losses = (1 - smoothing) * losses + smoothing * _over_classes(scores, weight, axis, counts)
    losses = np.squeeze(losses, axis)
    if reduction != "mean" or share is None or not losses.size:
        return reduced(name, losses, reduction)
    # Half precision holds no large sums, but their means.
    total = np.mean(share)
    return np.mean(losses) / total if bare(total) else np.sum(losses)


def _over_classes(scores, weight, axis, counts):
    """The loss of labels that are shared by all classes."""
    if weight is not None:
        weight = _along(weight, scores.ndim, axis)
        scores = np.where(weight == 0, 0, scores) * weight
    losses = -np.mean(scores, axis=axis, keepdims=True)
    return losses if counts is None else np.where(counts, losses, 0)


def _of_shares(scores, labels, axis, weight, ignore_index, smoothing, reduction):
    """Minus the scores, each by what its class has of the label."""
    if ignore_index is not None:
        raise ValueError(
            f"cross_entropy leaves out samples of which the label is ignore_index={ignore_index}, and labels of shape "
            f"{labels.shape} are one weight per class.  Give samples that do not count the weights 0."
        )
    share = like(labels, scores)
    if smoothing:
        share = share * (1 - smoothing) + smoothing / scores.shape[axis]
    if weight is not None:
        share = share * _along(_class_weights("cross_entropy", weight, scores, axis), scores.ndim, axis)
    losses = np.sum(-share * np.where(share == 0, 0, scores), axis=axis)
    return reduced("cross_entropy", losses, reduction)


# -- others -----------------------------------------------------------------------------------


@composite(
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5)),
        r(r.real(3, 5), r.integers(3, 5), axis=0, gamma=1.5, alpha=np.array([1, 2, 4])),
        r(r.real(4, 3), r.integers(3, 4), gamma=0, reduction="none"),
    ]
)
def focal(logits, labels, axis=-1, *, alpha=None, gamma=2.0, reduction="mean"):
    """Cross-entropy that samples which are right already hardly count in: -(1 - p)**gamma log p at the label.

    p = softmax(logits) along `axis`; `labels` are whole numbers, of the shape of `logits` without that axis; `alpha`
    has a weight for each class.  `gamma` of 0 is `cross_entropy`; below 0 is a RangeError.
    Source: Lin et al., Focal loss for dense object detection, 2017.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import focal
    >>> focal(np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([0, 0])).round(6)
    np.float64(0.086643)
    """
    check_at_least("focal", "gamma", gamma, 0)
    scores = real(logits)
    index = class_index(plain(labels), scores.shape, axis, "focal")
    picked = np.take_along_axis(log_softmax(scores, axis), index, axis)
    losses = (-np.expm1(picked)) ** gamma * -picked
    if alpha is not None:
        losses = losses * np.take(_class_weights("focal", alpha, scores, axis), index)
    return reduced("focal", np.squeeze(losses, axis), reduction)


@composite(
    sample=lambda r: [
        r(r.real(5, 3), r.integers(3, 5)),
        r(r.real(3, 5), r.integers(3, 5), axis=0, p=2, margin=0.5, weight=np.array([1, 2, 4])),
        r(r.real(3), r.integers(3), reduction="none"),
    ]
)
def multi_margin(scores, labels, axis=-1, *, p=1, margin=1.0, weight=None, reduction="mean"):
    """The mean over samples of what the other classes come nearer than `margin` to the label's score.

    For a sample it is sum(max(0, margin - scores[label] + scores[k])**p for the other k) / classes, times the weight
    of the label.  `p` is 1 or 2, else ValueError; `labels` are whole numbers, of the shape of `scores` without `axis`.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import multi_margin
    >>> multi_margin(np.array([[1.0, 0.5, -2.0]]), np.array([0]))
    np.float64(0.16666666666666666)
    """
    if p not in (1, 2):
        raise ValueError(
            f"multi_margin adds up distances (p=1) or their squares (p=2), and got p={p!r}.  Write other powers with "
            "np.maximum."
        )
    scores = real(scores)
    labels = plain(labels)
    index = class_index(labels, scores.shape, axis, "multi_margin")
    short = margin + scores - np.take_along_axis(scores, index, axis)
    classes = _along(np.arange(scores.shape[axis]), scores.ndim, axis)
    short = np.where((classes == index) | (bare(short) <= 0), 0, short)
    losses = np.mean(short if p == 1 else short * short, axis=axis)
    if weight is not None:
        losses = losses * np.take(_class_weights("multi_margin", weight, scores, axis), labels)
    return reduced("multi_margin", losses, reduction)
