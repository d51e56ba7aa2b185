"""Layers: PyTorch's names, in NumPy."""

from typing import Any

from . import functional, init
from .activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from .attention import MultiheadAttention
from .containers import Flatten, Identity, Residual, Sequential, Unflatten
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from .embedding import Embedding, LearnedPositions, SinusoidalPositions
from .linear import Bilinear, Linear
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    CTCLoss,
    FocalLoss,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    HingeLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    SoftMarginLoss,
    TripletMarginLoss,
)
from .module import Module
from .normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from .pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .transformer import TransformerBlock, TransformerEncoderLayer

__all__ = [
    "Module", "Sequential", "Residual", "Identity", "Flatten", "Unflatten", "functional", "init",
    "Linear", "Bilinear", "Embedding", "LearnedPositions", "SinusoidalPositions",
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm1d",
    "InstanceNorm2d",
    "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout",
    "MultiheadAttention", "TransformerEncoderLayer", "TransformerBlock",
    "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Sigmoid", "LogSigmoid",
    "Tanh", "Tanhshrink", "Softplus", "Softsign", "Softshrink", "Softmax", "Softmin", "LogSoftmax", "GLU", "Hardtanh",
    "Hardsigmoid", "Hardswish", "Hardshrink", "Threshold",
    "CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss",
    "KLDivLoss", "PoissonNLLLoss", "GaussianNLLLoss", "HingeLoss", "HingeEmbeddingLoss", "SoftMarginLoss",
    "MultiMarginLoss", "FocalLoss", "CTCLoss", "CosineEmbeddingLoss", "MarginRankingLoss", "TripletMarginLoss",
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell",
]  # fmt: skip

_INSTEAD = {
    "Parameter": "a parameter is a tensor: self.weight = Tensor(array, requires_grad=True)",
    "ParameterList": "parameters stand in any list or dict: self.weights = [Tensor(...), ...]",
    "ParameterDict": "parameters stand in any list or dict: self.weights = {'a': Tensor(...)}",
    "ModuleList": "modules stand in any list: self.blocks = [Block() for _ in range(6)]",
    "ModuleDict": "modules stand in any dict: self.heads = {'a': Linear(4, 2)}",
    "Buffer": "a buffer is an array: self.mean = np.zeros(3)",
    "utils": "clip_grad_norm and clip_grad_value are in tinygrad_np.optim",
}
"""What PyTorch's users look for, and what to write."""


def __getattr__(name: str) -> Any:
    advice = f": {_INSTEAD[name]}" if name in _INSTEAD else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")
