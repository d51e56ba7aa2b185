"""derive() on networks made of layers: written out as a tutorial would, and right; or refused with a reason."""

import re

import numpy as np
import pytest
from layers import LAYERS, build, inputs_of
from sampler import Sampler

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.derive import DeriveError, derive
from tinygrad_np.derive.naming import word

F = nn.functional
R = np.random.default_rng(3)
X, T, y = R.normal(size=(7, 4)), R.normal(size=(7, 3)), R.integers(0, 3, 7)
yes = R.integers(0, 2, (7, 3)) * 1.0
numbers = R.integers(0, 6, (7, 5))
images, classes = R.normal(size=(2, 2, 9, 9)), np.array([0, 2])


def layers(*parts):
    return nn.Sequential(*parts).astype(float)


def network(activation, outputs=3):
    return layers(nn.Linear(4, 5, rng=0), activation, nn.Linear(5, outputs, rng=1))


def agrees(model, loss):
    """Runs the source, and compares with backward(); the gradients are in the order of the parameters' names."""
    derivation = derive(loss, {"X": X, "T": T, "y": y, "yes": yes, "numbers": numbers, "images": images})
    value, gradients = derivation.run()
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-10)
    parameters = {word(name): parameter for name, parameter in model.named_parameters()}
    assert parameters.keys() == gradients.keys()
    for name, parameter in parameters.items():
        assert gradients[name].dtype == parameter.dtype
        np.testing.assert_allclose(gradients[name], parameter.grad.data, rtol=1e-9, atol=1e-12)
    return {line.name: line.text for line in derivation.backward_lines}


def lines(model, loss):
    return agrees(model, loss(model))


# -- as a tutorial writes it ------------------------------------------------------------------


def test_two_layers():
    found = lines(network(nn.ReLU()), lambda model: tg.cross_entropy(model(X), y))
    assert found == {
        "dZ2": "(softmax(Z2, axis=-1) - one_hot(y, 3, -1)) / m",
        "dweight2": "dZ2.T @ A1",
        "dbias2": "dZ2.sum(axis=0)",
        "dZ1": "(dZ2 @ weight2) * (A1 > 0)",
        "dweight0": "dZ1.T @ X",
        "dbias0": "dZ1.sum(axis=0)",
    }


@pytest.mark.parametrize(
    ("activation", "line"),
    [
        (nn.Sigmoid(), "(dZ2 @ weight2) * A1 * (1 - A1)"),
        (nn.Tanh(), "(dZ2 @ weight2) * (1 - A1 ** 2)"),
        (nn.LeakyReLU(0.2), "np.where((Z1 > 0), dA1, dA1 / 5)"),
        (nn.ELU(), "np.where((Z1 > 0), dA1, dA1 * np.exp(Z1))"),
        (nn.ELU(2.0), "np.where((Z1 > 0), dA1, 2 * dA1 * np.exp(Z1))"),
        (nn.GELU(), "(dZ2 @ weight2) * (normal_distribution(Z1) + Z1 * normal_density(Z1))"),
        (nn.SiLU(), "(dZ2 @ weight2) * sigmoid(Z1) * (1 + Z1 * (1 - sigmoid(Z1)))"),
        (nn.Hardtanh(), "(dZ2 @ weight2) * ((Z1 > -1) & (Z1 < 1))"),
    ],
)
def test_slopes_of_activations(activation, line):
    assert lines(network(activation), lambda model: tg.mse(model(X), T))["dZ1"] == line


OTHERS = [F.celu, F.selu, F.mish, F.relu6, F.hardsigmoid, F.hardswish, F.hardshrink, F.softshrink, F.softsign,
          F.softplus, F.logsigmoid, F.tanhshrink, F.softmin, lambda x: F.gelu(x, "tanh"), F.log_softmax]  # fmt: skip


@pytest.mark.parametrize("activation", OTHERS)
def test_other_activations(activation):
    lines(network(activation), lambda model: tg.mse(model(X), T))


