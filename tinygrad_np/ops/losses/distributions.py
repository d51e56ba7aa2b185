"""Losses of distributions: how far one is from another, or how well it explains what was seen."""

import math

import numpy as np

from ...engine.batched import unbatched
from ...engine.door import bare
from ...engine.op import composite, elementwise
from ...errors import RangeError, ShapeError
from .shared import like, pair, reduced, wrong_reduction


def _log_ratio(log_input, target):
    """log(target) + 1 - log_input: the slope in the target, and 0 where that is infinite."""
    absent = target == 0
    return np.log(np.where(absent, 1, target)) + np.where(absent, 0, 1 - log_input)


@elementwise(
    log_input=lambda target: -target,
    target=lambda log_input, target: _log_ratio(log_input, target),
)
def _divergence(log_input, target):
    """Entries of target * (log(target) - log_input); what has no probability does not count."""
    every = unbatched(target)
    if every.size and every.min() < 0:
        raise RangeError(
            f"kl_div takes probabilities as the target, and got numbers down to {every.min():.6g} in shape "
            f"{target.shape}.  Give it probabilities, or their logarithms with log_target=True."
        )
    absent = target == 0
    return target * (np.log(np.where(absent, 1, target)) - np.where(absent, 0, log_input))


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.positive(3, 4)),
        r(r.real(3, 4), r.real(3, 4), log_target=True, reduction="batchmean"),
        r(r.real(4), r.positive(4), reduction="none"),
    ]
)
def kl_div(log_input, target, *, log_target=False, reduction="mean"):
    """The Kullback-Leibler divergence: target * (log(target) - log_input), the mean over all entries.

    `log_input` are logarithms of probabilities, such as `log_softmax` gives, and `target` are probabilities of the
    same shape, or their logarithms if `log_target`.  Where the target is 0, loss and gradient are 0.
    `reduction="batchmean"` is the sum over the length of axis 0, which is the divergence of a distribution; the others
    are "mean", "sum" and "none".  Raises ShapeError for other shapes, RangeError for targets below 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import kl_div
    >>> kl_div(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), reduction="batchmean").round(6)
    np.float64(0.693147)
    """
    log_input, target = pair("kl_div", log_input, target)
    losses = np.exp(target) * (target - log_input) if log_target else _divergence(log_input, target)
    if reduction == "batchmean" and losses.ndim:
        return np.sum(losses) / (len(losses) or 1)
    if reduction not in ("mean", "sum", "none"):
        raise wrong_reduction("kl_div", reduction, ("mean", "batchmean", "sum", "none"))
    return reduced("kl_div", losses, reduction)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.integers(5, 3, 4)),
        r(r.positive(4), r.positive(4), log_input=False, reduction="sum"),
        r(r.real(4), np.array([0, 1, 2, 5]), full=True, reduction="none"),
    ]
)
def poisson_nll(rate, target, *, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """Minus the log-likelihood of counts from a Poisson distribution: exp(rate) - target * rate, the mean over all.

    `rate` is the logarithm of the expected count; with log_input=False it is the count itself, and the loss is
    rate - target * log(rate + eps).  `target` has its shape, else ShapeError.  Left out is log(target!); with `full`
    it is there for targets above 1, by Stirling's formula.  Where exp(rate) is above the largest number, so is the
    loss: it is infinite, and NumPy warns.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import poisson_nll
    >>> poisson_nll(np.log([2.0, 3.0]), np.array([2, 3])).round(6)
    np.float64(0.158934)
    """
    rate, target = pair("poisson_nll", rate, target)
    losses = np.exp(rate) - target * rate if log_input else rate - target * np.log(rate + eps)
    if full:
        many = bare(target) > 1
        count = np.where(many, target, 1)
        losses = losses + np.where(many, count * np.log(count) - count + 0.5 * np.log(2 * math.pi * count), 0)
    return reduced("poisson_nll", losses, reduction)


def _variances(var, mean, eps):
    """Variances as an array that broadcasts to the means, of at least eps, and RangeError for any below 0."""
    var = like(var, mean)
    if var.ndim and var.shape == mean.shape[:-1] and mean.shape:
        var = np.expand_dims(var, -1)
    if var.ndim and var.shape not in (mean.shape, (*mean.shape[:-1], 1)):
        raise ShapeError(
            f"gaussian_nll takes a variance for each entry or for each row, and variances of shape {var.shape} do not "
            f"go with {mean.shape}.  Give them that shape, or leave out the last axis."
        )
    every = unbatched(var)
    if every.size and every.min() < 0:
        raise RangeError(
            f"gaussian_nll takes variances, and got numbers down to {every.min():.6g} in shape {var.shape}.  Give it "
            "their squares, np.exp of them or softplus."
        )
    # A variance that is too small keeps its gradient, which makes it grow: with np.maximum it would stay.
    return var + np.maximum(eps - bare(var), 0)


@composite(
    sample=lambda r: [
        r(r.real(3, 4), r.real(3, 4), r.positive(3, 4)),
        r(r.real(3, 4), r.real(3, 4), r.positive(3), full=True, reduction="sum"),
        r(r.real(3, 2), r.real(3, 2), r.positive(3, 1), reduction="none"),
        r(r.real(3), r.real(3), 0.5),
    ]
)
def gaussian_nll(mean, target, var, *, full=False, eps=1e-6, reduction="mean"):
    """Minus the log-likelihood of a normal distribution: (log(var) + (mean - target)**2 / var) / 2, the mean over all.

    `target` has the shape of `mean`; `var`, of the same shape, without the last axis, with 1 there, or one number, is
    taken as `eps` where it is less, and its gradient is then that at `eps`.  With `full`, log(2π) / 2 is added.
    Raises ShapeError for other shapes, RangeError for variances below 0.

    >>> import numpy as np
    >>> from tinygrad_np.ops.losses import gaussian_nll
    >>> gaussian_nll(np.array([1.0, 3.0]), np.array([1.0, 1.0]), np.array([1.0, 2.0])).round(6)
    np.float64(0.673287)
    """
    mean, target = pair("gaussian_nll", mean, target)
    var = _variances(var, mean, eps)
    losses = 0.5 * (np.log(var) + np.square(mean - target) / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll", losses, reduction)
