"""The small networks to check gradients on, and the strategy that draws them."""

import subprocess
import sys
from random import Random

import hypothesis
import numpy as np
import pytest
from hypothesis import given, settings

from tinygrad_np.errors import RangeError
from tinygrad_np.testing import numeric_grad, strategies
from tinygrad_np.testing.networks import LOSSES, DenseNetwork

steady = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def find(condition):
    """The simplest network for which the condition holds."""
    exhaustive = settings(steady, max_examples=3000)
    return hypothesis.find(strategies.networks(), condition, settings=exhaustive, random=Random(0))


def by_hand(network):
    """The loss of a network in plain NumPy, samples in rows throughout."""
    rows = network.layout == "rows"
    parameters = {name: t.data if rows else t.data.T for name, t in network.parameters.items()}
    X, Y = (a if rows else a.T for a in network.data.values())
    activation = {
        "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "softplus": lambda z: np.log(1 + np.exp(z)),
    }[network.activation]  # fmt: skip
    A, hidden = X, []
    for i in range(1, network.layers + 1):
        Z = A @ parameters[f"W{i}"] + parameters[f"b{i}"]
        A = activation(Z)
        hidden.append(Z)
    P, hidden = 1 / (1 + np.exp(-Z)), hidden[:-1]
    softmax = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    return hidden, {
        "mse": np.mean((Z - Y) ** 2),
        "cross_entropy": -np.sum(Y * np.log(softmax)) / len(X),
        "binary_cross_entropy": -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P)),
    }[network.objective]


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_networks_compute_their_loss_away_from_the_kink(dtype, rtol):
    @steady
    @given(strategies.networks(max_layers=4, dtype=dtype))
    def check(network):
        sizes = (network.samples, *network.widths)
        assert len(set(sizes)) == len(sizes)
        assert all(size > 1 and all(size % k for k in range(2, size)) for size in sizes)
        assert all(t.dtype == dtype and t.requires_grad for t in network.parameters.values())
        hidden, expected = by_hand(network)
        assert network.loss().dtype == dtype
        assert network.loss().item() == pytest.approx(expected, rel=rtol)
        assert all(np.all(np.abs(Z) > 0.0999) for Z in hidden)

    check()


@pytest.mark.parametrize("seed", range(40))
def test_the_kink_is_avoided_with_two_samples_too(seed):
    hidden, _ = by_hand(DenseNetwork(2, (3, 11, 7, 5), "relu", "columns", seed=seed))
    assert min(np.min(np.abs(Z)) for Z in hidden) > 0.0999


def test_units_of_relu_are_on_for_some_samples_and_off_for_others():
    for layout, samples in (("rows", 0), ("columns", 1)):
        first = DenseNetwork(7, (5, 11, 3), "relu", layout).forward()["Z1"].data > 0
        assert not np.any(first.all(axis=samples) | (~first).all(axis=samples))


@settings(steady, max_examples=25)
@given(strategies.networks())
def test_gradients_of_networks_agree_with_differences(network):
    network.loss().backward()
    for name, parameter in network.parameters.items():
        numeric = numeric_grad(lambda value, name=name: network.loss(**{name: value}), parameter.data)
        np.testing.assert_allclose(parameter.grad.data, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_kind_of_network_is_reached_and_shrinks(layout, loss):
    found = find(lambda n: (n.layout, n.objective, n.activation) == (layout, loss, "softplus"))
    assert (found.samples, found.widths, found.seed) == (2, (3, 5), 0)
    assert find(lambda n: n.layers == 3 and n.widths[0] == 11)


def test_choices_of_networks_are_kept_to():
    @steady
    @given(strategies.networks(max_layers=2, activations=["tanh"], layouts=["columns"], losses=["cross_entropy"]))
    def check(network):
        assert (network.activation, network.layout, network.objective) == ("tanh", "columns", "cross_entropy")
        assert network.layers <= 2
        assert np.array_equal(network.data["Y"].sum(axis=0), np.ones(network.samples))

    check()


def test_a_network_is_the_same_each_time_and_runs_on_given_values():
    one = DenseNetwork(3, (5, 7, 2), "relu", "columns", seed=4)
    two = eval(repr(one), {"DenseNetwork": DenseNetwork, "float64": float})
    assert one.loss().item() == two.loss().item()
    assert one.loss().item() != DenseNetwork(3, (5, 7, 2), "relu", "columns", seed=5).loss().item()
    intermediates = one.forward()
    assert [(name, t.name) for name, t in intermediates.items()] == [(n, n) for n in ("Z1", "A1", "Z2")]
    bare = one.loss(**{name: t.data for name, t in one.parameters.items()})
    assert isinstance(bare, np.float64)
    assert bare == one.loss().item()
    assert one.loss(Y=one.data["Y"] + 1).item() != bare
    with pytest.raises(TypeError, match="no W3: it has W1, b1, W2, b2, X, Y"):
        one.loss(W3=1.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"activation": "gelu"}, "no activation is called 'gelu'.  There are relu, tanh"),
        ({"layout": "diagonal"}, "rows, columns"),
        ({"objective": "hinge"}, "mse, cross_entropy"),
        ({"samples": 1}, "two samples"),
        ({"widths": (3,)}, "number of features"),
    ],
)
def test_networks_that_cannot_be_are_refused(changed, words):
    with pytest.raises(RangeError, match=words):
        DenseNetwork(**{"samples": 3, "widths": (5, 2), **changed})


def test_the_networks_need_neither_hypothesis_nor_pytest():
    code = (
        "import sys; sys.modules.update(hypothesis=None, pytest=None); import tinygrad_np.testing.networks as n;"
        "print(n.DenseNetwork(3, (5, 2)).loss().shape)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "()\n", done.stderr