def test_layer_norm_as_the_paper_has_it():
    model = layers(nn.Linear(4, 5, rng=0), nn.LayerNorm(5), nn.Linear(5, 3, rng=1))
    found = lines(model, lambda model: tg.mse(model(X), T))
    assert found["dweight1"] == "(dY1 * N1).sum(axis=0)"
    assert found["dZ1"] == (
        "(dN1 - N1 * (dN1 * N1).mean(axis=1, keepdims=True) - dN1.mean(axis=1, keepdims=True)) "
        "/ np.sqrt(Z1.var(axis=1, keepdims=True) + 1e-05)"
    )


def test_a_long_quotient_has_a_line_for_each_term():
    model = layers(nn.Linear(4, 5, rng=0), nn.BatchNorm1d(5))
    source = derive(tg.mse(model(X)[:, :3], T), {}).source
    assert "        - dN1.mean(axis=0, keepdims=True)\n    ) / np.sqrt(Z1.var(axis=0, keepdims=True) + 1e-05)" in source


def test_rows_of_a_table_are_added_up():
    model = layers(nn.Embedding(6, 4, rng=0), nn.Linear(4, 3, rng=1))
    found = agrees(model, tg.cross_entropy(model(numbers).mean(axis=1), y))
    assert found["dweight0"].startswith("put(")
    assert found["dweight0"].endswith(", numbers, (6, 4))")


def test_convolution():
    model = layers(nn.Conv2d(2, 3, 3, stride=2, padding=1, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(75, 3, rng=1))
    found = agrees(model, tg.cross_entropy(model(images), classes))
    assert found["dweight0"] == "conv_weight(images, dZ1, kernel=(3, 3), stride=2, padding=1)"
    assert found["dbias0"] == "dZ1.sum(axis=(0, 2, 3))"


@pytest.mark.parametrize(
    "parts",
    [
        [nn.BatchNorm1d(5)],
        [nn.BatchNorm1d(5).eval()],
        [nn.RMSNorm(5)],
        [nn.Dropout(0.5, rng=0), nn.Tanh()],
        [nn.PReLU()],
        [nn.Linear(5, 5, bias=False, rng=2), nn.GroupNorm(1, 5)],
    ],
)
def test_other_layers(parts):
    model = layers(nn.Linear(4, 5, rng=0), *parts, nn.Linear(5, 3, rng=1))
    agrees(model, tg.mse(model(X), T))


@pytest.mark.parametrize(
    "parts",
    [
        [nn.MaxPool2d(2)],
        [nn.MaxPool2d(3, stride=2)],
        [nn.AvgPool2d(2)],
        [nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3, dilation=2, rng=1)],
        [nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, rng=1)],
    ],
)
def test_layers_of_images(parts):
    model = layers(nn.Conv2d(2, 3, 3, rng=0), *parts)
    agrees(model, (model(images) ** 2).sum())


def test_a_transformer():
    model = layers(nn.Embedding(6, 8, rng=0), nn.TransformerBlock(8, 2, causal=True, rng=1), nn.Linear(8, 6, rng=2))
    agrees(model, tg.cross_entropy(model(numbers), numbers))


# -- losses with options ----------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "loss",
    [
        lambda z, **options: tg.mse(z, T, **options),
        lambda z, **options: F.l1_loss(z, T, **options),
        lambda z, **options: F.huber_loss(z, T, **options),
        lambda z, **options: tg.cross_entropy(z, y, label_smoothing=0.1, **options),
        lambda z, **options: tg.cross_entropy(z, y, ignore_index=1, **options),
        lambda z, **options: tg.cross_entropy(z, y, weight=np.array([1.0, 2.0, 4.0]), **options),
        lambda z, **options: tg.cross_entropy(z, np.eye(3)[y], label_smoothing=0.1, **options),
        lambda z, **options: F.nll_loss(tg.log_softmax(z), y, **options),
        lambda z, **options: F.kl_div(tg.log_softmax(z), np.exp(T), **options),
        lambda z, **options: tg.binary_cross_entropy(tg.sigmoid(z), yes, weight=np.array([1.0, 2.0, 4.0]), **options),
        lambda z, **options: tg.binary_cross_entropy_with_logits(z, yes, pos_weight=np.array(3.0), **options),
    ],
)
def test_losses(loss, reduction):
    model = layers(nn.Linear(4, 3, rng=0))
    agrees(model, loss(model(X), reduction=reduction))


