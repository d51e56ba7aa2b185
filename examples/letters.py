"""The letters A, B, C: a network 30-5-3 with two sigmoids, and a loss that is not the one printed.

A published tutorial trains this network in bare NumPy with backpropagation written out by hand, and prints
the mean squared error as it learns.  Autograd answers a question that the tutorial does not ask: of which
loss are the hand-written formulas the gradient?

    python examples/letters.py            a few seconds
    python examples/letters.py --quick    with fewer steps
"""

from __future__ import annotations

import lesson
import numpy as np

import tinygrad_np as tg

# -- the data: three letters on 5 rows of 6 pixels, one letter per row of X ------------------------

LETTERS = {
    "A": "001100 010010 111111 100001 100001",
    "B": "011110 010010 011110 010010 011110",
    "C": "011110 010000 010000 010000 011110",
}
X = np.array([[float(pixel) for pixel in drawing.replace(" ", "")] for drawing in LETTERS.values()])
Y = np.eye(3)
m = len(X)

RATE = 0.1


def start(seed: int = 42) -> dict[str, np.ndarray]:
    """Small random weights and zero biases."""
    # NumPy's old generator on purpose: only it gives the very numbers that the tutorial started from.
    random = np.random.RandomState(seed)
    return {
        "W1": random.randn(30, 5) * 0.01,
        "b1": np.zeros((1, 5)),
        "W2": random.randn(5, 3) * 0.01,
        "b2": np.zeros((1, 3)),
    }


# -- forward: plain NumPy, as the tutorial writes it.  It runs on arrays and on Tensors ------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def forward(X, W1, b1, W2, b2):
    Z1 = np.dot(X, W1) + b1
    A1 = sigmoid(Z1)
    Z2 = np.dot(A1, W2) + b2
    A2 = sigmoid(Z2)
    return Z1, A1, Z2, A2


def squared_error(A2, Y):
    """The loss that the tutorial prints."""
    return np.mean(np.square(A2 - Y))


def cross_entropy(A2, Y):
    """Binary cross-entropy, summed over the three outputs and averaged over the samples."""
    return -np.sum(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)) / m


# -- backward, by hand: the tutorial's formulas ----------------------------------------------------


def backward_by_hand(W1, b1, W2, b2):
    _, A1, _, A2 = forward(X, W1, b1, W2, b2)
    dZ2 = A2 - Y
    dW2 = np.dot(A1.T, dZ2) / m
    db2 = np.sum(dZ2, axis=0, keepdims=True) / m
    dA1 = np.dot(dZ2, W2.T)
    dZ1 = dA1 * A1 * (1 - A1)
    dW1 = np.dot(X.T, dZ1) / m
    db1 = np.sum(dZ1, axis=0, keepdims=True) / m
    return A2, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "Z1": dZ1 / m, "Z2": dZ2 / m}


# -- backward, by autograd: the loss is the only thing to choose -----------------------------------


def recorded(loss, parameters):
    """The loss as a Tensor, and the Tensors whose gradients the table compares."""
    tensors = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()}
    Z1, _, Z2, A2 = forward(tg.Tensor(X, name="X"), **tensors)
    return loss(A2, tg.Tensor(Y, name="Y")), tensors | {"Z1": Z1.retain_grad(), "Z2": Z2.retain_grad()}


def backward_by_autograd(loss, parameters):
    value, tensors = recorded(loss, parameters)
    value.backward()
    return {name: tensor.grad.data for name, tensor in tensors.items()}


def compare_gradients(parameters):
    """The same six formulas against autograd, for two losses."""
    _, hand = backward_by_hand(**parameters)
    names = {"Z1": "dZ1 / m", "Z2": "dZ2 / m"}

    lesson.section("The hand-written gradients against autograd")
    print("The tutorial prints the mean squared error.  Against its gradient:\n")
    of_squared_error = backward_by_autograd(squared_error, parameters)
    lesson.compare(hand, of_squared_error, names)
    print("\nAgainst the gradient of the binary cross-entropy (summed over the outputs, averaged over the samples):\n")
    of_cross_entropy = backward_by_autograd(cross_entropy, parameters)
    lesson.compare(hand, of_cross_entropy, names)

    A2 = forward(X, **parameters)[-1]
    factor = 2 / 3 * A2 * (1 - A2)
    error = lesson.relative_error(hand["Z2"] * factor, of_squared_error["Z2"])
    print(
        "\nVerdict: the formulas are the gradient of the cross-entropy, not of the error that is printed.\n"
        "The squared error has one more factor at the output, 2/3 * A2 * (1 - A2): with it, the hand-written\n"
        f"dZ2 agrees with autograd's of the squared error {lesson.digits(error)}.  The factor is never above 1/6\n"
        "(it is 1/6 at the start) and vanishes as an output nears 0 or 1: that gradient is always the smaller."
    )

    lesson.numeric_section()
    for title, loss, auto in (
        ("binary cross-entropy", cross_entropy, of_cross_entropy),
        ("mean squared error", squared_error, of_squared_error),
    ):
        print(f"  {title}:")
        value = lambda W1, b1, W2, b2, loss=loss: loss(forward(X, W1, b1, W2, b2)[-1], Y)
        lesson.numeric_check(value, parameters, auto, entries=60)


