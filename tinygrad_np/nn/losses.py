"""Losses as modules, by PyTorch's names; the functions themselves are in `nn.functional`.

All take `reduction`, which is "mean", "sum" or "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functional as F
from .function import Function


class _Loss(Function):
    """A loss that has no other settings."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


def _array(weight: Any) -> Any:
    return None if weight is None else np.asarray(weight)


# -- of classes -------------------------------------------------------------------------------


class CrossEntropyLoss(Function):
    """-log softmax(logits) at the label, with the classes along `axis`; labels are numbers or shares of the classes.

    Unlike in PyTorch, classes are on the last axis, and no label is ignored, unless you say so.

    >>> import numpy as np, tinygrad_np as tg
    >>> loss = tg.nn.CrossEntropyLoss(label_smoothing=0.1)
    >>> loss(np.zeros((2, 4)), np.array([0, 3])).round(4), loss
    (np.float64(1.3863), CrossEntropyLoss(label_smoothing=0.1))
    """

    function = staticmethod(F.cross_entropy)

    def __init__(
        self, weight: Any = None, ignore_index: int | None = None, reduction: str = "mean",
        label_smoothing: float = 0.0, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(
            weight=_array(weight), ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
            axis=axis,
        )  # fmt: skip


class NLLLoss(Function):
    """-log p at the label, given the log p of all classes along `axis`.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.NLLLoss()(np.log([[0.5, 0.5], [0.1, 0.9]]), np.array([0, 1])).round(4)
    np.float64(0.3993)
    """

    function = staticmethod(F.nll_loss)

    def __init__(
        self, weight: Any = None, ignore_index: int | None = None, reduction: str = "mean", axis: int = -1
    ) -> None:
        super().__init__(weight=_array(weight), ignore_index=ignore_index, reduction=reduction, axis=axis)


class MultiMarginLoss(Function):
    """max(0, margin - (score of the label - other score))**p, summed over the other classes, over their number.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.MultiMarginLoss()(np.array([[2.0, 1.5, 0.0]]), np.array([0])).round(4)
    np.float64(0.1667)
    """

    function = staticmethod(F.multi_margin_loss)

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(p=p, margin=margin, weight=_array(weight), reduction=reduction)


class FocalLoss(Function):
    """-(1 - p)**gamma log p at the label: cross entropy that counts what is already right less.

    (Lin et al., "Focal loss for dense object detection", 2017.)

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.FocalLoss()(np.zeros((1, 2)), np.array([0])).round(4)
    np.float64(0.1733)
    """

    function = staticmethod(F.focal_loss)

    def __init__(self, alpha: Any = None, gamma: float = 2.0, reduction: str = "mean", axis: int = -1) -> None:
        super().__init__(alpha=_array(alpha), gamma=gamma, reduction=reduction, axis=axis)


class CTCLoss(Function):
    """-log of the probability of a sequence of labels under all its alignments to the frames.

    Takes the log p of all classes (frames, samples, classes), the labels, and the lengths of both.
    (Graves et al., "Connectionist temporal classification", 2006.)

    >>> import numpy as np, tinygrad_np as tg
    >>> log_probs = np.log(np.full((2, 1, 2), 0.5))  # of the four paths, "aa", "a-" and "-a" are the word "a"
    >>> tg.nn.CTCLoss()(log_probs, np.array([[1]]), [2], [1]).round(4)
    np.float64(0.2877)
    """

    function = staticmethod(F.ctc_loss)

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(blank=blank, reduction=reduction, zero_infinity=zero_infinity)


# -- of two classes ---------------------------------------------------------------------------


class BCELoss(Function):
    """-(y log p + (1 - y) log(1 - p)) for probabilities p.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.BCELoss()(np.array([0.5, 0.9]), np.array([1.0, 1.0])).round(4)
    np.float64(0.3993)
    """

    function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(weight=_array(weight), reduction=reduction)


class BCEWithLogitsLoss(Function):
    """-(y log p + (1 - y) log(1 - p)) for p = sigmoid(z), given z: finite for every z.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.BCEWithLogitsLoss()(np.array([1000.0, 0.0]), np.array([1.0, 1.0])).round(4)
    np.float64(0.3466)
    """

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight=_array(weight), reduction=reduction, pos_weight=_array(pos_weight))


