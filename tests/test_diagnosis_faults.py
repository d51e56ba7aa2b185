"""What a report must not say: no cause that is none, no line that is wrong, no "ok" where nothing can be checked."""

import re

import numpy as np
import pytest
from planted import cases

import tinygrad_np as tg
from tinygrad_np.testing import compare_grads
from tinygrad_np.testing.diagnosis.network import Network
from tinygrad_np.testing.diagnosis.votes import poll


def tensor(array):
    return tg.Tensor(np.array(array, float), requires_grad=True)


def statuses(report):
    return {row.name: row.status for row in report.rows}


def mistakes(report):
    return {name: [finding.mistake for finding in findings] for name, findings in report.findings.items()}


def lines(report):
    return {name: findings[0].correction for name, findings in report.findings.items()}


class Net:
    """Two layers with samples in rows; `given` are the tensors, the data and the gradients to hand in."""

    def __init__(self, samples=7, activation=np.tanh):
        random = np.random.default_rng(0)
        self.m, self.X = samples, random.normal(size=(samples, 4))
        self.Y = np.eye(3)[random.integers(0, 3, samples)]
        self.W1, self.b1 = tensor(random.normal(size=(4, 5))), tensor(np.zeros(5))
        self.W2, self.b2 = tensor(random.normal(size=(5, 3))), tensor(np.zeros(3))
        self.Z1 = self.X @ self.W1 + self.b1
        self.A1 = activation(self.Z1)
        self.Z2 = self.A1 @ self.W2 + self.b2
        self.P = tg.softmax(self.Z2, axis=1)
        self.loss = -np.sum(self.Y * np.log(self.P)) / samples

    def backward(self, dZ2, divisor=1.0):
        a, dA1 = self.A1.data, dZ2 @ self.W2.data.T
        dZ1 = dA1 * (1 - a**2)
        return {
            "dZ2": dZ2, "dW2": a.T @ dZ2 / divisor, "db2": dZ2.sum(0) / divisor, "dA1": dA1, "dZ1": dZ1,
            "dW1": self.X.T @ dZ1 / divisor, "db1": dZ1.sum(0) / divisor,
        }  # fmt: skip

    def report(self, hand, **options):
        return compare_grads(hand, {k: v for k, v in vars(self).items() if k != "loss"}, self.loss, **options)


# -- right or not -------------------------------------------------------------------------------------


def test_a_gradient_of_nothing_but_rounding_is_right():
    X, w = np.array([[1.1, 2.3], [0.7, -0.3], [5.1, 0.2]]), tensor([0.3, -0.7])
    loss = np.mean((X @ w - X @ w.data - 1e-16) ** 2)
    assert compare_grads({"dw": [1e-17, 0.0]}, {"w": w}, loss).ok


@pytest.mark.parametrize("size", [1e-6, 1e-12, 1e-20])
def test_a_small_gradient_that_is_wrong_is_wrong(size):
    w = tensor([1.0, -2.0, 0.5])
    assert compare_grads({"dw": 2 * size * w.data}, {"w": w}, size * np.sum(w**2)).ok
    assert not compare_grads({"dw": 3 * size * w.data}, {"w": w}, size * np.sum(w**2)).ok


def test_a_loss_of_nan_is_not_checked_and_not_ok():
    w = tensor([-1.0, 2.0])
    with np.errstate(invalid="ignore"):
        loss = np.sum(np.log(w))
    report = compare_grads({"dw": [-1.0, 0.5]}, {"w": w}, loss)
    assert not report.ok
    assert mistakes(report) == {"loss": ["not_finite"]}
    assert "tg.debug()" in report.why


def test_a_kink_at_weights_of_zero_is_named():
    X, w = np.random.default_rng(0).normal(size=(7, 3)), tensor(np.zeros(3))
    report = compare_grads({"dw": X.T @ (X @ w.data >= 0) / 7}, {"X": X, "w": w}, np.mean(tg.relu(X @ w)))
    assert mistakes(report) == {"dw": ["kink_convention"]}
    assert "autograd 0" in report.why


def test_a_tie_of_a_maximum_is_a_kink():
    a = tensor([1.0, 2.0, 2.0])
    report = compare_grads({"da": [0.0, 1.0, 0.0]}, {"a": a}, a.max())
    assert mistakes(report) == {"da": ["kink_convention"]}
    assert mistakes(compare_grads({"da": [0.0, 2.0, 0.0]}, {"a": a}, a.max())) == {"da": ["unknown"]}


