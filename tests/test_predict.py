"""predict(): what a model says of many samples."""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import nn
from tinygrad_np.errors import ShapeError
from tinygrad_np.training import predict

X = np.random.default_rng(0).normal(size=(23, 3))


def model():
    """Batch normalization and dropout: both say something else while training."""
    return nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=1)).astype(np.float64)


@pytest.mark.parametrize("batch_size", [1, 7, 23, 100])
def test_batches_make_no_difference(batch_size):
    network = model()
    network[1].running_mean[...] = [1, 2, 3, 4]
    layer, norm = network[0], network[1]
    scaled = (X @ layer.weight.data.T + layer.bias.data - norm.running_mean) / np.sqrt(norm.running_var + norm.eps)
    found = predict(network, X, batch_size=batch_size)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, scaled * norm.weight.data + norm.bias.data, rtol=1e-12)


def test_the_model_is_left_as_it_was():
    network = model()
    network[2].eval()
    before, random = network.state_dict(), network[2].rng.bit_generator.state
    predict(network, X)
    assert [part.training for part in network.modules()] == [True, True, True, False]
    assert network[2].rng.bit_generator.state == random
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_mode_comes_back_after_an_error():
    network = model()
    with pytest.raises(ShapeError):
        predict(network, X[:, :2])
    assert network.training
    assert network[2].training


def test_nothing_is_recorded():
    seen = []
    weight = tg.Tensor(2.0, requires_grad=True)
    predict(lambda x: seen.append(weight * x) or seen[-1], X)
    assert not seen[0].requires_grad


class Two(nn.Module):
    """Several inputs, and results in several forms."""

    def __init__(self):
        self.dropout = nn.Dropout(0.5, rng=0)

    def forward(self, x, y):
        return {"sum": self.dropout(x + y), "both": (x, [tg.Tensor(y)])}

    def encode(self, x):
        return self.dropout(x)


def test_several_inputs_and_results():
    found = predict(Two(), X, tg.Tensor(2 * X, requires_grad=True), batch_size=5)
    np.testing.assert_array_equal(found["sum"], 3 * X)
    (first, (second,)) = found["both"]
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(second, 2 * X)


def test_a_method_of_a_module_runs_in_eval_mode():
    network = Two()
    np.testing.assert_array_equal(predict(network.encode, X), X)
    assert network.dropout.training


def test_functions_and_no_samples():
    np.testing.assert_array_equal(predict(np.tanh, X, batch_size=4), np.tanh(X))
    assert predict(model(), X[:0]).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: predict(model()), TypeError, r"predict\(model, x\)"),
        (lambda: predict(model(), tg.data.DataLoader(X, X, batch_size=2)), TypeError, "DataLoader.*no axis of samples"),
        (lambda: predict(Two(), X, X[1:]), ShapeError, r"\(23, 3\), \(22, 3\)"),
        (lambda: predict(np.sum, X), ShapeError, r"23 samples.*shape \(\).*no row for each"),
        (lambda: predict(np.transpose, X, batch_size=5), ShapeError, r"5 samples.*shape \(3, 5\)"),
        (lambda: predict(model(), X, batch_size=0), ValueError, "batch_size=0"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
