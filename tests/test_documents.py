"""The forward code of the three documents, in plain NumPy, with Tensors in the place of arrays.

The truth: their backward formulas written out by hand (the right ones), and finite differences.
"""

import numpy as np
import pytest

import tinygrad_np as tg
from tinygrad_np import Tensor
from tinygrad_np.testing import numeric_grad

# -- forward code, as for arrays: nothing below knows of Tensors ------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def digits_columns(W1, b1, W2, b2, X, Y):
    """D1: ReLU and softmax with Python's sum over the rows; samples in columns."""
    A1 = np.maximum(W1.dot(X) + b1, 0)
    Z2 = W2.dot(A1) + b2
    A2 = np.exp(Z2) / sum(np.exp(Z2))
    return -np.sum(Y * np.log(A2)) / X.shape[1]


def digits_rows(W1, b1, W2, b2, X, Y):
    A1 = np.maximum(np.dot(X, W1) + b1, 0)
    Z2 = np.dot(A1, W2) + b2
    A2 = np.exp(Z2) / np.sum(np.exp(Z2), axis=1, keepdims=True)
    return -np.mean(np.sum(Y * np.log(A2), axis=1))


def letters_rows(W1, b1, W2, b2, X, Y):
    """D2: two sigmoids, cross-entropy summed over the outputs; samples in rows."""
    A1 = sigmoid(X.dot(W1) + b1)
    A2 = sigmoid(A1.dot(W2) + b2)
    return np.mean(-np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2), axis=1))


def letters_columns(W1, b1, W2, b2, X, Y):
    A1 = sigmoid(np.dot(W1, X) + b1)
    A2 = sigmoid(np.dot(W2, A1) + b2)
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / X.shape[1]


def binary_columns(W1, b1, W2, b2, X, Y):
    """D3: samples arrive in rows and are transposed inside; one output."""
    m = X.shape[0]
    A1 = sigmoid(np.dot(W1, X.T) + b1)
    A2 = sigmoid(np.dot(W2, A1) + b2)
    cost = -(1 / m) * np.sum(np.multiply(Y, np.log(A2)) + np.multiply(1 - Y, np.log(1 - A2)))
    return np.squeeze(cost)


def binary_rows(W1, b1, W2, b2, X, Y):
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    return -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))


# -- backward by hand, samples in columns -----------------------------------------------------


def by_hand(W1, b1, W2, b2, X, Y, squash, slope, output):
    """The gradients of W1, b1, W2, b2, by the chain rule; dZ2 = A2 - Y for all three losses."""
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1 = squash(Z1)
    dZ2 = output(W2 @ A1 + b2) - Y
    dZ1 = (W2.T @ dZ2) * slope(Z1)
    columns = np.ones((m, 1))
    return dZ1 @ X.T / m, dZ1 @ columns / m, dZ2 @ A1.T / m, dZ2 @ columns / m


def softmax(Z):
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0)


def relu(Z):
    return Z * (Z > 0)


def sigmoid_slope(Z):
    return np.exp(-Z) / (1 + np.exp(-Z)) ** 2


DOCUMENTS = {
    "digits": ((12, 6, 5), (digits_columns, digits_rows), (relu, lambda Z: Z > 0, softmax)),
    "letters": ((30, 5, 3), (letters_columns, letters_rows), (sigmoid, sigmoid_slope, sigmoid)),
    "binary": ((9, 7, 1), (binary_columns, binary_rows), (sigmoid, sigmoid_slope, sigmoid)),
}
SAMPLES = 8


def problem(document):
    """Parameters and data with samples in columns: W1, b1, W2, b2, X, Y."""
    inputs, hidden, outputs = DOCUMENTS[document][0]
    rng = np.random.default_rng(42)
    W1, b1 = rng.normal(size=(hidden, inputs)) / 3, rng.normal(size=(hidden, 1)) / 3
    W2, b2 = rng.normal(size=(outputs, hidden)) / 3, rng.normal(size=(outputs, 1)) / 3
    X = rng.uniform(size=(inputs, SAMPLES))
    labels = rng.integers(0, max(outputs, 2), SAMPLES)
    Y = np.eye(outputs)[:, labels] if outputs > 1 else labels[None] * 1.0
    return [W1, b1, W2, b2, X, Y]