# -- one mistake behind another -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dW1", "db1", "dW2", "db2"])
def test_a_missing_division_by_m_is_seen_behind_a_wrong_sign(name):
    net = Net()
    hand = net.backward(net.Y - net.P.data, 7)
    assert set(statuses(net.report(hand)).values()) == {"WRONG", "consequence"}
    found = mistakes(net.report({**hand, name: 7 * hand[name]}))
    assert found == {"dZ2": ["sign"], name: ["batch_factor"]}


def test_a_mean_is_seen_behind_a_wrong_slope():
    net = Net()
    hand = net.backward((net.P.data - net.Y) / 7)
    hand["dZ1"] = hand["dA1"] * net.A1.data * (1 - net.A1.data)
    hand.update(db1=hand["dZ1"].mean(0), dW1=net.X.T @ hand["dZ1"])
    report = net.report(hand)
    assert statuses(report)["dW1"] == "consequence"
    assert mistakes(report) == {"dZ1": ["unknown"], "db1": ["batch_factor"]}


# -- lines to write instead ---------------------------------------------------------------------------

NAME = re.compile(r"[A-Za-z_]\w*")


def evaluated(line, names):
    """The line run as Python, with nothing known but these names."""
    return eval(line, {"__builtins__": {}}, names)


@pytest.mark.parametrize("intermediates", [True, False])
def test_every_line_to_write_runs_and_gives_the_right_gradient(intermediates):
    checked = 0
    for case in cases()[::3]:
        if case.mistake.only == "functions" or case.mistake.key == "changed_in_place":
            continue
        hand, tensors, loss = case.as_arrays(intermediates)
        report = compare_grads(hand, tensors, loss, numeric=False)
        line = lines(report).get(report.first_wrong)
        if line is None or report.first_wrong == "loss":
            continue
        network = Network(loss)
        values = {name: getattr(value, "data", value) for name, value in tensors.items()}
        values |= {node.name: network.values[node] for node in network.nodes if node.name}
        name, _, line = line.rpartition(" = ")
        name = name or report.first_wrong
        nodes = {value.node for key, value in tensors.items() if isinstance(value, tg.Tensor) and f"d{key}" == name}
        node = next(n for n in network.nodes if n in nodes or (n.name and f"d{n.name}" == name))
        got = evaluated(line, {**values, **hand, "m": network.samples})
        right = network.gradients[node]
        scales = (1,) if node.is_leaf else (1, network.samples)
        assert any(np.allclose(got, s * right, rtol=1e-3, atol=1e-6) for s in scales), f"{case}: {line}"
        checked += 1
    assert checked > 20


def test_the_line_is_in_the_convention_of_the_parameters():
    net = Net()
    p, y = net.P.data, net.Y
    # Lengths mislead: of a softmax that is not normalised, and of one with a slope too much.
    assert lines(net.report(net.backward((np.exp(net.Z2.data) - y) / 7))) == {"dZ2": "(P - Y) / m"}
    assert lines(net.report(net.backward((p - y) * p * (1 - p), 7))) == {"dZ2": "P - Y"}


def test_a_skip_connection_gets_no_line_without_it():
    random = np.random.default_rng(0)
    X, W1, W2 = random.normal(size=(6, 4)), tensor(random.normal(size=(4, 4))), tensor(random.normal(size=(4, 4)))
    H = X + np.tanh(X @ W1)
    Z2 = H @ W2
    loss = np.sum(H + np.tanh(Z2))
    dZ2 = 1 - np.tanh(Z2.data) ** 2
    names = {"X": X, "W1": W1, "W2": W2, "H": H, "Z2": Z2}
    report = compare_grads({"dZ2": dZ2, "dH": dZ2 @ W2.data.T}, names, loss)
    assert lines(report) == {"dH": None}


def test_weight_decay_of_the_loss_is_not_lost_by_the_line():
    random = np.random.default_rng(0)
    X, W = random.normal(size=(7, 4)), tensor(random.normal(size=(4, 2)))
    Z = X @ W
    loss = np.sum(np.tanh(Z) ** 2) + 0.05 * np.sum(W**2)
    dZ = 2 * np.tanh(Z.data) * (1 - np.tanh(Z.data) ** 2)
    report = compare_grads({"dZ": dZ, "dW": np.sign(X).T @ dZ + 0.1 * W.data}, {"X": X, "W": W, "Z": Z}, loss)
    assert lines(report) == {"dW": None}


def test_a_decay_of_any_size_is_given_to_its_digits():
    w = tensor([1.0, -2.0, 0.5])
    X = np.random.default_rng(0).normal(size=(7, 3))
    loss, right = np.mean((X @ w) ** 2), 2 * X.T @ (X @ w.data) / 7
    line = lines(compare_grads({"dw": right + 0.6 / 7 * w.data}, {"w": w}, loss))["dw"]
    np.testing.assert_allclose(evaluated(line, {"w": w.data, "dw": right + 0.6 / 7 * w.data}), right, rtol=1e-6)


