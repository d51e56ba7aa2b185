"""MNIST digits 1 against 2, 784-196-1 with two sigmoids: right formulas that break when an output saturates.

A published tutorial trains this network in bare NumPy with backpropagation written out by hand.  Its gradients
are right, until an output rounds to exactly 0 or 1: then they divide by zero.  The same loss written on the
pre-activation has no such place, and autograd differentiates that one as easily.

    python examples/mnist_binary.py            1,000 iterations: two minutes
    python examples/mnist_binary.py --quick    less data, fewer iterations: a few seconds
"""

from __future__ import annotations

import lesson
import numpy as np

import tinygrad_np as tg

RATE = 0.1
# Measured with the hand-written formulas on the whole data: cost, training and test accuracy.
FORMULAS_REACH = {100: ("0.1546", "96.84 %", "96.68 %"), 1_000: ("0.0382", "98.87 %", "99.26 %")}

# -- the data: samples in rows; digit 1 has label 0, digit 2 has label 1 ---------------------------


def ones_and_twos(images, labels, dtype):
    chosen = (labels == 1) | (labels == 2)
    X = np.divide(images[chosen].reshape(-1, 784), 255, dtype=dtype)
    return X, (labels[chosen] == 2).astype(dtype).reshape(1, -1)


def start(dtype, seed: int = 42):
    """Normal weights divided by sqrt(inputs), zero biases."""
    # NumPy's old generator on purpose: only it gives the very numbers that the tutorial started from.
    random = np.random.RandomState(seed)
    parameters = {
        "W1": random.randn(196, 784) / np.sqrt(784),
        "b1": np.zeros((196, 1)),
        "W2": random.randn(1, 196) / np.sqrt(196),
        "b2": np.zeros((1, 1)),
    }
    return {name: array.astype(dtype) for name, array in parameters.items()}


# -- forward: plain NumPy, as the tutorial writes it.  It runs on arrays and on Tensors ------------


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def hidden_and_logits(X, W1, b1, W2, b2):
    Z1 = np.dot(W1, X.T) + b1
    A1 = sigmoid(Z1)
    Z2 = np.dot(W2, A1) + b2
    return Z1, A1, Z2


def forward(X, W1, b1, W2, b2):
    Z1, A1, Z2 = hidden_and_logits(X, W1, b1, W2, b2)
    return Z1, A1, Z2, sigmoid(Z2)


def cost(A2, y):
    """The tutorial's cost: binary cross-entropy on the outputs."""
    return -np.sum(y * np.log(A2) + (1 - y) * np.log(1 - A2)) / y.shape[1]


# -- backward, by hand: the tutorial's formulas ----------------------------------------------------


def sigmoid_slope(Z):
    return sigmoid(Z) * (1 - sigmoid(Z))


def backward_by_hand(X, y, W1, b1, W2, b2):
    m = y.shape[1]
    Z1, A1, Z2, A2 = forward(X, W1, b1, W2, b2)
    dA2 = -np.divide(y, A2) + np.divide(1 - y, 1 - A2)
    dZ2 = dA2 * sigmoid_slope(Z2)
    dW2 = np.dot(dZ2, A1.T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dA1 = np.dot(W2.T, dZ2)
    dZ1 = dA1 * sigmoid_slope(Z1)
    dW1 = np.dot(dZ1, X) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return A2, {"Z2": dZ2 / m, "W2": dW2, "b2": db2, "Z1": dZ1 / m, "W1": dW1, "b1": db1}


# -- backward, by autograd -------------------------------------------------------------------------


def recorded(X, y, parameters):
    """The tutorial's own forward code and cost as a Tensor, and the Tensors that the table compares."""
    tensors = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()}
    Z1, _, Z2, A2 = forward(tg.Tensor(X, name="X"), **tensors)
    return cost(A2, tg.Tensor(y, name="y")), tensors | {"Z1": Z1.retain_grad(), "Z2": Z2.retain_grad()}


def compare_gradients(X, y):
    """Each formula against autograd on the whole batch, in float64; then autograd against numeric differences."""
    parameters = start(float)
    _, hand = backward_by_hand(X, y, **parameters)
    loss, tensors = recorded(X, y, parameters)
    loss.backward()
    auto = {name: tensor.grad.data for name, tensor in tensors.items()}
    lesson.section("The hand-written gradients against autograd (float64)")
    lesson.compare(hand, auto, {"Z1": "dZ1 / m", "Z2": "dZ2 / m"})
    print("\nVerdict: all six formulas are right, while no output saturates.")

    lesson.numeric_section()
    few = slice(2_000)
    loss, tensors = recorded(X[few], y[:, few], parameters)
    loss.backward()
    auto = {name: tensors[name].grad.data for name in parameters}
    value = lambda *arrays: cost(forward(X[few], *arrays)[-1], y[:, few])
    lesson.numeric_check(value, parameters, auto, entries=12)
    print(f"    on the first {len(X[few]):,} images")


