"""Connectionist temporal classification: the loss of a sequence whose labels have no places in time.

Source: Graves et al., Connectionist temporal classification, 2006.  The forward variables α of its section 4 are
computed for all samples at once, in logarithms.  The gradient is the probability, given the labels, that a frame is in
a state: instead of its backward variables, the parts of α are traced back to where they came from.
"""

import numpy as np

from ...engine.door import bare
from ...engine.op import composite, op
from ...errors import RangeError, ShapeError
from ..nn import logsumexp, softmax, softmax_slope
from .shared import plain, real, reduced


@composite(
    sample=lambda r: [
        r(r.real(6, 2, 4), np.array([[1, 2, 2], [3, 1, 0]]), [6, 5], [3, 2]),
        r(r.real(4, 2, 3), np.array([0, 0, 1]), [4, 3], [2, 1], blank=2, reduction="sum"),
        r(r.real(4, 2, 3), np.array([[1, 1], [0, 0]]), [3, 2], [2, 0], reduction="none"),
        r(r.real(4, 3), np.array([1, 2]), 4, 2),
        r(r.real(2, 2, 3), np.array([[1, 1], [2, 1]]), [2, 2], [2, 2], zero_infinity=True),
    ]
)
def ctc(log_probs, targets, input_lengths, target_lengths, blank=0, *, reduction="mean", zero_infinity=False):
    """Minus the log-probability of the targets under all alignments of them to the frames of a sequence.

    `log_probs` (T, N, C) has, for T frames of N samples, the logarithms of the probabilities of C classes, such as
    `log_softmax` gives; (T, C) is one sample.  `targets` (N, S) are whole numbers that are not `blank`, padded with
    anything; or all of them one after the other in a vector.  The lengths are those of each sample.
    `reduction` is "sum", "none" or "mean", which first divides each loss by the length of its targets.  The loss is
    infinite, and its gradient 0, where the frames do not suffice: `zero_infinity` makes such losses 0.
    The gradient is that with respect to `log_probs` as they are, so that through `log_softmax` it is PyTorch's.
    Raises ShapeError and RangeError for targets and lengths that do not fit.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import ctc
    >>> log_probs = np.log(np.full((2, 1, 2), 0.5))  # of the four paths, "aa", "a-" and "-a" are the word "a"
    >>> ctc(log_probs, np.array([[1]]), [2], [1]) == -np.log(0.75)
    np.True_
    """
    scores = real(log_probs)
    single = scores.ndim == 2
    if single:
        scores = np.expand_dims(scores, 1)
    if scores.ndim != 3 or not scores.shape[0]:
        raise ShapeError(
            f"ctc takes log-probabilities of at least one frame, shape (T, N, C), and got shape {scores.shape}.  Put "
            "the frames first: np.swapaxes(x, 0, 1) for (N, T, C)."
        )
    frames, count, classes = scores.shape
    input_lengths = _lengths("input_lengths", input_lengths, count, 1, frames)
    labels, target_lengths = _padded(plain(targets), target_lengths, count, single)
    labels = _checked_labels(labels, target_lengths, classes, blank)
    losses = -_log_likelihood(scores, labels, input_lengths, target_lengths, blank)
    if zero_infinity:
        losses = np.where(np.isinf(bare(losses)), 0, losses)
    if reduction == "mean":
        losses = losses / np.maximum(target_lengths, 1).astype(scores.dtype)
    return reduced("ctc", losses[0] if single else losses, reduction)


def _log_likelihood(scores, labels, input_lengths, target_lengths, blank):
    """The log-probability of each sample's labels."""
    frames, count, _ = scores.shape
    # Every label stands between blanks.
    states = np.full((count, 2 * labels.shape[1] + 1), blank)
    states[:, 1::2] = labels
    # Without the blank between them, two equal labels would be one; and from blank to blank there is a label.
    over_blanks = np.zeros(states.shape, bool)
    over_blanks[:, 2:] = states[:, 2:] != states[:, :-2]
    # At last there may be the last label or the blank after it.
    left = 2 * target_lengths[:, None] - np.arange(states.shape[1])
    ends = (np.arange(frames)[:, None] == input_lengths - 1)[..., None] & ((left == 0) | (left == 1))
    emitted = np.take_along_axis(scores, np.broadcast_to(states, (frames, *states.shape)), 2)
    return _ctc(emitted, over_blanks, ends)


# -- all alignments at once -------------------------------------------------------------------

# Arrays of the states of all samples, (N, 2 S + 1), for each frame.  These functions compute on tensors, too, for
# derivatives of higher order, and so they write nothing in place.


def _later(x, by, fill=0):
    """The entries moved on by that many states."""
    return np.concatenate([np.full((x.shape[0], by), fill, x.dtype), x], axis=1)[:, : x.shape[1]]


def _earlier(x, by):
    """The entries moved back by that many states."""
    return np.concatenate([x, np.zeros((x.shape[0], by), x.dtype)], axis=1)[:, by:]


def _forward(emitted, over_blanks):
    """The forward variables α of each frame, and which parts of them came from the same state, one and two before."""
    first, *others = np.unstack(emitted)
    # At first there may be a blank or the first label.
    alphas, steps = [np.where(np.arange(first.shape[1]) < 2, first, -np.inf)], []
    for now in others:
        stay = alphas[-1]
        before = [stay, _later(stay, 1, -np.inf), np.where(over_blanks, _later(stay, 2, -np.inf), -np.inf)]
        top = np.maximum(np.maximum(bare(before[0]), bare(before[1])), bare(before[2]))
        top = np.where(top == -np.inf, 0, top)
        parts = [np.exp(x - top) for x in before]
        total = parts[0] + parts[1] + parts[2]
        reached = total != 0
        total = np.where(reached, total, 1)
        steps.append([part / total for part in parts])
        alphas.append(np.where(reached, np.log(total) + top + now, -np.inf))
    return np.stack(alphas), steps


