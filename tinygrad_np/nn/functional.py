"""What layers compute, as functions: PyTorch's names, for arrays and tensors."""

from __future__ import annotations

from numpy import tanh

from ..ops.activations import (
    celu,
    elu,
    geglu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    prelu,
    relu6,
    selu,
    silu,
    softmin,
    softshrink,
    softsign,
    swiglu,
    tanhshrink,
    threshold,
)
from ..ops.attention import scaled_dot_product_attention
from ..ops.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from ..ops.embedding import bilinear, embedding, one_hot, sinusoidal_positions
from ..ops.kinks import relu
from ..ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_similarity,
    cross_entropy,
    kl_div,
    nll_loss,
)
from ..ops.losses import binary_focal as binary_focal_loss
from ..ops.losses import cosine_embedding as cosine_embedding_loss
from ..ops.losses import ctc as ctc_loss
from ..ops.losses import focal as focal_loss
from ..ops.losses import gaussian_nll as gaussian_nll_loss
from ..ops.losses import hinge as hinge_loss
from ..ops.losses import hinge_embedding as hinge_embedding_loss
from ..ops.losses import huber as huber_loss
from ..ops.losses import l1 as l1_loss
from ..ops.losses import margin_ranking as margin_ranking_loss
from ..ops.losses import mse as mse_loss
from ..ops.losses import multi_margin as multi_margin_loss
from ..ops.losses import poisson_nll as poisson_nll_loss
from ..ops.losses import smooth_l1 as smooth_l1_loss
from ..ops.losses import soft_margin as soft_margin_loss
from ..ops.losses import triplet_margin as triplet_margin_loss
from ..ops.nn import affine as linear
from ..ops.nn import log_softmax, sigmoid, softmax, softplus
from ..ops.normalization import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from ..ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from ..ops.recurrent import gru, lstm, rnn

__all__ = [
    "linear", "bilinear", "embedding", "one_hot", "sinusoidal_positions", "scaled_dot_product_attention",
    # convolution and pooling
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    # normalization and dropout
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm",
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    # recurrent networks over whole sequences
    "gru", "lstm", "rnn",
    # activations
    "celu", "elu", "geglu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "swiglu", "tanh", "tanhshrink", "threshold",
    # losses
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "binary_focal_loss", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "ctc_loss", "focal_loss", "gaussian_nll_loss", "hinge_embedding_loss",
    "hinge_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss", "multi_margin_loss", "nll_loss",
    "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
]  # fmt: skip