def show_saturation():
    """The cost and its gradient for outputs that are rounded to 0 or 1, by the formulas and on the logits."""
    Z2, y = np.array([[-1000.0, 1000.0, -1000.0, 1000.0]]), np.array([[0.0, 1.0, 1.0, 0.0]])
    with np.errstate(all="ignore"):
        A2 = sigmoid(Z2)
        by_hand = (-np.divide(y, A2) + np.divide(1 - y, 1 - A2)) * sigmoid_slope(Z2)
        cost_by_hand = cost(A2, y)
    z = tg.Tensor(Z2, requires_grad=True, name="z")
    on_logits = tg.binary_cross_entropy_with_logits(z, y)
    on_logits.backward()

    # Rounded because sigmoid(-1000) may come out as 0 or as the smallest number above it.
    on_each = (y.size * z.grad.data).ravel().round(12)

    lesson.section("An output that saturates")
    lesson.row("z", [f"{value:g}" for value in Z2.ravel()])
    lesson.row("label", [f"{value:g}" for value in y.ravel()])
    lesson.row("dz by hand", [f"{value:g}" for value in by_hand.ravel()])
    lesson.row("autograd", [f"{value:g}" for value in on_each])
    print(f"\n    cost by hand {cost_by_hand}, on the logits {on_logits.item():g}")
    finite = np.all(np.isfinite(z.grad.data)) and np.isfinite(on_logits.item())
    print(
        "\nThe formula divides by A2 and by 1 - A2, and one of them is exactly 0.  The same loss on the logits,\n"
        "max(z, 0) - z*y + log(1 + exp(-|z|)), has the gradient sigmoid(z) - y.\n"
        f"Verdict: by hand {np.sum(~np.isfinite(by_hand))} of 4 are nan; autograd on the logits is "
        + ("finite everywhere." if finite else "NOT finite: please report this.")
    )


# -- training --------------------------------------------------------------------------------------


def by_autograd(X, y, parameters):
    """Cost, logits and gradients; the loss takes the logits, where nothing divides by zero."""
    tensors = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()}
    Z2 = hidden_and_logits(X, **tensors)[-1]
    loss = tg.binary_cross_entropy_with_logits(Z2, y)
    loss.backward()
    return loss.item(), Z2.data, {name: tensor.grad.data for name, tensor in tensors.items()}


def step(parameters, gradients, rate=RATE):
    return {name: array - rate * gradients[name] for name, array in parameters.items()}


def accuracy(Z2, y):
    """In percent; the output is above 0.5 where the logit is above 0."""
    return 100 * np.mean((Z2 > 0) == (y > 0.5))


def measure(X, y, parameters):
    """Cost and accuracy of these parameters."""
    Z2 = hidden_and_logits(X, **parameters)[-1]
    return tg.binary_cross_entropy_with_logits(Z2, y), accuracy(Z2, y)


