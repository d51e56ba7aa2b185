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
        # As the tutorial does: the number of images *before* the development set is taken away.
        self.m = images


def columns(images):
    return np.divide(images.reshape(len(images), -1).T, 255, dtype=np.float32)


def one_hot(labels):
    return (labels == np.arange(10)[:, None]).astype(float)


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
    return {"Z2": dZ2 / m, "W2": dW2, "b2": db2, "Z1": dZ1 / m, "W1": dW1, "b1": db1}


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
    X, Y = digits.X.astype(float), one_hot(digits.labels)
    parameters = {name: array.astype(float) for name, array in start(seed=0).items()}
    loss, tensors = recorded(X, Y, parameters)
    loss.backward()
    auto = {name: tensor.grad.data for name, tensor in tensors.items()}
    m = len(digits.labels)
    names = {"Z1": "dZ1 / m", "Z2": "dZ2 / m"}

    lesson.section("The hand-written gradients against autograd (float64)")
    print(f"As the tutorial has it, m = {digits.m:,}, counted before {digits.m - m:,} images are put aside:\n")
    lesson.compare(backward_by_hand(X, Y, digits.m, **parameters), auto, names)
    print(f"\nThe batch holds {m:,} images, so every gradient is {m:,}/{digits.m:,} of the right one.  With m = {m:,}:\n")
    hand = backward_by_hand(X, Y, m, **parameters)
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
    """Logits and gradients by the formulas as printed, both mistakes included."""
    Z1, A1, Z2, A2 = forward(digits.X, **parameters)
    dZ2 = A2
    dZ2[digits.labels, np.arange(digits.labels.size)] -= 1
    dZ1 = parameters["W2"].T.dot(dZ2) * (Z1 > 0)
    m = digits.m
    gradients = {"W2": dZ2.dot(A1.T) / m, "b2": np.sum(dZ2) / m, "W1": dZ1.dot(digits.X.T) / m, "b1": np.sum(dZ1) / m}
    return Z2, gradients


def accuracy(Z2, labels):
    return np.mean(np.argmax(Z2, axis=0) == labels)


def train(digits, seed, gradients_of, iterations, title):
    """Gradient descent; the trained parameters, and the training accuracy every 10 iterations."""
    parameters, history = start(seed), []
    bar = lesson.progress(iterations, title)
    for iteration in bar:
        Z2, gradients = gradients_of(digits, parameters)
        for name in parameters:
            parameters[name] -= RATE * gradients[name]
        if iteration % 10 == 0:
            history.append(accuracy(Z2, digits.labels))
            bar.set_postfix(accuracy=f"{history[-1]:.1%}")
    return parameters, history


def reached(digits, parameters):
    """Accuracy on the training and on the development images, in percent."""
    pairs = (digits.X, digits.labels), (digits.X_dev, digits.labels_dev)
    return np.array([100 * accuracy(logits(X, **parameters)[-1], labels) for X, labels in pairs])
