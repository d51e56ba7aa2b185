"""derive(): the backpropagation that tutorials write by hand, as text that runs and is right."""

import inspect

import numpy as np
import pytest
from derivations import R, agrees, parameter
from sampler import Sampler

import tinygrad_np as tg
from tinygrad_np.derive import DeriveError, derive


def lines(loss, names):
    return {line.name: line.text for line in derive(loss, names).backward_lines}


# -- the three documents ----------------------------------------------------------------------------


def digits():
    m = 7
    X, Y = R.random((11, m)), np.eye(5)[R.integers(0, 5, m)].T
    W1, b1, W2, b2 = parameter(6, 11), parameter(6, 1), parameter(5, 6), parameter(5, 1)
    Z1 = W1 @ X + b1
    A1 = tg.relu(Z1)
    Z2 = W2 @ A1 + b2
    A2 = tg.softmax(Z2, axis=0)
    loss = -(Y * np.log(A2)).sum() / m
    return loss, locals()


def digits_from_primitives():
    m = 7
    X, Y = R.random((11, m)), np.eye(5)[R.integers(0, 5, m)].T
    W1, b1, W2, b2 = parameter(6, 11), parameter(6, 1), parameter(5, 6), parameter(5, 1)
    Z1 = W1 @ X + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2 @ A1 + b2
    E = np.exp(Z2 - Z2.max(axis=0, keepdims=True))
    A2 = E / E.sum(axis=0, keepdims=True)
    loss = -np.mean(np.sum(Y * np.log(A2), axis=0))
    return loss, locals()


def letters():
    X, Y, m = R.integers(0, 2, (7, 30)) * 1.0, np.eye(3)[R.integers(0, 3, 7)], 7
    W1, b1, W2, b2 = parameter(30, 5), parameter(1, 5), parameter(5, 3), parameter(1, 3)
    A1 = tg.sigmoid(X @ W1 + b1)
    A2 = 1 / (1 + np.exp(-(A1 @ W2 + b2)))
    loss = -(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)).sum() / m
    return loss, locals()


def one_or_two():
    m = 7
    X, y = R.random((m, 11)), R.integers(0, 2, (1, m)) * 1.0
    W1, b1, W2, b2 = parameter(6, 11), parameter(6, 1), parameter(1, 6), parameter(1, 1)
    A1 = tg.sigmoid(W1 @ X.T + b1)
    A2 = tg.sigmoid(W2 @ A1 + b2)
    cost = -(1 / m) * np.sum(y * np.log(A2) + (1 - y) * np.log(1 - A2))
    return cost, locals()


COLUMNS = {
    "dZ2": "(A2 - Y) / m",
    "dW2": "dZ2 @ A1.T",
    "db2": "dZ2.sum(axis=1, keepdims=True)",
    "dZ1": "(W2.T @ dZ2) * (A1 > 0)",
    "dW1": "dZ1 @ X.T",
    "db1": "dZ1.sum(axis=1, keepdims=True)",
}


def test_digits_as_a_tutorial_writes_it():
    assert lines(*digits()) == COLUMNS
    derivation = agrees(*digits())
    assert "m = X.shape[1]" in derivation.source
    # The labels are shares of a whole: without that the formula is another one, and so it is said.
    assert "# Y sums to 1 along axis 0" in derivation.source


def test_softmax_and_cross_entropy_written_with_exponentials():
    found = lines(*digits_from_primitives())
    assert found == {**COLUMNS, "dZ1": "(W2.T @ dZ2) * (Z1 > 0)"}
    agrees(*digits_from_primitives())


def test_sigmoid_and_binary_cross_entropy_cancel():
    assert lines(*letters()) == {
        "dZ2": "(A2 - Y) / m",
        "dW2": "A1.T @ dZ2",
        "db2": "dZ2.sum(axis=0, keepdims=True)",
        "dZ1": "(dZ2 @ W2.T) * A1 * (1 - A1)",
        "dW1": "X.T @ dZ1",
        "db1": "dZ1.sum(axis=0, keepdims=True)",
    }
    agrees(*letters())
    assert lines(*one_or_two())["dZ2"] == "(A2 - y) / m"
    agrees(*one_or_two())


def test_labels_that_do_not_add_up_to_one():
    loss, names = digits()
    names["Y"] *= np.arange(1, 6)[:, None]
    A2 = tg.softmax(names["Z2"], axis=0)
    loss = -(names["Y"] * np.log(A2)).sum() / 7
    found = agrees(loss, {**names, "A2": A2})
    assert "Y.sum(axis=0, keepdims=True)" in found.source
    assert "sums to 1" not in found.source