def test_lines_use_only_names_that_are_there():
    random = np.random.default_rng(0)
    X, y, w, b = random.normal(size=(7, 3)), random.normal(size=7), tensor(np.ones(3)), tensor(0.5)
    p = X @ w + b
    e = p.data - y
    hand = {"dw": X.T @ e / 7, "db": e.sum() / 7}
    report = compare_grads(hand, {"X": X, "y": y, "w": w, "b": b, "p": p}, np.mean((p - y) ** 2))
    names = {"X": X, "y": y, "w": w.data, "b": b.data, "p": p.data, "m": 7}
    for name, line in lines(report).items():
        assert set(NAME.findall(line)) <= {*names, "T", "sum", "size"}, line
        np.testing.assert_allclose(evaluated(line, names), 2 * hand[name])
    report = compare_grads(hand, {"X": X, "w": w, "b": b}, np.mean((p - y) ** 2))
    assert lines(report) == {"dw": None, "db": None}


def test_an_m_of_the_users_own_is_not_taken_for_the_samples():
    net = Net()
    net.m = 60_000
    hand = net.backward(net.P.data - net.Y, 60_000)
    assert lines(net.report(hand))["dW2"] == "A1.T @ dZ2 / 7"


# -- causes -------------------------------------------------------------------------------------------


def test_no_mistake_is_sought_at_a_gradient_that_is_right():
    random = np.random.default_rng(0)
    X, W, b = random.normal(size=(4, 4)), tensor(random.normal(size=(4, 4))), tensor(np.zeros(4))
    Y = np.eye(4)[[0, 1, 3, 1]]
    Z = X @ W + b
    P = tg.softmax(Z, axis=1)
    dZ = (P.data - Y) / 4
    report = compare_grads(
        {"dZ": dZ, "db": dZ.sum(1)}, {"X": X, "W": W, "b": b, "Z": Z, "P": P, "Y": Y}, -np.sum(Y * np.log(P)) / 4
    )
    assert statuses(report) == {"dZ": "ok", "db": "WRONG"}
    assert mistakes(report) == {"db": ["wrong_axis"]}
    assert lines(report) == {"db": "dZ.sum(axis=0)"}


def test_a_forgotten_scale_of_attention_is_no_activation():
    random = np.random.default_rng(0)
    X = random.normal(size=(7, 4))
    Wq, Wk = tensor(random.normal(size=(4, 3))), tensor(random.normal(size=(4, 3)))
    Q, K = X @ Wq, X @ Wk
    S = Q @ K.T / np.sqrt(3)
    loss = np.sum(tg.softmax(S, axis=1) ** 2)
    dS = tg.grad(lambda s: np.sum(tg.softmax(s, axis=1) ** 2))(S.data)
    names = {"X": X, "Wq": Wq, "Wk": Wk, "Q": Q, "K": K, "S": S}
    report = compare_grads({"dS": dS, "dQ": dS @ K.data, "dK": dS.T @ Q.data}, names, loss)
    assert mistakes(report) == {"dQ": ["unknown"], "dK": ["unknown"]}
    assert "sqrt(3) times the right one" in report.why


def test_one_step_of_many_is_no_transposed_weight():
    random = np.random.default_rng(0)
    X, V = random.normal(size=(5, 3, 4)), tensor(random.normal(size=(4, 6)) / 2)
    W, h0 = tensor(random.normal(size=(6, 6)) / 2), np.zeros((5, 6))
    h1 = np.tanh(X[:, 0] @ V + h0 @ W)
    h2 = np.tanh(X[:, 1] @ V + h1 @ W)
    h3 = np.tanh(X[:, 2] @ V + h2 @ W)
    last = 2 * h3.data / 5 * (1 - h3.data**2)
    names = {"X": X, "V": V, "W": W, "h1": h1, "h2": h2, "h3": h3}
    report = compare_grads({"dW": h2.data.T @ last, "dV": X[:, 2].T @ last}, names, np.sum(h3**2) / 5)
    assert mistakes(report) == {"dW": ["unknown"], "dV": ["unknown"]}


def test_a_learning_rate_is_not_a_number_of_samples():
    net = Net()
    hand = net.backward((net.P.data - net.Y) / 7)
    net.lr = 0.1
    report = net.report({**hand, "dW1": 0.1 * hand["dW1"]})
    assert mistakes(report) == {"dW1": ["unknown"]}
    assert "0.1 times the right one, everywhere, and lr is 0.1" in report.why


