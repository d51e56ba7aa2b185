"""Derived functions run on other numbers than those of the tape, and say what they rely on."""

import inspect

import numpy as np
import pytest
from derivations import R, agrees, parameter

import tinygrad_np as tg
from tinygrad_np.derive import derive


def regression(m):
    rng = np.random.default_rng(m)
    X, y = rng.random((m, 3)), rng.random(m)
    w, b = parameter(3, seed=m), tg.Tensor(0.5, requires_grad=True)
    Z = X @ w + b
    loss = ((Z - y) ** 2).mean() + 0.3 * (np.tanh(Z) ** 2).sum() / (2 * m)
    return loss, locals()


def normalised(m):
    rng = np.random.default_rng(m)
    X, G, g = rng.random((m, 3)), rng.random((m, 5)), rng.random(m)
    W, gamma = parameter(3, 5, seed=m), parameter(5, seed=m)
    Z = X @ W
    out = gamma * (Z - Z.mean(axis=0)) / np.sqrt(Z.var(axis=0) + 1e-5)
    loss = (out.sum(axis=1) * g).mean() - (out * G).mean()
    return loss, locals()


def classes(m):
    rng = np.random.default_rng(m)
    X, y = rng.random((m, 3)), rng.integers(0, 4, m)
    W = parameter(3, 4, seed=m)
    Z = X @ W
    loss = tg.cross_entropy(Z, y) + np.max(Z, axis=1).mean()
    return loss, locals()


INPUTS, TARGETS = R.normal(size=(6, 3)), R.normal(size=6)


def test_arrays_of_the_module_are_called_by_their_names():
    w = parameter(3)
    derivation = derive(((INPUTS @ w - TARGETS) ** 2).mean())
    assert list(inspect.signature(derivation.forward).parameters) == ["INPUTS", "TARGETS", "w"]
    assert "outside of the tape" not in derivation.source


def test_names_of_the_function_come_before_those_of_the_module():
    w, given, TARGETS = parameter(3), INPUTS, INPUTS[:, 0]
    derivation = derive(((given @ w - TARGETS) ** 2).mean())
    assert list(inspect.signature(derivation.forward).parameters) == ["given", "TARGETS", "w"]


def test_an_array_with_two_names_has_the_first():
    w, own = parameter(3), INPUTS
    # Recorded as a copy, so that it is found by its numbers.
    derivation = derive(((tg.Tensor(INPUTS.copy()) @ w) ** 2).mean())
    assert own is INPUTS
    assert list(inspect.signature(derivation.forward).parameters) == ["own", "w"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_gradient_that_is_a_number_has_the_dtype_of_its_parameter(dtype):
    w = tg.Tensor(dtype(2), requires_grad=True)
    gradients = derive(w * 3 + 1).run()[1]
    assert (gradients["w"], gradients["w"].dtype) == (3, dtype)


def on_its_arrays(derivation, names):
    """The loss and the gradients that the derived functions give for other arrays of these names."""
    given = {
        name: value.data if isinstance(value, tg.Tensor) else value
        for name, value in names.items()
        if name in inspect.signature(derivation.forward).parameters
    }
    loss, cache = derivation.forward(**given)
    wanted = [name for name in inspect.signature(derivation.backward).parameters if name != "cache"]
    return loss, derivation.backward(*[given[name] for name in wanted], cache)


@pytest.mark.parametrize("network", [regression, normalised, classes])
def test_the_derived_functions_take_other_numbers_and_other_numbers_of_samples(network):
    # With eight samples 2 / m is a quarter, with ten 0.1 is 1 / m.
    for m in (8, 10):
        derivation = derive(*network(m))
        for others in (m, 20, 7):
            loss, names = network(others)
            value, gradients = on_its_arrays(derivation, names)
            loss.backward()
            assert np.allclose(value, loss.item(), rtol=1e-12)
            for name, gradient in gradients.items():
                np.testing.assert_allclose(gradient, names[name[1:]].grad.data, rtol=1e-9, atol=1e-12)


def test_gradients_of_the_source_itself_have_the_dtype_of_their_parameter():
    w = tg.Tensor(np.array([1.0, -2.0], np.float32), requires_grad=True)
    for loss in (w.sum() * 2, np.maximum(w, 0).sum(), np.mean(w)):
        derivation = derive(loss, {"w": w})
        _, gradients = on_its_arrays(derivation, {"w": w})
        assert np.asarray(gradients["dw"]).dtype == np.float32


def test_equal_data_is_kept_apart():
    h0, c0, p = np.zeros(3), np.zeros(3), parameter(3)
    derivation = derive((p * h0 + p * p * c0).sum(), locals())
    assert list(inspect.signature(derivation.forward).parameters) == ["h0", "c0", "p"]


@pytest.mark.parametrize("name", ["m", "cache", "lambda", "sigmoid", "np", "_", "dw"])
def test_data_of_any_name(name):
    data, w = np.arange(1.0, 6.0).reshape(5, 1), parameter(1, 3)
    derivation = derive(((data @ w) ** 2).mean(), {name: data, "w": w, "mask": np.array([True, False])})
    names = list(inspect.signature(derivation.forward).parameters)
    assert len(set(names)) == 2
    agrees(((data @ w) ** 2).mean(), {name: data, "w": w})


def test_parameters_that_nothing_comes_back_to():
    Z, c, G = parameter(4, 3), parameter(4, 1), np.arange(12.0).reshape(4, 3)
    E = np.exp(Z - c)
    agrees((E / E.sum(axis=1, keepdims=True) * G).sum(), {"Z": Z, "c": c, "G": G})


def test_shapes_that_only_a_function_gave():
    w, M = parameter(4), np.arange(16.0).reshape(4, 4)
    h = np.tanh(w.reshape(1, 4))
    agrees(((h.T @ h) * M).sum(), {"w": w, "M": M, "h": h})


def test_what_was_read_at_these_numbers_is_said():
    w, X = parameter(3), R.random((5, 3))
    derivation = derive(np.maximum(X @ w, 0.5).sum(), {"w": w, "X": X})
    assert "maximum; where entries tie" in derivation.source
    mask = np.abs((X @ w).data) < 1
    assert "was computed outside of the tape" in derive((X @ w * (mask * 1.0)).sum(), {"w": w, "X": X}).source
    total = np.cumsum(R.random(5))[-1:].sum()
    assert "was computed outside of the tape: it stands as a number" in derive((X @ w).sum() * total, {"w": w}).source