def test_whole_numbers_as_labels():
    X, y = R.random((7, 11)), R.integers(0, 5, 7)
    W, b = parameter(11, 5), parameter(5)
    Z = tg.linear(X, W, b)
    loss = tg.cross_entropy(Z, y)
    assert lines(loss, locals())["dZ"] == "(softmax(Z, axis=-1) - one_hot(y, 5, -1)) / m"
    agrees(loss, {"X": X, "y": y, "W": W, "b": b, "Z": Z})


# -- other networks -------------------------------------------------------------------------------


def batch_norm():
    X, G = R.random((7, 5)), R.random((7, 5))
    W, gamma, beta = parameter(5, 5), parameter(5), parameter(5, seed=1)
    x = X @ W
    mu = x.mean(axis=0)
    var = ((x - mu) ** 2).mean(axis=0)
    xhat = (x - mu) / np.sqrt(var + 1e-5)
    loss = ((gamma * xhat + beta) * G).sum()
    return loss, locals()


def layer_norm():
    X, G = R.random((7, 5)), R.random((7, 5))
    W, gamma, beta = parameter(5, 5), parameter(5), parameter(5, seed=1)
    x = X @ W
    xhat = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    loss = ((gamma * xhat + beta) * G).sum()
    return loss, locals()


def attention():
    X, T = R.random((2, 7, 5)), R.random((2, 7, 3))
    Wq, Wk, Wv = (parameter(5, 3, seed=k) for k in range(3))
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    A = tg.softmax(Q @ K.swapaxes(-1, -2) / np.sqrt(3))
    loss = ((A @ V - T) ** 2).mean()
    return loss, locals()


def convolution():
    X, T = R.random((2, 3, 8, 9)), R.random((2, 4, 6, 7))
    first, K, b = parameter(3, 1, 1), parameter(4, 3, 3, 3), parameter(4)
    windows = np.lib.stride_tricks.sliding_window_view(X * first, (3, 3), axis=(2, 3))
    out = np.einsum("nchwij,ocij->nohw", windows, K) + b[:, None, None]
    loss = ((tg.relu(out) - T) ** 2).mean()
    return loss, locals()


def lstm_cell():
    x, h0, c0, T = R.random((4, 3)), R.random((4, 5)), R.random((4, 5)), R.random((4, 5))
    Wx, Wh, b = parameter(3, 20), parameter(5, 20), parameter(20)
    z = x @ Wx + h0 @ Wh + b
    i, f, o, u = tg.sigmoid(z[:, :5]), tg.sigmoid(z[:, 5:10]), tg.sigmoid(z[:, 10:15]), np.tanh(z[:, 15:])
    c = f * c0 + i * u
    h = o * np.tanh(c)
    loss = ((h - T) ** 2).sum()
    return loss, locals()


@pytest.mark.parametrize("network", [batch_norm, layer_norm, attention, convolution, lstm_cell])
def test_runs_and_equals_autograd(network):
    agrees(*network())


def test_gates_cut_from_one_product_come_together_again():
    assert lines(*lstm_cell())["dz"].startswith("np.concatenate([")
    assert lines(*lstm_cell())["dWx"] == "x.T @ dz"


def test_single_precision_stays_single():
    X = R.random((7, 3)).astype(np.float32)
    W = tg.Tensor(R.random((3, 2)).astype(np.float32), requires_grad=True)
    loss = (np.tanh(X @ W) ** 2).mean()
    derivation = agrees(loss, {"X": X, "W": W})
    assert derivation.run()[1]["W"].dtype == np.float32


# -- names ------------------------------------------------------------------------------------


def test_names_are_those_of_the_caller():
    data = R.random((7, 3))
    weights = parameter(3, 2)
    hidden = np.tanh(data @ weights)
    cost = (hidden**2).sum()
    derivation = derive(cost)
    assert [line.name for line in derivation.backward_lines] == ["dZ1", "dweights"]
    assert derivation.backward_lines[-1].text == "data.T @ dZ1"
    assert list(inspect.signature(derivation.forward).parameters) == ["data", "weights"]


def test_names_of_tensors_come_first_and_become_words():
    W = tg.Tensor([[1.0, 2.0]], requires_grad=True, name="layer 1.W")
    x = np.array([[1.0], [2.0]])
    found = lines((W @ x).sum() ** 2, {"W": W, "x": x})
    assert "dlayer_1_W" in found
    reserved = tg.Tensor(2.0, requires_grad=True, name="lambda")
    assert list(lines(reserved**2, {})) == ["dlambda_2"]


def test_data_made_of_data_says_how():
    X, y = R.random((7, 3)), R.integers(0, 2, (7, 1)) * 1.0
    W = parameter(1, 3)
    loss = (np.tanh(W @ X.T) * (1 - y.T)).sum()
    derivation = derive(loss, {"X": X, "y": y, "W": W})
    assert "W @ X.T" in derivation.source
    assert "1 - y.T" in derivation.source
    assert list(inspect.signature(derivation.forward).parameters) == ["X", "y", "W"]