def laid_out(document, layout):
    """The forward code of a layout, its arrays, and what turns its gradients into those of columns."""
    columns, rows = DOCUMENTS[document][1]
    arrays = problem(document)
    if layout == "rows":
        return rows, [a.T for a in arrays], np.transpose
    if document == "binary":
        arrays[4] = arrays[4].T
    return columns, arrays, np.asarray


CASES = [(document, layout) for document in DOCUMENTS for layout in ("columns", "rows")]


def trained_on(forward, arrays):
    """The loss, and the parameters with their gradients."""
    parameters = [Tensor(a, requires_grad=True) for a in arrays[:4]]
    loss = forward(*parameters, *[Tensor(a) for a in arrays[4:]])
    loss.backward()
    return loss, parameters


@pytest.mark.parametrize(("document", "layout"), CASES)
def test_gradients_are_the_hand_written_ones(document, layout):
    forward, arrays, as_columns = laid_out(document, layout)
    expected = by_hand(*problem(document), *DOCUMENTS[document][2])
    loss, parameters = trained_on(forward, arrays)
    assert loss.shape == ()
    np.testing.assert_allclose(loss.data, forward(*arrays), rtol=1e-13)
    for parameter, right in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(as_columns(parameter.grad.data), right, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("document", "layout"), CASES)
