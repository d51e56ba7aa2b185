"""MNIST digits with ReLU and softmax, 784-10-10: a bug in the bias gradients that nobody notices.

A published tutorial trains this network in bare NumPy with backpropagation written out by hand.  Two of its
six formulas are wrong, and a third mistake scales all of them.  Nothing crashes and the network learns.
This lesson shows what autograd sees, and then measures whether it matters.

    python examples/mnist_softmax.py            the lesson: about four minutes
    python examples/mnist_softmax.py --quick    the same on less data: a few seconds
    python examples/mnist_softmax.py --best     the tutorial's future work, above 97 % on the test images: a minute

`--help` names the parts of that future work, among them --schedule, --hidden, --batch and --iterations.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import chain, pairwise

import lesson
import numpy as np

import tinygrad_np as tg

RATE, ITERATIONS = 0.1, 500
REPORTED = "about 86 %"

# -- the data: one image per column, pixels from 0 to 1 --------------------------------------------


class Digits:
    """Shuffled training images in columns, with a development set kept aside, in float32."""

    def __init__(self, mnist, seed, images, development):
        order = np.random.default_rng(seed).permutation(images)
        aside, kept = order[:development], order[development:]
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
    print(f"\nThe batch holds {m:,}: every gradient is {m:,}/{digits.m:,} of the right one.  With m = {m:,}:\n")
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

    lesson.numeric_section()
    lesson.numeric_check(lambda *arrays: cross_entropy(forward(X, *arrays)[-1], Y), parameters, auto, entries=12)


def show_overflow():
    """Softmax without subtracting the maximum, on one large logit."""
    lesson.section("A trap in the forward pass: softmax of the logits 100, 0, 0 in float32")
    Z = np.array([[100.0], [0.0], [0.0]], dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        print(f"    np.exp(Z) / sum(np.exp(Z))   {softmax(Z).ravel()}   exp overflows above 88 (float64: 709)")
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
    """Accuracy in percent on the training and on the development images, and the training loss."""
    on_train, on_dev = (logits(X, **parameters)[-1] for X in (digits.X, digits.X_dev))
    loss = tg.cross_entropy(on_train, digits.labels, axis=0)
    return np.array([100 * accuracy(on_train, digits.labels), 100 * accuracy(on_dev, digits.labels_dev), loss])


def train_as_the_tutorial(digits, iterations):
    """The tutorial's run, with autograd doing the backpropagation."""
    m = digits.labels.size
    lesson.section(f"Training by autograd: full batch of {m:,}, rate {RATE}, {iterations} iterations, float32")
    parameters, history = train(digits, 0, by_autograd, iterations, "autograd, seed 0")
    every = max(1, len(history) // 10)
    lesson.row("iteration", [str(10 * i) for i in range(0, len(history), every)])
    lesson.row("training", [f"{value:.1%}" for value in history[::every]])
    on_train, on_dev, _ = reached(digits, parameters)
    print(f"\nReached {on_train:.1f} % on the training and {on_dev:.1f} % on the development images.")
    print(f"The tutorial reports {REPORTED} after {ITERATIONS} iterations.")
    return parameters, history


def does_it_matter(digits_of, first, iterations, seeds):
    """Train with the tutorial's gradients and with autograd's over several seeds, and say which is better."""
    lesson.section(f"Does the bug matter?  The tutorial's gradients against autograd's, {seeds} seeds")
    curves, table = [], []
    for seed in range(seeds):
        digits = digits_of(seed)
        wrong = train(digits, seed, by_the_tutorial, iterations, f"the tutorial's, seed {seed}")
        right = train(digits, seed, by_autograd, iterations, f"autograd's, seed {seed}") if seed else first
        table.append((reached(digits, wrong[0]), reached(digits, right[0])))
        curves.append((wrong[1], right[1]))
        if seed == 0:
            b1, b2 = (np.abs(wrong[0][name] - start(seed)[name]) for name in ("b1", "b2"))
    table = np.array(table)
    (bad_train, bad_dev, _), (good_train, good_dev, _) = means = table.mean(axis=0)

    lesson.row("", ["", "the tutorial's", "", "", "autograd's"], 14)
    lesson.row("seed", ["training", "development", "loss"] * 2, 14)
    for seed, pair in [*enumerate(table), ("mean", means)]:
        lesson.row(str(seed), [f"{v:.3f}" if i % 3 == 2 else f"{v:.1f} %" for i, v in enumerate(np.ravel(pair))], 14)
    moved = f"b2 moved by {b2.max():.1g}, and every entry of b1 by {b1.mean():.4f} (to within {np.ptp(b1):.0e})"
    print(f"\nWith the tutorial's formulas (seed 0) {moved}.")
    gain, gain_dev, spread = good_train - bad_train, good_dev - bad_dev, np.ptp(table[:, 1, 0])
    print(f"\nVerdict: autograd's gradients give {gain:+.1f} points on the training images and {gain_dev:+.1f} on the")
    print(f"development images; the choice of the seed makes {spread:.1f} points.", end="  ")
    hidden = "The bug hardly matters for\nthe accuracy, so nobody sees it there: only comparing gradients finds it."
    print(hidden if abs(gain) < spread else "The bug matters.")
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
    lesson.graph(loss, out / "mnist_softmax_graph", "MNIST 784-10-10")
    lines = []
    for pair in curves:
        for label, history in zip(("the tutorial's gradients", "autograd's gradients"), pair, strict=True):
            lines.append((label, 10 * np.arange(len(history)), 100 * np.array(history)))
    title = f"Training accuracy, one line per seed ({len(curves)})"
    lesson.curves(out / "mnist_softmax_accuracy.png", lines[::-1], title=title, ylabel="accuracy in %")
    path, title = out / "mnist_softmax_predictions.png", "Four training images, after training"
    lesson.gallery(images.T.reshape(4, 28, 28), predicted, labels, path, title)


# -- the tutorial's future work: a changing rate, more hidden layers, longer training --------------

BEST = {"hidden": [256, 128], "schedule": "cosine", "batch": 100, "start": "he", "rate": 0.2, "iterations": 8_200}


def any_start(sizes, kind, seed):
    """Weights and biases of any number of layers, as Tensors; "he": normal with variance 2 / inputs."""
    random, layers = np.random.default_rng(seed), []
    for i, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        if kind == "he":
            W, b = random.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs), np.zeros((outputs, 1))
        else:
            W, b = random.random((outputs, inputs)) - 0.5, random.random((outputs, 1)) - 0.5
        parameter = partial(tg.Tensor, requires_grad=True, dtype=np.float32)
        layers.append((parameter(W, name=f"W{i}"), parameter(b, name=f"b{i}")))
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
    m, every, history = digits.labels.size, max(1, args.iterations // 20), []
    batches = lesson.batches(m, args.batch or m, np.random.default_rng(args.seed))
    bar = lesson.progress(args.iterations, "training by autograd")
    for iteration, chosen in zip(bar, batches, strict=False):
        loss = tg.cross_entropy(any_logits(digits.X[:, chosen], layers), digits.labels[chosen], axis=0)
        loss.backward()
        rate = args.rate * lesson.SCHEDULES[args.schedule](iteration / args.iterations)
        for parameter in chain.from_iterable(layers):
            parameter.data -= rate * parameter.grad.data
            parameter.zero_grad()
        if iteration % every == every - 1:
            history.append((iteration + 1, rate, loss.item(), any_accuracy(digits.X_dev, digits.labels_dev, layers)))
            bar.set_postfix(loss=f"{loss.item():.3f}", development=f"{history[-1][-1]:.1f}%", refresh=False)
    return history


def future_work(mnist, digits, args):
    """Train the network that the options ask for, and measure it on the 10,000 test images."""
    sizes, batch = [784, *args.hidden, 10], f"batches of {args.batch}" if args.batch else "full batch"
    lesson.section(f"The network {'-'.join(map(str, sizes))}, trained by autograd")
    print(f"{args.iterations:,} iterations, {batch}, rate {args.rate:g} ({args.schedule}), start {args.start}.\n")
    layers = any_start(sizes, args.start, args.seed)
    history = train_any(digits, layers, args)
    lesson.row("iteration", ["rate", "loss", "development"], 13)
    for iteration, rate, loss, on_dev in history[1::2]:
        lesson.row(f"{iteration:,}", [f"{rate:.2g}", f"{loss:.4f}", f"{on_dev:.1f} %"], 13)
    X_test, labels_test = columns(mnist.x_test), mnist.y_test
    print("\nReached, without having looked at the test images before:")
    sets = (digits.X, digits.labels), (digits.X_dev, digits.labels_dev), (X_test, labels_test)
    for name, (X, labels) in zip(("training", "development", "test"), sets, strict=True):
        print(f"    {any_accuracy(X, labels, layers):.2f} % of the {labels.size:,} {name} images")
    print(f"The tutorial reports {REPORTED} of its training images.")
    if not np.isfinite(history[-1][2]):
        print("The loss is not finite: start or rate is too large here.  Try --start he or a lower --rate.")
    draw_future_work(args.out, digits, layers, history, X_test, labels_test)


def draw_future_work(out, digits, layers, history, X_test, labels_test):
    """The compute graph, the development accuracy, and test images that the network gets wrong."""
    lesson.section("Pictures")
    X, labels = tg.Tensor(digits.X[:, :100], name="X"), tg.Tensor(digits.labels[:100], name="labels")
    loss = tg.cross_entropy(any_logits(X, layers), labels, axis=0)
    lesson.graph(loss, out / "mnist_deeper_graph", f"MNIST, {len(layers)} layers, 100 images")
    at, _, _, on_dev = zip(*history, strict=True)
    line, title = [("development", at, on_dev)], "Accuracy on the development images"
    lesson.curves(out / "mnist_deeper_accuracy.png", line, title=title, ylabel="accuracy in %")
    predicted = np.argmax(any_logits(X_test, layers), axis=0)
    wrong = np.flatnonzero(predicted != labels_test)[:15]
    pictures, title = X_test[:, wrong].T.reshape(-1, 28, 28), f"The first {wrong.size} test images that it gets wrong"
    lesson.gallery(pictures, predicted[wrong], labels_test[wrong], out / "mnist_deeper_mistakes.png", title)


# -- the command line ------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    parser = lesson.arguments("MNIST digits, 784-10-10, ReLU and softmax: the hand-written gradients against autograd.")
    number = lesson.number
    parser.add_argument("--seeds", type=number(int, above=1), default=5, metavar="N", help="to compare (default 5)")
    about = "Any of these trains the network it asks for, and leaves out the lesson."
    p = parser.add_argument_group("the tutorial's future work", about)
    p.add_argument("--best", action="store_true", help="a preset of the others, above 97 %% on the test images")
    p.add_argument("--hidden", type=lesson.sizes, default=[10], metavar="N,N", help="hidden layers (default 10)")
    p.add_argument("--schedule", choices=lesson.SCHEDULES, default="constant", help="of the rate (default constant)")
    p.add_argument("--rate", type=number(float), default=RATE, help="at the start (default 0.1)")
    p.add_argument("--iterations", type=number(int), default=ITERATIONS, metavar="N", help="default 500")
    p.add_argument("--batch", type=number(int), metavar="N", help="images per mini-batch (default: all of them)")
    p.add_argument(
        "--start", choices=("uniform", "he"), default="uniform",
        help="uniform in [-0.5, 0.5) as the tutorial has it (default), or normal with variance 2/inputs",
    )  # fmt: skip
    p.add_argument("--seed", type=int, default=0, metavar="N", help="of start, shuffle and mini-batches (default 0)")
    return parser


def main() -> None:
    p = parser()
    args = p.parse_args()
    asks_for_more = args.best or any(getattr(args, name) != p.get_default(name) for name in (*BEST, "seed"))
    if args.best:
        p.set_defaults(**BEST)
        args = p.parse_args()
    mnist = lesson.mnist(args.data)
    images, development = (4_200, 100) if args.quick else (42_000, 1_000)
    digits_of = lambda seed: Digits(mnist, seed, images, development)
    if asks_for_more:
        args.iterations = min(args.iterations, 300) if args.quick else args.iterations
        return future_work(mnist, digits_of(args.seed), args)

    iterations, digits = 60 if args.quick else ITERATIONS, digits_of(0)
    lesson.section("The network")
    print("X (784, m) -> W1 (10, 784), b1 (10, 1), ReLU -> W2 (10, 10), b2 (10, 1), softmax -> A2 (10, m)")
    print(f"{images:,} images shuffled, {development:,} of them kept aside, {digits.labels.size:,} to train on.")
    compare_gradients(digits)
    show_overflow()
    first = train_as_the_tutorial(digits, iterations)
    curves = does_it_matter(digits_of, first, iterations, args.seeds)
    draw_lesson(args.out, digits, first[0], curves)


if __name__ == "__main__":
    lesson.run(main)
