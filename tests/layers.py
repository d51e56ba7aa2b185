"""The table of all layers: how each is built, and what it takes."""

import numpy as np

from tinygrad_np import nn

# A shape stands for real numbers, a function of the Sampler for anything else.
LAYERS = {
    # products
    "Linear": (lambda: nn.Linear(3, 2), (4, 3)),
    "Linear without bias": (lambda: nn.Linear(3, 2, bias=False), (2, 4, 3)),
    "Bilinear": (lambda: nn.Bilinear(2, 3, 4), (5, 2), (5, 3)),
    # convolution
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding="same"), (2, 2, 4)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 2), (2, 2, 3, 3)),
    "Conv2d with settings": (
        lambda: nn.Conv2d(2, 4, (2, 3), (2, 1), (1, 2), (1, 2), 2, bias=False, padding_mode="circular"), (2, 2, 3, 4),
    ),
    "Conv2d with edges": (lambda: nn.Conv2d(1, 2, 2, padding=1, padding_mode="replicate"), (2, 1, 2, 2)),
    "Conv3d": (lambda: nn.Conv3d(1, 2, (1, 2, 2)), (2, 1, 2, 2, 3)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 1, 3, 2, 1, 1), (2, 2, 3)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 2, 2, 2, groups=2), (2, 2, 2, 3)),
    "ConvTranspose2d with settings": (
        lambda: nn.ConvTranspose2d(1, 2, (2, 1), (2, 1), (1, 0), (2, 2), bias=False, dilation=3), (2, 1, 3, 2),
    ),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(1, 2, 2, dilation=(1, 2, 1)), (1, 1, 2, 1, 2)),
    # pooling
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (2, 2, 4)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (2, 2, 4, 5)),
    "MaxPool2d with settings": (lambda: nn.MaxPool2d((2, 1), (3, 2), dilation=2, ceil_mode=True), (1, 2, 5, 4)),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), (1, 2, 2, 2, 4)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2, padding=1), (2, 2, 4)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (2, 2, 4, 5)),
    "AvgPool2d with settings": (lambda: nn.AvgPool2d(3, 2, 1, True, False), (1, 2, 4, 4)),
    "AvgPool3d": (lambda: nn.AvgPool3d(2, 1), (1, 1, 2, 3, 2)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (2, 2, 5)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, None)), (1, 2, 3, 2)),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d(1), (1, 2, 2, 2, 2)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), (2, 2, 5)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3)), (1, 2, 3, 4)),
    "AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d(1), (1, 2, 2, 2, 2)),
    # tables
    "Embedding": (lambda: nn.Embedding(5, 3), lambda r: r.integers(5, 2, 4)),
    "LearnedPositions": (lambda: nn.LearnedPositions(5, 2), (2, 3, 2)),
    "SinusoidalPositions": (lambda: nn.SinusoidalPositions(), (2, 3, 4)),
    # normalization
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "BatchNorm1d of sequences": (lambda: nn.BatchNorm1d(3, momentum=None), (2, 3, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (2, 2, 2, 2)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(2, affine=False), (2, 2, 1, 2, 2)),
    "BatchNorm without statistics": (lambda: nn.BatchNorm1d(3, track_running_stats=False), (4, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (3, 4)),
    "LayerNorm of two axes": (lambda: nn.LayerNorm((2, 3), bias=False), (3, 2, 3)),
    "LayerNorm without weights": (lambda: nn.LayerNorm(4, elementwise_affine=False), (3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4, eps=0.1), (3, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(2, affine=True), (2, 2, 4)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(2), (2, 2, 2, 2)),
    # dropout
    "Dropout": (lambda: nn.Dropout(0.4), (3, 4)),
    "Dropout1d": (lambda: nn.Dropout1d(0.4), (2, 4, 2)),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), (2, 4, 2, 1)),
    "Dropout3d": (lambda: nn.Dropout3d(0.4), (2, 4, 2, 1, 1)),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.4), (3, 4)),
    "FeatureAlphaDropout": (lambda: nn.FeatureAlphaDropout(0.4), (2, 4, 2)),
    # attention
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), (2, 3, 4)),
    "MultiheadAttention of others": (lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=2), (3, 4), (2, 3), (2, 2)),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 5, activation="gelu"), (2, 3, 4)),
    "TransformerEncoderLayer, norm first": (lambda: nn.TransformerEncoderLayer(4, 2, 3, 0, norm_first=True), (3, 4)),
    "TransformerBlock": (lambda: nn.TransformerBlock(4, 2, 3, causal=True), (3, 4)),
    # recurrent
    "RNN": (lambda: nn.RNN(2, 3, nonlinearity="relu", bidirectional=True), (3, 1, 2)),
    "RNN of several layers": (lambda: nn.RNN(2, 2, 2, batch_first=True, dropout=0.4), (2, 3, 2)),
    "LSTM": (lambda: nn.LSTM(2, 2, 2, bidirectional=True), (2, 2, 2)),
    "GRU": (lambda: nn.GRU(2, 2, bidirectional=True), (3, 2)),
    "GRU of padded sequences": (lambda: nn.GRU(2, 2, bias=False), (3, 2, 2), (1, 2, 2), lambda r: np.array([1, 3])),
    "RNNCell": (lambda: nn.RNNCell(2, 3), (2, 2), (2, 3)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 2), (2, 3)),
    "GRUCell": (lambda: nn.GRUCell(2, 3), (2, 2), (2, 3)),
    # activations
    "ReLU": (nn.ReLU, (3, 4)),
    "ReLU6": (nn.ReLU6, (3, 4)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.2), (3, 4)),
    "PReLU": (nn.PReLU, (3, 4)),
    "PReLU by channel": (lambda: nn.PReLU(3), (2, 3, 2)),
    "ELU": (lambda: nn.ELU(0.5), (3, 4)),
    "CELU": (lambda: nn.CELU(0.5), (3, 4)),
    "SELU": (nn.SELU, (3, 4)),
    "GELU": (nn.GELU, (3, 4)),
    "GELU by tanh": (lambda: nn.GELU("tanh"), (3, 4)),
    "SiLU": (nn.SiLU, (3, 4)),
    "Mish": (nn.Mish, (3, 4)),
    "Sigmoid": (nn.Sigmoid, (3, 4)),
    "LogSigmoid": (nn.LogSigmoid, (3, 4)),
    "Tanh": (nn.Tanh, (3, 4)),
    "Tanhshrink": (nn.Tanhshrink, (3, 4)),
    "Softplus": (nn.Softplus, (3, 4)),
    "Softsign": (nn.Softsign, (3, 4)),
    "Softshrink": (lambda: nn.Softshrink(0.3), (3, 4)),
    "Softmax": (nn.Softmax, (3, 4)),
    "Softmin": (lambda: nn.Softmin(0), (3, 4)),
    "LogSoftmax": (nn.LogSoftmax, (3, 4)),
    "GLU": (nn.GLU, (3, 4)),
    "Hardtanh": (lambda: nn.Hardtanh(-0.5, 0.7), (3, 4)),
    "Hardsigmoid": (nn.Hardsigmoid, (3, 4)),
    "Hardswish": (nn.Hardswish, (3, 4)),
    "Hardshrink": (nn.Hardshrink, (3, 4)),
    "Threshold": (lambda: nn.Threshold(0.3, -1.0), (3, 4)),
    # containers
    "Sequential": (lambda: nn.Sequential(nn.Linear(3, 2), np.tanh, nn.Linear(2, 2)), (4, 3)),
    "Residual": (lambda: nn.Residual(nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 3))), (4, 3)),
    "Identity": (nn.Identity, (3, 4)),
    "Flatten": (nn.Flatten, (2, 3, 2)),
    "Unflatten": (lambda: nn.Unflatten(1, (3, -1)), (2, 6, 2)),
    # losses
    "CrossEntropyLoss": (nn.CrossEntropyLoss, (4, 3), lambda r: r.integers(3, 4)),
    "CrossEntropyLoss with settings": (
        lambda: nn.CrossEntropyLoss(np.array([1.0, 2.0, 0.5]), ignore_index=2, label_smoothing=0.1),
        (4, 3), lambda r: np.array([0, 1, 2, 1]),
    ),
    "NLLLoss": (nn.NLLLoss, (4, 3), lambda r: r.integers(3, 4)),
    "MultiMarginLoss": (nn.MultiMarginLoss, (4, 3), lambda r: r.integers(3, 4)),
    "FocalLoss": (nn.FocalLoss, (4, 3), lambda r: r.integers(3, 4)),
    "CTCLoss": (
        nn.CTCLoss, (4, 2, 3), lambda r: np.array([[1, 2], [2, 0]]), lambda r: [4, 3], lambda r: [2, 1],
    ),
    "BCELoss": (nn.BCELoss, lambda r: r.between(0.1, 0.9, 3, 4), lambda r: r.mask(3, 4).astype(int)),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, (3, 4), lambda r: r.mask(3, 4).astype(int)),
    "SoftMarginLoss": (nn.SoftMarginLoss, (3, 4), lambda r: np.where(r.mask(3, 4), 1, -1)),
    "HingeLoss": (nn.HingeLoss, (3, 4), lambda r: np.where(r.mask(3, 4), 1, -1)),
    "MSELoss": (nn.MSELoss, (3, 4), (3, 4)),
    "L1Loss": (lambda: nn.L1Loss("sum"), (3, 4), (3, 4)),
    "HuberLoss": (nn.HuberLoss, (3, 4), (3, 4)),
    "SmoothL1Loss": (lambda: nn.SmoothL1Loss(beta=0.7), (3, 4), (3, 4)),
    "PoissonNLLLoss": (nn.PoissonNLLLoss, (3, 4), lambda r: r.integers(5, 3, 4)),
    "GaussianNLLLoss": (nn.GaussianNLLLoss, (3, 4), (3, 4), lambda r: r.positive(3, 4)),
    "KLDivLoss": (lambda: nn.KLDivLoss("batchmean"), (3, 4), lambda r: r.positive(3, 4)),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, (6,), lambda r: np.where(r.mask(6), 1, -1)),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss, (4, 3), (4, 3), lambda r: np.array([1, -1, 1, -1])),
    "MarginRankingLoss": (nn.MarginRankingLoss, (6,), (6,), lambda r: np.where(r.mask(6), 1, -1)),
    "TripletMarginLoss": (nn.TripletMarginLoss, (3, 2), (3, 2), (3, 2)),
}  # fmt: skip


def inputs_of(name, r, dtype=np.float64):
    """What the layer takes, drawn by the Sampler `r`."""
    drawn = [given(r) if callable(given) else r.real(*given) for given in LAYERS[name][1:]]
    return [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in drawn]


def build(name, seed=0, dtype=np.float64):
    """The layer in training, with weights that are nowhere special: not 0 and not 1."""
    layer = LAYERS[name][0]().seed(seed).astype(dtype)
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data += rng.uniform(0.1, 0.3, parameter.shape).astype(dtype)
    return layer