# -- algebra ----------------------------------------------------------------------------------------

x, y = (tg.Tensor(v, requires_grad=True, name=n) for v, n in (([1.0, 2.0, 3.0], "x"), ([0.5, 0.3, 0.2], "y")))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda: np.negative(np.negative(x)).sum(), {"dx": "np.full((3,), 1.0)"}),
        (lambda: (x * 1 * y).sum(), {"dx": "y", "dy": "x"}),
        (lambda: (x + x).sum(), {"dx": "np.full((3,), 2.0)"}),
        (lambda: (x * y / y).sum(), {"dx": "np.full((3,), 1.0)", "dy": "np.full((3,), 0.0)"}),
        (lambda: (x**2).sum(), {"dx": "2 * x"}),
        (lambda: (x**2).mean() / 2, {"dx": "x / 3"}),
        (lambda: np.sqrt(x).sum(), {"dx": "1 / R1 / 2"}),
        (lambda: np.exp(x).sum(), {"dx": "E1"}),
        (lambda: np.log(x * y).sum(), {"dx": "1 / x", "dy": "1 / y"}),
        (lambda: x.sum() ** 2, {"dx": "np.full((3,), 2 * S1)"}),
    ],
)
def test_what_a_person_would_do_in_the_head(loss, expected):
    assert lines(loss(), {}) == expected


# -- every op -----------------------------------------------------------------------------------------


def test_masks_count_as_numbers():
    for loss in (
        lambda w: np.maximum(w, 0).sum() + np.maximum(w, 0.5).sum(),
        lambda w: -np.maximum(w, 0).sum(),
        lambda w: (np.maximum(w, 0) * np.maximum(w, 0.1)).sum(),
    ):
        w = parameter(4)
        agrees(loss(w), {"w": w})


@pytest.mark.parametrize("function", [np.sin, np.tanh, np.exp, np.log, np.sqrt, np.arctan, np.square, np.cbrt, np.abs,
                                      np.log1p, np.expm1, np.reciprocal, np.cosh, tg.softplus, tg.sigmoid])  # fmt: skip
def test_functions_of_one_array(function):
    a = tg.Tensor(Sampler().positive(3, 4), requires_grad=True)
    weights = np.arange(12.0).reshape(3, 4)
    agrees((function(a) * weights).sum(), {"a": a, "weights": weights})


@pytest.mark.parametrize(
    "function",
    [
        lambda a: np.cumsum(a, axis=0)[::2, 1],
        lambda a: np.sort(a, axis=None)[1:3],
        lambda a: np.where(a > 0, a, 0.1 * a),
        lambda a: np.concatenate([a, a[:, :2]], axis=1),
        lambda a: np.prod(a, axis=1),
        lambda a: np.max(a, axis=0) - np.min(a),
        lambda a: np.linalg.inv(a[:, :3] @ a[:, :3].T + np.eye(3)),
        lambda a: np.reshape(a, (4, 3), order="F") * a.T,
        lambda a: a.std(axis=1, ddof=1),
        lambda a: np.pad(a, 1)[1:3, :2],
        lambda a: tg.logsumexp(a, axis=0, keepdims=True) * tg.log_softmax(a),
        lambda a: np.roll(a, 1, axis=0) @ a.T,
        lambda a: a[[0, 0, 2]],
        lambda a: np.linalg.eigh(a[:, :3] + a[:, :3].T)[0],
    ],
)
def test_functions_of_all_kinds(function):
    a = tg.Tensor(Sampler().real(3, 4), requires_grad=True)
    out = function(a)
    weights = np.cos(np.arange(out.size)).reshape(out.shape)
    agrees((out * weights).sum(), {"a": a, "weights": weights})


# -- errors ------------------------------------------------------------------------------------------


def test_works_after_backward_and_changes_nothing():
    loss, names = digits()
    loss.backward()
    before = names["W1"].grad.data.copy()
    assert lines(loss, names) == COLUMNS
    np.testing.assert_array_equal(names["W1"].grad.data, before)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda w: 3.0, tg.errors.AutogradError, "got float"),
        (lambda w: w * 2, tg.errors.BackwardError, "has 4 entries"),
        (lambda w: w.detach().sum(), tg.errors.BackwardError, "nothing to derive"),
        (lambda w: tg.checkpoint(np.sin)(w).sum(), tg.errors.AutogradError, "under checkpoint"),
        (lambda w: np.median(w), DeriveError, "cannot be written"),
        (lambda w: np.abs(np.exp(1j * w)).sum(), DeriveError, "real numbers"),
    ],
)
def test_what_cannot_be_derived_is_said(make, error, message):
    with pytest.raises(error, match=message):
        derive(make(parameter(4)))
