"""What `tg` adds to NumPy, against other ways of computing it; the op table does the derivatives."""

import numpy as np
import pytest

import tinygrad_np as tg

SIZES = [(4, 3), (500, 7)]


def entries(shape, seed=0):
    return np.random.default_rng(seed).normal(scale=3, size=shape)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (tg.relu, lambda x: np.where(x > 0, x, 0)),
        (tg.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (tg.softplus, lambda x: np.log(1 + np.exp(x))),
        (tg.softmax, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        (tg.log_softmax, lambda x: np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True))),
        (tg.logsumexp, lambda x: np.log(np.exp(x).sum())),
    ],
)
def test_functions_of_one_array(function, reference, shape):
    x = entries(shape)
    np.testing.assert_allclose(function(x), reference(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(function(tg.Tensor(x)).data, reference(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", SIZES)
def test_cross_entropy_is_the_mean_surprise_at_the_label(shape):
    z, labels = entries(shape), np.random.default_rng(1).integers(0, shape[1], shape[0])
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    expected = -np.mean([np.log(p[i, label]) for i, label in enumerate(labels)])
    one_hot = np.eye(shape[1])[labels]
    np.testing.assert_allclose(tg.cross_entropy(z, labels), expected, rtol=1e-12)
    np.testing.assert_allclose(tg.cross_entropy(z, one_hot), expected, rtol=1e-12)
    np.testing.assert_allclose(tg.cross_entropy(z.T, labels, axis=0), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_binary_losses_agree_with_the_formula(shape):
    z, y = entries(shape), np.random.default_rng(1).integers(0, 2, shape).astype(float)
    p = 1 / (1 + np.exp(-z))
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(tg.binary_cross_entropy(p, y), expected, rtol=1e-10)
    np.testing.assert_allclose(tg.binary_cross_entropy_with_logits(z, y), expected, rtol=1e-10)
    np.testing.assert_allclose(tg.mse(p, y), np.mean((p - y) ** 2), rtol=1e-12)


def test_linear_is_a_product_and_a_sum():
    x, w, b = entries((4, 3)), entries((3, 2), 1), entries(2, 2)
    np.testing.assert_allclose(tg.linear(x, w, b), x @ w + b, rtol=1e-13)
    np.testing.assert_allclose(tg.linear(x, w), x @ w, rtol=1e-13)
    stacked = np.stack([x, -x])
    np.testing.assert_allclose(tg.linear(stacked, w, b), stacked @ w + b, rtol=1e-13)


@pytest.mark.parametrize("size", [5, 10_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_of_large_numbers_neither_warns_nor_overflows(size, dtype):
    x = np.linspace(-1000, 1000, size).astype(dtype)
    out = tg.sigmoid(x)
    assert out.dtype == dtype
    np.testing.assert_allclose(out + out[::-1], 1, rtol=1e-6)
    slope = tg.grad(lambda v: np.sum(tg.sigmoid(v)))(x)
    np.testing.assert_allclose(slope, out * out[::-1], rtol=1e-6, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.inf])
def test_binary_cross_entropy_takes_probabilities(p):
    with pytest.raises(tg.errors.RangeError, match=r"probabilities.*with_logits"):
        tg.binary_cross_entropy(tg.Tensor([0.5, p], requires_grad=True), np.array([0.0, 1.0]))
