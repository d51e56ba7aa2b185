"""MNIST digits with ReLU and softmax, 784-10-10: a bug in the bias gradients that nobody notices.

A published tutorial trains this network in bare NumPy with backpropagation written out by hand.  Two of its
six formulas are wrong, and a third mistake scales all of them.  Nothing crashes and the network learns.
This lesson shows what autograd sees, and then measures whether it matters.

    python examples/mnist_softmax.py            the lesson: about four minutes
    python examples/mnist_softmax.py --quick    the same on less data: a few seconds
    python examples/mnist_softmax.py --best     above 97 % on the test images, the tutorial's future work

The options of its future work, each alone or together: --schedule, --hidden, --iterations, --batch, --rate,
--start.  With any of them only that network is trained.
"""

from __future__ import annotations

import argparse

import lesson
import numpy as np

import tinygrad_np as tg

IMAGES, DEVELOPMENT = 42_000, 1_000
RATE, ITERATIONS = 0.1, 500
REPORTED = "about 86 %"

# -- the data: one image per column, pixels from 0 to 1 --------------------------------------------


class Digits:
    """Shuffled training images in columns, with a development set kept aside, in float32."""

    def __init__(self, mnist, seed, images=IMAGES, development=DEVELOPMENT):
        self.order = np.random.default_rng(seed).permutation(images)
        aside, kept = self.order[:development], self.order[development:]
        self.X_dev, self.labels_dev = columns(mnist.x_train[aside]), mnist.y_train[aside]
        self.X, self.labels = columns(mnist.x_train[kept]), mnist.y_train[kept]
        self.Y = one_hot(self.labels)
        # As the tutorial does: the number of images *before* the development set is taken away.
        self.m = images


def columns(images):
    return np.divide(images.reshape(len(images), -1).T, 255, dtype=np.float32)


def one_hot(labels):
    return (labels == np.arange(10)[:, None]).astype(np.float32)


# -- the network -----------------------------------------------------------------------------------


def start(seed):
    """Everything uniform in [-0.5, 0.5), as the tutorial does."""
    random = np.random.default_rng(seed)
    shapes = {"W1": (10, 784), "b1": (10, 1), "W2": (10, 10), "b2": (10, 1)}
    return {name: (random.random(shape) - 0.5).astype(np.float32) for name, shape in shapes.items()}


# Forward in plain NumPy, as the tutorial writes it.  It runs on arrays and on Tensors.


def relu(Z):
    return np.maximum(Z, 0)


def softmax(Z):
    return np.exp(Z) / sum(np.exp(Z))


def logits(X, W1, b1, W2, b2):
    Z1 = W1.dot(X) + b1
    A1 = relu(Z1)
    Z2 = W2.dot(A1) + b2
    return Z1, A1, Z2


def forward(X, W1, b1, W2, b2):
    Z1, A1, Z2 = logits(X, W1, b1, W2, b2)
    return Z1, A1, Z2, softmax(Z2)


def cross_entropy(A2, Y):
    """The loss whose gradient the tutorial's formulas are: the mean over the samples (columns)."""
    return -np.sum(Y * np.log(A2)) / Y.shape[1]


# -- backward, by hand: the tutorial's formulas ----------------------------------------------------


def backward_by_hand(X, Y, m, W1, b1, W2, b2):
    Z1, A1, _, A2 = forward(X, W1, b1, W2, b2)
    dZ2 = A2 - Y
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2)  # over everything: this is one of the mistakes
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1)  # and this is the same one
    return A2, {"Z2": dZ2 / m, "W2": dW2, "b2": db2, "Z1": dZ1 / m, "W1": dW1, "b1": db1}


def with_biases_mended(gradients):
    """The two formulas as they should be: a sum over the samples only."""
    summed = {f"b{i}": gradients[f"Z{i}"].sum(axis=1, keepdims=True) for i in (1, 2)}
    return gradients | summed


# -- backward, by autograd -------------------------------------------------------------------------


def recorded(X, Y, parameters):
    """The loss of the tutorial's own forward code as a Tensor, and the Tensors that the table compares."""
    tensors = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()}
    Z1, _, Z2, A2 = forward(tg.Tensor(X, name="X"), **tensors)
    return cross_entropy(A2, tg.Tensor(Y, name="Y")), tensors | {"Z1": Z1.retain_grad(), "Z2": Z2.retain_grad()}