# -- training --------------------------------------------------------------------------------------


def train(gradients_of, steps, title):
    """Full-batch gradient descent; the trained parameters, and the squared error before each step and at the end."""
    parameters, errors = start(), []
    for _ in lesson.progress(steps, title):
        A2, gradients = gradients_of(parameters)
        errors.append(squared_error(A2, Y))
        for name in parameters:
            parameters[name] -= RATE * gradients[name]
    errors.append(squared_error(forward(X, **parameters)[-1], Y))
    return parameters, errors


def by_hand(parameters):
    return backward_by_hand(**parameters)


def by_autograd(loss):
    """A function that gives the outputs, and by autograd the gradients of `loss`."""

    def gradients_of(parameters):
        tensors = {name: tg.Tensor(array, requires_grad=True) for name, array in parameters.items()}
        A2 = forward(X, **tensors)[-1]
        loss(A2, Y).backward()
        return A2.data, {name: tensor.grad.data for name, tensor in tensors.items()}

    return gradients_of


def train_three_ways(steps):
    """The tutorial's formulas, and autograd on both losses; the two trained by autograd, and all errors."""
    lesson.section(f"Training, {steps:,} steps at rate {RATE}: the mean squared error as it goes")
    _, of_formulas = train(by_hand, steps, "the hand-written formulas")
    trained, of_cross_entropy = train(by_autograd(cross_entropy), steps, "autograd, cross-entropy")
    on_error, of_squared_error = train(by_autograd(squared_error), steps, "autograd, squared error")
    errors = {"formulas": of_formulas, "cross-entropy": of_cross_entropy, "squared error": of_squared_error}
    lesson.row("", ["by hand", "by autograd, on the", "by autograd, on the"], 22)
    lesson.row("step", ["", "cross-entropy", "squared error"], 22)
    for step in range(0, steps + 1, max(1, steps // 10)):
        lesson.row(f"{step:,}", [f"{values[step]:.3g}" for values in errors.values()], 22)
    by_formulas, by_entropy, by_error = (values[-1] for values in errors.values())
    print(
        f"\nAfter {steps:,} steps the printed error is {by_formulas:.2g} with the tutorial's formulas\n"
        f"and {by_entropy:.2g} with autograd on the loss they belong to,\n"
        f"but {by_error:.2g} with the gradient of the printed error itself:\n"
        f"{by_error / by_entropy:,.0f} times as much.  The formulas are the better choice; the printout misleads."
    )
    return trained, on_error, errors


def main() -> None:
    parser = lesson.arguments("Letters A, B, C, 30-5-3: of which loss are the formulas the gradient?", mnist=False)
    parser.add_argument("--steps", type=lesson.number(int), default=10_000, metavar="N", help="default 10000")
    args = parser.parse_args()
    steps = min(args.steps, 2_000) if args.quick else args.steps

    lesson.section("The network")
    print("X (3, 30) -> W1 (30, 5), b1 (1, 5), sigmoid -> W2 (5, 3), b2 (1, 3), sigmoid -> A2 (3, 3)")
    compare_gradients(start())

    trained, trained_on_error, errors = train_three_ways(steps)
    predicted = show_predictions(trained, trained_on_error)
    draw(args.out, trained, errors, predicted)


def show_predictions(trained, trained_on_error):
    """The tutorial's last step: argmax of each letter's three outputs."""
    letters = list(LETTERS)
    lesson.section("Predictions")
    for title, parameters in (("cross-entropy", trained), ("squared error", trained_on_error)):
        A2 = forward(X, **parameters)[-1]
        predicted = [letters[i] for i in np.argmax(A2, axis=1)]
        right = sum(guess == letter for guess, letter in zip(predicted, letters, strict=True))
        sure = ", ".join(f"{p:.1%}" for p in np.max(A2, axis=1))
        print(f"    trained on the {title}: {' '.join(predicted)}  ({right} of 3 right; outputs {sure})")
    return [letters[i] for i in np.argmax(forward(X, **trained)[-1], axis=1)]


def draw(out, trained, errors, predicted):
    """The compute graph, the learning curves, and the letters."""
    lesson.section("Pictures")
    loss, _ = recorded(cross_entropy, trained)
    lesson.graph(loss, out / "letters_graph", "letters A, B, C: 30-5-3")
    names = ("cross-entropy", "squared error")
    lines = [(f"gradient of the {name}", range(len(errors[name])), errors[name]) for name in names]
    title, ylabel = "One network, one printed error, two gradients", "mean squared error (log scale)"
    lesson.curves(out / "letters_error.png", lines, title=title, ylabel=ylabel, xlabel="step", log=True)
    letters = X.reshape(3, 5, 6)
    lesson.gallery(letters, predicted, list(LETTERS), out / "letters_predictions.png", "Letters after training")


if __name__ == "__main__":
    lesson.run(main)