def train(X, y, X_test, y_test, iterations):
    """Full-batch gradient descent with autograd; the cost at every step, both accuracies at some."""
    parameters, costs, accuracies = start(X.dtype), [], []
    lesson.row("", ["cost", "training", "test"], 12)
    bar = lesson.progress(iterations, "training by autograd")
    for iteration in bar:
        value, Z2, gradients = by_autograd(X, y, parameters)
        costs.append(value)
        if iteration % max(1, iterations // 40) == 0:
            accuracies.append((iteration, accuracy(Z2, y), measure(X_test, y_test, parameters)[1]))
            bar.set_postfix(cost=f"{value:.4f}", test=f"{accuracies[-1][-1]:.1f}%", refresh=False)
        parameters = step(parameters, gradients)
        if iteration + 1 in (100, iterations):
            (_, on_train), (_, on_test) = measure(X, y, parameters), measure(X_test, y_test, parameters)
            bar.clear()
            lesson.row(f"{iteration + 1:,} steps", [f"{value:.4f}", f"{on_train:.2f} %", f"{on_test:.2f} %"], 12)
    return parameters, costs, accuracies


def train_until_nan(X, y, iterations, rate):
    """The hand-written formulas against autograd on the logits, from one start, until the former give nan."""
    hand, auto = start(X.dtype), start(X.dtype)
    lesson.section(f"Training into saturation: {len(X):,} images, rate {rate:g}, {X.dtype}, {iterations:,} steps")
    broken = None
    for iteration in lesson.progress(iterations, "by hand and by autograd"):
        if broken is None:
            with np.errstate(all="ignore"):
                hand = step(hand, backward_by_hand(X, y, **hand)[1], rate)
            if not all(np.isfinite(array).all() for array in hand.values()):
                broken = iteration + 1
        value, _, gradients = by_autograd(X, y, auto)
        auto = step(auto, gradients, rate)
    by_hand = f"nan since step {broken}: every prediction is lost" if broken else f"cost {measure(X, y, hand)[0]:.5f}"
    print(f"    by the hand-written formulas: {by_hand}")
    print(f"    by autograd on the logits:    cost {value:.5f}, {measure(X, y, auto)[1]:.2f} % right")
    if broken:
        print("A sigmoid in float32 rounds to 1 for logits above 16.6 (in float64 36.7): there 1 - A2 is 0.")


# -- pictures --------------------------------------------------------------------------------------


def draw(out, X, y, X_test, y_test, parameters, costs, accuracies):
    """The compute graph, the cost, both accuracies, the sigmoid, and test images with their predictions."""
    lesson.section("Pictures")
    loss, _ = recorded(X, y, parameters)
    lesson.graph(loss, out / "mnist_binary_graph", "MNIST 1 against 2: 784-196-1")

    cost_line = [("cost", range(len(costs)), costs)]
    title = "Cost on the training images"
    lesson.curves(out / "mnist_binary_cost.png", cost_line, title=title, ylabel="cost")
    at, on_train, on_test = np.array(accuracies).T
    # The first steps are far below and would squeeze the rest into a line.
    limits = np.percentile(on_train, 10) - 3, 100.2
    both = [("training images", at, on_train), ("test images", at, on_test)]
    lesson.curves(out / "mnist_binary_accuracy.png", both, title="Accuracy", ylabel="accuracy in %", limits=limits)
    z = np.linspace(-10, 10, 401)
    slope = tg.grad(lambda z: np.sum(sigmoid(z)))(z)
    both = [("sigmoid(z)", z, sigmoid(z)), ("its slope, by autograd", z, slope)]
    title = "The sigmoid, and its slope that vanishes where it saturates"
    lesson.curves(out / "mnist_binary_sigmoid.png", both, title=title, ylabel="", xlabel="z")

    Z2 = hidden_and_logits(X_test, **parameters)[-1].ravel()
    predicted, labels = 1 + (Z2 > 0), 1 + y_test.ravel().astype(int)
    wrong = np.flatnonzero(predicted != labels)[:5]
    shown = np.concatenate([np.arange(10 - wrong.size), wrong])
    title = f"Test images: the first {10 - wrong.size}, and {wrong.size} that it gets wrong"
    lesson.gallery(
        X_test[shown].reshape(-1, 28, 28), predicted[shown], labels[shown], out / "mnist_binary_predictions.png", title
    )


def main() -> None:
    parser = lesson.arguments("MNIST digits 1 against 2, 784-196-1: right formulas that can divide by zero.")
    parser.add_argument("--iterations", type=lesson.number(int), default=1_000, metavar="N", help="default 1000")
    parser.add_argument("--float64", action="store_true", help="train in float64 (default float32)")
    args = parser.parse_args()
    mnist = lesson.mnist(args.data)
    dtype = np.float64 if args.float64 else np.float32
    X, y = ones_and_twos(mnist.x_train, mnist.y_train, dtype)
    X_test, y_test = ones_and_twos(mnist.x_test, mnist.y_test, dtype)
    iterations = args.iterations
    if args.quick:
        X, y, iterations = X[:1_000], y[:, :1_000], min(iterations, 100)

    lesson.section("The network")
    print("X (m, 784) -> W1 (196, 784), b1 (196, 1), sigmoid -> W2 (1, 196), b2 (1, 1), sigmoid -> A2 (1, m)")
    print(f"{len(X):,} training and {len(X_test):,} test images of the digits 1 (label 0) and 2 (label 1).")
    compare_gradients(X.astype(float), y.astype(float))
    show_saturation()
    lesson.section(f"Training: full batch, rate {RATE}, {iterations:,} iterations, {X.dtype}")
    parameters, costs, accuracies = train(X, y, X_test, y_test, iterations)
    print("The tutorial's formulas, on all 12,700 images, reach:")
    for steps, figures in FORMULAS_REACH.items():
        lesson.row(f"{steps:,} steps", figures, 12)
    if args.quick:
        print("\n(--quick leaves out the training into saturation.)")
    else:
        train_until_nan(X[:2_000], y[:, :2_000], iterations=600, rate=1.0)
    draw(args.out, X, y, X_test, y_test, parameters, costs, accuracies)


if __name__ == "__main__":
    lesson.run(main)