@pytest.mark.parametrize(
    "loss",
    [
        lambda z: tg.cross_entropy(z, np.zeros(0, int)),
        lambda z: tg.mse(z, np.zeros((0, 3))),
        lambda z: tg.binary_cross_entropy_with_logits(z, np.zeros((0, 3))),
    ],
)
def test_no_samples(loss):
    model = layers(nn.Linear(4, 3, rng=0))
    found = agrees(model, loss(model(np.zeros((0, 4)))))
    assert found["dbias0"] == "dZ1.sum(axis=0)"


# -- numbers, names, refusals -----------------------------------------------------------------


def test_single_precision_needs_no_casts():
    model = nn.Sequential(nn.Linear(4, 5, rng=0), nn.BatchNorm1d(5), nn.LeakyReLU(), nn.Linear(5, 3, rng=1))
    single = X.astype(np.float32)
    derivation = derive(tg.cross_entropy(model(single), y), {"X": single, "y": y})
    assert "float" not in derivation.source
    assert {g.dtype for g in derivation.run()[1].values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_written_out_or_refused_with_a_reason(name, dtype):
    layer, given = build(name, dtype=dtype), inputs_of(name, Sampler(), dtype)
    given = [tg.Tensor(x, requires_grad=True) if getattr(x, "dtype", None) == dtype else x for x in given]
    out = layer(*given)
    loss = ((out[0] if isinstance(out, tuple) else out) ** 2).sum()
    reasons = "loop over the steps|in groups|differs between the axes|mode of np.pad"
    try:
        derivation = derive(loss)
    except DeriveError as error:
        derivation, refusal = None, str(error)
    if derivation is None:
        assert re.search(reasons, refusal)
        return
    assert {g.dtype for g in derivation.run()[1].values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attention_is_divided_by_a_root(dtype):
    model = nn.MultiheadAttention(4, 2, rng=0).astype(dtype)
    derivation = derive((model(R.normal(size=(2, 3, 4)).astype(dtype))[0] ** 2).mean())
    assert "/ math.sqrt(2)" in derivation.source
    assert derivation.source.startswith("import math\n")


def test_names_of_paths_become_words():
    assert [word(name) for name in ("0.weight", "fc1.bias", "2.0.norm.weight", "7")] == [
        "weight0", "fc1_bias", "norm_weight2_0", "_7",
    ]  # fmt: skip
    first, second = nn.Sequential(nn.Linear(4, 4, rng=0)), layers(nn.Linear(4, 3, rng=1))
    loss = tg.mse(second(first.astype(float)(X)), T)
    # Both are called 0.weight.
    assert set(derive(loss, {}).parameters) == {"weight0", "weight0_2", "bias0", "bias0_2"}


def test_each_formula_can_be_shown():
    model = layers(nn.Conv2d(2, 3, 3, rng=0), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3, rng=1))
    derivation = derive(tg.cross_entropy(model(images), classes), {})
    assert r"\Phi\left(Z_{1}\right)" in derivation.to_latex()
    assert "maximum of its window" in " ".join(str(derivation).split())
    assert "max_unpool" in derivation.to_html()


@pytest.mark.parametrize(
    ("part", "given", "reason"),
    [
        (nn.RNN(4, 3, rng=0), X[:, None], "loop over the steps"),
        (nn.LSTM(4, 3, rng=0), X[:, None], "loop over the steps"),
        (nn.GRU(4, 3, rng=0), X[:, None], "loop over the steps"),
        (nn.Conv2d(2, 4, 3, groups=2, rng=0), images, "in groups"),
        (nn.Conv2d(2, 4, 3, stride=(1, 2), rng=0), images, "differs between the axes"),
    ],
)
def test_what_is_no_formula_is_refused_with_a_reason(part, given, reason):
    out = part.astype(float)(given)
    with pytest.raises(DeriveError, match=reason) as caught:
        derive((out[0] if isinstance(out, tuple) else out).sum(), {})
    assert "Please report" not in str(caught.value)