class SoftMarginLoss(_Loss):
    """log(1 + exp(-y * score)) for labels y of -1 and 1.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.SoftMarginLoss()(np.array([0.0, 1000.0]), np.array([1.0, 1.0])).round(4)
    np.float64(0.3466)
    """

    function = staticmethod(F.soft_margin_loss)


class HingeLoss(Function):
    """max(0, margin - y * score) for labels y of -1 and 1: the loss of support vector machines.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.HingeLoss()(np.array([0.5, 3.0]), np.array([1.0, 1.0]))
    np.float64(0.25)
    """

    function = staticmethod(F.hinge_loss)

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


# -- of numbers -------------------------------------------------------------------------------


class MSELoss(_Loss):
    """(p - y)².

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.MSELoss()(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    np.float64(2.0)
    """

    function = staticmethod(F.mse_loss)


class L1Loss(_Loss):
    """|p - y|.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.L1Loss()(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    np.float64(1.0)
    """

    function = staticmethod(F.l1_loss)


class HuberLoss(Function):
    """(p - y)² / 2 up to a distance of delta, and delta * (|p - y| - delta / 2) beyond.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.HuberLoss()(np.array([1.0, 3.0]), np.array([1.5, 1.0]))
    np.float64(0.8125)
    """

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction, delta=delta)


class SmoothL1Loss(Function):
    """(p - y)² / (2 beta) up to a distance of beta, and |p - y| - beta / 2 beyond.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.SmoothL1Loss(beta=2.0)(np.array([1.0, 4.0]), np.array([2.0, 1.0]))
    np.float64(1.125)
    """

    function = staticmethod(F.smooth_l1_loss)

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction, beta=beta)


class PoissonNLLLoss(Function):
    """exp(rate) - count * rate: counts from a Poisson distribution with this logarithm of its mean.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.PoissonNLLLoss()(np.zeros(2), np.array([1.0, 2.0]))
    np.float64(1.0)
    """

    function = staticmethod(F.poisson_nll_loss)

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(log_input=log_input, full=full, eps=eps, reduction=reduction)


class GaussianNLLLoss(Function):
    """(log(var) + (mean - y)² / var) / 2: takes the mean, y and the variance.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.GaussianNLLLoss()(np.zeros(2), np.array([1.0, 3.0]), np.ones(2))
    np.float64(2.5)
    """

    function = staticmethod(F.gaussian_nll_loss)

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(full=full, eps=eps, reduction=reduction)


# -- of distributions, and of vectors ---------------------------------------------------------


class KLDivLoss(Function):
    """target * (log(target) - x), given x as logarithms; "batchmean" is the divergence of a distribution.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.KLDivLoss(reduction="batchmean")(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])).round(4)
    np.float64(0.6931)
    """

    function = staticmethod(F.kl_div)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction, log_target=log_target)


class HingeEmbeddingLoss(Function):
    """The distance where y is 1, and max(0, margin - distance) where it is -1.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.HingeEmbeddingLoss()(np.array([0.5, 0.25]), np.array([1, -1]))
    np.float64(0.625)
    """

    function = staticmethod(F.hinge_embedding_loss)

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class CosineEmbeddingLoss(Function):
    """1 - cos between two vectors where y is 1, and max(0, cos - margin) where it is -1.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.CosineEmbeddingLoss()(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([1])).round(4)
    np.float64(0.4)
    """

    function = staticmethod(F.cosine_embedding_loss)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class MarginRankingLoss(Function):
    """max(0, margin - y * (a - b)): y is 1 where a should be the larger one, and -1 where b should.

    >>> import numpy as np, tinygrad_np as tg
    >>> tg.nn.MarginRankingLoss()(np.array([1.0, 2.0]), np.array([3.0, 1.0]), np.array([1, 1]))
    np.float64(1.0)
    """

    function = staticmethod(F.margin_ranking_loss)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(margin=margin, reduction=reduction)


class TripletMarginLoss(Function):
    """max(0, distance to the positive - distance to the negative + margin): takes anchor, positive and negative.

    >>> import numpy as np, tinygrad_np as tg
    >>> loss = tg.nn.TripletMarginLoss()
    >>> loss(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([[0.0, 1.5]])).round(4)
    np.float64(0.5)
    """

    function = staticmethod(F.triplet_margin_loss)

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)
