"""Layers beside PyTorch's of the same name: its state loads, and results, gradients and buffers are the same."""

import math

import numpy as np
import pytest
from layers import LAYERS, inputs_of
from sampler import Sampler
from torch_values import torch_values

import tinygrad_np as tg
from tinygrad_np import nn

# For the layers of the table: PyTorch's. `t` is torch.nn.
SAME = {
    "Linear": lambda t: t.Linear(3, 2),
    "Linear without bias": lambda t: t.Linear(3, 2, bias=False),
    "Bilinear": lambda t: t.Bilinear(2, 3, 4),
    "Conv1d": lambda t: t.Conv1d(2, 3, 3, padding="same"),
    "Conv2d": lambda t: t.Conv2d(2, 3, 2),
    "Conv2d with settings": lambda t: t.Conv2d(
        2, 4, (2, 3), (2, 1), (1, 2), (1, 2), 2, bias=False, padding_mode="circular"
    ),
    "Conv2d with edges": lambda t: t.Conv2d(1, 2, 2, padding=1, padding_mode="replicate"),
    "Conv3d": lambda t: t.Conv3d(1, 2, (1, 2, 2)),
    "ConvTranspose1d": lambda t: t.ConvTranspose1d(2, 1, 3, 2, 1, 1),
    "ConvTranspose2d": lambda t: t.ConvTranspose2d(2, 2, 2, 2, groups=2),
    "ConvTranspose2d with settings": lambda t: t.ConvTranspose2d(
        1, 2, (2, 1), (2, 1), (1, 0), (2, 2), bias=False, dilation=3
    ),
    "ConvTranspose3d": lambda t: t.ConvTranspose3d(1, 2, 2, dilation=(1, 2, 1)),
    "MaxPool1d": lambda t: t.MaxPool1d(2),
    "MaxPool2d": lambda t: t.MaxPool2d(3, 2, 1),
    "MaxPool2d with settings": lambda t: t.MaxPool2d((2, 1), (3, 2), dilation=2, ceil_mode=True),
    "MaxPool3d": lambda t: t.MaxPool3d(2),
    "AvgPool1d": lambda t: t.AvgPool1d(2, padding=1),
    "AvgPool2d": lambda t: t.AvgPool2d(2),
    "AvgPool2d with settings": lambda t: t.AvgPool2d(3, 2, 1, True, False),
    "AvgPool3d": lambda t: t.AvgPool3d(2, 1),
    "AdaptiveAvgPool1d": lambda t: t.AdaptiveAvgPool1d(3),
    "AdaptiveAvgPool2d": lambda t: t.AdaptiveAvgPool2d((2, None)),
    "AdaptiveAvgPool3d": lambda t: t.AdaptiveAvgPool3d(1),
    "AdaptiveMaxPool1d": lambda t: t.AdaptiveMaxPool1d(3),
    "AdaptiveMaxPool2d": lambda t: t.AdaptiveMaxPool2d((2, 3)),
    "AdaptiveMaxPool3d": lambda t: t.AdaptiveMaxPool3d(1),
    "Embedding": lambda t: t.Embedding(5, 3),
    "BatchNorm1d": lambda t: t.BatchNorm1d(3),
    "BatchNorm1d of sequences": lambda t: t.BatchNorm1d(3, momentum=None),
    "BatchNorm2d": lambda t: t.BatchNorm2d(2),
    "BatchNorm3d": lambda t: t.BatchNorm3d(2, affine=False),
    "BatchNorm without statistics": lambda t: t.BatchNorm1d(3, track_running_stats=False),
    "LayerNorm": lambda t: t.LayerNorm(4),
    "LayerNorm of two axes": lambda t: t.LayerNorm((2, 3), bias=False),
    "LayerNorm without weights": lambda t: t.LayerNorm(4, elementwise_affine=False),
    "RMSNorm": lambda t: t.RMSNorm(4, eps=0.1),
    "GroupNorm": lambda t: t.GroupNorm(2, 4),
    "InstanceNorm1d": lambda t: t.InstanceNorm1d(2, affine=True),
    "InstanceNorm2d": lambda t: t.InstanceNorm2d(2),
    "TransformerEncoderLayer, norm first": lambda t: t.TransformerEncoderLayer(
        4, 2, 3, 0, norm_first=True, batch_first=True
    ),
    "ReLU": lambda t: t.ReLU(),
    "ReLU6": lambda t: t.ReLU6(),
    "LeakyReLU": lambda t: t.LeakyReLU(0.2),
    "PReLU": lambda t: t.PReLU(),
    "PReLU by channel": lambda t: t.PReLU(3),
    "ELU": lambda t: t.ELU(0.5),
    "CELU": lambda t: t.CELU(0.5),
    "SELU": lambda t: t.SELU(),
    "GELU": lambda t: t.GELU(),
    "GELU by tanh": lambda t: t.GELU("tanh"),
    "SiLU": lambda t: t.SiLU(),
    "Mish": lambda t: t.Mish(),
    "Sigmoid": lambda t: t.Sigmoid(),
    "LogSigmoid": lambda t: t.LogSigmoid(),
    "Tanh": lambda t: t.Tanh(),
    "Tanhshrink": lambda t: t.Tanhshrink(),
    "Softplus": lambda t: t.Softplus(),
    "Softsign": lambda t: t.Softsign(),
    "Softshrink": lambda t: t.Softshrink(0.3),
    "Softmax": lambda t: t.Softmax(-1),
    "Softmin": lambda t: t.Softmin(0),
    "LogSoftmax": lambda t: t.LogSoftmax(-1),
    "GLU": lambda t: t.GLU(),
    "Hardtanh": lambda t: t.Hardtanh(-0.5, 0.7),
    "Hardsigmoid": lambda t: t.Hardsigmoid(),
    "Hardswish": lambda t: t.Hardswish(),
    "Hardshrink": lambda t: t.Hardshrink(),
    "Threshold": lambda t: t.Threshold(0.3, -1.0),
    "Flatten": lambda t: t.Flatten(),
    "Unflatten": lambda t: t.Unflatten(1, (3, -1)),
    "CrossEntropyLoss": lambda t: t.CrossEntropyLoss(),
    "NLLLoss": lambda t: t.NLLLoss(),
    "MultiMarginLoss": lambda t: t.MultiMarginLoss(),
    "SoftMarginLoss": lambda t: t.SoftMarginLoss(),
    "MSELoss": lambda t: t.MSELoss(),
    "L1Loss": lambda t: t.L1Loss(reduction="sum"),
    "HuberLoss": lambda t: t.HuberLoss(),
    "SmoothL1Loss": lambda t: t.SmoothL1Loss(beta=0.7),
    "PoissonNLLLoss": lambda t: t.PoissonNLLLoss(),
    "GaussianNLLLoss": lambda t: t.GaussianNLLLoss(),
    "KLDivLoss": lambda t: t.KLDivLoss(reduction="batchmean"),
    "HingeEmbeddingLoss": lambda t: t.HingeEmbeddingLoss(),
    "CosineEmbeddingLoss": lambda t: t.CosineEmbeddingLoss(),
    "MarginRankingLoss": lambda t: t.MarginRankingLoss(),
    "TripletMarginLoss": lambda t: t.TripletMarginLoss(),
}