def compare_gradients(digits):
    """Each formula against autograd on the whole batch, in float64; then autograd against numeric differences."""
    X, Y = digits.X.astype(float), digits.Y.astype(float)
    parameters = {name: array.astype(float) for name, array in start(seed=0).items()}
    loss, tensors = recorded(X, Y, parameters)
    loss.backward()
    auto = {name: tensor.grad.data for name, tensor in tensors.items()}
    m = len(digits.labels)
    names = {"Z1": "dZ1 / m", "Z2": "dZ2 / m"}

    lesson.section("The hand-written gradients against autograd (float64)")
    print(f"As the tutorial has it, m = {digits.m:,}, counted before {digits.m - m:,} images are put aside:\n")
    lesson.compare(backward_by_hand(X, Y, digits.m, **parameters)[1], auto, names)
    print(f"\nThe batch holds {m:,} images, so every gradient is {m:,}/{digits.m:,} of the right one.  With m = {m:,}:\n")
    hand = backward_by_hand(X, Y, m, **parameters)[1]
    lesson.compare(hand, auto, names)
    print(
        "\nnp.sum(dZ2) without axis= adds up everything to one number, which then broadcasts silently.\n"
        f"  db2 = {hand['b2']:.1e}: every column of softmax sums to 1, and so does every column of Y,\n"
        "        so the sum is 0 by construction.  b2 never moves from where it started.\n"
        f"  db1 = {hand['b1']:.3f}: every entry of b1 moves by the same amount.\n"
        "Write dZ2.sum(axis=1, keepdims=True) / m, and likewise for dZ1:\n"
    )
    mended = with_biases_mended(hand)
    lesson.compare({name: mended[name] for name in ("b2", "b1")}, auto, names)

    lesson.section("Autograd against numeric differences (float64)")
    lesson.numeric_check(lambda *arrays: cross_entropy(forward(X, *arrays)[-1], Y), parameters, auto, entries=12)