@pytest.mark.parametrize("with_predictions", [True, False])
def test_a_square_of_residuals_is_the_cause_at_the_bias_too(with_predictions):
    random = np.random.default_rng(0)
    X, y, w, b = random.normal(size=(7, 3)), random.normal(size=7), tensor(np.ones((3, 1))), tensor(np.zeros(1))
    p = X @ w + b
    square = 2 * (p.data - y) / 7
    hand = {"dp": square, "dw": X.T @ square, "db": square.sum()}
    if not with_predictions:
        del hand["dp"]
    names = {"X": X, "y": y, "w": w, "b": b, "p": p}
    report = compare_grads(hand, names, np.mean((p - y[:, None]) ** 2))
    assert {found for findings in mistakes(report).values() for found in findings} == {"broadcast_to_square"}
    assert "division by m" not in str(report)


def test_a_multiple_of_the_parameter_is_no_decay_where_the_gradient_is_one():
    w = tensor([1.0, -2.0, 0.5])
    assert mistakes(compare_grads({"dw": w.data / 3}, {"w": w}, np.sum(w**2))) == {"dw": ["unknown"]}


def test_the_missing_slope_of_relu_is_not_that_of_a_layer_that_is_all_positive():
    random = np.random.default_rng(0)
    X, W1, W2 = random.normal(size=(7, 3)), tensor(random.normal(size=(3, 5))), tensor(random.normal(size=(5, 5)))
    Z1 = X @ W1
    A1 = tg.relu(Z1)
    A2 = tg.sigmoid(A1 @ W2)
    dA1 = 2 * A2.data * A2.data * (1 - A2.data) @ W2.data.T
    names = {"X": X, "W1": W1, "W2": W2, "Z1": Z1, "A1": A1, "A2": A2}
    assert mistakes(compare_grads({"dA1": dA1, "dZ1": dA1}, names, np.sum(A2**2))) == {"dZ1": ["activation_missing"]}


# -- sentences ----------------------------------------------------------------------------------------


def two_explanations(samples):
    random = np.random.default_rng(0)
    X, w = random.normal(size=(samples, 3)), tensor(np.ones(3))
    return compare_grads({"dw": X.T @ (X @ w.data) / samples}, {"X": X, "w": w}, np.mean((X @ w) ** 2))


def test_other_sizes_are_advised_only_where_sizes_coincide():
    assert "with sizes that all differ" not in two_explanations(7).why
    assert "with sizes that all differ" in two_explanations(2).why


def test_no_batch_is_spoken_of_where_there_is_none():
    w = tensor([1.0, -2.0, 0.5])
    report = compare_grads({"dw": w.data}, {"w": w}, np.sum(w**2))
    assert mistakes(report) == {"dw": ["factor_two"]}
    assert "batch" not in str(report)


def test_a_quarter_is_not_twice_a_factor_two():
    net = Net()
    hand = net.backward((net.P.data - net.Y) / 4, 7)
    assert "a factor 2 is missing, and a factor 2" not in str(net.report(hand))


def test_lengths_are_compared_in_the_convention_of_the_user():
    net = Net()
    random = np.random.default_rng(1)
    right = net.P.data - net.Y
    noise = random.normal(size=right.shape)
    noise *= np.linalg.norm(right) / np.linalg.norm(noise)
    assert "norm 1 times its norm" in net.report(net.backward(noise, 7)).why


def test_the_same_is_said_of_the_same_factor_only():
    net = Net()
    hand = net.backward(net.P.data - net.Y, 7)
    report = net.report({**hand, "db2": 7 * hand["db2"], "dW2": hand["dW2"] / 7})
    text = {row.name: row.text for row in report.rows}
    assert "missing" in text["db2"]
    assert "applied twice" in text["dW2"]


def test_what_is_finite_of_a_gradient_with_nan_tells_its_convention():
    net = Net()
    hand = net.backward(np.where(np.arange(7)[:, None] == 2, np.nan, net.P.data - net.Y), 7)
    assert lines(net.report(hand))["dZ2"] == "P - Y"
    assert lines(net.report(hand))["dW2"] == "A1.T @ dZ2 / m"


def test_differences_of_nothing_but_rounding_are_not_counted_in_digits():
    X, w = np.array([[1.1, 2.3], [0.7, -0.3]]), tensor([0.3, -0.7])
    loss = np.mean((X @ w - X @ w.data - 1e-17) ** 2)
    assert poll(Network(loss), [w.node], 0)
    assert "e+0" not in compare_grads({"dw": [0.0, 1e-17]}, {"w": w}, loss).numeric