BAN = np.array([[False, True, False], [False, False, True], [True, False, False]])
PADDED = np.array([[False, False, False], [False, False, True]])
SCORES = np.linspace(-1, 1, 9).reshape(3, 3)


def attention(**settings):
    return lambda t: t.MultiheadAttention(4, 2, **{"batch_first": True, **settings})


def encoder(**settings):
    return lambda t: t.TransformerEncoderLayer(4, 2, 5, 0.0, **{"batch_first": True, **settings})


# Both libraries take the same call, and the same arrays and keywords: name, layer, shapes, keywords.
CALLED = {
    "one sequence": (attention(), [(2, 3, 4)] * 3, {}),
    "weights of each head": (attention(), [(2, 3, 4)] * 3, {"average_attn_weights": False}),
    "without weights": (attention(), [(2, 3, 4)] * 3, {"need_weights": False}),
    "keys of another length": (attention(), [(2, 3, 4), (2, 5, 4), (2, 5, 4)], {}),
    "keys of other features": (attention(kdim=3, vdim=5), [(2, 3, 4), (2, 2, 3), (2, 2, 5)], {}),
    "without bias": (attention(bias=False), [(2, 3, 4)] * 3, {}),
    "without samples": (attention(), [(3, 4)] * 3, {}),
    "samples second": (attention(batch_first=False), [(3, 2, 4)] * 3, {}),
    "a mask": (attention(), [(2, 3, 4)] * 3, {"attn_mask": BAN}),
    "a mask of numbers": (attention(), [(2, 3, 4)] * 3, {"attn_mask": SCORES}),
    "a mask for each head": (attention(), [(3, 3, 4)] * 3, {"attn_mask": np.stack([BAN, BAN.T] * 3)}),
    "padding": (attention(), [(2, 3, 4)] * 3, {"key_padding_mask": PADDED}),
    "a mask and padding": (attention(), [(2, 3, 4)] * 3, {"attn_mask": np.triu(BAN, 1), "key_padding_mask": PADDED}),
    "numbers and padding": (
        attention(), [(2, 3, 4)] * 3, {"attn_mask": SCORES, "key_padding_mask": np.where(PADDED, -np.inf, 0.0)},
    ),
    "an encoder": (encoder(), [(2, 3, 4)], {}),
    "an encoder with gelu": (encoder(activation="gelu", layer_norm_eps=0.1), [(2, 3, 4)], {}),
    "an encoder, norm first": (encoder(norm_first=True), [(2, 3, 4)], {}),
    "an encoder without bias": (encoder(bias=False), [(2, 3, 4)], {}),
    "an encoder, samples second": (encoder(batch_first=False), [(3, 2, 4)], {}),
    "an encoder with masks": (
        encoder(), [(2, 3, 4)], {"src_mask": np.triu(BAN, 1), "src_key_padding_mask": PADDED},
    ),
}  # fmt: skip


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def run_torch(torch, make, given, options):
    """What PyTorch's layer gives, with any state: names with shapes, and all numbers in one row."""
    layer = make(torch.nn).double()
    rng = np.random.default_rng(5)
    state = {name: drawn(rng, name, tuple(value.shape)) for name, value in layer.state_dict().items()}
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    inputs = [torch.tensor(x, requires_grad=is_float(x)) for x in given]
    masks = {k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    outs = [x for x in tuple_of(layer(*inputs, **masks)) if x is not None]
    sum((x * torch.from_numpy(weights(x.shape))).sum() for x in outs).backward()
    found = {f"state:{name}": value for name, value in state.items()}
    found |= {f"out:{i}": x for i, x in enumerate(outs)}
    found |= {f"grad:{i}": x.grad for i, x in enumerate(inputs) if x.requires_grad}
    found |= {f"grad:{name}": p.grad for name, p in layer.named_parameters()}
    found |= {f"after:{name}": x for name, x in layer.named_buffers()}
    arrays = [np.asarray(x.detach() if hasattr(x, "detach") else x, float) for x in found.values()]
    titles = [f"{name} {','.join(map(str, x.shape))}" for name, x in zip(found, arrays, strict=True)]
    return [np.array(titles), np.concatenate([x.ravel() for x in arrays])]


def unpacked(titles, numbers):
    """The arrays by name."""
    found = {}
    for title in titles.tolist():
        name, _, sizes = title.partition(" ")
        shape = tuple(map(int, sizes.split(","))) if sizes else ()
        found[name] = numbers[: math.prod(shape)].reshape(shape)
        numbers = numbers[math.prod(shape) :]
    return found


def weights(shape):
    """What the entries of a result are multiplied with, so that gradients are not all the same."""
    return np.cos(np.arange(math.prod(shape), dtype=float)).reshape(shape)


def drawn(rng, name, shape):
    if name.endswith("num_batches_tracked"):
        return np.asarray(3)
    return np.asarray(rng.uniform(0.2, 1.2, shape) * rng.choice([-1, 1], () if "running_var" in name else shape) ** 2)


def tuple_of(out):
    return out if isinstance(out, tuple) else (out,)


def check(key, make, layer, given, options):
    expected = unpacked(*torch_values("layers", key, lambda torch: run_torch(torch, make, given, options)))
    layer = layer.astype(np.float64)
    counts = {name for name, b in layer.named_buffers() if b.dtype.kind == "i"}
    state = {name[6:]: x for name, x in expected.items() if name.startswith("state:")}
    layer.load_state_dict({name: x.astype(int) if name in counts else x for name, x in state.items()})
    inputs = [tg.Tensor(x, requires_grad=True) if is_float(x) else x for x in given]
    outs = [x for x in tuple_of(layer(*inputs, **options)) if x is not None]
    sum((x * weights(x.shape)).sum() for x in outs).backward()
    found = {f"out:{i}": x.data for i, x in enumerate(outs)}
    found |= {f"grad:{i}": x.grad.data for i, x in enumerate(inputs) if isinstance(x, tg.Tensor)}
    found |= {f"grad:{name}": p.grad.data for name, p in layer.named_parameters()}
    found |= {f"after:{name}": x for name, x in layer.named_buffers()}
    assert found.keys() == {name for name in expected if not name.startswith("state:")}
    # The slope 1/6 of PyTorch's hardsigmoid is rounded to single precision.
    rtol = 1e-7 if key == "Hardsigmoid" else 1e-9
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=rtol, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("name", SAME)
def test_the_same_as_pytorchs(name):
    check(name, SAME[name], LAYERS[name][0](), inputs_of(name, Sampler()), {})


@pytest.mark.parametrize("name", CALLED)
def test_called_as_pytorchs(name):
    make, shapes, options = CALLED[name]
    r = Sampler(1)
    check(name, make, make(nn), [r.real(*shape) for shape in shapes], options)


def test_batch_norm_uses_what_it_has_seen():
    x = Sampler(2).real(4, 3)

    def seen(torch):
        layer = torch.nn.BatchNorm1d(3).double()
        for k in range(3):
            layer(torch.from_numpy(x * k + k))
        return [layer.eval()(torch.from_numpy(x)), *layer.buffers()]

    layer = nn.BatchNorm1d(3, dtype=np.float64)
    for k in range(3):
        layer(x * k + k)
    found = [layer.eval()(x).data, *[b for _, b in layer.named_buffers()]]
    for a, b in zip(found, torch_values("layers", "batch norm seen", seen), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_padding_row_gets_no_gradient():
    indices = np.array([[0, 1, 1], [2, 0, 1]])

    def gradient(torch):
        weight = torch.arange(12.0, dtype=torch.float64).reshape(4, 3).requires_grad_()
        out = torch.nn.functional.embedding(torch.from_numpy(indices), weight, padding_idx=1)
        (out**2).sum().backward()
        return [out, weight.grad]

    weight = tg.Tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    out = nn.functional.embedding(indices, weight, padding_idx=1)
    (out**2).sum().backward()
    for a, b in zip([out.data, weight.grad.data], torch_values("layers", "padding row", gradient), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_alpha_dropout_has_the_two_values_of_pytorchs(p):
    def values(torch):
        torch.manual_seed(0)
        return [np.unique(torch.nn.functional.alpha_dropout(torch.ones(100, dtype=torch.float64), p, True).numpy())]

    (expected,) = torch_values("layers", f"alpha dropout {p}", values)
    found = np.unique(nn.functional.alpha_dropout(np.ones(100), p, rng=0))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