def show_overflow():
    """Softmax without subtracting the maximum, on one large logit."""
    Z = np.array([[100.0], [0.0], [0.0]], dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        print("softmax of the logits 100, 0, 0 in float32:")
        print(f"    np.exp(Z) / sum(np.exp(Z))   {softmax(Z).ravel()}   exp overflows above 88 (in float64 above 709)")
    print(f"    tg.softmax(Z, axis=0)        {tg.softmax(Z, axis=0).ravel()}   subtracts the largest logit first")


# -- training as the tutorial does: the full batch, a constant rate --------------------------------


def by_autograd(digits, parameters):
    """Logits and gradients.  The loss takes the logits: that cannot overflow, and does not need A2."""
    tensors = {name: tg.Tensor(array, requires_grad=True, name=name) for name, array in parameters.items()}
    Z2 = logits(digits.X, **tensors)[-1]
    tg.cross_entropy(Z2, digits.labels, axis=0).backward()
    return Z2.data, {name: tensor.grad.data for name, tensor in tensors.items()}


def by_the_tutorial(digits, parameters):
    """Probabilities and gradients by the formulas as printed, all three mistakes included."""
    return backward_by_hand(digits.X, digits.Y, digits.m, **parameters)


def accuracy(scores, labels):
    return np.mean(np.argmax(scores, axis=0) == labels)


def train(digits, seed, gradients_of, iterations, title):
    """Gradient descent; the trained parameters, and the training accuracy every 10 iterations."""
    parameters, history = start(seed), []
    bar = lesson.progress(iterations, title)
    for iteration in bar:
        scores, gradients = gradients_of(digits, parameters)
        for name in parameters:
            parameters[name] -= RATE * gradients[name]
        if iteration % 10 == 0:
            history.append(accuracy(scores, digits.labels))
            bar.set_postfix(accuracy=f"{history[-1]:.1%}", refresh=False)
    return parameters, history


def reached(digits, parameters):
    """Accuracy on the training and on the development images, in percent."""
    pairs = (digits.X, digits.labels), (digits.X_dev, digits.labels_dev)
    return np.array([100 * accuracy(logits(X, **parameters)[-1], labels) for X, labels in pairs])


def train_as_the_tutorial(digits, iterations):
    """The tutorial's run with autograd doing the backpropagation, and its four predictions."""
    lesson.section(f"Training: full batch of {digits.labels.size:,}, rate {RATE}, {iterations} iterations, by autograd (float32)")
    parameters, history = train(digits, 0, by_autograd, iterations, "autograd, seed 0")
    lesson.row("iteration", [f"{10 * i}" for i in range(0, len(history), max(1, len(history) // 10))])
    lesson.row("accuracy", [f"{a:.1%}" for a in history[:: max(1, len(history) // 10)]])
    train_accuracy, dev_accuracy = reached(digits, parameters)
    print(f"\nReached {train_accuracy:.1f} % on the training and {dev_accuracy:.1f} % on the development images; ", end="")
    print(f"the tutorial reports {REPORTED}.")
    return parameters, history


def does_it_matter(digits_of, first, iterations, seeds):
    """Train with the tutorial's gradients and with autograd's over several seeds, and say which is better."""
    lesson.section(f"Does the bug matter?  The tutorial's gradients and the right ones, {seeds} seeds")
    curves, accuracies = [], []
    for seed in range(seeds):
        digits = digits_of(seed)
        wrong, wrong_history = train(digits, seed, by_the_tutorial, iterations, f"seed {seed}, the tutorial's")
        right, right_history = first if seed == 0 else train(digits, seed, by_autograd, iterations, f"seed {seed}, autograd's")
        accuracies.append((reached(digits, wrong), reached(digits, right)))
        curves.append((wrong_history, right_history))
        if seed == 0:
            moved = {name: wrong[name] - start(seed)[name] for name in ("b1", "b2")}
    accuracies = np.array(accuracies)
    mean = accuracies.mean(axis=0)

    lesson.row("", ["the tutorial", "", "autograd", ""], 13)
    lesson.row("seed", ["training", "development"] * 2, 13)
    for seed, pair in enumerate(accuracies):
        lesson.row(str(seed), [f"{value:.1f} %" for value in pair.ravel()], 13)
    lesson.row("mean", [f"{value:.1f} %" for value in mean.ravel()], 13)
    print(
        f"\nWith the tutorial's formulas (seed 0) b2 moved by at most {np.abs(moved['b2']).max():.0e}, and the entries of b1"
        f"\nall moved by {moved['b1'].mean():+.4f}, equal to within {np.ptp(moved['b1']):.0e}."
    )
    gain_train, gain_dev = mean[1] - mean[0]
    spread = np.ptp(accuracies[:, 1, 0])
    matters = abs(gain_train) > spread
    print(
        f"\nVerdict: the right gradients give {gain_train:+.1f} points on the training and {gain_dev:+.1f} on the development"
        f"\nimages; the choice of the seed alone makes {spread:.1f}.  The bug "
        + ("matters." if matters else "hardly matters for the accuracy,\nand so the accuracy cannot reveal it: only comparing gradients does.")
    )
    return curves


def draw_lesson(out, digits, parameters, curves):
    """The compute graph, the accuracies, and the four images that the tutorial predicts."""
    lesson.section("Four training images, as the tutorial predicts them; pictures")
    images, labels = digits.X[:, :4], digits.labels[:4]
    predicted = np.argmax(logits(images, **parameters)[-1], axis=0)
    for guess, label in zip(predicted, labels, strict=True):
        print(f"    predicted {guess}, label {label}" + ("" if guess == label else "   wrong"))
    print(f"    {np.sum(predicted == labels)} of 4 right; in the tutorial 3 of 4 were.\n")

    loss, _ = recorded(digits.X, digits.Y, parameters)
    loss.name = "loss"
    loss.backward()
    lesson.graph(loss, out / "mnist_softmax_graph", "MNIST 784-10-10")
    lines = []
    for pair in curves:
        for label, history in zip(("the tutorial's gradients", "autograd's gradients"), pair, strict=True):
            lines.append((label, 10 * np.arange(len(history)), 100 * np.array(history)))
    title = f"Training accuracy, one line per seed ({len(curves)})"
    lesson.curves(out / "mnist_softmax_accuracy.png", lines[::-1], title=title, ylabel="accuracy in %")
    pictures = images.T.reshape(4, 28, 28)
    lesson.gallery(pictures, predicted, labels, out / "mnist_softmax_predictions.png", "Four training images after training")


# -- the tutorial's future work: a changing rate, more hidden layers, longer training --------------

SCHEDULES = {
    # The factor of the rate after a part (0 to 1) of the training is done.
    "constant": lambda done: 1.0,
    "step": lambda done: 0.1 ** (int(done >= 0.5) + int(done >= 0.75)),
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + np.cos(np.pi * done)) / 2,
}
BEST = {"hidden": [256, 128], "schedule": "cosine", "batch": 100, "start": "he", "rate": 0.2, "iterations": 8_200}


def any_start(sizes, kind, seed):
    """Weights and biases of any number of layers, as Tensors; "he": normal with variance 2 / inputs."""
    random, layers = np.random.default_rng(seed), []
    for i, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), start=1):
        if kind == "he":
            W, b = random.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs), np.zeros((outputs, 1))
        else:
            W, b = random.random((outputs, inputs)) - 0.5, random.random((outputs, 1)) - 0.5
        both = zip((W, b), (f"W{i}", f"b{i}"), strict=True)
        layers.append([tg.Tensor(array, requires_grad=True, name=name, dtype=np.float32) for array, name in both])
    return layers


def any_logits(X, layers):
    """ReLU between the layers, none after the last."""
    A = X
    for i, (W, b) in enumerate(layers):
        A = W @ (tg.relu(A) if i else A) + b
    return A


def any_accuracy(X, labels, layers):
    with tg.no_grad():
        return 100 * accuracy(any_logits(X, layers).data, labels)


def train_any(digits, layers, args):
    """Gradient descent on full or mini-batches with a changing rate; development accuracy as it goes."""
    random, m, every = np.random.default_rng(args.seed), digits.labels.size, max(1, args.iterations // 20)
    batch, order, at, history = args.batch or m, random.permutation(m), 0, []
    bar = lesson.progress(args.iterations, "-".join(map(str, [784, *args.hidden, 10])))
    for iteration in bar:
        if at + batch > m:
            order, at = random.permutation(m), 0
        chosen = order[at : at + batch] if batch < m else slice(None)
        at += batch
        loss = tg.cross_entropy(any_logits(digits.X[:, chosen], layers), digits.labels[chosen], axis=0)
        loss.backward()
        rate = args.rate * SCHEDULES[args.schedule](iteration / args.iterations)
        for parameter in (parameter for layer in layers for parameter in layer):
            parameter.data -= rate * parameter.grad.data
            parameter.zero_grad()
        if iteration % every == every - 1:
            history.append((iteration + 1, rate, loss.item(), any_accuracy(digits.X_dev, digits.labels_dev, layers)))
            bar.set_postfix(loss=f"{loss.item():.3f}", development=f"{history[-1][-1]:.1f}%", refresh=False)
    return history


def future_work(mnist, digits, args):
    """Train the network that the options ask for, and measure it on the 10,000 test images."""
    sizes = [784, *args.hidden, 10]
    batch = f"batches of {args.batch}" if args.batch else "full batch"
    lesson.section(f"{'-'.join(map(str, sizes))}: {args.iterations:,} iterations, {batch}, rate {args.rate:g} {args.schedule}, start {args.start}")
    layers = any_start(sizes, args.start, args.seed)
    history = train_any(digits, layers, args)
    print(f"    {'iteration':>10}{'rate':>12}{'loss':>10}{'development':>14}")
    for iteration, rate, loss, dev in history[1::2]:
        print(f"    {iteration:>10,}{rate:>12.4g}{loss:>10.3f}{dev:>12.1f} %")
    X_test, labels_test = columns(mnist.x_test), mnist.y_test
    on_test = any_accuracy(X_test, labels_test, layers)
    print(
        f"\nReached {any_accuracy(digits.X, digits.labels, layers):.2f} % on the {digits.labels.size:,} training, "
        f"{any_accuracy(digits.X_dev, digits.labels_dev, layers):.2f} % on the {digits.labels_dev.size:,} development\n"
        f"and {on_test:.2f} % on the 10,000 test images, which were not looked at before.  The tutorial reports {REPORTED}."
    )
    draw_future_work(args.out, digits, layers, history, X_test, labels_test)


def draw_future_work(out, digits, layers, history, X_test, labels_test):
    """The compute graph, the development accuracy, and test images that the network gets wrong."""
    lesson.section("Pictures")
    loss = tg.cross_entropy(any_logits(tg.Tensor(digits.X[:, :100], name="X"), layers), digits.labels[:100], axis=0)
    loss.name = "loss"
    loss.backward()
    lesson.graph(loss, out / "mnist_deeper_graph", "MNIST, one mini-batch of 100")
    line = [("development", [row[0] for row in history], [row[-1] for row in history])]
    title = "Accuracy on the development images"
    lesson.curves(out / "mnist_deeper_accuracy.png", line, title=title, ylabel="accuracy in %")
    predicted = np.argmax(any_logits(X_test, layers).data, axis=0)
    wrong = np.flatnonzero(predicted != labels_test)[:15]
    pictures = X_test[:, wrong].T.reshape(-1, 28, 28)
    title = f"The first {wrong.size} test images that it gets wrong"
    lesson.gallery(pictures, predicted[wrong], labels_test[wrong], out / "mnist_deeper_mistakes.png", title)


# -- the command line ------------------------------------------------------------------------------


def layer_sizes(text):
    sizes = [int(size) for size in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a list of layer sizes such as 256,128")
    return sizes


def parser() -> argparse.ArgumentParser:
    p = lesson.arguments("MNIST digits, 784-10-10, ReLU and softmax: the hand-written gradients against autograd.")
    p.add_argument("--seeds", type=lesson.positive(int), default=5, help="seeds of the comparison (default 5)")
    work = p.add_argument_group(
        "the tutorial's future work", "With any of these, only the network they describe is trained, and tested."
    )
    work.add_argument("--best", action="store_true", help="a preset of the options below that passes 97 %% on the test images")
    work.add_argument("--hidden", type=layer_sizes, default=[10], metavar="N,N", help="sizes of the hidden layers (default 10)")
    work.add_argument("--schedule", choices=SCHEDULES, default="constant", help="how the rate changes (default constant)")
    work.add_argument("--rate", type=lesson.positive(float), default=RATE, help="the rate at the start (default 0.1)")
    work.add_argument("--iterations", type=lesson.positive(int), default=ITERATIONS, metavar="N", help="default 500")
    work.add_argument("--batch", type=lesson.positive(int), metavar="N", help="images per mini-batch (default: all of them)")
    work.add_argument(
        "--start", choices=("uniform", "he"), default="uniform",
        help="random start: uniform in [-0.5, 0.5) as the tutorial does, or normal with variance 2/inputs (He)",
    )  # fmt: skip
    work.add_argument("--seed", type=int, default=0, help="of start, shuffle and mini-batches (default 0)")
    return p


def main() -> None:
    p = parser()
    args = p.parse_args()
    asks_for_more = args.best or any(getattr(args, name) != p.get_default(name) for name in (*BEST, "seed"))
    if args.best:
        p.set_defaults(**BEST)
        args = p.parse_args()
    mnist = lesson.mnist(args.data)
    images, development = (4_200, 100) if args.quick else (IMAGES, DEVELOPMENT)
    digits_of = lambda seed: Digits(mnist, seed, images, development)
    if asks_for_more:
        if args.quick:
            args.iterations = min(args.iterations, 300)
        return future_work(mnist, digits_of(args.seed), args)

    iterations = 100 if args.quick else ITERATIONS
    digits = digits_of(0)
    lesson.section("The network")
    print("X (784, m) -> W1 (10, 784), b1 (10, 1), ReLU -> W2 (10, 10), b2 (10, 1), softmax -> A2 (10, m)")
    print(f"{images:,} images shuffled, {development:,} kept aside for development, {digits.labels.size:,} to train on.")
    compare_gradients(digits)
    lesson.section("A trap in the forward pass")
    show_overflow()
    first = train_as_the_tutorial(digits, iterations)
    curves = does_it_matter(digits_of, first, iterations, args.seeds)
    draw_lesson(args.out, digits, first[0], curves)


if __name__ == "__main__":
    lesson.run(main)