def test_gradients_are_the_numeric_ones(document, layout):
    forward, arrays, _ = laid_out(document, layout)
    _, parameters = trained_on(forward, arrays)
    for i, parameter in enumerate(parameters):
        numeric = numeric_grad(forward, *arrays, argnum=i)
        np.testing.assert_allclose(parameter.grad.data, numeric, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("document", "layout"), CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_float32_stays_float32(document, layout, dtype):
    forward, arrays, _ = laid_out(document, layout)
    loss, parameters = trained_on(forward, [a.astype(dtype) for a in arrays])
    assert loss.dtype == dtype
    assert [parameter.grad.dtype for parameter in parameters] == [dtype] * 4


@pytest.mark.parametrize(("document", "layout"), CASES)
def test_the_functional_gradient_is_the_same(document, layout):
    forward, arrays, as_columns = laid_out(document, layout)
    expected = by_hand(*problem(document), *DOCUMENTS[document][2])
    # The data is a Tensor too: an array's own method, as in X.dot(W1), does not come by NumPy's door.
    gradients = tg.grad(forward, (0, 1, 2, 3))(*arrays[:4], *map(Tensor, arrays[4:]))
    for got, right in zip(gradients, expected, strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_allclose(as_columns(got), right, rtol=1e-12, atol=1e-15)


# -- what autograd shows about each document --------------------------------------------------


def test_digits_the_written_bias_gradients_are_wrong():
    W1, b1, W2, b2, X, Y = problem("digits")
    _, parameters = trained_on(digits_columns, [W1, b1, W2, b2, X, Y])
    right1, right2 = parameters[1].grad.data, parameters[3].grad.data
    Z1 = W1 @ X + b1
    dZ2 = softmax(W2 @ relu(Z1) + b2) - Y
    # Summed over all entries, as the document has it.
    written1, written2 = np.sum((W2.T @ dZ2) * (Z1 > 0)) / SAMPLES, np.sum(dZ2) / SAMPLES
    assert abs(written2) < 1e-14
    assert np.max(np.abs(right2)) > 0.01
    np.testing.assert_allclose(right2.sum(), 0, atol=1e-14)
    np.testing.assert_allclose(written1, right1.sum(), rtol=1e-12)
    assert np.max(np.abs(right1 - written1)) > 0.01


def test_digits_the_written_sample_count_scales_every_gradient():
    W1, b1, W2, b2, X, Y = problem("digits")
    _, parameters = trained_on(digits_columns, [W1, b1, W2, b2, X, Y])
    A1 = relu(W1 @ X + b1)
    written = (softmax(W2 @ A1 + b2) - Y) @ A1.T / 42_000
    np.testing.assert_allclose(written, parameters[2].grad.data * SAMPLES / 42_000, rtol=1e-12)


def test_digits_softmax_overflows_as_written_and_not_in_the_package():
    Z = np.array([[800.0], [0.0]])
    with np.errstate(all="ignore"):
        assert np.isnan(np.exp(Z) / sum(np.exp(Z))).any()
    np.testing.assert_allclose(tg.softmax(Z, axis=0), [[1], [0]], atol=1e-300)


def test_letters_the_formulas_belong_to_another_loss_than_the_printed_one():
    W1, b1, W2, b2, X, Y = [a.T for a in problem("letters")]

    def printed(W1, b1, W2, b2):
        A2 = sigmoid(sigmoid(X.dot(W1) + b1).dot(W2) + b2)
        return np.mean(np.square(A2 - Y))

    X, Y = Tensor(X), Tensor(Y)
    gradients = tg.grad(printed, (2, 3))(W1, b1, W2, b2)
    A1 = sigmoid(X.data @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    written = A2 - Y.data
    # The gradient of the printed error has a factor 2/3 A2 (1 - A2) more.
    printed_dZ2 = written * 2 / 3 * A2 * (1 - A2)
    np.testing.assert_allclose(gradients[0].data, A1.T @ printed_dZ2 / SAMPLES, rtol=1e-12)
    np.testing.assert_allclose(gradients[1].data, printed_dZ2.mean(axis=0, keepdims=True), rtol=1e-12)
    assert np.max(np.abs(gradients[0].data - A1.T @ written / SAMPLES)) > 0.01


@pytest.mark.parametrize("z", [-1000.0, 1000.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_binary_saturated_outputs_break_the_formula_and_not_the_loss_on_logits(z, y):
    with np.errstate(all="ignore"):
        A2 = sigmoid(z)
        dZ2 = (-np.divide(y, A2) + np.divide(1 - y, 1 - A2)) * A2 * (1 - A2)
    assert not np.isfinite(dZ2)
    value, gradient = tg.value_and_grad(lambda z: tg.binary_cross_entropy_with_logits(z, np.array([y])))(np.array([z]))
    assert value == abs(z) * ((z > 0) != y)
    np.testing.assert_allclose(gradient, (z > 0) - y, atol=1e-300)


def test_binary_the_loss_on_logits_written_in_numpy():
    y = np.array([0.0, 1.0, 1.0, 0.0])
    z = np.array([-1000.0, -1000.0, 0.5, 2.0])
    g = tg.grad(lambda z: np.sum(np.maximum(z, 0) - z * y + np.log(1 + np.exp(-np.abs(z)))))(z)
    np.testing.assert_allclose(g, np.array([0, -1, sigmoid(0.5) - 1, sigmoid(2.0)]), rtol=1e-12, atol=1e-300)


def test_argmax_predicts_as_for_arrays():
    W1, b1, W2, b2, X, Y = [Tensor(a, requires_grad=True) for a in problem("digits")]
    A2 = W2.dot(np.maximum(W1.dot(X) + b1, 0)) + b2
    predictions = np.argmax(A2, 0)
    assert type(predictions) is np.ndarray
    np.testing.assert_array_equal(predictions, np.argmax(A2.data, 0))
    labels = np.argmax(Y, 0)
    hits = [int(p) == int(label) for p, label in zip(predictions, labels, strict=True)]
    assert np.sum(predictions == labels) / labels.size == sum(hits) / SAMPLES