def _posteriors_run(emitted, over_blanks, ends):
    alphas, steps = _forward(emitted, over_blanks)
    return np.stack(_backward(softmax(np.where(ends, alphas, -np.inf), (0, 2)), steps))


def _backward(ended, steps):
    """The probability of each state in each frame: that it ends there, or goes on to one of three states."""
    last = np.unstack(ended)
    found = [last[-1]]
    for before, (stay, one, two) in zip(last[-2::-1], steps[::-1], strict=True):
        after = found[-1]
        found.append(before + after * stay + _earlier(after * one, 1) + _earlier(after * two, 2))
    return found[::-1]


def _posteriors_along(d, emitted, over_blanks, ends):
    """How the probabilities change along d: the second derivative of the loss, which is symmetric."""
    alphas, steps = _forward(emitted, over_blanks)
    ended = softmax(np.where(ends, alphas, -np.inf), (0, 2))
    first, *others = np.unstack(d)
    moved, turned = [first], []
    for now, parts in zip(others, steps, strict=True):
        before = [moved[-1], _later(moved[-1], 1), _later(moved[-1], 2)]
        mean = sum(part * x for part, x in zip(parts, before, strict=True))
        turned.append([part * (x - mean) for part, x in zip(parts, before, strict=True)])
        moved.append(mean + now)
    probabilities = _backward(ended, steps)
    last = np.unstack(softmax_slope(np.stack(moved), ended, (0, 2)))
    found = [last[-1]]
    for t in range(len(steps) - 1, -1, -1):
        parts = [found[-1] * part + probabilities[t + 1] * turn for part, turn in zip(steps[t], turned[t], strict=True)]
        found.append(last[t] + parts[0] + _earlier(parts[1], 1) + _earlier(parts[2], 2))
    return np.stack(found[::-1])


_posteriors = op(
    _posteriors_run,
    name="ctc_posteriors",
    emitted=lambda g, emitted, over_blanks, ends: _posteriors_along(g, emitted, over_blanks, ends),
    jvps={"emitted": lambda t, emitted, over_blanks, ends: _posteriors_along(t, emitted, over_blanks, ends)},
)


def _ctc_run(emitted, over_blanks, ends):
    alphas, _ = _forward(emitted, over_blanks)
    return logsumexp(np.where(ends, alphas, -np.inf), (0, 2))


_ctc = op(
    _ctc_run,
    name="ctc",
    emitted=lambda g, emitted, over_blanks, ends: np.expand_dims(g, 1) * _posteriors(emitted, over_blanks, ends),
    jvps={
        "emitted": lambda t, emitted, over_blanks, ends: np.sum(t * _posteriors(emitted, over_blanks, ends), (0, 2)),
    },
)


# -- checks -----------------------------------------------------------------------------------


def _lengths(name, lengths, count, low, high):
    """One whole number for each sample."""
    lengths = np.atleast_1d(plain(lengths))
    if lengths.shape != (count,) or lengths.dtype.kind not in "iu":
        raise ShapeError(
            f"ctc takes a whole number for each of {count} samples as {name}, and got shape {lengths.shape}, dtype "
            f"{lengths.dtype}.  Give a list of {count}."
        )
    if count and not (lengths.min() >= low and lengths.max() <= high):
        raise RangeError(
            f"ctc has {name} from {low} to {high} here, and got {lengths.min()} to {lengths.max()}.  Lengths count the "
            "frames, or labels, of each sample without its padding."
        )
    return lengths


def _padded(targets, lengths, count, single):
    """Targets as one row for each sample, and their lengths."""
    if single:
        targets = targets[None] if targets.ndim == 1 else targets
    if targets.ndim == 2 and len(targets) == count:
        return targets, _lengths("target_lengths", lengths, count, 0, targets.shape[1])
    lengths = _lengths("target_lengths", lengths, count, 0, targets.size)
    if targets.ndim != 1 or targets.size != lengths.sum():
        raise ShapeError(
            f"ctc takes a row of targets for each of {count} samples, or all one after the other, {lengths.sum()} "
            f"by their lengths, and got shape {targets.shape}.  Pad each row to the same length."
        )
    rows = np.zeros((count, lengths.max(initial=0)), targets.dtype)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = targets
    return rows, lengths


def _checked_labels(labels, lengths, classes, blank):
    """The targets with the blank as their padding; others than classes are refused."""
    inside = np.arange(labels.shape[1]) < lengths[:, None]
    known = labels[inside]
    if labels.dtype.kind not in "iu" or not 0 <= blank < classes or np.any((known < 0) | (known >= classes)):
        raise RangeError(
            f"ctc takes classes from 0 to {classes - 1} as targets and blank, and got blank={blank} and targets from "
            f"{known.min(initial=blank)} to {known.max(initial=blank)}, dtype {labels.dtype}.  Subtract the first "
            "class, or give each class its log-probability."
        )
    if np.any(known == blank):
        raise RangeError(
            f"ctc puts blank={blank} between the targets itself, and among those of shape {labels.shape} it is, too.  "
            "Give the blank a class of its own."
        )
    return np.where(inside, labels, blank)
