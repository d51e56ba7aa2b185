"""Every planted mistake is named in every network, and no right gradient is found fault with."""

import numpy as np
import pytest
from planted import KEYS, NETWORKS, as_arrays, as_functions, cases, correct

import tinygrad_np as tg
from tinygrad_np.testing import compare_grads
from tinygrad_np.testing.diagnosis.factors import fraction, named_factors
from tinygrad_np.testing.diagnosis.layers import activations
from tinygrad_np.testing.diagnosis.network import Network


def named(report):
    """The mistakes that the report names at the first wrong gradient."""
    return {finding.mistake for finding in report.findings.get(report.first_wrong, [])}


def missed(key, intermediates):
    """Planted mistakes that get another name than theirs, or none."""
    found = []
    for case in cases(key):
        if case.mistake.only == "functions":
            continue
        report = compare_grads(*case.as_arrays(intermediates), numeric=False)
        first = case.first(intermediates)
        if not named(report) & set(case.keys) and (first or not report.ok):
            found.append(f"{case}: {report.first_wrong} {named(report)}")
    return found


SEEN_IN_ARRAYS = [key for key in KEYS if key not in ("rounding", "accumulated")]


@pytest.mark.parametrize("key", SEEN_IN_ARRAYS)
def test_each_mistake_is_named_from_all_gradients(key):
    assert missed(key, intermediates=True) == []


@pytest.mark.parametrize("key", SEEN_IN_ARRAYS)
def test_each_mistake_is_named_from_the_gradients_of_parameters_alone(key):
    assert missed(key, intermediates=False) == []


def test_rounding_is_no_mistake_and_said():
    for case in cases("rounding"):
        report = compare_grads(*case.as_arrays(), numeric=False)
        assert report.ok, case
        assert "as float32 allows" in str(report), case


@pytest.mark.parametrize("seed", range(0, 200, 20))
def test_right_gradients_of_random_networks_are_right(seed):
    for s in range(seed, seed + 20):
        network = correct(s)
        report = compare_grads(*as_arrays(network, network.arrays(s)), numeric=False)
        assert report.ok, f"{network}\n{report}"
        assert report.findings == {}
        assert report.notes == []


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_right_gradients_stay_right_with_differences_and_functions(network):
    report = compare_grads(*as_arrays(network, network.arrays()))
    assert report.ok
    assert "numeric check of autograd: agrees" in report.numeric
    assert compare_grads(*as_functions(network, network.arrays()), numeric=False).ok


@pytest.mark.parametrize("network", [n for n in NETWORKS if n.depth > 1], ids=str)
def test_every_gradient_with_noise_is_unknown_and_no_other_is(network):
    hand, tensors, loss = as_arrays(network, network.arrays())
    random = np.random.default_rng(5)
    for name in [name for name in hand if name != "loss" and np.size(hand[name]) > 4]:
        noisy = hand[name] * (1 + random.normal(size=np.shape(hand[name])))
        report = compare_grads({**hand, name: noisy}, tensors, loss, numeric=False)
        assert {key: f[0].mistake for key, f in report.findings.items()} == {name: "unknown"}


# -- the parts --------------------------------------------------------------------------------


def network_of(samples=7, outputs=3):
    random = np.random.default_rng(0)
    X = tg.Tensor(random.normal(size=(samples, 5)), name="X")
    W = tg.Tensor(random.normal(size=(5, outputs)), requires_grad=True, name="W")
    b = tg.Tensor(np.zeros(outputs), requires_grad=True, name="b")
    return Network(np.mean(np.tanh(X @ W + b) ** 2))


def test_the_samples_and_outputs_are_read_from_the_tape():
    network = network_of(7, 3)
    assert (network.samples, network.outputs, network.output.shape) == (7, 3, (7, 3))


@pytest.mark.parametrize(
    ("c", "mistakes"),
    [
        (7, ["batch_factor"]),
        (1 / 7, ["batch_factor"]),
        (3, ["entry_mean"]),
        (2, ["factor_two"]),
        (0.5, ["factor_two", "full_data_factor"]),
        (-1, ["sign"]),
        (-7, ["sign"]),
        (14, ["batch_factor"]),
        (7 / 60_000, ["full_data_factor"]),
        (7 / 41, ["full_data_factor"]),
        (1.2345678, []),
        (0.7654321, []),
    ],
)
def test_names_of_factors(c, mistakes):
    assert [f.mistake for f in named_factors(c, network_of(), (1.0,), {}, 1e-6)] == mistakes


def test_factors_as_people_write_them():
    assert [fraction(c) for c in (41_000 / 42_000, 14.0, 2 / 3, 7 / 60_000)] == ["41/42", "14", "2/3", "7/60,000"]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (tg.sigmoid, "sigmoid"),
        (lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
        (lambda z: np.exp(z) / (1 + np.exp(z)), "sigmoid"),
        (np.tanh, "tanh"),
        (lambda z: 2 * tg.sigmoid(2 * z) - 1, "tanh"),
        (tg.relu, "relu"),
        (lambda z: np.maximum(z, 0), "relu"),
        (lambda z: z * (z > 0), "relu"),
        (lambda z: np.where(z > 0, z, 0), "relu"),
        (lambda z: (z + np.abs(z)) / 2, "relu"),
        (np.sin, ""),
    ],
)
def test_activations_are_known_by_their_slope(written, kind):
    random = np.random.default_rng(0)
    X, V = random.normal(size=(7, 5)), tg.Tensor(random.normal(size=(4, 3)), requires_grad=True)
    Z = X @ tg.Tensor(random.normal(size=(5, 4)), requires_grad=True)
    A = written(Z)
    found = activations(Network(np.sum((A @ V) ** 2)), [])
    assert (Z.node, A.node, kind) in [(x.before, x.after, x.kind) for x in found]
